internal import CKernels

/// What an ENEC tensor is coded with: an exponent e becomes y = (b - e) mod 2^n, of which m low bits are stored for all elements and the
/// others for groups of `group` elements in which some element has one of them set.
package struct ENECParameters: Sendable, Hashable, CustomStringConvertible {
    package let b: UInt8
    /// 1 to 8.
    package let n: UInt8
    /// 1 to n.
    package let m: UInt8
    /// L of the paper: 16, 32, 64 or 128.
    package let group: UInt8

    package static let byteCount = 4

    /// Nil when they are none.
    package init?(b: UInt8, n: UInt8, m: UInt8, group: UInt8) {
        guard ck_enec_valid(ck_enec(b: b, n: n, m: m, l: group)) else { return nil }
        (self.b, self.n, self.m, self.group) = (b, n, m, group)
    }

    /// The published search over the exponents of a whole tensor: every exponent of it can be coded.
    package init(search histogram: ExponentHistogram) {
        let found = unsafe histogram.counts.withUnsafeBufferPointer { unsafe ck_enec_search($0.baseAddress) }
        (b, n, m, group) = (found.b, found.n, found.m, found.l)
    }

    /// Nil when the four bytes are none: they may come from anywhere.
    package init?(bytes: [UInt8]) {
        guard bytes.count == Self.byteCount else { return nil }
        self.init(b: bytes[0], n: bytes[1], m: bytes[2], group: bytes[3])
    }

    package var bytes: [UInt8] { [b, n, m, group] }

    package var description: String { "b \(b), n \(n), m \(m), L \(group)" }

    var cValue: ck_enec { ck_enec(b: b, n: n, m: m, l: group) }
}
