package import Inference
internal import KVCache
internal import Platform
package import Wire

/// One sequence inside a worker, from its arrival to its ending. Owned by a `Scheduler`, on the engine's thread.
package final class ScheduledSequence {
    package let request: SequenceRequest
    /// Order of arrival; kept through preemption, so that a preempted sequence comes back before later ones.
    package let arrival: UInt64
    /// Those of earlier attempts first.
    package private(set) var generated: [TokenID]
    /// Tokens (prompt, then generated) whose KV is in `table`.
    var computed = 0
    /// Prompt tokens that the first admission found in the prefix cache.
    var cachedTokens = 0
    /// The pages while running; nil while waiting.
    var table: PageTable?

    /// Where it stands between two workers.
    var phase: HandoffPhase
    /// How its KV came here.
    var transfer: TransferSummary?

    /// Whatever the model keeps for this sequence between steps; dies with it.
    package var modelState: AnyObject?

    private let arrived: MonotonicInstant
    private var admitted: MonotonicInstant?
    private var firstToken: MonotonicInstant?

    init(request: SequenceRequest, arrival: UInt64, now: MonotonicInstant) {
        self.request = request
        self.generated = request.emitted
        self.phase = HandoffPhase(request.handoff)
        self.arrival = arrival
        self.arrived = now
    }

    package var id: SequenceID { request.id }

    /// Prompt and generated tokens together.
    package var count: Int { request.prompt.count + generated.count }

    /// Tokens that must still go through the model before the next one can be chosen: 1 while decoding.
    var missing: Int { count - computed }

    /// The prompt was computed here once, or came.
    package var prefilled: Bool { firstToken != nil || computed >= request.prompt.count }

    package func token(at index: Int) -> TokenID {
        index < request.prompt.count ? request.prompt[index] : generated[index - request.prompt.count]
    }

    /// Prompt and generated tokens as one array. O(count); for re-admission, not for steps.
    var tokens: [TokenID] { generated.isEmpty ? request.prompt : request.prompt + generated }

    /// Tokens that it must have room for when it is admitted. An export never computes the token it chooses; others would be preempted
    /// at once without room for it.
    var room: Int { isExport ? count : count + 1 }

    /// Better-ranked sequences are served first and preempted last.
    func ranksBefore(_ other: ScheduledSequence) -> Bool {
        (request.priority, arrival) < (other.request.priority, other.arrival)
    }

    /// - Returns: whether it was the first.
    func noteAdmission(_ now: MonotonicInstant) -> Bool {
        guard admitted == nil else { return false }
        admitted = now
        return true
    }

    func append(_ token: TokenID, now: MonotonicInstant) {
        generated.append(token)
        if firstToken == nil { firstToken = now }
    }

    func timeline(until now: MonotonicInstant) -> SequenceTimeline {
        var timeline = SequenceTimeline()
        timeline.queued = (admitted ?? now).since(arrived)
        if let admitted { timeline.prefill = (firstToken ?? now).since(admitted) }
        if let firstToken { timeline.decode = now.since(firstToken) }
        return timeline
    }
}
