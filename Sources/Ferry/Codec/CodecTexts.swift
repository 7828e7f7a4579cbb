internal import Foundation
internal import Inference
internal import Platform
internal import Tokenization

/// The windows and tasks that codecs are measured on.
struct CodecTexts {
    private let directory: String
    let tokenizer: Tokenizer
    /// What the tokenizer puts before a text.
    let opening: [TokenID]

    /// Bytes of a text at most. Beyond: refused.
    static let mostBytes = 256 << 20
    /// Cut before it is turned into tokens: more is never looked at.
    private static let usefulBytes = 16 << 20

    init(model directory: String) throws {
        self.directory = directory
        tokenizer = try Tokenizer(directory: directory)
        opening = try tokenizer.encode("", addSpecialTokens: true)
    }

    /// All tokens of a text: plain; a `.json` array of strings, which are put together; or chats, one behind the other.
    func tokens(_ file: String, option: String = "--text") throws -> [TokenID] {
        if file.hasSuffix(".jsonl") {
            return try tasks(file, option: option).flatMap { try $0.prompt + tokenizer.encode($0.answer, addSpecialTokens: false) }
        }
        var text = try self.text(file, option)
        if file.hasSuffix(".json") {
            guard let parts = (try? JSON(parsing: Array(text.utf8)))?.array?.map(\.string), parts.allSatisfy({ $0 != nil }) else {
                throw CommandFailure("\(option): \(file) is no array of strings")
            }
            text = parts.compactMap(\.self).joined(separator: "\n\n")
        }
        if text.utf8.count > Self.usefulBytes { text = String(decoding: text.utf8.prefix(Self.usefulBytes), as: UTF8.self) }
        return try tokenizer.encode(text, addSpecialTokens: false)
    }

    /// At most `windows` stretches of the texts, as many of each as of the others.
    func windows(_ files: [String], prompt: Int, positions: Int, windows: Int) throws -> [TextWindow] {
        try files.enumerated().flatMap { index, file in
            let share = (index + 1) * windows / files.count - index * windows / files.count
            return share == 0 ? [] : try self.windows(file, prompt: prompt, positions: positions, windows: share)
        }
    }

    /// Evenly spaced stretches of a text that do not overlap, or the answers of chats.
    private func windows(_ file: String, prompt: Int, positions: Int, windows: Int) throws -> [TextWindow] {
        guard !file.hasSuffix(".jsonl") else {
            return try tasks(file, option: "--text").prefix(windows).compactMap { task in
                let answer = try tokenizer.encode(task.answer, addSpecialTokens: false)
                return answer.count > 1 ? TextWindow(prompt: task.prompt, continuation: Array(answer.prefix(positions + 1))) : nil
            }
        }
        let tokens = try tokens(file)
        let found = Self.windows(of: tokens, opening: opening, prompt: prompt, positions: positions, windows: windows)
        guard !found.isEmpty else {
            throw CommandFailure(
                "--text: \(file) has \(tokens.count) tokens; at least \(prompt + positions + 1) were expected, for one window")
        }
        return found
    }

    /// Of each text as many as of the others.
    static func windows(of texts: [[TokenID]], opening: [TokenID], prompt: Int, positions: Int, windows: Int) -> [[TextWindow]] {
        texts.indices.map { index in
            let share = (index + 1) * windows / texts.count - index * windows / texts.count
            return Self.windows(of: texts[index], opening: opening, prompt: prompt, positions: positions, windows: share)
        }
    }

    static func windows(of tokens: [TokenID], opening: [TokenID], prompt: Int, positions: Int, windows: Int) -> [TextWindow] {
        let own = max(1, prompt - opening.count)
        let size = own + positions + 1
        let count = min(windows, tokens.count / size)
        return (0..<count).map { index in
            let start = index * (tokens.count - size) / max(1, count - 1)
            let middle = start + own
            return TextWindow(prompt: opening + tokens[start..<middle], continuation: Array(tokens[middle..<(start + size)]))
        }
    }

    /// Questions, one JSON object for each line: `messages`, `answer`, `keys`.
    func tasks(_ file: String, option: String = "--tasks") throws -> [RecallTask] {
        guard let template = try ChatTemplate.load(directory: directory) else {
            throw CommandFailure("\(option): \(directory) has no chat template for the chats in \(file)")
        }
        return try text(file, option).split(separator: "\n").enumerated().map { number, line in
            func failure(_ reason: String) -> CommandFailure { CommandFailure("\(option): line \(number + 1) of \(file) \(reason)") }
            guard let chat = try? JSON(parsing: Array(line.utf8)), let messages = chat["messages"]?.array else {
                throw failure("has no messages")
            }
            guard let answer = chat["answer"]?.string else { throw failure("has no answer") }
            let keys = (chat["keys"]?.array ?? []).map(\.string)
            guard keys.allSatisfy({ $0 != nil }) else { throw failure("has a key that is no string") }
            let prompt = try template.render(messages: messages, addGenerationPrompt: true, now: TemplateDate(unixSeconds: 0))
            return RecallTask(prompt: try tokenizer.encode(prompt, addSpecialTokens: false), answer: answer, keys: keys.compactMap(\.self))
        }
    }

    private func text(_ file: String, _ option: String) throws -> String {
        let mapping: MappedFile
        do { mapping = try MappedFile(path: file) } catch { throw CommandFailure("\(option): \(error)") }
        guard mapping.count <= Self.mostBytes else {
            throw CommandFailure("\(option): \(file) has \(mapping.count) bytes; at most \(Self.mostBytes) were expected")
        }
        var bytes: [UInt8] = []
        bytes.append(mapping.bytes)
        guard let text = String(validating: bytes, as: UTF8.self) else { throw CommandFailure("\(option): \(file) is not UTF-8") }
        return text
    }
}
