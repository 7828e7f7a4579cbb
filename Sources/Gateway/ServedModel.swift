package import Inference
internal import Platform
package import Tokenization

/// The model that the gateway speaks for: names, tokens and text. Immutable; any thread.
package struct ServedModel: Sendable {
    /// The first is what responses say; all are accepted in requests.
    package let names: [String]
    package let tokenizer: Tokenizer
    /// Nil for models without one: chat is refused then.
    package let template: ChatTemplate?
    /// Token ids are below it: rows of the model's embedding.
    package let vocabulary: Int
    /// Tokens that end an answer unless the request ignores them.
    package let endTokens: Set<TokenID>
    /// What the model's own generation settings say; members of a request override each.
    package let samplingDefaults: SamplingParameters
    /// Tokens of an answer at most when the request names no limit; nil: what fits. From the model's own generation settings.
    package let defaultMaxTokens: Int?
    /// Seconds since 1970; when it was loaded.
    package let created: Int64

    package init(
        names: [String], tokenizer: Tokenizer, template: ChatTemplate?, vocabulary: Int, endTokens: Set<TokenID>,
        samplingDefaults: SamplingParameters = SamplingParameters(), defaultMaxTokens: Int? = nil, created: Int64
    ) {
        precondition(!names.isEmpty && vocabulary > 0, "a model without name or vocabulary: \(names), \(vocabulary)")
        self.names = names
        self.tokenizer = tokenizer
        self.template = template
        self.vocabulary = vocabulary
        self.endTokens = endTokens
        self.samplingDefaults = samplingDefaults
        self.defaultMaxTokens = defaultMaxTokens
        self.created = created
    }

    package var name: String { names[0] }

    /// Requests may leave the name out: there is only one model.
    func check(name: String?) throws(APIError) {
        guard let name, !names.contains(name) else { return }
        throw APIError(.modelNotFound, "the model \"\(name)\" is not served here; \"\(self.name)\" is", param: "model")
    }

    // MARK: Text to tokens

    func tokens(text: String, addsSpecialTokens: Bool) throws(APIError) -> [TokenID] {
        let tokens: [TokenID]
        do {
            tokens = try tokenizer.encode(text, addSpecialTokens: addsSpecialTokens)
        } catch {
            switch error {
            case .textTooLong, .tooManyTokens: throw APIError(.contextLengthExceeded, error.description)
            case .patternTooCostly, .unknownTokenMissing: throw APIError(.invalidValue, error.description)
            case .unreadable, .notJSON, .invalid, .unsupported: throw APIError(.internalError, error.description)
            }
        }
        if let stranger = tokens.first(where: { $0 < 0 || Int($0) >= vocabulary }) {
            throw APIError(.invalidValue, "the text has the token \(stranger), which the model does not know; ids below \(vocabulary) were expected")
        }
        return tokens
    }

    func tokens(messages: [JSON], tools: [JSON], _ options: TemplateOptions) throws(APIError) -> [TokenID] {
        try tokens(text: try render(messages, tools, options), addsSpecialTokens: options.addsSpecialTokens)
    }

    private func render(_ messages: [JSON], _ tools: [JSON], _ options: TemplateOptions) throws(APIError) -> String {
        guard let template else {
            throw APIError(.unsupportedParameter, "the model \"\(name)\" has no chat template; use /v1/completions", param: "messages")
        }
        do {
            let text = try template.render(
                messages: messages, tools: tools.isEmpty ? nil : tools, addGenerationPrompt: options.addsGenerationPrompt,
                extra: options.variables, now: TemplateDate(unixSeconds: Int(WallClock.nanoseconds / 1_000_000_000)))
            return options.continuesFinalMessage ? try Self.cut(text, after: messages[messages.count - 1]["content"]?.string ?? "") : text
        } catch let error as TemplateError {
            switch error {
            case .raised(let message): throw APIError(.invalidValue, "messages: \(message)", param: "messages")
            case .failed, .exceeded: throw APIError(.invalidValue, error.description, param: "messages")
            case .syntax, .file, .configuration: throw APIError(.internalError, error.description)
            }
        } catch let error as APIError {
            throw error
        } catch {
            preconditionFailure("an error of another kind: \(error)")
        }
    }

    /// Ends `text` where the last message's content ends, so that the answer goes on from there. Templates may trim the content;
    /// its own white space at the end is kept where the template kept it.
    static func cut(_ text: String, after content: String) throws(APIError) -> String {
        let text = Array(text.utf8)[...]
        let whole = Array(content.utf8)
        let start = whole.firstIndex { !isSpace($0) } ?? whole.count
        let end = (whole.lastIndex { !isSpace($0) } ?? -1) + 1
        let core = whole[min(start, end)..<end]
        let tail = whole[end...]
        guard var place = lastOccurrence(of: core, in: text) else {
            throw APIError(
                .invalidValue, "continue_final_message: the last message's content does not appear in the rendered prompt", param: "messages")
        }
        place += core.count
        if text[place...].starts(with: tail) { place += tail.count }
        return String(decoding: text[..<place], as: UTF8.self)
    }

    private static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0D).contains(byte) }

    // MARK: Tokens to text

    func text(of tokens: [TokenID]) -> String { tokenizer.decode(tokens, skipSpecialTokens: false) }

    /// A token by itself, as log probabilities show it.
    func report(of token: TokenID, logprob: Float) -> TokenReport.Alternative {
        let bytes = tokenizer.bytes(of: token) ?? []
        return TokenReport.Alternative(text: tokenizer.text(of: token) ?? "", bytes: bytes, logprob: logprob)
    }
}
