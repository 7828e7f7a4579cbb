internal import CKernels
internal import Platform

/// Consecutive tokens of one sequence in a step.
package struct AttentionSegment: Sendable {
    /// The step's row of the first token.
    package var row: Int
    /// Tokens of the sequence in this step: 1 while decoding, a chunk while prefilling.
    package var count: Int
    /// The first token's position in its sequence.
    package var position: Int
    /// The sequence's pages: `pages[i]` holds its tokens 64i..<64i+64. May be longer than needed.
    package var pages: [Int32]

    package init(row: Int, count: Int, position: Int, pages: [Int32]) {
        self.row = row
        self.count = count
        self.position = position
        self.pages = pages
    }
}

extension ThreadTeam {
    /// Writes keys and values of a step into their pages. Row r of `x` holds all key heads from column `keys` and all value heads
    /// from column `values` on. A page must have been zeroed before its first token.
    package func writeKeyValues(
        _ segments: [AttentionSegment], from x: borrowing FloatMatrix, keys: Int, values: Int, layer: Int, memory: KeyValueMemory
    ) {
        let geometry = memory.geometry
        let width = geometry.heads * geometry.dimension
        for segment in segments {
            x.check(segment.row..<segment.row + segment.count, keys..<keys + width)
            x.check(segment.row..<segment.row + segment.count, values..<values + width)
            check(segment, memory)
        }
        let (set, stride) = (instructionSet.cSet, x.stride)
        let lent = unsafe Lent(x.address(row: 0))
        let total = segments.reduce(0) { $0 + $1.count }
        let write: @Sendable (Int) -> Void = { head in
            for segment in segments where segment.count > 0 {
                unsafe segment.pages.withUnsafeBufferPointer { pages in
                    let row = unsafe lent.pointers + segment.row * stride + head * geometry.dimension
                    unsafe ck_write_kv(
                        set, geometry.type.cType, row + keys, row + values, stride, segment.count, geometry.dimension,
                        memory.address(page: 0) + geometry.offset(layer: layer, head: head), geometry.pageBytes,
                        pages.baseAddress, segment.position)
                }
            }
        }
        if total * width > 1 << 15 {
            run(chunks: geometry.heads, write)
        } else {
            for head in 0..<geometry.heads { write(head) }
        }
    }

    /// Causal attention of a step over its sequences' pages, which already hold the step's own keys and values.
    ///
    /// Row r of `queries` holds all query heads from column `column` on (already rotated, not scaled); row r of `out` receives all
    /// heads. Equal results for every chunking of a sequence and every number of threads.
    package func attend(
        _ segments: [AttentionSegment], queries: borrowing FloatMatrix, column: Int = 0, heads: Int, layer: Int,
        memory: KeyValueMemory, into out: inout OperandMatrix
    ) {
        let geometry = memory.geometry
        precondition(heads % geometry.heads == 0, "\(heads) query heads for \(geometry.heads) KV heads")
        precondition(out.columns == heads * geometry.dimension, "\(heads) heads into \(out.columns) columns")
        precondition(out.instructionSet == instructionSet, "operands made for \(out.instructionSet), a team of \(instructionSet)")
        precondition(out.form == WeightForm(geometry.type), "operands for \(out.form), pages of \(geometry.type)")
        for segment in segments {
            queries.check(segment.row..<segment.row + segment.count, column..<column + out.columns)
            precondition(segment.row + segment.count <= out.rows, "rows up to \(segment.row + segment.count) of \(out.rows)")
            check(segment, memory)
        }
        let cut = AttentionCut(segments, group: heads / geometry.heads, keyValueHeads: geometry.heads, threads: threads)
        let states = unsafe Lent(attentionMemory(cut.stateRows * ck_state_stride(geometry.dimension)))
        let set = instructionSet.cSet
        let lent = unsafe Lent((queries.address(row: 0) + column, out.address(row: 0)))
        let (qStride, outStride, outBytes) = (queries.stride, out.stride, out.elementBytes)
        let call: @Sendable (AttentionCut.Tile, (inout ck_attention) -> Void) -> Void = { tile, body in
            let (q, o) = unsafe lent.pointers
            let segment = segments[tile.segment]
            let offset = tile.head * cut.group * geometry.dimension
            unsafe segment.pages.withUnsafeBufferPointer { pages in
                var arguments = unsafe ck_attention(
                    q: q + segment.row * qStride + offset, q_stride: qStride,
                    kv: UnsafeRawPointer(memory.address(page: 0) + geometry.offset(layer: layer, head: tile.head)),
                    page_bytes: geometry.pageBytes, pages: pages.baseAddress,
                    out: o + (segment.row * outStride + offset) * outBytes, out_stride: outStride,
                    position: segment.position, row0: tile.row, rows: tile.rows, dimension: geometry.dimension,
                    group: cut.group, type: geometry.type.cType)
                unsafe body(&arguments)
            }
        }
        guard cut.splitsKeys else {
            return run(chunks: cut.tiles.count) { chunk in
                unsafe call(cut.tiles[chunk]) { unsafe ck_attend(set, &$0) }
            }
        }
        let stateStride = ck_state_stride(geometry.dimension)
        run(chunks: cut.pieces.count) { chunk in
            let piece = cut.pieces[chunk]
            let tile = cut.tiles[piece.tile]
            unsafe call(tile) { unsafe ck_attend_span(set, &$0, piece.span, states.pointers! + (tile.state + piece.span * tile.rows) * stateStride) }
        }
        run(chunks: cut.tiles.count) { chunk in
            let tile = cut.tiles[chunk]
            unsafe call(tile) { unsafe ck_attend_join(set, &$0, tile.spans, states.pointers! + tile.state * stateStride) }
        }
    }

