package import Inference
package import Kernels
package import Platform
package import Weights

/// The forward pass of a decoder: rows of tokens in, rows of logits out, keys and values into pages.
///
/// Every row's result is the same whatever else is in the batch, however its prompt was cut into chunks, and on however many
/// threads. Owned by one thread at a time, as the team it computes with. All memory is taken at the start.
package final class DecoderModel {
    /// Bounds of one step. Beyond them a batch is a mistake of its maker and traps.
    package struct Limits: Sendable, Equatable {
        /// Tokens of all segments.
        package var rows: Int
        /// Rows of logits.
        package var logitRows: Int
        /// Positions; at most the model's own context.
        package var context: Int

        package init(rows: Int, logitRows: Int, context: Int) {
            self.rows = rows
            self.logitRows = logitRows
            self.context = context
        }
    }

    package let weights: DecoderWeights
    package let limits: Limits
    package let team: ThreadTeam
    /// Sees the queries, keys and values of a step's rows before their positions turn them: layer, matrix, rows. For calibration.
    package var projections: ((Int, borrowing FloatMatrix, Range<Int>) -> Void)?
    private let rotary: RotaryTable
    private var positions: [Int32]
    private var picked: [Int32] = []
    private var segments: [AttentionSegment] = []

    // Of `limits.rows` rows each.
    /// The residual stream.
    private var hidden: FloatMatrix
    private var normalized: OperandMatrix
    /// Query, key and value heads.
    private var projected: FloatMatrix
    private var attended: OperandMatrix
    /// The same for weights of bytes; of one row for others.
    private var attendedBytes: OperandMatrix
    private var gateAndUp: FloatMatrix
    private var activated: OperandMatrix
    /// Of `limits.logitRows` rows.
    private var headInput: OperandMatrix

    /// - Throws: `FileError` when the system refuses the memory.
    package init(_ weights: DecoderWeights, limits: Limits, team: ThreadTeam) throws(FileError) {
        precondition(limits.rows > 0 && limits.logitRows > 0 && limits.context > 0, "\(limits)")
        let shape = weights.configuration.shape
        precondition(limits.context <= shape.context, "a context of \(limits.context), the model's is \(shape.context)")
        self.weights = weights
        self.limits = limits
        self.team = team
        let frequencies = weights.configuration.rotary.frequencies(headDimension: shape.headDimension)
        rotary = try RotaryTable(positions: limits.context, half: shape.headDimension / 2) { position, pair in
            RotaryConfiguration.cosineAndSine(position: position, frequency: frequencies[pair])
        }
        let (rows, form, set) = (limits.rows, weights.form, team.instructionSet)
        let queryColumns = shape.heads * shape.headDimension
        hidden = try FloatMatrix(rows: rows, columns: shape.hidden)
        normalized = try OperandMatrix(rows: rows, columns: shape.hidden, form: form, instructionSet: set)
        projected = try FloatMatrix(rows: rows, columns: queryColumns + 2 * shape.keyValueHeads * shape.headDimension)
        attended = try OperandMatrix(rows: rows, columns: queryColumns, type: form.elementType, instructionSet: set)
        attendedBytes = try OperandMatrix(rows: form.isBytes ? rows : 1, columns: queryColumns, form: form, instructionSet: set)
        gateAndUp = try FloatMatrix(rows: rows, columns: 2 * shape.intermediate)
        activated = try OperandMatrix(rows: rows, columns: shape.intermediate, form: form, instructionSet: set)
        headInput = try OperandMatrix(rows: limits.logitRows, columns: shape.hidden, form: form, instructionSet: set)
        positions = []
        positions.reserveCapacity(rows)
    }

    package var shape: ModelShape { weights.configuration.shape }

    /// A matrix for the logits of `rows` rows.
    package func logitMatrix(rows: Int) throws(FileError) -> FloatMatrix {
        try FloatMatrix(rows: rows, columns: shape.vocabulary)
    }

    /// Computes `batch`: writes the keys and values of its tokens into the pages of `memory`, and the logits that it asks for
    /// into the first `batch.logitRows` rows of `logits`, in the order of its segments.
    ///
    /// Each page was zeroed before its first token; tokens before a segment's position are in its pages already.
    /// - Parameter layerDone: called for each layer as soon as the keys and values of its tokens are in place.
    package func forward(
        _ batch: Batch, memory: KeyValueMemory, into logits: inout FloatMatrix, layerDone: (Int) -> Void = { _ in }
    ) {
        take(batch)
        precondition(batch.logitRows <= logits.rows, "\(batch.logitRows) rows of logits into \(logits.rows)")
        precondition(memory.geometry == weights.keyValueGeometry, "pages of \(memory.geometry) for \(weights.keyValueGeometry)")
        embed(batch.tokens)
        let cut = AttentionCut(segments, heads: shape.heads, keyValueHeads: shape.keyValueHeads, threads: team.threads)
        let (rows, last) = (0..<batch.rows, weights.layers.count - 1)
        for (index, layer) in weights.layers.enumerated() {
            // What follows the last keys and values serves logits only.
            let isEnd = batch.logitRows == 0 && index == last
            project(layer, index: index, rows: rows)
            team.writeKeyValues(
                cut, all: isEnd, from: projected, keys: columns.keys, values: columns.values, layer: index, memory: memory)
            if isEnd || !cut.writesKeyValues { layerDone(index) }
            if isEnd { return }
            attend(cut, layer, index: index, rows: rows, memory: memory)
            if cut.writesKeyValues { layerDone(index) }
            feedForward(layer, rows: rows, ahead: index == last ? weights.head : weights.layers[index + 1].inputs)
        }
        let (picked, norm) = (picked, weights.finalNorm)
        team.normalize(
            hidden, picked: picked.span, weight: norm.span, epsilon: weights.configuration.normEpsilon, into: &headInput)
        team.multiply(headInput, rows: 0..<batch.logitRows, by: weights.head, into: &logits)
    }

    /// Checks the batch and lays out what the kernels want to know of it.
    private func take(_ batch: Batch) {
        precondition(batch.rows > 0 && batch.rows <= limits.rows, "a batch of \(batch.rows) rows, 1 to \(limits.rows) was agreed")
        precondition(
            batch.logitRows <= limits.logitRows, "\(batch.logitRows) rows of logits, at most \(limits.logitRows) was agreed")
        positions.removeAll(keepingCapacity: true)
        picked.removeAll(keepingCapacity: true)
        segments.removeAll(keepingCapacity: true)
        for segment in batch.segments {
            precondition(
                segment.position >= 0 && segment.position + segment.count <= limits.context,
                "\(segment.count) tokens at \(segment.position) of a context of \(limits.context)")
            for offset in 0..<segment.count { positions.append(Int32(segment.position + offset)) }
            for row in (segment.row + segment.count - segment.logitRows)..<(segment.row + segment.count) {
                picked.append(Int32(row))
            }
            segments.append(
                AttentionSegment(row: segment.row, count: segment.count, position: segment.position, pages: segment.pages))
        }
    }

    private func embed(_ tokens: [TokenID]) {
        switch weights.embedding {
        case .panels(let panels): team.embed(tokens.span, from: panels, into: &hidden)
        case .rows(let rows): rows.withBytes { team.embed(tokens.span, from: $0, as: rows.type == .bf16 ? .bf16 : .f32, into: &hidden) }
        }
    }

    /// Where key and value heads begin in a row of `projected`.
    private var columns: (keys: Int, values: Int) {
        let shape = weights.configuration.shape
        let keys = shape.heads * shape.headDimension
        return (keys, keys + shape.keyValueHeads * shape.headDimension)
    }

    /// Queries, keys and values, rotated.
    private func project(_ layer: DecoderWeights.Layer, index: Int, rows: Range<Int>) {
        let configuration = weights.configuration
        let epsilon = configuration.normEpsilon
        let (keys, values) = columns
        team.normalize(hidden, rows: rows, weight: layer.inputNorm.span, epsilon: epsilon, into: &normalized)
        if configuration.inputBias { projected.fill(rows: rows, with: layer.inputBias.span) }
        team.multiply(normalized, rows: rows, by: layer.inputs, into: &projected, accumulate: configuration.inputBias)
        if configuration.headNorms {
            team.normalizeHeads(&projected, rows: rows, columns: 0..<keys, weight: layer.queryNorm.span, epsilon: epsilon)
            team.normalizeHeads(&projected, rows: rows, columns: keys..<values, weight: layer.keyNorm.span, epsilon: epsilon)
        }
        projections?(index, projected, rows)
        let positions = positions
        team.rotate(
            &projected, rows: rows, columns: 0..<values, dimension: configuration.shape.headDimension, positions: positions.span,
            table: rotary)
    }

    private func attend(_ cut: AttentionCut, _ layer: DecoderWeights.Layer, index: Int, rows: Range<Int>, memory: KeyValueMemory) {
        team.attend(
            cut, projected, keys: columns.keys, values: columns.values, layer: index, memory: memory, into: &attended, ahead: layer.output)
        if weights.configuration.outputBias { add(layer.outputBias, toRows: rows) }
        if weights.form.isBytes {
            team.convert(attended, rows: rows, into: &attendedBytes)
            team.multiply(attendedBytes, rows: rows, by: layer.output, into: &hidden, accumulate: true, ahead: layer.gateAndUp)
        } else {
            team.multiply(attended, rows: rows, by: layer.output, into: &hidden, accumulate: true, ahead: layer.gateAndUp)
        }
    }

    /// `ahead`: what the team multiplies by after it.
    private func feedForward(_ layer: DecoderWeights.Layer, rows: Range<Int>, ahead: PanelMatrix) {
        let epsilon = weights.configuration.normEpsilon
        team.normalize(hidden, rows: rows, weight: layer.feedForwardNorm.span, epsilon: epsilon, into: &normalized)
        team.multiply(normalized, rows: rows, by: layer.gateAndUp, into: &gateAndUp, ahead: layer.down)
        team.siluMultiply(gateAndUp, rows: rows, into: &activated)
        team.multiply(activated, rows: rows, by: layer.down, into: &hidden, accumulate: true, ahead: ahead)
    }

    /// hidden[rows] += bias. On the calling thread: few models have such a bias.
    private func add(_ bias: [Float], toRows rows: Range<Int>) {
        for row in rows {
            hidden.withMutableRow(row) { values in
                for column in 0..<bias.count { values[column] += bias[column] }
            }
        }
    }
}

