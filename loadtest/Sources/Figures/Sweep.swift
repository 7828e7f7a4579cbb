internal import Glibc

/// The search for the knee: the highest rate of requests that the server still keeps up with. Rates grow by a factor until one saturates
/// it, then the gap between the last good and the first bad one is halved, in the logarithm, until it is narrow.
///
/// `next` names the rate to run; `add` takes what was seen.
package struct Sweep: Sendable {
    package struct Settings: Sendable, Equatable {
        package var lowest: Double
        package var highest: Double
        /// From rate to rate before saturation.
        package var factor = 2.0
        /// Of good requests; with less the server is saturated.
        package var leastGoodShare = 0.9
        /// Of the load added to a rate that was kept up with, what must come out as throughput; with less it is saturated.
        package var leastGain = 0.7
        /// The search ends when the first bad rate is this much above the last good one.
        package var width = 0.05
        package var mostSteps = 16

        package init(lowest: Double, highest: Double) {
            self.lowest = lowest
            self.highest = highest
        }
    }

    package struct Observation: Sendable, Equatable {
        package var rate: Double
        /// Completed requests a second, while the load lasted.
        package var throughput: Double
        /// Of all but troubled requests: good by the objectives, or completed where there are none.
        package var goodShare: Double
        /// Seconds by which the time to the first token grew a second, where it surely grew; 0 otherwise.
        package var queueGrowth: Double

        package init(rate: Double, throughput: Double, goodShare: Double, queueGrowth: Double) {
            self.rate = rate
            self.throughput = throughput
            self.goodShare = goodShare
            self.queueGrowth = queueGrowth
        }
    }

    package enum Reason: Sendable, Equatable, CustomStringConvertible {
        case goodShare(Double)
        case gain(Double)
        case queueGrowth(Double)

        package var description: String {
            switch self {
            case .goodShare(let share): "only \((100 * share).fixed(1)) % of the requests were good"
            case .gain(let gain): "only \((100 * gain).fixed(0)) % of the added load came out as throughput"
            case .queueGrowth(let slope): "the time to the first token grew by \((1000 * slope).fixed(0)) ms a second"
            }
        }
    }

    package struct Step: Sendable, Equatable {
        package var observation: Observation
        /// Nil: the server kept up.
        package var saturation: Reason?
    }

    package enum Knee: Sendable, Equatable, CustomStringConvertible {
        /// `rate` was kept up with; the next one tried was not.
        case between(rate: Double, saturated: Double, Reason)
        case above(rate: Double)
        case below(rate: Double, Reason)

        package var description: String {
            switch self {
            case .between(let rate, let saturated, let reason): "\(rate.rate) req/s: at \(saturated.rate) \(reason)"
            case .above(let rate): "above \(rate.rate) req/s, the highest rate tried"
            case .below(let rate, let reason): "below \(rate.rate) req/s, the lowest rate tried: \(reason)"
            }
        }
    }

    package let settings: Settings
    package private(set) var steps: [Step] = []

    package init(_ settings: Settings) throws(PlanError) {
        guard settings.lowest > 0, settings.highest >= settings.lowest, settings.highest.isFinite else {
            throw PlanError(
                "a sweep from \(settings.lowest) to \(settings.highest) requests a second, a range of positive rates was expected")
        }
        guard settings.factor > 1, settings.width > 0, settings.mostSteps > 0 else {
            throw PlanError(
                "a sweep by factors of \(settings.factor) to a width of \(settings.width), more than 1 and more than 0 were expected")
        }
        self.settings = settings
    }

    /// The rate to run now; nil: the search is over.
    package var next: Double? {
        guard steps.count < settings.mostSteps else { return nil }
        guard let good = good?.observation.rate else { return steps.isEmpty ? settings.lowest : nil }
        guard let bad = bad?.observation.rate else {
            return good < settings.highest ? min(settings.highest, (good * settings.factor).inThreeDigits) : nil
        }
        guard bad / good > 1 + settings.width else { return nil }
        let middle = (good * bad).squareRoot().inThreeDigits
        return middle > good && middle < bad ? middle : nil
    }

    package mutating func add(_ observation: Observation) {
        steps.append(Step(observation: observation, saturation: saturation(observation)))
    }

    /// Nil until there was a step.
    package var knee: Knee? {
        switch (good, bad) {
        case (let good?, let bad?): .between(rate: good.observation.rate, saturated: bad.observation.rate, bad.saturation!)
        case (let good?, nil): .above(rate: good.observation.rate)
        case (nil, let bad?): .below(rate: bad.observation.rate, bad.saturation!)
        case (nil, nil): nil
        }
    }

    /// The highest rate that was kept up with below every one that was not.
    private var good: Step? {
        let limit = bad?.observation.rate ?? .infinity
        return steps.filter { $0.saturation == nil && $0.observation.rate < limit }.max { $0.observation.rate < $1.observation.rate }
    }

    private var bad: Step? { steps.filter { $0.saturation != nil }.min { $0.observation.rate < $1.observation.rate } }

    private func saturation(_ seen: Observation) -> Reason? {
        if seen.goodShare < settings.leastGoodShare { return .goodShare(seen.goodShare) }
        if seen.queueGrowth > 0 { return .queueGrowth(seen.queueGrowth) }
        guard let below = good?.observation, seen.rate > below.rate, below.throughput > 0 else { return nil }
        let gain = (seen.throughput / below.throughput - 1) / (seen.rate / below.rate - 1)
        return gain < settings.leastGain ? .gain(gain) : nil
    }
}

