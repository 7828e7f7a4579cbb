import Glibc
import Platform
import TestSupport
import Testing

@Suite struct ReadAheadPlanTests {
    private func all(_ plan: inout ReadAheadPlan) -> [Range<Int>] {
        var ranges: [Range<Int>] = []
        while let piece = plan.take() { ranges.append(piece.range) }
        return ranges
    }

    @Test func `what is in use and a window behind it may be read, in pieces and in order`() {
        var plan = ReadAheadPlan(
            [[.init(file: 0, range: 0..<25)], [.init(file: 0, range: 30..<40), .init(file: 1, range: 5..<10)], [.init(file: 1, range: 100..<200)]],
            window: 10, piece: 10)
        // Before the first step the window alone.
        #expect(all(&plan) == [0..<10])
        plan.begin(0)
        #expect(all(&plan) == [10..<20, 20..<25, 30..<40])
        #expect(plan.take() == nil && !plan.isOver)
        plan.begin(1)
        #expect(plan.take() == .init(file: 1, range: 5..<10))
        #expect(all(&plan) == [100..<110])
        plan.begin(2)
        #expect(all(&plan).count == 9 && plan.isOver)
    }

    @Test func `what was used before it was read ahead is not read any more`() {
        var plan = ReadAheadPlan((0..<4).map { [.init(file: 0, range: $0 * 100..<$0 * 100 + 100)] }, window: 50, piece: 100)
        plan.begin(2)
        #expect(all(&plan) == [200..<300, 300..<400] && plan.isOver)
    }

    @Test func `steps that read nothing, and plans without steps, are over at once`() {
        var plan = ReadAheadPlan([[], [.init(file: 0, range: 7..<7)]])
        plan.begin(1)
        #expect(plan.isOver && plan.take() == nil)
        #expect(ReadAheadPlan([]).isOver)
    }
}

@Suite struct PageTests {
    @Test func `pages of a file can be touched, given back and looked at, whatever the range`() throws {
        let folder = ScratchFolder()
        let bytes = (0..<100_001).map { UInt8(truncatingIfNeeded: $0 * 31) }
        let file = try MappedFile(path: folder.write("pages", bytes))
        for range in [0..<0, 0..<1, 4095..<4097, 5000..<99_000, 100_000..<100_001, 0..<100_001] {
            file.adviseWillNeed(range)
            file.touch(range)
            #expect(file.coldBytes(range) == 0)
            file.adviseDone(range)
            file.forget(range)
            #expect((0...range.count).contains(file.coldBytes(range)))
            #expect(file.touch(range) && file.coldBytes(range) == 0)
        }
        #expect(file.copiedBytes() == bytes)
    }

    @Test func `reading ahead ends with its plan and with its last reference`() throws {
        let folder = ScratchFolder()
        let file = try MappedFile(path: folder.write("pages", [UInt8](repeating: 1, count: 100_000)))
        for last in [0, 4] {
            let ahead = ReadAhead(ReadAheadPlan((0..<5).map { [.init(file: 0, range: $0 * 20_000..<$0 * 20_000 + 20_000)] }, window: 1), of: [file])
            for step in 0...last { ahead.begin(step) }
        }
        #expect(file.coldBytes == 0)
    }
}

@Suite struct SharedMemoryTests {
    @Test func `a file in memory is read by another process while this one holds it, changed by nobody, and then gone`() async throws {
        var draft = try FileDraft(sharedFor: "a test", bytes: 10_000)
        draft.replace(at: 9990, with: Array("0123456789".utf8).rawSpan)
        var file: MappedFile? = try draft.share()
        let path = try #require(file).path
        #expect(file?.count == 10_000 && file?.copiedBytes().suffix(10) == Array("0123456789".utf8)[...])
        let reader = await Command.run("tail", ["-c", "10", path])
        #expect(reader.status == 0 && reader.text == "0123456789")
        let writer = await Command.run("dd", ["if=/dev/zero", "of=\(path)", "conv=notrunc", "count=1"])
        #expect(writer.status != 0)
        // Another view keeps the bytes, and the path, as it does with any file that is deleted while it is open.
        let view = try MappedFile(path: path)
        file = nil
        let late = await Command.run("tail", ["-c", "10", path])
        #expect(late.status != 0)
        #expect(view.copiedBytes().suffix(10) == Array("0123456789".utf8)[...])
    }

    @Test func `a size that the system cannot give is an error that says what it was for`() {
        let error = #expect(throws: FileError.self) { _ = try FileDraft(sharedFor: "a test", bytes: 1 << 62) }
        #expect(error?.path == "a test" && error?.operation.hasPrefix("allocate") == true)
    }
}
