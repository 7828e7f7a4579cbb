/// Finds what a load test needs to know of one event's JSON in one pass, without a tree: which text it carries, whether it ends a choice,
/// and whether it has something that deserves the whole parser. About 1 ns a byte.
///
/// It knows the nesting, so that `"content"` counts as a member of `choices[].delta` and nowhere else. It checks that the text is one object
/// whose strings and brackets close; what stands between them is the whole parser's affair.
struct EventScanner {
    /// What was found. Ranges lie inside the scanned bytes, without the quotes, escapes as they stand.
    struct Event: Equatable {
        /// `choices[].delta.content` or `choices[].text`, not empty.
        var content: Range<Int>?
        /// `choices[].delta.reasoning_content`, `.reasoning` or `.tool_calls[].function.arguments`, not empty.
        var other: Range<Int>?
        var finish: Range<Int>?
        /// `usage`, `ferry` or `error` are there and not null.
        var needsParser = false
    }

    private enum Key { case delta, content, reasoning, arguments, text, finish, notable, other }

    /// - Returns: nil when the bytes are not one JSON object.
    static func scan(_ text: Span<UInt8>) -> Event? {
        var event = Event()
        var depth = 0
        var isInDelta = false
        var offset = 0
        /// The key whose value comes next.
        var key: Key?
        let count = text.count
        while offset < count {
            let byte = text[offset]
            switch byte {
            case UInt8(ascii: "\""):
                let start = offset + 1
                guard let end = endOfString(text, start) else { return nil }
                offset = end + 1
                if let known = key {
                    key = nil
                    if end > start { note(known, start..<end, depth, isInDelta, &event) }
                } else {
                    var next = offset
                    while next < count, isSpace(text[next]) { next += 1 }
                    if next < count, text[next] == UInt8(ascii: ":") {
                        key = keyKind(text, start..<end)
                        offset = next + 1
                    }
                }
                if depth == 0 { return nil }
                continue
            case UInt8(ascii: "{"), UInt8(ascii: "["):
                guard depth > 0 || (byte == UInt8(ascii: "{")) else { return nil }
                if depth == 1, key == .notable { event.needsParser = true }
                depth += 1
                if depth == 4 { isInDelta = key == .delta }
                key = nil
            case UInt8(ascii: "}"), UInt8(ascii: "]"):
                guard depth > 0 else { return nil }
                depth -= 1
                key = nil
                if depth == 0 { return onlySpace(text, from: offset + 1) ? event : nil }
            case UInt8(ascii: ","): key = nil
            case _ where isSpace(byte): break
            default:
                guard depth > 0 else { return nil }
                // A number, true, false or null.
                if depth == 1, key == .notable, byte != UInt8(ascii: "n") { event.needsParser = true }
                key = nil
            }
            offset += 1
        }
        return nil
    }

    /// Depth 3 is `{choices[{`, depth 4 `{choices[{delta{`, depth 7 `{choices[{delta{tool_calls[{function{`.
    private static func note(_ key: Key, _ value: Range<Int>, _ depth: Int, _ isInDelta: Bool, _ event: inout Event) {
        switch (key, depth) {
        case (.text, 3): event.content = value
        case (.content, 4) where isInDelta: event.content = value
        case (.reasoning, 4) where isInDelta, (.arguments, 7) where isInDelta: event.other = value
        case (.finish, 3): event.finish = value
        case (.notable, 1): event.needsParser = true
        default: break
        }
    }

    private static func endOfString(_ text: Span<UInt8>, _ start: Int) -> Int? {
        var offset = start
        while offset < text.count {
            switch text[offset] {
            case UInt8(ascii: "\""): return offset
            case UInt8(ascii: "\\"): offset += 2
            default: offset += 1
            }
        }
        return nil
    }

    private static func keyKind(_ text: Span<UInt8>, _ range: Range<Int>) -> Key {
        switch range.count {
        case 4 where equals(text, range, "text"): .text
        case 5 where equals(text, range, "delta"): .delta
        case 5 where equals(text, range, "usage") || equals(text, range, "ferry") || equals(text, range, "error"): .notable
        case 7 where equals(text, range, "content"): .content
        case 9 where equals(text, range, "reasoning"): .reasoning
        case 9 where equals(text, range, "arguments"): .arguments
        case 13 where equals(text, range, "finish_reason"): .finish
        case 17 where equals(text, range, "reasoning_content"): .reasoning
        default: .other
        }
    }

    private static func equals(_ text: Span<UInt8>, _ range: Range<Int>, _ word: String) -> Bool {
        var index = range.lowerBound
        for byte in word.utf8 {
            guard text[index] == byte else { return false }
            index += 1
        }
        return true
    }

    private static func onlySpace(_ text: Span<UInt8>, from start: Int) -> Bool {
        for index in start..<text.count where !isSpace(text[index]) { return false }
        return true
    }

    private static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 }
}
