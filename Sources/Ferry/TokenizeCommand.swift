internal import ArgumentParser
internal import Foundation
internal import Inference
internal import Platform
internal import Tokenization

struct TokenizeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tokenize", abstract: "Turn text on standard input into token ids, or back.",
        discussion: """
            Needs only the tokenizer files of a model. Special tokens in the text are recognised, none are added.

            Examples:
              echo -n "Hello, world" | ferry tokenize --model ~/models/SmolLM2-135M
              echo "40 1 2" | ferry tokenize --decode
              echo '["one text", "another"]' | ferry tokenize --json     [[…],[…]]
              echo '[[40, 1, 2]]' | ferry tokenize --decode --json       ["…"]
            """)

    @Option(name: .long, help: "Model directory; the bundled model if absent.") var model: String?
    @Flag(name: .long, help: "Token ids in, text out.") var decode = false
    @Flag(name: .long, help: "An array of texts in, an array of id arrays out (or the reverse).") var json = false

    func run() throws {
        var settings = try Settings(file: nil, environment: Environment.variables, overrides: [])
        if let model { try settings.set("model.path", to: model, origin: "--model") }
        let tokenizer = try Tokenizer(directory: directory(settings))
        let input = FileHandle.standardInput.readDataToEndOfFile()
        if json {
            try StandardOutput.write(translate(JSON(parsing: [UInt8](input), limits: .file), tokenizer).text + "\n")
            return
        }
        guard let text = String(validating: input, as: UTF8.self) else { throw CommandFailure("standard input is not UTF-8") }
        if decode {
            let ids = try text.split(whereSeparator: { $0.isWhitespace || $0 == "," || $0 == "[" || $0 == "]" }).map { word in
                guard let id = TokenID(word) else { throw CommandFailure("standard input: \"\(word)\" was found, a token id was expected") }
                return id
            }
            try StandardOutput.write(tokenizer.decode(ids, skipSpecialTokens: false) + "\n")
        } else {
            try StandardOutput.write(tokenizer.encode(text, addSpecialTokens: false).map(String.init).joined(separator: " ") + "\n")
        }
    }

    /// Only the tokenizer's files must be there, so no `config.json` is asked for.
    private func directory(_ settings: Settings) throws -> String {
        let path = settings.text("model.path")
        return path.isEmpty ? try LocalWorker.modelDirectory(settings) : settings.path("model.path")
    }

    private func translate(_ input: JSON, _ tokenizer: Tokenizer) throws -> JSON {
        guard let elements = input.array else { throw CommandFailure("standard input: \(input.kind) was found, an array was expected") }
        return .array(
            try elements.enumerated().map { index, element in
                if decode {
                    guard let ids = element.array?.compactMap({ $0.integer.flatMap { TokenID(exactly: $0) } }), ids.count == element.array?.count else {
                        throw CommandFailure("standard input: element \(index) is \(element.kind), an array of token ids was expected")
                    }
                    return .string(tokenizer.decode(ids, skipSpecialTokens: false))
                }
                guard let text = element.string else {
                    throw CommandFailure("standard input: element \(index) is \(element.kind), a string was expected")
                }
                return .array(try tokenizer.encode(text, addSpecialTokens: false).map { .integer(Int64($0)) })
            })
    }
}
