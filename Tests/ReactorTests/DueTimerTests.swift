import Platform
import Reactor
import Testing

@Suite(.timeLimit(.minutes(1))) struct DueTimerTests {
    @Test func `it fires once, not before its time, and what is over fires at once`() async throws {
        let stage = try Stage()
        try await stage.dueTimer("due")
        let clock = SystemClock()
        let due = clock.now.advanced(by: .microseconds(1500))
        await stage.set(due)
        #expect(await stage.next() == .fired("due"))
        #expect(clock.now >= due)
        await stage.set(MonotonicInstant(nanoseconds: 0))
        #expect(await stage.next() == .fired("due"))
        await stage.end()
    }

    @Test func `a timer that is set anew forgets what was set before`() async throws {
        let stage = try Stage()
        try await stage.dueTimer("first")
        try await stage.dueTimer("second")
        let now = SystemClock().now
        await stage.set(now.advanced(by: .milliseconds(2)), timer: 0)
        await stage.set(nil, timer: 0)
        await stage.set(now.advanced(by: .seconds(3600)), timer: 1)
        await stage.set(now.advanced(by: .milliseconds(4)), timer: 1)
        #expect(await stage.next() == .fired("second"))
        await stage.end()
    }

    @Test func `a repeating timer goes on until it is silenced`() async throws {
        let stage = try Stage()
        try await stage.dueTimer("beat")
        try await stage.dueTimer("after")
        await stage.set(SystemClock().now, every: .microseconds(200))
        for _ in 0..<5 { #expect(await stage.next() == .fired("beat")) }
        await stage.set(nil)
        await stage.set(SystemClock().now, timer: 1)
        var event = await stage.next()
        // Those that had fired before it was silenced.
        while event == .fired("beat") { event = await stage.next() }
        #expect(event == .fired("after"))
        await stage.end()
    }
}
