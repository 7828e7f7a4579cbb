import Kernels
import Platform
import TestSupport
import Testing

@testable import Weights

@Suite struct PackedFileTests {
    @Test func `a model that was packed and unpacked has the same tensors in the same order, and the same files`() throws {
        let model = try PackedModel()
        model.writeSingle()
        model.folder.write("plain/tokenizer.json", "{\"a\": 1}")
        model.folder.write("plain/empty.txt", "")
        for (number, choice) in [PackingPolicy.Choice.serving, .storage, .codec("enec"), .codec("raw")].enumerated() {
            let packed = try model.pack(choice, to: "packed\(number)")
            let again = try model.unpack(from: "packed\(number)", to: "again\(number)")
            #expect(packed.bytesBefore == again.bytesAfter && packed.bytesAfter == again.bytesBefore)
            #expect(choice == .codec("raw") ? packed.bytesAfter == packed.bytesBefore : packed.bytesAfter < packed.bytesBefore)
            #expect(try model.differences("plain/model.safetensors", "again\(number)/model.safetensors") == [])
            for name in ["config.json", "tokenizer.json", "empty.txt"] {
                #expect(try model.folder.read("plain/\(name)") == model.folder.read("again\(number)/\(name)"), "\(name)")
            }
        }
    }

    @Test func `what shrinks is coded as the policy asks, all else stays as it is`() throws {
        let model = try PackedModel()
        model.writeSingle()
        _ = try model.pack(.serving)
        let raw = ["odd", "norm", "ids", "empty", "noise", "aligned"]
        var expected = Dictionary(uniqueKeysWithValues: raw.map { ($0, "raw") })
        expected.merge(["half": "cascade", "linear": "planes3", "wide": "cascade"]) { $1 }
        let found = try model.codecs()
        #expect(found == expected)

        _ = try model.pack(.serving, to: "looked-up", matrices: ["other"])
        #expect(try model.codecs("looked-up")["linear"] == "cascade")
        _ = try model.pack(.codec("enec"), to: "forced")
        #expect(try model.codecs("forced")["linear"] == "enec")
        // A codec that does not apply leaves the tensor raw.
        _ = try model.pack(.codec("planes3"), to: "narrow")
        #expect(try model.codecs("narrow")["half"] == "raw")

        // The smallest of all: no other codec makes the tensor smaller.
        _ = try model.pack(.storage, to: "smallest")
        let smallest = try model.checkpoint("smallest")
        for codec in ["cascade", "enec", "planes3"] {
            _ = try model.pack(.codec(codec), to: codec)
            let other = try model.checkpoint(codec)
            for name in ["half", "linear", "wide"] {
                #expect(smallest.tensor(name)!.entry.range.count <= other.tensor(name)!.entry.range.count, "\(name) by \(codec)")
            }
        }
    }

    @Test func `a packed file has no holes, its blobs are aligned, and other readers see bytes`() throws {
        let model = try PackedModel()
        model.writeSingle()
        _ = try model.pack()
        let file = try model.checkpoint().files[0]
        #expect(file.isPacked && file.header.metadata["format"] == "pt")
        #expect(file.header.dataOffset % 4096 == 0)
        var end = file.header.dataOffset
        for tensor in file.header.tensors {
            #expect(tensor.range.lowerBound == end, "\(tensor.name)")
            #expect(end % max(1, tensor.type.bytes ?? 1) == 0, "\(tensor.name)")
            end = tensor.range.upperBound
        }
        #expect(end == file.mapping.count)
        let listed = try #require(file.header.tensors.first { $0.name == "linear" })
        #expect(listed.type == .other("U8") && listed.shape == [listed.range.count] && listed.range.count % 64 == 0)
        // The order of before is kept, and so is what the tensor is.
        #expect(file.tensors.map(\.name) == ["odd", "half", "norm", "linear", "ids", "empty", "wide", "noise", "aligned"])
        guard case .packed(let packed) = file.tensors[3].form else {
            Issue.record("linear is not packed")
            return
        }
        #expect(packed.type == .bf16 && packed.shape == [96, 80] && packed.blob == listed.range && packed.blob.lowerBound % 64 == 0)
        #expect(file.tensors[3].type == .bf16 && file.tensors[3].shape == [96, 80])
        let table = try BlockTable(of: packed, in: file.mapping.bytes)
        #expect(table.count == 30 && table[29].upperBound <= packed.blob.upperBound - 64)
        try packed.verifyBlob(in: file.mapping.bytes)
    }

