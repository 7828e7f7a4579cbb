import Inference
import Platform
import TestSupport
import Testing

@testable import Wire

/// The bytes of one message.
func bytes(_ message: some FleetMessage, limits: MessageLimits = MessageLimits()) throws -> [UInt8] {
    var bytes: [UInt8] = []
    try message.encode(into: &bytes, now: Samples.now, limits: limits)
    return bytes
}

/// What a reader makes of bytes cut into pieces.
func read<Message: FleetMessage>(
    _ bytes: [UInt8], piece: Int = .max, now: MonotonicInstant = Samples.now, limits: MessageLimits = MessageLimits()
) throws -> [Message] {
    var reader = MessageReader<Message>(limits: limits)
    var messages: [Message] = []
    var start = 0
    while start < bytes.count {
        let end = piece < bytes.count - start ? start + piece : bytes.count
        try reader.read(bytes.rawSpan.extracting(start..<end), now: now) { messages.append($0) }
        start = end
    }
    try reader.finish()
    return messages
}

@Suite(.timeLimit(.minutes(5))) struct MessageTests {
    @Test func `any message comes back as it was`() throws {
        var random = RandomMessages(seed: 1)
        for _ in 0..<Build.size(3000, debug: 200) {
            let (here, there) = (random.worker(), random.gateway())
            try #require(try read(bytes(here)) == [here])
            try #require(try read(bytes(there)) == [there])
        }
    }

    @Test(arguments: [1, 2, 3, 4, 5, 7, 64, 1000, .max])
    func `messages come out of pieces of any size in their order`(piece: Int) throws {
        var random = RandomMessages(seed: 2)
        let messages = (0..<50).map { _ in random.gateway() }
        let stream = try messages.flatMap { try bytes($0) }
        #expect(try read(stream, piece: piece) == messages)
    }

    @Test func `equal messages are equal bytes, whatever the order in which tables were filled`() throws {
        let tokens = (0..<200).map { TokenID($0) }
        func message(_ tokens: [TokenID]) -> GatewayMessage {
            var sampling = SamplingParameters()
            for token in tokens {
                sampling.logitBias[token] = 1
                sampling.stopTokens.insert(token)
            }
            return .commands(epoch: 1, [.start(SequenceRequest(id: SequenceID(1), prompt: [], sampling: sampling))])
        }
        #expect(try bytes(message(tokens)) == bytes(message(tokens.reversed())))
    }

    @Test func `a deadline travels as the time that remains`() throws {
        let request = SequenceRequest(
            id: SequenceID(1), prompt: [1], sampling: SamplingParameters(), deadline: Samples.now.advanced(by: .seconds(5)))
        let stream = try bytes(GatewayMessage.commands(epoch: 1, [.start(request)]))
        let later = MonotonicInstant(nanoseconds: 77_000_000_000)
        let messages: [GatewayMessage] = try read(stream, now: later)
        guard case .commands(_, let commands) = messages.first, case .start(let received) = commands.first else {
            Issue.record("\(messages)")
            return
        }
        #expect(received.deadline == later.advanced(by: .seconds(5)))
    }

    @Test func `a deadline that has passed arrives as one that passes now`() throws {
        let request = SequenceRequest(
            id: SequenceID(1), prompt: [1], sampling: SamplingParameters(), deadline: MonotonicInstant(nanoseconds: 3))
        let messages: [GatewayMessage] = try read(bytes(GatewayMessage.commands(epoch: 1, [.start(request)])))
        guard case .commands(_, let commands) = messages.first, case .start(let received) = commands.first else {
            Issue.record("\(messages)")
            return
        }
        #expect(received.deadline == Samples.now)
    }

    @Test func `a report of 256 tokens takes 17 bytes a token and a little`() throws {
        let empty = try bytes(WorkerMessage.report(StepReport())).count
        let tokens = (0..<256).map { TokenEvent(sequence: SequenceID(UInt64($0)), index: $0, token: 5) }
        #expect(try bytes(WorkerMessage.report(StepReport(tokens: tokens))).count == empty + 256 * 17)
        #expect(empty < 160)
    }

    @Test func `a prompt of a hundred thousand tokens passes`() throws {
        let prompt = (0..<100_000).map { TokenID($0) }
        let message = GatewayMessage.commands(epoch: 1, [.start(SequenceRequest(id: SequenceID(1), prompt: prompt, sampling: SamplingParameters()))])
        #expect(try read(bytes(message), piece: 65_536) == [message])
    }

    @Test func `a message over the limit is neither sent nor taken, and what was written before stays`() throws {
        let message = GatewayMessage.commands(epoch: 1, [.cancel(SequenceID(1)), .cancel(SequenceID(2))])
        let size = try bytes(message).count - 4
        #expect(try read(bytes(message, limits: MessageLimits(frame: size)), limits: MessageLimits(frame: size)) == [message])
        var before: [UInt8] = [1, 2, 3]
        let narrow = MessageLimits(frame: size - 1)
        #expect(throws: MessageError.malformed("a commands message of \(size) bytes, at most \(size - 1) can be sent")) {
            try message.encode(into: &before, now: Samples.now, limits: narrow)
        }
        #expect(before == [1, 2, 3])
        #expect(throws: MessageError.malformed("a message of \(size) bytes, 1 to \(size - 1) were expected")) {
            let _: [GatewayMessage] = try read(bytes(message), limits: narrow)
        }
    }

    @Test func `an over-long reason is cut between characters and arrives`() throws {
        let reason = "x" + String(repeating: "é", count: 2000)
        let ending = SequenceEnding(sequence: SequenceID(1), reason: .failed(reason), promptTokens: 1, cachedTokens: 0, generatedTokens: 0)
        let messages: [WorkerMessage] = try read(bytes(WorkerMessage.report(StepReport(endings: [ending]))))
        guard case .report(let report) = messages.first, case .failed(let text) = report.endings.first?.reason else {
            Issue.record("\(messages)")
            return
        }
        #expect(text == "x" + String(repeating: "é", count: (MessageLimits.reason - 1) / 2))
    }

    @Test(arguments: ["", "A", "a b", "a/b", "é", String(repeating: "a", count: 65)])
    func `a worker under an impossible name is neither announced nor taken`(name: String) throws {
        let error = #expect(throws: MessageError.self) {
            try bytes(GatewayMessage.peers([WorkerAddress(worker: name, incarnation: 1, endpoint: "")]))
        }
        #expect(error?.description == "peer.worker: \"\(name)\" is no worker's name (1 to 64 of a-z, 0-9, '.', '_' and '-')")
        var frame: [UInt8] = [UInt8(1 + 4 + 4 + name.utf8.count + 8 + 4), 0, 0, 0, 69, 1, 0, 0, 0, UInt8(name.utf8.count), 0, 0, 0]
        frame += Array(name.utf8) + [1, 0, 0, 0, 0, 0, 0, 0] + [0, 0, 0, 0]
        #expect(throws: MessageError.self) { let _: [GatewayMessage] = try read(frame) }
    }

    @Test func `a registration of another version is told from a damaged one`() throws {
        var frame = try bytes(WorkerMessage.register(Samples.registration))
        frame[5] = 9
        #expect(throws: MessageError.version(found: 9, expected: 2)) { let _: [WorkerMessage] = try read(frame) }
    }

    @Test func `a reader that has failed stays so, after the good messages before`() throws {
        var reader = MessageReader<WorkerMessage>()
        var seen: [WorkerMessage] = []
        let good = try bytes(WorkerMessage.drained)
        let bad: [UInt8] = [1, 0, 0, 0, 70]
        let expected = MessageError.malformed("a message of kind 70, which a worker does not send")
        #expect(throws: expected) { try reader.read((good + bad + good).rawSpan, now: Samples.now) { seen.append($0) } }
        #expect(throws: expected) { try reader.read(good.rawSpan, now: Samples.now) { seen.append($0) } }
        #expect(throws: expected) { try reader.finish() }
        #expect(seen == [.drained])
    }

    @Test func `a stream that ends within a message says so`() throws {
        let frame = try bytes(WorkerMessage.pulse(Samples.pulse))
        #expect(throws: MessageError.malformed("the stream ended within a message, of which \(frame.count - 1) bytes had come")) {
            let _: [WorkerMessage] = try read(Array(frame.dropLast()))
        }
    }
}

@Suite struct WorkerRoleTests {
    private static let texts: [(String, WorkerRole, String)] = [
        ("prefill", .prefill, "prefill"), ("decode", .decode, "decode"), ("prefill,decode", [.prefill, .decode], "prefill,decode"),
        ("decode, prefill", [.prefill, .decode], "prefill,decode"), (" decode ", .decode, "decode"),
    ]

    @Test(arguments: texts)
    func `roles are read and written as text`(text: String, roles: WorkerRole, written: String) throws {
        #expect(try WorkerRole(text) == roles)
        #expect(roles.description == written)
    }

    @Test(arguments: [("", ""), ("prefil", "prefil"), ("prefill,", ""), ("prefill,prefill", "prefill"), ("decode,encode", "encode"), ("Decode", "Decode")])
    func `what is no role is named`(text: String, found: String) {
        let error = #expect(throws: WorkerRoleError.self) { try WorkerRole(text) }
        #expect(error?.description == "the role \"\(found)\"; prefill, decode or prefill,decode were expected")
    }

    @Test func `no role has a name too`() { #expect(WorkerRole().description == "none") }
}
