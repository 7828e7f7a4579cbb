/// Bounds on a JSON text. Each is checked before memory is spent on what lies beyond it.
package struct JSONLimits: Sendable, Equatable {
    /// Arrays and objects inside one another. Beyond: refused.
    package var depth: Int
    /// Values in all. Beyond: refused.
    package var values: Int

    package init(depth: Int = 64, values: Int = 1_000_000) {
        self.depth = depth
        self.values = values
    }

    /// For files the operator put there, such as a tokenizer with 300,000 merges.
    package static let file = JSONLimits(depth: 64, values: 16_000_000)
}

/// Where and why a text is not JSON.
package struct JSONError: Error, Equatable, CustomStringConvertible {
    package let offset: Int
    package let reason: String

    package var description: String { "invalid JSON at byte \(offset): \(reason)" }
}

extension JSON {
    /// Parses one JSON text (RFC 8259): strict UTF-8, no comments, no trailing commas, nothing after the value.
    /// Duplicate keys are refused, since two readers would disagree on them. O(bytes).
    package init(parsing text: Span<UInt8>, limits: JSONLimits = JSONLimits()) throws(JSONError) {
        var parser = JSONParser(text, limits: limits)
        self = try parser.parseText()
    }

    package init(parsing text: String, limits: JSONLimits = JSONLimits()) throws(JSONError) {
        try self.init(parsing: text.utf8.span, limits: limits)
    }

    package init(parsing bytes: [UInt8], limits: JSONLimits = JSONLimits()) throws(JSONError) {
        try self.init(parsing: bytes.span, limits: limits)
    }
}

private struct JSONParser: ~Escapable {
    private let text: Span<UInt8>
    private let limits: JSONLimits
    private var offset = 0
    private var depth = 0
    private var values = 0

    @_lifetime(copy text)
    init(_ text: Span<UInt8>, limits: JSONLimits) {
        self.text = text
        self.limits = limits
    }

    mutating func parseText() throws(JSONError) -> JSON {
        skipSpace()
        let value = try parseValue()
        skipSpace()
        guard offset == text.count else { throw failure("text after the value") }
        return value
    }

    private func failure(_ reason: String) -> JSONError { JSONError(offset: offset, reason: reason) }

    private var next: UInt8? { offset < text.count ? text[offset] : nil }

    private mutating func skipSpace() {
        while offset < text.count {
            switch text[offset] {
            case 0x20, 0x0A, 0x0D, 0x09: offset += 1
            default: return
            }
        }
    }

    private mutating func parseValue() throws(JSONError) -> JSON {
        values += 1
        guard values <= limits.values else { throw failure("more than \(limits.values) values") }
        switch next {
        case UInt8(ascii: "{"): return try parseObject()
        case UInt8(ascii: "["): return try parseArray()
        case UInt8(ascii: "\""): return .string(try parseString())
        case UInt8(ascii: "t"):
            try expect("true")
            return .bool(true)
        case UInt8(ascii: "f"):
            try expect("false")
            return .bool(false)
        case UInt8(ascii: "n"):
            try expect("null")
            return .null
        case .some(UInt8(ascii: "-")), .some(UInt8(ascii: "0")...UInt8(ascii: "9")): return try parseNumber()
        case nil: throw failure("a value was expected, the text ends")
        default: throw failure("a value was expected")
        }
    }

    private mutating func expect(_ word: StaticString) throws(JSONError) {
        let count = word.utf8CodeUnitCount
        guard offset + count <= text.count else { throw failure("the text ends inside a word") }
        for index in 0..<count {
            guard unsafe text[offset + index] == word.utf8Start[index] else { throw failure("unknown word") }
        }
        offset += count
    }

    private mutating func descend() throws(JSONError) {
        depth += 1
        guard depth <= limits.depth else { throw failure("nested deeper than \(limits.depth)") }
        offset += 1
        skipSpace()
    }

    private mutating func parseArray() throws(JSONError) -> JSON {
        try descend()
        defer { depth -= 1 }
        var elements: [JSON] = []
        if next == UInt8(ascii: "]") {
            offset += 1
            return .array(elements)
        }
        while true {
            elements.append(try parseValue())
            skipSpace()
            switch next {
            case UInt8(ascii: ","):
                offset += 1
                skipSpace()
            case UInt8(ascii: "]"):
                offset += 1
                return .array(elements)
            default: throw failure("',' or ']' was expected")
            }
        }
    }

    private mutating func parseObject() throws(JSONError) -> JSON {
        try descend()
        defer { depth -= 1 }
        var object = JSONObject()
        if next == UInt8(ascii: "}") {
            offset += 1
            return .object(object)
        }
        while true {
            guard next == UInt8(ascii: "\"") else { throw failure("a key was expected") }
            let key = try parseString()
            guard object[key] == nil else { throw failure("the key \"\(key)\" stands twice") }
            skipSpace()
            guard next == UInt8(ascii: ":") else { throw failure("':' was expected") }
            offset += 1
            skipSpace()
            object[key] = try parseValue()
            skipSpace()
            switch next {
            case UInt8(ascii: ","):
                offset += 1
                skipSpace()
            case UInt8(ascii: "}"):
                offset += 1
                return .object(object)
            default: throw failure("',' or '}' was expected")
            }
        }
    }

