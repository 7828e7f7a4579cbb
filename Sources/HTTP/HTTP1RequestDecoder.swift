/// A piece of a request.
enum HTTP1Element: Equatable {
    case head(HTTP1RequestHead)
    case body([UInt8])
    case end(trailers: HTTPHeaders)
}

/// Bytes to requests, one element at a time; who stops asking pauses the client.
///
/// A request without a body is its head alone: no `end` follows. The sequence of elements, body pieces joined,
/// does not depend on how the input was cut. After a refusal the decoder gives nothing more.
struct HTTP1RequestDecoder {
    private enum State: Equatable {
        /// Exits: `length`, `chunkLine`, itself.
        case head
        /// Exits: `head`.
        case length(remaining: Int)
        /// Exits: `chunk`, `trailers`.
        case chunkLine
        /// Exits: `chunkEnd`.
        case chunk(remaining: Int)
        /// Exits: `chunkLine`.
        case chunkEnd
        /// Exits: `head`.
        case trailers
        case refused
    }

    private let limits: HTTPLimits
    private let scheme: String
    private var state = State.head
    private var scanner = HTTP1LineScanner(hasStartLine: true)
    private var buffer: [UInt8] = []
    private var cursor = 0
    /// Bytes of chunk extensions in this body.
    private var extensionBytes = 0

    init(limits: HTTPLimits, scheme: String) {
        self.limits = limits
        self.scheme = scheme
    }

    var bufferedCount: Int { buffer.count - cursor }
    var isBetweenRequests: Bool { state == .head && bufferedCount == 0 }
    /// A head has begun and is not complete.
    var isMidHead: Bool { state == .head && bufferedCount > 0 }

    mutating func append(_ bytes: RawSpan) {
        unsafe bytes.withUnsafeBytes { unsafe buffer.append(contentsOf: $0) }
    }

    /// Gives up what was not parsed: after an upgrade it belongs to HTTP/2.
    mutating func takeRemainder() -> [UInt8] {
        defer { discard() }
        return Array(buffer[cursor...])
    }

    mutating func discard() {
        buffer = []
        cursor = 0
    }

    /// The next element, its body piece of at most `maximumBody` (> 0) bytes; `nil` when more input is needed.
    mutating func next(maximumBody: Int) throws(HTTP1Refusal) -> HTTP1Element? {
        do {
            return try step(maximumBody)
        } catch {
            state = .refused
            discard()
            throw error
        }
    }

    private mutating func step(_ maximumBody: Int) throws(HTTP1Refusal) -> HTTP1Element? {
        while true {
            switch state {
            case .refused:
                return nil
            case .head:
                guard let length = try scanner.scan(buffer[cursor...], limits: limits) else { return nil }
                return .head(try head(length))
            case .length(0):
                state = .head
                scanner = HTTP1LineScanner(hasStartLine: true)
                return .end(trailers: [:])
            case .length(let remaining):
                guard let piece = take(min(remaining, maximumBody)) else { return nil }
                state = .length(remaining: remaining - piece.count)
                return .body(piece)
            case .chunk(0):
                state = .chunkEnd
            case .chunk(let remaining):
                guard let piece = take(min(remaining, maximumBody)) else { return nil }
                state = .chunk(remaining: remaining - piece.count)
                return .body(piece)
            case .chunkLine:
                guard let size = try chunkSize() else { return nil }
                state = size == 0 ? .trailers : .chunk(remaining: size)
                if size == 0 { scanner = HTTP1LineScanner(hasStartLine: false) }
            case .chunkEnd:
                // Both bytes are judged as they come, so that the verdict does not wait for the second.
                if bufferedCount >= 1, buffer[cursor] != 0x0D { throw HTTP1Refusal(400, "a chunk is longer than its size") }
                guard bufferedCount >= 2 else { return nil }
                guard buffer[cursor + 1] == 0x0A else { throw HTTP1Refusal(400, "a chunk is longer than its size") }
                advance(2)
                state = .chunkLine
            case .trailers:
                guard let length = try scanner.scan(buffer[cursor...], limits: limits) else { return nil }
                return .end(trailers: try trailers(length))
            }
        }
    }

    private mutating func head(_ length: Int) throws(HTTP1Refusal) -> HTTP1RequestHead {
        let section = buffer[cursor..<(cursor + length)]
        let request = try HTTP1HeadParser(bytes: section, lines: scanner.lines, defaultScheme: scheme).parse()
        advance(length)
        scanner = HTTP1LineScanner(hasStartLine: true)
        extensionBytes = 0
        switch request.framing {
        case .none: state = .head
        case .length(let count): state = .length(remaining: count)
        case .chunked: state = .chunkLine
        }
        return request
    }

    private mutating func trailers(_ length: Int) throws(HTTP1Refusal) -> HTTPHeaders {
        let section = buffer[cursor..<(cursor + length)]
        let fields = try HTTP1HeadParser.fields(
            scanner.lines.map { section[(cursor + $0.lowerBound)..<(cursor + $0.upperBound)] })
        for name in ["transfer-encoding", "content-length", "host"] where fields.contains(name) {
            throw HTTP1Refusal(400, "a trailer section holds \(name)")
        }
        advance(length)
        state = .head
        scanner = HTTP1LineScanner(hasStartLine: true)
        return fields
    }

    /// chunk-size [ ";" extension ] CRLF. Extensions are skipped, and bounded.
    private mutating func chunkSize() throws(HTTP1Refusal) -> Int? {
        var size = 0, digits = 0, index = cursor, inExtension = false
        while index < buffer.count {
            let byte = buffer[index]
            guard index - cursor <= limits.maximumChunkLine else { throw HTTP1Refusal(400, "a chunk-size line is too long") }
            if byte == 0x0D {
                guard digits > 0 else { throw HTTP1Refusal(400, "a chunk has no size") }
                guard index + 1 < buffer.count else { return nil }
                guard buffer[index + 1] == 0x0A else { throw HTTP1Refusal(400, "a chunk-size line has no proper end") }
                extensionBytes += index - cursor - digits
                guard extensionBytes <= 16 * limits.maximumChunkLine else { throw HTTP1Refusal(400, "too many chunk extensions") }
                advance(index + 2 - cursor)
                return size
            }
            if inExtension {
                guard FieldSyntax.isValue(byte) else { throw HTTP1Refusal(400, "a chunk extension is malformed") }
            } else if let digit = FieldSyntax.hexDigit(byte) {
                // 15 digits stay below 2^60.
                guard digits < 15 else { throw HTTP1Refusal(400, "a chunk size is too large") }
                size = size << 4 | digit
                digits += 1
            } else {
                guard byte == UInt8(ascii: ";"), digits > 0 else { throw HTTP1Refusal(400, "a chunk size is malformed") }
                inExtension = true
            }
            index += 1
        }
        return nil
    }

    /// Up to `maximum` bytes; `nil` when there are none.
    private mutating func take(_ maximum: Int) -> [UInt8]? {
        let count = min(maximum, bufferedCount)
        guard count > 0 else { return nil }
        let piece = Array(buffer[cursor..<(cursor + count)])
        advance(count)
        return piece
    }

    private mutating func advance(_ count: Int) {
        cursor += count
        if cursor == buffer.count {
            buffer.removeAll(keepingCapacity: buffer.capacity <= 64 << 10)
            cursor = 0
        } else if cursor >= 32 << 10, cursor * 2 >= buffer.count {
            buffer.removeFirst(cursor)
            cursor = 0
        }
    }
}
