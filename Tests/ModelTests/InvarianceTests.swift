import Inference
import Kernels
import TestSupport
import Testing

@testable import Model

/// Equality, not closeness: what else is computed, and in which pieces, changes no bit of an answer.
@Suite struct InvarianceTests {
    private static let sets = InstructionSet.allCases.filter(\.isSupported)

    private func tokens(_ count: Int, seed: UInt64, vocabulary: Int) -> [TokenID] {
        var random = SeededGenerator(seed: seed)
        return (0..<count).map { _ in TokenID.random(in: 0..<TokenID(vocabulary), using: &random) }
    }

    @Test(arguments: ["llama-mini", "qwen2-mini", "qwen3-mini"], WeightForm.allCases)
    func `a prompt cut into chunks of 1, 7 and 64 gives the logits of the whole`(family: String, form: WeightForm) throws {
        let weights = try ModelBench.weights(ModelBench.fixture(family), form: form)
        let tokens = tokens(150, seed: 1, vocabulary: weights.configuration.shape.vocabulary)
        for set in Self.sets {
            let bench = try ModelBench(weights, set: set)
            let whole = bench.logits(tokens, chunk: tokens.count)
            for chunk in [1, 7, 64] { #expect(bench.logits(tokens, chunk: chunk) == whole, "chunks of \(chunk), \(set)") }
        }
    }

    @Test func `a trained model's logits with enec are those of bf16, bit for bit`() throws {
        let pilot = SharedFiles.repository + "/models/pilot"
        let (bf16, enec) = (try ModelBench.weights(pilot, form: .bf16), try ModelBench.weights(pilot, form: .enec))
        #expect(Double(enec.stepBytes) < 0.72 * Double(bf16.stepBytes))
        let tokens = tokens(100, seed: 9, vocabulary: bf16.configuration.shape.vocabulary)
        for set in Self.sets {
            let expected = try ModelBench(bf16, set: set).logits(tokens, chunk: 40)
            for chunk in [1, 6, 100] { #expect(try ModelBench(enec, set: set).logits(tokens, chunk: chunk) == expected, "chunks of \(chunk), \(set)") }
        }
    }

    @Test(arguments: WeightForm.allCases)
    func `sixteen sequences in one batch get what each gets alone`(form: WeightForm) throws {
        let weights = try ModelBench.weights(ModelBench.fixture("llama-mini"), form: form)
        for set in Self.sets {
            let bench = try ModelBench(weights, set: set, rows: 1024, pages: 128)
            let prompts = (0..<16).map {
                tokens(3 + 9 * $0 % 70, seed: UInt64($0), vocabulary: weights.configuration.shape.vocabulary)
            }
            let alone = prompts.map { bench.logits($0, chunk: $0.count).last! }
            // All prompts but their last tokens, then all last tokens as one decoding step.
            let pages = prompts.map { bench.pages(forTokens: $0.count) }
            var prefill = Batch()
            var decode = Batch()
            for (prompt, pages) in zip(prompts, pages) {
                prefill.append(prompt.dropLast(), position: 0, pages: pages, logits: .none)
                decode.append(prompt.suffix(1), position: prompt.count - 1, pages: pages, logits: .last)
            }
            #expect(bench.run(prefill).isEmpty)
            #expect(bench.run(decode) == alone, "\(set)")
            // One prefills while the others decode.
            let late = bench.pages(forTokens: prompts[15].count)
            decode.append(prompts[15], position: 0, pages: late, logits: .last)
            #expect(bench.run(decode) == alone + [alone[15]], "\(set)")
        }
    }

    @Test(arguments: WeightForm.allCases)
    func `one thread and three compute the same`(form: WeightForm) throws {
        let weights = try ModelBench.weights(ModelBench.fixture("qwen2-mini"), form: form)
        let tokens = tokens(200, seed: 3, vocabulary: weights.configuration.shape.vocabulary)
        for set in Self.sets {
            let one = try ModelBench(weights, set: set, threads: 1).logits(tokens, chunk: 90)
            let three = try ModelBench(weights, set: set, threads: 3).logits(tokens, chunk: 90)
            #expect(one == three, "\(set)")
        }
    }

    @Test func `a sequence that continues on another's full pages gets what it would compute itself`() throws {
        let weights = try ModelBench.weights(ModelBench.fixture("llama-mini"), form: .bf16)
        let bench = try ModelBench(weights)
        let vocabulary = weights.configuration.shape.vocabulary
        let prefix = tokens(128, seed: 5, vocabulary: vocabulary)
        let (first, second) = (
            prefix + tokens(9, seed: 6, vocabulary: vocabulary), prefix + tokens(30, seed: 7, vocabulary: vocabulary)
        )
        let shared = bench.pages(forTokens: first.count)
        _ = bench.logits(first, chunk: 50, pages: shared)
        let continued = bench.logits(second, chunk: 64, pages: Array(shared.prefix(2)) + bench.pages(forTokens: 30), from: 128)
        #expect(continued == Array(bench.logits(second, chunk: second.count)[128...]))
    }

    @Test func `keys and values of a layer are in the pages when the layer is reported`() throws {
        let weights = try ModelBench.weights(ModelBench.fixture("llama-mini"), form: .bf16)
        let bench = try ModelBench(weights)
        var batch = Batch()
        let pages = bench.pages(forTokens: 5)
        batch.append([1, 2, 3, 4, 5], position: 0, pages: pages, logits: .last)
        var logits = try bench.model.logitMatrix(rows: 1)
        var filled: [Int] = []
        let geometry = weights.keyValueGeometry
        bench.model.forward(batch, memory: bench.memory, into: &logits) { layer in
            let isFilled = bench.memory.withPage(pages[0]) { bytes in
                let start = geometry.offset(layer: layer, head: 0)
                return (start..<start + geometry.panelBytes).contains {
                    unsafe bytes.unsafeLoad(fromByteOffset: $0, as: UInt8.self) != 0
                }
            }
            if isFilled { filled.append(layer) }
        }
        #expect(filled == Array(0..<geometry.layers))
    }

    @Test(arguments: WeightForm.allCases)
    func `every instruction set without bf16 products computes the same`(form: WeightForm) throws {
        let weights = try ModelBench.weights(ModelBench.fixture("qwen3-mini"), form: form)
        let tokens = tokens(40, seed: 9, vocabulary: weights.configuration.shape.vocabulary)
        let expected = try ModelBench(weights, set: .scalar).logits(tokens, chunk: 40)
        for set in InstructionSet.allCases where set.isSupported && set != .avx512bf16 {
            #expect(try ModelBench(weights, set: set, threads: 2).logits(tokens, chunk: 33) == expected, "\(set)")
        }
    }

    @Test func `random weights are the same each time, and their logits are finite`() throws {
        let shape = ModelShape(
            layers: 2, hidden: 64, intermediate: 96, heads: 4, keyValueHeads: 2, headDimension: 16, vocabulary: 130, context: 256)
        for family in [ModelFamily.llama, .qwen2, .qwen3] {
            let model = SyntheticModel(
                name: "small",
                configuration: ModelConfiguration(
                    family: family, shape: shape, normEpsilon: 1e-5, rotary: RotaryConfiguration(base: 10_000),
                    inputBias: family == .qwen2,
                    outputBias: false, headNorms: family == .qwen3, tiedEmbeddings: family != .llama))
            let team = ThreadTeam(threads: 1, instructionSet: .best)
            for form in WeightForm.allCases {
                let tokens = tokens(20, seed: 2, vocabulary: 130)
                let first = try ModelBench(model.weights(form, team: team)).logits(tokens, chunk: 20)
                let second = try ModelBench(model.weights(form, team: team)).logits(tokens, chunk: 20)
                #expect(first == second)
                #expect(first.allSatisfy { $0.allSatisfy { $0.isFinite && abs($0) < 100 } })
                #expect(Set(first[3]).count > 100)
            }
        }
    }
}
