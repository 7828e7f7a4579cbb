import Kernels
import Platform
import TestSupport
import Testing

@testable import Weights

@Suite struct WeightStoreTests {
    private let team = ThreadTeam(threads: 2, instructionSet: .scalar)

    /// A small checkpoint in `model/` and its plan: two matrices stacked with an odd number of columns, a table, a vector.
    private func make(_ folder: ScratchFolder, scale: Float = 1) throws -> (checkpoint: Checkpoint, plan: WeightPlan) {
        try Folder.create(folder.path + "/model")
        var text = SafetensorsText()
        func values(_ count: Int, _ start: Int) -> [Float] { (0..<count).map { Float($0 % 97 + start) * 0.25 * scale } }
        text.append("q", shape: [70, 5], bf16: values(350, 1))
        text.append("k", shape: [9, 5], f32: values(45, 2).map { $0 + 0.001 })
        text.append("table", shape: [3, 4], f32: values(12, 3).map { $0 + 0.001 })
        text.append("norm", shape: [6], bf16: values(6, 4))
        folder.write("model/model.safetensors", text.bytes)
        return (try Checkpoint(directory: folder.path + "/model"), Self.plan)
    }

    private static var plan: WeightPlan {
        var plan = WeightPlan()
        plan.append(.init(name: "qk", form: .panels, sources: [.init("q", rows: 70), .init("k", rows: 9)], columns: 5))
        plan.append(.init(name: "table", form: .table, sources: [.init("table", rows: 3)], columns: 4))
        plan.append(.init(name: "norm", form: .vector, sources: [.init("norm", rows: 6)], columns: 1))
        return plan
    }

    private func load(_ folder: ScratchFolder, _ form: WeightForm = .f32) throws -> (
        store: WeightStore, origin: WeightStore.Origin
    ) {
        let (checkpoint, plan) = try make(folder)
        return try WeightStore.load(
            checkpoint, plan: plan, weights: form, cache: CacheFolder(path: folder.path + "/cache"), team: team)
    }

    private func row(_ panels: PanelMatrix, _ index: Int) -> [Float] {
        var values = [Float](repeating: 0, count: panels.columns)
        var span = values.mutableSpan
        panels.copyRow(index, to: &span)
        return values
    }

    private func rows(_ store: WeightStore) -> WeightRows {
        guard case .rows(let rows) = store.table("table") else { preconditionFailure("no rows") }
        return rows
    }

    private func path(_ origin: WeightStore.Origin) -> String {
        switch origin.source {
        case .cache(let path), .built(let path), .shared(let path): path
        case .memory(let path): path ?? ""
        case .packed: ""
        }
    }

