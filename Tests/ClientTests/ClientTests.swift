import Foundation
import TestSupport
import Testing

/// Real clients against the real executable with the bundled model. One server at a time: the scripts compare what it does in total.
@Suite(.serialized)
struct ClientTests {
    static let python: Comment = "the OpenAI SDK is missing: set FERRY_PYTHON to a Python with Tests/ClientTests/clients/requirements.txt"

    @Test("the OpenAI SDK works unmodified", .enabled(python) { await ClientScript.hasPython("openai") })
    func openAISDK() async throws {
        try await ServerProcess.run { try await ClientScript("openai_sdk.py").run(against: $0) }
    }

    @Test("with keys set, only who knows one is served", .enabled(python) { await ClientScript.hasPython("openai") })
    func keys() async throws {
        try await ServerProcess.run(settings: ["gateway.api_keys": "harbour-key-1,harbour-key-2"]) {
            try await ClientScript("openai_sdk.py", "authentication", "models", "complete").run(against: $0, environment: ["FERRY_API_KEY": "harbour-key-2"])
        }
    }

    @Test("curl speaks HTTP/1.1, HTTP/2 with prior knowledge and by upgrade", .enabled("curl is not installed") { Program.path("curl") != nil })
    func curl() async throws {
        try await ServerProcess.run { try await ClientScript("curl.sh").run(against: $0) }
    }

    @Test(
        "curl speaks HTTP/1.1 and HTTP/2 over TLS", .enabled("curl or openssl is not installed") { Program.path("curl") != nil && Program.path("openssl") != nil }
    )
    func curlOverTLS() async throws {
        let identity = try await TemporaryIdentity()
        try await ServerProcess.run(settings: ["gateway.tls_certificate": identity.certificate, "gateway.tls_key": identity.key]) {
            #expect($0.url.hasPrefix("https://"))
            try await ClientScript("curl.sh").run(against: $0, environment: ["FERRY_CERTIFICATE": identity.certificate])
        }
    }

    @Test("nghttp works with prior knowledge and by upgrade", .enabled("nghttp is not installed") { Program.path("nghttp") != nil })
    func nghttp() async throws {
        try await ServerProcess.run { try await ClientScript("nghttp.sh").run(against: $0) }
    }

    @Test("h2load's requests all succeed", .enabled("h2load is not installed") { Program.path("h2load") != nil })
    func h2load() async throws {
        try await ServerProcess.run { try await ClientScript("h2load.sh").run(against: $0) }
    }

    @Test("Node's HTTP/2 client streams, resets and pauses", .enabled("node is not installed") { Program.path("node") != nil })
    func node() async throws {
        try await ServerProcess.run { try await ClientScript("node_http2.mjs").run(against: $0) }
    }

    @Test("the JDK's client is upgraded to HTTP/2", .enabled("java is not installed") { Program.path("java") != nil })
    func jdk() async throws {
        try await ServerProcess.run { try await ClientScript("JdkClient.java").run(against: $0) }
    }

    @Test("hostile clients are refused and leave nothing behind", .enabled("python3 is not installed") { ClientScript.python != nil })
    func hostile() async throws {
        let limits = ["header_timeout": "1", "body_timeout": "2", "idle_timeout": "3", "write_timeout": "2", "max_body": "1MiB"]
        try await ServerProcess.run(settings: Dictionary(uniqueKeysWithValues: limits.map { ("gateway." + $0, $1) })) {
            let told = ["HEADER_TIMEOUT": "1", "BODY_TIMEOUT": "2", "IDLE_TIMEOUT": "3", "WRITE_TIMEOUT": "2", "MAX_BODY": "1048576"]
            try await ClientScript("hostile.py").run(
                against: $0, environment: Dictionary(uniqueKeysWithValues: told.map { ("FERRY_" + $0, $1) }), within: .seconds(600))
        }
    }

    @Test("many streams leave nothing behind", .enabled("python3 is not installed") { ClientScript.python != nil })
    func soak() async throws {
        let seconds = ProcessInfo.processInfo.environment["FERRY_SOAK_SECONDS"] ?? "10"
        try await ServerProcess.run { try await ClientScript("soak.py", "--seconds", seconds).run(against: $0, within: .seconds(600)) }
    }

    @Test("a server that cannot listen says why and ends with a failure")
    func addressInUse() async throws {
        try await ServerProcess.run { server in
            let taken = String(server.url.dropFirst("http://".count))
            let second = try ChildProcess(Program.ferry, ["serve", "--model", ServerProcess.model, "--listen", taken, "--admin", "127.0.0.1:0"])
            #expect(await second.ending(within: .seconds(120)) == .init(cause: .exit(1), overdue: false))
            #expect(second.errorOutput.contains(taken), "the address is not named: \(second.errorOutput)")
        }
    }

    @Test("SIGTERM lets a running stream end and then ends the server", .enabled("curl is not installed") { Program.path("curl") != nil })
    func drain() async throws {
        let server = try await ServerProcess()
        let body = #"{"messages":[{"role":"user","content":"Tell me a story."}],"temperature":0,"stream":true,"ignore_eos":true,"max_tokens":400}"#
        let curl = try #require(Program.path("curl"))
        let client = try ChildProcess(curl, ["--silent", "--show-error", "--no-buffer", "--json", body, server.url + "/v1/chat/completions"])
        let first = await client.line(after: "data: ", within: .seconds(60))
        #expect(first != nil, "no stream began: \(client.errorOutput)")
        #expect(await server.stop() == .success)
        #expect(await client.ending(within: .seconds(60)) == .success)
        #expect(client.output.hasSuffix("data: [DONE]\n\n"), "the stream was cut off: \(client.output.suffix(300))")
    }
}

/// A self-signed certificate for the loopback address, in a folder that is removed with it.
private struct TemporaryIdentity {
    private let folder = ScratchFolder()
    var certificate: String { folder.path + "/certificate.pem" }
    var key: String { folder.path + "/key.pem" }

    init() async throws {
        let openssl = try #require(Program.path("openssl"))
        let arguments = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
        let process = try ChildProcess(
            openssl, arguments + ["-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost", "-keyout", key, "-out", certificate])
        let ending = await process.ending(within: .seconds(60))
        try #require(ending == .success, "openssl: \(process.errorOutput)")
    }
}
