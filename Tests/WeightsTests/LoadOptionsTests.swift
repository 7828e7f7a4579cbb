import Kernels
import Platform
import TestSupport
import Testing

@testable import Weights

@Suite struct LoadOptionsTests {
    private let model: PackedModel
    private var cache: CacheFolder { CacheFolder(path: model.folder.path + "/cache") }

    init() throws {
        model = try PackedModel()
        model.writeSingle()
        _ = try model.pack(.storage)
    }

    private static var plan: WeightPlan {
        var plan = WeightPlan()
        plan.append(.init(name: "panels", form: .panels, sources: [.init("linear", rows: 96)], columns: 80))
        plan.append(.init(name: "table", form: .table, sources: [.init("half", rows: 33)], columns: 67))
        plan.append(.init(name: "norm", form: .vector, sources: [.init("norm", rows: 65)], columns: 1))
        return plan
    }

    private func load(
        _ options: LoadOptions, _ name: String = "packed", weights form: WeightForm = .bf16, progress: (WeightProgress) -> Void = { _ in }
    ) throws -> (store: WeightStore, origin: WeightStore.Origin) {
        try WeightStore.load(
            try model.checkpoint(name), plan: Self.plan, weights: form, cache: cache, team: model.team, options: options, progress: progress)
    }

    private func bytes(_ store: WeightStore) -> [UInt8] {
        guard case .rows(let rows) = store.table("table") else { preconditionFailure("no rows") }
        return store.panels("panels").withBytes { ToyCodec.bytes($0) } + rows.withBytes { ToyCodec.bytes($0) }
    }

    @Test func `in memory nothing is cached, and the numbers are those of the image`() throws {
        let (store, origin) = try load(LoadOptions(mode: .memory))
        #expect(origin.source == .memory(path: nil) && origin.warnings.isEmpty)
        #expect(model.folder.names(in: "cache/weights") == [])
        let (image, _) = try load(LoadOptions(mode: .image))
        #expect(bytes(store) == bytes(image) && store.fingerprint == image.fingerprint && store.vector("norm") == image.vector("norm"))
    }

    @Test(arguments: [WeightForm.bf16, .f32, .int8, .enec])
    func `others map what was made in memory to be shared, while it is held`(form: WeightForm) throws {
        var maker: WeightStore?
        let path: String
        do {
            let (store, origin) = try load(LoadOptions(mode: .memory, isShared: true), weights: form)
            guard case .memory(let shared?) = origin.source else { throw CheckpointError(file: "", reason: "\(origin.source)") }
            (maker, path) = (store, shared)
        }
        let (taker, origin) = try load(LoadOptions(image: path), weights: form)
        #expect(origin.source == .shared(path: path))
        #expect(taker.vector("norm") == maker?.vector("norm") && taker.fingerprint == maker?.fingerprint)
        // Weights of another form, or of another model, are not what was asked for.
        let other: WeightForm = form == .f32 ? .bf16 : .f32
        #expect((#expect(throws: CheckpointError.self) { try load(LoadOptions(image: path), weights: other) })?.file == path)
        maker = nil
        #expect((#expect(throws: CheckpointError.self) { try load(LoadOptions(image: path), weights: form) })?.file == path)
    }

    @Test func `an image that was handed over damaged is refused, never made anew`() throws {
        let (_, origin) = try load(LoadOptions(mode: .image))
        guard case .built(let path) = origin.source else { throw CheckpointError(file: "", reason: "\(origin.source)") }
        let name = "cache/weights/" + model.folder.names(in: "cache/weights")[0]
        var image = try model.folder.read(name)
        image[try WeightImageHeader(parsing: image.rawSpan).entries[0].range.lowerBound] ^= 1
        model.folder.write(name, image)
        let error = #expect(throws: CheckpointError.self) { try load(LoadOptions(image: path)) }
        #expect(error?.reason.contains("the digest of panels differs") == true)
        #expect(try model.folder.read(name) == image)
    }

