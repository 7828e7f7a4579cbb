import Glibc
import Platform
import TestSupport
import Testing

@Suite struct MappedFileTests {
    @Test func aFileIsMappedWholeAndAnErrorNamesIt() throws {
        let folder = ScratchFolder()
        let path = folder.write("three", [1, 2, 3])
        let file = try MappedFile(path: path)
        #expect(file.count == 3)
        var reader = ByteReader(file.bytes)
        #expect(try reader.read(UInt16.self) == 0x0201)
        #expect(reader.remaining == 1)
        #expect(throws: FileError.self) { try MappedFile(path: path + ".absent") }
        #expect(throws: FileError.self) { try MappedFile(path: "/") }
    }

    @Test func anEmptyFileMapsToNothing() throws {
        let folder = ScratchFolder()
        #expect(try MappedFile(path: folder.write("nothing", [])).count == 0)
    }
}

@Suite struct DigestTests {
    @Test func aDigestIsThatOfXXH3() {
        // XXH3-128 of the empty input, from the algorithm's published test vectors.
        #expect(Digest(of: "").description == "99aa06d3014798d86001c324468d497f")
        #expect(Digest(of: "a") != Digest(of: "b"))
        #expect(Digest(of: "a", seed: 1) != Digest(of: "a"))
    }
}

@Suite struct WorkerThreadTests {
    private actor Counter {
        let thread: WorkerThread
        var count = 0
        nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe thread.asUnownedSerialExecutor() }
        init(thread: WorkerThread) { self.thread = thread }
        func add() {
            thread.checkIsolated()
            count += 1
        }
    }

    @Test func jobsRunInOrderOnTheThread() async {
        let counter = Counter(thread: WorkerThread(name: "test"))
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<100 { group.addTask { await counter.add() } }
        }
        #expect(await counter.count == 100)
    }
}

@Suite struct MonotonicClockTests {
    @Test func instantsMoveByDurationsAndNeverBelowZero() {
        let start = MonotonicInstant(nanoseconds: 5)
        #expect(start.advanced(by: .seconds(1)).nanoseconds == 1_000_000_005)
        #expect(start.advanced(by: .seconds(-1)).nanoseconds == 0)
        #expect(start.since(start.advanced(by: .seconds(1))) == .zero)
        #expect(SystemClock().now.nanoseconds > 0)
    }
}

@Suite struct AbandonedDraftTests {
    @Test func onlyDraftsOfEndedProcessesAreRemoved() throws {
        let folder = ScratchFolder()
        // No process has the greatest number that the system gives out, by default 4,194,304.
        let abandoned = "a.weights.\(Int32.max).x.draft"
        for name in [abandoned, "a.weights.\(getpid()).x.draft", "a.weights", "odd.draft"] { folder.write(name, "x") }
        FileDraft.removeAbandoned(beside: folder.path + "/a.weights")
        #expect(folder.names() == ["a.weights", "a.weights.\(getpid()).x.draft", "odd.draft"])
        #expect(Set(Folder.names(in: folder.path)) == Set(folder.names()))
        #expect(Folder.names(in: folder.path + "/absent").isEmpty)
    }
}
