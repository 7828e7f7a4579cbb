import Foundation
import Kernels
import Platform
import TestSupport
import Testing

@testable import KVCodec

/// Blocks that lie, are cut, or are damaged; and blocks as they have been written once.
@Suite struct HostileTests {
    private static let block = KeyValueBlock(layer: 1, firstToken: 64, tokens: 23, promptTokens: 90)

    private static func sample() throws -> KeyValueSample { try KeyValueSample(layers: 2, heads: 2, dimension: 8, tokens: 23, seed: 5) }

    /// Encodes the sample's tokens as `block`.
    private static func bytes(_ text: String, on set: InstructionSet = .best) throws -> [UInt8] {
        let sample = try sample()
        return try sample.encode(KeyValueProfile(text), block, calibration: sample.calibration(), on: set).bytes
    }

    private static func read(_ bytes: [UInt8], as block: KeyValueBlock = block) throws -> Result<[UInt16], KeyValueBlockError> {
        let sample = try sample()
        return KeyValueFuzz.read(bytes, as: block, geometry: sample.geometry, calibration: try sample.calibration())
    }

    private static func reason(_ bytes: [UInt8], as block: KeyValueBlock = block) throws -> String {
        switch try read(bytes, as: block) {
        case .success: "none"
        case .failure(let error): error.description
        }
    }

    static let profiles = [
        "none/none/raw", "none/none/lz4", "none/none/bits+lz4", "none/none/bytes+lz4", "none/none/rans", "none/none/enec",
        "none/mm(k12:6,v8:4,r.8)/rans",
        "had/mm(k12:6,v8:4,r.8)/rans/s70,w6", "none/mm(k4,v4,g8,bf16)/pack", "shad/mm2(k6,v4,g5)/lz4", "anchor/sym(k31,v15)/rans(channel)",
        "none/mm(k5,v6,rd)/rans", "none/eb(k.05,v.02)/rans", "pca/ec(k.6,v.2,rd,rms,z.4,p.05)/rans(channel)", "had/lm(k8,v6)/bits+lz4",
        "anchor/fp8/raw/w8",
        "none/mm(k4x,v4c)/rans", "none/ec(k.004,v.2)/rans", "joint/ec(k1,v1.5,z.4)/rans(channel)/s3",
    ]

    @Test(arguments: profiles)
    func `a block that is cut is refused, wherever`(text: String) throws {
        let bytes = try Self.bytes(text)
        #expect(try Self.reason(bytes) == "none")
        for count in 0..<bytes.count {
            guard case .failure = try Self.read(Array(bytes[..<count])) else {
                Issue.record("\(count) of \(bytes.count) bytes were accepted")
                return
            }
        }
        #expect(try Self.reason(bytes + [0]) != "none")
    }

    @Test(arguments: profiles)
    func `no section may have a byte more or less than it needs`(text: String) throws {
        let sample = try Self.sample()
        let (bytes, sizes) = try sample.encode(KeyValueProfile(text), Self.block, calibration: sample.calibration())
        let counts = [sizes.statistics, sizes.tables, sizes.symbols, sizes.exact]
        var (sections, place) = ([[UInt8]](), sizes.header)
        for count in counts {
            sections.append(Array(bytes[place..<place + count]))
            place += count
        }
        func joined(_ sections: [[UInt8]]) -> [UInt8] {
            var lengths: [UInt8] = []
            for count in counts { lengths.append(varint: count) }
            var result = Array(bytes[..<(sizes.header - lengths.count)])
            for section in sections { result.append(varint: section.count) }
            return result + sections.joined()
        }
        #expect(joined(sections) == bytes)
        for index in 0..<4 {
            var longer = sections
            longer[index].append(0)
            #expect(try Self.reason(joined(longer)) != "none", "section \(index) is longer")
            guard !sections[index].isEmpty else { continue }
            var shorter = sections
            shorter[index].removeLast()
            #expect(try Self.reason(joined(shorter)) != "none", "section \(index) is shorter")
        }
    }

