internal import Platform

/// Where the panels of a matrix in planes3 begin and the last one ends, in units of 64 bytes.
///
/// Before panels that stand in memory of their own it is written out as 32-bit numbers, little-endian, padded with zeros to 64 bytes; such a
/// blob begins with them, and they count from its front.
package struct PanelOffsets: Sendable, Equatable {
    /// One more than there are panels.
    package let units: [UInt32]
    /// Of all panels together.
    package let byteCount: Int

    /// Bytes that can be pointed into.
    package static let mostBytes = Int(UInt32.max) * 64

    /// Of panels of these sizes, each a multiple of 64 bytes, behind the offsets themselves; nil when they are too large.
    package init?(sizes: [Int]) {
        var end = Self.headBytes(panels: sizes.count)
        var units = [UInt32(end / 64)]
        for size in sizes {
            precondition(size > 0 && size % 64 == 0, "a panel of \(size) bytes")
            end += size
            guard end <= Self.mostBytes else { return nil }
            units.append(UInt32(end / 64))
        }
        self.init(units: units, byteCount: sizes.reduce(0, +))
    }

    private init(units: [UInt32], byteCount: Int) {
        self.units = units
        self.byteCount = byteCount
    }

    /// Of panels anywhere in a file, each in a range that begins and ends at a multiple of 64, one directly behind the other or not.
    /// The last unit is the end of the last one. Nil when they are too far out.
    package init?(panels: [Range<Int>]) {
        guard let last = panels.last, panels.allSatisfy({ $0.lowerBound % 64 == 0 && $0.upperBound <= Self.mostBytes }) else { return nil }
        self.init(
            units: panels.map { UInt32($0.lowerBound / 64) } + [UInt32(last.upperBound / 64)],
            byteCount: panels.reduce(0) { $0 + $1.count })
    }

    /// Those that stand at the front of a blob of panels of `rows`; nil when they do not fit it.
    package init?(frontOf blob: RawSpan, rows: Int) {
        let panels = (rows + 63) / 64
        let head = Self.headBytes(panels: panels)
        guard blob.byteCount >= head, blob.byteCount <= Self.mostBytes else { return nil }
        var reader = ByteReader(blob)
        var units: [UInt32] = []
        units.reserveCapacity(panels + 1)
        for _ in 0...panels {
            guard let unit = try? reader.read(UInt32.self), Int(unit) >= Int(units.last ?? UInt32(head / 64)) else { return nil }
            units.append(unit)
        }
        guard Int(units[0]) * 64 == head, Int(units[panels]) * 64 <= blob.byteCount else { return nil }
        self.init(units: units, byteCount: Int(units[panels]) * 64 - head)
    }

    package var panels: Int { units.count - 1 }

    /// Where panel `index` stands, when panels follow one another.
    package func range(_ index: Int) -> Range<Int> { Int(units[index]) * 64..<Int(units[index + 1]) * 64 }

    /// Bytes up to the end of the last panel.
    package var end: Int { Int(units[panels]) * 64 }

    static func headBytes(panels: Int) -> Int { ((panels + 1) * 4 + 63) / 64 * 64 }

    /// As it stands before the panels.
    var encoded: [UInt8] {
        var bytes: [UInt8] = []
        for unit in units {
            for shift in stride(from: 0, to: 32, by: 8) { bytes.append(UInt8(truncatingIfNeeded: unit >> shift)) }
        }
        return bytes + [UInt8](repeating: 0, count: Self.headBytes(panels: panels) - bytes.count)
    }
}
