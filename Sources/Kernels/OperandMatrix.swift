internal import CKernels
package import Platform

/// Rows of left operands of products with weights of which `form` is the operand form, as the instruction set multiplies them: bf16, or f32 rounded to what the
/// weights' type can hold, or bytes with a scale for each row.
/// Kernels fill it (norms, gates, attention) and products read it. Columns behind `columns` are zero.
@safe
package struct OperandMatrix: ~Copyable, Sendable {
    package let rows: Int
    package let columns: Int
    package let form: WeightForm
    package let instructionSet: InstructionSet
    /// Elements (of bytes: bytes) from one row to the next: an odd number of cache lines, so that a block of rows spreads over all
    /// cache sets.
    let stride: Int
    private let slab: Slab

    /// - Throws: `FileError` when the system refuses the memory.
    package init(rows: Int, columns: Int, type: ElementType, instructionSet: InstructionSet) throws(FileError) {
        try self.init(rows: rows, columns: columns, form: WeightForm(type), instructionSet: instructionSet)
    }

    /// - Throws: `FileError` when the system refuses the memory.
    package init(rows: Int, columns: Int, form: WeightForm, instructionSet: InstructionSet) throws(FileError) {
        precondition(rows > 0 && columns > 0, "operands of \(rows) x \(columns)")
        precondition(columns <= form.mostColumns ?? columns, "\(columns) columns of \(form)")
        self.rows = rows
        self.columns = columns
        let form = form.operandForm
        self.form = form
        self.instructionSet = instructionSet
        let width = Self.elementBytes(form, instructionSet)
        let rowBytes = form.isBytes ? ck_int8_operand_bytes(columns) : columns * width
        self.stride = ((rowBytes + 63) / 64 | 1) * 64 / width
        self.slab = try Slab(bytes: rows * stride * width, purpose: "operands of \(rows) x \(columns)")
    }

    /// One element, for tests and diagnosis.
    package subscript(row: Int, column: Int) -> Float {
        precondition(row >= 0 && row < rows && column >= 0 && column < columns, "(\(row), \(column)) of \(rows) x \(columns)")
        if form.isBytes {
            let head = unsafe address(row: row)
            return unsafe Float((head + 64 + column).load(as: Int8.self)) * head.load(as: Float.self)
        }
        var value: Float = 0
        let source: SourceType = elementBytes == 2 ? .bf16 : .f32
        unsafe ck_to_float(CK_SCALAR, address(row: row, column: column), source.cType, 1, &value)
        return value
    }

    func address(row: Int, column: Int = 0) -> UnsafeMutableRawPointer {
        unsafe slab.base + (row * stride + column) * elementBytes
    }

    /// What kernels on floats call the elements.
    var type: ElementType { form.elementType }

    var elementBytes: Int { Self.elementBytes(form, instructionSet) }

    private static func elementBytes(_ form: WeightForm, _ set: InstructionSet) -> Int {
        form.isBytes ? 1 : set.storesNarrowOperands(form.elementType) ? 2 : 4
    }
}
