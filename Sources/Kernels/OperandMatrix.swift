internal import CKernels
package import Platform

/// Rows of left operands of products, in the form that the instruction set multiplies: bf16, or f32 rounded to what `type` can hold.
/// Kernels fill it (norms, gates, attention) and products read it. Columns behind `columns` are zero.
@safe
package struct OperandMatrix: ~Copyable, Sendable {
    package let rows: Int
    package let columns: Int
    package let type: ElementType
    package let instructionSet: InstructionSet
    /// Elements from one row to the next: an odd number of cache lines, so that a block of rows spreads over all cache sets.
    let stride: Int
    private let slab: Slab

    /// - Throws: `FileError` when the system refuses the memory.
    package init(rows: Int, columns: Int, type: ElementType, instructionSet: InstructionSet) throws(FileError) {
        precondition(rows > 0 && columns > 0, "operands of \(rows) x \(columns)")
        self.rows = rows
        self.columns = columns
        self.type = type
        self.instructionSet = instructionSet
        let width = instructionSet.storesNarrowOperands(type) ? 2 : 4
        self.stride = ((columns * width + 63) / 64 | 1) * 64 / width
        self.slab = try Slab(bytes: rows * stride * width, purpose: "operands of \(rows) x \(columns)")
    }

    /// One element, for tests and diagnosis.
    package subscript(row: Int, column: Int) -> Float {
        precondition(row >= 0 && row < rows && column >= 0 && column < columns, "(\(row), \(column)) of \(rows) x \(columns)")
        let source: SourceType = instructionSet.storesNarrowOperands(type) ? .bf16 : .f32
        var value: Float = 0
        unsafe ck_to_float(CK_SCALAR, address(row: row, column: column), source.cType, 1, &value)
        return value
    }

    func address(row: Int, column: Int = 0) -> UnsafeMutableRawPointer {
        unsafe slab.base + (row * stride + column) * (instructionSet.storesNarrowOperands(type) ? 2 : 4)
    }
}
