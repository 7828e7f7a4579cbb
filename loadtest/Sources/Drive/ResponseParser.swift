internal import HTTP
internal import Platform

/// What is wrong with the bytes of an HTTP/1.1 response.
struct ResponseError: Error, Equatable, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}

/// A strict parser of HTTP/1.1 responses (RFC 9112), one after the other, as the bytes come in. Bodies are not copied: it says where they lie.
///
/// Lines end with CRLF and nothing else. Informational responses are skipped. Head and chunk lines are bounded.
struct ResponseParser {
    enum Piece: Equatable {
        case head(status: Int, HTTPHeaders)
        /// Part of the body: this range of the bytes given.
        case body(Range<Int>)
        case end
        /// Everything was used.
        case needsMore
    }

    /// idle → head → (length | chunkSize → chunk → chunkEnd → chunkSize | untilClose) → idle; chunkSize → trailers → idle.
    private enum State: Equatable {
        case idle, head, length(Int), chunkSize, chunk(Int), chunkEnd, trailers, untilClose
    }

    static let longestHead = 64 << 10
    private static let longestLine = 4 << 10

    private var state = State.idle
    /// Whether the connection may carry another request after this response.
    private(set) var keepsAlive = true
    /// The head, or the line, so far.
    private var gathered: [UInt8] = []

    /// Whether a response is expected or under way.
    var isBusy: Bool { state != .idle }
    /// Whether something of the response has come.
    var hasBegun: Bool { state != .idle && (state != .head || !gathered.isEmpty) }

    /// A request has been sent.
    mutating func expect() {
        precondition(state == .idle, "a request before the response to the one before it is complete")
        state = .head
    }

    /// Goes on at `offset`, which moves past what was used. Call it until `needsMore`.
    mutating func next(_ raw: RawSpan, _ offset: inout Int) throws(ResponseError) -> Piece {
        let bytes = raw.octets
        while true {
            if state == .length(0) { return finish() }
            guard offset < bytes.count else { return .needsMore }
            switch state {
            case .idle: throw ResponseError("bytes that belong to no request")
            case .head:
                guard try gather(bytes, &offset, until: .blankLine) else { continue }
                if let piece = try head() { return piece }
            case .length(let left):
                let part = min(left, bytes.count - offset)
                offset += part
                state = .length(left - part)
                return .body((offset - part)..<offset)
            case .chunkSize:
                guard try gather(bytes, &offset, until: .line) else { continue }
                let size = try chunkSize()
                state = size == 0 ? .trailers : .chunk(size)
            case .chunk(let left):
                let part = min(left, bytes.count - offset)
                offset += part
                state = left == part ? .chunkEnd : .chunk(left - part)
                return .body((offset - part)..<offset)
            case .chunkEnd:
                guard try gather(bytes, &offset, until: .line) else { continue }
                guard gathered.count == 2 else { throw ResponseError("a chunk is longer than its size") }
                gathered.removeAll(keepingCapacity: true)
                state = .chunkSize
            case .trailers:
                guard try gather(bytes, &offset, until: .line) else { continue }
                let isLast = gathered.count == 2
                gathered.removeAll(keepingCapacity: true)
                if isLast { return finish() }
            case .untilClose:
                let start = offset
                offset = bytes.count
                return .body(start..<offset)
            }
        }
    }

    /// The server has ended its direction.
    ///
    /// - Returns: `end` where that completes a body.
    mutating func close() throws(ResponseError) -> Piece {
        switch state {
        case .idle: return .needsMore
        case .untilClose: return finish()
        case .head where gathered.isEmpty: throw ResponseError("the server closed the connection without an answer")
        default: throw ResponseError("the server closed the connection in the middle of an answer")
        }
    }

    private mutating func finish() -> Piece {
        state = .idle
        return .end
    }

    // MARK: Lines

    private enum End { case line, blankLine }

    /// Moves bytes to `gathered` up to and with the end that is looked for.
    private mutating func gather(_ bytes: Span<UInt8>, _ offset: inout Int, until end: End) throws(ResponseError) -> Bool {
        let limit = end == .blankLine ? Self.longestHead : Self.longestLine
        while offset < bytes.count {
            let byte = bytes[offset]
            offset += 1
            if byte == 0x0A, gathered.last != 0x0D { throw ResponseError("a line feed stands without a carriage return") }
            if byte != 0x0A, gathered.last == 0x0D { throw ResponseError("a carriage return stands without a line feed") }
            gathered.append(byte)
            guard gathered.count <= limit else { throw ResponseError("a head or line exceeds \(limit) bytes") }
            guard byte == 0x0A else { continue }
            if end == .line { return true }
            let count = gathered.count
            if count >= 4, gathered[count - 3] == 0x0A { return true }
        }
        return false
    }

