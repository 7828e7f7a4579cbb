package import Kernels
package import Platform
internal import Synchronization

/// The weights of a model as the kernels read them: one image, mapped read-only and shared by all processes that use the
/// same cache file.
package struct WeightStore: Sendable {
    package let header: WeightImageHeader
    private let file: MappedFile
    private let positions: [String: Int]

    /// Raised whenever the kernels arrange the elements of a panel differently: older images are then made anew.
    package static let layoutVersion: UInt32 = 1

    /// Where weights came from, and what the operator should know about it.
    package struct Origin: Sendable, Equatable {
        package enum Source: Sendable, Equatable {
            /// Made by an earlier start.
            case cache(path: String)
            /// Made now.
            case built(path: String)
            /// Made now, in memory of this process only.
            case memory
        }

        package var source: Source
        /// Sentences for the log.
        package var warnings: [String]
        /// Tensors that lost precision, by stored type.
        package var rounded: [String]
    }

    /// Opens the image of `checkpoint` for `plan`, and makes it first where the cache has no sound one.
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
        let layout = WeightImageHeader(placing: plan, key: key) { WeightBuilder.byteCount($0, form: form) }
        var warnings: [String] = []
        let rounded = builder.rounded.map { "\($0.count) \($0.type) tensors were rounded to \(form)" }

        if let folder {
            let path = path(of: key, in: folder)
            if FileStamp.isReadable(path) {
                do {
                    let store = try WeightStore(verifying: MappedFile(path: path), expecting: layout, team: team)
                    return (store, Origin(source: .cache(path: path), warnings: [], rounded: rounded))
                } catch {
                    warnings.append("\(path) is made anew: \(error)")
                }
            }
            do {
                try Folder.create(Folder.parent(of: path))
                FileDraft.removeAbandoned(beside: path)
                var draft = try FileDraft(path: path, bytes: layout.imageBytes)
                try builder.fill(&draft, header: layout, team: team, progress: progress)
                try draft.commit()
                let store = try WeightStore(verifying: MappedFile(path: path), expecting: layout, team: team)
                return (store, Origin(source: .built(path: path), warnings: warnings, rounded: rounded))
            } catch let error as CheckpointError {
                throw error
            } catch {
                warnings.append("the weights are kept in this process's memory only: \(error)")
            }
        } else {
            warnings.append("the weights are kept in this process's memory only: no cache folder is set")
        }
        do {
            var draft = try FileDraft(inMemoryFor: "the weights of \(checkpoint.directory)", bytes: layout.imageBytes)
            try builder.fill(&draft, header: layout, team: team, progress: progress)
            let store = try WeightStore(verifying: draft.map(), expecting: layout, team: team)
            return (store, Origin(source: .memory, warnings: warnings, rounded: rounded))
        } catch let error as FileError {
            throw CheckpointError(error)
        } catch let error as CheckpointError {
            throw error
        } catch {
            preconditionFailure("an image just made in memory is refused: \(error)")
        }
    }

    /// The cache file for `key`. Images of other layouts and plans have other names and stay.
    package static func path(of key: WeightImageHeader.Key, in folder: CacheFolder) -> String {
        let plan = String(key.plan.description.prefix(8))
        return "\(folder.path)/weights/\(key.source)-\(plan)-\(key.weights)-\(WeightImageHeader.formatVersion).\(key.layout).weights"
    }

    /// Takes an image whose header and parts have been checked against `layout` and their digests; refuses anything else.
    init(verifying file: MappedFile, expecting layout: WeightImageHeader, team: ThreadTeam) throws(WeightImageError) {
        let header = try WeightImageHeader(parsing: file.bytes)
        guard header.key == layout.key else { throw .stale("its key differs") }
        guard header.hasSameParts(as: layout) else { throw .stale("its parts differ") }
        file.adviseWillNeed()
        let damaged = Mutex<String?>(nil)
        team.run(chunks: header.entries.count) { index in
            let entry = header.entries[index]
            if Digest(of: file.bytes.extracting(entry.range)) != entry.digest { damaged.withLock { $0 = entry.name } }
        }
        if let part = damaged.withLock({ $0 }) { throw .damaged(part: part) }
        self.header = header
        self.file = file
        var positions: [String: Int] = [:]
        for (position, entry) in header.entries.enumerated() { positions[entry.name] = position }
        self.positions = positions
    }

    package var form: WeightForm { header.key.weights }

    /// Names the numbers that this store computes with: equal wherever the same weights were loaded the same way.
    package var fingerprint: Digest { Digest(of: "\(header.key.source) \(header.key.plan) \(header.key.weights)") }

    package func panels(_ name: String) -> PanelMatrix {
        let entry = entry(name, .panels)
        return PanelMatrix(
            file: file, offset: entry.range.lowerBound, rows: entry.rows, columns: entry.columns, form: entry.element)
    }

    package func vector(_ name: String) -> [Float] {
        let entry = entry(name, .vector)
        var values = [Float](repeating: 0, count: entry.rows * entry.columns)
        var span = values.mutableSpan
        InstructionSet.scalar.convert(file.bytes.extracting(entry.range), as: .f32, to: &span)
        return values
    }

    package func table(_ name: String) -> WeightTable {
        let entry = entry(name, .table)
        return WeightTable(file: file, range: entry.range, rows: entry.rows, columns: entry.columns, type: entry.element.elementType)
    }

    private func entry(_ name: String, _ form: WeightPlan.Form) -> WeightImageHeader.Entry {
        guard let position = positions[name], header.entries[position].form == form else {
            preconditionFailure("no \(form) \(name) among the planned weights")
        }
        return header.entries[position]
    }
}

/// Rows for look-up, inside a mapped image.
package struct WeightTable: Sendable {
    private let file: MappedFile
    private let range: Range<Int>
    package let rows: Int
    package let columns: Int
    package let type: ElementType

    init(file: MappedFile, range: Range<Int>, rows: Int, columns: Int, type: ElementType) {
        self.file = file
        self.range = range
        self.rows = rows
        self.columns = columns
        self.type = type
    }

    /// Row after row of `columns` numbers.
    package func withBytes<Result>(_ body: (RawSpan) -> Result) -> Result { body(file.bytes.extracting(range)) }
}
