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
    /// Writes keys and values of a step into their pages; only of segments that `attend` does not write itself, unless `all`. Row r of
    /// `x` holds all key heads from column `keys` and all value heads from column `values` on. A page must have been zeroed before
    /// its first token.
    package func writeKeyValues(
        _ cut: AttentionCut, all: Bool, from x: borrowing FloatMatrix, keys: Int, values: Int, layer: Int, memory: KeyValueMemory
    ) {
        let geometry = memory.geometry
        let segments = cut.segments.indices.filter { all || !cut.writesItself($0) }
        guard !segments.isEmpty else { return }
        var total = 0
        for segment in segments {
            check(cut.segments[segment], x, keys: keys, values: values, memory)
            total += cut.segments[segment].count
        }
        let (set, stride) = (instructionSet.cSet, x.stride)
        let lent = unsafe Lent(x.address(row: 0))
        let write: @Sendable (Int) -> Void = { head in
            for segment in segments {
                unsafe Self.write(cut.segments[segment], head, from: lent.pointers, stride, (keys, values), set, layer, memory)
            }
        }
        if total * geometry.heads * geometry.dimension > 1 << 15 {
            run(chunks: geometry.heads, write)
        } else {
            for head in 0..<geometry.heads { write(head) }
        }
    }

    /// Causal attention of a step over its sequences' pages, which hold the step's own keys and values already; those of segments with
    /// `cut.writesItself` are written first.
    ///
    /// Row r of `x` holds all query heads from column 0 on (already rotated, not scaled), key heads and value heads as in `writeKeyValues`;
    /// row r of `out` receives all heads. Equal results for every chunking of a sequence and every number of threads. `ahead` is what
    /// the results are multiplied by next: its beginning is fetched meanwhile.
    package func attend(
        _ cut: AttentionCut, _ x: borrowing FloatMatrix, keys: Int, values: Int, layer: Int, memory: KeyValueMemory,
        into out: inout OperandMatrix, ahead: PanelMatrix? = nil
    ) {
        let geometry = memory.geometry
        precondition(geometry.heads == cut.keyValueHeads, "a cut for \(cut.keyValueHeads) KV heads, pages of \(geometry.heads)")
        precondition(cut.threads == threads, "a cut for \(cut.threads) threads, a team of \(threads)")
        precondition(out.columns == cut.group * geometry.heads * geometry.dimension, "\(cut.group) x \(geometry.heads) heads into \(out.columns) columns")
        precondition(out.instructionSet == instructionSet, "operands made for \(out.instructionSet), a team of \(instructionSet)")
        precondition(out.type == geometry.type, "operands for \(out.type), pages of \(geometry.type)")
        for segment in cut.segments {
            x.check(segment.row..<segment.row + segment.count, 0..<out.columns)
            precondition(segment.row + segment.count <= out.rows, "rows up to \(segment.row + segment.count) of \(out.rows)")
            check(segment, x, keys: keys, values: values, memory)
        }
        let states = unsafe Lent(attentionMemory(cut.stateRows * ck_state_stride(geometry.dimension)))
        let set = instructionSet.cSet
        let lent = unsafe Lent((x.address(row: 0), out.address(row: 0)))
        let (stride, outStride, outBytes) = (x.stride, out.stride, out.elementBytes)
        let place: @Sendable (AttentionCut.Tile) -> UnsafeRawPointer = { tile in
            unsafe UnsafeRawPointer(memory.address(page: cut.segments[tile.segment].pages[0]) + geometry.offset(layer: layer, head: tile.head))
        }
        let call: @Sendable (AttentionCut.Tile, (inout ck_attention) -> Void) -> Void = { tile, body in
            let (q, o) = unsafe lent.pointers
            let segment = cut.segments[tile.segment]
            let offset = tile.head * cut.group * geometry.dimension
            unsafe segment.pages.withUnsafeBufferPointer { pages in
                var arguments = unsafe ck_attention(
                    q: q + segment.row * stride + offset, q_stride: stride,
                    kv: UnsafeRawPointer(memory.address(page: 0) + geometry.offset(layer: layer, head: tile.head)),
                    page_bytes: geometry.pageBytes, pages: pages.baseAddress,
                    out: o + (segment.row * outStride + offset) * outBytes, out_stride: outStride,
                    position: segment.position, row0: tile.row, rows: tile.rows, dimension: geometry.dimension,
                    group: cut.group, type: geometry.type.cType, next: nil)
                unsafe body(&arguments)
            }
        }
        guard cut.splitsKeys else {
            let product = ahead.map { ProductCut(rows: cut.rows, columns: $0.rows, threads: threads) }
            return run(chunks: cut.tiles.count) { chunk in
                let tile = cut.tiles[chunk]
                if cut.writesItself(tile.segment) {
                    unsafe Self.write(cut.segments[tile.segment], tile.head, from: lent.pointers.0, stride, (keys, values), set, layer, memory)
                }
                unsafe call(tile) { arguments in
                    let thread = ChunkShares.thread(of: chunk, chunks: cut.tiles.count, threads: cut.threads)
                    if chunk + 1 < ChunkShares.share(of: thread, chunks: cut.tiles.count, threads: cut.threads).upperBound {
                        unsafe arguments.next = place(cut.tiles[chunk + 1])
                    } else if let ahead, let product {
                        unsafe arguments.next = ahead.address(column: product.firstColumn(of: thread))
                    }
                    unsafe ck_attend(set, &arguments)
                }
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

    /// Writes keys and values of one KV head of a segment; `x` is row 0.
    private static func write(
        _ segment: AttentionSegment, _ head: Int, from x: UnsafePointer<Float>, _ stride: Int, _ columns: (keys: Int, values: Int),
        _ set: ck_isa, _ layer: Int, _ memory: KeyValueMemory
    ) {
        let geometry = memory.geometry
        unsafe segment.pages.withUnsafeBufferPointer { pages in
            let row = unsafe x + segment.row * stride + head * geometry.dimension
            unsafe ck_write_kv(
                set, geometry.type.cType, row + columns.keys, row + columns.values, stride, segment.count, geometry.dimension,
                memory.address(page: 0) + geometry.offset(layer: layer, head: head), geometry.pageBytes, pages.baseAddress, segment.position)
        }
    }

    private func check(_ segment: AttentionSegment, _ x: borrowing FloatMatrix, keys: Int, values: Int, _ memory: KeyValueMemory) {
        let (rows, width) = (segment.row..<segment.row + segment.count, memory.geometry.heads * memory.geometry.dimension)
        x.check(rows, keys..<keys + width)
        x.check(rows, values..<values + width)
        precondition(segment.position >= 0 && segment.count > 0, "\(segment.count) tokens at \(segment.position)")
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

/// How a step's attention is divided: tiles of rows of one KV head, and those by spans of keys where there would be too few of them.
///
/// Made once for a step, and used for each of its layers.
package struct AttentionCut: Sendable {
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

    let segments: [AttentionSegment]
    let group: Int
    let keyValueHeads: Int
    let threads: Int
    private(set) var tiles: [Tile] = []
    private(set) var pieces: [Piece] = []
    private(set) var stateRows = 0

    /// Of a tile, at most: whole tokens; a group larger than that is cut.
    private let tileRows: Int

    var splitsKeys: Bool { !pieces.isEmpty }

    /// Rows of the step.
    var rows: Int { segments.last.map { $0.row + $0.count } ?? 0 }

    /// Whether the tiles of a segment write its keys and values before they attend: where one tile has all rows of a head, nobody else waits
    /// for them, and what is written is in the cache when it is read.
    func writesItself(_ segment: Int) -> Bool { !splitsKeys && segments[segment].count * group <= tileRows }

    /// Whether `attend` writes keys and values at all.
    package var writesKeyValues: Bool { segments.indices.contains { writesItself($0) } }

    /// - Parameters:
    ///   - segments: of at least one token each.
    ///   - heads: query heads, a multiple of `keyValueHeads`.
    package init(_ segments: [AttentionSegment], heads: Int, keyValueHeads: Int, threads: Int) {
        precondition(heads > 0 && heads % keyValueHeads == 0, "\(heads) query heads for \(keyValueHeads) KV heads")
        self.segments = segments
        self.keyValueHeads = keyValueHeads
        self.threads = threads
        group = heads / keyValueHeads
        let limit = Int(CK_ATTENTION_ROWS)
        tileRows = group <= limit ? limit / group * group : limit
        var spans = 0
        for (index, segment) in segments.enumerated() {
            let rows = segment.count * group
            // The longest context first: what is claimed last should be short.
            for first in stride(from: 0, to: rows, by: tileRows).reversed() {
                let count = min(tileRows, rows - first)
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
