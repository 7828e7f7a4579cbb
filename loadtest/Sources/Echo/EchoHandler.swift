internal import HTTP
internal import Platform
internal import Reactor
internal import Server

/// How `ferry-load echo` answers.
struct EchoSettings: Sendable, Equatable {
    var model = "echo"
    /// Tokens a second of each stream; nil: as fast as the client takes them.
    var tokenRate: Double? = 50
    /// From the request's end to the first token.
    var firstToken: Duration = .zero
    /// The most tokens of an answer, also when the request asks for none in particular.
    var maximumTokens = 4096
}

/// Answers chats and completions with tokens that mean nothing, at a set rate: a server of which everything is known, to measure the harness and
/// the network between. Lives on its server's reactor; a tick's tokens leave together, at most `tick` late.
actor EchoHandler: RequestActor {
    private static let tick = Duration.milliseconds(1)

    private let settings: EchoSettings
    private nonisolated let reactor: Reactor
    private let clock = SystemClock()
    private let origin: MonotonicInstant
    private var queue = TimeQueue<EchoAnswer>()
    private var timer: DueTimer?
    private var armedFor: Duration?
    private var answers: UInt64 = 0

    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe reactor.asUnownedSerialExecutor() }

    init(_ settings: EchoSettings, on reactor: Reactor) {
        self.settings = settings
        self.reactor = reactor
        origin = clock.now
    }

    func bodyLimit(for head: HTTPHead) -> Int { 64 << 20 }

    func handle(_ exchange: Exchange) {
        switch (exchange.head.method, exchange.head.path) {
        case ("GET", "/health"): exchange.respond(status: 200)
        case ("GET", "/v1/models"):
            let list: JSON = ["object": "list", "data": [["id": .string(settings.model), "object": "model"]]]
            exchange.respond(status: 200, headers: ["content-type": "application/json"], body: Array(list.text.utf8))
        case ("POST", InferenceEndpoint.chat.rawValue): answer(exchange, .chat)
        case ("POST", InferenceEndpoint.completions.rawValue): answer(exchange, .completions)
        default: refuse(exchange, 404, "there is no \(exchange.head.method) \(exchange.head.path) here", "route_not_found")
        }
    }

    private func refuse(_ exchange: Exchange, _ status: Int, _ message: String, _ code: String) {
        let body: JSON = ["error": ["message": .string(message), "type": "invalid_request_error", "param": nil, "code": .string(code)]]
        exchange.respond(status: status, headers: ["content-type": "application/json"], body: Array(body.text.utf8))
    }

    private func answer(_ exchange: Exchange, _ endpoint: InferenceEndpoint) {
        let body = exchange.takeBody()
        guard let request = try? JSON(parsing: body), request.object != nil else {
            return refuse(exchange, 400, "the body is not a JSON object", "invalid_json")
        }
        let asked = request["max_tokens"]?.integer ?? request["max_completion_tokens"]?.integer ?? 16
        guard asked >= 1 else { return refuse(exchange, 400, "max_tokens is \(asked), expected 1 or more", "invalid_value") }
        let answer = EchoAnswer(
            exchange, endpoint, model: settings.model, number: answers, tokens: min(asked, settings.maximumTokens), promptTokens: body.count / 4,
            streams: request["stream"]?.bool ?? false, reportsUsage: request["stream_options"]?["include_usage"]?.bool ?? false)
        answers += 1
        guard let rate = settings.tokenRate else { return answer.pump() }
        answer.interval = .nanoseconds(Int64(1e9 / rate))
        wait(answer, until: clock.now.since(origin) + settings.firstToken)
    }

    private func wait(_ answer: EchoAnswer, until time: Duration) {
        answer.due = time
        queue.insert(answer, at: time)
        arm()
    }

    private func arm() {
        guard let next = queue.next else { return armedFor = nil }
        // Tokens of one tick go together.
        let ticks = (next.inNanoseconds + Self.tick.inNanoseconds - 1) / Self.tick.inNanoseconds
        let time = Self.tick * Int(ticks)
        if let armedFor, armedFor <= time { return }
        if timer == nil { timer = try? DueTimer(on: reactor) { self.release() } }
        armedFor = time
        timer?.set(origin.advanced(by: time))
    }

    private func release() {
        armedFor = nil
        let now = clock.now.since(origin)
        while let (_, answer) = queue.pop(by: now) {
            answer.token()
            guard !answer.isOver else { continue }
            answer.due += answer.interval
            queue.insert(answer, at: answer.due)
        }
        arm()
    }

    /// Before the reactor is shut down.
    func close() {
        timer?.close()
        timer = nil
    }
}

/// One answer of the echo server.
final class EchoAnswer {
    let exchange: Exchange
    var due: Duration = .zero
    var interval: Duration = .zero
    private let streams: Bool
    private let tokens: Int
    private var sent = 0
    /// A token's event, up to the last one.
    private let event: [UInt8]
    private let last: [UInt8]
    private let whole: [UInt8]

    init(
        _ exchange: Exchange, _ endpoint: InferenceEndpoint, model: String, number: UInt64, tokens: Int, promptTokens: Int, streams: Bool,
        reportsUsage: Bool
    ) {
        self.exchange = exchange
        self.tokens = tokens
        self.streams = streams
        let isChat = endpoint == .chat
        let usage = #"{"prompt_tokens":\#(promptTokens),"completion_tokens":\#(tokens),"total_tokens":\#(promptTokens + tokens)}"#
        let object = isChat ? "chat.completion" : "text_completion"
        let kind = object + (streams && isChat ? ".chunk" : "")
        let start = #"{"id":"echo-\#(number)","object":"\#(kind)","created":0,"model":\#(JSON.string(model).text),"choices":["#
        let end = reportsUsage ? #"],"usage":null}"# : "]}"
        func choice(_ delta: String, _ text: String, finish: String) -> String {
            #"{"index":0,\#(isChat ? #""delta":{\#(delta)}"# : #""text":"\#(text)""#),"logprobs":null,"finish_reason":\#(finish)}"#
        }
        event = Array("data: \(start)\(choice(#""content":" token""#, " token", finish: "null"))\(end)\n\n".utf8)
        let summary = reportsUsage ? "data: \(start)],\"usage\":\(usage)}\n\n" : ""
        last = Array("data: \(start)\(choice("", "", finish: #""length""#))\(end)\n\n\(summary)data: [DONE]\n\n".utf8)
        let text = streams ? "" : String(repeating: " token", count: tokens)
        let content = isChat ? #""message":{"role":"assistant","content":"\#(text)"}"# : #""text":"\#(text)""#
        whole = Array(#"\#(start){"index":0,\#(content),"logprobs":null,"finish_reason":"length"}],"usage":\#(usage)}"#.utf8)
        if streams {
            exchange.beginStream(status: 200, headers: ServerSentEvents.headers)
        }
    }

    var isOver: Bool { exchange.isEnded || sent == tokens }

    func token() {
        guard !isOver else { return }
        sent += 1
        if streams { exchange.write(event) }
        guard sent == tokens else { return }
        guard streams else { return exchange.respond(status: 200, headers: ["content-type": "application/json"], body: whole) }
        exchange.write(last)
        exchange.finish()
    }

    /// As fast as the client takes it.
    func pump() {
        exchange.onDrained = { [unowned self] in more() }
        // The closure alone would not hold it.
        exchange.onClosed = { _ in withExtendedLifetime(self) {} }
        more()
    }

    private func more() {
        while !isOver, !exchange.isFull { token() }
    }
}