    private func check(_ segment: AttentionSegment, _ memory: KeyValueMemory) {
        precondition(segment.position >= 0 && segment.count >= 0, "\(segment.count) tokens at \(segment.position)")
        let needed = (segment.position + segment.count + 63) / 64
        precondition(segment.pages.count >= needed, "\(segment.pages.count) pages for \(needed * 64) tokens")
        for page in segment.pages.prefix(needed) { precondition(page >= 0 && page < memory.pages, "page \(page) of \(memory.pages)") }
    }

    /// At least `count` floats, or nil for none.
    private func attentionMemory(_ count: Int) -> UnsafeMutablePointer<Float>? {
        guard count > 0 else { return nil }
        if let states = attentionStates, states.slab.count >= count * 4 {
            return unsafe states.slab.base.assumingMemoryBound(to: Float.self)
        }
        do {
            let states = try Scratch(bytes: count * 8, purpose: "attention states")
            attentionStates = states
            return unsafe states.slab.base.assumingMemoryBound(to: Float.self)
        } catch {
            preconditionFailure("\(error)")
        }
    }
}

/// How attention is divided: tiles of rows of one KV head, and those by spans of keys where there would be too few of them.
struct AttentionCut: Sendable {
    struct Tile: Sendable {
        var segment: Int
        var head: Int
        var row: Int
        var rows: Int
        /// Spans of 1024 keys that its rows see.
        var spans: Int
        /// Where its partial results begin, in rows of states.
        var state: Int
    }

    /// One span of a tile.
    struct Piece: Sendable {
        var tile: Int
        var span: Int
    }

    let group: Int
    private(set) var tiles: [Tile] = []
    private(set) var pieces: [Piece] = []
    private(set) var stateRows = 0
    var splitsKeys: Bool { !pieces.isEmpty }

    init(_ segments: [AttentionSegment], group: Int, keyValueHeads: Int, threads: Int) {
        self.group = group
        // Whole tokens in a tile; a group larger than a tile is cut.
        let limit = Int(CK_ATTENTION_ROWS)
        let step = group <= limit ? limit / group * group : limit
        var spans = 0
        for (index, segment) in segments.enumerated() {
            let rows = segment.count * group
            // The longest context first: what is claimed last should be short.
            for first in stride(from: 0, to: rows, by: step).reversed() {
                let count = min(step, rows - first)
                let seen = (segment.position + (first + count - 1) / group) / Int(CK_SPAN) + 1
                for head in 0..<keyValueHeads {
                    tiles.append(Tile(segment: index, head: head, row: first, rows: count, spans: seen, state: stateRows))
                    stateRows += seen * count
                    spans += seen
                }
            }
        }
        // Splitting pays when threads would idle: fewer than four tiles for each, and more pieces than tiles.
        if threads > 1 && tiles.count < 4 * threads && spans > tiles.count {
            for (index, tile) in tiles.enumerated() {
                for span in 0..<tile.spans { pieces.append(Piece(tile: index, span: span)) }
            }
        } else {
            stateRows = 0
        }
    }
}
