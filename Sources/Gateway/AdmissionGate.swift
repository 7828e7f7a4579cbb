package import Platform
internal import Synchronization

/// Gives out permits and counts them. Any thread.
package final class AdmissionGate: Sendable {
    private let control: Mutex<AdmissionControl>

    package init(_ bounds: AdmissionControl.Bounds) { control = Mutex(AdmissionControl(bounds)) }

    /// - Parameter tokens: prompt tokens, estimated or known.
    package func admit(sequences: Int, tokens: Int) throws(AdmissionControl.Refusal) -> AdmissionPermit {
        let refusal = control.withLock { control -> AdmissionControl.Refusal? in
            do throws(AdmissionControl.Refusal) {
                try control.admit(sequences: sequences, tokens: tokens)
                return nil
            } catch {
                return error
            }
        }
        if let refusal { throw refusal }
        return AdmissionPermit(gate: self, sequences: sequences, tokens: tokens)
    }

    package func workBegins(at now: MonotonicInstant) { control.withLock { $0.workBegins(at: now) } }

    package func observe(completed: Int, prefilled: Int, at now: MonotonicInstant) {
        control.withLock { $0.observe(completed: completed, prefilled: prefilled, at: now) }
    }

    package var snapshot: AdmissionControl { control.withLock { $0 } }

    fileprivate func adjust(
        from old: (sequences: Int, tokens: Int), to new: (sequences: Int, tokens: Int)
    ) -> AdmissionControl.Refusal? {
        control.withLock { control in
            do throws(AdmissionControl.Refusal) {
                try control.adjust(from: old, to: new)
                return nil
            } catch {
                return error
            }
        }
    }

    fileprivate func leaveQueue(tokens: Int) { control.withLock { $0.leaveQueue(tokens: tokens) } }
    fileprivate func release(sequences: Int) { control.withLock { $0.release(sequences: sequences) } }
}

/// The right to be served. What it stands for goes back when it dies, however the request ended.
package struct AdmissionPermit: ~Copyable, Sendable {
    private let gate: AdmissionGate
    package private(set) var sequences: Int
    private var queuedTokens: Int

    fileprivate init(gate: AdmissionGate, sequences: Int, tokens: Int) {
        self.gate = gate
        self.sequences = sequences
        self.queuedTokens = tokens
    }

    /// Replaces the estimate by what the request turned out to be. When it does not fit, the permit stays as it was.
    package mutating func settle(sequences: Int, tokens: Int) throws(AdmissionControl.Refusal) {
        if let refusal = gate.adjust(from: (self.sequences, queuedTokens), to: (sequences, tokens)) { throw refusal }
        self.sequences = sequences
        queuedTokens = tokens
    }

    /// The first token is there: the prompt waits no longer. Idempotent.
    package mutating func leaveQueue() {
        guard queuedTokens > 0 else { return }
        gate.leaveQueue(tokens: queuedTokens)
        queuedTokens = 0
    }

    deinit {
        if queuedTokens > 0 { gate.leaveQueue(tokens: queuedTokens) }
        gate.release(sequences: sequences)
    }
}
