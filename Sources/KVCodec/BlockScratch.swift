import Kernels

/// The memory of one coder, sized once for the greatest block of a geometry; and what a block has come to so far.
final class BlockScratch {
    let geometry: KeyValueGeometry
    let set: InstructionSet
    /// Elements of one side of the greatest block.
    let sideElements: Int

    /// One side of a block, and room for a second copy; both sides after `widen`.
    var planes: [Float]
    var spare: [Float]
    /// Parameters of rows and columns; behind `parameterRoom` of them there is room for one more set.
    var numbers: Parameters
    let parameterRoom: Int
    let ones: [Float]
    let zeros: [Float]
    /// What a transform keeps from its `read` to its `revert`.
    var channelOctaves: [UInt8]
    var anchors: [Float]
    var anchorSymbols: [UInt8]

    /// Both sides, and the codes that are entropy coded with them.
    var symbols: [UInt8]
    /// How many stand there; when decoding, how many were taken.
    var symbolCount = 0
    var runs: [SymbolRun] = []
    private var counts = [UInt32](repeating: 0, count: 256)
    /// The symbols in another order, or planes of their bits.
    var turned: [UInt8]
    var shifted: [UInt8]

    var elements: [UInt16]
    /// What an entropy coder's symbols cannot say: of a dead-zone quantiser, of a predictor.
    var wide: [Int16]
    var exact: [UInt16]

    /// Sections on their way out.
    var statistics: [UInt8] = []
    var tables: [UInt8] = []
    /// The first `codedCount` bytes count; there is slack behind the greatest block's.
    var coded: [UInt8]
    var codedCount = 0
    var exactBytes: [UInt8]
    var exactCount = 0
    /// A block on its way in, with the slack on both sides.
    var input: [UInt8] = []

    init(_ geometry: KeyValueGeometry, on set: InstructionSet) {
        self.geometry = geometry
        self.set = set
        let (tokens, heads, dimension) = (KeyValueBlock.tokens, geometry.heads, geometry.dimension)
        sideElements = tokens * heads * dimension
        // Groups of two are the smallest.
        parameterRoom = sideElements / 2 + 2 * tokens + heads * dimension
        planes = Array(repeating: 0, count: sideElements)
        spare = planes
        let room = parameterRoom + max(tokens, dimension)
        numbers = Parameters(room)
        let most = max(tokens, 2 * heads * dimension)
        (ones, zeros) = (Array(repeating: 1, count: most), Array(repeating: 0, count: most))
        channelOctaves = Array(repeating: 0, count: heads * dimension / 2)
        let groups = (tokens + AnchorDelta.group - 1) / AnchorDelta.group
        anchors = Array(repeating: 0, count: groups * heads * dimension)
        anchorSymbols = Array(repeating: 0, count: groups * heads * dimension)
        symbols = Array(repeating: 0, count: 2 * sideElements + 8 * parameterRoom)
        turned = Array(repeating: 0, count: symbols.count + 4 * SymbolSlack.bytes)
        shifted = turned
        elements = Array(repeating: 0, count: 2 * sideElements)
        wide = Array(repeating: 0, count: sideElements)
        exact = Array(repeating: 0, count: sideElements)
        // Every coder's bound is below: elements as they are, symbols of rANS with two bytes each.
        let codedRoom = 6 * sideElements + 4096 + 2 * symbols.count
        coded = Array(repeating: 0, count: codedRoom)
        exactBytes = Array(repeating: 0, count: 4 * sideElements + 4 * sideElements / 64 + 65536)
    }

    /// Makes room for both sides side by side.
    func widen() {
        guard planes.count < 2 * sideElements else { return }
        planes = Array(repeating: 0, count: 2 * sideElements)
        spare = planes
    }

    func begin() {
        symbolCount = 0
        runs.removeAll(keepingCapacity: true)
        statistics.removeAll(keepingCapacity: true)
        tables.removeAll(keepingCapacity: true)
        codedCount = 0
        exactCount = 0
    }

