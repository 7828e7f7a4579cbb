internal import Engine
internal import Foundation
internal import Gateway
internal import Inference
internal import KVCodec
internal import Kernels
internal import Model
internal import Platform
internal import Scheduling
internal import Transfer
internal import Weights
internal import Wire

/// A model loaded into this process, with the worker that computes with it.
struct LocalWorker {
    let worker: Worker
    let hello: WorkerHello
    let defaults: GenerationDefaults
    /// Where its pages are read and written for other workers.
    let station: KeyValueStation
    /// Of everything that must be equal for the bytes of KV to mean the same.
    let keyValueFingerprint: UInt64
    let pageBytes: Int
    /// Sentences for the log that an operator should look into: a damaged cache, weights that could not be kept.
    let warnings: [String]
    /// Sentences for the log: what was rounded, what runs with what.
    let notes: [String]

    /// Loads the model that the settings name and takes all memory it will need.
    ///
    /// - Parameters:
    ///   - name: the worker's.
    ///   - channel: where its commands come from.
    ///   - port: its way to other workers; nil where it has none.
    ///   - share: how many workers live off this machine's memory.
    ///   - image: weights that another process of this machine has in memory; nil: they are loaded as the settings say.
    ///   - progress: told how far the weights are.
    static func load(
        _ settings: Settings, name: String = "local-0", channel: any GatewayChannel, port: (any TransferPort)? = nil, share: Int = 1,
        image: String? = nil, progress: (WeightProgress) -> Void
    ) throws -> LocalWorker {
        let directory = try modelDirectory(settings)
        let team = try threadTeam(threads: settings.integer("engine.threads"))
        let form = weightForm(settings, directory: directory, on: team.instructionSet)
        let (weights, origin) = try DecoderModel.loadWeights(
            directory: directory, weights: form, cache: cache(settings), team: team, options: LoadOptions(mode: loadMode(settings), image: image),
            progress: progress)
        let shape = weights.configuration.shape
        let pageBytes = weights.keyValueGeometry.pageBytes
        let pages = try self.pages(settings, pageBytes: pageBytes, context: shape.context, share: share)
        let sequenceLimit = min(shape.context, pages * Page.tokens)
        let stepTokens = settings.integer("engine.step_tokens")
        let running = settings.integer("engine.running_sequences")
        let modelLimits = DecoderModel.Limits(rows: stepTokens, logitRows: min(stepTokens, running), context: sequenceLimit)
        let memory = try KeyValueMemory(geometry: weights.keyValueGeometry, pages: pages)
        let (threads, instructionSet) = (team.threads, team.instructionSet)
        // Of enec and bf16 the same: both compute the same bits.
        let dtype = form.operandForm.name
        let fingerprint = "\(weights.fingerprint)-\(dtype)-\(team.instructionSet.name)"
        let keyValueFingerprint = Digest(of: "\(fingerprint) \(weights.keyValueGeometry) \(Page.tokens)").low
        let (calibration, calibrationWarnings) = calibration(directory, weights)
        let coding = KeyValueCoding(
            geometry: weights.keyValueGeometry, calibration: calibration, threads: settings.integer("kv.codec_threads"), on: instructionSet)
        let station = KeyValueStation(memory: memory, coding: coding, fingerprint: keyValueFingerprint, vocabulary: shape.vocabulary)
        let worker = try Worker(
            thread: WorkerThread(name: "engine"),
            limits: SchedulerLimits(
                stepTokens: stepTokens, runningSequences: running, waitingSequences: settings.integer("engine.waiting_sequences"),
                sequenceTokens: sequenceLimit),
            // The word at random keeps strangers from making prompts whose prefix names collide: the digest is not a cryptographic one.
            pages: pages, fingerprint: "\(fingerprint)-\(UInt64.random(in: .min ... .max))", channel: channel,
            peers: port.map { Peers(station: station, port: $0) }
        ) {
            let team = ThreadTeam(threads: threads, instructionSet: instructionSet)
            return try ModelRunner(model: DecoderModel(weights, limits: modelLimits, team: team), memory: memory)
        }
        let hello = WorkerHello(
            worker: name, modelName: modelName(settings, directory: directory), modelDigest: weights.fingerprint.description, shape: shape,
            sequenceLimit: sequenceLimit, pagesTotal: pages, instructionSet: team.instructionSet.name, dtype: dtype)
        var notes = origin.notes + origin.rounded
        notes.append("\(hello.modelName): \(pages) KV pages of \(pageBytes >> 10) KiB, \(team.threads) threads, \(hello.instructionSet), \(form) weights")
        return LocalWorker(
            worker: worker, hello: hello, defaults: try GenerationDefaults(directory: directory), station: station,
            keyValueFingerprint: keyValueFingerprint, pageBytes: pageBytes, warnings: origin.warnings + calibrationWarnings, notes: notes)
    }

    static func modelName(_ settings: Settings, directory: String) -> String {
        let name = settings.text("model.name")
        return name.isEmpty ? URL(fileURLWithPath: directory).lastPathComponent : name
    }

    /// What all workers of this machine will find.
    struct Prepared {
        let digest: String
        let dtype: String
        /// Where the weights came from, in one word.
        let source: String
        /// How a worker is to load them, as arguments.
        let arguments: [String]
        /// Held as long as workers may need what is in this process's memory.
        let weights: DecoderWeights
        /// What is to be written beside serving.
        let later: LaterImage?
        let warnings: [String]
        let notes: [String]
    }

