/// Where a plane, a matrix of floats, lies in a piece of memory.
package struct PlaneShape: Sendable, Hashable {
    /// Of the first float.
    package var offset: Int
    package var rows: Int
    package var columns: Int
    /// Floats from one row to the next.
    package var stride: Int

    package init(offset: Int = 0, rows: Int, columns: Int, stride: Int) {
        precondition(offset >= 0 && rows >= 0 && columns >= 0 && stride >= columns, "\(rows) x \(columns) at \(offset), \(stride) apart")
        self.offset = offset
        self.rows = rows
        self.columns = columns
        self.stride = stride
    }

    package var count: Int { rows * columns }
    package var isEmpty: Bool { rows == 0 || columns == 0 }

    /// Behind the last float.
    package var end: Int { isEmpty ? offset : offset + (rows - 1) * stride + columns }

    /// Some of the rows.
    package func rows(_ range: Range<Int>) -> PlaneShape {
        precondition(range.lowerBound >= 0 && range.upperBound <= rows, "rows \(range) of \(rows)")
        return PlaneShape(offset: offset + range.lowerBound * stride, rows: range.count, columns: columns, stride: stride)
    }

    /// Some of the columns.
    package func columns(_ range: Range<Int>) -> PlaneShape {
        precondition(range.lowerBound >= 0 && range.upperBound <= columns, "columns \(range) of \(columns)")
        return PlaneShape(offset: offset + range.lowerBound, rows: rows, columns: range.count, stride: stride)
    }

    func check(in count: Int) { precondition(end <= count, "\(self) of \(count) floats") }
}

/// Half of what a layer keeps of a token.
package enum KeyValueSide: UInt8, Sendable, Hashable, CaseIterable {
    case keys = 0
    case values = 1
}
