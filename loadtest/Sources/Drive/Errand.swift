internal import HTTP
internal import Platform
internal import Reactor

/// What an errand brought home.
struct ErrandAnswer: Sendable, Equatable {
    var status: Int
    var body: [UInt8]
}

/// One small request on a connection of its own: metrics, the list of models, a hook. Reactor thread only.
final class Errand: AnswerSink, CarrierOwner {
    private static let longestAnswer = 16 << 20

    private let request: OutgoingRequest
    private var completion: ((Result<ErrandAnswer, DialFailure>) -> Void)?
    private var dialing: Dialing?
    private var carrier: (any Carrier)?
    private var timer: ReactorTimer?
    private var result: Result<ErrandAnswer, DialFailure>?
    private var answer = ErrandAnswer(status: 0, body: [])

    var withholds: Bool { false }

    /// - Parameter completion: called once, when everything that belongs to the errand has closed; never from within this call.
    init(
        _ request: OutgoingRequest, by dialer: Dialer, within limit: Duration = .seconds(30),
        completion: @escaping (Result<ErrandAnswer, DialFailure>) -> Void
    ) {
        self.request = request
        self.completion = completion
        timer = ReactorTimer(on: dialer.reactor, after: limit) { [unowned self] in giveUp("no answer within \(limit)") }
        dialing = dialer.open(number: 0, owner: self) { outcome in
            self.dialing = nil
            switch outcome {
            case .success(let carrier):
                self.carrier = carrier
                if self.result != nil || carrier.send(request, for: self) == nil { carrier.close() }
            case .failure(let failure):
                self.keep(.failure(failure))
                self.finish()
            }
        }
    }

    /// Idempotent.
    func giveUp(_ reason: String) {
        keep(.failure(DialFailure(reason: reason)))
        dialing?.giveUp(reason)
        carrier?.close()
    }

    private func keep(_ result: Result<ErrandAnswer, DialFailure>) { if self.result == nil { self.result = result } }

    private func finish() {
        timer?.close()
        timer = nil
        carrier = nil
        let tell = completion
        completion = nil
        tell?(result ?? .failure(DialFailure(reason: "no answer")))
    }

    func began(status: Int, _ headers: HTTPHeaders, at time: MonotonicInstant) { answer.status = status }

    func received(_ bytes: RawSpan, at time: MonotonicInstant) {
        guard answer.body.count + bytes.byteCount <= Self.longestAnswer else { return giveUp("the answer exceeds \(Self.longestAnswer) bytes") }
        answer.body.append(bytes)
    }

    func ended(at time: MonotonicInstant) {
        keep(.success(answer))
        carrier?.close()
    }

    func failed(_ reason: String, at time: MonotonicInstant) {
        keep(.failure(DialFailure(reason: reason)))
        carrier?.close()
    }

    func takenAlong(at time: MonotonicInstant) { preconditionFailure("an errand shares no connection") }

    func carrierHasRoom(_ carrier: any Carrier) {}

    func carrierClosed(_ carrier: any Carrier) { finish() }
}
