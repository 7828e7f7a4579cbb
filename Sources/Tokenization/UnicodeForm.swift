internal import CUTF8Proc
internal import Glibc

/// The four normalisation forms, by utf8proc.
enum UnicodeForm: String, Sendable {
    case composed = "NFC"
    case decomposed = "NFD"
    case compatibilityComposed = "NFKC"
    case compatibilityDecomposed = "NFKD"

    /// `text` (valid UTF-8) in this form. Text that is visibly in it already is returned as it came.
    func apply(to text: [UInt8]) -> [UInt8] {
        if isQuicklySettled(text.span) { return text }
        var result: UnsafeMutablePointer<UInt8>?
        let count = unsafe text.withUnsafeBufferPointer { bytes in
            unsafe utf8proc_map(bytes.baseAddress, bytes.count, &result, utf8proc_option_t(options))
        }
        // Possible codes: out of memory, invalid UTF-8, overflow beyond 2 GiB. The text is valid and shorter than 1 GiB.
        guard count >= 0, let bytes = unsafe result else {
            preconditionFailure("utf8proc_map returned \(count) for \(text.count) bytes")
        }
        defer { unsafe free(bytes) }
        return unsafe Array(UnsafeBufferPointer(start: bytes, count: count))
    }

    private var options: UInt32 {
        let stable = UTF8PROC_STABLE.rawValue
        return switch self {
        case .composed: stable | UTF8PROC_COMPOSE.rawValue
        case .decomposed: stable | UTF8PROC_DECOMPOSE.rawValue
        case .compatibilityComposed: stable | UTF8PROC_COMPOSE.rawValue | UTF8PROC_COMPAT.rawValue
        case .compatibilityDecomposed: stable | UTF8PROC_DECOMPOSE.rawValue | UTF8PROC_COMPAT.rawValue
        }
    }

    /// No scalar below this changes under the form or combines with its neighbours there.
    private var firstUnsettled: UInt32 {
        switch self {
        case .composed: 0x300
        case .decomposed: 0xC0
        case .compatibilityComposed, .compatibilityDecomposed: 0xA0
        }
    }

    /// Ranges above U+0300 that NFC leaves alone, whatever stands beside them: nothing there is decomposed, reordered or
    /// composed with what precedes it. The common punctuation and the scripts that make up most text.
    static let settledWhenComposed: [ClosedRange<UInt32>] = [
        0x400...0x482, 0x48A...0x52F,  // Cyrillic
        0x5D0...0x5EA, 0x621...0x64A,  // Hebrew and Arabic letters
        0x1E00...0x1E99,  // Latin
        0x2010...0x2027, 0x2030...0x205E,  // punctuation
        0x20A0...0x20BF,  // currency
        0x2190...0x2328, 0x2500...0x27BF,  // arrows, mathematics, boxes, dingbats
        0x3001...0x3029, 0x3030...0x303F, 0x3041...0x3096, 0x30A1...0x30FE,  // punctuation and kana
        0x4E00...0x9FFF, 0xAC00...0xD7A3,  // ideographs, Hangul syllables
        0xFF01...0xFF9D,  // full width
        0x1F300...0x1FAFF,  // pictographs
    ]

    func isQuicklySettled(_ text: borrowing Span<UInt8>) -> Bool {
        var index = 0
        while index < text.count {
            let lead = text[index]
            if lead < 0x80 {
                index += 1
                continue
            }
            let (scalar, length) = decodeScalar(text, at: index)
            if scalar >= firstUnsettled {
                guard self == .composed, Self.settledWhenComposed.contains(where: { $0.contains(scalar) }) else { return false }
            }
            index += length
        }
        return true
    }
}
