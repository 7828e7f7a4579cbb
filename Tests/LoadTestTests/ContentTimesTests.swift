import Testing

@testable import LoadTest

@Suite struct ContentTimesTests {
    @Test func timesKeepTheirNanoseconds() {
        var times = ContentTimes()
        times.append(at: .nanoseconds(1_234_567_891), tokens: 1)
        times.append(at: .seconds(40) + .nanoseconds(7), tokens: 3)
        #expect(times.first == .nanoseconds(1_234_567_891))
        #expect(times.second == .nanoseconds(40_000_000_007))
        #expect(times.tokens == [1, 3])
    }
}
