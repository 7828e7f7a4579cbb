import TestSupport
import Testing

extension ClientTests {
    /// Real processes whose weights are on their way into memory.
    @Suite(.enabled("python3 is not installed") { ClientScript.python != nil })
    struct LoadingTests {
        @Test("while weights are loaded the operator hears how far they are, and clients are told to come back")
        func held() async throws { try await ClientScript("loading.py", "held").run() }

        @Test("a signal while weights are loaded ends the server at once, with nothing left behind")
        func ended() async throws { try await ClientScript("loading.py", "ended").run() }

        @Test("weights in memory are there once, for workers that are started again too, and go with the gateway")
        func shared() async throws { try await ClientScript("loading.py", "shared").run() }

        @Test("a packed model with a damaged tensor is never served, and the tensor is named")
        func damaged() async throws { try await ClientScript("loading.py", "damaged").run() }
    }
}
