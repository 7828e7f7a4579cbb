import Glibc
import TestSupport
import Testing

@testable import Kernels

@Suite struct LogitScanTests {
    private func values(_ count: Int, spread: Float = 5) -> [Float] {
        var random = SeededGenerator(seed: UInt64(count))
        return (0..<count).map { _ in random.normal() * spread }
    }

    @Test(arguments: [1, 7, 8, 9, 16, 17, 1000])
    func `every length gives the largest value, its first place and the sum of exponentials`(count: Int) {
        var x = values(count)
        let largest = LogitScan.largest(of: x.span)
        #expect(largest.value == x.max() && largest.index == x.firstIndex(of: largest.value) && !largest.hasNaN)
        let sum = x.reduce(0.0) { $0 + exp(Double($1) - Double(largest.value)) }
        #expect(abs(LogitScan.logSumOfExponentials(x.span, minus: largest.value) - log(sum)) < 1e-6)
        let before = x
        let total = LogitScan.exponentiate(&x, minus: largest.value, scale: 0.5, zeroBelow: 0.01)
        #expect(x[largest.index] == 1)
        #expect(abs(total - x.reduce(0.0) { $0 + Double($1) }) < 1e-4 * total)
        for (old, new) in zip(before, x) {
            let expected = exp(Double(old - largest.value) * 0.5)
            if abs(expected - 0.01) < 1e-6 { continue }
            #expect(expected < 0.01 ? new == 0 : abs(Double(new) - expected) < 1e-6 * expected)
        }
        var found: [ScoredIndex] = []
        LogitScan.gather(before, atLeast: 0, into: &found)
        #expect(found.map { Int($0.index) } == before.indices.filter { before[$0] >= 0 })
    }

    @Test func `a NaN anywhere is reported, an infinity is a value`() {
        for place in [0, 7, 8, 20] {
            var x = values(21)
            x[place] = .nan
            #expect(LogitScan.largest(of: x.span).hasNaN)
            x[place] = .infinity
            #expect(LogitScan.largest(of: x.span) == LogitScan.Largest(value: .infinity, index: place, hasNaN: false))
            x[place] = -.infinity
            #expect(!LogitScan.largest(of: x.span).hasNaN)
        }
        #expect(LogitScan.largest(of: [Float](repeating: -.infinity, count: 9).span).value == -.infinity)
    }

    @Test func `values far below the largest weigh nothing`() {
        var x: [Float] = [0, -50, -200, -.infinity, -1e30]
        let total = LogitScan.exponentiate(&x, minus: 0, scale: 1, zeroBelow: 0)
        #expect(x[1] > 0 && Array(x[2...]) == [0, 0, 0] && total >= 1)
    }
}
