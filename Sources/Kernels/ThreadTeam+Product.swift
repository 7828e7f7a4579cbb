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
        precondition(a.type == w.type, "operands for \(a.type), weights of \(w.type)")
        precondition(a.columns == w.columns, "operands of \(a.columns) columns, weights of \(w.columns)")
        precondition(rows.lowerBound >= 0 && rows.upperBound <= a.rows, "rows \(rows) of \(a.rows)")
        c.check(rows, column..<column + w.rows)
        guard !rows.isEmpty else { return }
        let product = unsafe ck_product(
            a: a.address(row: rows.lowerBound), a_stride: a.stride, w: w.base, c: c.address(row: rows.lowerBound) + column,
            c_stride: c.stride, m: rows.count, k: w.paddedColumns, n: w.rows, n0: 0, n1: w.rows, type: w.type.cType,
            accumulate: accumulate)
        let cut = ProductCut(rows: rows.count, columns: w.rows, threads: threads)
        let narrow = instructionSet.storesNarrowOperands(w.type)
        let set = instructionSet.cSet
        nonisolated(unsafe) let whole = unsafe product
        run(chunks: cut.chunks) { chunk in
            let part = cut.part(chunk)
            var piece = unsafe whole
            unsafe piece.a += part.rows.lowerBound * piece.a_stride * (narrow ? 2 : 4)
            unsafe piece.c += part.rows.lowerBound * piece.c_stride
            unsafe piece.m = part.rows.count
            unsafe piece.n0 = part.columns.lowerBound
            unsafe piece.n1 = part.columns.upperBound
            unsafe ck_multiply(set, &piece)
        }
    }
}

/// How a product is divided into chunks: by columns while there are few rows (each weight is then read once), by blocks of rows
/// and columns when there are many.
package struct ProductCut: Sendable {
    package let rows: Int
    package let columns: Int
    private let rowsPerChunk: Int
    private let columnsPerChunk: Int

    /// Rows up to which a chunk takes all of them: the weights are then the larger part of what is read.
    private static let fewRows = 32
    /// Rows of a chunk otherwise: their operands (128 x 576 floats) stay in the second-level cache.
    private static let manyRows = 126

    package init(rows: Int, columns: Int, threads: Int) {
        self.rows = rows
        self.columns = columns
        let units = (columns + 15) / 16
        guard threads > 1 else {
            rowsPerChunk = rows
            columnsPerChunk = units * 16
            return
        }
        rowsPerChunk = rows <= Self.fewRows ? rows : Self.manyRows
        let rowChunks = (rows + rowsPerChunk - 1) / rowsPerChunk
        // About eight chunks a thread, whole panels where that leaves enough of them.
        let wanted = max(1, units * rowChunks / (threads * 8))
        let perChunk = wanted >= 4 ? wanted / 4 * 4 : wanted >= 2 ? 2 : 1
        columnsPerChunk = min(perChunk, 64) * 16
    }

    private var columnChunks: Int { (columns + columnsPerChunk - 1) / columnsPerChunk }

    package var chunks: Int { (rows + rowsPerChunk - 1) / rowsPerChunk * columnChunks }

    package func part(_ chunk: Int) -> (rows: Range<Int>, columns: Range<Int>) {
        let row = chunk / columnChunks * rowsPerChunk
        let column = chunk % columnChunks * columnsPerChunk
        return (row..<min(rows, row + rowsPerChunk), column..<min(columns, column + columnsPerChunk))
    }
}
