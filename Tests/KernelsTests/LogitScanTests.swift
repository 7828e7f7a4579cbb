import Glibc
import TestSupport
import Testing

@testable import Kernels

@Suite struct LogitScanTests {
    private func values(_ count: Int, spread: Float = 5) -> [Float] {
        var random = SeededGenerator(seed: UInt64(count))
        return (0..<count).map { _ in random.normal() * spread }
    }

    @Test(arguments: supported)
    func `every length gives the largest value, its first place and the sum of exponentials`(set: InstructionSet) {
        let scan = LogitScan(instructionSet: set)
        for count in [1, 7, 15, 16, 17, 1000, 1023, 1024, 1025, 5000] {
            let x = values(count)
            let largest = scan.largest(of: x.span)
            #expect(largest.value == x.max() && largest.index == x.firstIndex(of: largest.value) && !largest.hasNaN)
            let sum = x.reduce(0.0) { $0 + exp(Double($1) - Double(largest.value)) }
            #expect(abs(scan.logSumOfExponentials(x.span, minus: largest.value) - log(sum)) < 1e-5)
            var (weights, sums) = (x, [Double](repeating: -1, count: LogitScan.blocks(count)))
            let total = scan.exponentiate(x.span, minus: largest.value, scale: 0.5, zeroBelow: 0.01, into: &weights, sums: &sums)
            #expect(weights[largest.index] == 1 && sums.reduce(0, +) == total)
            for (block, sum) in sums.enumerated() {
                let first = block * LogitScan.blockCount
                let exact = weights[first..<min(count, first + LogitScan.blockCount)].reduce(0.0) { $0 + Double($1) }
                #expect(abs(sum - exact) <= 1e-5 * exact)
            }
            for (old, new) in zip(x, weights) {
                let expected = exp(Double(old - largest.value) * 0.5)
                if abs(expected - 0.01) < 1e-6 { continue }
                #expect(expected < 0.01 ? new == 0 : abs(Double(new) - expected) < 1e-5 * expected)
            }
            var (inPlace, again) = (x, sums)
            #expect(scan.exponentiate(&inPlace, minus: largest.value, scale: 0.5, zeroBelow: 0.01, sums: &again) == total)
            #expect(inPlace == weights && again == sums)
            var (twin, twinSums) = (x, sums)
            _ = LogitScan(instructionSet: .scalar).exponentiate(&twin, minus: largest.value, scale: 0.5, zeroBelow: 0.01, sums: &twinSums)
            #expect(twin == weights && twinSums == sums)
        }
    }

    @Test(arguments: supported)
    func `the largest is the first of equals, a NaN is reported, an infinity is a value`(set: InstructionSet) {
        let scan = LogitScan(instructionSet: set)
        for count in [1, 2, 15, 16, 17, 21, 100, 1000] {
            for place in [0, count / 2, count - 1] {
                var x = [Float](repeating: -1, count: count)
                x[place] = 3
                #expect(scan.largest(of: x.span) == LogitScan.Largest(value: 3, index: place, hasNaN: false))
                x[count - 1] = 3
                #expect(scan.largest(of: x.span).index == place)
                x[place] = .nan
                #expect(scan.largest(of: x.span).hasNaN)
                if place < count - 1 { #expect(scan.largest(of: x.span).index == count - 1) }
                x[place] = .infinity
                #expect(scan.largest(of: x.span) == LogitScan.Largest(value: .infinity, index: place, hasNaN: false))
            }
        }
        #expect(scan.largest(of: [Float](repeating: -.infinity, count: 9).span) == LogitScan.Largest(value: -.infinity, index: 0, hasNaN: false))
        #expect(scan.largest(of: [Float.nan, -.infinity].span) == LogitScan.Largest(value: -.infinity, index: 1, hasNaN: true))
        #expect(scan.largest(of: [Float.nan, .nan].span) == LogitScan.Largest(value: -.infinity, index: 0, hasNaN: true))
        #expect(scan.largest(of: [Float(0), -0.0].span).index == 0)
    }

    @Test func `values far below the largest weigh nothing`() {
        var (x, sums): ([Float], [Double]) = ([0, -50, -200, -.infinity, -1e30], [0])
        let total = LogitScan().exponentiate(&x, minus: 0, scale: 1, zeroBelow: 0, sums: &sums)
        #expect(x[1] > 0 && Array(x[2...]) == [0, 0, 0] && total >= 1)
    }

    @Test func `candidates come in order of index`() {
        for count in [1, 7, 8, 9, 16, 17, 1000] {
            let x = values(count)
            var found: [ScoredIndex] = []
            LogitScan.gather(x, atLeast: 0, into: &found)
            #expect(found.map { Int($0.index) } == x.indices.filter { x[$0] >= 0 })
        }
    }
}
