package import Kernels
internal import Platform

extension WeightStore {
    /// The weights of `checkpoint` for `plan`: its own files where these are packed in the order of the kernels and `form` is enec; else an
    /// image in the cache, which is made first where there is no sound one, or one in memory, as the options ask for.
    ///
    /// Without a folder, or where it cannot be written, the image lives in memory and a warning says so.
    /// Several processes may do this at once: each places a whole file, the last one stays.
    package static func load(
        _ checkpoint: Checkpoint, plan: WeightPlan, weights form: WeightForm, cache folder: CacheFolder?, team: ThreadTeam,
        options: LoadOptions = LoadOptions(), progress: (WeightProgress) -> Void = { _ in }
    ) throws(CheckpointError) -> (store: WeightStore, origin: Origin) {
        let builder = WeightBuilder(checkpoint: checkpoint, plan: plan, form: form)
        try builder.check()
        let key = WeightImageHeader.Key(
            source: SourceDigest(of: checkpoint, rememberedIn: folder).value, plan: plan.digest, weights: form, layout: layoutVersion)
        let rounded = builder.rounded.map { "\($0.count) \($0.type) tensors were rounded to \(form)" }
        if let path = options.image {
            return (try given(path, plan, key, team: team, progress: progress), Origin(source: .shared(path: path), rounded: rounded))
        }
        if let store = try mapped(builder, key, team: team, progress: progress) {
            return (store, Origin(source: .packed(directory: checkpoint.directory), rounded: rounded))
        }
        let choice = try choice(builder, key, in: folder, options, team: team)
        var origin = Origin(source: .memory(path: nil), rounded: rounded)
        if let choice { origin.notes.append(choice.sentence) }
        let inMemory = choice.map { $0.way == .memory } ?? (options.mode == .memory)
        if !inMemory, let folder {
            if let store = try cached(builder, key, in: folder, &origin, team: team, progress: progress) { return (store, origin) }
        } else if !inMemory {
            origin.warnings.append("the weights are kept in memory only: no cache folder is set")
        }
        let (store, file) = try self.inMemory(builder, key, isShared: options.isShared, team: team, progress: progress)
        origin.source = .memory(path: options.isShared ? file.path : nil)
        if choice?.keepsImage == true, let folder { origin.later = LaterImage(file: file, path: path(of: key, in: folder)) }
        return (store, origin)
    }

    /// What a packed model's weights come from where the options leave that open; nil where there is nothing to choose.
    private static func choice(
        _ builder: WeightBuilder, _ key: WeightImageHeader.Key, in folder: CacheFolder?, _ options: LoadOptions, team: ThreadTeam
    ) throws(CheckpointError) -> LoadChoice? {
        guard options.mode == .automatic, builder.checkpoint.isPacked, let folder else { return nil }
        let path = path(of: key, in: folder)
        if options.isShared, !FileStamp.isReadable(path) { return LoadChoice(keepingImageOf: builder.expectedBytes) }
        return try LoadSurvey(builder, image: path, cache: folder, team: team).choice(options.speeds)
    }

    /// The image in the cache, made first where there is no sound one. Nil, and a warning, where it cannot be written.
    private static func cached(
        _ builder: WeightBuilder, _ key: WeightImageHeader.Key, in folder: CacheFolder, _ origin: inout Origin, team: ThreadTeam,
        progress: (WeightProgress) -> Void
    ) throws(CheckpointError) -> WeightStore? {
        let path = path(of: key, in: folder)
        if FileStamp.isReadable(path) {
            do {
                let store = try WeightStore(verifying: MappedFile(path: path), for: builder.plan, key, team: team, progress: progress)
                origin.source = .cache(path: path)
                return store
            } catch {
                origin.warnings.append("\(path) is made anew: \(error)")
            }
        }
        do {
            try Folder.create(Folder.parent(of: path))
            FileDraft.removeAbandoned(beside: path)
            let layout = try builder.layout(key, team: team, progress: progress)
            var draft = try FileDraft(path: path, bytes: layout.header.imageBytes)
            try builder.fill(&draft, layout, team: team, progress: progress)
            try draft.commit()
            let store = try WeightStore(verifying: MappedFile(path: path), for: builder.plan, key, team: team)
            origin.source = .built(path: path)
            return store
        } catch let error as CheckpointError {
            throw error
        } catch {
            origin.warnings.append("the weights are kept in memory only: \(error)")
            return nil
        }
    }

