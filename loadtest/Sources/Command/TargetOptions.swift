internal import ArgumentParser
internal import HTTP
internal import Platform
internal import Reactor

/// Where a run's requests go, and over what.
struct TargetOptions: ParsableArguments {
    @Option(help: "The server, as http://127.0.0.1:8000, https://host:8443 or unix:/run/ferry.sock.") var baseUrl: String?
    @Option(help: "The server's host, where there is no --base-url.") var host = "127.0.0.1"
    @Option(help: "The server's port, where there is no --base-url.") var port = 8080
    @Option(help: "openai-chat (chat completions) or openai (completions); vllm means openai.") var backend = "openai-chat"
    @Option(help: "/v1/chat/completions or /v1/completions; otherwise as --backend says.") var endpoint: String?
    @Option(help: "The model; otherwise the first of the server's list.") var model: String?
    @Option(help: ArgumentHelp("A header of every request; may be repeated.", valueName: "name: value")) var header: [String] = []
    @Option(help: "1.1, or 2 (in clear with prior knowledge, under TLS by ALPN). 1.1 is what vllm bench serve and the OpenAI SDKs speak.")
    var http = "1.1"
    @Option(help: "Connections at most.") var connections = 1000
    @Option(help: "HTTP/2: streams of a connection at most.") var streamsPerConnection = 100
    @Option(help: "HTTP/2: bytes that a server may send on a stream before the client has read them.") var streamWindow = 256 << 10
    @Flag(help: "Take any certificate of the server's.") var insecure = false
    @Option(help: "Authorities to trust (PEM) instead of the system's.") var caCert: String?
    @Flag(help: "Allow servers that are not on this machine.") var allowRemote = false

    func version() throws -> WireVersion {
        guard let version = WireVersion(rawValue: http == "1" ? "1.1" : http) else { throw LoadFailure.usage("--http is \(http), expected 1.1 or 2") }
        return version
    }

    func inferenceEndpoint() throws -> InferenceEndpoint {
        if let endpoint {
            // vLLM's flag has the version, other tools' have not.
            let whole = endpoint.hasPrefix("/v1/") ? endpoint : "/v1" + endpoint
            guard let known = InferenceEndpoint(rawValue: whole) else {
                throw LoadFailure.usage("--endpoint is \(endpoint), expected /v1/chat/completions or /v1/completions")
            }
            return known
        }
        switch backend {
        case "openai-chat", "vllm-chat", "chat": return .chat
        case "openai", "vllm", "completions": return .completions
        default: throw LoadFailure.usage("--backend is \(backend), expected openai-chat or openai")
        }
    }

    func settings() throws -> DriveSettings {
        let target = try self.target(baseUrl ?? "http://\(host.contains(":") ? "[\(host)]" : host):\(port)", "--base-url")
        var settings = DriveSettings(target: target)
        settings.version = try version()
        settings.endpoint = try inferenceEndpoint()
        for (name, value, most) in [
            ("--connections", connections, 100_000), ("--streams-per-connection", streamsPerConnection, 100_000),
            ("--stream-window", streamWindow, 1 << 30),
        ] where value < 1 || value > most {
            throw LoadFailure.usage("\(name) is \(value), expected 1 to \(most)")
        }
        settings.connections = connections
        settings.streamsPerConnection = streamsPerConnection
        settings.streamWindow = streamWindow
        if target.isEncrypted {
            settings.tls = try TLSContext(
                authorities: caCert, protocols: settings.version == .http2 ? .http2 : .http1, verifies: !insecure)
        }
        for line in header {
            guard let colon = line.firstIndex(of: ":"), colon > line.startIndex, line.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }),
                line[..<colon].utf8.allSatisfy({ (0x30...0x39).contains($0) || (0x41...0x5A).contains($0 & 0xDF) || $0 == 0x2D || $0 == 0x5F })
            else { throw LoadFailure.usage("--header \"\(line)\": expected NAME: VALUE") }
            settings.headers.set(line[..<colon].lowercased(), String(line[line.index(after: colon)...].drop { $0 == " " }))
        }
        return settings
    }

    /// A URL that may be used: on this machine, or allowed not to be.
    func target(_ text: String, _ flag: String) throws -> Target {
        let target: Target
        do throws(TargetError) { target = try Target(text) } catch { throw LoadFailure.usage("\(flag): \(error)") }
        guard target.endpoint.isLocal || allowRemote else {
            throw LoadFailure.usage("\(flag) \(text) is not on this machine; add --allow-remote if its operator agrees to the load")
        }
        return target
    }
}
