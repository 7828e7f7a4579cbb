import Kernels
import Platform
import TestSupport
import Testing

@testable import Weights

@Suite struct ConversionTests {
    /// Three shards and their index, as transformers writes it.
    private func writeShards(_ model: PackedModel) {
        var random = SeededGenerator(seed: 3)
        var map: [String] = []
        for shard in 1...3 {
            var text = SafetensorsText()
            for part in 0..<2 {
                let name = "layer.\(shard).\(part)"
                text.append(name, shape: [64, 64], bf16: (0..<4096).map { _ in random.normal() * 0.02 })
                map.append("    \"\(name)\": \"model-\(shard).safetensors\"")
            }
            model.folder.write("plain/model-\(shard).safetensors", text.bytes)
        }
        model.folder.write(
            "plain/model.safetensors.index.json",
            "{\n  \"metadata\": {\n    \"total_size\": 49152\n  },\n  \"weight_map\": {\n\(map.joined(separator: ",\n"))\n  }\n}\n")
    }

    @Test func `shards keep their names, and the index its map and the right size`() throws {
        let model = try PackedModel()
        writeShards(model)
        let outcome = try model.pack()
        #expect(model.folder.names(in: "packed") == [
            ".ferry-output", "model-1.safetensors", "model-2.safetensors", "model-3.safetensors", "model.safetensors.index.json",
        ])
        let index = String(decoding: try model.folder.read("packed/model.safetensors.index.json"), as: UTF8.self)
        let before = String(decoding: try model.folder.read("plain/model.safetensors.index.json"), as: UTF8.self)
        #expect(index == before.replacing("49152", with: "\(outcome.bytesAfter)") && outcome.bytesAfter < 49152)
        #expect(try model.codecs().count == 6)
        _ = try model.unpack()
        #expect(try model.folder.read("again/model.safetensors.index.json") == Array(before.utf8))
        for shard in 1...3 { #expect(try model.differences("plain/model-\(shard).safetensors", "again/model-\(shard).safetensors") == []) }
    }

    @Test func `an index is written anew where the number cannot be told from other text`() throws {
        func text(_ original: String) -> String { String(decoding: ShardIndex.text(Array(original.utf8), totalSize: 7), as: UTF8.self) }
        #expect(text(#"{ "metadata": {"total_size":  123 } }"#) == #"{ "metadata": {"total_size":  7 } }"#)
        #expect(text(#"{"metadata":{"total_size":1.5}}"#) == #"{"metadata":{"total_size":7}}"#)
        #expect(text(#"{"metadata": {"total_size":"many"}}"#) == #"{"metadata":{"total_size":7}}"#)
        #expect(text(#"{"x": {"total_size": 3}, "metadata": {"total_size": 3}}"#) == #"{"x":{"total_size":3},"metadata":{"total_size":7}}"#)
        #expect(text(#"{"metadata": {}}"#) == #"{"metadata": {}}"#)
        #expect(text("not JSON") == "not JSON")
    }

    @Test func `a folder that holds what was not made here is left alone, unless forced`() throws {
        let model = try PackedModel()
        model.writeSingle()
        model.folder.write("plain/notes.txt", "mine")
        #expect(throws: CheckpointError.self) { try model.pack(to: "plain") }
        #expect(throws: CheckpointError.self) { try model.pack(to: "plain/./") }
        #expect(throws: CheckpointError.self) { try model.pack(to: "plain/inner") }
        #expect(model.folder.names(in: "plain") == ["config.json", "model.safetensors", "notes.txt"])

        try Folder.create(model.folder.path + "/other")
        model.folder.write("other/thesis.txt", "years of work")
        let error = #expect(throws: CheckpointError.self) { try model.pack(to: "other") }
        #expect(error?.description.contains("thesis.txt") == true)
        #expect(model.folder.names(in: "other") == ["thesis.txt"])
        _ = try model.pack(to: "other", force: true)
        #expect(model.folder.names(in: "other").contains("thesis.txt"))
        // One's own work is replaced, and what it will not have any more goes.
        _ = try model.pack(to: "packed")
        #expect(model.folder.names(in: "packed") == [".ferry-output", "config.json", "model.safetensors", "notes.txt"])
        try Folder.removeFile(model.folder.path + "/plain/notes.txt")
        _ = try model.pack(.storage, to: "packed")
        #expect(model.folder.names(in: "packed") == [".ferry-output", "config.json", "model.safetensors"])
        // A file that would be read instead of the shards is not written beside.
        let sharded = try PackedModel()
        writeShards(sharded)
        try Folder.create(sharded.folder.path + "/full")
        sharded.folder.write("full/model.safetensors", "x")
        let hidden = #expect(throws: CheckpointError.self) { try sharded.pack(to: "full", force: true) }
        #expect(hidden?.description.contains("instead of the shards") == true)
    }

    @Test func `a record that names other folders' files is none`() throws {
        let model = try PackedModel()
        model.writeSingle()
        try Folder.create(model.folder.path + "/packed")
        model.folder.write("packed/.ferry-output", #"{"files":["../plain/config.json"]}"#)
        model.folder.write("packed/x", "")
        #expect(throws: CheckpointError.self) { try model.pack() }
        _ = try model.pack(force: true)
        #expect(model.folder.names(in: "plain").contains("config.json"))
    }

    @Test func `what is packed is not packed again, and what is plain is not unpacked`() throws {
        let model = try PackedModel()
        model.writeSingle()
        _ = try model.pack()
        let again = #expect(throws: CheckpointError.self) { try model.pack(from: "packed", to: "twice") }
        #expect(again?.description.contains("packed already") == true)
        let plain = #expect(throws: CheckpointError.self) { try model.unpack(from: "plain", to: "plainer") }
        #expect(plain?.description.contains("none of its files is packed") == true)
        #expect(model.folder.names() == ["packed", "plain"])
    }

    @Test func `a folder inside the model is left out and named`() throws {
        let model = try PackedModel()
        model.writeSingle()
        try Folder.create(model.folder.path + "/plain/original")
        let outcome = try model.pack()
        #expect(outcome.notes.count == 1 && outcome.notes[0].contains("original"))
        #expect(model.folder.names(in: "packed") == [".ferry-output", "config.json", "model.safetensors"])
    }

    @Test func `progress ends at all of the bytes`() throws {
        let model = try PackedModel()
        model.writeSingle()
        let source = try model.checkpoint("plain")
        let output = try OutputFolder(path: model.folder.path + "/packed", source: source.directory, force: false)
        var last = WeightProgress(doneBytes: 0, totalBytes: 1)
        _ = try ModelConversion(source, to: output).pack(PackingPolicy(.serving), codecs: .toys, team: model.team) {
            #expect($0.doneBytes >= last.doneBytes)
            last = $0
        }
        #expect(last.doneBytes == last.totalBytes && last.totalBytes == source.files[0].tensors.reduce(0) { $0 + $1.byteCount })
    }
}
