import Foundation
import Inference
import KVCodec
import Kernels
import Model
import Platform
import TestSupport
import Testing
import Tokenization
import Weights

@testable import Ferry

/// The bundled model, with KV that was on a trip.
@Suite(.timeLimit(.minutes(5))) struct ReconstructionTests {
    private static let directory = SharedFiles.repository + "/models/pilot"

    private struct Stage {
        let weights: DecoderWeights
        let team: ThreadTeam
        let texts: CodecTexts
        let windows: [TextWindow]

        init() throws {
            team = ThreadTeam(threads: 2, instructionSet: .best)
            weights = try DecoderModel.loadWeights(directory: directory, weights: .bf16, cache: nil, team: team).weights
            texts = try CodecTexts(model: directory)
            windows = try texts.windows([directory + "/README.md"], prompt: 200, positions: 24, windows: 3)
        }

        func prompts() throws -> PromptModel { try PromptModel(weights, context: 1024, team: team) }

        func measure(_ profiles: [String], tasks: [RecallTask] = []) throws -> [CodecFigure] {
            let meter = try CodecMeter(
                weights, windows: windows, tasks: tasks, tokenizer: texts.tokenizer,
                endTokens: Set(try GenerationDefaults(directory: directory).endTokens), calibration: nil, team: team)
            return try meter.measure(profiles.map { try NamedProfile($0) }) { _ in }
        }
    }

    @Test func `pages that were copied change nothing at all`() throws {
        let stage = try Stage()
        let prompts = try stage.prompts()
        let benchmark = try WindowBenchmark(prompts, positions: 24)
        for window in stage.windows {
            let sums = try benchmark.measure(window, [CopyTrip()])[0]
            #expect(sums.divergences == Array(repeating: 0, count: 24))
            #expect(sums.agreed == 24)
            #expect(sums.surprise == sums.exactSurprise)
        }
    }

    @Test func `pages that never came change much`() throws {
        final class NoTrip: KeyValueTrip { func take(_ prompt: PromptKeyValues) {} }
        let stage = try Stage()
        let benchmark = try WindowBenchmark(stage.prompts(), positions: 24)
        // Nor do those help that came before.
        let sums = try benchmark.measure(stage.windows[0], [CopyTrip(), NoTrip(), CopyTrip()]).map { $0.divergences.reduce(0, +) }
        #expect(sums[0] == 0 && sums[1] > 1 && sums[2] == 0)
    }

    @Test func `noise does damage where it is and nowhere else`() throws {
        let stage = try Stage()
        let prompts = try stage.prompts()
        let benchmark = try WindowBenchmark(prompts, positions: 24)
        let trips = [0.0, 0.05, 0.5].map { NoiseTrip(layer: 2, side: .values, deviation: $0, on: stage.team.instructionSet) }
        let sums = try benchmark.measure(stage.windows[0], trips).map { $0.divergences.reduce(0, +) }
        #expect(sums[0] == 0)
        #expect(sums[1] > 0 && sums[2] > sums[1])
        // The last trip's pages differ in the values of layer 2 only.
        let (from, to) = (prompts.prompt(64).from[0], prompts.prompt(64).to[0])
        for layer in 0..<prompts.memory.geometry.layers {
            let pair = [from, to].map { page in
                prompts.memory.withLayer(layer, ofPage: page) { span in
                    var bytes: [UInt8] = []
                    bytes.append(span)
                    return bytes
                }
            }
            #expect((pair[0] == pair[1]) == (layer != 2))
        }
    }

    @Test func `raw and lossless are exact, in predictions and in answers`() throws {
        let stage = try Stage()
        let tasks = Array(try stage.texts.tasks(Self.directory + "/recall-eval.jsonl").prefix(6))
        for figure in try stage.measure(["raw", "lossless"], tasks: tasks) {
            #expect(figure.quality.divergence == 0)
            #expect(figure.quality.worst == 0)
            #expect(figure.quality.agreement == 1)
            #expect(figure.quality.perplexityChange == 0)
            #expect(figure.quality.divergenceInterval == Interval(low: 0, high: 0))
            let recall = try #require(figure.recall)
            #expect(recall.shares == PairedShares(cases: 6, lost: 0, won: 0))
            #expect(recall.exact == 6)
            #expect(figure.encode > 0 && figure.decode > 0)
        }
    }

    @Test func `ratios count every byte that is sent`() throws {
        let stage = try Stage()
        let raw = try stage.measure(["raw"])[0]
        // 200 tokens: blocks of 128 and 72, of six layers, in three windows.
        #expect(raw.blocks == 2 * 6 * 3)
        #expect(raw.rawBytes == 3 * 200 * 6 * 2 * 2 * 64 * 2)
        #expect(raw.codedBytes == raw.sizes.total + raw.blocks * 64)
        #expect(raw.sizes.symbols + raw.sizes.exact == raw.rawBytes)
        #expect(raw.ratio < 1 && raw.ratio > 0.98)
    }

    @Test func `coarse levels cost more than fine ones and give more`() throws {
        let figures = try Stage().measure(["none/mm(k3,v3)/rans", "none/mm(k12,v12)/rans", "none/mm(k64,v64)/rans"])
        for (coarse, fine) in zip(figures, figures.dropFirst()) {
            #expect(coarse.quality.divergence > fine.quality.divergence)
            #expect(coarse.ratio > fine.ratio)
        }
        #expect(figures[2].quality.divergence > 0)
        #expect(figures[2].quality.agreement > figures[0].quality.agreement)
    }

    @Test func `a sweep has every profile once, and all are valid`() {
        let profiles = SweepGrid.profiles.map(\.name)
        #expect(Set(profiles).count == profiles.count)
        #expect((100...400).contains(profiles.count), "\(profiles.count)")
    }

    @Test func `a front holds what nothing beats`() throws {
        let figures = try Stage().measure(["raw", "none/mm(k3,v3)/rans", "none/mm(k12,v12)/rans", "none/mm(k12,v12)/raw"])
        #expect(ParetoFront(figures).indices.map { figures[$0].name } == ["raw", "none/mm(k12,v12)/rans", "none/mm(k3,v3)/rans"])
        let report = CodecReport(figures: figures, copySpeed: 1, model: "a <model>")
        let files = SweepFiles(report)
        #expect(files.csv.split(separator: "\n").count == 5)
        #expect(files.csv.contains("\"none/mm(k12,v12)/rans\","))
        let svg = SweepPlot(report).svg
        #expect(svg == SweepPlot(report).svg)
        #expect(svg.contains("a &lt;model&gt;"))
        #expect(svg.components(separatedBy: "<circle").count == 5)
        #expect(svg.hasSuffix("</svg>\n"))
    }
}
