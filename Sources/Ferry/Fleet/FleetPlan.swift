internal import Foundation
internal import Inference
internal import Platform
internal import Reactor
internal import Routing

/// What the settings say of the fleet: who is started here, who may join from where, and how patient the gateway is.
struct FleetPlan {
    struct Planned: Equatable {
        let name: String
        let roles: WorkerRole
    }

    /// Worker processes of this machine, by name.
    let workers: [Planned]
    let endpoints: [Endpoint]
    /// Where other machines find the workers of this one; empty where there are none.
    let advertised: String
    let limits: FleetLimits
    let dispatch: Dispatcher.Limits
    let rules: PlacementRules

    init(_ settings: Settings) throws(ConfigurationError) {
        workers = try Self.workers(settings.list("fleet.workers"))
        endpoints = try settings.fleetEndpoints("fleet.listen")
        guard !workers.isEmpty || !endpoints.isEmpty else {
            throw ConfigurationError("fleet.workers and fleet.listen are both empty: there is nobody to serve with")
        }
        advertised = settings.text("fleet.advertise")
        if let open = endpoints.first(where: { !$0.isLocal }), !workers.isEmpty, advertised.isEmpty {
            throw ConfigurationError(
                "fleet.advertise is empty; workers that join at \(open) need a name or address of this machine to fetch KV cache from its workers (fleet.workers)")
        }
        if !advertised.isEmpty, try settings.fleetServerTLS() == nil {
            throw ConfigurationError("fleet.advertise is \"\(advertised)\"; fleet.tls_certificate, fleet.tls_key and fleet.tls_authority are needed with it")
        }
        var limits = FleetLimits()
        limits.pulseInterval = settings.seconds("fleet.pulse")
        limits.suspectAfter = settings.seconds("fleet.suspect_after")
        limits.lostAfter = settings.seconds("fleet.lost_after")
        limits.stallAfter = settings.seconds("fleet.stall_after")
        guard limits.pulseInterval < limits.suspectAfter, limits.suspectAfter < limits.lostAfter else {
            throw ConfigurationError(
                "fleet.pulse, fleet.suspect_after and fleet.lost_after are \(limits.pulseInterval), \(limits.suspectAfter) and \(limits.lostAfter); each must be less than the next")
        }
        self.limits = limits
        var dispatch = Dispatcher.Limits()
        dispatch.attempts = settings.integer("fleet.attempts")
        dispatch.unplacedTime = settings.seconds("fleet.wait")
        self.dispatch = dispatch
        var rules = PlacementRules()
        rules.localTokens = settings.integer("fleet.local_tokens")
        self.rules = rules
    }

    /// `prefill`, `decode`, `prefill+decode` become `prefill-0`, `decode-0`, `worker-0`, counted by kind.
    private static func workers(_ texts: [String]) throws(ConfigurationError) -> [Planned] {
        var counts: [String: Int] = [:]
        var workers: [Planned] = []
        for text in texts {
            let roles: WorkerRole
            do throws(WorkerRoleError) { roles = try WorkerRole(text.replacing("+", with: ",")) } catch {
                throw ConfigurationError("fleet.workers: \"\(text)\", one of prefill, decode and prefill+decode was expected")
            }
            let kind = roles == .prefill ? "prefill" : roles == .decode ? "decode" : "worker"
            workers.append(Planned(name: "\(kind)-\(counts[kind, default: 0])", roles: roles))
            counts[kind, default: 0] += 1
        }
        return workers
    }
}

extension Settings {
    /// Addresses of a fleet listener. In clear only where nobody else can listen in.
    func fleetEndpoints(_ key: String) throws(ConfigurationError) -> [Endpoint] {
        guard !list(key).isEmpty else { return [] }
        let endpoints = try endpoints(key)
        let isSecure = try fleetServerTLS() != nil
        for endpoint in endpoints where !isSecure && !endpoint.isLocal {
            throw ConfigurationError(
                "\(key): \(endpoint) can be reached from other machines; fleet.tls_certificate, fleet.tls_key and fleet.tls_authority are needed for that (deploy/fleet-ca.sh)")
        }
        return endpoints
    }

    private func fleetFiles() throws(ConfigurationError) -> TLSFiles? {
        let (certificate, key, authority) = (path("fleet.tls_certificate"), path("fleet.tls_key"), path("fleet.tls_authority"))
        if certificate.isEmpty, key.isEmpty, authority.isEmpty { return nil }
        guard !certificate.isEmpty, !key.isEmpty, !authority.isEmpty else {
            throw ConfigurationError("fleet.tls_certificate, fleet.tls_key and fleet.tls_authority belong together, one is empty")
        }
        return TLSFiles(certificateChain: certificate, privateKey: key, peerAuthorities: authority)
    }

    /// Lets in who shows a certificate of the fleet's authority; nil where no certificate is configured.
    func fleetServerTLS() throws(ConfigurationError) -> TLSContext? {
        guard let files = try fleetFiles() else { return nil }
        do throws(TLSError) {
            return try TLSContext(server: files, protocols: .http2, minimumVersion: .tls13)
        } catch {
            throw ConfigurationError("fleet.tls_certificate: \(error)")
        }
    }

    func fleetClientTLS() throws(ConfigurationError) -> TLSContext? {
        guard let files = try fleetFiles() else { return nil }
        do throws(TLSError) {
            return try TLSContext(client: files, protocols: .http2, minimumVersion: .tls13)
        } catch {
            throw ConfigurationError("fleet.tls_certificate: \(error)")
        }
    }
}

extension Endpoint {
    /// All addresses of the machine, which is nothing that a peer could connect to.
    var isUnspecified: Bool {
        if case .tcp(let host, _) = self { ["0.0.0.0", "::"].contains(host) } else { false }
    }

    /// A Unix socket or a loopback address: nobody on another machine can be at either end.
    var isLocal: Bool {
        switch self {
        case .unix: true
        case .tcp(let host, _): host == "localhost" || host == "::1" || host.hasPrefix("127.")
        }
    }
}
