internal import CKernels

extension ThreadTeam {
    /// c[rows, column...] = a[rows] . w^T, or added to what c holds (a residual, a bias).
    ///
    /// Equal results for every number of rows and of threads: each element is one chain over the columns of `w`.
    package func multiply(
        _ a: borrowing OperandMatrix, rows: Range<Int>, by w: PanelMatrix, into c: inout FloatMatrix, at column: Int = 0,
        accumulate: Bool = false
    ) {
        precondition(a.instructionSet == instructionSet, "operands made for \(a.instructionSet), a team of \(instructionSet)")
        precondition(a.form == w.form, "operands for \(a.form), weights of \(w.form)")
        precondition(a.columns == w.columns, "operands of \(a.columns) columns, weights of \(w.columns)")
        precondition(rows.lowerBound >= 0 && rows.upperBound <= a.rows, "rows \(rows) of \(a.rows)")
        c.check(rows, column..<column + w.rows)
        guard !rows.isEmpty else { return }
        if w.form.isBytes { return multiplyBytes(a, rows: rows, by: w, into: &c, at: column, accumulate: accumulate) }
        let product = unsafe ck_product(
            a: a.address(row: rows.lowerBound), a_stride: a.stride, w: w.base, c: c.address(row: rows.lowerBound) + column,
            c_stride: c.stride, m: rows.count, k: w.paddedColumns, n: w.rows, n0: 0, n1: w.rows, type: a.type.cType,
            accumulate: accumulate)
        let cut = ProductCut(rows: rows.count, columns: w.rows, threads: threads)
        let width = a.elementBytes
        let set = instructionSet.cSet
        let whole = unsafe Lent(product)
        run(chunks: cut.chunks) { chunk in
            let part = cut.part(chunk)
            var piece = unsafe whole.pointers
            unsafe piece.a += part.rows.lowerBound * piece.a_stride * width
            unsafe piece.c += part.rows.lowerBound * piece.c_stride
            unsafe piece.m = part.rows.count
            unsafe piece.n0 = part.columns.lowerBound
            unsafe piece.n1 = part.columns.upperBound
            unsafe ck_multiply(set, &piece)
        }
    }

    private func multiplyBytes(
        _ a: borrowing OperandMatrix, rows: Range<Int>, by w: PanelMatrix, into c: inout FloatMatrix, at column: Int, accumulate: Bool
    ) {
        let product = unsafe ck_int8_product(
            a: a.address(row: rows.lowerBound), a_stride: a.stride, w: w.base, c: c.address(row: rows.lowerBound) + column,
            c_stride: c.stride, m: rows.count, k: w.columns, n: w.rows, n0: 0, n1: w.rows, form: w.form.cInt8, accumulate: accumulate)
        let cut = ProductCut(rows: rows.count, columns: w.rows, threads: threads)
        let set = instructionSet.cSet
        let whole = unsafe Lent(product)
        run(chunks: cut.chunks) { chunk in
            let part = cut.part(chunk)
            var piece = unsafe whole.pointers
            unsafe piece.a += part.rows.lowerBound * piece.a_stride
            unsafe piece.c += part.rows.lowerBound * piece.c_stride
            unsafe piece.m = part.rows.count
            unsafe piece.n0 = part.columns.lowerBound
            unsafe piece.n1 = part.columns.upperBound
            unsafe ck_int8_multiply(set, &piece)
        }
    }
}

/// How a product is divided into chunks.
///
/// A chunk takes all rows while there are few of them (each weight is then read once), or a block of rows. Columns go in whole panels,
/// which are read fastest, in equal numbers to every thread; the panels that are left over are cut so that all end together.
package struct ProductCut: Sendable {
    package let rows: Int
    package let columns: Int
    private let rowsPerChunk: Int
    /// Columns that go in whole panels, and how many at a time.
    private let evenColumns: Int
    private let evenStep: Int
    /// Columns of a chunk of the rest.
    private let restStep: Int

    /// Rows up to which a chunk takes all of them: the weights are then the larger part of what is read.
    private static let fewRows = 32
    /// Rows of a chunk otherwise: 126 x 192 operands, a block of the kernels, stay in the second-level cache.
    private static let manyRows = 126

    package init(rows: Int, columns: Int, threads: Int) {
        self.rows = rows
        self.columns = columns
        guard threads > 1 else {
            (rowsPerChunk, evenColumns, evenStep, restStep) = (rows, 0, 64, (columns + 63) / 64 * 64)
            return
        }
        // Equal shares, in whole tiles of six rows: a short last one would cost a pass over the weights.
        let shares = rows <= Self.fewRows ? 1 : (rows + Self.manyRows - 1) / Self.manyRows
        rowsPerChunk = ((rows + shares - 1) / shares + 5) / 6 * 6
        let rowChunks = (rows + rowsPerChunk - 1) / rowsPerChunk
        let panels = columns / 64
        if rowChunks >= threads {
            // Rows alone give every thread work; some eight chunks for each of them balance it.
            (evenColumns, evenStep) = (panels * 64, max(1, panels * rowChunks / (threads * 8)) * 64)
            restStep = 64
            return
        }
        let even = panels / threads * threads
        (evenColumns, evenStep) = (even * 64, max(1, even / (threads * 8)) * 64)
        // Of the sizes 64, 48, 32, 16 the one with which the last thread is done first.
        let units = (columns - even * 64 + 15) / 16
        func rounds(_ size: Int) -> Int { ((units + size - 1) / size + threads - 1) / threads * size }
        restStep = [4, 3, 2, 1].min { rounds($0) < rounds($1) }! * 16
    }

    private var evenChunks: Int { (evenColumns + evenStep - 1) / evenStep }

    private var columnChunks: Int { evenChunks + (columns - evenColumns + restStep - 1) / restStep }

    package var chunks: Int { (rows + rowsPerChunk - 1) / rowsPerChunk * columnChunks }

    package func part(_ chunk: Int) -> (rows: Range<Int>, columns: Range<Int>) {
        let (row, column) = (chunk / columnChunks * rowsPerChunk, chunk % columnChunks)
        let across =
            column < evenChunks
            ? column * evenStep..<min(evenColumns, (column + 1) * evenStep)
            : evenColumns + (column - evenChunks) * restStep..<min(columns, evenColumns + (column - evenChunks + 1) * restStep)
        return (row..<min(rows, row + rowsPerChunk), across)
    }
}
