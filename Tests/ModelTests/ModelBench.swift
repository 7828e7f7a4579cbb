import Inference
import Kernels
import Platform
import TestSupport
import Weights

@testable import Model

/// A loaded model with pages of its own, for tests.
final class ModelBench {
    let model: DecoderModel
    let memory: KeyValueMemory
    private var logits: FloatMatrix
    private var freePages: [PageIndex]

    init(_ weights: DecoderWeights, set: InstructionSet = .best, threads: Int = 1, rows: Int = 512, pages: Int = 64) throws {
        let team = ThreadTeam(threads: threads, instructionSet: set)
        let limits = DecoderModel.Limits(
            rows: rows, logitRows: rows, context: min(weights.configuration.shape.context, pages * 64))
        model = try DecoderModel(weights, limits: limits, team: team)
        memory = try KeyValueMemory(geometry: weights.keyValueGeometry, pages: pages)
        logits = try model.logitMatrix(rows: rows)
        freePages = (0..<PageIndex(pages)).reversed()
    }

    /// Weights of the model in `directory`, packed in memory.
    static func weights(_ directory: String, form: WeightForm) throws -> DecoderWeights {
        let team = ThreadTeam(threads: 1, instructionSet: .scalar)
        return try DecoderModel.loadWeights(directory: directory, weights: form, cache: nil, team: team).weights
    }

    static func fixture(_ name: String) -> String { SharedFiles.repository + "/Tests/ModelTests/Fixtures/" + name }

    /// Zeroed pages for `tokens` tokens, in an order that is no order.
    func pages(forTokens tokens: Int) -> [PageIndex] {
        (0..<Page.count(forTokens: tokens)).map { index in
            let page = index % 2 == 0 ? freePages.removeLast() : freePages.removeFirst()
            memory.zero(page: page)
            return page
        }
    }

    /// Logits of the rows that `batch` asks for.
    func run(_ batch: Batch) -> [[Float]] {
        model.forward(batch, memory: memory, into: &logits)
        return (0..<batch.logitRows).map { row in
            logits.withRow(row) { span in span.indices.map { span[$0] } }
        }
    }

    /// Logits after every token, computed in chunks.
    func logits(_ tokens: [TokenID], chunk: Int, pages: [PageIndex]? = nil, from start: Int = 0) -> [[Float]] {
        let pages = pages ?? self.pages(forTokens: tokens.count)
        var rows: [[Float]] = []
        for first in stride(from: start, to: tokens.count, by: chunk) {
            var batch = Batch()
            batch.append(tokens[first..<min(tokens.count, first + chunk)], position: first, pages: pages, logits: .all)
            rows += run(batch)
        }
        return rows
    }

    /// The likeliest continuation and, for each token, how far the second was behind.
    func greedy(_ prompt: [TokenID], count: Int) -> (tokens: [TokenID], margins: [Float]) {
        let pages = pages(forTokens: prompt.count + count)
        defer { freePages += pages }
        var tokens: [TokenID] = []
        var margins: [Float] = []
        // A long prompt in chunks of the most rows that a step takes.
        var position = (prompt.count - 1) / model.limits.rows * model.limits.rows
        if position > 0 { _ = logits(Array(prompt[..<position]), chunk: model.limits.rows, pages: pages) }
        var next = Array(prompt[position...])
        while tokens.count < count {
            var batch = Batch()
            batch.append(next, position: position, pages: pages, logits: .last)
            let row = run(batch)[0]
            position += next.count
            let best = row.indices.max { row[$0] < row[$1] || (row[$0] == row[$1] && $0 > $1) }!
            margins.append(row[best] - row.indices.filter { $0 != best }.map { row[$0] }.max()!)
            tokens.append(TokenID(best))
            next = [TokenID(best)]
        }
        return (tokens, margins)
    }
}

/// A `golden.json`.
struct Golden {
    let prompt: [TokenID]
    let positions: [Int]
    let rows: [[Float]]
    let greedy: [TokenID]
    /// How far rounding to bf16 moved logits in the reference's own trials.
    let narrowDeviation: (largest: Float, rms: Float)

    init(_ family: String) throws {
        let json = try JSON(parsing: ScratchFolder.read(ModelBench.fixture(family) + "/golden.json"), limits: .file)
        func tokens(_ value: JSON?) -> [TokenID] { value!.array!.map { TokenID($0.integer!) } }
        prompt = tokens(json["prompt_ids"])
        greedy = tokens(json["greedy"])
        positions = json["logits"]!["positions"]!.array!.map { $0.integer! }
        rows = json["logits"]!["rows"]!.array!.map { $0.array!.map { Float($0.double!) } }
        let deviation = json["bf16_deviation"]!
        narrowDeviation = (Float(deviation["largest"]!.double!), Float(deviation["rms"]!.double!))
    }

    static let families = [
        "llama-mini", "llama-f32-mini", "llama-sharded-mini", "llama3-rope-mini", "llama3-rope-modern-mini", "mistral-mini",
        "mistral-f16-mini", "qwen2-mini", "qwen3-mini", "qwen3-untied-mini",
    ]
}