    private mutating func parseNumber() throws(JSONError) -> JSON {
        let start = offset
        var whole = true
        if next == UInt8(ascii: "-") { offset += 1 }
        switch next {
        case UInt8(ascii: "0"): offset += 1
        case .some(UInt8(ascii: "1")...UInt8(ascii: "9")): skipDigits()
        default: throw failure("a digit was expected")
        }
        if next == UInt8(ascii: ".") {
            whole = false
            offset += 1
            try requireDigits()
        }
        if next == UInt8(ascii: "e") || next == UInt8(ascii: "E") {
            whole = false
            offset += 1
            if next == UInt8(ascii: "+") || next == UInt8(ascii: "-") { offset += 1 }
            try requireDigits()
        }
        if whole, let value = integer(from: start) { return .integer(value) }
        guard offset - start <= 400 else { throw failure("a number of more than 400 digits") }
        guard let value = Double(string(from: start, to: offset)), value.isFinite else {
            throw JSONError(offset: start, reason: "a number out of range")
        }
        return .number(value)
    }

    private mutating func skipDigits() {
        while let byte = next, byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") { offset += 1 }
    }

    private mutating func requireDigits() throws(JSONError) {
        let start = offset
        skipDigits()
        guard offset > start else { throw failure("a digit was expected") }
    }

    /// The digits from `start` to here as a signed 64-bit integer; nil on overflow.
    private func integer(from start: Int) -> Int64? {
        let negative = text[start] == UInt8(ascii: "-")
        var value: Int64 = 0
        for index in (negative ? start + 1 : start)..<offset {
            let digit = Int64(text[index] &- UInt8(ascii: "0"))
            let (product, overflow) = value.multipliedReportingOverflow(by: 10)
            let (sum, overflow2) = negative ? product.subtractingReportingOverflow(digit) : product.addingReportingOverflow(digit)
            if overflow || overflow2 { return nil }
            value = sum
        }
        return value
    }

    private func string(from start: Int, to end: Int) -> String {
        unsafe text.extracting(start..<end).withUnsafeBufferPointer { unsafe String(decoding: $0, as: UTF8.self) }
    }

    /// A string from its opening quote. Runs without escapes are validated and copied at once.
    private mutating func parseString() throws(JSONError) -> String {
        offset += 1
        let start = offset
        while offset < text.count {
            let byte = text[offset]
            if byte == UInt8(ascii: "\"") {
                let value = try validated(start, offset)
                offset += 1
                return value
            }
            if byte == UInt8(ascii: "\\") { return try parseEscaped(from: start) }
            guard byte >= 0x20 else { throw failure("a control character inside a string") }
            offset += 1
        }
        throw failure("the text ends inside a string")
    }

    private func validated(_ start: Int, _ end: Int) throws(JSONError) -> String {
        let part = text.extracting(start..<end)
        let value = unsafe part.withUnsafeBufferPointer { unsafe String(validating: $0, as: UTF8.self) }
        guard let value else { throw JSONError(offset: start, reason: "a string that is not UTF-8") }
        return value
    }

    private mutating func parseEscaped(from start: Int) throws(JSONError) -> String {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(offset - start + 32)
        for index in start..<offset { bytes.append(text[index]) }
        while offset < text.count {
            let byte = text[offset]
            offset += 1
            switch byte {
            case UInt8(ascii: "\""):
                guard let value = String(validating: bytes, as: UTF8.self) else {
                    throw JSONError(offset: start, reason: "a string that is not UTF-8")
                }
                return value
            case UInt8(ascii: "\\"): try parseEscape(into: &bytes)
            case 0..<0x20: throw failure("a control character inside a string")
            default: bytes.append(byte)
            }
        }
        throw failure("the text ends inside a string")
    }

    private mutating func parseEscape(into bytes: inout [UInt8]) throws(JSONError) {
        guard let byte = next else { throw failure("the text ends inside a string") }
        offset += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): bytes.append(byte)
        case UInt8(ascii: "b"): bytes.append(0x08)
        case UInt8(ascii: "f"): bytes.append(0x0C)
        case UInt8(ascii: "n"): bytes.append(0x0A)
        case UInt8(ascii: "r"): bytes.append(0x0D)
        case UInt8(ascii: "t"): bytes.append(0x09)
        case UInt8(ascii: "u"):
            let first = try parseHex4()
            var scalar = UInt32(first)
            if first & 0xFC00 == 0xD800 {
                guard next == UInt8(ascii: "\\") else { throw failure("half of a surrogate pair") }
                offset += 1
                guard next == UInt8(ascii: "u") else { throw failure("half of a surrogate pair") }
                offset += 1
                let second = try parseHex4()
                guard second & 0xFC00 == 0xDC00 else { throw failure("half of a surrogate pair") }
                scalar = 0x10000 + (UInt32(first & 0x3FF) << 10) + UInt32(second & 0x3FF)
            }
            guard let scalar = Unicode.Scalar(scalar) else { throw failure("half of a surrogate pair") }
            bytes.append(contentsOf: UTF8.encode(scalar)!)
        default: throw failure("unknown escape")
        }
    }

    private mutating func parseHex4() throws(JSONError) -> UInt16 {
        guard offset + 4 <= text.count else { throw failure("the text ends inside an escape") }
        var value: UInt16 = 0
        for _ in 0..<4 {
            let byte = text[offset]
            let digit: UInt8
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = byte - UInt8(ascii: "0")
            case UInt8(ascii: "a")...UInt8(ascii: "f"): digit = byte - UInt8(ascii: "a") + 10
            case UInt8(ascii: "A")...UInt8(ascii: "F"): digit = byte - UInt8(ascii: "A") + 10
            default: throw failure("four hexadecimal digits were expected")
            }
            value = value << 4 | UInt16(digit)
            offset += 1
        }
        return value
    }
}
