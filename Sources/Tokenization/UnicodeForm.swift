internal import CUTF8Proc

/// The four normalisation forms, by utf8proc.
enum UnicodeForm: String, Sendable {
    case composed = "NFC"
    case decomposed = "NFD"
    case compatibilityComposed = "NFKC"
    case compatibilityDecomposed = "NFKD"

    /// `text` (valid UTF-8) in this form. Text that is visibly in it already is returned as it came. O(n log n).
    ///
    /// utf8proc's own decomposition of a whole text orders marks by swapping neighbours, O(n²) in a run of them; so it only
    /// decomposes single scalars and composes here.
    func apply(to text: [UInt8]) -> [UInt8] {
        if isQuicklySettled(text.span) { return text }
        var scalars = decomposition(of: text.span)
        Self.orderMarks(&scalars)
        if composes { compose(&scalars) }
        var result: [UInt8] = []
        result.reserveCapacity(text.count + text.count / 4)
        for scalar in scalars { result.append(scalar: UInt32(bitPattern: scalar)) }
        return result
    }

    private var composes: Bool { self == .composed || self == .compatibilityComposed }

    /// The longest decomposition has 18 scalars (U+FDFA).
    private static let decompositionLimit = 32

    private func decomposition(of text: borrowing Span<UInt8>) -> [Int32] {
        var scalars: [Int32] = []
        scalars.reserveCapacity(text.count / 2)
        var room = [Int32](repeating: 0, count: Self.decompositionLimit)
        var boundClass: Int32 = 0
        var index = 0
        while index < text.count {
            let (scalar, length) = decodeScalar(text, at: index)
            index += length
            if scalar < 0x80 {
                scalars.append(Int32(scalar))
                continue
            }
            let count = unsafe room.withUnsafeMutableBufferPointer { room in
                unsafe utf8proc_decompose_char(
                    Int32(scalar), room.baseAddress, room.count, utf8proc_option_t(options), &boundClass)
            }
            // Possible codes: not assigned and a scalar out of range, neither of which is asked for or possible here.
            guard (1...room.count).contains(count) else {
                preconditionFailure("utf8proc_decompose_char returned \(count) for U+\(String(scalar, radix: 16))")
            }
            scalars.append(contentsOf: room[..<count])
        }
        return scalars
    }

    /// Puts each run of marks into the order of their combining classes; marks of one class keep theirs.
    private static func orderMarks(_ scalars: inout [Int32]) {
        var run: [(order: UInt16, scalar: Int32)] = []
        var inOrder = true
        func settle(before end: Int) {
            if !inOrder {
                run.sort { $0.order < $1.order }
                for (offset, mark) in run.enumerated() { scalars[end - run.count + offset] = mark.scalar }
            }
            run.removeAll(keepingCapacity: true)
            inOrder = true
        }
        for index in scalars.indices {
            let scalar = scalars[index]
            let order = scalar < 0x300 ? 0 : combiningClass(scalar)
            if order == 0 {
                if !run.isEmpty { settle(before: index) }
                continue
            }
            if let last = run.last, last.order > order { inOrder = false }
            run.append((order, scalar))
        }
        settle(before: scalars.count)
    }

    private static func combiningClass(_ scalar: Int32) -> UInt16 {
        unsafe UInt16(bitPattern: utf8proc_get_property(scalar).pointee.combining_class)
    }

    /// Linear.
    private func compose(_ scalars: inout [Int32]) {
        let count = unsafe scalars.withUnsafeMutableBufferPointer { scalars in
            unsafe utf8proc_normalize_utf32(scalars.baseAddress, scalars.count, utf8proc_option_t(options))
        }
        // There is no error code: it rewrites in place and makes nothing longer.
        precondition((0...scalars.count).contains(count), "utf8proc_normalize_utf32 returned \(count) for \(scalars.count) scalars")
        scalars.removeSubrange(count...)
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
