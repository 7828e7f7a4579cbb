import Inference
import Kernels
import Platform
import TestSupport
import Testing
import Weights

@testable import Model

@Suite struct LoadingTests {
    private func load(_ directory: String, cache: CacheFolder?) throws -> (model: DecoderModel, origin: WeightStore.Origin) {
        let team = ThreadTeam(threads: 2, instructionSet: .best)
        return try DecoderModel.load(
            directory: directory, weights: .bf16, limits: .init(rows: 16, logitRows: 16, context: 1 << 20), cache: cache, team: team)
    }

    @Test func `a model loads from its tensors first and from the cache then, and its context bounds the limits`() throws {
        let folder = ScratchFolder()
        let cache = CacheFolder(path: folder.path + "/cache")
        let directory = ModelBench.fixture("llama-sharded-mini")
        let (first, built) = try load(directory, cache: cache)
        let (second, found) = try load(directory, cache: cache)
        if case .built = built.source {} else { Issue.record("\(built)") }
        if case .cache = found.source {} else { Issue.record("\(found)") }
        #expect(first.weights.fingerprint == second.weights.fingerprint)
        #expect(first.limits.context == 512)
    }

    @Test func `several processes' worth of loads at once all succeed and leave one image`() async throws {
        let folder = ScratchFolder()
        let cache = CacheFolder(path: folder.path + "/cache")
        let directory = ModelBench.fixture("qwen3-mini")
        let fingerprints = try await withThrowingTaskGroup(of: Digest.self) { group in
            for _ in 0..<6 {
                group.addTask {
                    let team = ThreadTeam(threads: 1, instructionSet: .best)
                    return try DecoderModel.loadWeights(directory: directory, weights: .bf16, cache: cache, team: team).weights
                        .fingerprint
                }
            }
            return try await group.reduce(into: Set<Digest>()) { $0.insert($1) }
        }
        #expect(fingerprints.count == 1)
        #expect(folder.names(in: "cache/weights").count == 1)
    }

    @Test func `what is wrong with a directory is said with file and key`() throws {
        let folder = ScratchFolder()
        func message() -> String {
            do {
                _ = try load(folder.path, cache: nil)
                return ""
            } catch { return "\(error)" }
        }
        #expect(message().contains("config.json"))
        let configuration = try ScratchFolder.read(ModelBench.fixture("llama-mini") + "/config.json")
        folder.write("config.json", configuration)
        #expect(message().contains("model.safetensors"))
        var text = SafetensorsText()
        text.append("model.embed_tokens.weight", shape: [320, 64], f32: [Float](repeating: 0, count: 320 * 64))
        folder.write("model.safetensors", text.bytes)
        #expect(message() == "model.safetensors: tensor model.layers.0.input_layernorm.weight: it is missing")
        folder.write(
            "config.json", Array(String(decoding: configuration, as: UTF8.self).replacing("\"silu\"", with: "\"relu\"").utf8))
        #expect(message().hasPrefix("config.json: hidden_act: \"relu\" was found, \"silu\" was expected"))
    }

    @Test func `a bias on values is worth a bias on outputs, and biases of zero are worth none`() throws {
        // Attention weights sum to 1, so a constant b added to every value adds W · b to the output.
        let source = try Checkpoint(directory: ModelBench.fixture("llama-f32-mini"))
        let configuration = try ModelConfiguration(directory: source.directory)
        let shape = configuration.shape
        let (query, key) = (shape.heads * shape.headDimension, shape.keyValueHeads * shape.headDimension)
        let bias = (0..<key).map { Float($0 % 7) * 0.1 - 0.3 }

        func logits(value: (Int) -> [Float], output: (Int) -> [Float]) throws -> [[Float]] {
            let folder = ScratchFolder()
            var text = SafetensorsText()
            for tensor in source.files[0].header.tensors {
                let bytes = try ScratchFolder.read(source.directory + "/model.safetensors")[tensor.range]
                text.append(tensor.name, type: tensor.type.description, shape: tensor.shape, bytes: Array(bytes))
            }
            for layer in 0..<shape.layers {
                let name = "model.layers.\(layer).self_attn."
                text.append(name + "q_proj.bias", shape: [query], f32: [Float](repeating: 0, count: query))
                text.append(name + "k_proj.bias", shape: [key], f32: [Float](repeating: 0, count: key))
                text.append(name + "v_proj.bias", shape: [key], f32: value(layer))
                text.append(name + "o_proj.bias", shape: [shape.hidden], f32: output(layer))
            }
            folder.write("model.safetensors", text.bytes)
            let json = String(decoding: try ScratchFolder.read(source.directory + "/config.json"), as: UTF8.self)
            folder.write("config.json", json.replacing("\"attention_bias\": false", with: "\"attention_bias\": true"))
            let weights = try ModelBench.weights(folder.path, form: .f32)
            #expect(weights.configuration.inputBias && weights.configuration.outputBias)
            return try ModelBench(weights).logits([5, 9, 2, 77, 31], chunk: 5)
        }
        let none = { (count: Int) in { (_: Int) in [Float](repeating: 0, count: count) } }
        let plain = try ModelBench(ModelBench.weights(source.directory, form: .f32)).logits([5, 9, 2, 77, 31], chunk: 5)
        #expect(try logits(value: none(key), output: none(shape.hidden)) == plain)

        let onValues = try logits(value: { _ in bias }, output: none(shape.hidden))
        let store = try ModelBench.weights(source.directory, form: .f32)
        let onOutputs = try logits(value: none(key)) { layer in
            (0..<shape.hidden).map { row in
                var weights = [Float](repeating: 0, count: query)
                var span = weights.mutableSpan
                store.layers[layer].output.copyRow(row, to: &span)
                let group = shape.heads / shape.keyValueHeads
                return weights.indices.reduce(Float(0)) { sum, column in
                    let head = column / shape.headDimension / group
                    return sum + weights[column] * bias[head * shape.headDimension + column % shape.headDimension]
                }
            }
        }
        for (a, b) in zip(onValues, onOutputs) { for (x, y) in zip(a, b) { #expect(abs(x - y) < 2e-3) } }
        #expect(zip(onValues[4], plain[4]).contains { abs($0 - $1) > 0.1 })
    }

    @Test func `a batch without logits fills the pages as one with logits does`() throws {
        let weights = try ModelBench.weights(ModelBench.fixture("llama-mini"), form: .bf16)
        let bench = try ModelBench(weights)
        let tokens: [TokenID] = (0..<70).map { TokenID($0 * 11 % 320) }
        func pages(_ wanted: Batch.Wanted) -> [[UInt8]] {
            let pages = bench.pages(forTokens: tokens.count)
            var batch = Batch()
            batch.append(tokens, position: 0, pages: pages, logits: wanted)
            _ = bench.run(batch)
            return pages.map { bench.memory.withPage($0) { unsafe $0.withUnsafeBytes { unsafe Array($0) } } }
        }
        #expect(pages(.none) == pages(.all))
    }
}