extension Sweep.Observation {
    package init(rate: Double, _ record: RunRecord, _ figures: Figures) {
        let asked = figures.counts.measured - figures.counts.troubled
        let completed = asked > 0 ? Double(figures.counts.completed) / Double(asked) : 0
        self.init(
            rate: rate, throughput: figures.steady?.requestThroughput ?? figures.requestThroughput,
            goodShare: figures.goodputShare ?? completed,
            queueGrowth: QueueGrowth.slope(record.requests))
    }
}

/// Whether a queue grew over a run, by the slope of the time to the first token over the intended sending.
///
/// An overloaded server's wait grows by rate/capacity − 1 seconds a second for as long as the load lasts; a busy one's goes up and down.
enum QueueGrowth {
    /// A load 2 % above the capacity.
    static let leastSlope = 0.02
    /// Standard errors; waits in a row are alike, so twice the usual two are asked for.
    static let leastErrors = 4.0
    private static let leastRequests = 20

    /// Seconds a second; 0 where it is not surely more than `leastSlope`. The first fifth of the requests fills the server and is left out.
    static func slope(_ requests: [RequestRecord]) -> Double {
        let points = requests.filter { !$0.isWarmup && $0.outcome == .completed && $0.content.count > 0 }
            .map { (x: Double($0.due.nanosecondCount) / 1e9, y: Double(($0.content.first! - $0.due).nanosecondCount) / 1e9) }
            .sorted { $0.x < $1.x }
        let rest = points.dropFirst(points.count / 5)
        guard rest.count >= leastRequests else { return 0 }
        let count = Double(rest.count)
        let meanX = rest.reduce(0) { $0 + $1.x } / count
        let meanY = rest.reduce(0) { $0 + $1.y } / count
        let xx = rest.reduce(0) { $0 + ($1.x - meanX) * ($1.x - meanX) }
        let xy = rest.reduce(0) { $0 + ($1.x - meanX) * ($1.y - meanY) }
        guard xx > 0 else { return 0 }
        let slope = xy / xx
        let residuals = rest.reduce(0) { sum, point in
            let residual = point.y - meanY - slope * (point.x - meanX)
            return sum + residual * residual
        }
        let error = (residuals / (count - 2) / xx).squareRoot()
        return slope > leastSlope && slope > leastErrors * error ? slope : 0
    }
}

extension Double {
    /// Rates that people can read.
    fileprivate var inThreeDigits: Double {
        let scale = pow(10, 2 - log10(self).rounded(.down))
        return (self * scale).rounded() / scale
    }

    fileprivate var rate: String { self >= 100 ? fixed(0) : self >= 10 ? fixed(1) : fixed(2) }
}
