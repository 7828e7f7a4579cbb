internal import Platform

/// The two shapes of `logprobs`.
enum LogprobsWriter {
    /// JSON has no infinity; −9999 is what clients of the OpenAI API know for "impossible".
    private static func finite(_ logprob: Float) -> Double { Double(max(-9999, logprob)) }

    /// `{"content":[{"token","logprob","bytes","top_logprobs"}],"refusal":null}`
    static func chat(_ reports: [TokenReport], to writer: inout JSONWriter) {
        writer.beginObject()
        writer.key("content")
        writer.beginArray()
        for report in reports {
            writer.beginObject()
            members(of: report.token, to: &writer)
            writer.key("top_logprobs")
            writer.beginArray()
            for alternative in report.alternatives {
                writer.beginObject()
                members(of: alternative, to: &writer)
                writer.endObject()
            }
            writer.endArray()
            writer.endObject()
        }
        writer.endArray()
        writer.key("refusal")
        writer.null()
        writer.endObject()
    }

    private static func members(of token: TokenReport.Alternative, to writer: inout JSONWriter) {
        writer.field("token", token.text)
        writer.field("logprob", finite(token.logprob))
        writer.key("bytes")
        writer.beginArray()
        for byte in token.bytes { writer.integer(byte) }
        writer.endArray()
    }

    /// `{"tokens","token_logprobs","top_logprobs","text_offset"}`
    ///
    /// - Parameter offset: code points of the answer before the first of these tokens; moved past the last.
    static func text(_ reports: [TokenReport], offset: inout Int, to writer: inout JSONWriter) {
        writer.beginObject()
        writer.key("tokens")
        writer.beginArray()
        for report in reports { writer.string(report.token.text) }
        writer.endArray()
        writer.key("token_logprobs")
        writer.beginArray()
        for report in reports { writer.number(finite(report.token.logprob)) }
        writer.endArray()
        writer.key("top_logprobs")
        writer.beginArray()
        for report in reports {
            writer.beginObject()
            // Different tokens can have the same text; an object names each once, the likeliest counts.
            var seen: Set<String> = []
            for alternative in report.alternatives where seen.insert(alternative.text).inserted {
                writer.field(alternative.text, finite(alternative.logprob))
            }
            if seen.insert(report.token.text).inserted { writer.field(report.token.text, finite(report.token.logprob)) }
            writer.endObject()
        }
        writer.endArray()
        writer.key("text_offset")
        writer.beginArray()
        for report in reports {
            writer.integer(offset)
            offset += report.token.text.unicodeScalars.count
        }
        writer.endArray()
        writer.endObject()
    }
}
