/// Writes an event stream (WHATWG HTML, 9.2) into a byte buffer: LF only, a blank line after each frame.
package enum ServerSentEvents {
    /// The fields of a response that carries an event stream. `x-accel-buffering` keeps nginx from holding frames back.
    package static var headers: HTTPHeaders {
        ["content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache", "x-accel-buffering": "no"]
    }

    /// One event whose data `body` appends in place. Line ends within it become several `data` lines.
    package static func data(into buffer: inout [UInt8], _ body: (inout [UInt8]) -> Void) {
        buffer.append(contentsOf: "data: ".utf8)
        let start = buffer.count
        body(&buffer)
        // JSON has no raw line ends; the loop below is for other text.
        if buffer[start...].contains(where: { $0 == 0x0A || $0 == 0x0D }) { split(&buffer, from: start) }
        buffer.append(contentsOf: "\n\n".utf8)
    }

    package static func data(_ text: some Sequence<UInt8>, into buffer: inout [UInt8]) {
        data(into: &buffer) { $0.append(contentsOf: text) }
    }

    /// A frame that clients ignore; it keeps the connection from looking idle. Line ends become blanks.
    package static func comment(_ text: StaticString, into buffer: inout [UInt8]) {
        buffer.append(contentsOf: ": ".utf8)
        text.withUTF8Buffer { bytes in
            unsafe buffer.append(contentsOf: bytes.lazy.map { $0 == 0x0A || $0 == 0x0D ? 0x20 : $0 })
        }
        buffer.append(contentsOf: "\n\n".utf8)
    }

    /// The end mark of OpenAI's streams.
    package static func done(into buffer: inout [UInt8]) { data("[DONE]".utf8, into: &buffer) }

    private static func split(_ buffer: inout [UInt8], from start: Int) {
        let text = Array(buffer[start...])
        buffer.removeSubrange(start...)
        var afterCR = false
        for byte in text {
            defer { afterCR = byte == 0x0D }
            if byte == 0x0A, afterCR { continue }
            if byte == 0x0A || byte == 0x0D {
                buffer.append(contentsOf: "\ndata: ".utf8)
            } else {
                buffer.append(byte)
            }
        }
    }
}
