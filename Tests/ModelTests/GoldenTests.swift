import Inference
import Kernels
import Platform
import TestSupport
import Testing

@testable import Model

private let sets = InstructionSet.allCases.filter(\.isSupported)

@Suite struct GoldenTests {
    @Test(arguments: Golden.families, sets)
    func `in f32 a miniature gives the reference's logits and greedy tokens`(family: String, set: InstructionSet) throws {
        let golden = try Golden(family)
        let bench = try ModelBench(ModelBench.weights(ModelBench.fixture(family), form: .f32), set: set)
        let rows = bench.logits(golden.prompt, chunk: golden.prompt.count)
        for (position, expected) in zip(golden.positions, golden.rows) {
            let deviation = zip(rows[position], expected).map { abs($0 - $1) }.max()!
            #expect(deviation <= 1e-3, "position \(position)")
        }
        #expect(bench.greedy(golden.prompt, count: golden.greedy.count).tokens == golden.greedy)
    }

    @Test(arguments: Golden.families, sets)
    func `in bf16 a miniature stays as close as rounding allows`(family: String, set: InstructionSet) throws {
        let golden = try Golden(family)
        let bench = try ModelBench(ModelBench.weights(ModelBench.fixture(family), form: .bf16), set: set)
        let rows = bench.logits(golden.prompt, chunk: golden.prompt.count)
        var squares: Float = 0
        for (position, expected) in zip(golden.positions, golden.rows) {
            let deviations = zip(rows[position], expected).map { abs($0 - $1) }
            #expect(deviations.max()! <= golden.narrowDeviation.largest, "position \(position)")
            squares += deviations.reduce(0) { $0 + $1 * $1 } / Float(deviations.count)
        }
        // Four rows scatter more than the reference's hundred.
        #expect((squares / Float(golden.rows.count)).squareRoot() < 2 * golden.narrowDeviation.rms)
        // Greedy tokens are the reference's up to the first place where rounding may decide.
        let (tokens, margins) = bench.greedy(golden.prompt, count: golden.greedy.count)
        if let place = zip(tokens, golden.greedy).enumerated().first(where: { $0.element.0 != $0.element.1 })?.offset {
            #expect(margins[place] < golden.narrowDeviation.largest, "token \(place)")
            #expect(place >= 16)
        }
    }
}

private let stories = SharedFiles.path("models/stories260k")
private let pilot = SharedFiles.repository + "/models/pilot"

/// Trained models, with answers that other implementations gave.
@Suite struct ReferenceTests {
    private struct Answer {
        var prompt: [TokenID]
        var output: [TokenID]
        var margin: Float?
    }

    private func answers(_ directory: String) throws -> (answers: [Answer], root: JSON) {
        let json = try JSON(parsing: ScratchFolder.read(directory + "/reference.json"), limits: .file)
        func tokens(_ value: JSON?) -> [TokenID] { value!.array!.map { TokenID($0.integer!) } }
        let answers = json["greedy"]!.array!.map {
            Answer(
                prompt: tokens($0["prompt_ids"]), output: tokens($0["output_ids"]),
                margin: ($0["margin"]?.double).map { Float($0) })
        }
        return (answers, json)
    }

    @Test(.enabled(if: stories != nil), arguments: sets)
    func `stories260k tells its stories in f32`(set: InstructionSet) throws {
        let (answers, json) = try answers(stories!)
        let bench = try ModelBench(ModelBench.weights(stories!, form: .f32), set: set)
        for answer in answers {
            #expect(bench.greedy(answer.prompt, count: answer.output.count).tokens == answer.output)
        }
        let tokens = json["logits"]!["ids"]!.array!.map { TokenID($0.integer!) }
        let rows = bench.logits(tokens, chunk: 5)
        let first = json["logits"]!["last_position_logits_first16"]!.array!.map { Float($0.double!) }
        for (logit, expected) in zip(rows.last!, first) { #expect(abs(logit - expected) < 1e-3) }
        let sum = rows.last!.reduce(0.0) { $0 + Double($1) }
        #expect(abs(sum - json["logits"]!["last_position_logit_sum"]!.double!) < 0.05)
        let best = rows.map { row in row.indices.max { row[$0] < row[$1] }! }
        #expect(best == json["logits"]!["argmax_per_position"]!.array!.map { $0.integer! })
    }

    @Test(arguments: sets.filter { $0 != .scalar }, [WeightForm.bf16, .f32])
    func `pilot answers as its reference does`(set: InstructionSet, form: WeightForm) throws {
        let (answers, _) = try answers(pilot)
        let bench = try ModelBench(ModelBench.weights(pilot, form: form), set: set)
        // More takes minutes without optimisation.
        for answer in answers where answer.prompt.count <= 100 {
            let expected = answer.output.prefix(40)
            let (tokens, margins) = bench.greedy(answer.prompt, count: expected.count)
            if tokens == Array(expected) { continue }
            // The first difference may only be a near tie.
            let place = zip(tokens, expected).enumerated().first { $0.element.0 != $0.element.1 }!.offset
            #expect(margins[place] < (form == .bf16 ? 0.1 : 1e-3), "token \(place): \(tokens) instead of \(expected)")
        }
    }
}
