import Platform
import Testing

@testable import Server

@Suite struct ShaperTests {
    private func at(_ milliseconds: UInt64) -> MonotonicInstant { MonotonicInstant(nanoseconds: milliseconds * 1_000_000) }

    /// Bytes handed on at each tick of 10 ms.
    private func transcript(_ shape: LinkShape, bytes: Int, ticks: Int, seed: UInt64 = 1) -> [Int] {
        var shaper = Shaper(seed: seed, now: at(0))
        shaper.change(to: shape, now: at(0))
        shaper.accept(bytes, now: at(0))
        var passed: [Int] = []
        for tick in 0..<ticks {
            var count = 0
            while case .pass(let more) = shaper.step(now: at(UInt64(tick) * 10)) { count += more }
            passed.append(count)
        }
        #expect(passed.reduce(0, +) + shaper.queued == bytes)
        return passed
    }

    @Test func `a rate is obeyed in every interval`() {
        // 16 KiB a tick.
        let passed = transcript(LinkShape(bytesPerSecond: 1_638_400), bytes: 160 << 10, ticks: 12)
        #expect(passed == [0] + [Int](repeating: 16 << 10, count: 10) + [0])
    }

    @Test func `latency holds everything back once, and does not add up`() {
        #expect(transcript(LinkShape(latency: .milliseconds(30)), bytes: 50_000, ticks: 5) == [0, 0, 0, 50_000, 0])
        #expect(transcript(LinkShape(bytesPerSecond: 1_638_400, latency: .milliseconds(30)), bytes: 32 << 10, ticks: 7) == [0, 0, 0, 0, 16 << 10, 16 << 10, 0])
    }

    @Test func `jitter stays within its bounds, keeps the order and repeats with its seed`() {
        let shape = LinkShape(latency: .milliseconds(20), jitter: .milliseconds(50))
        let passed = transcript(shape, bytes: 1 << 20, ticks: 9)
        #expect(passed[..<2] == [0, 0])
        #expect(passed.reduce(0, +) == 1 << 20)
        #expect(passed == transcript(shape, bytes: 1 << 20, ticks: 9))
    }

    @Test func `a connection breaks after its bytes`() {
        var shaper = Shaper(seed: 1, now: at(0))
        shaper.change(to: LinkShape(breakAfterBytes: 20_000), now: at(0))
        shaper.accept(15_000, now: at(0))
        #expect(shaper.step(now: at(0)) == .pass(15_000))
        shaper.accept(15_000, now: at(1))
        #expect(shaper.step(now: at(1)) == .breakOff)
    }

    @Test func `a connection breaks by chance, at a time that its seed fixes`() {
        var shaper = Shaper(seed: 5, now: at(0))
        shaper.change(to: LinkShape(meanTimeBetweenBreaks: .seconds(10)), now: at(0))
        guard case .wait(let until) = shaper.step(now: at(0)) else {
            Issue.record("no break is due")
            return
        }
        #expect(shaper.step(now: until) == .breakOff)
    }

    @Test func `without a shape bytes go on at once, in order behind those that were held`() {
        var shaper = Shaper(seed: 1, now: at(0))
        shaper.change(to: LinkShape(latency: .milliseconds(100)), now: at(0))
        shaper.accept(10, now: at(0))
        shaper.change(to: nil, now: at(1))
        shaper.accept(5, now: at(1))
        #expect(shaper.step(now: at(1)) == .wait(until: at(100)))
        #expect(shaper.step(now: at(100)) == .pass(15))
        #expect(shaper.step(now: at(101)) == .idle)
    }
}