    private mutating func chunkSize() throws(ResponseError) -> Int {
        var size = 0
        var digits = 0
        loop: for byte in gathered.dropLast(2) {
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): size = size << 4 | Int(byte - UInt8(ascii: "0"))
            case UInt8(ascii: "a")...UInt8(ascii: "f"): size = size << 4 | Int(byte - UInt8(ascii: "a") + 10)
            case UInt8(ascii: "A")...UInt8(ascii: "F"): size = size << 4 | Int(byte - UInt8(ascii: "A") + 10)
            case UInt8(ascii: ";"), UInt8(ascii: " "), UInt8(ascii: "\t"): break loop
            default: throw ResponseError("a chunk's size is malformed")
            }
            digits += 1
            guard digits <= 12 else { throw ResponseError("a chunk's size is malformed") }
        }
        guard digits > 0 else { throw ResponseError("a chunk's size is malformed") }
        gathered.removeAll(keepingCapacity: true)
        return size
    }

    // MARK: Head

    /// - Returns: nil for an informational response.
    private mutating func head() throws(ResponseError) -> Piece? {
        let lines = gathered.dropLast(4).split(separator: 0x0A, omittingEmptySubsequences: false)
        gathered = []
        guard let first = lines.first else { throw ResponseError("a response without a status line") }
        let (status, isOld) = try Self.status(first)
        if status < 200 {
            guard status != 101 else { throw ResponseError("the server switched protocols unasked") }
            return nil
        }
        let headers = try Self.fields(lines.dropFirst())
        keepsAlive = !headers.list("connection", contains: "close") && (!isOld || headers.list("connection", contains: "keep-alive"))
        try frame(status, headers)
        return .head(status: status, headers)
    }

    /// RFC 9112, 6.3, for the answer to a request that was neither HEAD nor CONNECT.
    private mutating func frame(_ status: Int, _ headers: HTTPHeaders) throws(ResponseError) {
        let codings = headers.values("transfer-encoding")
        let lengths = headers.values("content-length")
        if status == 204 || status == 304 {
            state = .length(0)
        } else if !codings.isEmpty {
            guard lengths.isEmpty else { throw ResponseError("both Transfer-Encoding and Content-Length") }
            guard codings.count == 1, codings[0].lowercased() == "chunked" else {
                throw ResponseError("the Transfer-Encoding is \(codings.joined(separator: ", ")), not chunked")
            }
            state = .chunkSize
        } else if let text = lengths.first {
            guard lengths.count == 1, text.utf8.count <= 18, !text.isEmpty, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
                let length = Int(text)
            else { throw ResponseError("the Content-Length is malformed") }
            state = .length(length)
        } else {
            keepsAlive = false
            state = .untilClose
        }
    }

    /// `HTTP/1.1 200 OK`, the reason optional.
    private static func status(_ line: ArraySlice<UInt8>) throws(ResponseError) -> (Int, isOld: Bool) {
        let line = trimmedEnd(line)
        let isOld = line.starts(with: "HTTP/1.0 ".utf8)
        let digits = line.dropFirst(9).prefix(3)
        let after = line.dropFirst(12).first
        guard isOld || line.starts(with: "HTTP/1.1 ".utf8), digits.count == 3, digits.allSatisfy({ (0x30...0x39).contains($0) }),
            after == nil || after == 0x20
        else { throw ResponseError("this is not HTTP/1.1: \(String(decoding: line.prefix(40), as: UTF8.self))") }
        let status = digits.reduce(0) { $0 * 10 + Int($1 - 0x30) }
        guard status >= 100, status < 600 else { throw ResponseError("the status \(status) does not exist") }
        return (status, isOld)
    }

    private static func fields(_ lines: ArraySlice<ArraySlice<UInt8>>) throws(ResponseError) -> HTTPHeaders {
        var headers = HTTPHeaders()
        for line in lines {
            let line = trimmedEnd(line)
            guard let colon = line.firstIndex(of: UInt8(ascii: ":")), colon > line.startIndex,
                line[..<colon].allSatisfy({ $0 > 0x20 && $0 < 0x7F })
            else { throw ResponseError("a header field is malformed") }
            let name = String(decoding: line[..<colon], as: UTF8.self).lowercased()
            let value = trimmedEnd(line[(colon + 1)...].drop { $0 == 0x20 || $0 == 0x09 })
            headers.append(name, String(decoding: value, as: UTF8.self))
        }
        return headers
    }

    private static func trimmedEnd(_ line: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        var line = line
        while let last = line.last, last == 0x0D || last == 0x20 || last == 0x09 { line.removeLast() }
        return line
    }
}
