import Platform
import Testing

@testable import Ferry

@Suite struct WatchdogTests {
    private func at(_ milliseconds: UInt64) -> MonotonicInstant { MonotonicInstant(nanoseconds: milliseconds * 1_000_000) }

    @Test func `a thread that does not turn for too long is found out`() {
        var rule = WatchdogRule(limit: .seconds(2))
        var found: UInt64?
        for now in stride(from: UInt64(0), through: 5000, by: 250) where found == nil {
            // It turns until 1000.
            if rule.look(now: at(now), lastTurn: at(min(now, 1000))) != nil { found = now }
        }
        #expect(found == 3250)
    }

    @Test func `a thread that turns is left alone`() {
        var rule = WatchdogRule(limit: .seconds(2))
        for now in stride(from: UInt64(0), through: 60_000, by: 250) { #expect(rule.look(now: at(now), lastTurn: at(now - now % 1000)) == nil) }
    }

    @Test func `a process that was stopped as a whole is not taken for frozen`() {
        var rule = WatchdogRule(limit: .seconds(2))
        #expect(rule.look(now: at(0), lastTurn: at(0)) == nil)
        // Stopped for a minute; the watchdog wakes first.
        for now in stride(from: UInt64(60_000), through: 62_000, by: 250) { #expect(rule.look(now: at(now), lastTurn: at(0)) == nil) }
        #expect(rule.look(now: at(62_250), lastTurn: at(0)) != nil)
    }
}
