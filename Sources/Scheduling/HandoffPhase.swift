package import Inference
package import Wire

/// Where a sequence stands between two workers.
enum HandoffPhase: Equatable {
    /// Prefilled and decoded here, or once its hand-off is over.
    case local
    /// To be prefilled for another worker; waits.
    case toSend(TransferID)
    /// Being prefilled for another worker, which may ask for it. Holds pages for all its tokens, so it needs no more and is never preempted.
    case sending(TransferID)
    /// Being prefilled, and nobody wants the pages any more.
    case unwanted
    /// Its KV is computed elsewhere; waits for pages.
    case announced(TransferID, from: WorkerAddress)
    /// Holds the pages that its KV is written to.
    case receiving(TransferID, from: WorkerAddress)

    init(_ handoff: Handoff) {
        self =
            switch handoff {
            case .none: .local
            case .send(let transfer): .toSend(transfer)
            case .receive(let transfer, let source): .announced(transfer, from: source)
            }
    }
}

extension ScheduledSequence {
    /// The offer under which others may ask for what is being computed.
    package var offer: TransferID? {
        if case .sending(let transfer) = phase { transfer } else { nil }
    }

    /// The transfer its KV comes or will come by.
    var intake: TransferID? {
        switch phase {
        case .announced(let transfer, _), .receiving(let transfer, _): transfer
        case .local, .toSend, .sending, .unwanted: nil
        }
    }

    /// The first token chosen here ends it.
    var endsWithFirstToken: Bool {
        switch phase {
        case .toSend, .sending, .unwanted: true
        case .local, .announced, .receiving: false
        }
    }

    var isExport: Bool {
        switch phase {
        case .toSend, .sending: true
        case .local, .unwanted, .announced, .receiving: false
        }
    }

    var isPreemptable: Bool { offer == nil }
}

/// What the engine is to do about pages between workers, in this order and before the next step is computed: pages that are taken back
/// may be in that step already.
package enum HandoffStep: Sendable, Equatable {
    /// Others may ask for the KV of `tokens` tokens that will be in `pages`; that of the first `known`, whole pages, is there.
    /// They are coded with `profile`.
    case open(TransferID, pages: [PageIndex], known: Int, tokens: Int, profile: TransferProfile = .raw)
    /// The offer is complete; this token was chosen after it.
    case finish(TransferID, chosen: TokenID)
    /// The pages of the offer are needed no more. `untold`: the port does not know it yet.
    case withdraw(TransferID, untold: Bool)
    case announce(TransferID, from: WorkerAddress)
    /// Fetch the KV of `tokens` tokens into `pages`; that of the first `known`, whole pages, is there and must not be written.
    case fetch(TransferID, from: WorkerAddress, pages: [PageIndex], known: Int, tokens: Int)
    case abandon(TransferID)
}
