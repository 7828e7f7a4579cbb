import Reactor
import Testing

import class TestSupport.ScratchFolder

/// An actor on a reactor that owns one child process.
private actor Nursery {
    nonisolated let reactor: Reactor
    nonisolated let ends: AsyncStream<ChildEnd>
    private let report: AsyncStream<ChildEnd>.Continuation
    private var child: ChildProcess?

    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe reactor.asUnownedSerialExecutor() }

    init() throws {
        reactor = try Reactor(name: "nursery")
        (ends, report) = AsyncStream.makeStream()
    }

    func start(_ executable: String, _ arguments: [String] = [], environment: [String: String]? = nil) throws {
        let report = report
        child = try ChildProcess(executable, arguments, environment: environment, output: .errorsOnly, on: reactor) { report.yield($0) }
    }

    func signal(_ signal: Signal) { child?.signal(signal) }
    func kill() { child?.kill() }
    func closeInput() { child?.closeInput() }
    var number: Int32? { child?.number }
    var isRunning: Bool { child?.isRunning == true }
    func letGo() { child = nil }

    nonisolated func end() async -> ChildEnd? {
        for await end in ends { return end }
        return nil
    }

    /// Trap if a child was lost track of.
    nonisolated func shutdown() async {
        await letGo()
        await reactor.shutdown()
    }
}

@Suite(.timeLimit(.minutes(2)))
struct ChildProcessTests {
    @Test(arguments: [0, 3, 255]) func `the exit status is reported once`(status: Int32) async throws {
        let nursery = try Nursery()
        try await nursery.start("/bin/sh", ["-c", "exit \(status)"])
        #expect(await nursery.end() == .exited(status: status))
        #expect(await !nursery.isRunning)
        // What is sent to a child that has ended goes nowhere.
        await nursery.kill()
        await nursery.closeInput()
        await nursery.shutdown()
    }

    @Test func `a child that reads sees the end when its input is closed, and not before`() async throws {
        let nursery = try Nursery()
        try await nursery.start("/bin/cat")
        #expect(await nursery.isRunning)
        #expect(await nursery.number ?? 0 > 1)
        await nursery.closeInput()
        #expect(await nursery.end() == .exited(status: 0))
        await nursery.shutdown()
    }

    @Test func `a child is ended by a signal`() async throws {
        let nursery = try Nursery()
        try await nursery.start("/bin/cat")
        await nursery.signal(.terminate)
        #expect(await nursery.end() == .killed(signal: 15))
        try await nursery.start("/bin/cat")
        await nursery.kill()
        #expect(await nursery.end() == .killed(signal: 9))
        await nursery.shutdown()
    }

    @Test func `a program that is not there is named, and leaves nothing behind`() async throws {
        let nursery = try Nursery()
        let error = await #expect(throws: UVError.self) { try await nursery.start("/nowhere/program") }
        #expect(error?.description == "cannot start /nowhere/program: ENOENT (no such file or directory)")
        await nursery.shutdown()
    }

    @Test func `arguments and environment arrive as they are`() async throws {
        let folder = ScratchFolder()
        let nursery = try Nursery()
        let script = "printf '%s|%s|%s' \"$1\" \"$2\" \"$GREETING\" > '\(folder.path)/out'"
        try await nursery.start("/bin/sh", ["-c", script, "sh", "a b", "é'\""], environment: ["GREETING": "good day"])
        #expect(await nursery.end() == .exited(status: 0))
        #expect(try folder.read("out") == Array("a b|é'\"|good day".utf8))
        await nursery.shutdown()
    }

    @Test func `a child begins with default signals and without the reactor's descriptors`() async throws {
        let folder = ScratchFolder()
        // The reactor ignores SIGPIPE in its own process.
        let nursery = try Nursery()
        let script = "grep -E '^Sig(Ign|Blk)' /proc/self/status > '\(folder.path)/signals'; ls -l /proc/self/fd > '\(folder.path)/files'"
        try await nursery.start("/bin/sh", ["-c", script])
        #expect(await nursery.end() == .exited(status: 0))
        let masks = String(decoding: try folder.read("signals"), as: UTF8.self).split(whereSeparator: \.isWhitespace)
        try #require(masks.count == 4 && masks[0] == "SigBlk:" && masks[2] == "SigIgn:")
        for mask in [masks[1], masks[3]] {
            // Those above 31 are the C library's own and real-time signals, which nobody here touches.
            #expect(UInt64(mask, radix: 16).map { $0 & 0x7FFF_FFFF } == 0, "\(masks)")
        }
        let files = String(decoding: try folder.read("files"), as: UTF8.self)
        #expect(files.contains("0 -> ") && !files.contains("eventpoll") && !files.contains("eventfd"), "\(files)")
        await nursery.shutdown()
    }

    @Test func `a hundred children at a time are all reaped`() async throws {
        let nursery = try Nursery()
        for _ in 0..<100 { try await nursery.start("/bin/sh", ["-c", "exit 1"]) }
        for _ in 0..<100 { #expect(await nursery.end() == .exited(status: 1)) }
        await nursery.shutdown()
    }

    @Test func `a reactor is not ended under a child`() async throws {
        await #expect(processExitsWith: .failure) {
            let nursery = try Nursery()
            try await nursery.start("/bin/cat")
            await nursery.reactor.shutdown()
        }
    }
}

@Suite(.timeLimit(.minutes(2)))
struct StandardInputWatchTests {
    @Test func `the end of input is told once, after what came before it`() async throws {
        let pipe = makePipe()
        let nursery = try Nursery()
        let (ended, report) = AsyncStream<Void>.makeStream()
        let watch = try await Watched(nursery.reactor, pipe.reading) { report.yield() }
        writeByte(pipe.writing)
        await watch.lookForEvents()
        #expect(await !watch.wasTold)
        closeDescriptor(pipe.writing)
        for await _ in ended { break }
        #expect(await watch.wasTold)
        await watch.close()
        await nursery.shutdown()
        closeDescriptor(pipe.reading)
    }

    @Test func `a file cannot be watched and is refused`() async throws {
        let folder = ScratchFolder()
        let descriptor = openFile(folder.write("file", "text"))
        let nursery = try Nursery()
        let error = await #expect(throws: UVError.self) { _ = try await Watched(nursery.reactor, descriptor) {} }
        #expect(error?.description.contains("cannot watch standard input, which must be a pipe, a socket or a terminal") == true)
        await nursery.shutdown()
        closeDescriptor(descriptor)
    }
}

/// A watch on a reactor.
private actor Watched {
    nonisolated let reactor: Reactor
    private(set) var wasTold = false
    private var watch: StandardInputWatch?

    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe reactor.asUnownedSerialExecutor() }

    init(_ reactor: Reactor, _ descriptor: Int32, told: @escaping @Sendable () -> Void) async throws {
        self.reactor = reactor
        try await start(descriptor, told)
    }

    private func start(_ descriptor: Int32, _ told: @escaping @Sendable () -> Void) async throws {
        watch = try StandardInputWatch(descriptor: descriptor, on: reactor) {
            self.assumeIsolated { $0.wasTold = true }
            told()
        }
    }

    func lookForEvents() async {
        for _ in 0..<2 { await withCheckedContinuation { reactor.onNextTurn(Turn(continuation: $0)) } }
    }

    func close() { watch?.close() }
}

private final class Turn: NextTurnParticipant {
    let continuation: CheckedContinuation<Void, Never>
    init(continuation: CheckedContinuation<Void, Never>) { self.continuation = continuation }
    func nextTurnBegins() { continuation.resume() }
}
