internal import Inference
internal import Kernels
internal import Model
internal import Platform

/// What a machine could do at best.
struct MachineLimits {
    /// 10^9 operations/s of the instruction of products with weights, all threads.
    var arithmetic: Double
    /// Of the instruction of attention, which multiplies floats whatever the weights are.
    var attention: Double
    /// GB/s of plain reading, all threads.
    var read: Double

    func mean(with other: MachineLimits) -> MachineLimits {
        MachineLimits(
            arithmetic: (arithmetic + other.arithmetic) / 2, attention: (attention + other.attention) / 2, read: (read + other.read) / 2)
    }
}

/// One measured figure with the work it stands for.
struct BenchFigure {
    var phase: String
    var prompt: Int
    var batch: Int
    var tokensPerSecond: Double
    /// The same from the mean time of a decoding step: stalls count. Nil for prefill.
    var meanTokensPerSecond: Double?
    /// Useful operations (2 per multiply-add) and bytes that must be read, per second.
    var gigaflops: Double
    /// Those of them that attention does.
    var attentionGigaflops: Double
    var gigabytes: Double
    /// Of a step, what the worker spends beside the forward pass; 0 to 1, nil where it was not measured.
    var overhead: Double?
}

/// Times the forward pass of a model. Sampling, scheduling and text are not in it.
final class ModelBenchmark {
    private let weights: DecoderWeights
    private let model: DecoderModel
    private let memory: KeyValueMemory
    private var logits: FloatMatrix
    private let prompt: Int
    private let generate: Int
    private let repeats: Int
    private let clock = SystemClock()
    private let step = 512

    init(weights: DecoderWeights, team: ThreadTeam, prompt: Int, generate: Int, largestBatch: Int, repeats: Int) throws {
        self.weights = weights
        self.prompt = prompt
        self.generate = generate
        self.repeats = repeats
        let context = prompt + generate
        guard context <= weights.configuration.shape.context else {
            throw CommandFailure("--prompt and --generate are \(context) tokens together, the model's context is \(weights.configuration.shape.context)")
        }
        model = try DecoderModel(
            weights, limits: DecoderModel.Limits(rows: max(step, largestBatch), logitRows: largestBatch, context: context), team: team)
        memory = try KeyValueMemory(geometry: weights.keyValueGeometry, pages: largestBatch * Page.count(forTokens: context))
        logits = try model.logitMatrix(rows: largestBatch)
        for page in 0..<memory.pages { memory.zero(page: PageIndex(page)) }
    }

    /// A prompt of one sequence, in steps of 512 tokens, with the logits of its last token.
    func prefill() -> BenchFigure {
        let seconds = median { prefill(sequence: 0, position: 0, count: prompt) }
        let operations = weights.tokenOperations
        // Half of the square of the prompt: each token sees those before it, once for scores and once for values.
        let shape = weights.configuration.shape
        let attention = Double(shape.layers * shape.heads * shape.headDimension) * 4 * Double(prompt) * Double(prompt + 1) / 2
        let flops = Double(operations.layers) * Double(prompt) + Double(operations.head) + attention
        return BenchFigure(
            phase: "prefill", prompt: prompt, batch: 1, tokensPerSecond: Double(prompt) / seconds, gigaflops: flops / seconds / 1e9,
            attentionGigaflops: attention / seconds / 1e9, gigabytes: Double(weights.stepBytes) / seconds / 1e9)
    }

    /// `batch` sequences that have the prompt behind them, one token each per step.
    func decode(_ batch: Int) -> BenchFigure {
        for sequence in 0..<batch { _ = prefill(sequence: sequence, position: 0, count: prompt) }
        var steps: [Double] = []
        for _ in 0..<repeats {
            for index in 0..<generate { steps.append(decodeStep(batch, position: prompt + index)) }
        }
        let mean = steps.reduce(0, +) / Double(steps.count)
        let seconds = steps.sorted()[steps.count / 2]
        let shape = weights.configuration.shape
        let context = Double(prompt + generate / 2)
        let keyValueBytes = Double(memory.pageBytes) / Double(Page.tokens) * context * Double(batch)
        let operations = weights.tokenOperations
        let attention = Double(shape.layers * shape.heads * shape.headDimension) * 4 * context
        let flops = (Double(operations.layers + operations.head) + attention) * Double(batch)
        return BenchFigure(
            phase: "decode", prompt: prompt, batch: batch, tokensPerSecond: Double(batch) / seconds, meanTokensPerSecond: Double(batch) / mean,
            gigaflops: flops / seconds / 1e9,
            attentionGigaflops: attention * Double(batch) / seconds / 1e9, gigabytes: (Double(weights.stepBytes) + keyValueBytes) / seconds / 1e9)
    }

    private func pages(of sequence: Int) -> [PageIndex] {
        let count = Page.count(forTokens: prompt + generate)
        return (0..<count).map { PageIndex(sequence * count + $0) }
    }

    private func prefill(sequence: Int, position: Int, count: Int) -> Double {
        let tokens = (0..<count).map { TokenID(($0 * 7 + sequence) % weights.configuration.shape.vocabulary) }
        let started = clock.now
        for first in stride(from: 0, to: count, by: step) {
            var batch = Batch()
            let last = min(count, first + step)
            batch.append(tokens[first..<last], position: first, pages: pages(of: sequence), logits: last == count ? .last : .none)
            model.forward(batch, memory: memory, into: &logits)
        }
        return clock.now.since(started).inSeconds
    }

    private func decodeStep(_ count: Int, position: Int) -> Double {
        var batch = Batch()
        for sequence in 0..<count {
            batch.append([TokenID((sequence + 5) % weights.configuration.shape.vocabulary)], position: position, pages: pages(of: sequence), logits: .last)
        }
        let started = clock.now
        model.forward(batch, memory: memory, into: &logits)
        return clock.now.since(started).inSeconds
    }

    private func median(_ measure: () -> Double) -> Double {
        _ = measure()
        return (0..<repeats).map { _ in measure() }.sorted()[repeats / 2]
    }
}
