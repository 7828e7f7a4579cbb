import Kernels
import Platform
import TestSupport
import Testing

@Suite struct PackingTests {
    private func packed(
        _ source: [UInt8], as type: SourceType, columns: Int, first: Int, rows: Int, _ form: WeightForm,
        _ pack: (RawSpan, inout MutableRawSpan) -> Void
    ) throws -> [UInt8] {
        var slab = try Slab(bytes: PanelMatrix.byteCount(rows: first + rows, columns: columns, form: form), purpose: "panels")
        var panels = slab.bytes
        pack(source.rawSpan, &panels)
        var bytes: [UInt8] = []
        bytes.append(panels.bytes)
        return bytes
    }

    @Test(arguments: WeightForm.allCases.filter { $0 != .enec })
    func `panels are the same whether rows come one at a time, at once, or to all threads`(form: WeightForm) throws {
        var random = SeededGenerator(seed: 3)
        let team = ThreadTeam(threads: 3, instructionSet: .scalar)
        for type in SourceType.allCases {
            for (rows, columns) in [(1, 1), (64, 32), (63, 33), (130, 70), (200, 31), (64, 1)] {
                // Finite numbers, whatever the type.
                var source: [UInt8] = []
                for _ in 0..<rows * columns {
                    let bits = UInt32(truncatingIfNeeded: random.next())
                    let word = type == .f32 ? bits & 0x8FFF_FFFF | 0x3000_0000 : bits & 0x8FFF | 0x3000
                    for byte in 0..<type.byteCount { source.append(UInt8(truncatingIfNeeded: word >> (8 * UInt32(byte)))) }
                }
                for first in [0, 5, 64, 100] {
                    let rowBytes = columns * type.byteCount
                    let single = try packed(source, as: type, columns: columns, first: first, rows: rows, form) { source, panels in
                        for row in 0..<rows {
                            PanelMatrix.pack(
                                source.extracting(row * rowBytes..<(row + 1) * rowBytes), as: type, columns: columns, first: first + row, form: form,
                                into: &panels)
                        }
                    }
                    let whole = try packed(source, as: type, columns: columns, first: first, rows: rows, form) {
                        PanelMatrix.pack($0, as: type, columns: columns, first: first, form: form, into: &$1)
                    }
                    let shared = try packed(source, as: type, columns: columns, first: first, rows: rows, form) {
                        team.packPanels($0, as: type, columns: columns, first: first, form: form, into: &$1)
                    }
                    #expect(single == whole && single == shared, "\(rows) x \(columns) of \(type) at row \(first)")
                }
            }
        }
    }
}