    /// The parameters, to be put back: loops over a local value pay for no access to their owner.
    func takeNumbers() -> Parameters {
        var taken = Parameters(0)
        swap(&taken, &numbers)
        return taken
    }

    /// How many symbols of a range are `symbol`.
    func symbolsEqual(_ symbol: UInt8, _ range: Range<Int>) -> Int {
        for index in counts.indices { counts[index] = 0 }
        set.count(symbols, range, into: &counts)
        return Int(counts[Int(symbol)])
    }

    /// There is room for `count` more symbols.
    func checkRoom(_ count: Int) {
        precondition(symbolCount + count <= symbols.count, "\(count) symbols behind \(symbolCount) of \(symbols.count)")
    }
}

/// A number of each kind for each row or column, in a value of its own.
struct Parameters {
    /// Ends of ranges; later centres, then offsets.
    var least: [Float]
    /// Ends of ranges; later spans, then steps.
    var greatest: [Float]
    var factors: [Float]
    var biases: [Float]
    /// Codes of spans and of centres.
    var scaleCodes: [UInt8]
    var centreCodes: [UInt8]

    init(_ room: Int) {
        least = Array(repeating: 0, count: room)
        (greatest, factors, biases) = (least, least, least)
        scaleCodes = Array(repeating: 0, count: room)
        centreCodes = scaleCodes
    }
}

/// Symbols that are coded alike.
struct SymbolRun {
    enum Style: Sendable {
        /// Around some centre.
        case centred
        /// Whole numbers -7...7 and an escape.
        case deadzone
    }

    /// Symbols are below it.
    var alphabet: Int
    var style: Style
    var count: Int
    /// Matrices [rows][columns], one after the other, that make up the run; `width` columns at most of `columns` stand together. No rows:
    /// no channels.
    var rows = 0
    var columns = 0
    var width = 0
}

/// One side of a block on its way between elements and symbols.
struct SideFrame {
    let layer: Int
    private(set) var side: KeyValueSide
    let geometry: KeyValueGeometry
    /// The position of the first token.
    let position: Int
    /// That are coded.
    let tokens: Int
    /// Of a plane; fewer than tokens behind a transform that takes some out.
    var rows: Int
    var layout = Layout.apart

    enum Layout {
        /// Head by head.
        case apart
        /// The heads of a token side by side.
        case mixed
        /// The keys of all heads of a token, then its values.
        case joint
    }

    init(_ side: KeyValueSide, of layer: Int, position: Int, tokens: Int, geometry: KeyValueGeometry) {
        (self.side, self.layer, self.position, self.tokens, self.geometry) = (side, layer, position, tokens, geometry)
        rows = tokens
    }

    var dimension: Int { geometry.dimension }
    var heads: Int { geometry.heads }

    /// The plane [rows][dimension] of a head.
    func shape(_ head: Int) -> PlaneShape {
        switch layout {
        case .apart: PlaneShape(offset: head * tokens * dimension, rows: rows, columns: dimension, stride: dimension)
        case .mixed, .joint:
            PlaneShape(offset: whole.offset + head * dimension, rows: rows, columns: dimension, stride: whole.stride)
        }
    }

    /// All heads of the side at once, where they are not apart.
    var whole: PlaneShape {
        let channels = heads * dimension
        return layout == .joint
            ? PlaneShape(offset: side == .keys ? 0 : channels, rows: rows, columns: channels, stride: 2 * channels)
            : PlaneShape(rows: rows, columns: channels, stride: channels)
    }

    /// The other side's frame.
    func beside(_ side: KeyValueSide) -> SideFrame {
        var frame = self
        frame.side = side
        return frame
    }

    /// Both sides of joint planes.
    var both: PlaneShape { PlaneShape(rows: rows, columns: 2 * heads * dimension, stride: 2 * heads * dimension) }
}
