/// Reads bytes as UTF-8 piece by piece: complete characters pass, what can never become one is replaced by U+FFFD, one for each
/// maximal part of a character (as the Unicode Standard recommends and Rust and Swift do), and what may still become one waits.
struct LossyUTF8: Sendable {
    /// The beginning of a character; at most three bytes.
    private var pending: [UInt8] = []

    private static let replacement: [UInt8] = [0xEF, 0xBF, 0xBD]

    mutating func append(_ bytes: ArraySlice<UInt8>, to output: inout [UInt8]) {
        for byte in bytes { append(byte, to: &output) }
    }

    private mutating func append(_ byte: UInt8, to output: inout [UInt8]) {
        guard let lead = pending.first else { return begin(byte, &output) }
        guard Self.continues(lead, at: pending.count, byte) else {
            output.append(contentsOf: Self.replacement)
            pending.removeAll(keepingCapacity: true)
            return begin(byte, &output)
        }
        pending.append(byte)
        if pending.count == lengthOfScalar(lead) {
            output.append(contentsOf: pending)
            pending.removeAll(keepingCapacity: true)
        }
    }

    private mutating func begin(_ byte: UInt8, _ output: inout [UInt8]) {
        switch byte {
        case 0..<0x80: output.append(byte)
        case 0xC2...0xF4: pending.append(byte)
        default: output.append(contentsOf: Self.replacement)
        }
    }

    /// Whether `byte` may stand at `position` of a character that begins with `lead` (Unicode Standard, table 3-7).
    private static func continues(_ lead: UInt8, at position: Int, _ byte: UInt8) -> Bool {
        guard position == 1 else { return byte & 0xC0 == 0x80 }
        return switch lead {
        case 0xE0: (0xA0...0xBF).contains(byte)
        case 0xED: (0x80...0x9F).contains(byte)
        case 0xF0: (0x90...0xBF).contains(byte)
        case 0xF4: (0x80...0x8F).contains(byte)
        default: byte & 0xC0 == 0x80
        }
    }

    mutating func finish(to output: inout [UInt8]) {
        if !pending.isEmpty { output.append(contentsOf: Self.replacement) }
        pending.removeAll(keepingCapacity: true)
    }

    /// `bytes` as a whole.
    static func text(_ bytes: ArraySlice<UInt8>) -> String {
        var reader = LossyUTF8()
        var output: [UInt8] = []
        reader.append(bytes, to: &output)
        reader.finish(to: &output)
        return String(decoding: output, as: UTF8.self)
    }
}
