package import Kernels
internal import Platform
internal import Synchronization

extension WeightStore {
    /// The weights of `checkpoint` for `plan`: its own files where these are packed in the order of the kernels and `form` is enec; else an
    /// image, which is made first where the cache has no sound one.
    ///
    /// Without a folder, or where it cannot be written, the image lives in this process's memory and a warning says so.
    /// Several processes may do this at once: each places a whole file, the last one stays.
    package static func load(
        _ checkpoint: Checkpoint, plan: WeightPlan, weights form: WeightForm, cache folder: CacheFolder?, team: ThreadTeam,
        progress: (WeightProgress) -> Void = { _ in }
    ) throws(CheckpointError) -> (store: WeightStore, origin: Origin) {
        let builder = WeightBuilder(checkpoint: checkpoint, plan: plan, form: form)
        try builder.check()
        let key = WeightImageHeader.Key(
            source: SourceDigest(of: checkpoint, rememberedIn: folder).value, plan: plan.digest, weights: form, layout: layoutVersion)
        let rounded = builder.rounded.map { "\($0.count) \($0.type) tensors were rounded to \(form)" }
        if let store = try mapped(builder, key, team: team, progress: progress) {
            return (store, Origin(source: .packed(directory: checkpoint.directory), warnings: [], rounded: rounded))
        }
        var warnings: [String] = []
        if let folder {
            let path = path(of: key, in: folder)
            if FileStamp.isReadable(path) {
                do {
                    let store = try WeightStore(verifying: MappedFile(path: path), for: plan, key, team: team)
                    return (store, Origin(source: .cache(path: path), warnings: [], rounded: rounded))
                } catch {
                    warnings.append("\(path) is made anew: \(error)")
                }
            }
            do {
                try Folder.create(Folder.parent(of: path))
                FileDraft.removeAbandoned(beside: path)
                let layout = try builder.layout(key, team: team)
                var draft = try FileDraft(path: path, bytes: layout.header.imageBytes)
                try builder.fill(&draft, layout, team: team, progress: progress)
                try draft.commit()
                let store = try WeightStore(verifying: MappedFile(path: path), for: plan, key, team: team)
                return (store, Origin(source: .built(path: path), warnings: warnings, rounded: rounded))
            } catch let error as CheckpointError {
                throw error
            } catch {
                warnings.append("the weights are kept in this process's memory only: \(error)")
            }
        } else {
            warnings.append("the weights are kept in this process's memory only: no cache folder is set")
        }
        let store = try inMemory(builder, key, team: team, progress: progress)
        return (store, Origin(source: .memory, warnings: warnings, rounded: rounded))
    }

    /// An image in this process's memory.
    static func inMemory(
        _ builder: WeightBuilder, _ key: WeightImageHeader.Key, team: ThreadTeam, progress: (WeightProgress) -> Void
    ) throws(CheckpointError) -> WeightStore {
        let layout = try builder.layout(key, team: team)
        let purpose = "the weights of \(builder.checkpoint.directory)"
        var draft: FileDraft
        do throws(FileError) {
            draft = try FileDraft(inMemoryFor: purpose, bytes: layout.header.imageBytes)
        } catch {
            throw CheckpointError(error)
        }
        try builder.fill(&draft, layout, team: team, progress: progress)
        return store(of: draft.map(), builder.plan, key, team: team)
    }

    /// An image that was just made.
    static func store(of file: MappedFile, _ plan: WeightPlan, _ key: WeightImageHeader.Key, team: ThreadTeam) -> WeightStore {
        do throws(WeightImageError) {
            return try WeightStore(verifying: file, for: plan, key, team: team)
        } catch {
            preconditionFailure("an image just made in memory is refused: \(error)")
        }
    }

    /// The cache file for `key`. Images of other layouts and plans have other names and stay.
    package static func path(of key: WeightImageHeader.Key, in folder: CacheFolder) -> String {
        let plan = String(key.plan.description.prefix(8))
        return "\(folder.path)/weights/\(key.source)-\(plan)-\(key.weights)-\(WeightImageHeader.formatVersion).\(key.layout).weights"
    }

    /// Takes an image whose header and parts have been checked against `plan`, `key` and their digests; refuses anything else.
    init(verifying file: MappedFile, for plan: WeightPlan, _ key: WeightImageHeader.Key, team: ThreadTeam) throws(WeightImageError) {
        let header = try WeightImageHeader(parsing: file.bytes)
        guard header.key == key else { throw .stale("its key differs") }
        guard header.holds(plan) else { throw .stale("its parts differ") }
        file.adviseWillNeed()
        let damaged = Mutex<String?>(nil)
        team.run(chunks: header.entries.count) { index in
            let entry = header.entries[index]
            if Digest(of: file.bytes.extracting(entry.range)) != entry.digest { damaged.withLock { $0 = entry.name } }
        }
        if let part = damaged.withLock({ $0 }) { throw .damaged(part: part) }
        var parts: [String: Part] = [:]
        for entry in header.entries {
            var part = Part(
                file: file, range: entry.range, form: entry.form, element: entry.element, rows: entry.rows, columns: entry.columns)
            if entry.element == .enec {
                let blob = file.bytes.extracting(entry.range)
                guard let offsets = PanelOffsets(frontOf: blob, rows: entry.rows),
                    team.checkPanels(blob, at: offsets, rows: entry.rows, columns: entry.columns)
                else { throw .malformed("\(entry.name) is not made of panels") }
                part.offsets = offsets
            }
            parts[entry.name] = part
        }
        self.init(key, parts: parts)
    }
}
