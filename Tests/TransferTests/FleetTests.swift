import HTTP
import Inference
import Platform
import Reactor
import TestSupport
import Testing
import Wire

@testable import Transfer

/// Gateway and worker, message by message, over real sockets.
@Suite(.timeLimit(.minutes(5)))
struct FleetTests {
    private func welcome(_ epoch: UInt64 = 1, _ peers: [WorkerAddress] = []) -> GatewayMessage {
        .welcome(epoch: epoch, roles: .decode, peers: peers, pulseInterval: .seconds(1))
    }

    /// A gateway and a worker that has registered with it.
    private func fleet() async throws -> (desk: DeskStage, worker: MemberStage, endpoint: Endpoint) {
        let desk = try DeskStage()
        let endpoint = try await desk.listen()
        let worker = try await MemberStage(gateway: endpoint)
        #expect(await desk.next() == .registered(0, MemberStage.registration("worker-0", endpoint: "127.0.0.1:1")))
        return (desk, worker, endpoint)
    }

    @Test func `a worker registers, is welcomed, pulses, gets commands and reports in order`() async throws {
        let (desk, worker, _) = try await fleet()
        await desk.send([welcome(3)])
        guard case .message(0, .pulse(let pulse)) = await desk.next() else {
            Issue.record("a pulse was expected")
            return
        }
        #expect((pulse.number, pulse.epoch, pulse.roles, pulse.hasWork) == (1, 3, .decode, true))
        // Commands of an epoch that is over are not for it any more.
        await desk.send([.commands(epoch: 2, [worker.start(5)]), .commands(epoch: 3, [worker.start(1), worker.start(2)]), .shape(nil)])
        #expect(await worker.commands(2) == [worker.start(1), worker.start(2)])
        #expect(await worker.nextTell() == "shape 0")
        let reports = (0..<100).map { worker.report(tokens: [TokenID($0)]) }
        for report in reports { worker.engine.deliver(report) }
        for report in reports { #expect(await desk.nextButPulses() == .message(0, .report(report))) }
        worker.clock.set(seconds: 1)
        await worker.member.look()
        guard case .message(0, .pulse(let second)) = await desk.next() else {
            Issue.record("another pulse was expected")
            return
        }
        #expect(second.number == 2)
        await worker.end()
        guard case .ended(0, _) = await desk.nextButPulses() else {
            Issue.record("the link's end was expected")
            return
        }
        await desk.end()
    }

    @Test func `a worker that is refused is told once why, and does not come again`() async throws {
        let (desk, worker, _) = try await fleet()
        await desk.send([.refuse(code: "model", reason: "another one"), .refuse(code: "model", reason: "again")])
        await desk.endLink()
        #expect(await worker.nextTell() == "refused model: another one")
        guard case .ended(0, _) = await desk.next() else {
            Issue.record("the link's end was expected")
            return
        }
        for seconds in 1...100 {
            worker.clock.set(seconds: UInt64(seconds))
            await worker.member.look()
        }
        await worker.end()
        await desk.end()
        #expect(await desk.next() == nil)
        #expect(await worker.nextTell() == nil)
    }

    @Test func `a name in use is asked for again`() async throws {
        let (desk, worker, _) = try await fleet()
        await desk.send([.refuse(code: "name_in_use", reason: "wait")])
        await desk.endLink()
        guard case .ended(0, _) = await desk.next() else {
            Issue.record("the link's end was expected")
            return
        }
        await worker.hasLostTheGateway()
        worker.clock.set(seconds: 10)
        await worker.member.look()
        guard case .registered(1, _) = await desk.next() else {
            Issue.record("another registration was expected")
            return
        }
        await worker.end()
        await desk.end()
    }

    @Test func `when the gateway is lost, what lives is cancelled, and the worker joins again`() async throws {
        let (desk, worker, endpoint) = try await fleet()
        await desk.send([welcome(), .commands(epoch: 1, [worker.start(1), worker.start(2), worker.start(3)])])
        #expect(await worker.commands(3).count == 3)
        worker.engine.deliver(worker.report(ending: 2))
        #expect(await desk.nextButPulses() == .message(0, .report(worker.report(ending: 2))))
        await desk.stop()
        #expect(await worker.commands(2) == [.cancel(SequenceID(1)), .cancel(SequenceID(3))])
        guard case .ended(0, _) = await desk.nextButPulses() else {
            Issue.record("the link's end was expected")
            return
        }
        await worker.hasLostTheGateway()
        try await desk.listen(on: endpoint.description)
        worker.clock.set(seconds: 1000)
        await worker.member.look()
        guard case .registered(1, _) = await desk.nextButPulses() else {
            Issue.record("another registration was expected")
            return
        }
        await desk.send([welcome(2), .commands(epoch: 2, [worker.start(4)])], to: 1)
        #expect(await worker.commands(1) == [worker.start(4)])
        await worker.end()
        await desk.end()
    }

    @Test func `a gateway that is not there yet is asked for again, less and less often`() async throws {
        let desk = try DeskStage()
        let endpoint = try await desk.listen()
        await desk.stop()
        let worker = try await MemberStage(gateway: endpoint)
        var waits: [Duration] = []
        var seconds: UInt64 = 0
        while waits.count < 7 {
            while await worker.member.failures == waits.count { await Task.yield() }
            waits.append(await worker.member.nextAttempt.since(worker.clock.now))
            seconds += 10
            worker.clock.set(seconds: seconds)
            await worker.member.look()
        }
        #expect(waits == [1, 2, 4, 8, 16, 32, 32].map { .milliseconds(100 * $0) })
        try await desk.listen(on: endpoint.description)
        worker.clock.set(seconds: seconds + 1000)
        await worker.member.look()
        guard case .registered = await desk.next() else {
            Issue.record("a registration was expected")
            return
        }
        await worker.end()
        await desk.end()
    }

    @Test func `a worker that is drained says so after sequences, leases and transfers are over`() async throws {
        let (desk, worker, _) = try await fleet()
        await desk.send([welcome(), .commands(epoch: 1, [worker.start(1)])])
        #expect(await worker.commands(1).count == 1)
        let transfer = TransferID(high: 1, low: 1)
        worker.engine.perform([.offer(transfer), .announce(transfer, from: WorkerAddress(worker: "p", incarnation: 1, endpoint: "127.0.0.1:1"))])
        await desk.send([.drain, .shape(nil)])
        #expect(await worker.nextTell() == "shape 0")
        let last = worker.report(ending: 1)
        for step in 0..<3 {
            await worker.member.look()
            switch step {
            case 0: worker.engine.perform([.abandon(transfer)])
            case 1: worker.engine.perform([.withdraw(transfer)])
            default: worker.engine.deliver(last)
            }
        }
        #expect(await desk.nextButPulses() == .message(0, .report(last)))
        await worker.member.look()
        #expect(await worker.nextTell() == "drained")
        #expect(await desk.nextButPulses() == .message(0, .drained))
        await worker.end()
        await desk.end()
    }

    // MARK: Strangers

    /// Sends these bytes as the body of a request to join, over a link that stays open, and reads what comes back to its end.
    private func join(_ desk: DeskStage, _ bytes: [UInt8], endpoint: Endpoint, finishing: Bool = false) async throws -> [GatewayMessage] {
        guard case .tcp(_, let port) = endpoint else { return [] }
        let client = try await LoopbackClient(port: port)
        let http = HTTPClientConnection()
        func flush() async throws {
            var output: [UInt8] = []
            http.output(into: &output, maximum: 1 << 20)
            if !output.isEmpty { try await client.send(output) }
        }
        let stream = try #require(http.request(HTTPHead(method: "POST", scheme: "http", authority: "g", path: "/w/join"), endStream: false))
        http.write(stream, bytes)
        if finishing { http.finish(stream) }
        try await flush()
        var messages: [GatewayMessage] = []
        var reader = MessageReader<GatewayMessage>()
        var isOver = false
        while !isOver {
            let received = try await client.receive()
            if received.isEmpty { break }
            http.receive(received)
            while let event = http.nextEvent() {
                switch event {
                case .body(_, let bytes): try reader.read(bytes.rawSpan, now: MonotonicInstant(nanoseconds: 0)) { messages.append($0) }
                case .bodyEnd, .reset: isOver = true
                default: break
                }
            }
            try await flush()
        }
        await client.close()
        return messages
    }

    private func bytes(_ messages: [WorkerMessage]) throws -> [UInt8] {
        var bytes: [UInt8] = []
        for message in messages { try message.encode(into: &bytes, now: MonotonicInstant(nanoseconds: 0)) }
        return bytes
    }

    @Test func `who does not register first, speaks nonsense or another version, is refused or cut, and the desk hears nothing`() async throws {
        let desk = try DeskStage()
        let endpoint = try await desk.listen()
        let registration = WorkerMessage.register(MemberStage.registration("x"))
        // What stands behind the message that ended it, is not looked at.
        #expect(try await join(desk, bytes([.drained, registration]), endpoint: endpoint).isEmpty)
        var other = try bytes([registration])
        other[5] = 99
        for nonsense in [[UInt8](repeating: 0xFF, count: 100), other] {
            let answer = try await join(desk, nonsense, endpoint: endpoint)
            guard answer.count == 1, case .refuse(code: "protocol", let reason) = answer[0] else {
                Issue.record("a refusal was expected: \(answer)")
                continue
            }
            #expect(!reason.isEmpty)
        }
        #expect(try await join(desk, [], endpoint: endpoint, finishing: true).isEmpty)
        await desk.end()
        #expect(await desk.next() == nil)
    }

    @Test func `who registers twice or goes on with nonsense is lost, and what the gateway still says does no harm`() async throws {
        let desk = try DeskStage()
        let endpoint = try await desk.listen()
        let registration = MemberStage.registration("x")
        #expect(try await join(desk, bytes([.register(registration), .register(registration), .drained]), endpoint: endpoint).isEmpty)
        #expect(await desk.next() == .registered(0, registration))
        #expect(await desk.next() == .ended(0, "it registered twice"))
        let answer = try await join(desk, bytes([.register(registration)]) + [0, 0, 0, 0], endpoint: endpoint)
        #expect(answer.count == 1)
        #expect(await desk.next() == .registered(1, registration))
        await desk.send([.drain], to: 1)
        await desk.endLink(1)
        await desk.send([.drain], to: 1)
        guard case .ended(1, let reason) = await desk.next() else {
            Issue.record("the link's end was expected")
            return
        }
        #expect(reason.contains("a message of 0 bytes"))
        await desk.send([.drain], to: 1)
        await desk.end()
    }
}
