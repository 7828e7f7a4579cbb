internal import ArgumentParser
internal import Foundation
internal import HTTP
internal import Platform
internal import Reactor
internal import Server

/// The sending process of `ferry bench --link`, started by it: prints its two ports and serves until its input ends.
struct LinkBenchmarkPeer: AsyncParsableCommand {
    static let name = "link-benchmark-peer"
    static let configuration = CommandConfiguration(
        commandName: name, abstract: "The other process of ferry bench --link.", shouldDisplay: false)

    func run() async throws {
        let plain = try LinkBenchmarkSocket.serve()
        let reactor = try Reactor(name: "sender", readBuffer: LinkBenchmark.buffer)
        let server = HTTPServer(on: reactor, limits: .link, handler: BulkHandler())
        guard case .tcp(_, let port) = try await server.listen(on: .tcp(host: "127.0.0.1", port: 0)) else { return }
        try StandardOutput.write("\(plain) \(port)\n")
        while !FileHandle.standardInput.availableData.isEmpty {}
        await server.drain(within: .zero)
        await reactor.shutdown()
    }
}

/// Answers with as many bytes as the query asks for, as fast as they are taken.
private final class BulkHandler: RequestHandler {
    private let piece = [UInt8](repeating: 1, count: LinkBenchmark.buffer)

    func bodyLimit(for head: HTTPHead) -> Int { 0 }

    func handle(_ exchange: Exchange) {
        let words = (exchange.head.query ?? "").split(separator: "&").map { Int($0.drop { $0 != "=" }.dropFirst()) ?? 0 }
        var left = words.first ?? 0
        let blocks = words.last == 1
        var source = LinkBlocks()
        exchange.beginStream(status: 200)
        let pump = { [unowned exchange, piece] in
            while !exchange.isFull, !exchange.isEnded, left >= (blocks ? LinkBlocks.frame : 1) {
                let next = blocks ? source.take() : left < piece.count ? Array(piece[..<left]) : piece
                left -= next.count
                exchange.write(next)
            }
            if left < (blocks ? LinkBlocks.frame : 1) { exchange.finish() }
        }
        exchange.onDrained = pump
        pump()
    }
}
