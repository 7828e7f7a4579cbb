internal import Inference

/// What each token contributes to a decoded text, worked out once: the tokens' bytes after the decoder's rules for single tokens.
final class TokenText: Sendable {
    let decoder: Decoder
    private let vocabulary: Vocabulary
    /// Added tokens that are sought in normalised text are also written out in their normal form.
    private let normalForms: [TokenID: [UInt8]]
    private let bytes: [UInt8]
    /// `idLimit + 1` offsets into `bytes`.
    private let starts: [UInt32]
    /// Per id: the byte a token such as `<0x0A>` stands for, `plain`, or `absent`.
    private let kinds: [Int16]

    private static let plain: Int16 = -1
    private static let absent: Int16 = -2

    /// Fails if the decoder's rules make the tokens larger than `TokenizerLimits.vocabularyBytes` together.
    init?(vocabulary: Vocabulary, normalForms: [TokenID: [UInt8]], decoder: Decoder) {
        var bytes: [UInt8] = []
        var starts: [UInt32] = [0]
        var kinds: [Int16] = []
        kinds.reserveCapacity(vocabulary.idLimit)
        starts.reserveCapacity(vocabulary.idLimit + 1)
        for id in 0..<vocabulary.idLimit {
            if let token = normalForms[TokenID(id)] ?? vocabulary.bytes(of: TokenID(id)) {
                let early = Decoder.apply(decoder.tokenSteps, to: token, isFirst: false)
                if decoder.fallsBackToBytes, let byte = Decoder.fallbackByte(early) {
                    kinds.append(Int16(byte))
                    bytes.append(byte)
                } else {
                    kinds.append(Self.plain)
                    bytes.append(contentsOf: Self.finish(early, decoder, isFirst: false))
                }
            } else {
                kinds.append(Self.absent)
            }
            guard bytes.count <= TokenizerLimits.vocabularyBytes else { return nil }
            starts.append(UInt32(bytes.count))
        }
        self.decoder = decoder
        self.vocabulary = vocabulary
        self.normalForms = normalForms
        self.bytes = bytes
        self.starts = starts
        self.kinds = kinds
    }

    /// The rules after byte fallback, and the reading of spelled bytes.
    func finish(_ text: [UInt8], isFirst: Bool) -> [UInt8] { Self.finish(text, decoder, isFirst: isFirst) }

    private static func finish(_ text: [UInt8], _ decoder: Decoder, isFirst: Bool) -> [UInt8] {
        let text = Decoder.apply(decoder.laterTokenSteps, to: text, isFirst: isFirst)
        if case .bytes = decoder.joining { return ByteAlphabet.bytes(of: text.span) ?? text }
        return text
    }

    func isPresent(_ id: TokenID) -> Bool { id >= 0 && Int(id) < kinds.count && kinds[Int(id)] != Self.absent }

    /// The bytes of a token that is present and the first of its text; `isFirstElement`: no text precedes it at all.
    func bytesAtStart(of id: TokenID, isFirst: Bool, isFirstElement: Bool) -> [UInt8] {
        let token = normalForms[id] ?? vocabulary.bytes(of: id) ?? []
        return finish(Decoder.apply(decoder.tokenSteps, to: token, isFirst: isFirst), isFirst: isFirstElement)
    }

    /// The byte a token of byte fallback stands for.
    func fallbackByte(_ id: TokenID) -> UInt8? { kinds[Int(id)] >= 0 ? UInt8(kinds[Int(id)]) : nil }

    /// The bytes of a token that is not the first of its text; not always UTF-8.
    func bytes(of id: TokenID) -> ArraySlice<UInt8> { bytes[Int(starts[Int(id)])..<Int(starts[Int(id) + 1])] }
}