    @Test(arguments: profiles)
    func `a damaged block neither traps nor is read differently by any instruction set`(text: String) throws {
        let sound = try Self.bytes(text)
        var random = SeededGenerator(seed: 17)
        for round in 0..<600 {
            var bytes = sound
            for _ in 0...random.next(below: 3) {
                // Half of the rounds in the header and the statistics.
                let place = random.next(below: round % 2 == 0 ? min(100, bytes.count) : bytes.count)
                bytes[place] =
                    random.next() % 2 == 0 ? bytes[place] ^ 1 << UInt8(random.next() % 8) : UInt8(truncatingIfNeeded: random.next())
            }
            if round % 7 == 0 { bytes.removeLast(random.next(below: bytes.count)) }
            _ = try Self.read(bytes)
        }
    }

    @Test func `damaged pairs neither trap nor are read differently by any instruction set`() throws {
        let sample = try KeyValueSample(layers: 1, heads: 1, dimension: 64, tokens: 64)
        let sound = try sample.encode(KeyValueProfile("none/mm(k3,v4)/rans"), sample.block()).bytes
        var random = SeededGenerator(seed: 29)
        for round in 0..<400 {
            var bytes = sound
            for _ in 0...random.next(below: 2) {
                bytes[round % 2 == 0 ? random.next(below: 100) : random.next(below: bytes.count)] ^= 1 << UInt8(random.next() % 8)
            }
            _ = KeyValueFuzz.read(bytes, as: sample.block(), geometry: sample.geometry, calibration: nil)
        }
    }

    @Test func `anything at all is refused or read`() throws {
        var random = SeededGenerator(seed: 23)
        for round in 0..<2000 {
            var bytes = (0..<random.next(below: 300)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
            if round % 2 == 0, let profile = KeyValueProfile.compositions.randomElement(using: &random) {
                var front: [UInt8] = []
                BlockHeading.write(Self.block, profile, profile.bytes, try Self.sample().geometry, to: &front)
                bytes = front + bytes
            }
            _ = try Self.read(bytes)
        }
    }

    @Test func `what is wrong is said with what was found and what was expected`() throws {
        let bytes = try Self.bytes("none/mm(k6,v4)/rans")
        func changed(_ place: Int, _ value: UInt8) throws -> String {
            var other = bytes
            other[place] = value
            return try Self.reason(other)
        }
        let heading = 2 + Int(bytes[1])
        #expect(try Self.reason([]) == "0 bytes are left of the header; 1 were expected")
        #expect(try changed(0, 3) == "a block of version 3; 2 was expected")
        #expect(try changed(1, 200).contains("200 were expected") || changed(1, 200).contains("name no profile"))
        #expect(try changed(2, 9).contains("name no profile"))
        #expect(try changed(heading, 3) == "a block with 3 layers; 2 was expected")
        #expect(try changed(heading + 1, 1) == "a block with 1 heads; 2 was expected")
        #expect(try changed(heading + 2, 16) == "a block with 16 dimensions of a head; 8 was expected")
        #expect(try changed(heading + 3, 0) == "a block with 0 as its layer; 1 was expected")
        #expect(try changed(heading + 4, 0) == "a block with 0 as its first token; 64 was expected")
        #expect(try changed(heading + 5, 24) == "a block with 24 tokens; 23 was expected")
        #expect(try changed(heading + 7, 22) == "a block with 22 as the end of its coded tokens; 23 was expected")
        #expect(try changed(heading + 8, bytes[heading + 8] &+ 1).hasPrefix("sections of"))
        #expect(try Self.reason([UInt8](repeating: 0, count: 300_000)).contains("at most"))
        #expect(
            try Self.reason(bytes, as: KeyValueBlock(layer: 0, firstToken: 64, tokens: 23, promptTokens: 90))
                == "a block with 1 as its layer; 0 was expected")
    }

    @Test func `a block of another calibration is refused`() throws {
        let sample = try Self.sample()
        let bytes = try Self.bytes("pca/mm(k6,v4)/rans")
        let other = try KeyValueCalibration(
            geometry: sample.geometry, bases: try sample.calibration().bases, rotaryFrequencies: try sample.calibration().rotaryFrequencies,
            digest: 1)
        for calibration in [other, nil] {
            guard case .failure(let error) = KeyValueFuzz.read(bytes, as: Self.block, geometry: sample.geometry, calibration: calibration)
            else {
                Issue.record("a block of another calibration was read")
                return
            }
            #expect(error.description.contains(calibration == nil ? "needs a calibration with bases" : "1 was expected"))
        }
    }

