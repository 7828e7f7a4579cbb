import HTTP
import Platform
import Reactor
import Server

/// What a link and its streams told.
enum LinkNews: Sendable, Equatable {
    case opened
    case failed(LinkError)
    case response(String, Int)
    case body(String, Int)
    case end(String, trailers: Int)
    case drained(String)
    case streamClosed(String, LinkEnd)
    case closed(LinkError)
}

/// An actor on a reactor that owns a link and reports what it tells.
actor LinkStage {
    nonisolated let reactor: Reactor
    nonisolated let news: AsyncStream<LinkNews>
    private let report: AsyncStream<LinkNews>.Continuation
    private var attempt: LinkAttempt?
    private var link: HTTPLink?
    private var streams: [String: LinkStream] = [:]
    private var collected: [String: [UInt8]] = [:]

    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe reactor.asUnownedSerialExecutor() }

    init() throws {
        reactor = try Reactor(name: "link")
        (news, report) = AsyncStream.makeStream()
    }

    func open(_ endpoint: Endpoint, tls: TLSContext? = nil, limits: HTTPLinkLimits = .manual) {
        let report = report
        attempt = HTTPLink.open(to: endpoint, tls: tls, on: reactor, limits: limits) { result in
            switch result {
            case .success(let link):
                self.link = link
                link.onClosed = { report.yield(.closed($0)) }
                report.yield(.opened)
            case .failure(let error): report.yield(.failed(error))
            }
        }
    }

    func cancel() { attempt?.cancel() }
    func close() { link?.close() }
    /// Time passes for a link that is open.
    func pass(_ ahead: Duration) { link?.checkDeadlines(ahead: ahead) }
    var isOpen: Bool { link?.isOpen ?? false }
    var statistics: LinkStatistics? { link?.statistics }

    /// False when the peer takes no more.
    @discardableResult
    func request(_ method: String = "GET", _ target: String, endStream: Bool = true) -> Bool {
        let parts = target.split(separator: "?", maxSplits: 1)
        let path = String(parts[0])
        let head = HTTPHead(
            method: method, scheme: "http", authority: "test", path: path, query: parts.count > 1 ? String(parts[1]) : nil)
        guard let stream = link?.request(head, endStream: endStream) else { return false }
        let report = report
        stream.onResponse = { report.yield(.response(path, $0.status)) }
        stream.onBody = { bytes in self.collected[path, default: []].append(contentsOf: bytes.array) }
        stream.onEnd = { trailers in
            report.yield(.body(path, self.collected[path]?.count ?? 0))
            report.yield(.end(path, trailers: trailers.count))
        }
        stream.onDrained = { report.yield(.drained(path)) }
        stream.onClosed = { report.yield(.streamClosed(path, $0)) }
        streams[path] = stream
        return true
    }

    func write(_ path: String, _ bytes: [UInt8]) -> Bool {
        streams[path]?.write(bytes)
        return streams[path]?.isFull ?? false
    }

    func finish(_ path: String) { streams[path]?.finish() }
    func reset(_ path: String) { streams[path]?.reset() }
    func body(_ path: String) -> [UInt8] { collected[path] ?? [] }

    /// The next news.
    nonisolated func next() async -> LinkNews? { await news.first { _ in true } }

    /// News up to and with the first that satisfies `condition`.
    nonisolated func news(until condition: (LinkNews) -> Bool) async -> [LinkNews] {
        var all: [LinkNews] = []
        for await one in news {
            all.append(one)
            if condition(one) { break }
        }
        return all
    }

    @concurrent nonisolated func end() async { await reactor.shutdown() }
}

extension HTTPLinkLimits {
    /// Deadlines are looked at only when a test says so.
    static var manual: HTTPLinkLimits {
        var limits = HTTPLinkLimits()
        limits.tick = .seconds(3600)
        return limits
    }
}

extension RawSpan {
    var array: [UInt8] { unsafe withUnsafeBytes { unsafe Array($0) } }
}
