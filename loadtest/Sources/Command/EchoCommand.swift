internal import ArgumentParser
internal import Platform
internal import Reactor
internal import Server
internal import Synchronization

struct EchoCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "echo", abstract: "A server that answers with tokens at a set rate, to measure the harness and networks.",
        discussion: """
            Speaks HTTP/1.1 and HTTP/2 on one port (TLS with --certificate and --key), and answers /v1/chat/completions and /v1/completions with
            max_tokens tokens, streamed or whole. Prints its address on standard output and serves until SIGINT or SIGTERM.

            Examples:
              ferry-load echo --listen 127.0.0.1:8090 --token-rate 50
              ferry-load echo --token-rate inf --first-token 20ms
            """)

    @Option(help: "Where to listen; port 0 asks the system for one.") var listen = "127.0.0.1:8090"
    @Option(help: "Tokens a second of each stream, or inf.") var tokenRate: Double = 50
    @Option(help: "From the request to its first token, as 20ms.") var firstToken = "0ms"
    @Option(help: "Tokens of an answer at most.") var maxTokens = 4096
    @Option(help: "The model's name.") var model = "echo"
    @Option(help: "Certificate chain (PEM); turns TLS on.") var certificate: String?
    @Option(help: "Private key (PEM) of the certificate.") var key: String?
    @Flag(help: "Allow an address that other machines reach.") var allowRemote = false

    func run() async throws {
        var settings = EchoSettings()
        guard tokenRate > 0 else { throw LoadFailure.usage("--token-rate is \(tokenRate), expected more than 0, or inf") }
        guard let delay = Duration(parsing: firstToken) else { throw LoadFailure.usage("--first-token is \(firstToken), expected for example 20ms") }
        settings.tokenRate = tokenRate.isFinite ? tokenRate : nil
        settings.firstToken = delay
        settings.maximumTokens = maxTokens
        settings.model = model
        let endpoint = try Endpoint(listen)
        guard endpoint.isLocal || allowRemote else {
            throw LoadFailure.usage("--listen \(listen) can be reached from other machines; add --allow-remote if that is meant")
        }
        var tls: TLSContext?
        if let certificate, let key {
            tls = try TLSContext(server: TLSFiles(certificateChain: certificate, privateKey: key), protocols: .http2OrHTTP1)
        }
        FileDescriptors.raiseLimit()
        let reactor = try Reactor(name: "echo")
        let server = EchoServer(settings, on: reactor)
        let address = try await server.listen(on: endpoint, tls: tls)
        try StandardOutput.write("\(tls == nil ? "http" : "https")://\(address)\n")
        try await server.waitForSignal()
        await server.end()
        await reactor.shutdown()
    }
}