    /// An image that another process made in memory. There is no other place to look.
    private static func given(
        _ path: String, _ plan: WeightPlan, _ key: WeightImageHeader.Key, team: ThreadTeam, progress: (WeightProgress) -> Void
    ) throws(CheckpointError) -> WeightStore {
        let file: MappedFile
        do throws(FileError) { file = try MappedFile(path: path) } catch { throw CheckpointError(error) }
        do throws(WeightImageError) {
            return try WeightStore(verifying: file, for: plan, key, team: team, progress: progress)
        } catch {
            throw CheckpointError(file: path, reason: "\(error)")
        }
    }

    /// An image in memory: this process's only, or under the path of the returned file for others too while the store lives.
    static func inMemory(
        _ builder: WeightBuilder, _ key: WeightImageHeader.Key, isShared: Bool = false, team: ThreadTeam, progress: (WeightProgress) -> Void
    ) throws(CheckpointError) -> (store: WeightStore, file: MappedFile) {
        let layout = try builder.layout(key, team: team, progress: progress)
        let purpose = "the weights of \(builder.checkpoint.directory)"
        let bytes = layout.header.imageBytes
        let file: MappedFile
        do {
            var draft = try isShared ? FileDraft(sharedFor: purpose, bytes: bytes) : FileDraft(inMemoryFor: purpose, bytes: bytes)
            try builder.fill(&draft, layout, digesting: isShared, team: team, progress: progress)
            if isShared { file = try draft.share() } else { file = draft.map() }
        } catch let error as CheckpointError {
            throw error
        } catch let error as FileError {
            throw CheckpointError(error)
        } catch {
            preconditionFailure("\(error)")
        }
        return (store(of: file, builder.plan, key), file)
    }

    /// An image that was just made in memory: its digests need no check, nor do its panels.
    static func store(of file: MappedFile, _ plan: WeightPlan, _ key: WeightImageHeader.Key) -> WeightStore {
        do throws(WeightImageError) {
            return try WeightStore(file, header(of: file, for: plan, key), key) { _, _ in true }
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
    init(
        verifying file: MappedFile, for plan: WeightPlan, _ key: WeightImageHeader.Key, team: ThreadTeam,
        progress: (WeightProgress) -> Void = { _ in }
    ) throws(WeightImageError) {
        let header = try Self.header(of: file, for: plan, key)
        let ahead = ReadAhead(ReadAheadPlan(header.entries.map { [.init(file: 0, range: $0.range)] }), of: [file])
        for (step, entry) in header.entries.enumerated() {
            ahead.begin(step)
            guard team.digest(ofPiecesOf: file.bytes.extracting(entry.range)) == entry.digest else { throw .damaged(part: entry.name) }
            let end = step == header.entries.count - 1 ? header.imageBytes : entry.range.upperBound
            progress(WeightProgress(stage: .reading, doneBytes: end, totalBytes: header.imageBytes, readBytes: end))
        }
        try self.init(file, header, key) { entry, offsets in
            team.checkPanels(file.bytes.extracting(entry.range), at: offsets, rows: entry.rows, columns: entry.columns)
        }
    }

    private static func header(
        of file: MappedFile, for plan: WeightPlan, _ key: WeightImageHeader.Key
    ) throws(WeightImageError) -> WeightImageHeader {
        let header = try WeightImageHeader(parsing: file.bytes)
        guard header.key == key else { throw .stale("its key differs") }
        guard header.holds(plan) else { throw .stale("its parts differ") }
        return header
    }

    /// - Parameter isSound: whether the panels of an entry are what the kernels may read.
    private init(
        _ file: MappedFile, _ header: WeightImageHeader, _ key: WeightImageHeader.Key, isSound: (WeightImageHeader.Entry, PanelOffsets) -> Bool
    ) throws(WeightImageError) {
        var parts: [String: Part] = [:]
        for entry in header.entries {
            var part = Part(
                file: file, range: entry.range, form: entry.form, element: entry.element, rows: entry.rows, columns: entry.columns)
            if entry.element == .enec {
                guard let offsets = PanelOffsets(frontOf: file.bytes.extracting(entry.range), rows: entry.rows), isSound(entry, offsets) else {
                    throw .malformed("\(entry.name) is not made of panels")
                }
                part.offsets = offsets
            }
            parts[entry.name] = part
        }
        self.init(key, parts: parts)
    }
}
