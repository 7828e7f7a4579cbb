package import Inference

/// The engine's way to whoever moves KV between workers. Transfer implements it; the engine calls it on its own thread and never waits.
package protocol TransferPort: AnyObject, Sendable {
    /// Hands over orders in their order, once a step.
    func perform(_ orders: [TransferOrder])
    /// After each layer of a step in which prefills for others advance, and after blocks were coded or decoded: more may be ready. Cheap; may
    /// be called too often, and on any thread.
    func layerIsDone()
    /// What happened since the last call, in order. The engine is woken (its channel's `wait` returns) when there is something.
    func takeNews() -> [TransferNews]
}

/// What the engine wants done about a transfer.
package enum TransferOrder: Sendable, Equatable {
    /// A prefill for another worker begins: from now on it may be asked for. The lease runs from here and is renewed by the asker.
    case offer(TransferID)
    /// The prefill of an offer has ended: what still travels of it is no longer hidden behind it.
    case finished(TransferID)
    /// The pages of an offer are taken back; whoever asks is told that it is gone.
    case withdraw(TransferID)
    /// Keep the lease at the source alive; there are no pages to receive into yet.
    case announce(TransferID, from: WorkerAddress)
    /// Pages are reserved and the sink knows them: fetch. Announced before or not.
    case fetch(TransferID, from: WorkerAddress)
    /// No longer wanted, announced or being fetched: stop, and let the source free its pages.
    case abandon(TransferID)
}

/// What became of a transfer.
package enum TransferNews: Sendable, Equatable {
    /// The receiver has everything, or wants no more: the pages of the offer are free.
    case released(TransferID)
    /// Nobody asked for the offer, or renewed its lease, in time.
    case expired(TransferID)
    /// Everything is in the reserved pages, and `token` is the one chosen after it.
    case arrived(TransferID, token: TokenID, TransferSummary)
    /// It will not come, for this reason.
    case failed(TransferID, String)
}

/// Where blocks come from on the sending worker. The engine implements it; Transfer calls it on its reactor.
package protocol KeyValueSource: Sendable {
    /// Appends the next block of the pull, header and payload, to `bytes`. Copies at most one block; never waits for the engine.
    func next(_ pull: inout Pull, into bytes: inout [UInt8]) -> PullProgress
}

/// One reading of an offer: where it began and how far it has come. A value: a broken connection is resumed with a new one.
package struct Pull: Sendable, Equatable {
    package let transfer: TransferID
    /// The first token wanted; whole pages before it are at the receiver already.
    package let start: Int
    /// Blocks that the receiver has; the next one has this number.
    package var blocks: Int
    /// For the source: where the block after these is to be looked for. 0 for a new pull.
    package var stretch = 0
    package var layer = 0
    package var group = 0

    package init(transfer: TransferID, start: Int, blocks: Int) {
        self.transfer = transfer
        self.start = start
        self.blocks = blocks
    }
}

package enum PullProgress: Sendable, Equatable {
    /// One block was appended. `isPrefilling`: the prefill has not ended yet, so that its way is hidden behind it.
    case block(rawBytes: Int, isPrefilling: Bool)
    /// Nothing is ready; `layerIsDone` or an order will follow.
    case wait
    /// Every block has been sent; what is left to say is how many tokens they cover and which token was chosen after them.
    case end(tokens: Int, chosen: TokenID)
    /// There is no such offer, or no more.
    case gone
}

/// Where blocks go on the receiving worker. The engine implements it; Transfer calls it on its reactor.
package protocol KeyValueSink: Sendable {
    /// What to ask the source for: at first everything after what is cached, after a broken connection the rest after the last whole block.
    /// Forgets an unfinished block. Nil when the engine no longer wants the transfer.
    func resumption(of transfer: TransferID) -> (start: Int, blocks: Int)?
    /// Takes the next bytes of the stream, cut anywhere.
    func receive(_ bytes: RawSpan, of transfer: TransferID) -> IntakeProgress
}

package enum IntakeProgress: Sendable, Equatable {
    /// More must come. How many whole blocks there are so far.
    case more(blocks: Int)
    /// The end frame came, and blocks are still being decoded. The port's `layerIsDone` is called when they are; then ask again, with no bytes.
    case settling
    /// The end frame came and everything before it is in place. How the first block was coded.
    case complete(TransferEnd, profile: String)
    /// The bytes are not what they say they are, or not for this model; the reason names what was found and expected. Ask again from the
    /// last whole block, once.
    case corrupt(String)
    /// The engine no longer wants it.
    case gone
}
