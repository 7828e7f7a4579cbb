import Gateway
import Inference
import Platform
import TestSupport
import Testing
import Wire

/// The time that a client gives its answer, by header or by member.
@Suite(.timeLimit(.minutes(1))) struct DeadlineTests {
    private let path = "/v1/completions"
    private let json = "content-type: application/json"

    private func seconds(_ sequence: SequenceRequest, _ clock: SetClock) -> Double? {
        sequence.deadline.map { $0.since(clock.now).inSeconds }
    }

    @Test("header and member each give a time, the shorter one counts, and the server's own bounds both")
    func times() async throws {
        let clock = SetClock()
        let stage = try await GatewayStage(clock: clock) { $0.requestTimeout = .seconds(100) }
        let client = try await stage.client()
        for (header, member, expected) in [
            (nil, nil, 100.0), ("x-request-timeout: 2.5", nil, 2.5), (nil, "3", 3), ("x-request-timeout: 2.5", "3", 2.5), ("x-request-timeout: 9", "3", 3),
            ("x-request-timeout: 5000", nil, 100),
        ] as [(String?, String?, Double)] {
            try await client.post(
                path, "{\"prompt\":\"x\"\(member.map { ",\"timeout\":\($0)" } ?? "")}", headers: [json] + [header].compactMap(\.self))
            let sequence = await stage.worker.started()
            #expect(seconds(sequence, clock) == expected)
            stage.gateway.receive(stage.worker.end(sequence.id, .length))
            #expect(try await client.answer().status == 200)
        }
        await client.close()
        await stage.end()
    }

    @Test("a time that is none is refused by name")
    func invalid() async throws {
        let stage = try await GatewayStage()
        let client = try await stage.client()
        for value in ["0", "-1", "soon", "1e3", "100000", ""] {
            let answer = try await client.post(path, answered: #"{"prompt":"x"}"#, headers: [json, "x-request-timeout: \(value)"])
            #expect(answer.status == 400, "\(value)")
            #expect(answer.json["error"]?["param"] == "x-request-timeout")
        }
        let answer = try await client.post(path, answered: #"{"prompt":"x","timeout":0}"#)
        #expect(answer.status == 400 && answer.json["error"]?["param"] == "timeout")
        await client.close()
        await stage.end()
    }

    @Test("what cannot begin in its time is refused before it costs anything")
    func hopeless() async throws {
        let stage = try await GatewayStage()
        let client = try await stage.client()
        stage.worker.predict(.seconds(4))
        let refused = try await client.post(path, answered: #"{"prompt":"x","timeout":3}"#)
        #expect(refused.status == 504 && refused.json["error"]?["code"] == "deadline_exceeded")
        try await client.post(path, #"{"prompt":"x","timeout":5}"#)
        let sequence = await stage.worker.started()
        stage.gateway.receive(stage.worker.end(sequence.id, .length))
        #expect(try await client.answer().status == 200)
        await client.close()
        await stage.end()
    }

    @Test("a worker's word that the time is over ends the stream with the code")
    func over() async throws {
        let stage = try await GatewayStage()
        let client = try await stage.client()
        try await client.post(path, #"{"prompt":"x","timeout":5,"stream":true}"#)
        let sequence = await stage.worker.started()
        stage.gateway.receive(stage.worker.step("hi", sequence.id))
        stage.gateway.receive(stage.worker.end(sequence.id, .deadlineExceeded))
        _ = try await client.receive(until: "\r\n\r\n")
        let text = try await client.chunks()
        #expect(text.contains("hi") && text.contains(#""code":"deadline_exceeded""#) && !text.contains("[DONE]"))
        await client.close()
        await stage.end()
    }
}
