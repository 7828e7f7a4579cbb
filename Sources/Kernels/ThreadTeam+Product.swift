internal import CKernels

extension ThreadTeam {
    /// c[rows, column...] = a[rows] . w^T, or added to what c holds (a residual, a bias).
    ///
    /// Equal results for every number of rows and of threads: each element is one chain over the columns of `w`.
    /// `ahead` is what the team multiplies by next: its beginning is fetched while this product ends.
    package func multiply(
        _ a: borrowing OperandMatrix, rows: Range<Int>, by w: PanelMatrix, into c: inout FloatMatrix, at column: Int = 0,
        accumulate: Bool = false, ahead: PanelMatrix? = nil
    ) {
        precondition(a.instructionSet == instructionSet, "operands made for \(a.instructionSet), a team of \(instructionSet)")
        precondition(a.form == w.form.operandForm, "operands for \(a.form), weights of \(w.form)")
        precondition(a.columns == w.columns, "operands of \(a.columns) columns, weights of \(w.columns)")
        precondition(rows.lowerBound >= 0 && rows.upperBound <= a.rows, "rows \(rows) of \(a.rows)")
        c.check(rows, column..<column + w.rows)
        guard !rows.isEmpty else { return }
        let order = ProductOrder(rows: rows.count, weights: w, ahead: ahead, threads: threads)
        if let offsets = w.offsets { return multiplyPlanes(a, rows: rows, order, offsets, into: &c, at: column, accumulate: accumulate) }
        if w.form.isBytes { return multiplyBytes(a, rows: rows, order, into: &c, at: column, accumulate: accumulate) }
        let product = unsafe ck_product(
            a: a.address(row: rows.lowerBound), a_stride: a.stride, w: w.base, c: c.address(row: rows.lowerBound) + column,
            c_stride: c.stride, m: rows.count, k: w.paddedColumns, n: w.rows, n0: 0, n1: w.rows, type: a.type.cType,
            accumulate: accumulate, next: nil)
        let width = a.elementBytes
        let set = instructionSet.cSet
        let whole = unsafe Lent(product)
        run(chunks: order.cut.chunks) { chunk in
            let part = order.cut.part(chunk)
            guard !part.columns.isEmpty else { return }
            var piece = unsafe whole.pointers
            unsafe piece.a += part.rows.lowerBound * piece.a_stride * width
            unsafe piece.c += part.rows.lowerBound * piece.c_stride
            unsafe piece.m = part.rows.count
            unsafe piece.n0 = part.columns.lowerBound
            unsafe piece.n1 = part.columns.upperBound
            unsafe piece.next = order.weights(after: chunk)
            unsafe ck_multiply(set, &piece)
        }
    }

    private func multiplyBytes(
        _ a: borrowing OperandMatrix, rows: Range<Int>, _ order: ProductOrder, into c: inout FloatMatrix, at column: Int, accumulate: Bool
    ) {
        let w = order.weights
        let product = unsafe ck_int8_product(
            a: a.address(row: rows.lowerBound), a_stride: a.stride, w: w.base, c: c.address(row: rows.lowerBound) + column,
            c_stride: c.stride, m: rows.count, k: w.columns, n: w.rows, n0: 0, n1: w.rows, form: w.form.cInt8, accumulate: accumulate,
            next: nil)
        let set = instructionSet.cSet
        let whole = unsafe Lent(product)
        run(chunks: order.cut.chunks) { chunk in
            let part = order.cut.part(chunk)
            guard !part.columns.isEmpty else { return }
            var piece = unsafe whole.pointers
            unsafe piece.a += part.rows.lowerBound * piece.a_stride
            unsafe piece.c += part.rows.lowerBound * piece.c_stride
            unsafe piece.m = part.rows.count
            unsafe piece.n0 = part.columns.lowerBound
            unsafe piece.n1 = part.columns.upperBound
            unsafe piece.next = order.weights(after: chunk)
            unsafe ck_int8_multiply(set, &piece)
        }
    }

    private func multiplyPlanes(
        _ a: borrowing OperandMatrix, rows: Range<Int>, _ order: ProductOrder, _ offsets: PanelOffsets, into c: inout FloatMatrix,
        at column: Int, accumulate: Bool
    ) {
        let w = order.weights
        let (set, width) = (instructionSet.cSet, a.elementBytes)
        unsafe offsets.units.withUnsafeBufferPointer { panels in
            let product = unsafe ck_planes3_product(
                a: a.address(row: rows.lowerBound), a_stride: a.stride, w: w.base, panels: panels.baseAddress,
                c: c.address(row: rows.lowerBound) + column, c_stride: c.stride, m: rows.count, k: w.columns, n: w.rows, n0: 0, n1: w.rows,
                accumulate: accumulate, next: nil)
            let whole = unsafe Lent(product)
            run(chunks: order.cut.chunks) { chunk in
                let part = order.cut.part(chunk)
                guard !part.columns.isEmpty else { return }
                var piece = unsafe whole.pointers
                unsafe piece.a += part.rows.lowerBound * piece.a_stride * width
                unsafe piece.c += part.rows.lowerBound * piece.c_stride
                unsafe piece.m = part.rows.count
                unsafe piece.n0 = part.columns.lowerBound
                unsafe piece.n1 = part.columns.upperBound
                unsafe piece.next = order.weights(after: chunk)
                unsafe ck_planes3_multiply(set, &piece)
            }
        }
    }
}

