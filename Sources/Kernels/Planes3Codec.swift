internal import CKernels

/// The codec of weights that are computed on as they are: see `ckplanes3.h`. Of bf16 matrices; a block is a panel of 64 rows, and blocks
/// that follow one another, from a multiple of 64 bytes on, are what `PanelMatrix` reads.
package struct Planes3Codec: BlockCodec, Equatable {
    /// Of the matrix.
    package let columns: Int

    /// Columns of a matrix, at most.
    package static let mostColumns = Int(CK_PLANES3_COLUMNS)

    package init(columns: Int) {
        precondition((1...Self.mostColumns).contains(columns), "planes3 of \(columns) columns")
        self.columns = columns
    }

    package var type: SourceType { .bf16 }

    package var blockElements: Int { 64 * columns }

    package func bound(elements: Int) -> Int { ck_planes3_bound(rows(elements), columns) }

    private func rows(_ elements: Int) -> Int {
        precondition(elements > 0 && elements % columns == 0 && elements <= blockElements, "\(elements) elements of rows of \(columns)")
        return elements / columns
    }

    package func encode(_ elements: RawSpan, into out: inout MutableRawSpan, on set: InstructionSet) -> Int {
        let rows = rows(elements.byteCount / 2)
        precondition(out.byteCount >= ck_planes3_bound(rows, columns), "\(out.byteCount) bytes for a panel")
        return unsafe elements.withUnsafeBytes { elements in
            unsafe out.withUnsafeMutableBytes { out in
                let source = unsafe elements.baseAddress!.assumingMemoryBound(to: UInt16.self)
                return unsafe ck_planes3_encode(set.cSet, source, columns, rows, columns, out.baseAddress!)
            }
        }
    }

    package func decode(_ blob: RawSpan, block: Range<Int>, into elements: inout MutableRawSpan, on set: InstructionSet) -> Bool {
        let rows = rows(elements.byteCount / 2)
        let columns = columns
        return unsafe blob.extracting(block).withUnsafeBytes { block in
            guard let panel = block.baseAddress,
                unsafe ck_planes3_check(set.cSet, panel, block.count, rows, columns)
            else { return false }
            unsafe elements.withUnsafeMutableBytes { elements in
                let target = unsafe elements.baseAddress!.assumingMemoryBound(to: UInt16.self)
                unsafe ck_planes3_decode(set.cSet, panel, rows, columns, target, columns)
            }
            return true
        }
    }
}