    @Test func `equal models give equal files, whatever the threads`() throws {
        var files: [[UInt8]] = []
        for threads in [1, 2, 5] {
            let model = try PackedModel(threads: threads)
            model.writeSingle()
            _ = try model.pack(.storage)
            files.append(try model.folder.read("packed/model.safetensors"))
        }
        #expect(files[1] == files[0] && files[2] == files[0])
    }

    @Test func `blocks can be decoded alone, and in any number`() throws {
        let model = try PackedModel()
        model.writeSingle()
        _ = try model.pack()
        let (file, entry) = try #require(try model.checkpoint().tensor("linear"))
        guard case .packed(let packed) = entry.form else { return }
        let plain = try #require(try model.checkpoint("plain").tensor("linear"))
        let whole = ToyCodec.bytes(plain.file.mapping.bytes.extracting(plain.entry.range))
        let table = try BlockTable(of: packed, in: file.mapping.bytes)
        for blocks in [0..<1, 3..<7, 28..<30, 0..<30, 4..<4] {
            var memory = try Slab(bytes: 1 << 16, purpose: "blocks")
            var elements = memory.first(packed.byteCount(of: blocks))
            try packed.decode(blocks, of: table, in: file.mapping.bytes, into: &elements, on: model.team)
            #expect(ToyCodec.bytes(elements.bytes)[...] == whole[blocks.lowerBound * 512..<min(whole.count, blocks.upperBound * 512)])
        }
    }

    private static func rows(of panels: PanelMatrix) -> [[Float]] {
        (0..<panels.rows).map { index in
            var row = [Float](repeating: 0, count: panels.columns)
            var span = row.mutableSpan
            panels.copyRow(index, to: &span)
            return row
        }
    }

    @Test func `weights are those of the plain model in every form`() throws {
        let model = try PackedModel()
        model.writeSingle()
        _ = try model.pack(.storage)
        var plan = WeightPlan()
        plan.append(.init(name: "panels", form: .panels, sources: [.init("linear", rows: 96)], columns: 80))
        plan.append(.init(name: "table", form: .table, sources: [.init("half", rows: 33)], columns: 67))
        plan.append(.init(name: "norm", form: .vector, sources: [.init("norm", rows: 65)], columns: 1))
        for form in WeightForm.allCases {
            let stores = try ["plain", "packed"].map {
                try WeightStore.load(try model.checkpoint($0), plan: plan, weights: form, cache: nil, team: model.team).store
            }
            #expect(stores[0].fingerprint == stores[1].fingerprint)
            let numbers = stores.map { store in
                switch store.table("table") {
                case .rows(let rows): Self.rows(of: store.panels("panels")) + [rows.withBytes { ToyCodec.bytes($0) }.map { Float($0) }]
                case .panels(let panels): Self.rows(of: store.panels("panels")) + Self.rows(of: panels)
                }
            }
            #expect(numbers[0] == numbers[1] && stores[0].vector("norm") == stores[1].vector("norm"), "\(form)")
        }
    }

    @Test func `a packed model is the same model: it uses the plain one's image, and none of another one's`() throws {
        let model = try PackedModel()
        model.writeSingle()
        _ = try model.pack()
        let cache = CacheFolder(path: model.folder.path + "/cache")
        var plan = WeightPlan()
        plan.append(.init(name: "panels", form: .panels, sources: [.init("linear", rows: 96)], columns: 80))
        func origin(_ name: String) throws -> WeightStore.Origin.Source {
            try WeightStore.load(try model.checkpoint(name), plan: plan, weights: .bf16, cache: cache, team: model.team).origin.source
        }
        guard case .built(let path) = try origin("plain") else {
            Issue.record("the image was there before")
            return
        }
        #expect(try origin("packed") == .cache(path: path))
        model.writeSingle(seed: 2)
        _ = try model.pack()
        guard case .built(let other) = try origin("packed") else {
            Issue.record("another model's image was used")
            return
        }
        #expect(other != path)
    }
}
