internal import Inference
internal import KVCodec
internal import Kernels
internal import Platform
internal import Wire

/// Takes KV through encoder and decoder, block by block, as a transfer does.
final class BlockTrip: KeyValueTrip {
    let profile: KeyValueProfile
    private let encoder: KeyValueEncoder
    private let decoder: KeyValueDecoder
    /// The blocks of the prompt at hand, one behind the other.
    private var bytes: [UInt8] = []
    private var blocks: [(block: KeyValueBlock, pages: Range<Int>, bytes: Range<Int>)] = []
    /// Of everything that was taken: what went into payloads, without frames.
    private(set) var sizes = KeyValueBlockSizes()
    private(set) var rawBytes = 0
    private(set) var blockCount = 0

    /// - Throws: `KeyValueProfileError` for a profile that this geometry or calibration cannot serve.
    init(_ profile: KeyValueProfile, geometry: KeyValueGeometry, calibration: KeyValueCalibration?, on set: InstructionSet) throws {
        self.profile = profile
        encoder = try KeyValueEncoder(profile, geometry: geometry, calibration: calibration, on: set)
        decoder = try KeyValueDecoder(geometry: geometry, calibration: calibration, on: set)
    }

    /// Payloads and the frame in front of each.
    var codedBytes: Int { sizes.total + blockCount * BlockHeader.byteCount }

    var ratio: Double { codedBytes > 0 ? Double(rawBytes) / Double(codedBytes) : 1 }

    func take(_ prompt: PromptKeyValues) throws {
        sizes += encode(prompt)
        rawBytes += prompt.rawBytes
        blockCount += blocks.count
        try decode(prompt)
    }

    /// Processor time of this thread for coding the prompt that was taken last once more, and for decoding it: block by block, as a link
    /// that takes each block at once.
    func time(_ prompt: PromptKeyValues, clock: some MonotonicClock) throws -> (encode: Double, decode: Double) {
        var (encode, decode) = (Duration.zero, Duration.zero)
        var bytes: [UInt8] = []
        for (block, pages, _) in blocks {
            let (from, to) = (Array(prompt.from[pages]), Array(prompt.to[pages]))
            bytes.removeAll(keepingCapacity: true)
            let start = clock.now
            encoder.encode(block, pages: from, of: prompt.memory, into: &bytes)
            let middle = clock.now
            try decoder.decode(bytes.rawSpan, as: block, pages: to, into: prompt.memory)
            encode += middle.since(start)
            decode += clock.now.since(middle)
        }
        return (encode.inSeconds, decode.inSeconds)
    }

    private func encode(_ prompt: PromptKeyValues) -> KeyValueBlockSizes {
        var sizes = KeyValueBlockSizes()
        bytes.removeAll(keepingCapacity: true)
        blocks.removeAll(keepingCapacity: true)
        for first in stride(from: 0, to: prompt.tokens, by: KeyValueBlock.tokens) {
            let pages = first / Page.tokens..<Page.count(forTokens: min(first + KeyValueBlock.tokens, prompt.tokens))
            for layer in 0..<prompt.memory.geometry.layers {
                let block = KeyValueBlock(
                    layer: layer, firstToken: first, tokens: min(KeyValueBlock.tokens, prompt.tokens - first), promptTokens: prompt.tokens)
                let start = bytes.count
                sizes += encoder.encode(block, pages: Array(prompt.from[pages]), of: prompt.memory, into: &bytes)
                blocks.append((block, pages, start..<bytes.count))
            }
        }
        return sizes
    }

    private func decode(_ prompt: PromptKeyValues) throws {
        let bytes = bytes
        for (block, pages, range) in blocks {
            try decoder.decode(bytes.rawSpan.extracting(range), as: block, pages: Array(prompt.to[pages]), into: prompt.memory)
        }
    }
}
