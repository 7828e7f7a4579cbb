internal import ArgumentParser
internal import Engine
internal import Foundation
internal import Inference
internal import Kernels
internal import Model
internal import Platform
internal import Tokenization
internal import Transfer
internal import Wire

struct GenerateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "generate", abstract: "Continue a prompt with the engine of the server, offline.",
        discussion: """
            Examples:
              ferry generate --chat --prompt "What is 347 + 285?"
              ferry generate --model ~/models/SmolLM2-135M --prompt "Once upon a time" --max-tokens 64 --temperature 0
              ferry generate --prompt "Hello" --json | jq .tokens

            --json prints {"prompt_tokens","tokens","text","logprobs","finish_reason"}.
            """)

    @Option(name: .long, help: "Hugging Face model directory; the bundled model if absent.") var model: String?
    @Option(name: .long, help: "The text to continue; standard input if absent.") var prompt: String?
    @Flag(name: .long, help: "Treat the prompt as a user's message and apply the model's chat template.") var chat = false
    @Option(name: .long, help: "At most this many tokens.") var maxTokens = 256
    @Option(name: .long, help: "0 chooses the likeliest token each time.") var temperature: Float = 0
    @Option(name: .long, help: "Only the k likeliest tokens; 0: all.") var topK = 0
    @Option(name: .long, help: "Only the likeliest tokens that sum to this probability.") var topP: Float = 1
    @Option(name: .long, help: "Only tokens with this share of the likeliest one's probability.") var minP: Float = 0
    @Option(name: .long, help: "Equal seeds give equal answers.") var seed: UInt64 = 0
    @Flag(name: .long, help: "Go on after the model's end token.") var ignoreEos = false
    @Option(name: .long, help: "bf16 or f32.") var dtype: String?
    @Option(name: .long, help: "Form of the weights: auto, \(WeightForm.names) (model.weights).") var weights: String?
    @Option(name: .long, help: "Compute threads; 0: one per core.") var threads: Int?
    @Flag(name: .long, help: "One JSON object on standard output.") var json = false
    @Option(name: .long, help: ArgumentHelp("One setting; may be repeated.", valueName: "key=value")) var set: [String] = []

    func validate() throws {
        guard maxTokens > 0 else { throw ValidationError("--max-tokens is \(maxTokens), at least 1 was expected") }
        guard (0...100).contains(temperature) else { throw ValidationError("--temperature is \(temperature), 0 to 100 was expected") }
        guard topP > 0, topP <= 1 else { throw ValidationError("--top-p is \(topP), more than 0 and at most 1 was expected") }
        guard minP >= 0, minP <= 1 else { throw ValidationError("--min-p is \(minP), 0 to 1 was expected") }
        guard topK >= 0 else { throw ValidationError("--top-k is \(topK), 0 or more was expected") }
    }

    func run() async throws {
        var settings = try Settings(file: nil, environment: Environment.variables, overrides: set)
        if let model { try settings.set("model.path", to: model, origin: "--model") }
        if let dtype { try settings.set("model.dtype", to: dtype, origin: "--dtype") }
        if let weights { try settings.set("model.weights", to: weights, origin: "--weights") }
        if let threads { try settings.set("engine.threads", to: String(threads), origin: "--threads") }
        let directory = try LocalWorker.modelDirectory(settings)
        let tokenizer = try Tokenizer(directory: directory)
        let promptTokens = try tokens(tokenizer, directory: directory)
        let bar = ProgressBar()
        let channel = InMemoryChannel()
        let local = try LocalWorker.load(settings, channel: channel) { bar.show($0) }
        bar.finish()
        for note in local.warnings + local.notes where !json { bar.note(note) }

        if let stranger = promptTokens.first(where: { $0 < 0 || Int($0) >= local.hello.shape.vocabulary }) {
            throw CommandFailure(
                "the prompt has the token \(stranger), which the model does not know; ids below \(local.hello.shape.vocabulary) were expected")
        }
        var sampling = SamplingParameters()
        sampling.temperature = temperature
        sampling.topK = topK
        sampling.topP = topP
        sampling.minP = minP
        sampling.seed = seed
        sampling.maxTokens = min(maxTokens, max(1, local.hello.sequenceLimit - promptTokens.count))
        sampling.stopTokens = ignoreEos ? [] : Set(local.defaults.endTokens + [tokenizer.eosToken].compactMap { $0 })
        sampling.topLogprobs = json ? 0 : nil
        let answer = try await generate(local, channel, prompt: promptTokens, sampling: sampling, tokenizer: tokenizer)
        if json { try StandardOutput.write(answer.json(prompt: promptTokens) + "\n") }
    }

    private func tokens(_ tokenizer: Tokenizer, directory: String) throws -> [TokenID] {
        let text: String
        if let prompt {
            text = prompt
        } else {
            text = String(decoding: FileHandle.standardInput.readDataToEndOfFile(), as: UTF8.self)
        }
        guard chat else { return try tokenizer.encode(text, addSpecialTokens: true) }
        guard let template = try ChatTemplate.load(directory: directory) else {
            throw CommandFailure("\(directory) has no chat template; leave --chat out")
        }
        let rendered = try template.render(
            messages: [["role": "user", "content": .string(text)]], addGenerationPrompt: true,
            now: TemplateDate(unixSeconds: Int(Date().timeIntervalSince1970)))
        return try tokenizer.encode(rendered, addSpecialTokens: false)
    }

    private func generate(
        _ local: LocalWorker, _ channel: InMemoryChannel, prompt: [TokenID], sampling: SamplingParameters, tokenizer: Tokenizer
    ) async throws -> Answer {
        let collector = AnswerCollector()
        channel.open(hello: local.hello, sink: collector)
        let running = Task { await local.worker.run() }
        try channel.send([.start(SequenceRequest(id: SequenceID(1), prompt: prompt, sampling: sampling))])
        var answer = Answer()
        var text = IncrementalDetokenizer(tokenizer, skipSpecialTokens: true)
        func emit(_ piece: String) throws {
            answer.text += piece
            if !json { try StandardOutput.write(piece) }
        }
        reading: for await report in collector.reports {
            for event in report.tokens {
                if sampling.stopTokens.contains(event.token) { continue }
                answer.tokens.append(event.token)
                if let logprob = event.logprob { answer.logprobs.append(logprob) }
                try emit(text.append(event.token))
            }
            for ending in report.endings {
                answer.reason = ending.reason
                break reading
            }
        }
        try emit(text.finish())
        channel.close()
        await running.value
        if !json { try StandardOutput.write("\n") }
        if case .failed(let reason) = answer.reason { throw CommandFailure(reason) }
        return answer
    }
}

/// What was generated.
private struct Answer {
    var tokens: [TokenID] = []
    var logprobs: [Float] = []
    var text = ""
    var reason = FinishReason.length

    func json(prompt: [TokenID]) -> String {
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("prompt_tokens")
        writer.beginArray()
        for token in prompt { writer.integer(token) }
        writer.endArray()
        writer.key("tokens")
        writer.beginArray()
        for token in tokens { writer.integer(token) }
        writer.endArray()
        writer.field("text", text)
        writer.key("logprobs")
        writer.beginArray()
        for logprob in logprobs { writer.number(Double(logprob)) }
        writer.endArray()
        if case .stop = reason { writer.field("finish_reason", "stop") } else { writer.field("finish_reason", "length") }
        writer.endObject()
        return String(decoding: writer.bytes, as: UTF8.self)
    }
}
