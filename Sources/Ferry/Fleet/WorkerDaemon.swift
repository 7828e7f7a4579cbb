internal import Engine
internal import Foundation
internal import HTTP
internal import Inference
internal import Kernels
internal import Logging
internal import Platform
internal import Reactor
internal import Server
internal import Synchronization
internal import Tokenization
internal import Transfer
internal import Wire

/// A worker process: loads the model, joins its gateway, computes, serves its KV to peers, until it is told to end.
struct WorkerDaemon {
    /// Where to join and as whom.
    struct Place {
        let gateway: Endpoint
        let isEncrypted: Bool
        let name: String
        let roles: WorkerRole
        /// Where peers fetch KV from it.
        let listen: Endpoint
        /// The host by which they reach it; nil: as `listen` has it.
        let advertised: String?
        /// Started by a gateway: ends with its standard input, and signals to the whole process group are not for it.
        let isSupervised: Bool
        /// How many workers share this machine's memory.
        let share: Int
        /// Weights that its gateway has in memory; nil: it loads its own.
        let image: String?

        /// What peers are told.
        func address(_ bound: Endpoint) -> String {
            guard let advertised, case .tcp(_, let port) = bound else { return bound.description }
            return Endpoint.tcp(host: advertised, port: port).description
        }
    }

    let settings: Settings
    let place: Place

    /// - Throws: `CommandFailure` when the gateway will not have this worker.
    func run() async throws {
        Daemon.startLogging(settings)
        let logger = Logger(label: "ferry.worker.\(place.name)")
        FileDescriptors.raiseLimit()
        let tls = place.isEncrypted ? try settings.fleetClientTLS() : nil
        if place.isEncrypted, tls == nil {
            throw ConfigurationError("--join: an encrypted gateway needs fleet.tls_certificate, fleet.tls_key and fleet.tls_authority")
        }
        let serverTLS = place.listen.isLocal ? nil : try settings.fleetServerTLS()
        if !place.listen.isLocal, serverTLS == nil {
            throw ConfigurationError("--listen \(place.listen) can be reached from other machines; fleet.tls_certificate and its like are needed")
        }
        let reactor = try Reactor(name: "reactor")
        Watchdog(reactor: reactor, limit: settings.seconds("fleet.stall_after")) {
            logger.critical("the reactor has not turned for \($0); exiting with status 1")
        }.begin()
        let engine = EngineLink(on: reactor)
        let bar = ProgressBar()
        let local = try LocalWorker.load(settings, name: place.name, channel: engine, port: engine, share: place.share, image: place.image) {
            // Under a gateway it is that which speaks to the terminal.
            if !place.isSupervised { bar.show($0) }
        }
        bar.finish()
        for warning in local.warnings { logger.warning("\(warning)") }
        for note in local.notes { logger.info("\(note)") }

        let ending = Ending()
        let watch = try await watchForEnd(on: reactor, ending)
        let registration = try registration(local, listening: place.listen)
        var configuration = FleetMemberConfiguration(gateway: place.gateway, tls: tls, registration: registration)
        configuration.peerTLS = try settings.fleetClientTLS()
        configuration.lease = settings.seconds("fleet.lease")
        // The listener's address is part of what is registered, so it is there before the member joins.
        let member = FleetMember(on: reactor, configuration: configuration, engine: engine, source: local.station, sink: local.station, logger: logger)
        let server = HTTPServer(on: reactor, limits: .fleet, shapeable: true, actor: member)
        let bound = try await server.listen(on: place.listen, tls: serverTLS)
        let running = Task { await local.worker.run() }
        await member.start(
            listening: place.address(bound),
            refused: { ending.put(.refused($0)) }, drained: { ending.put(.asked) },
            // At once, on the reactor that is told: what the gateway sends after it finds it in force.
            shape: { setting in server.assumeIsolated { $0.setShape(setting.map(LinkShape.init)) } })
        let reason = await ending.wait()
        ShutdownLimit(limit: ShutdownLimit.margin, report: { logger.critical("not stopped in time; exiting with status 1") }, end: { _exit(1) }).begin()
        await member.leave()
        await server.drain(within: .zero)
        engine.close()
        await running.value
        await close(watch, on: reactor)
        await reactor.shutdown()
        if case .refused(let why) = reason { throw ConfigurationError("the gateway at \(place.gateway) does not take this worker: \(why)") }
        logger.notice("stopped")
    }

    private func registration(_ local: LocalWorker, listening endpoint: Endpoint) throws -> WorkerRegistration {
        WorkerRegistration(
            name: place.name, incarnation: UInt64.random(in: 1 ... .max), process: ProcessInfo.processInfo.processIdentifier,
            capabilities: [.prefill, .decode], wanted: place.roles, hello: local.hello, keyValueFingerprint: local.keyValueFingerprint,
            tokenizerDigest: try TokenizerDigest.of(directory: LocalWorker.modelDirectory(settings)), pageTokens: Page.tokens,
            pageBytes: local.pageBytes, endpoint: endpoint.description)
    }

    // MARK: End

    private enum EndReason: Sendable {
        case asked
        case refused(String)
    }

    /// The first reason to end, and who waits for it.
    private final class Ending: Sendable {
        private let state = Mutex<(reason: EndReason?, waiter: CheckedContinuation<EndReason, Never>?)>((nil, nil))

        func put(_ reason: EndReason) {
            let waiter = state.withLock { state -> CheckedContinuation<EndReason, Never>? in
                guard state.reason == nil else { return nil }
                state.reason = reason
                return state.waiter.take()
            }
            waiter?.resume(returning: reason)
        }

        func wait() async -> EndReason {
            await withCheckedContinuation { continuation in
                let reason = state.withLock { state -> EndReason? in
                    if state.reason == nil { state.waiter = continuation }
                    return state.reason
                }
                if let reason { continuation.resume(returning: reason) }
            }
        }
    }

    /// What is watched for the end of this process, on the reactor's thread.
    private final class Watch: @unchecked Sendable {
        // Sendable by argument: made, filled and closed on the reactor's thread only.
        var signals: [SignalSource] = []
        var input: StandardInputWatch?
    }

    private func watchForEnd(on reactor: Reactor, _ ending: Ending) async throws -> Watch {
        let isSupervised = place.isSupervised
        return try await withCheckedThrowingContinuation { continuation in
            reactor.submit {
                let watch = Watch()
                do throws(UVError) {
                    // Ignored under supervision: a terminal's Ctrl-C and a service's stop reach the whole group, and the gateway drains.
                    for signal in [Signal.terminate, .interrupt] {
                        watch.signals.append(try SignalSource(signal, on: reactor) { if !isSupervised { ending.put(.asked) } })
                    }
                    if isSupervised { watch.input = try StandardInputWatch(on: reactor) { ending.put(.asked) } }
                    continuation.resume(returning: watch)
                } catch {
                    for signal in watch.signals { signal.close() }
                    continuation.resume(throwing: error)
                }
            }
        }
    }

    private func close(_ watch: Watch, on reactor: Reactor) async {
        await withCheckedContinuation { continuation in
            reactor.submit {
                for signal in watch.signals { signal.close() }
                watch.input?.close()
                continuation.resume()
            }
        }
    }
}

extension LinkShape {
    fileprivate init(_ setting: LinkShapeSetting) {
        self.init(
            bytesPerSecond: setting.bytesPerSecond, latency: setting.latency, jitter: setting.jitter, breakAfterBytes: setting.breakAfterBytes)
    }
}
