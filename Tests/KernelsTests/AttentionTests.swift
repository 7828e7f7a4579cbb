import Glibc
import Kernels
import TestSupport
import Testing

/// A sequence with random queries, keys and values, attended to in whatever pieces a test wants.
private struct Scene {
    var variant: Variant
    var dimension: Int
    var group: Int
    var keyValueHeads: Int
    var tokens: Int
    var rows: [Float]

    var heads: Int { group * keyValueHeads }
    var columns: Int { (heads + 2 * keyValueHeads) * dimension }

    init(_ variant: Variant, dimension: Int, group: Int, keyValueHeads: Int, tokens: Int) {
        self.variant = variant
        self.dimension = dimension
        self.group = group
        self.keyValueHeads = keyValueHeads
        self.tokens = tokens
        var random = SeededGenerator(seed: UInt64(dimension * 1000 + group))
        rows = random.floats(tokens * (group + 2) * keyValueHeads * dimension, in: -2...2)
    }

    /// The output rows of all tokens when they come in pieces of `chunk`; pages are in no particular order.
    func run(chunk: Int, threads: Int = 1, from start: Int = 0) throws -> [Float] {
        let geometry = KeyValueGeometry(layers: 2, heads: keyValueHeads, dimension: dimension, type: variant.type)
        let count = (tokens + 63) / 64
        let memory = try KeyValueMemory(geometry: geometry, pages: count + 3)
        let pages = (0..<count).map { Int32((count - $0) % count + 2) }
        for page in pages {
            // What a former owner left.
            memory.withMutablePage(page) { bytes in
                for i in 0..<bytes.byteCount { bytes.storeBytes(of: 0xff, toByteOffset: i, as: UInt8.self) }
            }
            memory.zero(page: page)
        }
        let team = ThreadTeam(threads: threads, instructionSet: variant.set)
        let x = try matrix(rows, columns: columns)
        var out = try OperandMatrix(rows: tokens, columns: heads * dimension, type: variant.type, instructionSet: variant.set)
        let (keys, values_) = (heads * dimension, (heads + keyValueHeads) * dimension)
        if start > 0 {
            let before = cut([AttentionSegment(row: 0, count: start, position: 0, pages: pages)], threads)
            team.writeKeyValues(before, all: true, from: x, keys: keys, values: values_, layer: 1, memory: memory)
        }
        for first in stride(from: start, to: tokens, by: chunk) {
            let cut = cut([AttentionSegment(row: first, count: min(chunk, tokens - first), position: first, pages: pages)], threads)
            // Alternately all are written before, or the short ones by the attention itself.
            team.writeKeyValues(cut, all: first % 2 == 0, from: x, keys: keys, values: values_, layer: 1, memory: memory)
            team.attend(cut, x, keys: keys, values: values_, layer: 1, memory: memory, into: &out)
        }
        return Array(values(out)[(start * heads * dimension)...])
    }

    private func cut(_ segments: [AttentionSegment], _ threads: Int) -> AttentionCut {
        AttentionCut(segments, heads: heads, keyValueHeads: keyValueHeads, threads: threads)
    }

    /// Softmax attention in double precision.
    func reference() -> [Double] {
        var result = [Double](repeating: 0, count: tokens * heads * dimension)
        for token in 0..<tokens {
            for head in 0..<heads {
                let q = token * columns + head * dimension
                var weights: [Double] = []
                for key in 0...token {
                    let k = key * columns + (heads + head / group) * dimension
                    var score = 0.0
                    for d in 0..<dimension { score += Double(rows[q + d]) * Double(rows[k + d]) }
                    weights.append(exp(score / Double(dimension).squareRoot()))
                }
                let total = weights.reduce(0, +)
                for key in 0...token {
                    let v = key * columns + (heads + keyValueHeads + head / group) * dimension
                    for d in 0..<dimension {
                        result[(token * heads + head) * dimension + d] += weights[key] / total * Double(rows[v + d])
                    }
                }
            }
        }
        return result
    }
}

@Suite struct AttentionTests {
    @Test(arguments: variants)
    func `attention is close to double precision`(variant: Variant) throws {
        for (dimension, group, heads, tokens) in [(8, 1, 2, 70), (64, 3, 1, 66), (80, 2, 1, 40), (10, 7, 1, 65)] {
            let scene = Scene(variant, dimension: dimension, group: group, keyValueHeads: heads, tokens: tokens)
            let error = distance(try scene.run(chunk: tokens), scene.reference())
            #expect(error < (variant.type == .bf16 ? 0.02 : 2e-6), "head dimension \(dimension)")
        }
    }

    @Test(arguments: variants)
    func `decoding one by one equals prefilling in chunks of any size on any number of threads`(variant: Variant) throws {
        for (dimension, group, heads) in [(8, 2, 2), (10, 1, 1), (64, 3, 1), (80, 7, 1)] {
            let scene = Scene(variant, dimension: dimension, group: group, keyValueHeads: heads, tokens: 135)
            let whole = bits(try scene.run(chunk: 135))
            for (chunk, threads) in [(1, 1), (1, 3), (7, 2), (64, 1), (135, 3)] {
                #expect(bits(try scene.run(chunk: chunk, threads: threads)) == whole, "\(dimension): \(chunk) on \(threads)")
            }
        }
    }

