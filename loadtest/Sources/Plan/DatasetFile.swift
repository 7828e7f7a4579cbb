internal import Platform

/// A file of requests, mapped; errors name the file, the place, what was found and what was expected.
struct DatasetFile: Sendable {
    let path: String
    let file: MappedFile

    /// Bytes of one line, or of one element of an array.
    static let mostBytes = 16 << 20
    /// Lines or elements.
    static let mostEntries = 1_000_000

    init(path: String) throws(PlanError) {
        do throws(FileError) { file = try MappedFile(path: path) } catch { throw PlanError("\(error)") }
        self.path = path
        guard file.count > 0 else { throw PlanError("\(path) is empty, requests were expected") }
    }

    private static let feed = UInt8(ascii: "\n")

    /// Calls `body` for each line that is not blank, without its end, until it says false.
    func forEachLine(_ body: (_ number: Int, _ range: Range<Int>) throws(PlanError) -> Bool) throws(PlanError) {
        let bytes = Span<UInt8>(_bytes: file.bytes)
        var start = 0
        var number = 0
        while start < bytes.count {
            var end = start
            while end < bytes.count, bytes[end] != Self.feed {
                end += 1
                guard end - start <= Self.mostBytes else { throw error(line: number + 1, "is longer than \(Self.mostBytes) bytes") }
            }
            number += 1
            guard number <= Self.mostEntries else { throw PlanError("\(path) has more than \(Self.mostEntries) lines") }
            var last = end
            while last > start, Self.isSpace(bytes[last - 1]) { last -= 1 }
            if last > start, try !body(number, start..<last) { return }
            start = end + 1
        }
    }

    /// Calls `body` for each element of the array that the file is, until it says false. An element's own syntax is not checked.
    func forEachElement(_ body: (_ number: Int, _ range: Range<Int>) throws(PlanError) -> Bool) throws(PlanError) {
        let bytes = Span<UInt8>(_bytes: file.bytes)
        var offset = skipSpace(bytes, 0)
        guard offset < bytes.count, bytes[offset] == UInt8(ascii: "[") else {
            throw PlanError("\(path) is no JSON array, one of conversations was expected")
        }
        offset = skipSpace(bytes, offset + 1)
        var number = 0
        while true {
            guard offset < bytes.count else { throw PlanError("\(path) ends inside its array, ']' was expected") }
            if number == 0, bytes[offset] == UInt8(ascii: "]") { return }
            number += 1
            guard number <= Self.mostEntries else { throw PlanError("\(path) has more than \(Self.mostEntries) elements") }
            let end = try endOfElement(bytes, offset, number)
            guard try body(number, offset..<end) else { return }
            offset = skipSpace(bytes, end)
            guard offset < bytes.count else { continue }
            if bytes[offset] == UInt8(ascii: "]") { return }
            guard bytes[offset] == UInt8(ascii: ",") else {
                throw error(element: number, "is followed by byte \(bytes[offset]) at \(offset), ',' or ']' was expected")
            }
            offset = skipSpace(bytes, offset + 1)
        }
    }

    /// Behind the object that begins at `start`.
    private func endOfElement(_ bytes: Span<UInt8>, _ start: Int, _ number: Int) throws(PlanError) -> Int {
        guard bytes[start] == UInt8(ascii: "{") else {
            throw error(element: number, "begins with byte \(bytes[start]), an object was expected")
        }
        var depth = 0
        var isString = false
        var offset = start
        while offset < bytes.count {
            guard offset - start < Self.mostBytes else { throw error(element: number, "is longer than \(Self.mostBytes) bytes") }
            let byte = bytes[offset]
            offset += 1
            if isString {
                if byte == UInt8(ascii: "\\") { offset += 1 } else if byte == UInt8(ascii: "\"") { isString = false }
                continue
            }
            switch byte {
            case UInt8(ascii: "\""): isString = true
            case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
            case UInt8(ascii: "}"), UInt8(ascii: "]"):
                depth -= 1
                if depth == 0 { return offset }
            default: break
            }
        }
        throw error(element: number, "has no end")
    }

    private func skipSpace(_ bytes: Span<UInt8>, _ start: Int) -> Int {
        var offset = start
        while offset < bytes.count, Self.isSpace(bytes[offset]) { offset += 1 }
        return offset
    }

    private static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 }

    func json(_ range: Range<Int>) throws(JSONError) -> JSON {
        try JSON(parsing: Span<UInt8>(_bytes: file.bytes.extracting(range)))
    }

    /// The object at `range`, for messages that call it `place`.
    func object(_ range: Range<Int>, place: String) throws(PlanError) -> DatasetObject {
        let value: JSON
        do throws(JSONError) { value = try json(range) } catch { throw PlanError("\(path) \(place): \(error)") }
        guard let object = value.object else { throw PlanError("\(path) \(place) is \(value.kind), an object was expected") }
        return DatasetObject(place: "\(path) \(place)", object: object)
    }

    func text(_ range: Range<Int>) -> String {
        let bytes = Span<UInt8>(_bytes: file.bytes.extracting(range))
        var copy: [UInt8] = []
        copy.reserveCapacity(range.count)
        for index in 0..<bytes.count { copy.append(bytes[index]) }
        return String(decoding: copy, as: UTF8.self)
    }

    func error(line: Int, _ what: String) -> PlanError { PlanError("\(path) line \(line) \(what)") }
    func error(element: Int, _ what: String) -> PlanError { PlanError("\(path) element \(element) \(what)") }
}

/// One entry of a file, whose fields are read with their bounds.
struct DatasetObject {
    let place: String
    let object: JSONObject

    subscript(_ field: String) -> JSON? {
        guard let value = object[field], !value.isNull else { return nil }
        return value
    }

    func integer(_ field: String, in range: ClosedRange<Int>) throws(PlanError) -> Int {
        guard let value = try optionalInteger(field, in: range) else { throw missing(field, "an integer") }
        return value
    }

    func optionalInteger(_ field: String, in range: ClosedRange<Int>) throws(PlanError) -> Int? {
        guard let value = self[field] else { return nil }
        guard let integer = value.integer, range.contains(integer) else {
            throw wrong(field, value, "an integer from \(range.lowerBound) to \(range.upperBound)")
        }
        return integer
    }

    /// Milliseconds, at most a year.
    func optionalMilliseconds(_ field: String) throws(PlanError) -> Duration? {
        guard let value = self[field] else { return nil }
        guard let number = value.double, number >= 0, number <= 31_536_000_000 else {
            throw wrong(field, value, "milliseconds from 0 to 31536000000")
        }
        return .nanoseconds(Int64((number * 1e6).rounded()))
    }

    func missing(_ field: String, _ expected: String) -> PlanError {
        PlanError("\(place): `\(field)` is missing, \(expected) was expected")
    }

    func wrong(_ field: String, _ value: JSON, _ expected: String) -> PlanError {
        let text = value.text
        return PlanError("\(place): `\(field)` is \(text.utf8.count > 80 ? value.kind : text), \(expected) was expected")
    }
}
