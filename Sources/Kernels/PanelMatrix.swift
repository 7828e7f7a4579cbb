internal import CKernels
package import Platform

/// A weight matrix (`rows` outputs x `columns` inputs) in panels of 64 outputs, the order in which products read it. Immutable.
///
/// A view: it keeps the memory's owner (a mapped file, or memory of its own) alive. Layout, with `columns` rounded up to even and
/// `rows` to 64, both with zeros: bf16 [rows/64][columns/2][64][2], f32 [rows/64][columns][64]. The forms of bytes are described in
/// ckernels.h.
@safe
package struct PanelMatrix: @unchecked Sendable {
    // Sendable by argument: nobody writes the memory while a view exists.
    package let rows: Int
    package let columns: Int
    package let form: WeightForm
    let base: UnsafeRawPointer
    private let owner: any AnyObject & Sendable

    /// Panels that stand at byte `offset` of a mapped file.
    ///
    /// The caller has checked that the file holds `byteCount(rows:columns:form:)` bytes there; `offset` is a multiple of 64.
    package init(file: MappedFile, offset: Int, rows: Int, columns: Int, form: WeightForm) {
        let size = Self.byteCount(rows: rows, columns: columns, form: form)
        precondition(offset >= 0 && offset % 64 == 0 && size <= file.count - offset, "\(size) bytes at \(offset) of \(file.path)")
        unsafe self.init(base: file.address(at: offset), owner: file, rows: rows, columns: columns, form: form)
    }

    init(base: UnsafeRawPointer, owner: any AnyObject & Sendable, rows: Int, columns: Int, form: WeightForm) {
        self.rows = rows
        self.columns = columns
        self.form = form
        unsafe self.base = base
        self.owner = owner
    }

    /// `columns` rounded up to even.
    var paddedColumns: Int { (columns + 1) / 2 * 2 }

    /// The panels' bytes.
    package func withBytes<Result, Failure: Error>(_ body: (RawSpan) throws(Failure) -> Result) throws(Failure) -> Result {
        let count = Self.byteCount(rows: rows, columns: columns, form: form)
        return try body(unsafe RawSpan(_unsafeStart: base, byteCount: count))
    }

    /// Row `index` as floats: an embedding out of a head that is tied to it.
    package func copyRow(_ index: Int, to out: inout MutableSpan<Float>) {
        precondition(index >= 0 && index < rows && out.count == columns, "row \(index) of \(rows), \(out.count) of \(columns) columns")
        unsafe out.withUnsafeMutableBufferPointer { out in
            unsafe copyRow(index, to: out.baseAddress!)
        }
    }

    func copyRow(_ index: Int, to out: UnsafeMutablePointer<Float>) {
        if form.isBytes {
            unsafe ck_int8_unpack_row(form.cInt8, base, columns, index, out)
        } else {
            unsafe ck_unpack_row(base, form.elementType.cType, columns, index, out)
        }
    }

    /// The weights of output `column`, from the first k on (forms of bytes: about there, their scales stand between).
    func address(column: Int) -> UnsafeRawPointer {
        unsafe base + Self.byteCount(rows: column / 64 * 64, columns: columns, form: form) + column % 64 * 4
    }

    /// Bytes of the panels of a matrix.
    package static func byteCount(rows: Int, columns: Int, form: WeightForm) -> Int {
        if form.isBytes { return ck_int8_panel_bytes(form.cInt8, rows, columns) }
        return (rows + 63) / 64 * 64 * ((columns + 1) / 2 * 2) * form.byteCount
    }

    /// Packs row-major rows of a checkpoint as rows `first...` of the panels that fill `panels`.
    ///
    /// `source` holds rows of `columns` numbers. `panels` has `byteCount` bytes for all rows of the matrix and was zero where no
    /// row is packed. Matrices that are multiplied together (q, k, v; gate, up) are stacked by packing one behind the other.
    package static func pack(
        _ source: RawSpan, as sourceType: SourceType, columns: Int, first: Int, form: WeightForm, into panels: inout MutableRawSpan
    ) {
        let rowBytes = columns * sourceType.byteCount
        precondition(columns > 0 && source.byteCount % rowBytes == 0, "\(source.byteCount) bytes of rows of \(rowBytes)")
        let rows = source.byteCount / rowBytes
        let size = byteCount(rows: first + rows, columns: columns, form: form)
        precondition(first >= 0 && size <= panels.byteCount, "rows \(first)..<\(first + rows) in \(panels.byteCount) bytes of panels")
        unsafe source.withUnsafeBytes { source in
            unsafe panels.withUnsafeMutableBytes { panels in
                if form.isBytes {
                    unsafe ck_int8_pack_rows(
                        form.cInt8, source.baseAddress, sourceType.cType, columns, rows, columns, panels.baseAddress, first)
                } else {
                    unsafe ck_pack_rows(
                        source.baseAddress, sourceType.cType, columns, rows, columns, panels.baseAddress, form.elementType.cType, first)
                }
            }
        }
    }
}

/// Memory for the panels of one matrix, filled piece by piece and then sealed.
package struct PanelBuilder: ~Copyable {
    private var slab: Slab
    private let rows: Int
    private let columns: Int
    private let form: WeightForm

    /// - Throws: `FileError` when the system refuses the memory.
    package init(rows: Int, columns: Int, type: ElementType) throws(FileError) {
        try self.init(rows: rows, columns: columns, form: WeightForm(type))
    }

    /// - Throws: `FileError` when the system refuses the memory.
    package init(rows: Int, columns: Int, form: WeightForm) throws(FileError) {
        precondition(rows > 0 && columns > 0, "weights of \(rows) x \(columns)")
        precondition(columns <= form.mostColumns ?? columns, "\(columns) columns of \(form)")
        self.rows = rows
        self.columns = columns
        self.form = form
        let size = PanelMatrix.byteCount(rows: rows, columns: columns, form: form)
        self.slab = try Slab(bytes: size, purpose: "weights of \(rows) x \(columns)")
    }

    /// Packs row-major rows as rows `first...`.
    package mutating func pack(_ source: RawSpan, as sourceType: SourceType, first: Int) {
        precondition(source.byteCount / (columns * sourceType.byteCount) + first <= rows, "more than \(rows) rows")
        let (columns, form) = (columns, form)
        var bytes = slab.bytes
        PanelMatrix.pack(source, as: sourceType, columns: columns, first: first, form: form, into: &bytes)
    }

    package consuming func seal() -> PanelMatrix {
        let (rows, columns, form) = (rows, columns, form)
        let memory = PanelMemory(slab)
        return unsafe PanelMatrix(base: memory.slab.base, owner: memory, rows: rows, columns: columns, form: form)
    }
}

private final class PanelMemory: Sendable {
    let slab: Slab
    init(_ slab: consuming Slab) { self.slab = slab }
}
