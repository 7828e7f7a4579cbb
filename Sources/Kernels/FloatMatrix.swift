package import Platform

/// Rows of f32 values: hidden states, products, logits, tables. Zero at first; capacity is fixed; rows begin at 64 bytes.
@safe
package struct FloatMatrix: ~Copyable, Sendable {
    package let rows: Int
    package let columns: Int
    /// Floats from one row to the next: an odd number of cache lines, so that rows spread over all cache sets.
    package let stride: Int
    private let slab: Slab

    /// - Throws: `FileError` when the system refuses the memory.
    package init(rows: Int, columns: Int) throws(FileError) {
        precondition(rows > 0 && columns > 0, "a matrix of \(rows) x \(columns)")
        self.rows = rows
        self.columns = columns
        self.stride = ((columns + 15) / 16 | 1) * 16
        self.slab = try Slab(bytes: rows * stride * 4, purpose: "a matrix of \(rows) x \(columns) floats")
    }

    /// Reads row `index`.
    package func withRow<Result: ~Copyable, Failure: Error>(
        _ index: Int, _ body: (Span<Float>) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        precondition(index >= 0 && index < rows, "row \(index) of \(rows)")
        return try body(unsafe Span(_unsafeStart: address(row: index), count: columns))
    }

    /// Changes row `index`.
    package mutating func withMutableRow<Result: ~Copyable, Failure: Error>(
        _ index: Int, _ body: (inout MutableSpan<Float>) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        precondition(index >= 0 && index < rows, "row \(index) of \(rows)")
        var span = unsafe MutableSpan(_unsafeStart: address(row: index), count: columns)
        return try body(&span)
    }

    package subscript(row: Int, column: Int) -> Float {
        get {
            precondition(row >= 0 && row < rows && column >= 0 && column < columns, "(\(row), \(column)) of \(rows) x \(columns)")
            return unsafe address(row: row)[column]
        }
        set {
            precondition(row >= 0 && row < rows && column >= 0 && column < columns, "(\(row), \(column)) of \(rows) x \(columns)")
            unsafe address(row: row)[column] = newValue
        }
    }

    /// Copies `bias` into columns `column...` of `range`'s rows: products that accumulate then start from it.
    package mutating func fill(rows range: Range<Int>, column: Int = 0, with bias: Span<Float>) {
        check(range, column..<column + bias.count)
        unsafe bias.withUnsafeBufferPointer { source in
            guard let base = source.baseAddress else { return }
            for row in range { unsafe (address(row: row) + column).update(from: base, count: source.count) }
        }
    }

    func address(row: Int) -> UnsafeMutablePointer<Float> {
        unsafe slab.base.assumingMemoryBound(to: Float.self) + row * stride
    }

    func check(_ range: Range<Int>, _ columns: Range<Int>) {
        precondition(range.lowerBound >= 0 && range.upperBound <= rows, "rows \(range) of \(rows)")
        precondition(columns.lowerBound >= 0 && columns.upperBound <= self.columns, "columns \(columns) of \(self.columns)")
    }
}
