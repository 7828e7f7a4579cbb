import Platform
import TestSupport
import Testing

@testable import Weights

@Suite struct SafetensorsTests {
    private func parse(_ bytes: [UInt8]) throws(CheckpointError) -> SafetensorsHeader {
        try SafetensorsHeader(parsing: bytes.rawSpan, fileBytes: bytes.count, file: "f")
    }

    private func parse(header: String, data: Int = 0) throws(CheckpointError) -> SafetensorsHeader {
        try parse(SafetensorsText.file(header: header, data: [UInt8](repeating: 1, count: data)))
    }

    private static var valid: [UInt8] {
        var text = SafetensorsText()
        text.append("a", shape: [2, 3], f32: [1, 2, 3, 4, 5, 6])
        text.append("b", shape: [4], bf16: [1, 2, 3, 4])
        text.append("empty", type: "F32", shape: [0, 7], bytes: [])
        text.append("scalar", type: "F16", shape: [], bytes: [0, 0x3C])
        text.append("odd", type: "F8_E4M3", shape: [3], bytes: [1, 2, 3])
        return text.bytes
    }

    @Test func `a valid header gives names, types, shapes and ranges in file order`() throws {
        let header = try parse(Self.valid)
        #expect(header.tensors.map(\.name) == ["a", "b", "empty", "scalar", "odd"])
        #expect(header.tensors.map(\.type) == [.f32, .bf16, .f32, .f16, .other("F8_E4M3")])
        #expect(header.tensors[0].shape == [2, 3])
        #expect(header.tensors[0].range == header.dataOffset..<header.dataOffset + 24)
        #expect(header.tensors[1].range == header.dataOffset + 24..<header.dataOffset + 32)
        #expect(header.metadata == ["format": "pt"])
    }

    @Test func `gaps between tensors and spaces after the header are allowed`() throws {
        let header = try parse(
            header:
                #"{"b":{"dtype":"U8","shape":[1],"data_offsets":[7,8]},"a":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}   "#,
            data: 9)
        #expect(header.tensors.map(\.name) == ["a", "b"])
    }

