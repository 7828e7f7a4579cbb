internal import Inference
internal import Platform
package import Wire

/// What others see of a dispatcher.
extension Dispatcher {
    mutating func retire(_ load: WorkerLoad) { Self.addTotals(of: load, to: &retired) }

    private static func addTotals(of load: WorkerLoad, to sum: inout WorkerLoad) {
        sum.steps += load.steps
        sum.prefillTokens += load.prefillTokens
        sum.generatedTokens += load.generatedTokens
        sum.preemptions += load.preemptions
        sum.prefixQueries += load.prefixQueries
        sum.prefixHits += load.prefixHits
        sum.modelTime += load.modelTime
        sum.stepTime += load.stepTime
    }

    /// Of all workers together; totals include those that are gone.
    package var load: WorkerLoad {
        var sum = retired
        for member in fleet.members.values {
            Self.addTotals(of: member.load, to: &sum)
            sum.running += member.load.running
            sum.waiting += member.load.waiting
            sum.pagesTotal += member.load.pagesTotal
            sum.pagesAvailable += member.load.pagesAvailable
            sum.pendingPrefill += member.load.pendingPrefill
            sum.decoding += member.load.decoding
            sum.exports += member.load.exports
            sum.imports += member.load.imports
        }
        sum.waiting += unplaced.count
        return sum
    }

    /// Until the first token of a prompt that came now, by the soonest worker; nil before anything was measured.
    package func predictedPrefill(tokens: Int) -> Duration? {
        let predictions = fleet.candidates(.prefill).map { member in
            member.pace.prefillRate == nil ? nil : member.backlog + member.pace.prefillTime(tokens)
        }
        guard !predictions.isEmpty, !predictions.contains(nil), let best = predictions.compactMap(\.self).min() else { return nil }
        return .nanoseconds(Int64(min(best, 1e6) * 1e9))
    }

    /// `checkInvariants` as an expression for `assert`: true, or a trap.
    package var integrity: Bool {
        checkInvariants()
        return true
    }

    /// Sequences that have a part on `worker` which is not over.
    package func sequences(on worker: String) -> Int {
        assignments.values.count { ($0.source?.worker == worker && $0.source?.isOver == false) || ($0.main?.worker == worker && $0.main?.isOver == false) }
    }

    /// Traps unless legs and assignments agree. O(sequences); for tests and idle time.
    package func checkInvariants() {
        for (leg, id) in legs {
            guard let assignment = assignments[id] else { preconditionFailure("\(leg) belongs to \(id), which is over") }
            precondition(assignment.source?.id == leg || assignment.main?.id == leg, "\(leg) is no leg of \(id)")
        }
        for (id, assignment) in assignments where assignment.source == nil && assignment.main == nil {
            precondition(assignment.waitsSince != nil, "\(id) is nowhere")
        }
    }
}
