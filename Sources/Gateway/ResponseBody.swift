package import Inference
internal import Platform

/// One choice of a response that is sent as a whole.
package struct FinishedChoice: Sendable, Equatable {
    package var delta: ChoiceDelta
    package var finish: ChoiceFinish
    /// Goes before the text; completions that echo.
    package var echo = ""
    package var promptTokenIDs: [TokenID] = []

    package init(delta: ChoiceDelta, finish: ChoiceFinish) {
        self.delta = delta
        self.finish = finish
    }
}

/// The body of a response that is not streamed.
package enum ResponseBody {
    package static func bytes(
        _ header: ResponseHeader, _ choices: [FinishedChoice], usage: Usage, options: GenerationOptions, ferry: FerryReport?
    ) -> [UInt8] {
        var json = JSONWriter(capacity: 512 + choices.reduce(0) { $0 + $1.delta.text.utf8.count })
        json.beginObject()
        header.write(to: &json, streaming: false)
        json.key("choices")
        json.beginArray()
        for (index, choice) in choices.enumerated() { write(choice, index, header.kind, options, to: &json) }
        json.endArray()
        json.key("usage")
        usage.write(to: &json)
        if let ferry {
            json.key("ferry")
            ferry.write(to: &json)
        }
        json.endObject()
        return json.bytes
    }

    private static func write(
        _ choice: FinishedChoice, _ index: Int, _ kind: ResponseKind, _ options: GenerationOptions, to json: inout JSONWriter
    ) {
        let wantsLogprobs = options.sampling.topLogprobs != nil
        json.beginObject()
        json.field("index", index)
        switch kind {
        case .chat:
            json.key("message")
            json.beginObject()
            json.field("role", "assistant")
            json.field("content", choice.delta.text)
            json.key("refusal")
            json.null()
            json.endObject()
            json.key("logprobs")
            if wantsLogprobs { LogprobsWriter.chat(choice.delta.reports, to: &json) } else { json.null() }
        case .text:
            json.field("text", choice.echo + choice.delta.text)
            json.key("logprobs")
            var offset = 0
            if wantsLogprobs { LogprobsWriter.text(choice.delta.reports, offset: &offset, to: &json) } else { json.null() }
        }
        json.field("finish_reason", choice.finish.reason)
        EventWriter.writeStopReason(choice.finish, to: &json)
        if options.reportsTokenIDs {
            EventWriter.write(choice.delta.tokens, "token_ids", to: &json)
            EventWriter.write(choice.promptTokenIDs, "prompt_token_ids", to: &json)
        }
        json.endObject()
    }
}
