import Foundation
import TestSupport
import Testing

@testable import HTTP

@Suite("Kept inputs and their mutations")
struct FuzzTests {
    struct Input: Sendable, CustomTestStringConvertible {
        let name: String
        let bytes: [UInt8]
        var testDescription: String { name }
    }

    /// Every file of the corpus under `folder`.
    private static func corpus(_ folder: String) -> [Input] {
        let root = URL(fileURLWithPath: SharedFiles.repository + "/Tests/HTTPTests/Fixtures/" + folder)
        let files = (try? FileManager.default.contentsOfDirectory(at: root, includingPropertiesForKeys: nil)) ?? []
        return files.sorted { $0.path < $1.path }.compactMap { file in
            (try? Data(contentsOf: file)).map { Input(name: file.lastPathComponent, bytes: Array($0)) }
        }
    }

    static let http1 = corpus("http1")
    static let http2 = corpus("http2")
    static let server = corpus("server")

    @Test("the corpus is there")
    func corpusExists() {
        #expect(FuzzTests.http1.count >= 10 && FuzzTests.http2.count >= 8 && FuzzTests.server.count >= 3)
    }

    @Test("an HTTP/1.1 input means the same in one piece, byte by byte, and in between", arguments: http1)
    func cutting(input: Input) {
        let whole = HTTPFuzz.connection(input.bytes)
        for piece in [1, 2, 3, 7, 64] {
            let cut = HTTPFuzz.connection(input.bytes, piece: piece)
            #expect(cut.events == whole.events && cut.failure == whole.failure, "pieces of \(piece)")
            if !String(decoding: input.bytes, as: UTF8.self).contains("h2c") {
                #expect(cut.output == whole.output, "pieces of \(piece)")
            }
        }
    }

    @Test("an HTTP/2 input opens the same requests in one piece and byte by byte", arguments: http2)
    func cutting2(input: Input) {
        func requests(_ transcript: HTTPFuzz.Transcript) -> [HTTPEvent] {
            transcript.events.filter { if case .request = $0 { true } else { false } }
        }
        let whole = HTTPFuzz.connection(input.bytes)
        #expect(whole.failure == nil || !requests(whole).isEmpty)
        for piece in [1, 5, 100] { #expect(requests(HTTPFuzz.connection(input.bytes, piece: piece)) == requests(whole)) }
    }

    @Test("every truncation returns", arguments: http1 + http2)
    func truncations(input: Input) {
        for count in stride(from: 0, to: input.bytes.count, by: max(1, input.bytes.count / 400)) {
            _ = HTTPFuzz.connection(Array(input.bytes.prefix(count)))
        }
    }

    @Test("every mutation returns", arguments: http1 + http2)
    func mutations(input: Input) {
        var random = SeededGenerator(seed: UInt64(input.bytes.count))
        for _ in 0..<300 {
            let mutant = FuzzTests.mutate(input.bytes, &random)
            _ = HTTPFuzz.connection(mutant, piece: random.next() % 2 == 0 ? .max : Int(random.next() % 50) + 1)
        }
    }

    @Test("a mutated HTTP/1.1 input still means the same however it is cut", arguments: http1)
    func mutatedCutting(input: Input) {
        var random = SeededGenerator(seed: 99)
        for _ in 0..<60 {
            let mutant = FuzzTests.mutate(input.bytes, &random)
            let whole = HTTPFuzz.connection(mutant), cut = HTTPFuzz.connection(mutant, piece: 1)
            #expect(
                whole.events == cut.events && whole.failure == cut.failure,
                "\(String(decoding: mutant, as: UTF8.self).debugDescription)")
        }
    }

    @Test("a client survives any server", arguments: server)
    func client(input: Input) {
        var random = SeededGenerator(seed: 5)
        _ = HTTPFuzz.client(input.bytes)
        _ = HTTPFuzz.client(input.bytes, piece: 1)
        for count in 0..<input.bytes.count { _ = HTTPFuzz.client(Array(input.bytes.prefix(count))) }
        for _ in 0..<500 { _ = HTTPFuzz.client(FuzzTests.mutate(input.bytes, &random)) }
    }

    /// One to four flips, overwrites, deletions, repetitions or insertions of telling bytes.
    private static func mutate(_ input: [UInt8], _ random: inout SeededGenerator) -> [UInt8] {
        var bytes = input
        let telling: [UInt8] = [0, 1, 9, 10, 13, 32, 44, 48, 58, 59, 127, 128, 255]
        for _ in 0...Int(random.next() % 4) {
            guard !bytes.isEmpty else { break }
            let at = Int(random.next() % UInt64(bytes.count))
            switch random.next() % 6 {
            case 0: bytes[at] ^= 1 << UInt8(random.next() % 8)
            case 1: bytes[at] = UInt8(truncatingIfNeeded: random.next())
            case 2: bytes.removeSubrange(at..<min(bytes.count, at + Int(random.next() % 20) + 1))
            case 3: bytes.insert(contentsOf: bytes[at..<min(bytes.count, at + Int(random.next() % 40) + 1)], at: at)
            case 4: bytes.insert(telling[Int(random.next() % UInt64(telling.count))], at: at)
            default: bytes[at] = telling[Int(random.next() % UInt64(telling.count))]
            }
        }
        return bytes
    }
}
