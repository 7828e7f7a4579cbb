import Foundation
import Platform
import TestSupport
import Testing

@testable import Wire

/// The bytes as this version of the protocol has them: a change here needs another version number.
@Suite(.timeLimit(.minutes(5))) struct GoldenMessageTests {
    struct Golden: Sendable, CustomTestStringConvertible {
        let name: String
        let bytes: [UInt8]
        var testDescription: String { name }
    }

    /// Lines of a name and hexadecimal digits, the worker's messages first.
    static let all: [Golden] = {
        let path = SharedFiles.repository + "/Tests/WireTests/Fixtures/messages.txt"
        guard let text = try? String(contentsOfFile: path, encoding: .utf8) else { return [] }
        return text.split(separator: "\n").map { line in
            let parts = line.split(separator: " ")
            let digits = Array(parts[1].utf8)
            let bytes = stride(from: 0, to: digits.count, by: 2).map { UInt8(String(decoding: digits[$0..<($0 + 2)], as: UTF8.self), radix: 16)! }
            return Golden(name: String(parts[0]), bytes: bytes)
        }
    }()

    static var worker: ArraySlice<Golden> { all.prefix(Samples.worker.count) }
    static var gateway: ArraySlice<Golden> { all.dropFirst(Samples.worker.count) }

    @Test func `each sample has the bytes that it always had`() throws {
        let samples: [any FleetMessage] = Samples.worker + Samples.gateway
        let lines = try samples.map { "\($0.name) " + hexadecimal(try bytes($0)) }
        let goldens = Self.all.map { "\($0.name) " + hexadecimal($0.bytes) }
        #expect(goldens == lines, "\(lines.joined(separator: "\n"))")
    }

    @Test func `the bytes mean what they always meant`() throws {
        #expect(try Self.worker.flatMap { try read($0.bytes) } == Samples.worker)
        #expect(try Self.gateway.flatMap { try read($0.bytes) } == Samples.gateway)
    }

    @Test func `every kind of message has a golden`() {
        #expect(Set(Samples.worker.map(\.kind)) == Set(1...4))
        #expect(Set(Samples.gateway.map(\.kind)) == Set(65...72))
        for kind in UInt8.min ... .max {
            let sent = MessageFuzz.worker([1, 0, 0, 0, kind]).failure, answered = MessageFuzz.gateway([1, 0, 0, 0, kind]).failure
            #expect((sent == .malformed("a message of kind \(kind), which a worker does not send")) != (1...4).contains(kind))
            #expect((answered == .malformed("a message of kind \(kind), which a gateway does not send")) != (65...72).contains(kind))
        }
    }

    @Test func `a message that stops early is incomplete, or wrong when its length says that this is all`() {
        for golden in Self.all {
            for count in 0..<golden.bytes.count {
                let cut = Array(golden.bytes[..<count])
                #expect(Self.outcome(cut) == "", "\(golden.name) of \(count) bytes")
                guard count > 4 else { continue }
                #expect(Self.outcome(Self.sealed(cut)) == "failed", "\(golden.name) of \(count) bytes that says so")
            }
            #expect(Self.outcome(Self.sealed(golden.bytes + [0])) == "failed", "\(golden.name) with a byte behind it")
        }
    }

    @Test func `mutations are refused or mean something, and never trap`() {
        var random = SeededGenerator(seed: 11)
        for round in 0..<Build.size(60_000, debug: 2000) {
            let golden = Self.all[round % Self.all.count]
            var mutant = Self.mutate(golden.bytes, &random)
            if random.next(below: 4) > 0, mutant.count > 4 { mutant = Self.sealed(mutant) }
            let whole = (MessageFuzz.worker(mutant), MessageFuzz.gateway(mutant))
            guard round % 8 == 0 else { continue }
            let piece = random.next(below: 30) + 1
            // Not the messages themselves: a number in them may be none, which equals nothing.
            let cut = (MessageFuzz.worker(mutant, piece: piece), MessageFuzz.gateway(mutant, piece: piece))
            #expect(cut.0.written == whole.0.written && cut.0.failure == whole.0.failure)
            #expect(cut.1.written == whole.1.written && cut.1.failure == whole.1.failure)
        }
    }

    /// Where a count could be: everywhere. The address space would tell of memory for two thousand million elements.
    @Test func `a count that cannot be true costs no memory`() throws {
        let before = try Self.peakOfAddressSpace()
        for golden in Self.all where golden.bytes.count >= 9 {
            for offset in 5...(golden.bytes.count - 4) {
                for value: [UInt8] in [[255, 255, 255, 127], [255, 255, 255, 255]] {
                    var mutant = golden.bytes
                    mutant.replaceSubrange(offset..<(offset + 4), with: value)
                    _ = MessageFuzz.worker(mutant)
                    _ = MessageFuzz.gateway(mutant)
                }
            }
        }
        // A length that promises 16 MiB, and nothing behind it.
        var reader = MessageReader<WorkerMessage>()
        let promise: [UInt8] = [0, 0, 0, 1, 2]
        try reader.read(promise.rawSpan, now: Samples.now) { _ in }
        #expect(reader.pendingBytes == 5)
        #expect(try Self.peakOfAddressSpace() - before < 2 << 30)
    }

    @Test func `a count that cannot be true is refused with what is there`() {
        // peers: 2^31 - 1 of them.
        let peers: [UInt8] = [5, 0, 0, 0, 69, 255, 255, 255, 127]
        #expect(MessageFuzz.gateway(peers).failure == .malformed("peers: 2147483647 of at least 17 bytes each, 0 bytes are left"))
    }

    // MARK: Steps

    private static func outcome(_ bytes: [UInt8]) -> String {
        let (worker, gateway) = (MessageFuzz.worker(bytes), MessageFuzz.gateway(bytes))
        if worker.failure != nil && gateway.failure != nil { return "failed" }
        return worker.messages.isEmpty && gateway.messages.isEmpty ? "" : "accepted"
    }

    /// With the length that it really has.
    private static func sealed(_ bytes: [UInt8]) -> [UInt8] {
        let count = bytes.count - 4
        return (0..<4).map { UInt8(truncatingIfNeeded: count >> (8 * $0)) } + bytes[4...]
    }

    /// One to four flips, overwrites, deletions, repetitions or insertions of telling bytes.
    private static func mutate(_ input: [UInt8], _ random: inout SeededGenerator) -> [UInt8] {
        var bytes = input
        let telling: [UInt8] = [0, 1, 2, 3, 4, 17, 127, 128, 192, 255]
        for _ in 0...random.next(below: 4) {
            guard !bytes.isEmpty else { break }
            let at = random.next(below: bytes.count)
            switch random.next(below: 6) {
            case 0: bytes[at] ^= 1 << UInt8(random.next(below: 8))
            case 1: bytes[at] = UInt8(truncatingIfNeeded: random.next())
            case 2: bytes.removeSubrange(at..<min(bytes.count, at + random.next(below: 20) + 1))
            case 3: bytes.insert(contentsOf: bytes[at..<min(bytes.count, at + random.next(below: 40) + 1)], at: at)
            case 4: bytes.insert(telling[random.next(below: telling.count)], at: at)
            default: bytes[at] = telling[random.next(below: telling.count)]
            }
        }
        return bytes
    }

    private static func peakOfAddressSpace() throws -> Int {
        let status = try String(contentsOfFile: "/proc/self/status", encoding: .utf8)
        let line = try #require(status.split(separator: "\n").first { $0.hasPrefix("VmPeak:") })
        return 1024 * (try #require(Int(line.split(whereSeparator: \.isWhitespace)[1])))
    }
}

private func hexadecimal(_ bytes: [UInt8]) -> String {
    bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
}
