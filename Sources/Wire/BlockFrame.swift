internal import Platform

/// The first 64 bytes of everything on a KV stream: a block, or the end.
///
/// Little endian: magic "FKV1" (4), kind (1), profile (1), layout (1), zero (1), fingerprint (8), layer (4), first token (4), tokens (4),
/// payload bytes (4), raw bytes (4), number (4), checksum of the payload (8), zero (8), checksum of the 56 bytes before (8).
///
/// The parser trusts nothing: whoever takes a block compares every length with the model's geometry before it writes a byte.
package struct BlockHeader: Sendable, Equatable {
    package static let byteCount = 64
    /// Tokens of one block at most (DESIGN §5): two pages.
    package static let tokens = 128
    static let magic: UInt32 = 0x3156_4B46

    package enum Kind: UInt8, Sendable { case block = 1, end = 2 }

    /// How the payload is coded.
    package enum Profile: UInt8, Sendable {
        /// The layer's part of each page, as the pages hold it: [page][head][K panel, V panel].
        case raw = 0
        /// A block of KVCodec, which says for itself how it is coded (KVFormat.md).
        case coded = 1
    }

    package var kind: Kind
    package var profile: Profile
    /// Of everything that must be equal on both sides for the bytes to mean the same: model, dtype, geometry, instruction set.
    package var fingerprint: UInt64
    package var layer: Int
    package var firstToken: Int
    /// How many of the tokens count; the last page may have room for more.
    package var tokens: Int
    package var payloadBytes: Int
    package var rawBytes: Int
    /// Counts the blocks of a pull from 0.
    package var number: Int
    package var checksum: UInt64

    package init(
        kind: Kind, profile: Profile = .raw, fingerprint: UInt64, layer: Int, firstToken: Int, tokens: Int, payloadBytes: Int, rawBytes: Int, number: Int, checksum: UInt64
    ) {
        self.kind = kind
        self.profile = profile
        self.fingerprint = fingerprint
        self.layer = layer
        self.firstToken = firstToken
        self.tokens = tokens
        self.payloadBytes = payloadBytes
        self.rawBytes = rawBytes
        self.number = number
        self.checksum = checksum
    }
}

/// What is wrong with a frame on a KV stream.
package struct BlockFrameError: Error, Equatable, CustomStringConvertible {
    package let description: String
    package init(_ description: String) { self.description = description }
}

extension BlockHeader {
    /// Appends the 64 bytes.
    package func write(to bytes: inout [UInt8]) {
        let start = bytes.count
        var writer = ByteWriter(after: bytes)
        bytes = []
        writer.write(Self.magic)
        writer.write(kind.rawValue)
        writer.write(profile.rawValue)
        writer.write(UInt16(0))
        writer.write(fingerprint)
        for value in [layer, firstToken, tokens, payloadBytes, rawBytes, number] { writer.write(UInt32(value)) }
        writer.write(checksum)
        writer.write(UInt64(0))
        bytes = writer.bytes
        let seal = Digest(of: bytes.rawSpan.extracting(start..<(start + 56))).low
        var tail = ByteWriter(after: bytes)
        bytes = []
        tail.write(seal)
        bytes = tail.bytes
    }

    /// Reads 64 bytes.
    package init(_ bytes: RawSpan) throws(BlockFrameError) {
        guard bytes.byteCount == Self.byteCount else { throw BlockFrameError("a header of \(bytes.byteCount) bytes, \(Self.byteCount) were expected") }
        var reader = ByteReader(bytes)
        let magic: UInt32 = Self.next(&reader)
        let (kind, profile, zero): (UInt8, UInt8, UInt16) = (Self.next(&reader), Self.next(&reader), Self.next(&reader))
        let fingerprint: UInt64 = Self.next(&reader)
        let fields = (0..<6).map { _ in Int(Self.next(&reader) as UInt32) }
        let (checksum, reserved, seal): (UInt64, UInt64, UInt64) = (Self.next(&reader), Self.next(&reader), Self.next(&reader))
        guard magic == Self.magic else {
            throw BlockFrameError("a frame begins with \(String(magic, radix: 16)), \(String(Self.magic, radix: 16)) was expected")
        }
        guard seal == Digest(of: bytes.extracting(0..<56)).low else { throw BlockFrameError("the checksum of a frame's header is wrong") }
        guard let kind = Kind(rawValue: kind) else { throw BlockFrameError("a frame of kind \(kind), 1 or 2 was expected") }
        guard let profile = Profile(rawValue: profile), zero == 0, reserved == 0 else {
            throw BlockFrameError("a block of profile \(profile), which is not known here")
        }
        self.init(
            kind: kind, profile: profile, fingerprint: fingerprint, layer: fields[0], firstToken: fields[1], tokens: fields[2], payloadBytes: fields[3],
            rawBytes: fields[4], number: fields[5], checksum: checksum)
    }