    @Test(arguments: variants)
    func `a long context split over threads equals the same context on one thread`(variant: Variant) throws {
        let scene = Scene(variant, dimension: 8, group: 1, keyValueHeads: 1, tokens: 2060)
        let whole = bits(try scene.run(chunk: 20, threads: 1, from: 2040))
        #expect(bits(try scene.run(chunk: 1, threads: 3, from: 2040)) == whole)
        #expect(bits(try scene.run(chunk: 13, threads: 2, from: 2040)) == whole)
        #expect(bits(Array(try scene.run(chunk: 40, threads: 2, from: 2020).suffix(whole.count))) == whole)
    }

    @Test(arguments: variants.filter { $0.set != .scalar && $0.equalsScalar })
    func `attention equals the scalar twin bit for bit`(variant: Variant) throws {
        for (dimension, group) in [(8, 1), (10, 2), (64, 3), (96, 1), (128, 4)] {
            let scene = Scene(variant, dimension: dimension, group: group, keyValueHeads: 1, tokens: 67)
            var twin = scene
            twin.variant.set = .scalar
            #expect(bits(try scene.run(chunk: 67)) == bits(try twin.run(chunk: 67)), "head dimension \(dimension)")
        }
    }

    @Test(arguments: variants)
    func `several sequences in one step do not touch each other`(variant: Variant) throws {
        let scene = Scene(variant, dimension: 16, group: 2, keyValueHeads: 2, tokens: 30)
        let alone = bits(try scene.run(chunk: 30))
        let geometry = KeyValueGeometry(layers: 1, heads: 2, dimension: 16, type: variant.type)
        let memory = try KeyValueMemory(geometry: geometry, pages: 2)
        let team = ThreadTeam(threads: 2, instructionSet: variant.set)
        let x = try matrix(scene.rows + scene.rows, columns: scene.columns)
        var out = try OperandMatrix(rows: 60, columns: 64, type: variant.type, instructionSet: variant.set)
        let segments = [
            AttentionSegment(row: 0, count: 30, position: 0, pages: [1]), AttentionSegment(row: 30, count: 30, position: 0, pages: [0]),
        ]
        let cut = AttentionCut(segments, heads: 4, keyValueHeads: 2, threads: 2)
        team.writeKeyValues(cut, all: false, from: x, keys: 64, values: 96, layer: 0, memory: memory)
        team.attend(cut, x, keys: 64, values: 96, layer: 0, memory: memory, into: &out)
        #expect(bits(values(out)) == alone + alone)
    }

    @Test func `attention writes keys and values itself where one tile has all rows of a head`() {
        func cut(_ counts: [Int], position: Int = 0, threads: Int = 1) -> AttentionCut {
            var row = 0
            let segments = counts.map { count in
                defer { row += count }
                return AttentionSegment(row: row, count: count, position: position, pages: Array(repeating: 0, count: 40))
            }
            return AttentionCut(segments, heads: 9, keyValueHeads: 3, threads: threads)
        }
        #expect(cut([1]).writesKeyValues)
        #expect(cut([16]).writesKeyValues)
        #expect(!cut([17]).writesKeyValues)
        #expect(cut([17, 1]).writesKeyValues)
        // Two threads share one long context by spans of keys: then everything is written first.
        #expect(!cut([1], position: 2000, threads: 2).writesKeyValues)
    }

    @Test(arguments: variants)
    func `pages hold K and V panels in the documented layout`(variant: Variant) throws {
        let geometry = KeyValueGeometry(layers: 2, heads: 2, dimension: 10, type: variant.type)
        #expect(geometry.pageBytes == 2 * 2 * 2 * 64 * 10 * variant.type.byteCount)
        let memory = try KeyValueMemory(geometry: geometry, pages: 2)
        let team = ThreadTeam(threads: 1, instructionSet: variant.set)
        // Key of token t, head h, dimension d is t + d/16 (exact in bf16), its value the negative; 61 tokens from position 5 on.
        let tokens = 61
        var rows: [Float] = []
        for t in 0..<tokens {
            for sign in [Float(1), -1] {
                for h in 0..<2 { for d in 0..<10 { rows.append(sign * (Float(t % 8) + Float(d) / 16 + Float(h) * 8)) } }
            }
        }
        let cut = AttentionCut(
            [AttentionSegment(row: 0, count: tokens, position: 5, pages: [1, 0])], heads: 2, keyValueHeads: 2, threads: 1)
        team.writeKeyValues(cut, all: true, from: try matrix(rows, columns: 40), keys: 0, values: 20, layer: 1, memory: memory)
        for (page, range) in [(Int32(1), 5..<64), (0, 64..<66)] {
            memory.withPage(page) { bytes in
                func element(_ index: Int, _ base: Int) -> Float {
                    unsafe variant.type == .f32
                        ? bytes.unsafeLoadUnaligned(fromByteOffset: base + index * 4, as: Float.self)
                        : Float(bitPattern: UInt32(bytes.unsafeLoadUnaligned(fromByteOffset: base + index * 2, as: UInt16.self)) << 16)
                }
                for h in 0..<2 {
                    let base = geometry.offset(layer: 1, head: h)
                    for d in 0..<10 {
                        for position in 64 * Int(1 - page)..<64 * Int(1 - page) + 64 {
                            let t = position % 64
                            let (k, v) = variant.type == .f32 ? (d * 64 + t, t * 10 + d) : ((d / 2 * 64 + t) * 2 + d % 2, (t / 2 * 10 + d) * 2 + t % 2)
                            let expected = range.contains(position) ? Float((position - 5) % 8) + Float(d) / 16 + Float(h) * 8 : 0
                            #expect(element(k, base) == expected)
                            #expect(element(v, base + geometry.panelBytes) == -expected)
                        }
                    }
                }
            }
        }
    }
}
