import Kernels
import Platform
import TestSupport
import Testing

@testable import Weights

/// Packed files that lie, are cut, or are damaged.
@Suite struct PackedHostileTests {
    private let team = ThreadTeam(threads: 1, instructionSet: .scalar)

    /// A sound file: a coded tensor "a" of 40 x 64 bf16 numbers, and a raw one "b".
    private static let sound: [UInt8] = {
        guard let model = try? PackedModel() else { return [] }
        var random = SeededGenerator(seed: 5)
        var text = SafetensorsText()
        text.append("a", shape: [40, 64], bf16: (0..<2560).map { _ in random.normal() * 0.02 })
        text.append("b", shape: [3], bf16: [1, 2, 3])
        model.folder.write("plain/model.safetensors", text.bytes)
        _ = try? model.pack()
        return (try? model.folder.read("packed/model.safetensors")) ?? []
    }()

    /// The sound file with another description. `change` gets the description's text.
    private func file(_ change: (String) -> String) throws -> [UInt8] {
        let header = try SafetensorsHeader(parsing: Self.sound.rawSpan, fileBytes: Self.sound.count, file: "f")
        var metadata = header.metadata
        metadata["ferry.enec"] = change(try #require(metadata["ferry.enec"]))
        let front = SafetensorsHeader.front(of: header.tensors, metadata: metadata, dataOffset: header.dataOffset)
        return front + Self.sound[header.dataOffset...]
    }

    private func error(_ bytes: [UInt8]) -> CheckpointError? {
        let folder = ScratchFolder()
        folder.write("model.safetensors", bytes)
        do throws(CheckpointError) {
            let checkpoint = try Checkpoint(directory: folder.path, codecs: .toys)
            var reader = TensorReader(on: team)
            for tensor in checkpoint.files[0].tensors { try reader.read(tensor, of: checkpoint.files[0]) { _ in } }
            return nil
        } catch {
            return error
        }
    }

    @Test(arguments: [
        (#""version":1"#, #""version":2"#, nil, "ferry.enec.version is 2; 1 was expected"),
        (#""version":1"#, #""version":"1""#, nil, "ferry.enec.version is missing"),
        (#"{"version""#, #"["version""#, nil, "ferry.enec is not valid"),
        (#""tensors":["#, #""tensor":["#, nil, "ferry.enec.tensors is missing"),
        (#",{"name":"b""#, #",{},{"name":"b""#, nil, "describes 3 tensors, the file holds 2"),
        (#"{"name":"b""#, #"{"nome":"b""#, nil, "ferry.enec.tensors[1] has no name"),
        (#"{"name":"b""#, #"{"name":"a""#, "a", "described twice"),
        (#"{"name":"b""#, #"{"name":"c""#, "c", "the file does not hold it"),
        (#""codec":"planes3""#, #""codec":"rar""#, "a", #"its codec is "rar"; one of cascade, enec, planes3, raw was expected"#),
        (#""codec":"planes3""#, #""codec":3"#, "a", "codec is missing; a string was expected"),
        (#""codec":"raw""#, #""codec":"cascade""#, "b", "U8 of one dimension was expected"),
        (#""dtype":"BF16""#, #""dtype":"I64""#, "a", "its dtype is I64; BF16, F16 or F32 was expected"),
        (#""dtype":"BF16""#, #""dtype":"F16""#, "a", "planes3 has no parameters"),
        (#""shape":[40,64]"#, #""shape":[40,-64]"#, "a", "not a positive whole number"),
        (#""shape":[40,64]"#, #""shape":[40,0]"#, "a", "not a positive whole number"),
        (#""shape":[40,64]"#, #""shape":"40""#, "a", "shape is missing"),
        (#""shape":[40,64]"#, #""shape":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,2560]"#, "a", "more than 16 dimensions"),
        (#""shape":[40,64]"#, #""shape":[4294967296,4294967296]"#, "a", "more elements than a blob of"),
        (#""shape":[40,64]"#, #""shape":[9223372036854775807,2]"#, "a", "more elements than a blob of"),
        (#""shape":[40,64]"#, #""shape":[40,6400]"#, "a", "more elements than a blob of"),
        (#""shape":[40,64]"#, #""shape":[40,128]"#, "a", "blocks is 10; 20 was expected"),
        (#""shape":[40,64]"#, #""shape":[39,64]"#, "a", "its block 9 has"),
        (#""parameters":{"block":256}"#, #""parameters":{"block":0}"#, "a", "planes3 has no parameters"),
        (#""parameters":{"block":256}"#, #""parameters":{"block":1e300}"#, "a", "planes3 has no parameters"),
        (#""parameters":{"block":256}"#, #""parameters":{"block":128}"#, "a", "block_elements is 256; 128 was expected"),
        (#""block_elements":256"#, #""block_elements":9223372036854775807"#, "a", "256 was expected"),
        (#""blocks":10"#, #""blocks":-1"#, "a", "blocks is -1; 10 was expected"),
        (#""blocks":10"#, #""black":10"#, "a", "blocks is missing; 10 was expected"),
        (#""digest":""#, #""digest":"x"#, "a", "digest is no digest"),
        (#""blob_digest":""#, #""blab_digest":""#, "a", "blob_digest is missing"),
    ])
    func `a description that lies is refused with file, tensor and reason`(old: String, new: String, tensor: String?, reason: String) throws {
        #expect(error(Self.sound) == nil)
        let bytes = try file { text in
            #expect(text.contains(old), "\(text)")
            return text.replacing(old, with: new, maxReplacements: 1)
        }
        let found = try #require(error(bytes))
        #expect(found.file == "model.safetensors" && found.tensor == tensor)
        #expect(found.reason.contains(reason), "\(found)")
    }

    @Test func `a digest of other bytes is refused, of coded and of plain tensors`() throws {
        for (name, codec, reason) in [("a", "planes3", "the digest of its decoded bytes is"), ("b", "raw", "the digest of its bytes is")] {
            let bytes = try file { text in
                let place = text.end(of: "\"digest\":\"", after: "\"name\":\"\(name)\",\"codec\":\"\(codec)\"")
                return text[..<place] + (text[place] == "0" ? "1" : "0") + text[text.index(after: place)...]
            }
            let found = try #require(error(bytes))
            #expect(found.tensor == name && found.reason.hasPrefix(reason), "\(found)")
        }
    }

    @Test func `a table that lies is refused before a block is read`() throws {
        let header = try SafetensorsHeader(parsing: Self.sound.rawSpan, fileBytes: Self.sound.count, file: "f")
        let blob = header.tensors[0].range
        let lengths = (0..<10).map { Int(Self.sound[blob.lowerBound + 4 * $0]) | Int(Self.sound[blob.lowerBound + 4 * $0 + 1]) << 8 }
        func changed(_ block: Int, _ length: Int) -> CheckpointError? {
            var bytes = Self.sound
            for part in 0..<4 { bytes[blob.lowerBound + 4 * block + part] = UInt8(truncatingIfNeeded: length >> (8 * part)) }
            return error(bytes)
        }
        #expect(changed(3, lengths[3]) == nil)
        #expect(changed(3, 0)?.reason == "its block 3 has 0 bytes; 1 to 513 were expected")
        #expect(changed(9, 0xFFFF_FFFF)?.reason == "its block 9 has 4294967295 bytes; 1 to 513 were expected")
        #expect(changed(3, lengths[3] + 1) != nil && changed(3, lengths[3] - 1) != nil)
        // Short of the end by a whole line of padding.
        #expect(changed(9, 1)?.reason.contains("were expected for") == true)
        // All at their bound do not fit the blob.
        var bytes = Self.sound
        for block in 0..<10 { (bytes[blob.lowerBound + 4 * block], bytes[blob.lowerBound + 4 * block + 1]) = (1, 2) }
        #expect(error(bytes)?.reason.contains("ends outside of its blob") == true)
    }

    @Test func `a blob elsewhere than on a multiple of 64 is refused, and so is one that is too small for its table`() throws {
        let header = try SafetensorsHeader(parsing: Self.sound.rawSpan, fileBytes: Self.sound.count, file: "f")
        func moved(_ range: Range<Int>) -> [UInt8] {
            var tensors = header.tensors
            tensors[0] = .init(name: "a", type: .other("U8"), shape: [range.count], range: range)
            return SafetensorsHeader.front(of: tensors, metadata: header.metadata, dataOffset: header.dataOffset)
                + Self.sound[header.dataOffset...]
        }
        let blob = header.tensors[0].range
        #expect(error(moved(blob)) == nil)
        #expect(error(moved(blob.lowerBound + 8..<blob.upperBound - 56))?.reason.contains("multiples of 64 were expected") == true)
        #expect(error(moved(blob.lowerBound..<blob.upperBound - 8))?.reason.contains("multiples of 64 were expected") == true)
        #expect(error(moved(blob.lowerBound..<blob.lowerBound))?.reason.contains("more elements than a blob of 0") == true)
        #expect(error(moved(blob.lowerBound..<blob.upperBound - 64))?.tensor == "a")
    }

    @Test func `every damaged byte of the data is found and the tensor named`() throws {
        let header = try SafetensorsHeader(parsing: Self.sound.rawSpan, fileBytes: Self.sound.count, file: "f")
        for tensor in header.tensors {
            for place in stride(from: tensor.range.lowerBound, to: tensor.range.upperBound, by: tensor.name == "a" ? 7 : 1) {
                var bytes = Self.sound
                bytes[place] ^= 0x40
                #expect(!PackedFuzz.read(bytes, codecs: .toys, team: team), "byte \(place)")
                // Padding is nobody's, but for the digest of the blob.
                if let found = error(bytes) { #expect(found.tensor == tensor.name) }
            }
        }
        #expect(PackedFuzz.read(Self.sound, codecs: .toys, team: team))
    }

    @Test func `cut and damaged files never trap`() throws {
        for count in stride(from: 0, to: Self.sound.count, by: 17) {
            #expect(!PackedFuzz.read(Array(Self.sound[..<count]), codecs: .toys, team: team))
        }
        var random = SeededGenerator(seed: 19)
        let header = try SafetensorsHeader(parsing: Self.sound.rawSpan, fileBytes: Self.sound.count, file: "f")
        // The padding of the header is left out: spaces only.
        let text = Self.sound[..<header.dataOffset].lastIndex { $0 != UInt8(ascii: " ") }! + 1
        let table = header.tensors[0].range.lowerBound
        for round in 0..<Build.size(4000, debug: 400) {
            var damaged = Self.sound
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                let places = round % 2 == 0 ? 0..<text : table..<table + 200
                let digits = round % 4 == 0 ? UInt8(ascii: "0")...UInt8(ascii: "9") : 0...255
                damaged[Int.random(in: places, using: &random)] = UInt8.random(in: digits, using: &random)
            }
            _ = PackedFuzz.read(damaged, codecs: .toys, team: team)
        }
    }

    @Test func `every file of the kept corpus is read or refused as its name says`() throws {
        let folder = SharedFiles.repository + "/Tests/WeightsTests/Fixtures/packed"
        let names = Folder.names(in: folder)
        #expect(names.count >= 30)
        for name in names { #expect(PackedFuzz.read(try ScratchFolder.read(folder + "/" + name), team: team) == name.hasPrefix("ok-"), "\(name)") }
    }

    @Test func `damaged files of the corpus never trap`() throws {
        let folder = SharedFiles.repository + "/Tests/WeightsTests/Fixtures/packed"
        var random = SeededGenerator(seed: 23)
        for name in Folder.names(in: folder).sorted() where name.hasPrefix("ok-") {
            let sound = try ScratchFolder.read(folder + "/" + name)
            let header = try SafetensorsHeader(parsing: sound.rawSpan, fileBytes: sound.count, file: name)
            for _ in 0..<Build.size(1500, debug: 150) {
                var damaged = sound
                for _ in 0..<Int.random(in: 1...4, using: &random) {
                    damaged[Int.random(in: header.dataOffset..<sound.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
                }
                _ = PackedFuzz.read(damaged, team: team)
            }
        }
    }

    @Test func `a model with a damaged tensor is refused by its name, and unpacks to nothing`() throws {
        let model = try PackedModel()
        model.writeSingle()
        _ = try model.pack()
        var bytes = try model.folder.read("packed/model.safetensors")
        let place = try #require(try model.checkpoint().tensor("linear")).entry.range.lowerBound + 300
        bytes[place] ^= 1
        model.folder.write("packed/model.safetensors", bytes)
        var plan = WeightPlan()
        plan.append(.init(name: "panels", form: .panels, sources: [.init("linear", rows: 96)], columns: 80))
        for cache in [CacheFolder(path: model.folder.path + "/cache"), nil] {
            let error = #expect(throws: CheckpointError.self) {
                try WeightStore.load(try model.checkpoint(), plan: plan, weights: .bf16, cache: cache, team: team)
            }
            #expect(error?.tensor == "linear" && error?.file == "model.safetensors")
        }
        #expect(model.folder.names(in: "cache/weights") == [])
        #expect((#expect(throws: CheckpointError.self) { try model.unpack() })?.tensor == "linear")
        #expect(model.folder.names(in: "again") == [".ferry-output", "config.json"])
    }
}

extension String {
    /// Where the first `text` behind `mark` ends.
    fileprivate func end(of text: String, after mark: String) -> Index {
        let rest = self[firstRange(of: mark)!.upperBound...]
        return rest.firstRange(of: text)!.upperBound
    }
}
