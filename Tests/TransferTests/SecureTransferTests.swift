import Reactor
import TestSupport
import Testing
import Wire

@testable import Transfer

/// KV between machines: both sides show a certificate of the fleet's authority.
@Suite(.timeLimit(.minutes(5)), .enabled(if: Command.exists("openssl")))
struct SecureTransferTests {
    private func certificates() async -> ScratchFolder {
        let folder = ScratchFolder()
        let result = await Command.run("sh", [SharedFiles.repository + "/deploy/fleet-ca.sh", folder.path, "worker-1", "worker-2"])
        #expect(result.status == 0, "\(result.complaints)")
        return folder
    }

    private func files(_ folder: ScratchFolder, _ name: String) -> TLSFiles {
        TLSFiles(certificateChain: "\(folder.path)/\(name).crt", privateKey: "\(folder.path)/\(name).key", peerAuthorities: folder.path + "/ca.crt")
    }

    @Test func `KV passes between members of one fleet, and not to one of another`() async throws {
        let (fleet, others) = (await certificates(), await certificates())
        let server = try TLSContext(server: files(fleet, "worker-1"), protocols: .http2, minimumVersion: .tls13)
        let member = try TLSContext(client: files(fleet, "worker-2"), protocols: .http2, minimumVersion: .tls13)
        let stranger = try TLSContext(
            client: files(others, "worker-2"), authorities: fleet.path + "/ca.crt", protocols: .http2, minimumVersion: .tls13)
        for (client, isLetIn) in [(member, true), (stranger, false)] {
            var limits = FetchLimits()
            limits.retryAfter = .zero
            let pair = try await TransferPair(limits: limits, serverTLS: server, clientTLS: client)
            #expect(!pair.address.isLocal)
            await pair.offer(makeBlocks(3, of: 100_000), chosen: 7)
            await pair.fetch()
            await pair.sink.tickUntilSettled()
            switch await pair.sink.nextNews() {
            case .arrived(_, token: 7, _): #expect(isLetIn)
            case .failed(_, let reason):
                #expect(!isLetIn)
                #expect(reason.contains("source could not be reached"), "\(reason)")
            default: Issue.record("it arrives or fails")
            }
            if isLetIn { #expect(pair.sink.sink.blocks(of: pair.transfer) == makeBlocks(3, of: 100_000)) }
            #expect((await pair.source.bytesSent > 0) == isLetIn)
            await pair.end()
        }
    }
}
