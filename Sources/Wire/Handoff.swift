internal import Platform

/// Names one agreed hand-off of a sequence's KV cache between two workers: 128 bits, made at random by whoever routes. The same name asked
/// for twice is the same hand-off; a new attempt has a new name.
package struct TransferID: Hashable, Sendable, CustomStringConvertible {
    package let high: UInt64
    package let low: UInt64

    package init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    package static func random() -> TransferID { TransferID(high: .random(in: .min ... .max), low: .random(in: .min ... .max)) }

    /// From 32 hexadecimal digits, as `description` writes them.
    package init?(_ text: some StringProtocol) {
        guard text.utf8.count == 32, text.utf8.allSatisfy({ (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }),
            let high = UInt64(text.prefix(16), radix: 16), let low = UInt64(text.suffix(16), radix: 16)
        else { return nil }
        self.init(high: high, low: low)
    }

    /// 32 lower-case hexadecimal digits.
    package var description: String { Digest(high: high, low: low).description }
}

/// What is to become of a sequence's KV between two workers.
package enum Handoff: Sendable, Equatable {
    /// The worker prefills and decodes.
    case none
    /// The worker prefills, chooses one token, reports it, and ends the sequence with `handedOff`, or as usual where that token ends it.
    /// The KV of all tokens before the chosen one is kept for whoever comes with this name, until it is released or its lease expires.
    case send(TransferID)
    /// The worker fetches the KV of prompt and emitted tokens, with the token that was chosen after them, and decodes from there. Where
    /// the KV does not come whole, it computes everything itself.
    case receive(TransferID, from: WorkerAddress)
}

/// Where a worker serves its peers.
package struct WorkerAddress: Sendable, Hashable {
    /// The worker's stable name.
    package var worker: String
    /// The life of the worker's process that is meant: another process under the same name has none of its pages.
    package var incarnation: UInt64
    /// As `Endpoint` writes it.
    package var endpoint: String

    package init(worker: String, incarnation: UInt64, endpoint: String) {
        self.worker = worker
        self.incarnation = incarnation
        self.endpoint = endpoint
    }

    /// On this machine, where links are in clear: a Unix socket or a loopback address.
    package var isLocal: Bool {
        ["unix:", "127.", "localhost:", "[::1]:"].contains { endpoint.hasPrefix($0) }
    }
}

/// What the way of a sequence's KV cost, as the receiving worker knows it.
package struct TransferSummary: Sendable, Equatable {
    package var profile = "raw"
    /// As the pages hold them.
    package var rawBytes = 0
    /// With headers, as they went over the link.
    package var sentBytes = 0
    package var blocks = 0
    /// Time in which the sender had something to send and the link took it.
    package var wire: Duration = .zero
    /// The part of `wire` that came after the end of prefill: what the hop cost the client.
    package var exposed: Duration = .zero
    /// From the receiver's first request until everything was there.
    package var wait: Duration = .zero
    /// Tokens whose KV the receiver had already.
    package var cachedTokens = 0
    /// Connections it took; 1 when none broke.
    package var connections = 0

    package init() {}
}
