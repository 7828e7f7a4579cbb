/// The scalar at `index` of valid UTF-8, and how many bytes it takes.
@inline(__always)
func decodeScalar(_ text: borrowing Span<UInt8>, at index: Int) -> (value: UInt32, length: Int) {
    let lead = text[index]
    if lead < 0x80 { return (UInt32(lead), 1) }
    if lead < 0xE0 { return (UInt32(lead & 0x1F) << 6 | UInt32(text[index + 1] & 0x3F), 2) }
    if lead < 0xF0 {
        return (UInt32(lead & 0x0F) << 12 | UInt32(text[index + 1] & 0x3F) << 6 | UInt32(text[index + 2] & 0x3F), 3)
    }
    let high = UInt32(lead & 0x07) << 18 | UInt32(text[index + 1] & 0x3F) << 12
    return (high | UInt32(text[index + 2] & 0x3F) << 6 | UInt32(text[index + 3] & 0x3F), 4)
}

/// Where the scalar that ends before `index` of valid UTF-8 begins.
@inline(__always)
func startOfScalar(_ text: borrowing Span<UInt8>, before index: Int) -> Int {
    var start = index - 1
    while text[start] & 0xC0 == 0x80 { start -= 1 }
    return start
}

/// How many bytes the scalar takes that begins with `lead`.
@inline(__always)
func lengthOfScalar(_ lead: UInt8) -> Int {
    lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4
}

extension Array<UInt8> {
    mutating func append(scalar: UInt32) {
        switch scalar {
        case 0..<0x80: append(UInt8(scalar))
        case 0x80..<0x800:
            append(UInt8(0xC0 | scalar >> 6))
            append(UInt8(0x80 | scalar & 0x3F))
        case 0x800..<0x10000:
            append(UInt8(0xE0 | scalar >> 12))
            append(UInt8(0x80 | scalar >> 6 & 0x3F))
            append(UInt8(0x80 | scalar & 0x3F))
        default:
            append(UInt8(0xF0 | scalar >> 18))
            append(UInt8(0x80 | scalar >> 12 & 0x3F))
            append(UInt8(0x80 | scalar >> 6 & 0x3F))
            append(UInt8(0x80 | scalar & 0x3F))
        }
    }

    /// Appends `span[range]`.
    @inline(__always)
    mutating func append(_ span: borrowing Span<UInt8>, _ range: Range<Int>) {
        for index in range { append(span[index]) }
    }

    /// Every occurrence of `pattern` (not empty), left to right without overlap, replaced by `content`. O(bytes).
    func replacing(_ pattern: [UInt8], with content: [UInt8]) -> [UInt8] {
        guard count >= pattern.count else { return self }
        let search = ByteSearch(pattern)
        guard var found = search.first(in: span, from: 0, to: count) else { return self }
        var result: [UInt8] = []
        result.reserveCapacity(count)
        var copied = 0
        while true {
            result.append(contentsOf: self[copied..<found])
            result.append(contentsOf: content)
            copied = found + pattern.count
            guard let next = search.first(in: span, from: copied, to: count) else { break }
            found = next
        }
        result.append(contentsOf: self[copied...])
        return result
    }
}