    @Test(arguments: [WeightForm.int8, .int8g32])
    func `an image of bytes is another file, close to the tensors, and its tables stay bf16`(form: WeightForm) throws {
        let folder = ScratchFolder()
        let (exact, _) = try load(folder)
        let (built, origin) = try load(folder, form)
        let (found, second) = try load(folder, form)
        #expect(second.source == .cache(path: path(origin)) && folder.names(in: "cache/weights").count == 2)
        #expect(origin.rounded == ["1 BF16 tensors were rounded to \(form)", "2 F32 tensors were rounded to \(form)"])
        for store in [built, found] {
            for index in [0, 3, 69, 70, 78] {
                let (row, values) = (row(store.panels("qk"), index), row(exact.panels("qk"), index))
                let greatest = values.map(abs).max()!
                for (a, b) in zip(row, values) { #expect(abs(a - b) <= greatest / 127, "row \(index)") }
            }
            #expect(store.vector("norm") == exact.vector("norm"))
            #expect(rows(store).type == .bf16)
        }
        #expect(built.fingerprint == found.fingerprint && built.fingerprint != exact.fingerprint)
    }

    /// A checkpoint whose matrix shrinks as planes3, stacked of tensors that are no whole panels; a table that shrinks; a vector.
    private func makeModel(_ folder: ScratchFolder) throws -> (checkpoint: Checkpoint, plan: WeightPlan) {
        try Folder.create(folder.path + "/model")
        var random = SeededGenerator(seed: 20)
        var text = SafetensorsText()
        func normal(_ count: Int) -> [Float] { (0..<count).map { _ in random.normal() * 0.05 } }
        text.append("q", shape: [70, 128], bf16: normal(70 * 128))
        text.append("k", shape: [30, 128], f32: normal(30 * 128))
        text.append("table", shape: [64, 128], bf16: normal(64 * 128))
        text.append("norm", shape: [6], bf16: normal(6))
        folder.write("model/model.safetensors", text.bytes)
        var plan = WeightPlan()
        plan.append(.init(name: "qk", form: .panels, sources: [.init("q", rows: 70), .init("k", rows: 30)], columns: 128))
        plan.append(.init(name: "table", form: .table, sources: [.init("table", rows: 64)], columns: 128))
        plan.append(.init(name: "norm", form: .vector, sources: [.init("norm", rows: 6)], columns: 1))
        return (try Checkpoint(directory: folder.path + "/model"), plan)
    }

    @Test func `an image of enec is smaller and has the numbers of bf16`() throws {
        let folder = ScratchFolder()
        let (checkpoint, plan) = try makeModel(folder)
        let cache = CacheFolder(path: folder.path + "/cache")
        let (exact, _) = try WeightStore.load(checkpoint, plan: plan, weights: .bf16, cache: nil, team: team)
        let (built, origin) = try WeightStore.load(checkpoint, plan: plan, weights: .enec, cache: cache, team: team)
        let (found, second) = try WeightStore.load(checkpoint, plan: plan, weights: .enec, cache: cache, team: team)
        #expect(origin.source == .built(path: path(origin)) && second.source == .cache(path: path(origin)))
        #expect(origin.rounded == ["1 F32 tensors were rounded to enec"])
        let exactRows = rows(exact)
        for store in [built, found] {
            let panels = store.panels("qk")
            #expect(panels.form == .enec && Double(panels.byteCount) < 0.75 * Double(exact.panels("qk").byteCount))
            for index in 0..<100 { #expect(row(panels, index) == row(exact.panels("qk"), index), "row \(index)") }
            guard case .panels(let table) = store.table("table") else { preconditionFailure("the table is not kept in panels") }
            for index in 0..<64 {
                var values = [Float](repeating: 0, count: 128)
                var span = values.mutableSpan
                exactRows.withBytes { InstructionSet.scalar.convert($0.extracting(index * 256..<(index + 1) * 256), as: .bf16, to: &span) }
                #expect(row(table, index) == values, "row \(index)")
            }
            #expect(store.vector("norm") == exact.vector("norm") && store.fingerprint == exact.fingerprint)
        }
    }

    @Test func `panels that lie under a digest that fits them are refused and made anew`() throws {
        let folder = ScratchFolder()
        let (checkpoint, plan) = try makeModel(folder)
        let cache = CacheFolder(path: folder.path + "/cache")
        let (_, origin) = try WeightStore.load(checkpoint, plan: plan, weights: .enec, cache: cache, team: team)
        let image = try ScratchFolder.read(path(origin))
        var header = try WeightImageHeader(parsing: image.rawSpan)
        let place = header.entries[0].range
        // The offsets of panels; where the escapes of a panel end; a code that is an escape more.
        for offset in [4, 64 + 64, place.count - 704] {
            var lying = image
            let old = lying[place.lowerBound + offset]
            lying[place.lowerBound + offset] = old & 7 == 7 ? 0 : old | 7
            header.entries[0].digest = team.digest(ofPiecesOf: Array(lying[place]).rawSpan)
            lying.replaceSubrange(0..<header.encoded().count, with: header.encoded())
            folder.write("cache/weights/" + path(origin).split(separator: "/").last!, lying)
            let (_, again) = try WeightStore.load(checkpoint, plan: plan, weights: .enec, cache: cache, team: team)
            #expect(again.source == .built(path: path(origin)), "byte \(offset)")
            #expect(again.warnings.first?.hasSuffix("not a weight image: qk is not made of panels") == true, "\(again.warnings)")
        }
    }

    @Test func `a matrix with more columns than sums of bytes allow is named`() throws {
        let folder = ScratchFolder()
        try Folder.create(folder.path + "/model")
        var text = SafetensorsText()
        text.append("wide", shape: [1, 65_537], bf16: [Float](repeating: 1, count: 65_537))
        folder.write("model/model.safetensors", text.bytes)
        let checkpoint = try Checkpoint(directory: folder.path + "/model")
        var plan = WeightPlan()
        plan.append(.init(name: "wide", form: .panels, sources: [.init("wide", rows: 1)], columns: 65_537))
        #expect(
            throws: CheckpointError(
                file: checkpoint.directory, tensor: "wide",
                reason: "it has 65537 columns; at most 65536 are possible with weights of int8")
        ) { try WeightStore.load(checkpoint, plan: plan, weights: .int8, cache: nil, team: team) }
    }

    @Test func `an image is built once and then found, with the numbers of the tensors`() throws {
        let folder = ScratchFolder()
        let (built, origin) = try load(folder)
        let (found, second) = try load(folder)
        #expect(origin.source == .built(path: path(origin)) && second.source == .cache(path: path(origin)))
        #expect(origin.warnings.isEmpty && origin.rounded.isEmpty && second.warnings.isEmpty)
        for store in [built, found] {
            #expect(row(store.panels("qk"), 3) == [16, 17, 18, 19, 20].map { $0 * 0.25 })
            #expect(row(store.panels("qk"), 70) == [2, 3, 4, 5, 6].map { $0 * 0.25 + 0.001 })
            #expect(store.vector("norm") == [4, 5, 6, 7, 8, 9].map { $0 * 0.25 })
            let table = rows(store)
            let first: Float = table.withBytes { unsafe $0.unsafeLoad(as: Float.self) }
            #expect(first == 0.751 && table.columns == 4)
        }
        #expect(built.fingerprint == found.fingerprint)
        #expect(folder.names(in: "cache/weights").count == 1 && folder.names(in: "cache/stamps").count == 1)
    }

    @Test func `in bf16 numbers are rounded, norms are not, and the loader says which tensors lost precision`() throws {
        let folder = ScratchFolder()
        let (store, origin) = try load(folder, .bf16)
        #expect(row(store.panels("qk"), 70)[0] == 0.5)
        #expect(store.vector("norm")[1] == 1.25)
        #expect(origin.rounded == ["2 F32 tensors were rounded to bf16"])
        let (other, _) = try load(folder, .f32)
        #expect(other.fingerprint != store.fingerprint)
        #expect(folder.names(in: "cache/weights").count == 2)
    }

    @Test func `an image that is damaged anywhere is refused and made anew`() throws {
        let folder = ScratchFolder()
        let (_, origin) = try load(folder)
        let name = "cache/weights/" + folder.names(in: "cache/weights")[0]
        let sound = try folder.read(name)
        let header = try WeightImageHeader(parsing: sound.rawSpan)
        let places =
            [0, 9, 13, 20, 30, 40, 60, 70, 80, 100] + header.entries.map { $0.range.lowerBound + 3 } + [
                header.entries[0].range.upperBound - 1
            ]
        for place in places {
            var damaged = sound
            damaged[place] ^= 0x10
            folder.write(name, damaged)
            let (store, again) = try load(folder)
            #expect(again.source == .built(path: path(origin)), "byte \(place)")
            #expect(again.warnings.count == 1, "byte \(place)")
            #expect(row(store.panels("qk"), 0)[0] == 0.25)
            #expect(try folder.read(name) == sound)
        }
        for count in [0, 1, 71, 200, sound.count - 4096, sound.count - 1] {
            folder.write(name, Array(sound[..<count]))
            #expect(try load(folder).origin.source == .built(path: path(origin)), "\(count) bytes")
        }
        #expect(folder.names(in: "cache/weights").count == 1)
    }

    @Test func `changed tensors get an image of their own`() throws {
        let folder = ScratchFolder()
        let (store, _) = try load(folder)
        let (checkpoint, plan) = try make(folder, scale: 2)
        let (other, origin) = try WeightStore.load(
            checkpoint, plan: plan, weights: .f32, cache: CacheFolder(path: folder.path + "/cache"), team: team)
        #expect(origin.source == .built(path: path(origin)))
        #expect(row(other.panels("qk"), 0)[0] == 0.5 && other.fingerprint != store.fingerprint)
        #expect(folder.names(in: "cache/weights").count == 2)
    }

    @Test func `content is read again only when a file's stamp has changed`() throws {
        let folder = ScratchFolder()
        let cache = CacheFolder(path: folder.path + "/cache")
        let (checkpoint, _) = try make(folder)
        let first = SourceDigest(of: checkpoint, rememberedIn: cache)
        #expect(first.wasRead)
        let second = SourceDigest(of: try Checkpoint(directory: checkpoint.directory), rememberedIn: cache)
        #expect(!second.wasRead && second.value == first.value)
        let name = "cache/stamps/" + folder.names(in: "cache/stamps")[0]
        let memory = String(decoding: try folder.read(name), as: UTF8.self)
        folder.write(name, memory.replacing("\"mtime_ns\":", with: "\"mtime_ns\":1"))
        #expect(SourceDigest(of: checkpoint, rememberedIn: cache).wasRead)
        // A digest that was damaged is not believed, though it looks like one.
        let digest = first.wasRead ? memory.split(separator: "\"digest\":\"")[1].prefix(32) : ""
        folder.write(name, memory.replacing(digest, with: String(repeating: "0", count: 32)))
        #expect(SourceDigest(of: checkpoint, rememberedIn: cache).wasRead)
        folder.write(name, "{}")
        #expect(SourceDigest(of: checkpoint, rememberedIn: cache).wasRead)
        #expect(SourceDigest(of: checkpoint, rememberedIn: nil).value == first.value)
    }

    @Test func `where the cache cannot be written the image lives in memory and a warning says so`() throws {
        let folder = ScratchFolder()
        let (checkpoint, plan) = try make(folder)
        folder.write("file", "not a folder")
        for cache in [CacheFolder(path: folder.path + "/file"), nil] {
            let (store, origin) = try WeightStore.load(checkpoint, plan: plan, weights: .f32, cache: cache, team: team)
            #expect(origin.source == .memory(path: nil) && origin.warnings.count == 1)
            #expect(row(store.panels("qk"), 0)[0] == 0.25)
        }
    }

    @Test func `a draft that finds no room is an error that leaves nothing behind`() {
        let folder = ScratchFolder()
        let error = #expect(throws: FileError.self) { _ = try FileDraft(path: folder.path + "/big", bytes: 1 << 60) }
        #expect(error?.operation.hasPrefix("reserve") == true)
        #expect(folder.names().isEmpty)
    }

    @Test func `a draft given up leaves nothing, a committed one replaces the file whole`() throws {
        let folder = ScratchFolder()
        folder.write("a", "old")
        do {
            var draft = try FileDraft(path: folder.path + "/a", bytes: 3)
            draft.replace(at: 0, with: Array("new".utf8).rawSpan)
            #expect(try folder.read("a") == Array("old".utf8))
        }
        #expect(folder.names() == ["a"])
        #expect(try folder.read("a") == Array("old".utf8))
        var draft = try FileDraft(path: folder.path + "/a", bytes: 3)
        draft.replace(at: 0, with: Array("new".utf8).rawSpan)
        try draft.commit()
        #expect(folder.names() == ["a"])
        #expect(try folder.read("a") == Array("new".utf8))
    }

    @Test func `a tensor that is missing, misshapen or of a foreign type is named`() throws {
        let folder = ScratchFolder()
        let (checkpoint, _) = try make(folder)
        func error(_ tensor: String, rows: Int, columns: Int) -> String {
            var plan = WeightPlan()
            plan.append(.init(name: "x", form: .panels, sources: [.init(tensor, rows: rows)], columns: columns))
            do {
                _ = try WeightStore.load(checkpoint, plan: plan, weights: .f32, cache: nil, team: team)
                return ""
            } catch { return "\(error)" }
        }
        #expect(error("absent", rows: 1, columns: 1) == "model.safetensors: tensor absent: it is missing")
        #expect(error("q", rows: 5, columns: 70) == "model.safetensors: tensor q: shape [70, 5] was found, [5, 70] was expected")
        var text = SafetensorsText()
        text.append("x", type: "F8_E4M3", shape: [1, 1], bytes: [1])
        folder.write("model/model.safetensors", text.bytes)
        let foreign = try Checkpoint(directory: folder.path + "/model")
        var plan = WeightPlan()
        plan.append(.init(name: "x", form: .panels, sources: [.init("x", rows: 1)], columns: 1))
        #expect(
            throws: CheckpointError(
                file: "model.safetensors", tensor: "x", reason: "type F8_E4M3 was found; BF16, F16 or F32 was expected")
        ) { try WeightStore.load(foreign, plan: plan, weights: .f32, cache: nil, team: team) }
    }

