internal import ArgumentParser
internal import Foundation
internal import Inference
internal import Kernels
internal import Platform
internal import Reactor
internal import Wire

struct WorkerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "worker", abstract: "Add one worker to a running gateway.",
        discussion: """
            Examples:
              ferry worker --join http://127.0.0.1:9191 --role prefill
              ferry worker --join https://gateway:9191 --role decode --listen 0.0.0.0:9192 --advertise decode-1 \
                --config configs/fleet.yaml

            The worker computes with the model of --model or model.path, which must be the gateway's. It serves its KV cache to other workers on
            --listen. Any address that other machines can reach needs the certificates of the fleet (fleet.tls_*; deploy/fleet-ca.sh makes
            them). When the gateway goes away, the worker waits for it to come back. SIGTERM and Ctrl-C end it; what it had is done again elsewhere.
            """)

    @Option(name: .long, help: "The gateway's fleet address: http://HOST:PORT, https://HOST:PORT or unix:/PATH (fleet.listen there).")
    var join: String
    @Option(name: .long, help: "What it does: prefill, decode or both, separated by a comma.") var role = "prefill,decode"
    @Option(name: .long, help: "Its name in the fleet, stable over restarts; default: this machine's name and the roles.") var name: String?
    @Option(name: .long, help: "Where peers fetch KV cache from it.") var listen = "127.0.0.1:0"
    @Option(name: .long, help: "Name or address under which peers reach it; needed where --listen names none.") var advertise: String?
    @Option(name: .long, help: "YAML file with settings; configs/fleet.yaml is an example.") var config: String?
    @Option(name: .long, help: "Hugging Face model directory (model.path).") var model: String?
    @Option(name: .long, help: "Form of the weights: auto, \(WeightForm.names) (model.weights).") var weights: String?
    @Option(name: .long, help: ArgumentHelp("One setting; may be repeated.", valueName: "key=value")) var set: [String] = []
    @Flag(name: .long, help: .hidden) var supervised = false
    @Option(name: .long, help: .hidden) var share = 1
    /// Weights that the gateway has in memory.
    @Option(name: .long, help: .hidden) var image: String?

    func run() async throws {
        var settings = try Settings(file: config, environment: Environment.variables, overrides: set)
        if let model { try settings.set("model.path", to: model, origin: "--model") }
        if let weights { try settings.set("model.weights", to: weights, origin: "--weights") }
        let roles: WorkerRole
        do { roles = try WorkerRole(role) } catch { throw ConfigurationError("--role: \(error)") }
        let (gateway, isEncrypted) = try Self.gateway(join)
        let name = name ?? Self.defaultName(roles)
        guard WorkerRegistration.isName(name) else {
            throw ConfigurationError("--name is \"\(name)\", 1 to 64 of a-z, 0-9, '.', '_' and '-' were expected")
        }
        let endpoint: Endpoint
        do { endpoint = try Endpoint(listen) } catch { throw ConfigurationError("--listen: \(error)") }
        guard !endpoint.isUnspecified || advertise != nil else {
            throw ConfigurationError("--listen \(endpoint) is every address of this machine and none that peers could use; --advertise NAME was expected")
        }
        let place = WorkerDaemon.Place(
            gateway: gateway, isEncrypted: isEncrypted, name: name, roles: roles, listen: endpoint, advertised: advertise, isSupervised: supervised,
            share: max(1, share), image: image)
        try await WorkerDaemon(settings: settings, place: place).run()
    }

    private static func gateway(_ text: String) throws(ConfigurationError) -> (Endpoint, isEncrypted: Bool) {
        let isEncrypted = text.hasPrefix("https://")
        var address = text
        for scheme in ["http://", "https://"] where address.hasPrefix(scheme) { address.removeFirst(scheme.count) }
        if address.hasSuffix("/") { address.removeLast() }
        let endpoint: Endpoint
        do { endpoint = try Endpoint(address) } catch { throw ConfigurationError("--join: \(error)") }
        guard isEncrypted || endpoint.isLocal else {
            throw ConfigurationError("--join \(text): in clear only on this machine; https://\(address) was expected")
        }
        return (endpoint, isEncrypted)
    }

    private static func defaultName(_ roles: WorkerRole) -> String {
        let host = ProcessInfo.processInfo.hostName.lowercased().map { ("a"..."z").contains($0) || $0.isNumber ? $0 : "-" }
        return "\(String(host).prefix(32))-\(roles.description.replacing(",", with: "-"))-\(ProcessInfo.processInfo.processIdentifier)"
    }
}
