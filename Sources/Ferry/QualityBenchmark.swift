internal import Foundation
internal import Inference
internal import Kernels
internal import Model
internal import Platform
internal import Tokenization

/// What a form of weights costs in quality: the next-token predictions of two forms of one model, over the same texts.
struct QualityFigure {
    var weights: String
    /// Of the reference and of this form: exp of the mean negative log probability of the texts' tokens.
    var referencePerplexity: Double
    var perplexity: Double
    /// Share of tokens for which both think the same token the likeliest.
    var agreement: Double
    /// Mean divergence from the reference's distribution, in nats.
    var divergence: Double
    var tokens: Int

    /// 0.01: one percent more.
    var perplexityChange: Double { perplexity / referencePerplexity - 1 }
}

/// Runs texts through a reference and another form side by side.
final class QualityBenchmark {
    private let models: [DecoderModel]
    private let memories: [KeyValueMemory]
    private var logits: [LogitRows] = []
    private let context: Int
    private let scan = LogitScan()

    /// Tokens of a step: bounds the memory of its logits.
    private static let step = 64
    /// Tokens of a text that count; the rest of a longer one is left out.
    private static let longest = 2048

    init(reference: DecoderWeights, other: DecoderWeights, team: ThreadTeam) throws {
        let context = min(Self.longest, reference.configuration.shape.context)
        self.context = context
        models = try [reference, other].map {
            try DecoderModel($0, limits: DecoderModel.Limits(rows: Self.step, logitRows: Self.step, context: context), team: team)
        }
        memories = try [reference, other].map { try KeyValueMemory(geometry: $0.keyValueGeometry, pages: Page.count(forTokens: context)) }
        for model in models { logits.append(LogitRows(try model.logitMatrix(rows: Self.step))) }
    }

    func measure(_ texts: [[TokenID]]) -> QualityFigure {
        var (surprise, agreed, divergence, count) = ([0.0, 0.0], 0, 0.0, 0)
        let pages = (0..<Page.count(forTokens: context)).map { PageIndex($0) }
        for text in texts {
            let tokens = text.prefix(context)
            for memory in memories { for page in pages { memory.zero(page: page) } }
            for first in stride(from: 0, to: tokens.count - 1, by: Self.step) {
                var batch = Batch()
                let last = min(tokens.count - 1, first + Self.step)
                batch.append(tokens[first..<last], position: first, pages: pages, logits: .all)
                for index in models.indices { models[index].forward(batch, memory: memories[index], into: &logits[index].rows) }
                for row in 0..<(last - first) {
                    let next = Int(tokens[first + row + 1])
                    logits[0].rows.withRow(row) { reference in
                        logits[1].rows.withRow(row) { other in
                            let places = (scan.largest(of: reference), scan.largest(of: other))
                            let sums = (
                                Double(places.0.value) + scan.logSumOfExponentials(reference, minus: places.0.value),
                                Double(places.1.value) + scan.logSumOfExponentials(other, minus: places.1.value)
                            )
                            surprise[0] += sums.0 - Double(reference[next])
                            surprise[1] += sums.1 - Double(other[next])
                            if places.0.index == places.1.index { agreed += 1 }
                            for token in reference.indices {
                                let logarithm = Double(reference[token]) - sums.0
                                divergence += exp(logarithm) * (logarithm - Double(other[token]) + sums.1)
                            }
                        }
                    }
                    count += 1
                }
            }
        }
        let tokens = Double(max(1, count))
        return QualityFigure(
            weights: models[1].weights.form.name, referencePerplexity: exp(surprise[0] / tokens), perplexity: exp(surprise[1] / tokens),
            agreement: Double(agreed) / tokens, divergence: divergence / tokens, tokens: count)
    }

    static func table(_ figures: [QualityFigure]) -> String {
        let lines = figures.map {
            String(
                format: "%10.4f %% %13.2f %% %11.2e %9d", $0.perplexityChange * 100, $0.agreement * 100, $0.divergence, $0.tokens)
        }
        let rows = zip(figures, lines).map { $0.weights.padding(toLength: 8, withPad: " ", startingAt: 0) + $1 }
        let head = figures.first.map { String(format: "perplexity of the reference: %.4f", $0.referencePerplexity) } ?? ""
        return ([head, "", "weights   perplexity   top-1 agreement  divergence    tokens"] + rows).joined(separator: "\n")
    }

    static func json(_ figures: [QualityFigure]) -> String {
        let results = figures.map { figure -> JSON in
            [
                "weights": .string(figure.weights), "perplexity": .number(figure.perplexity),
                "perplexity_change": .number(figure.perplexityChange), "top1_agreement": .number(figure.agreement),
                "kl_mean": .number(figure.divergence), "tokens": .integer(Int64(figure.tokens)),
            ]
        }
        return JSON.array(results).text
    }
}

/// A matrix that an array can hold.
private final class LogitRows {
    var rows: FloatMatrix
    init(_ rows: consuming FloatMatrix) { self.rows = rows }
}

/// The texts of a file: one for each line of a `.jsonl` of chats ({"messages": […], "answer": "…"}), otherwise one.
struct QualityTexts {
    let texts: [[TokenID]]

    init(file: String, model directory: String) throws {
        guard let data = FileManager.default.contents(atPath: file), let text = String(data: data, encoding: .utf8) else {
            throw CommandFailure("--text: cannot read \(file) as UTF-8")
        }
        let tokenizer = try Tokenizer(directory: directory)
        guard file.hasSuffix(".jsonl") else {
            texts = [try tokenizer.encode(text, addSpecialTokens: true)]
            return
        }
        guard let template = try ChatTemplate.load(directory: directory) else {
            throw CommandFailure("--text: \(directory) has no chat template for the chats in \(file)")
        }
        var texts: [[TokenID]] = []
        for (number, line) in text.split(separator: "\n").enumerated() {
            guard let chat = try? JSON(parsing: Array(line.utf8)), var messages = chat["messages"]?.array else {
                throw CommandFailure("--text: line \(number + 1) of \(file) has no messages")
            }
            if let answer = chat["answer"] { messages.append(["role": "assistant", "content": answer]) }
            let rendered = try template.render(
                messages: messages, addGenerationPrompt: false, now: TemplateDate(unixSeconds: 0))
            texts.append(try tokenizer.encode(rendered, addSpecialTokens: false))
        }
        self.texts = texts
    }
}