    /// Does once for all workers of this machine what each would else do: checks what they are to be given, repacks or decodes the weights
    /// where that is still to be done.
    static func prepare(_ settings: Settings, share: Int, progress: (WeightProgress) -> Void) throws -> Prepared {
        let team = try threadTeam(threads: settings.integer("engine.threads"))
        // Before the weights, which may take minutes.
        let directory = try modelDirectory(settings)
        let form = weightForm(settings, directory: directory, on: team.instructionSet)
        let configuration = try ModelConfiguration(directory: directory)
        _ = try pages(
            settings, pageBytes: DecoderWeights.keyValueGeometry(configuration, form).pageBytes, context: configuration.shape.context,
            share: share)
        let (weights, origin) = try DecoderModel.loadWeights(
            directory: directory, weights: form, cache: cache(settings), team: team,
            options: LoadOptions(mode: loadMode(settings), isShared: true), progress: progress)
        try checkProfiles(settings, calibration(directory, weights).found)
        // What was decided here holds for all of them.
        let arguments = if case .memory(let path?) = origin.source { ["--image", path] } else { ["--set", "model.load=image"] }
        return Prepared(
            digest: weights.fingerprint.description, dtype: form.operandForm.name, source: origin.source.name, arguments: arguments, weights: weights,
            later: origin.later, warnings: origin.warnings, notes: origin.notes + origin.rounded)
    }

    /// What the model's folder has for profiles that ask for it. One that does not fit is left aside with a warning: it was made from other
    /// numbers, and what it would do to these nobody has measured.
    static func calibration(_ directory: String, _ weights: DecoderWeights) -> (found: KeyValueCalibration?, warnings: [String]) {
        let path = directory + "/" + CalibrationFile.name
        guard weights.keyValueGeometry.type == .bf16, FileStamp.isReadable(path) else { return (nil, []) }
        do {
            return (try CalibrationFile.read(path, geometry: weights.keyValueGeometry, fingerprint: weights.fingerprint), [])
        } catch {
            return (nil, ["no calibration for KV profiles: \(error)"])
        }
    }

    /// - Throws: `ConfigurationError` where a profile that may be used needs a calibration, or more of one than there is.
    private static func checkProfiles(_ settings: Settings, _ calibration: KeyValueCalibration?) throws {
        let profiles = try settings.transferProfiles()
        for (key, used) in [("kv.profile", [profiles.standard]), ("kv.allowed", profiles.allowed.values.sorted { $0.name < $1.name })] {
            for profile in used {
                do {
                    try KeyValueProfile(profile.name).check(calibration)
                } catch {
                    throw ConfigurationError("\(key): \(error); ferry codec --calibrate makes one")
                }
            }
        }
    }

    /// How `model.load` wants it.
    static func loadMode(_ settings: Settings) -> LoadOptions.Mode {
        LoadOptions.Mode(rawValue: settings.text("model.load")) ?? .automatic
    }

    /// `model.weights`; where that is "auto", `model.dtype`, or what the model is packed for if that computes the same in less time.
    private static func weightForm(_ settings: Settings, directory: String, on set: InstructionSet) -> WeightForm {
        if let form = WeightForm(named: settings.text("model.weights")) { return form }
        let form = WeightForm(named: settings.text("model.dtype")) ?? .bf16
        guard form == .bf16, set.isFasterWithEnec, let checkpoint = try? Checkpoint(directory: directory), checkpoint.isForComputing else {
            return form
        }
        return .enec
    }

    static func cache(_ settings: Settings) -> CacheFolder? {
        let folder = settings.path("model.cache")
        return folder.isEmpty ? CacheFolder.standard { Environment.variables[$0] } : CacheFolder(path: folder)
    }

    static func modelDirectory(_ settings: Settings) throws -> String {
        let path = settings.path("model.path")
        if path.isEmpty {
            guard let bundled = Environment.bundledModel else {
                throw ConfigurationError("model.path is not set and models/pilot was not found beside the program or in the working directory")
            }
            return bundled
        }
        guard FileManager.default.fileExists(atPath: path + "/config.json") else {
            throw ConfigurationError("model.path is \"\(path)\", a directory with config.json was expected")
        }
        return path
    }

    static func threadTeam(threads: Int) throws -> ThreadTeam {
        let set: InstructionSet
        do { set = try InstructionSet.selected() } catch { throw ConfigurationError("FERRY_ISA: \(error)") }
        return ThreadTeam(
            threads: threads > 0 ? threads : min(ThreadTeam.mostThreads, ProcessInfo.processInfo.activeProcessorCount), instructionSet: set)
    }

    /// How many pages the settings pay for; at least what one sequence of two pages needs.
    private static func pages(_ settings: Settings, pageBytes: Int, context: Int, share: Int) throws -> Int {
        let wanted = settings.bytes("engine.kv_memory")
        let perSequence = Page.count(forTokens: context)
        let memory = Int(clamping: ProcessInfo.processInfo.physicalMemory)
        if wanted == 0 { return max(2, min(32 * perSequence, memory / 4 / share / pageBytes)) }
        guard wanted <= memory else {
            throw ConfigurationError("engine.kv_memory is \(wanted) bytes, this machine has \(memory)")
        }
        guard wanted >= 2 * pageBytes else {
            throw ConfigurationError("engine.kv_memory is \(wanted) bytes, at least two pages of \(pageBytes) bytes were expected")
        }
        return min(wanted / pageBytes, Int(PageIndex.max))
    }
}
