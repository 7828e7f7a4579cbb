import Reactor
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(5)))
struct ReactorTests {
    @Test func `an actor on a reactor runs on its thread and nowhere else`() async throws {
        let stage = try Stage()
        #expect(stage.reactor.isIsolatingCurrentContext() == false)
        await stage.run { stage in
            #expect(stage.reactor.isIsolatingCurrentContext() == true)
            stage.reactor.checkIsolated()
        }
        await stage.end()
    }

    @Test func `submitted bodies run in order and may assume the actor's isolation`() async throws {
        let stage = try Stage()
        let seen = await withCheckedContinuation { (done: CheckedContinuation<[Int], Never>) in
            let collected = Collected()
            for number in 0..<1000 { stage.reactor.submit { collected.append(number) } }
            stage.reactor.submit {
                stage.assumeIsolated { _ in done.resume(returning: collected.numbers) }
            }
        }
        #expect(seen == Array(0..<1000))
        await stage.end()
    }

    @Test func `many tasks hop onto one reactor without losing a job`() async throws {
        let stage = try Stage()
        let total = await withTaskGroup(of: Int.self) { group in
            for number in 0..<500 { group.addTask { await stage.run { _ in number } } }
            return await group.reduce(0, +)
        }
        #expect(total == 500 * 499 / 2)
        await stage.end()
    }

    @Test func `shutting down twice does nothing the second time`() async throws {
        let stage = try Stage()
        await stage.end()
        await stage.reactor.shutdown()
    }

    @Test func `jobs that were waiting when the reactor was told to end still run`() async throws {
        let reactor = try Reactor(name: "ending")
        let ran = Collected()
        reactor.submit { for number in 0..<10 { reactor.submit { ran.append(number) } } }
        await reactor.shutdown()
        #expect(ran.numbers == Array(0..<10))
    }

    @Test func `a handle left open at shutdown stops the process with its kind in the message`() async throws {
        await #expect(processExitsWith: .failure) {
            let stage = try Stage()
            try await stage.listen()
            await stage.reactor.shutdown()
        }
    }

    @Test func `touching a stream's reactor from elsewhere stops the process`() async throws {
        await #expect(processExitsWith: .failure) {
            let reactor = try Reactor(name: "elsewhere")
            _ = ReactorTimer(on: reactor, after: .seconds(1)) {}
        }
    }

    @Test func `the pulse counts turns and sleeping`() async throws {
        let stage = try Stage()
        await stage.timer("tick", after: .milliseconds(20))
        #expect(await stage.next() == .fired("tick"))
        await stage.run { _ in }
        let pulse = stage.reactor.pulse
        #expect(pulse.turns > 0)
        #expect(pulse.idle > .zero)
        #expect(pulse.idleShare > 0 && pulse.idleShare <= 1)
        await stage.end()
    }

    @Test func `a one-shot timer fires once and a repeating one until closed`() async throws {
        let stage = try Stage()
        await stage.timer("repeating", after: .milliseconds(1), repeating: .milliseconds(1))
        for _ in 0..<3 { #expect(await stage.next() == .fired("repeating")) }
        await stage.closeTimer(0)
        await stage.timer("once", after: .zero)
        var last: StreamEvent?
        repeat { last = await stage.next() } while last == .fired("repeating")
        #expect(last == .fired("once"))
        await stage.end()
    }

    @Test func `a signal reaches its source instead of ending the process`() async throws {
        let stage = try Stage()
        try await stage.watch(.user2)
        raiseUser2()
        #expect(await stage.next() == .fired("user2"))
        await stage.end()
    }

    @Test func `the libraries are at least as new as their headers`() {
        #expect(LibraryVersions.complaints() == [])
        #expect(LibraryVersions.libuv.hasPrefix("1."))
        #expect(LibraryVersions.openssl.hasPrefix("OpenSSL "))
    }
}

extension Stage {
    func run<T: Sendable>(_ body: @Sendable (isolated Stage) throws -> T) rethrows -> T { try body(self) }
}

final class Collected: Sendable {
    private let list = Mutex<[Int]>([])
    func append(_ number: Int) { list.withLock { $0.append(number) } }
    var numbers: [Int] { list.withLock { $0 } }
}