    @Test func `a profile that lacks its calibration, or bf16, is refused`() throws {
        let geometry = KeyValueGeometry(layers: 1, heads: 2, dimension: 8, type: .bf16)
        func reason(_ text: String, _ geometry: KeyValueGeometry, _ calibration: KeyValueCalibration?) throws -> String {
            let profile = try KeyValueProfile(text)
            do throws(KeyValueProfileError) {
                _ = try KeyValueEncoder(profile, geometry: geometry, calibration: calibration, on: .best)
                return "none"
            } catch {
                return error.reason
            }
        }
        let bare = try KeyValueCalibration(geometry: geometry, headScores: [1, 2], digest: 0)
        #expect(try reason("kvserve-default", geometry, nil) == "it needs a calibration with head scores")
        #expect(try reason("kvserve-default", geometry, bare) == "none")
        #expect(try reason("pca/ec(k1,v1,rd,rms)/rans", geometry, bare) == "it needs a calibration with bases, step factors")
        #expect(
            try reason("lossless", KeyValueGeometry(layers: 1, heads: 2, dimension: 8, type: .f32), nil)
                == "KV is f32 here; bf16 was expected")
        #expect(
            try reason("kvserve-default", KeyValueGeometry(layers: 1, heads: 2, dimension: 16, type: .bf16), bare).contains(
                "the calibration is of"))
        #expect(throws: KeyValueCalibrationError.self) { try KeyValueCalibration(geometry: geometry, headScores: [1], digest: 0) }
        #expect(throws: KeyValueCalibrationError.self) { try KeyValueCalibration(geometry: geometry, headScores: [1, .nan], digest: 0) }
        #expect(throws: KeyValueCalibrationError.self) {
            try KeyValueCalibration(geometry: geometry, stepFactors: [1, 0, 1, 1], digest: 0)
        }
        #expect(throws: KeyValueCalibrationError.self) {
            try KeyValueCalibration(geometry: geometry, rotaryFrequencies: [1, 1, 1, 1, 1], digest: 0)
        }
    }

    // MARK: Kept blocks

    /// Lines of a profile, the digest of what the block holds, and the block. Lines of `-` instead of a digest are no blocks.
    private static let kept: [(profile: String, digest: String, bytes: [UInt8], line: String)] = {
        let path = SharedFiles.repository + "/Tests/KVCodecTests/Fixtures/blocks.txt"
        let text = (try? String(contentsOf: URL(fileURLWithPath: path), encoding: .utf8)) ?? ""
        return text.split(separator: "\n").filter { !$0.hasPrefix("#") }.map { line in
            let parts = line.split(separator: " ")
            let digits = parts.count > 2 ? Array(parts[2].utf8) : []
            let bytes = stride(from: 0, to: digits.count, by: 2).map {
                UInt8(String(decoding: digits[$0..<$0 + 2], as: UTF8.self), radix: 16)!
            }
            return (String(parts[0]), String(parts[1]), bytes, String(line))
        }
    }()

    private static func digest(_ elements: [UInt16]) -> String { Digest(of: elements.span).description }

    private static func line(_ text: String) throws -> String {
        let bytes = try bytes(text)
        let digits = bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
        return "\(text) \(digest(try read(bytes).get())) \(digits)"
    }

    @Test func `kept blocks are written and read as they always were`() throws {
        let sound = Self.kept.filter { $0.digest != "-" }
        let lines = try Self.profiles.map { try Self.line($0) }
        #expect(sound.map(\.line) == lines, "\(lines.joined(separator: "\n"))")
        for kept in sound {
            #expect(Self.digest(try Self.read(kept.bytes).get()) == kept.digest, "\(kept.profile)")
            for set in supported { #expect(try Self.bytes(kept.profile, on: set) == kept.bytes, "\(kept.profile) on \(set)") }
        }
    }

    @Test func `kept bytes that are no blocks are refused`() throws {
        let wrong = Self.kept.filter { $0.digest == "-" }
        #expect(wrong.count >= 10)
        for kept in wrong { #expect(try Self.reason(kept.bytes).contains(kept.profile.replacing("_", with: " ")), "\(kept.profile)") }
    }
}
