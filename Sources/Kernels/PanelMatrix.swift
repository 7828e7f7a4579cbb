internal import CKernels
package import Platform

/// A weight matrix (`rows` outputs x `columns` inputs) in panels of 64 outputs, the order in which products read it. Immutable.
///
/// A view: it keeps the memory's owner (a mapped file, or memory of its own) alive. Layout, with `columns` rounded up to even and
/// `rows` to 64, both with zeros: bf16 [rows/64][columns/2][64][2], f32 [rows/64][columns][64]. The forms of bytes are described in
/// ckernels.h, that of enec in ckplanes3.h.
@safe
package struct PanelMatrix: @unchecked Sendable {
    // Sendable by argument: nobody writes the memory while a view exists.
    package let rows: Int
    package let columns: Int
    package let form: WeightForm
    let base: UnsafeRawPointer
    /// Of enec: where the panels stand from `base` on.
    let offsets: PanelOffsets?
    private let owner: any AnyObject & Sendable

    /// Panels that stand at byte `offset` of a mapped file.
    ///
    /// The caller has checked that the file holds `byteCount(rows:columns:form:)` bytes there; `offset` is a multiple of 64.
    package init(file: MappedFile, offset: Int, rows: Int, columns: Int, form: WeightForm) {
        let size = Self.byteCount(rows: rows, columns: columns, form: form)
        precondition(offset >= 0 && offset % 64 == 0 && size <= file.count - offset, "\(size) bytes at \(offset) of \(file.path)")
        unsafe self.init(base: file.address(at: offset), owner: file, rows: rows, columns: columns, form: form)
    }

    /// Panels of planes3 anywhere behind byte `offset`, a multiple of 64, of a mapped file.
    ///
    /// The caller has checked each of them with `ThreadTeam.checkPanels`, or made them.
    package init(file: MappedFile, offset: Int, offsets: PanelOffsets, rows: Int, columns: Int) {
        precondition(offset >= 0 && offset % 64 == 0 && offsets.panels == (rows + 63) / 64, "\(offsets.panels) panels of \(rows) rows at \(offset)")
        for unit in offsets.units { precondition(Int(unit) * 64 <= file.count - offset, "a panel at \(unit) units of \(file.path)") }
        unsafe self.init(base: file.address(at: offset), owner: file, rows: rows, columns: columns, form: .enec, offsets: offsets)
    }

    init(
        base: UnsafeRawPointer, owner: any AnyObject & Sendable, rows: Int, columns: Int, form: WeightForm, offsets: PanelOffsets? = nil
    ) {
        precondition((form == .enec) == (offsets != nil), "panels of \(form) \(offsets == nil ? "without" : "with") offsets")
        self.rows = rows
        self.columns = columns
        self.form = form
        unsafe self.base = base
        self.offsets = offsets
        self.owner = owner
    }

    /// `columns` rounded up to even.
    var paddedColumns: Int { (columns + 1) / 2 * 2 }

    /// The panels' bytes. Not of enec, whose panels may stand apart.
    package func withBytes<Result, Failure: Error>(_ body: (RawSpan) throws(Failure) -> Result) throws(Failure) -> Result {
        let count = Self.byteCount(rows: rows, columns: columns, form: form)
        return try body(unsafe RawSpan(_unsafeStart: base, byteCount: count))
    }

    /// Bytes that a product reads.
    package var byteCount: Int {
        offsets?.byteCount ?? Self.byteCount(rows: rows, columns: columns, form: form)
    }

    /// Row `index` as floats: an embedding out of a head that is tied to it. Of enec it costs as much as sixteen rows.
    package func copyRow(_ index: Int, on set: InstructionSet = .scalar, to out: inout MutableSpan<Float>) {
        precondition(index >= 0 && index < rows && out.count == columns, "row \(index) of \(rows), \(out.count) of \(columns) columns")
        unsafe out.withUnsafeMutableBufferPointer { out in
            unsafe copyRow(index, on: set, to: out.baseAddress!)
        }
    }

    func copyRow(_ index: Int, on set: InstructionSet, to out: UnsafeMutablePointer<Float>) {
        if let offsets {
            let panel = index / 64
            unsafe ck_planes3_unpack_row(
                set.cSet, base + Int(offsets.units[panel]) * 64, min(64, rows - panel * 64), columns, index % 64, out)
        } else if form.isBytes {
            unsafe ck_int8_unpack_row(form.cInt8, base, columns, index, out)
        } else {
            unsafe ck_unpack_row(base, form.elementType.cType, columns, index, out)
        }
    }

    /// The weights of output `column`, from the first k on (of forms of bytes about there, their scales stand between; of enec the panel).
    func address(column: Int) -> UnsafeRawPointer {
        if let offsets { return unsafe base + Int(offsets.units[column / 64]) * 64 }
        return unsafe base + Self.byteCount(rows: column / 64 * 64, columns: columns, form: form) + column % 64 * 4
    }

    /// Bytes of the panels of a matrix. Not of enec, whose bytes depend on the weights.
    package static func byteCount(rows: Int, columns: Int, form: WeightForm) -> Int {
        precondition(form != .enec, "the bytes of enec depend on the weights")
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
        let rows = rowCount(source, as: sourceType, columns: columns, first: first, form: form, into: panels.byteCount)
        unsafe source.withUnsafeBytes { source in
            unsafe panels.withUnsafeMutableBytes { panels in
                guard let source = source.baseAddress, let panels = panels.baseAddress else { return }
                unsafe pack(source, as: sourceType, rows: rows, columns: columns, first: first, form: form, into: panels)
            }
        }
    }

    /// Rows of `source`, which fit the panels' bytes.
    static func rowCount(
        _ source: RawSpan, as sourceType: SourceType, columns: Int, first: Int, form: WeightForm, into panelBytes: Int
    ) -> Int {
        let rowBytes = columns * sourceType.byteCount
        precondition(columns > 0 && source.byteCount % rowBytes == 0, "\(source.byteCount) bytes of rows of \(rowBytes)")
        let rows = source.byteCount / rowBytes
        let size = byteCount(rows: first + rows, columns: columns, form: form)
        precondition(first >= 0 && size <= panelBytes, "rows \(first)..<\(first + rows) in \(panelBytes) bytes of panels")
        return rows
    }

    static func pack(
        _ source: UnsafeRawPointer, as sourceType: SourceType, rows: Int, columns: Int, first: Int, form: WeightForm,
        into panels: UnsafeMutableRawPointer
    ) {
        if form.isBytes {
            unsafe ck_int8_pack_rows(form.cInt8, source, sourceType.cType, columns, rows, columns, panels, first)
        } else {
            unsafe ck_pack_rows(source, sourceType.cType, columns, rows, columns, panels, form.elementType.cType, first)
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
