import TestSupport
import Testing

extension ClientTests {
    /// A gateway and its workers as real processes that are killed, frozen, cut off and drained. Whatever happens, clients get every token
    /// once, the same as without, or one honest error; and afterwards no request, page, lease or transfer is left.
    @Suite(.enabled("python3 is not installed") { ClientScript.python != nil })
    struct FleetTests {
        // Killed

        @Test("a worker that is killed before its work begins loses nothing")
        func killedBefore() async throws { try await ClientScript("fleet_kill.py", "before").run() }

        @Test("a worker that is killed during a long prefill loses nothing")
        func killedInPrefill() async throws { try await ClientScript("fleet_kill.py", "during_the_prefill").run() }

        @Test("a worker that is killed right after the first token loses nothing")
        func killedAfterFirstToken() async throws { try await ClientScript("fleet_kill.py", "first_token").run() }

        @Test("a worker that is killed while KV crawls over its link loses nothing")
        func killedInPull() async throws { try await ClientScript("fleet_kill.py", "pull").run() }

        @Test("a worker that is killed in the middle of decoding loses nothing")
        func killedInDecode() async throws { try await ClientScript("fleet_kill.py", "middle").run() }

        @Test("both workers may be killed at once")
        func bothKilled() async throws { try await ClientScript("fleet_kill.py", "both").run() }

        @Test("a request whose workers are killed again and again ends in one honest error")
        func killedAgain() async throws { try await ClientScript("fleet_kill.py", "again").run() }

        // Frozen

        @Test("a frozen worker is given up, killed and replaced")
        func frozen() async throws { try await ClientScript("fleet_freeze.py", "given_up").run() }

        @Test("a worker that pauses for a moment loses nothing and is not replaced")
        func paused() async throws { try await ClientScript("fleet_freeze.py", "pause").run() }

        @Test("a suspect worker gets nothing new and is trusted again")
        func suspect() async throws { try await ClientScript("fleet_freeze.py", "suspect").run() }

        // Links

        @Test("KV over a link that is cut is resumed, or the prompt computed again")
        func cutLink() async throws { try await ClientScript("fleet_links.py", "cut").run() }

        @Test("the first token does not wait for a slow link")
        func slowLink() async throws { try await ClientScript("fleet_links.py", "first_token").run() }

        @Test("a cancel during a slow pull frees everything, and the link can be restored")
        func cancelledPull() async throws { try await ClientScript("fleet_links.py", "cancel").run() }

        @Test("a lease that nobody renews expires, and the answer is right all the same")
        func expiredLease() async throws { try await ClientScript("fleet_links.py", "lease").run() }

        @Test("requests choose how their KV travels, among what is allowed, and hear it")
        func profiles() async throws { try await ClientScript("fleet_profiles.py", "told").run() }

        @Test("a way for KV that is not allowed is refused by name")
        func refusedProfile() async throws { try await ClientScript("fleet_profiles.py", "refused").run() }

        // Joined

        @Test("a worker with another model, tokenizer or dtype is refused with the reason")
        func misfit() async throws { try await ClientScript("fleet_join.py", "fit").run() }

        @Test("a worker's name belongs to one process while that lives")
        func nameInUse() async throws { try await ClientScript("fleet_join.py", "name").run() }

        @Test("workers from elsewhere serve, and rejoin when their gateway comes back")
        func joined() async throws { try await ClientScript("fleet_join.py", "elsewhere").run() }

        @Test("two prefill and two decode workers share the work")
        func four() async throws { try await ClientScript("fleet_join.py", "share").run() }

        @Test("only certificates of the fleet open its doors", .enabled("openssl is not installed") { Program.path("openssl") != nil })
        func certificates() async throws { try await ClientScript("fleet_join.py", "only_certificates").run() }

        @Test("an address that others can reach needs certificates")
        func clearText() async throws { try await ClientScript("fleet_join.py", "needs_certificates").run() }

        @Test("answers are right whatever happens to workers, links and roles at any time")
        func chaos() async throws { try await ClientScript("fleet_chaos.py").run() }

        // Lives

        @Test("a storm of cancels leaves nothing behind")
        func storm() async throws { try await ClientScript("fleet_lives.py", "storm").run() }

        @Test("deadlines are kept and said")
        func deadlines() async throws { try await ClientScript("fleet_lives.py", "deadlines").run() }

        @Test("a deadline ends a pull that takes too long")
        func deadlineInPull() async throws { try await ClientScript("fleet_lives.py", "a_deadline").run() }

        @Test("a drained worker ends what it has and gets nothing new")
        func drained() async throws { try await ClientScript("fleet_lives.py", "drained").run() }

        @Test("roles can be swapped under load")
        func roles() async throws { try await ClientScript("fleet_lives.py", "roles").run() }

        @Test("answers are the same whether KV was handed over or not")
        func alike() async throws { try await ClientScript("fleet_lives.py", "alike").run() }

        @Test("SIGTERM to the whole process group lets streams end and leaves no process")
        func groupSignal() async throws { try await ClientScript("fleet_lives.py", "group").run() }

        @Test("the workers of a gateway that is killed end by themselves")
        func gatewayKilled() async throws { try await ClientScript("fleet_lives.py", "killed_gateway").run() }
    }
}
