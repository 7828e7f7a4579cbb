internal import Inference
internal import Platform
internal import Wire

/// One sequence in the fleet: what the client has of it and which workers are at it.
struct Assignment {
    /// One worker's part. Its id is the worker's own name for the sequence, new with every attempt: what comes late from an earlier
    /// attempt belongs to nobody.
    struct Leg {
        let id: SequenceID
        let worker: String
        /// The worker has said its last word about it.
        var isOver = false
    }

    /// As the gateway asked for it, under the gateway's id.
    let request: SequenceRequest
    /// Of the prompt's pages.
    let names: [Digest]
    /// Delivered to the gateway.
    var emitted: [TokenID] = []
    /// 1 for the first.
    var attempt = 0
    /// Prefills for `main`.
    var source: Leg?
    var transfer: TransferID?
    /// Decodes, and prefills where there is no source.
    var main: Leg?
    /// Tokens that came before one that must go first. Sorted by their place.
    var held: [TokenEvent] = []
    /// The last word of `main`, which waits for a token of `source`.
    var heldEnding: SequenceEnding?
    var sourceEnding: SequenceEnding?
    /// The main worker has reported a token in this attempt: it has the KV.
    var mainHasReported = false
    var isCancelled = false
    /// Why the last attempt did not come to its end.
    var lastFailure = ""
    /// Since when there is no worker for it.
    var waitsSince: MonotonicInstant?
    /// The last attempt ended in a hand-off that failed.
    var mayHop = true

    init(_ request: SequenceRequest) {
        self.request = request
        names = PrefixDirectory.names(of: request.prompt, salt: request.cacheSalt)
    }

    var tokens: Int { request.prompt.count + emitted.count }

    /// Whether every worker that was asked has said its last word.
    var legsAreOver: Bool { source?.isOver != false && main?.isOver != false }
}