extension DecoderModel {
    /// Why a model could not be loaded.
    package enum LoadError: Error, CustomStringConvertible {
        case configuration(ModelConfigurationError)
        case checkpoint(CheckpointError)
        case memory(FileError)

        package var description: String {
            switch self {
            case .configuration(let error): error.description
            case .checkpoint(let error): error.description
            case .memory(let error): error.description
            }
        }
    }

    /// Reads configuration and weights of the model in `directory`.
    ///
    /// - Parameters:
    ///   - form: bf16 to serve; f32 to compute exactly what the checkpoint holds; int8 forms for speed and memory, at some loss.
    ///   - folder: where packed weights are kept; nil keeps them in this process's memory.
    package static func loadWeights(
        directory: String, weights form: WeightForm, cache folder: CacheFolder?, team: ThreadTeam, options: LoadOptions = LoadOptions(),
        progress: (WeightProgress) -> Void = { _ in }
    ) throws(LoadError) -> (weights: DecoderWeights, origin: WeightStore.Origin) {
        let configuration: ModelConfiguration
        do throws(ModelConfigurationError) {
            configuration = try ModelConfiguration(directory: directory)
        } catch {
            throw .configuration(error)
        }
        do throws(CheckpointError) {
            let checkpoint = try Checkpoint(directory: directory)
            let (store, origin) = try WeightStore.load(
                checkpoint, plan: DecoderPlan(configuration).weights, weights: form, cache: folder, team: team, options: options,
                progress: progress)
            return (DecoderWeights(configuration, store: store), origin)
        } catch {
            throw .checkpoint(error)
        }
    }

    /// Loads the model in `directory` and takes the memory of its steps. `limits.context` is cut to the model's own.
    package static func load(
        directory: String, weights form: WeightForm, limits: Limits, cache folder: CacheFolder?, team: ThreadTeam,
        progress: (WeightProgress) -> Void = { _ in }
    ) throws(LoadError) -> (model: DecoderModel, origin: WeightStore.Origin) {
        let (weights, origin) = try loadWeights(directory: directory, weights: form, cache: folder, team: team, progress: progress)
        var limits = limits
        limits.context = min(limits.context, weights.configuration.shape.context)
        do throws(FileError) {
            return (try DecoderModel(weights, limits: limits, team: team), origin)
        } catch {
            throw .memory(error)
        }
    }
}
