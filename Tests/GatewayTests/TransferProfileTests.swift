import Gateway
import Inference
import Platform
import TestSupport
import Testing
import Wire

/// `x-ferry-kv-profile`: what a request may say about its KV's way.
@Suite(.timeLimit(.minutes(5))) struct TransferProfileTests {
    private static let coarse = TransferProfile(name: "none/mm(k4,v4)/rans", isExact: false)
    private static let exact = TransferProfile(name: "lossless", isExact: true)
    private let path = "/v1/completions"
    private let json = "content-type: application/json"

    private func stage() async throws -> GatewayStage {
        try await GatewayStage { $0.transferProfiles = TransferProfiles(standard: Self.exact, allowed: ["raw": .raw, "coarse": Self.coarse]) }
    }

    @Test(arguments: [(nil, exact), ("default", exact), ("raw", .raw), ("coarse", coarse)] as [(String?, TransferProfile)])
    func `the sequence goes with what its header names, or the standard`(header: String?, profile: TransferProfile) async throws {
        let stage = try await stage()
        let client = try await stage.client()
        try await client.post(path, #"{"prompt":"ab","n":2}"#, headers: [json] + (header.map { ["x-ferry-kv-profile: \($0)"] } ?? []))
        for _ in 0..<2 {
            let started = await stage.worker.started()
            #expect(started.profile == profile)
            stage.gateway.receive(stage.worker.step("x", started.id))
            stage.gateway.receive(stage.worker.end(started.id, .length))
        }
        #expect(try await client.answer().status == 200)
        await client.close()
        await stage.end()
    }

    @Test(arguments: ["", "none/mm(k4,v4)/rans", "Coarse", "coarse, raw"])
    func `what is not allowed is refused with what is`(header: String) async throws {
        let stage = try await stage()
        let client = try await stage.client()
        let answer = try await client.post(path, answered: #"{"prompt":"x"}"#, headers: [json, "x-ferry-kv-profile: \(header)"])
        #expect(answer.status == 400)
        #expect(answer.json["error"]?["param"] == "x-ferry-kv-profile")
        #expect(answer.json["error"]?["message"]?.string?.hasSuffix("default or one that this server allows was expected: coarse, raw") == true)
        await client.close()
        await stage.end()
    }
}
