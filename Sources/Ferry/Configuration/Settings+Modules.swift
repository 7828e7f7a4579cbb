internal import Admin
internal import Foundation
internal import Gateway
internal import HTTP
internal import KVCodec
internal import Reactor
internal import Server
internal import Wire

/// Settings as the configuration structs of the modules. Each says what is wrong by the key's name.
extension Settings {
    func endpoints(_ key: String) throws(ConfigurationError) -> [Endpoint] {
        var endpoints: [Endpoint] = []
        for text in list(key) {
            do throws(EndpointError) { endpoints.append(try Endpoint(text)) } catch { throw ConfigurationError("\(key): \(error)") }
        }
        guard !endpoints.isEmpty else { throw ConfigurationError("\(key) is empty, at least one address was expected") }
        return endpoints
    }

    /// Nil where no certificate is configured.
    func tls() throws(ConfigurationError) -> TLSContext? {
        let (certificate, key) = (path("gateway.tls_certificate"), path("gateway.tls_key"))
        if certificate.isEmpty, key.isEmpty { return nil }
        guard !certificate.isEmpty, !key.isEmpty else {
            throw ConfigurationError("gateway.tls_certificate and gateway.tls_key belong together, one is empty")
        }
        do {
            return try TLSContext(server: TLSFiles(certificateChain: certificate, privateKey: key), protocols: .http2OrHTTP1)
        } catch {
            throw ConfigurationError("gateway.tls_certificate: \(error)")
        }
    }

    var serverLimits: ServerLimits {
        var limits = ServerLimits()
        limits.maximumConnections = integer("gateway.max_connections")
        // The gateway pauses at the high-water mark and cancels later; this is the second line, behind the last words of both.
        limits.maximumBufferedResponse = limits.http.highWater + 2 * bytes("gateway.max_buffered")
        limits.headTimeout = seconds("gateway.header_timeout")
        limits.bodyTimeout = seconds("gateway.body_timeout")
        limits.idleTimeout = seconds("gateway.idle_timeout")
        limits.stallTimeout = seconds("gateway.write_timeout")
        limits.http.resetBurst = integer("gateway.reset_burst")
        limits.http.resetsPerSecond = integer("gateway.reset_rate")
        return limits
    }

    /// Lossless ways are always allowed; others where they are named.
    func transferProfiles() throws(ConfigurationError) -> TransferProfiles {
        var profiles = TransferProfiles()
        func profile(_ text: String, _ key: String) throws(ConfigurationError) -> TransferProfile {
            let parsed: KeyValueProfile
            do throws(KeyValueProfileError) { parsed = try KeyValueProfile(text) } catch { throw ConfigurationError("\(key): \(error)") }
            guard parsed.name.utf8.count <= TransferProfile.longestName else {
                throw ConfigurationError("\(key): a profile of \(parsed.name.utf8.count) bytes, at most \(TransferProfile.longestName) were expected")
            }
            return TransferProfile(name: parsed.name, isExact: parsed.isLossless)
        }
        for name in ["raw", "lossless"] { profiles.allowed[name] = try profile(name, "kv.profile") }
        for name in text("kv.allowed").split(separator: " ") {
            let parsed = try profile(String(name), "kv.allowed")
            profiles.allowed[String(name)] = parsed
            profiles.allowed[parsed.name] = parsed
        }
        let standard = try profile(text("kv.profile"), "kv.profile")
        guard standard.isExact || profiles.allowed[standard.name] != nil else {
            throw ConfigurationError("kv.profile is \(standard.name), which is lossy and not in kv.allowed")
        }
        profiles.standard = standard
        return profiles
    }

    fileprivate func keys() throws(ConfigurationError) -> APIKeys {
        var keys = list("gateway.api_keys")
        let file = path("gateway.api_keys_file")
        if !file.isEmpty {
            guard let content = try? String(contentsOfFile: file, encoding: .utf8) else {
                throw ConfigurationError("gateway.api_keys_file: cannot read \(file)")
            }
            let found = APIKeys.texts(in: content)
            // An empty list would open the API to everybody.
            guard !found.isEmpty else { throw ConfigurationError("gateway.api_keys_file: \(file) holds no key, one per line was expected") }
            keys += found
        }
        do throws(APIKeyError) {
            return try APIKeys(keys)
        } catch {
            throw ConfigurationError("gateway.api_keys: \(error)")
        }
    }
}

extension GatewayConfiguration {
    init(_ settings: Settings) throws(ConfigurationError) {
        self.init()
        keys = try settings.keys()
        admission.sequences = settings.integer("gateway.max_sequences")
        admission.queuedTokens = settings.integer("gateway.max_queued_tokens")
        preparationLimit = settings.integer("gateway.max_preparing")
        keepAlive = settings.seconds("gateway.keep_alive_comment")
        bufferLimit = settings.bytes("gateway.max_buffered")
        bodyLimit = settings.bytes("gateway.max_body")
        requestTimeout = settings.seconds("gateway.request_timeout")
        transferProfiles = try settings.transferProfiles()
        let places = settings.integer("engine.waiting_sequences") + settings.integer("engine.running_sequences")
        guard admission.sequences <= places else {
            throw ConfigurationError(
                "gateway.max_sequences is \(admission.sequences), at most engine.waiting_sequences + engine.running_sequences = \(places) was expected")
        }
        if let problem = problems().first { throw ConfigurationError("gateway: \(problem)") }
    }
}

extension AdminConfiguration {
    init(_ settings: Settings) {
        self.init()
        progressLimit = settings.seconds("admin.stall_after")
        version = Version.number
        processID = ProcessInfo.processInfo.processIdentifier
    }
}
