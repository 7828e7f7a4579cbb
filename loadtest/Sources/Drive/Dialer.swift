internal import HTTP
internal import Platform
internal import Reactor

/// The version of HTTP that is spoken.
package enum WireVersion: String, Sendable, CaseIterable {
    case http1 = "1.1"
    case http2 = "2"
}

/// Opens connections to one target. HTTP/2 in clear begins with prior knowledge, under TLS ALPN must agree. Reactor thread only.
struct Dialer {
    let target: Target
    let version: WireVersion
    /// Needed for `https`; must offer `version`.
    let tls: TLSContext?
    /// HTTP/2: streams of a connection, and the window of each.
    var streams = 100
    var window = 256 << 10
    var timeout: Duration = .seconds(10)
    let clock: any MonotonicClock
    let reactor: Reactor

    /// - Parameter completion: called once, never from within this call; with a reason where there is no connection.
    func open(number: Int, owner: any CarrierOwner, completion: @escaping (Result<any Carrier, DialFailure>) -> Void) -> Dialing {
        Dialing(self, number: number, owner: owner, completion)
    }
}

struct DialFailure: Error, Equatable {
    let reason: String
}

/// A connection being opened. Reactor thread only.
final class Dialing {
    private let dialer: Dialer
    private let number: Int
    private var owner: (any CarrierOwner)?
    private var completion: ((Result<any Carrier, DialFailure>) -> Void)?
    private var connecting: Connecting?
    private var stream: (any ByteStream)?
    private var timer: ReactorTimer?
    private var reason: String?

    fileprivate init(
        _ dialer: Dialer, number: Int, owner: any CarrierOwner, _ completion: @escaping (Result<any Carrier, DialFailure>) -> Void
    ) {
        self.dialer = dialer
        self.number = number
        self.owner = owner
        self.completion = completion
        timer = ReactorTimer(on: dialer.reactor, after: dialer.timeout) { [unowned self] in
            giveUp("no connection to \(dialer.target.endpoint) within \(dialer.timeout)")
        }
        connecting = TCPStream.connect(to: dialer.target.endpoint, on: dialer.reactor) { result in
            self.connecting = nil
            switch result {
            case .success(let transport): self.begin(transport)
            case .failure(let error): self.finish(.failure(DialFailure(reason: self.reason ?? error.description)))
            }
        }
    }

    /// The completion hears of it on a later turn. Idempotent.
    func giveUp(_ reason: String) {
        guard completion != nil, self.reason == nil else { return }
        self.reason = reason
        connecting?.cancel()
        stream?.close()
    }

    private func begin(_ transport: TCPStream) {
        guard reason == nil else {
            stream = transport
            transport.receiver = self
            return transport.close()
        }
        guard let tls = dialer.tls, dialer.target.isEncrypted else { return ready(transport, transport) }
        let secure = TLSStream(over: transport, context: tls, serverName: dialer.target.serverName)
        stream = secure
        secure.receiver = self
        secure.onEstablished = { [unowned self] in
            let agreed = secure.negotiatedProtocol
            if dialer.version == .http2, agreed != "h2" {
                return giveUp("\(dialer.target.endpoint) does not speak HTTP/2 (it chose \(agreed ?? "nothing"))")
            }
            ready(secure, transport)
        }
    }

    private func ready(_ stream: any ByteStream, _ transport: TCPStream) {
        guard let owner else { return }
        let carrier: any Carrier =
            switch dialer.version {
            case .http1:
                HTTP1Carrier(
                    over: stream, transport, authority: dialer.target.authority, number: number, clock: dialer.clock, owner: owner)
            case .http2:
                HTTP2Carrier(
                    over: stream, transport, target: dialer.target, streams: dialer.streams, window: dialer.window, number: number,
                    clock: dialer.clock, owner: owner)
            }
        self.stream = nil
        finish(.success(carrier))
    }

    private func finish(_ result: Result<any Carrier, DialFailure>) {
        timer?.close()
        timer = nil
        let tell = completion
        completion = nil
        owner = nil
        tell?(result)
    }
}

extension Dialing: ByteStreamReceiver {
    func stream(_ stream: any ByteStream, didReceive bytes: RawSpan) {}
    func streamDidReachEnd(_ stream: any ByteStream) { giveUp("\(dialer.target.endpoint) closed the connection at once") }
    func streamDidDrain(_ stream: any ByteStream) {}

    func streamDidClose(_ stream: any ByteStream, _ reason: StreamEnd) {
        finish(.failure(DialFailure(reason: self.reason ?? reason.description)))
    }
}
