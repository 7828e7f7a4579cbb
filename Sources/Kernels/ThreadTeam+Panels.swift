internal import CKernels

// Matrices in the order in which products read them.
extension ThreadTeam {
    /// As `PanelMatrix.pack`, on all threads: no two of them have a panel in common.
    package func packPanels(
        _ source: RawSpan, as sourceType: SourceType, columns: Int, first: Int, form: WeightForm, into panels: inout MutableRawSpan
    ) {
        let rows = PanelMatrix.rowCount(source, as: sourceType, columns: columns, first: first, form: form, into: panels.byteCount)
        guard rows > 0 else { return }
        let (firstPanel, endPanel) = (first / 64, (first + rows + 63) / 64)
        unsafe source.withUnsafeBytes { source in
            unsafe panels.withUnsafeMutableBytes { panels in
                let lent = unsafe Lent((source.baseAddress!, panels.baseAddress!))
                run(chunks: endPanel - firstPanel) { chunk in
                    let (source, panels) = unsafe lent.pointers
                    let start = max(first, (firstPanel + chunk) * 64)
                    let count = min(first + rows, (firstPanel + chunk + 1) * 64) - start
                    unsafe PanelMatrix.pack(
                        source + (start - first) * columns * sourceType.byteCount, as: sourceType, rows: count, columns: columns, first: start,
                        form: form, into: panels)
                }
            }
        }
    }

    // MARK: planes3

    /// How `rows`, row-major bf16 of `columns`, would stand in planes3; nil when that is not smaller than panels of bf16.
    package func measurePanels(_ rows: RawSpan, columns: Int) -> PanelOffsets? {
        let count = Self.rowCount(rows, columns: columns)
        guard columns <= Planes3Codec.mostColumns else { return nil }
        let set = instructionSet.cSet
        var sizes = [Int](repeating: 0, count: (count + 63) / 64)
        unsafe rows.withUnsafeBytes { rows in
            unsafe sizes.withUnsafeMutableBufferPointer { sizes in
                let lent = unsafe Lent((rows.baseAddress!.assumingMemoryBound(to: UInt16.self), sizes.baseAddress!))
                run(chunks: sizes.count) { panel in
                    let (source, sizes) = unsafe lent.pointers
                    unsafe sizes[panel] = ck_planes3_size(set, source + panel * 64 * columns, columns, min(64, count - panel * 64), columns)
                }
            }
        }
        guard let offsets = PanelOffsets(sizes: sizes) else { return nil }
        return offsets.end < PanelMatrix.byteCount(rows: count, columns: columns, form: .bf16) ? offsets : nil
    }

    /// Writes `offsets`, which `measurePanels` has found for these rows, and the panels to the front of `blob`.
    package func codePanels(_ rows: RawSpan, columns: Int, at offsets: PanelOffsets, into blob: inout MutableRawSpan) {
        let count = Self.rowCount(rows, columns: columns)
        precondition(offsets.panels == (count + 63) / 64 && offsets.end <= blob.byteCount, "\(offsets.panels) panels into \(blob.byteCount) bytes")
        let set = instructionSet.cSet
        unsafe rows.withUnsafeBytes { rows in
            unsafe blob.withUnsafeMutableBytes { blob in
                unsafe blob.copyBytes(from: offsets.encoded)
                let lent = unsafe Lent((rows.baseAddress!.assumingMemoryBound(to: UInt16.self), blob.baseAddress!))
                run(chunks: offsets.panels) { panel in
                    let (source, target) = unsafe lent.pointers
                    let place = offsets.range(panel)
                    let size = unsafe ck_planes3_encode(
                        set, source + panel * 64 * columns, columns, min(64, count - panel * 64), columns, target + place.lowerBound)
                    precondition(size == place.count, "panel \(panel) takes \(size) bytes, \(place.count) were measured")
                }
            }
        }
    }

    /// Whether the panels at `offsets` from the front of `bytes` are what `PanelMatrix` may read: none reads outside.
    package func checkPanels(_ bytes: RawSpan, at offsets: PanelOffsets, rows: Int, columns: Int) -> Bool {
        let set = instructionSet.cSet
        var sound = [Bool](repeating: false, count: offsets.panels)
        guard offsets.panels == (rows + 63) / 64, offsets.end <= bytes.byteCount else { return false }
        unsafe bytes.withUnsafeBytes { bytes in
            unsafe sound.withUnsafeMutableBufferPointer { sound in
                let lent = unsafe Lent((bytes.baseAddress!, sound.baseAddress!))
                run(chunks: offsets.panels) { panel in
                    let (source, sound) = unsafe lent.pointers
                    let place = offsets.range(panel)
                    unsafe sound[panel] = ck_planes3_check(set, source + place.lowerBound, place.count, min(64, rows - panel * 64), columns)
                }
            }
        }
        return sound.allSatisfy { $0 }
    }

    /// Numbers of `type` rounded to bf16 (those of bf16 stay as they are), to byte `offset` of `out`.
    package func roundToBF16(_ numbers: RawSpan, as type: SourceType, into out: inout MutableRawSpan, at offset: Int) {
        let count = numbers.byteCount / type.byteCount
        precondition(offset >= 0 && count * 2 <= out.byteCount - offset, "\(count) numbers at \(offset) of \(out.byteCount) bytes")
        let set = instructionSet.cSet
        let most = Self.conversionChunk
        unsafe numbers.withUnsafeBytes { numbers in
            unsafe out.withUnsafeMutableBytes { out in
                guard let source = numbers.baseAddress, let target = out.baseAddress else { return }
                let lent = unsafe Lent((source, target + offset))
                run(chunks: (count + most - 1) / most) { chunk in
                    let (source, target) = unsafe lent.pointers
                    let (first, part) = (chunk * most, min(most, count - chunk * most))
                    let (from, to) = unsafe (source + first * type.byteCount, target + first * 2)
                    guard type != .bf16 else { return unsafe to.copyMemory(from: from, byteCount: part * 2) }
                    unsafe withUnsafeTemporaryAllocation(of: Float.self, capacity: part) { floats in
                        unsafe ck_to_float(set, from, type.cType, part, floats.baseAddress)
                        unsafe ck_from_float(set, floats.baseAddress, CK_BF16, part, to)
                    }
                }
            }
        }
    }

    /// Numbers that a thread converts at a time: 64 KB of floats.
    private static var conversionChunk: Int { 1 << 14 }

    private static func rowCount(_ rows: RawSpan, columns: Int) -> Int {
        precondition(columns > 0 && rows.byteCount > 0 && rows.byteCount % (2 * columns) == 0, "\(rows.byteCount) bytes of rows of \(columns)")
        return rows.byteCount / (2 * columns)
    }
}
