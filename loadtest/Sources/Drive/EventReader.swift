internal import Platform

/// Reads an event stream (WHATWG HTML, 9.2.6) piece by piece. Events that lie whole within a piece are handed on where they lie; only what is
/// cut by the end of a piece is copied. Lines end with LF, CR or CRLF; comments, other fields and empty events are skipped.
struct EventReader {
    enum Failure: Error, Equatable {
        case eventTooLong(limit: Int)
    }

    /// The longest event that is put together; beyond it the stream is given up.
    let limit: Int
    /// The beginning of a line whose end has not come.
    private var line: [UInt8] = []
    /// The data of the event so far, lines joined by LF, where it could not stay where it lay.
    private var data: [UInt8] = []
    private var hasData = false
    private var afterCR = false

    init(limit: Int) { self.limit = limit }

    /// - Parameter body: gets each event's data, valid for the call.
    mutating func receive(_ raw: RawSpan, _ body: (RawSpan) -> Void) throws(Failure) {
        let bytes = raw.octets
        var start = 0
        /// A data line of this piece that is the whole of the event so far.
        var held: Range<Int>?
        for offset in bytes.indices where bytes[offset] == 0x0A || bytes[offset] == 0x0D {
            let completesCRLF = bytes[offset] == 0x0A && afterCR && offset == start && line.isEmpty
            afterCR = bytes[offset] == 0x0D
            defer { start = offset + 1 }
            if completesCRLF { continue }
            if !line.isEmpty {
                // It began in an earlier piece, and nothing of this one is held yet.
                var whole: [UInt8] = []
                swap(&whole, &line)
                whole.append(raw.extracting(start..<offset))
                if let value = Self.value(whole.span) {
                    if hasData { data.append(0x0A) }
                    hasData = true
                    data.append(whole.rawSpan.extracting(value))
                }
                whole.removeAll(keepingCapacity: true)
                swap(&whole, &line)
            } else if offset == start {
                dispatch(raw, held, body)
                held = nil
            } else if let value = Self.value(bytes.extracting(start..<offset)) {
                let range = (start + value.lowerBound)..<(start + value.upperBound)
                if !hasData {
                    held = range
                    hasData = true
                } else {
                    if let first = held { data.append(raw.extracting(first)) }
                    held = nil
                    data.append(0x0A)
                    data.append(raw.extracting(range))
                }
            }
            guard data.count <= limit else { throw .eventTooLong(limit: limit) }
        }
        if let held { data.append(raw.extracting(held)) }
        line.append(raw.extracting(start..<raw.byteCount))
        guard line.count + data.count <= limit else { throw .eventTooLong(limit: limit) }
    }

    private mutating func dispatch(_ raw: RawSpan, _ held: Range<Int>?, _ body: (RawSpan) -> Void) {
        guard hasData else { return }
        hasData = false
        if let held { return body(raw.extracting(held)) }
        var whole: [UInt8] = []
        swap(&whole, &data)
        body(whole.rawSpan)
        whole.removeAll(keepingCapacity: true)
        swap(&whole, &data)
    }

    /// The part of a `data` line that counts; nil for every other line.
    private static func value(_ line: Span<UInt8>) -> Range<Int>? {
        guard line.count >= 4, line[0] == UInt8(ascii: "d"), line[1] == UInt8(ascii: "a"), line[2] == UInt8(ascii: "t"),
            line[3] == UInt8(ascii: "a")
        else { return nil }
        if line.count == 4 { return 4..<4 }
        guard line[4] == UInt8(ascii: ":") else { return nil }
        return (line.count > 5 && line[5] == 0x20 ? 6 : 5)..<line.count
    }
}
