internal import Foundation
internal import HTTP
internal import Platform
internal import Reactor
internal import Server

/// How fast one loopback connection between two processes carries bytes: plain TCP beside HTTP/2, with the same buffers, bare and with the
/// work of KV blocks. The kinds take turns, since the machine's state drifts by itself; figures are medians.
///
/// Copies of each byte in user space, the kernel's two (into and out of the socket) not counted:
///
/// | | sender | receiver |
/// |---|---|---|
/// | plain TCP | 0 | 0: `recv` into the place |
/// | HTTP/2 | 0: arrays are held until written | 0: spans of the read buffer |
/// | plain TCP, blocks | 1: out of the pages | 0 |
/// | HTTP/2, blocks | 1: out of the pages | 1: out of the read buffer into the place |
///
/// When the socket is full, one page of what waits (4 KiB) is copied once more.
struct LinkBenchmark {
    static let bytesPerRound = 1 << 30
    /// What one read, one write and one piece of a body take.
    static let buffer = 256 << 10

    let rounds: Int

    func measure() async throws -> LinkFigures {
        let peer = try LinkBenchmarkProcess()
        defer { peer.end() }
        let (plainPort, httpPort) = try peer.ports()
        let receiver = try LinkBenchmarkReceiver()
        var speeds: [LinkFigures.Kind: [Double]] = [:]
        do {
            try await receiver.open(.tcp(host: "127.0.0.1", port: httpPort))
            // The first round warms both sides up and does not count.
            for round in 0...rounds {
                for kind in LinkFigures.Kind.allCases {
                    let bytes = round == 0 ? 64 << 20 : Self.bytesPerRound
                    let time: Duration
                    if kind.isPlain {
                        time = try LinkBenchmarkSocket.receive(port: plainPort, bytes: bytes, blocks: kind.hasBlocks)
                    } else {
                        time = try await receiver.receive(bytes: bytes, blocks: kind.hasBlocks)
                    }
                    if round > 0 { speeds[kind, default: []].append(Double(bytes) / time.inSeconds / 1e9) }
                }
            }
        } catch {
            await receiver.end()
            throw error
        }
        await receiver.end()
        return LinkFigures(gigabytes: speeds.mapValues { $0.sorted()[$0.count / 2] }, rounds: rounds)
    }
}

/// The figures of a run.
struct LinkFigures {
    enum Kind: CaseIterable {
        case plain, http2, plainBlocks, http2Blocks

        var isPlain: Bool { self == .plain || self == .plainBlocks }
        var hasBlocks: Bool { self == .plainBlocks || self == .http2Blocks }
    }

    let gigabytes: [Kind: Double]
    let rounds: Int

    private func speed(_ kind: Kind) -> Double { gigabytes[kind] ?? 0 }
    private var ratio: Double { speed(.http2) / speed(.plain) }
    private var blocksRatio: Double { speed(.http2Blocks) / speed(.plainBlocks) }

    var table: String {
        func row(_ name: String, _ plain: Kind, _ http2: Kind, _ ratio: Double, _ copies: String) -> String {
            name.padding(toLength: 12, withPad: " ", startingAt: 0)
                + String(format: "%10.2f%12.2f%9.0f %%   ", speed(plain), speed(http2), ratio * 100) + copies
        }
        return [
            "one loopback connection, two processes, \(LinkBenchmark.bytesPerRound >> 20) MiB a round, median of \(rounds)",
            "", "            TCP GB/s   HTTP/2 GB/s    ratio   copies per byte (sender, receiver)",
            row("bare", .plain, .http2, ratio, "TCP 0, 0; HTTP/2 0, 0"),
            row("KV blocks", .plainBlocks, .http2Blocks, blocksRatio, "TCP 1, 0; HTTP/2 1, 1"),
        ].joined(separator: "\n")
    }

    var json: String {
        let link: JSON = [
            "plain_gbps": .number(speed(.plain)), "http2_gbps": .number(speed(.http2)), "ratio": .number(ratio),
            "plain_blocks_gbps": .number(speed(.plainBlocks)), "blocks_gbps": .number(speed(.http2Blocks)), "blocks_ratio": .number(blocksRatio),
            "block_bytes": .integer(Int64(LinkBlocks.payload)), "buffer_bytes": .integer(Int64(LinkBenchmark.buffer)),
            "round_bytes": .integer(Int64(LinkBenchmark.bytesPerRound)), "rounds": .integer(Int64(rounds)),
            "copies": ["sender": .integer(0), "receiver": .integer(0), "blocks_sender": .integer(1), "blocks_receiver": .integer(1)],
        ]
        return (["link": link] as JSON).text
    }
}

/// The other process: the same program, ended by its number whatever happens, and ending itself when we do.
struct LinkBenchmarkProcess {
    private let process = Process()
    private let input = Pipe()
    private let output = Pipe()

    init() throws {
        process.executableURL = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        process.arguments = [LinkBenchmarkPeer.name]
        process.standardInput = input
        process.standardOutput = output
        try process.run()
    }

    /// The plain port and the one that speaks HTTP/2.
    func ports() throws -> (UInt16, UInt16) {
        var text = ""
        while !text.hasSuffix("\n") {
            let bytes = output.fileHandleForReading.availableData
            guard !bytes.isEmpty else { break }
            text += String(decoding: bytes, as: UTF8.self)
        }
        let numbers = text.split(whereSeparator: \.isWhitespace).compactMap { UInt16($0) }
        guard numbers.count == 2 else { throw CommandFailure("the other side of the link said \"\(text)\", two ports were expected") }
        return (numbers[0], numbers[1])
    }

    func end() {
        process.terminate()
        process.waitUntilExit()
    }
}
