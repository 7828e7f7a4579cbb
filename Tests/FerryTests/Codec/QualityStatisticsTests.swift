import Foundation
import Inference
import Kernels
import Platform
import TestSupport
import Testing

@testable import Ferry

/// Figures that a person can work out.
@Suite struct QualityStatisticsTests {
    private func sums(_ divergences: [Double], agreed: Int = 0, exact: Double = 0, other: Double = 0) -> PredictionSums {
        PredictionSums(divergences: divergences, agreed: agreed, exactSurprise: exact, surprise: other)
    }

    @Test func `a divergence of two distributions is the one that paper says`() {
        // p = (1/4, 3/4), q = (1/2, 1/2).
        let (p, q): ([Float], [Float]) = ([0, Float(log(3.0))], [5, 5])
        var sums = PredictionSums()
        sums.add(exact: p.span, other: q.span, next: 1, scan: LogitScan())
        #expect(abs(sums.divergences[0] - (0.25 * log(0.5) + 0.75 * log(1.5))) < 1e-6)
        #expect(sums.agreed == 0)
        #expect(abs(sums.exactSurprise + log(0.75)) < 1e-6)
        #expect(abs(sums.surprise + log(0.5)) < 1e-6)
        let figure = PredictionFigure([sums])
        #expect(abs(figure.perplexityChange - 0.5) < 1e-5)
        #expect(abs(figure.exactPerplexity - 4.0 / 3) < 1e-6)
        #expect(figure.divergenceInterval == nil)
    }

    @Test func `a distribution does not diverge from itself at all`() {
        var generator = SeededGenerator(seed: 1)
        let logits = generator.floats(2048, in: -9...9)
        var sums = PredictionSums()
        sums.add(exact: logits.span, other: logits.span, next: 7, scan: LogitScan())
        #expect(sums.divergences == [0])
        #expect(sums.agreed == 1)
        #expect(sums.surprise == sums.exactSurprise)
    }

    @Test func `positions count alike, whatever window they are in`() {
        let figure = PredictionFigure([sums([1], agreed: 1, exact: 1, other: 2), sums([0, 0, 0], agreed: 2, exact: 3, other: 3)])
        #expect(figure.divergence == 0.25)
        #expect(figure.agreement == 0.75)
        #expect(abs(figure.perplexityChange - (exp(0.25) - 1)) < 1e-12)
        #expect(abs(figure.exactPerplexity - M_E) < 1e-12)
        #expect(figure.positions == 4)
        #expect(abs(figure.worst - 0.97) < 1e-12)
    }

    @Test func `an interval is drawn over windows and not over positions`() throws {
        // Inside a window all positions are the same: 100 windows of 10 know as much as 100 positions.
        let windows = (0..<100).map { sums(Array(repeating: Double($0 % 2), count: 10)) }
        let interval = try #require(PredictionFigure(windows).divergenceInterval)
        // Half give or take two standard errors of a coin thrown 100 times.
        #expect((0.37...0.43).contains(interval.low))
        #expect((0.57...0.63).contains(interval.high))
        #expect(PredictionFigure(windows).divergenceInterval == interval)
    }

    @Test func `a quantile lies between its neighbours in proportion`() {
        #expect(Bootstrap.quantile(0.5, of: [1, 2]) == 1.5)
        #expect(Bootstrap.quantile(0.99, of: [5]) == 5)
        #expect(Bootstrap.quantile(1, of: [1, 2, 3]) == 3)
    }

    @Test func `a paired difference without a case that differs is still not certain`() throws {
        // z² / (n + z²), by hand from Tango's score.
        let interval = try #require(PairedShares(cases: 200, lost: 0, won: 0).interval)
        #expect(abs(interval.high - 0.018845) < 1e-5)
        #expect(abs(interval.low + 0.018845) < 1e-5)
        #expect(PairedShares().interval == nil)
    }

    @Test func `a paired difference is mirrored when the sides change places`() throws {
        let shares = PairedShares(cases: 200, lost: 12, won: 3)
        let (interval, mirrored) = (try #require(shares.interval), try #require(PairedShares(cases: 200, lost: 3, won: 12).interval))
        #expect(shares.difference == -0.045)
        #expect(interval.low < -0.045 && interval.high > -0.045)
        #expect(abs(interval.low + mirrored.high) < 1e-9)
        // Near what a normal distribution says: -0.045 ± 1.96 · √(15 - 81/200) / 200.
        #expect(abs(interval.low + 0.0824) < 0.01)
        #expect(interval.high < 0)
    }

    @Test func `windows do not overlap and each has its opening`() {
        let tokens = (0..<1000).map { TokenID($0) }
        let windows = CodecTexts.windows(of: tokens, opening: [9999], prompt: 101, positions: 9, windows: 100)
        #expect(windows.count == 9)
        for window in windows {
            #expect(window.prompt.count == 101)
            #expect(window.prompt.first == 9999)
            #expect(window.positions == 9)
            #expect(window.continuation.first == window.prompt[100] + 1)
        }
        for (former, latter) in zip(windows, windows.dropFirst()) { #expect(former.continuation[9] < latter.prompt[1]) }
        #expect(CodecTexts.windows(of: Array(tokens.prefix(110)), opening: [], prompt: 101, positions: 9, windows: 4).isEmpty)
    }

    @Test func `commas inside of profiles are theirs`() {
        let names = ProfileList.names(in: "raw,had/mm(k12:6,v8:4,r.8)/rans/s4,w64,lossless,none/ec(k.5,v.5)/rans")
        #expect(names == ["raw", "had/mm(k12:6,v8:4,r.8)/rans/s4,w64", "lossless", "none/ec(k.5,v.5)/rans"])
    }

    @Test func `an answer is right when it has all that matters`() {
        let task = RecallTask(prompt: [], answer: "Crate 4 holds tar.", keys: [" tar", "4"])
        #expect(task.isRight("Crate 4 holds tar."))
        #expect(task.isRight("There is tar in 4"))
        #expect(!task.isRight("There is tar."))
        #expect(!RecallTask(prompt: [], answer: "x", keys: []).isRight("y"))
    }
}