    @Test func `image headers that are cut or damaged never trap and never pass`() throws {
        let key = WeightImageHeader.Key(source: Digest(of: "s"), plan: Self.plan.digest, weights: .bf16, layout: 1)
        let parts = Self.plan.operands.map { operand in
            let element = WeightBuilder.element(of: operand, in: .bf16)
            return (element: element, bytes: WeightBuilder.byteCount(operand, as: element))
        }
        let header = WeightImageHeader(placing: Self.plan, key: key, parts: parts)
        let encoded = header.encoded()
        let image = encoded + [UInt8](repeating: 0, count: header.imageBytes - encoded.count)
        #expect(try WeightImageHeader(parsing: image.rawSpan) == header)
        for count in 0..<encoded.count {
            #expect(throws: WeightImageError.self) { try WeightImageHeader(parsing: Array(image[..<count]).rawSpan) }
        }
        for bit in 0..<(encoded.count * 8) {
            var damaged = image
            damaged[bit / 8] ^= 1 << (bit % 8)
            #expect(throws: WeightImageError.self) { try WeightImageHeader(parsing: damaged.rawSpan) }
        }
        // Lies under a digest that fits them.
        var random = SeededGenerator(seed: 11)
        for _ in 0..<2000 {
            var lying = image
            for _ in 0..<2 {
                lying[Int.random(in: 8..<(encoded.count - 16), using: &random)] = UInt8.random(in: 0...255, using: &random)
            }
            let digest = Digest(of: Array(lying[..<(encoded.count - 16)]).rawSpan)
            lying.replaceSubrange(
                (encoded.count - 16)..<encoded.count, with: SafetensorsText.bytes(digest.low) + SafetensorsText.bytes(digest.high)
            )
            guard let parsed = try? WeightImageHeader(parsing: lying.rawSpan) else { continue }
            for entry in parsed.entries { #expect(entry.range.upperBound <= lying.count && entry.range.lowerBound % 4096 == 0) }
        }
    }

    @Test func `the cache folder is the first that the environment names`() {
        func standard(_ variables: [String: String]) -> String? { CacheFolder.standard { variables[$0] }?.path }
        #expect(standard(["FERRY_CACHE": "/a", "XDG_CACHE_HOME": "/b", "HOME": "/c"]) == "/a")
        #expect(standard(["XDG_CACHE_HOME": "/b", "HOME": "/c"]) == "/b/ferry")
        #expect(standard(["XDG_CACHE_HOME": "b", "HOME": "/c"]) == "/c/.cache/ferry")
        #expect(standard([:]) == nil)
    }

    @Test func `progress reaches the whole image`() throws {
        let folder = ScratchFolder()
        let (checkpoint, plan) = try make(folder)
        var seen: [WeightProgress] = []
        _ = try WeightStore.load(checkpoint, plan: plan, weights: .bf16, cache: nil, team: team) { seen.append($0) }
        #expect(
            seen.count == 3 && seen.map(\.doneBytes) == seen.map(\.doneBytes).sorted() && seen[2].doneBytes <= seen[2].totalBytes)
    }
}
