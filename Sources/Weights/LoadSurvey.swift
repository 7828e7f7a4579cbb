internal import Kernels
internal import Platform

/// Looks at what a choice of the way into memory depends on: which bytes are there already, how fast the disks and the decoding are.
struct LoadSurvey {
    private let builder: WeightBuilder
    private let image: MappedFile?
    private let imagePath: String
    private let cache: CacheFolder
    private let team: ThreadTeam
    private let clock = SystemClock()

    /// Decoded bytes of the tensors that are decoded to measure.
    private static let sampleBytes = 32 << 20

    init(_ builder: WeightBuilder, image path: String, cache: CacheFolder, team: ThreadTeam) {
        self.builder = builder
        imagePath = path
        image = FileStamp.isReadable(path) ? try? MappedFile(path: path) : nil
        self.cache = cache
        self.team = team
    }

    /// - Parameter speeds: nil: they are measured.
    /// - Throws: when a tensor that is decoded for it is damaged.
    /// - Returns: nil where nothing needs to be weighed: an image that is in memory costs nothing.
    func choice(_ speeds: LoadSpeeds?) throws(CheckpointError) -> LoadChoice? {
        let image = image.map { LoadChoice.Size(bytes: $0.count, cold: $0.coldBytes) }
        if let image, image.cold == 0 { return nil }
        let speeds = if let speeds { speeds } else { try measure() }
        var packed = LoadChoice.Size(bytes: 0, cold: 0)
        for source in builder.plan.operands.flatMap(\.sources) {
            guard let (file, entry) = builder.checkpoint.tensor(source.tensor) else { continue }
            packed.bytes += entry.range.count
            packed.cold += file.mapping.coldBytes(entry.range)
        }
        return LoadChoice(
            packed: packed, decoded: builder.plan.operands.reduce(0) { $0 + $1.rows * $1.columns * 2 }, image: image,
            newImage: builder.expectedBytes, speeds: speeds)
    }

    private func measure() throws(CheckpointError) -> LoadSpeeds {
        let file = builder.checkpoint.files.max { $0.mapping.count < $1.mapping.count }!
        let device = file.stamp.device
        let now = WallClock.nanoseconds
        let packedDisk = DiskSpeed.of(file.mapping, on: device, rememberedIn: cache, clock: clock, now: now)
        var imageDisk = packedDisk
        if let image, let stamp = try? FileStamp(ofFileAt: imagePath), stamp.device != device {
            imageDisk = DiskSpeed.of(image, on: stamp.device, rememberedIn: cache, clock: clock, now: now)
        }
        return LoadSpeeds(packedDisk: packedDisk, imageDisk: imageDisk, decoding: try decodingSpeed())
    }

    /// Of the first operands, made in memory as all would be.
    private func decodingSpeed() throws(CheckpointError) -> Double {
        var (plan, bytes) = (WeightPlan(), 0)
        for operand in builder.plan.operands where operand.form == .panels && bytes < Self.sampleBytes {
            plan.append(operand)
            bytes += operand.rows * operand.columns * 2
            for source in operand.sources {
                guard let (file, entry) = builder.checkpoint.tensor(source.tensor) else { continue }
                file.mapping.adviseWillNeed(entry.range)
                file.mapping.touch(entry.range)
            }
        }
        guard bytes > 0 else { return 0 }
        let sample = WeightBuilder(checkpoint: builder.checkpoint, plan: plan, form: builder.form)
        let start = clock.now
        let layout = try sample.layout(.init(source: plan.digest, plan: plan.digest, weights: builder.form, layout: 0), team: team)
        do {
            var draft = try FileDraft(inMemoryFor: "a sample of the weights", bytes: layout.header.imageBytes)
            try sample.fill(&draft, layout, team: team, progress: { _ in })
        } catch let error as FileError {
            throw CheckpointError(error)
        } catch let error as CheckpointError {
            throw error
        } catch {
            preconditionFailure("\(error)")
        }
        return Double(bytes) / max(1e-9, clock.now.since(start).inSeconds)
    }
}