    @Test(arguments: [
        (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,9]}}"#, "outside"),
        (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[-8,0]}}"#, "outside"),
        (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}"#, "outside"),
        (#"{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}"#, "does not fit"),
        (#"{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}}"#, "overflows"),
        (#"{"a":{"dtype":"F32","shape":[4611686018427387904],"data_offsets":[0,0]}}"#, "does not fit"),
        (#"{"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}}"#, "whole number"),
        (#"{"a":{"dtype":"F32","shape":[1.5],"data_offsets":[0,8]}}"#, "whole number"),
        (#"{"a":{"dtype":"F32","shape":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,2],"data_offsets":[0,8]}}"#, "dimensions"),
        (#"{"a":{"dtype":"F32","data_offsets":[0,8]}}"#, "shape"),
        (#"{"a":{"shape":[2],"data_offsets":[0,8]}}"#, "dtype"),
        (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0]}}"#, "data_offsets"),
        (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,99999999999999999999]}}"#, "data_offsets"),
        (
            #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[1],"data_offsets":[3,4]}}"#,
            "overlap"
        ),
        (
            #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"U8","shape":[1],"data_offsets":[4,5]}}"#,
            "not valid"
        ),
        (#"{"a":3}"#, "dtype"),
        (#"{"__metadata__":{"x":1}}"#, "__metadata__.x"),
        (#"{"__metadata__":[]}"#, "__metadata__"),
        (#"[]"#, "an object"),
        (#"{"#, "not valid"),
        (#""#, "not valid"),
    ])
    func `a header that lies is refused with its reason`(header: String, reason: String) {
        let error = #expect(throws: CheckpointError.self) { try parse(header: header, data: 8) }
        #expect(error?.description.contains(reason) == true, "\(error?.description ?? "no error")")
    }

    @Test func `a length beyond the file or the format's bound is refused before anything is read`() {
        for length: UInt64 in [9, 100_000_001, .max, UInt64(Int64.max)] {
            let error = #expect(throws: CheckpointError.self) { try parse(SafetensorsText.bytes(length) + Array("{}".utf8)) }
            #expect(error?.description.contains("claims \(length)") == true)
        }
        #expect(throws: CheckpointError.self) { try parse([]) }
        #expect(throws: CheckpointError.self) { try parse([2, 0, 0]) }
    }

    @Test func `truncated and damaged files are parsed or refused, never trapped on`() {
        let valid = Self.valid
        for count in 0..<valid.count { _ = try? parse(Array(valid[..<count])) }
        var random = SeededGenerator(seed: 7)
        for _ in 0..<3000 {
            var damaged = valid
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                damaged[Int.random(in: 0..<damaged.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
            }
            guard let header = try? parse(damaged) else { continue }
            for tensor in header.tensors {
                #expect(tensor.range.lowerBound >= header.dataOffset && tensor.range.upperBound <= damaged.count)
            }
        }
    }

    @Test func `every file of the kept corpus is parsed or refused as its name says`() throws {
        let folder = SharedFiles.repository + "/Tests/WeightsTests/Fixtures/safetensors"
        for name in ["ok-plain", "ok-gap", "bad-length", "bad-overlap", "bad-truncated", "bad-depth", "bad-utf8", "bad-shape"] {
            let mapping = try MappedFile(path: "\(folder)/\(name).safetensors")
            if name.hasPrefix("ok") {
                _ = try SafetensorsHeader(parsing: mapping.bytes, fileBytes: mapping.count, file: name)
            } else {
                #expect(throws: CheckpointError.self, "\(name)") {
                    try SafetensorsHeader(parsing: mapping.bytes, fileBytes: mapping.count, file: name)
                }
            }
        }
    }
}

@Suite struct CheckpointTests {
    private func shard(_ names: [String]) -> [UInt8] {
        var text = SafetensorsText()
        for name in names { text.append(name, shape: [1], f32: [1]) }
        return text.bytes
    }

    @Test func `a single file is found`() throws {
        let folder = ScratchFolder()
        folder.write("model.safetensors", shard(["x"]))
        let checkpoint = try Checkpoint(directory: folder.path)
        #expect(checkpoint.tensor("x")?.entry.shape == [1])
        #expect(checkpoint.tensor("y") == nil)
    }

    @Test func `shards are found through the index`() throws {
        let folder = ScratchFolder()
        folder.write("model-1.safetensors", shard(["x"]))
        folder.write("model-2.safetensors", shard(["y", "z"]))
        folder.write(
            "model.safetensors.index.json",
            #"{"metadata":{},"weight_map":{"x":"model-1.safetensors","y":"model-2.safetensors","z":"model-2.safetensors"}}"#)
        let checkpoint = try Checkpoint(directory: folder.path)
        #expect(checkpoint.tensor("z")?.file.name == "model-2.safetensors")
        #expect(checkpoint.files.map(\.name) == ["model-1.safetensors", "model-2.safetensors"])
    }

    @Test(arguments: [
        "../model-1.safetensors", "/etc/model-1.safetensors", "a/model-1.safetensors", "model-1.bin", "..", "", ".safetensors",
        "a\\b.safetensors",
    ])
    func `an index that points outside its folder is refused`(name: String) throws {
        let folder = ScratchFolder()
        folder.write("model-1.safetensors", shard(["x"]))
        folder.write("model.safetensors.index.json", JSON.object(JSONObject([("weight_map", ["x": .string(name)])])).text)
        let error = #expect(throws: CheckpointError.self) { try Checkpoint(directory: folder.path) }
        #expect(error?.description.contains("weight_map.x") == true)
    }

    @Test func `an index that names a tensor its shard lacks is refused, and so is a name in two shards`() throws {
        let folder = ScratchFolder()
        folder.write("a.safetensors", shard(["x"]))
        folder.write("b.safetensors", shard(["x"]))
        folder.write("model.safetensors.index.json", #"{"weight_map":{"y":"a.safetensors"}}"#)
        #expect(
            throws: CheckpointError(file: "model.safetensors.index.json", tensor: "y", reason: "a.safetensors does not hold it")
        ) {
            try Checkpoint(directory: folder.path)
        }
        folder.write("model.safetensors.index.json", #"{"weight_map":{"x":"a.safetensors","y":"b.safetensors"}}"#)
        #expect(
            throws: CheckpointError(file: "b.safetensors", tensor: "x", reason: "a.safetensors has a tensor of that name too")
        ) {
            try Checkpoint(directory: folder.path)
        }
    }

    @Test func `a folder without tensors is an error that names what was looked for`() {
        let folder = ScratchFolder()
        let error = #expect(throws: CheckpointError.self) { try Checkpoint(directory: folder.path) }
        #expect(error?.description.contains("model.safetensors.index.json") == true)
    }
}
