/// Finds the lines of a head or of a trailer section as the bytes come in, each byte looked at once.
///
/// A line ends with CRLF and nothing else; CR, LF, NUL and other control characters inside one are refused where they stand.
/// The result does not depend on how the input was cut.
struct HTTP1LineScanner {
    /// The first line has a limit of its own when this is a head.
    let hasStartLine: Bool
    /// Lines without their CRLF, as offsets from the section's start. The empty last line is not among them.
    private(set) var lines: [Range<Int>] = []
    private var offset = 0
    private var lineStart = 0
    private var afterCR = false
    private var fieldsStart = 0
    private var skippedBlank = false

    init(hasStartLine: Bool) { self.hasStartLine = hasStartLine }

    /// Whether anything was scanned yet.
    var isFresh: Bool { offset == 0 }

    /// Goes on with `bytes`, which begin at the section's start. Returns the section's length, the last CRLF included, once it is complete.
    mutating func scan(_ bytes: ArraySlice<UInt8>, limits: HTTPLimits) throws(HTTP1Refusal) -> Int? {
        let base = bytes.startIndex
        let count = bytes.count
        while offset < count {
            let byte = bytes[base + offset]
            offset += 1
            if afterCR {
                guard byte == 0x0A else { throw HTTP1Refusal(400, "a carriage return stands without a line feed") }
                afterCR = false
                if try endLine(limits) { return offset }
                continue
            }
            switch byte {
            case 0x0D: afterCR = true
            case 0x0A: throw HTTP1Refusal(400, "a line feed stands without a carriage return")
            case _ where FieldSyntax.isValue(byte): break
            default: throw HTTP1Refusal(400, "a control character stands in the head")
            }
            if lines.isEmpty && hasStartLine {
                if offset - lineStart > limits.maximumRequestLine + 1 {
                    throw HTTP1Refusal(414, "the request line exceeds \(limits.maximumRequestLine) bytes")
                }
            } else if offset - fieldsStart > limits.maximumHeaderBytes {
                throw HTTP1Refusal(431, "the header fields exceed \(limits.maximumHeaderBytes) bytes")
            }
        }
        return nil
    }

    /// Takes the line that ended at `offset`; true when it was the empty one that ends the section.
    private mutating func endLine(_ limits: HTTPLimits) throws(HTTP1Refusal) -> Bool {
        let line = lineStart..<(offset - 2)
        lineStart = offset
        if lines.isEmpty && hasStartLine {
            if line.isEmpty {
                // RFC 9112, 2.2: one empty line before a request is skipped.
                guard !skippedBlank else { throw HTTP1Refusal(400, "the request begins with empty lines") }
                skippedBlank = true
                return false
            }
            fieldsStart = offset
        } else if line.isEmpty {
            return true
        }
        guard lines.count < limits.maximumHeaderCount + (hasStartLine ? 1 : 0) else {
            throw HTTP1Refusal(431, "there are more than \(limits.maximumHeaderCount) header fields")
        }
        lines.append(line)
        return false
    }
}
