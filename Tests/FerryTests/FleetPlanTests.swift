import Testing

@testable import Ferry

@Suite struct FleetPlanTests {
    private func plan(_ settings: String...) throws -> FleetPlan { try FleetPlan(Settings(file: nil, environment: [:], overrides: settings)) }

    private func complaint(_ settings: String...) -> String {
        do {
            _ = try FleetPlan(Settings(file: nil, environment: [:], overrides: settings))
            return ""
        } catch {
            return "\(error)"
        }
    }

    @Test func `workers are named by what they do`() throws {
        #expect(try plan().workers.map(\.name) == ["prefill-0", "decode-0"])
        #expect(try plan("fleet.workers=decode,prefill+decode,prefill,decode").workers.map(\.name) == ["decode-0", "worker-0", "prefill-0", "decode-1"])
        #expect(try plan("fleet.workers=", "fleet.listen=127.0.0.1:0").workers.isEmpty)
    }

    @Test func `what cannot work is refused by key`() {
        #expect(complaint("fleet.workers=").contains("fleet.workers and fleet.listen are both empty"))
        #expect(complaint("fleet.workers=cook").contains("\"cook\""))
        #expect(complaint("fleet.listen=0.0.0.0:1").contains("fleet.tls_certificate"))
        #expect(complaint("fleet.advertise=here").contains("fleet.tls_certificate"))
        #expect(complaint("fleet.lost_after=1").contains("each must be less than the next"))
    }
}
