package import Inference

/// Turns tokens into text one by one, as they are generated.
///
/// Everything it returns, joined, and `finish()` at the end, is what `Tokenizer.decode` returns for all the tokens at once. A
/// character is returned when its last byte is there. Byte-fallback tokens (`<0x0A>`) wait until a token that is none: the
/// decoder reads a run of them as a whole, and a single bad byte spoils it.
///
/// Constant time per token, but for the end of such a run. Belongs to one sequence; one thread at a time.
package struct IncrementalDetokenizer: Sendable {
    private let tokenizer: Tokenizer
    private let skipSpecialTokens: Bool
    private var isFirstToken = true
    private var isFirstElement = true
    private var fallbackRun: [UInt8] = []
    private var reader = LossyUTF8()
    private var textSteps: [GrowingTextStep]
    /// Joined, but not yet through `textSteps`.
    private var joined: [UInt8] = []

    package init(_ tokenizer: Tokenizer, skipSpecialTokens: Bool) {
        self.tokenizer = tokenizer
        self.skipSpecialTokens = skipSpecialTokens
        textSteps = tokenizer.tokenText.decoder.textSteps.map(GrowingTextStep.init)
    }

    /// The text that `id` completes; often empty. An id outside the vocabulary adds nothing.
    package mutating func append(_ id: TokenID) -> String {
        push(id)
        return String(decoding: settle(), as: UTF8.self)
    }

    /// The rest of the text. The detokenizer is then as new.
    package mutating func finish() -> String {
        let rest = finishBytes()
        self = IncrementalDetokenizer(tokenizer, skipSpecialTokens: skipSpecialTokens)
        return String(decoding: rest, as: UTF8.self)
    }

    /// All of `ids` at once.
    mutating func decode(_ ids: [TokenID]) -> String {
        for id in ids { push(id) }
        return String(decoding: finishBytes(), as: UTF8.self)
    }

    private mutating func finishBytes() -> [UInt8] {
        endFallbackRun()
        reader.finish(to: &joined)
        var rest = settle()
        for index in textSteps.indices {
            // What a step held back still has to pass the steps behind it.
            var late = textSteps[index].finish()
            for behind in (index + 1)..<max(index + 1, textSteps.count) { late = textSteps[behind].append(late) }
            rest.append(contentsOf: late)
        }
        return rest
    }

    private mutating func push(_ id: TokenID) {
        let table = tokenizer.tokenText
        guard table.isPresent(id), !(skipSpecialTokens && tokenizer.isSpecial(id)) else { return }
        defer { isFirstToken = false }
        if let byte = table.fallbackByte(id) { return fallbackRun.append(byte) }
        endFallbackRun()
        if isFirstElement || isFirstToken, table.decoder.treatsFirstTokenApart {
            join(table.bytesAtStart(of: id, isFirst: isFirstToken, isFirstElement: isFirstElement)[...])
        } else {
            join(table.bytes(of: id))
        }
    }

    /// A run of byte tokens is one text if it is UTF-8 as a whole, otherwise a replacement character for each byte.
    private mutating func endFallbackRun() {
        guard !fallbackRun.isEmpty else { return }
        if String(validating: fallbackRun, as: UTF8.self) != nil {
            join(tokenizer.tokenText.finish(fallbackRun, isFirst: isFirstElement)[...])
        } else {
            for _ in fallbackRun { join(tokenizer.tokenText.finish(Array("\u{FFFD}".utf8), isFirst: isFirstElement)[...]) }
        }
        fallbackRun.removeAll(keepingCapacity: true)
    }

    private mutating func join(_ bytes: ArraySlice<UInt8>) {
        switch tokenizer.tokenText.decoder.joining {
        case .bytes: reader.append(bytes, to: &joined)
        case .plain: joined.append(contentsOf: bytes)
        case .spaced:
            if !isFirstElement { joined.append(UInt8(ascii: " ")) }
            joined.append(contentsOf: bytes)
        }
        isFirstElement = false
    }

    private mutating func settle() -> [UInt8] {
        var text: [UInt8] = []
        swap(&text, &joined)
        for index in textSteps.indices { text = textSteps[index].append(text) }
        return text
    }
}