/// In which order the threads come by the weights of a product, and of the next one.
private struct ProductOrder: Sendable {
    let cut: ProductCut
    let weights: PanelMatrix
    private let ahead: PanelMatrix?
    private let cutAhead: ProductCut

    init(rows: Int, weights: PanelMatrix, ahead: PanelMatrix?, threads: Int) {
        func cut(_ matrix: PanelMatrix) -> ProductCut {
            // Weights that have to be decoded are so once, whatever the number of rows.
            ProductCut(rows: rows, columns: matrix.rows, threads: threads, allRows: matrix.form == .enec)
        }
        self.cut = cut(weights)
        self.weights = weights
        self.ahead = ahead
        cutAhead = ahead.map(cut) ?? self.cut
    }

    /// What the thread of `chunk` reads after it; nil if that is not known.
    func weights(after chunk: Int) -> UnsafeRawPointer? {
        if let column = cut.column(after: chunk) { return unsafe weights.address(column: column) }
        guard let ahead else { return nil }
        return unsafe ahead.address(column: cutAhead.firstColumn(of: cut.thread(of: chunk)))
    }
}

/// How a product is divided into chunks.
///
/// Every thread has an equal share of the columns, or of the rows when there are enough of them. Within it a chunk takes whole panels, which
/// are read fastest, and all rows while there are few of them (each weight is then read once), or a block of rows.
package struct ProductCut: Sendable {
    package let rows: Int
    package let columns: Int
    private let threads: Int
    private let rowsPerChunk: Int
    private let columnsPerChunk: Int
    /// Whether a thread's share is a range of columns.
    private let sharesColumns: Bool
    /// Column chunks: of a share, or of all columns.
    private let across: Int

    /// Rows up to which a chunk takes all of them: the weights are then the larger part of what is read.
    private static let fewRows = 32
    /// Rows of a chunk otherwise: 126 x 192 operands, a block of the kernels, stay in the second-level cache.
    private static let manyRows = 126
    /// Chunks of a thread, about: what another one may take off it.
    private static let shareChunks = 8

    /// - Parameter allRows: every chunk takes all rows.
    package init(rows: Int, columns: Int, threads: Int, allRows: Bool = false) {
        self.rows = rows
        self.columns = columns
        self.threads = threads
        guard threads > 1 else {
            (rowsPerChunk, columnsPerChunk, sharesColumns, across) = (rows, (columns + 63) / 64 * 64, true, 1)
            return
        }
        // Equal blocks, in whole tiles of six rows: a short last one would cost a pass over the weights.
        let blocks = rows <= Self.fewRows || allRows ? 1 : (rows + Self.manyRows - 1) / Self.manyRows
        rowsPerChunk = ((rows + blocks - 1) / blocks + 5) / 6 * 6
        let rowChunks = (rows + rowsPerChunk - 1) / rowsPerChunk
        sharesColumns = rowChunks < threads
        let panels = (columns + 63) / 64
        columnsPerChunk = max(1, panels * (sharesColumns ? 1 : rowChunks) / (threads * Self.shareChunks)) * 64
        guard sharesColumns else {
            across = (columns + columnsPerChunk - 1) / columnsPerChunk
            return
        }
        var most = 0
        for thread in 0..<threads {
            let share = Self.share(of: thread, columns: columns, threads: threads)
            most = max(most, (share.upperBound - share.lowerBound / 64 * 64 + columnsPerChunk - 1) / columnsPerChunk)
        }
        across = most
    }

    /// The columns of a thread where threads share columns. Two threads may share a panel, in halves (narrow matrices: quarters).
    private static func share(of thread: Int, columns: Int, threads: Int) -> Range<Int> {
        let unit = columns < 128 * threads ? 16 : 32
        func start(_ thread: Int) -> Int {
            thread == threads ? columns : min(columns, (columns * thread / threads + unit / 2) / unit * unit)
        }
        return start(thread)..<start(thread + 1)
    }

    private var down: Int { (rows + rowsPerChunk - 1) / rowsPerChunk }

    /// Some of them may be empty. Dealt to the threads evenly and in order, each gets its share.
    package var chunks: Int { down * across * (sharesColumns ? threads : 1) }

    package func part(_ chunk: Int) -> (rows: Range<Int>, columns: Range<Int>) {
        let (row, step) = (chunk / across % down * rowsPerChunk, chunk % across * columnsPerChunk)
        let all = sharesColumns ? Self.share(of: chunk / (across * down), columns: columns, threads: threads) : 0..<columns
        let start = all.lowerBound / 64 * 64 + step
        let (first, end) = (max(all.lowerBound, start), min(all.upperBound, start + columnsPerChunk))
        return (row..<min(rows, row + rowsPerChunk), first..<max(first, end))
    }

    /// In whose share `chunk` is.
    package func thread(of chunk: Int) -> Int { ChunkShares.thread(of: chunk, chunks: chunks, threads: threads) }

    /// The first column of what the same thread does after `chunk`; nil after its last.
    package func column(after chunk: Int) -> Int? {
        let share = ChunkShares.share(of: thread(of: chunk), chunks: chunks, threads: threads)
        var next = chunk + 1
        while next < share.upperBound {
            let columns = part(next).columns
            if !columns.isEmpty { return columns.lowerBound }
            next += 1
        }
        return nil
    }

    /// The first column of what `thread` does.
    package func firstColumn(of thread: Int) -> Int {
        part(min(chunks - 1, ChunkShares.share(of: thread, chunks: chunks, threads: threads).lowerBound)).columns.lowerBound
    }
}