    @Test func `the choice follows the speeds, and says so`() throws {
        let slow = LoadOptions(mode: .automatic, speeds: LoadSpeeds(packedDisk: 1e12, imageDisk: 1e3, decoding: 1e12))
        let fast = LoadOptions(mode: .automatic, speeds: LoadSpeeds(packedDisk: 1e12, imageDisk: 1e12, decoding: 1e3))
        let first = try load(slow).origin
        #expect(first.source == .memory(path: nil) && first.notes.count == 1 && first.notes[0].hasPrefix("decoding"))
        #expect(model.folder.names(in: "cache/weights") == [])
        let second = try load(fast).origin
        guard case .built(let path) = second.source else { throw CheckpointError(file: "", reason: "\(second.source)") }
        #expect(second.notes.count == 1 && second.notes[0].hasPrefix("making an image"))
        // It was just written: its pages are in memory.
        let third = try load(slow).origin
        #expect(third.source == .cache(path: path) && third.notes.isEmpty)
        // Plain models have nothing to choose.
        #expect(try load(slow, "plain").origin.source == .cache(path: path))
    }

    @Test func `speeds that are not given are measured`() throws {
        let origin = try load(LoadOptions(mode: .automatic)).origin
        #expect(origin.notes.count == 1, "\(origin)")
        // The sample is too small for a speed: the image it is.
        guard case .built = origin.source else { throw CheckpointError(file: "", reason: "\(origin.source)") }
    }

    @Test func `progress names what is done, and only grows`() throws {
        var seen: [WeightProgress] = []
        _ = try load(LoadOptions(mode: .memory), weights: .enec) { seen.append($0) }
        #expect(seen.allSatisfy { $0.stage == .decoding } && seen.map(\.share) == seen.map(\.share).sorted() && seen.last?.share == 1)
        #expect(seen.last!.readBytes > 0 && seen.map(\.readBytes) == seen.map(\.readBytes).sorted())
        seen = []
        _ = try load(LoadOptions(mode: .image), "plain") { seen.append($0) }
        #expect(seen.first?.stage == .repacking)
        seen = []
        _ = try load(LoadOptions(mode: .image)) { seen.append($0) }
        #expect(seen.count == 3 && seen.allSatisfy { $0.stage == .reading } && seen.map(\.share) == seen.map(\.share).sorted())
        #expect(seen.last?.share == 1)
    }

    @Test(arguments: [WeightForm.bf16, .enec])
    func `where others are served from memory, an image is written beside it, and the next start finds it`(form: WeightForm) throws {
        let shared = LoadOptions(mode: .automatic, isShared: true)
        let (store, origin) = try load(shared, weights: form)
        guard case .memory(_?) = origin.source, let later = origin.later else { throw CheckpointError(file: "", reason: "\(origin.source)") }
        #expect(origin.notes.count == 1 && origin.notes[0].hasPrefix("decoding the packed weights into memory"))
        #expect(model.folder.names(in: "cache/weights") == [])
        try later.write()
        let (image, found) = try load(shared, weights: form)
        #expect(found.source == .cache(path: later.path) && found.later == nil && found.warnings.isEmpty)
        #expect(image.vector("norm") == store.vector("norm") && image.fingerprint == store.fingerprint)
        if form == .bf16 { #expect(bytes(image) == bytes(store)) }
        // Who wants nothing cached gets nothing cached, and a plain model has nothing to decode.
        #expect(try load(LoadOptions(mode: .memory, isShared: true), weights: form).origin.later == nil)
        #expect(try load(shared, "plain", weights: form).origin.later == nil)
    }

    @Test func `a damaged tensor is named whichever way it would have been taken`() throws {
        var damaged = try model.folder.read("packed/model.safetensors")
        damaged[try #require(try model.checkpoint().tensor("linear")).entry.range.lowerBound + 300] ^= 1
        model.folder.write("packed/model.safetensors", damaged)
        for mode in LoadOptions.Mode.allCases {
            for isShared in [false, true] {
                let error = #expect(throws: CheckpointError.self) { try load(LoadOptions(mode: mode, isShared: isShared)) }
                #expect(error?.tensor == "linear" && error?.file == "model.safetensors", "\(mode)")
            }
        }
        #expect(model.folder.names(in: "cache/weights") == [])
    }
}