    /// The caller has checked that the bytes suffice.
    private static func next<T: FixedWidthInteger & BitwiseCopyable>(_ reader: inout ByteReader) -> T {
        guard let value = try? reader.read(T.self) else { preconditionFailure("\(byteCount) bytes were not enough for a header") }
        return value
    }
}

/// What the end frame says: 64 bytes of payload behind its header.
package struct TransferEnd: Sendable, Equatable {
    /// Tokens whose KV was sent or was there already.
    package var tokens: Int
    /// The token chosen after them.
    package var chosen: Int32
    package var blocks: Int
    package var rawBytes: Int
    package var sentBytes: Int
    /// Time until the prefill's end in which the sender had something to send and the link took it.
    package var wire: Duration
    /// From the answer's first byte to the prefill's end, as the sender's clock has it: what the receiver sees after that long was not
    /// hidden behind the prefill.
    package var hidden: Duration

    package init(tokens: Int, chosen: Int32, blocks: Int, rawBytes: Int, sentBytes: Int, wire: Duration, hidden: Duration) {
        self.tokens = tokens
        self.chosen = chosen
        self.blocks = blocks
        self.rawBytes = rawBytes
        self.sentBytes = sentBytes
        self.wire = wire
        self.hidden = hidden
    }
}

extension TransferEnd {
    package static let byteCount = 64

    /// The whole frame: header and payload.
    package func frame(fingerprint: UInt64) -> [UInt8] {
        var payload = ByteWriter(capacity: Self.byteCount)
        payload.write(UInt64(tokens))
        payload.write(Int64(chosen))
        payload.write(UInt64(blocks))
        payload.write(UInt64(rawBytes))
        payload.write(UInt64(sentBytes))
        payload.write(UInt64(clamping: wire.inNanoseconds))
        payload.write(UInt64(clamping: hidden.inNanoseconds))
        payload.write(UInt64(0))
        var bytes: [UInt8] = []
        BlockHeader(
            kind: .end, fingerprint: fingerprint, layer: 0, firstToken: 0, tokens: 0, payloadBytes: Self.byteCount, rawBytes: 0, number: blocks,
            checksum: Digest(of: payload.bytes.rawSpan).low
        ).write(to: &bytes)
        bytes.append(contentsOf: payload.bytes)
        return bytes
    }

    /// Reads the 64 bytes of payload, whose checksum the caller has compared.
    package init(_ bytes: RawSpan) throws(BlockFrameError) {
        var fields: [UInt64] = []
        var reader = ByteReader(bytes)
        while fields.count < 8, let field = try? reader.read(UInt64.self) { fields.append(field) }
        guard fields.count == 8, reader.remaining == 0, fields[7] == 0 else {
            throw BlockFrameError("an end frame of \(bytes.byteCount) bytes, \(Self.byteCount) were expected")
        }
        guard let tokens = Int(exactly: fields[0]), let chosen = Int32(exactly: Int64(bitPattern: fields[1])), let blocks = Int(exactly: fields[2]),
            let rawBytes = Int(exactly: fields[3]), let sentBytes = Int(exactly: fields[4]), let wire = Int64(exactly: fields[5]),
            let hidden = Int64(exactly: fields[6])
        else { throw BlockFrameError("a figure of the end frame is out of range") }
        self.init(
            tokens: tokens, chosen: chosen, blocks: blocks, rawBytes: rawBytes, sentBytes: sentBytes, wire: .nanoseconds(wire),
            hidden: .nanoseconds(hidden))
    }
}
