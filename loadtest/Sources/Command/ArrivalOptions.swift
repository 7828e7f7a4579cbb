internal import ArgumentParser

/// When requests go; each option is a property of `ArrivalSettings`.
struct ArrivalOptions: ParsableArguments {
    @Option(help: "Requests a second (open loop); inf: all at once, or as --max-concurrency allows (closed loop).") var requestRate = Double.infinity
    @Option(help: "Of the gaps: 1 is Poisson, below is burstier, inf is constant.") var burstiness = 1.0
    @Option(name: [.customLong("max-concurrency"), .customLong("concurrency")], help: "Requests in flight at most.") var maxConcurrency: Int?
    @Option(help: "linear or exponential.") var rampUpStrategy: String?
    @Option(help: "The ramp's first rate.") var rampUpStartRps: Double?
    @Option(help: "The ramp's last rate.") var rampUpEndRps: Double?
    @Option(help: "How long the ramp takes, as 60s; otherwise all requests.") var rampUpDuration: String?
    @Flag(help: "Send at the trace's own times.") var selfTimed = false

    func settings() throws -> ArrivalSettings {
        var settings = ArrivalSettings()
        guard requestRate > 0 else { throw LoadFailure.usage("--request-rate is \(requestRate), expected more than 0, or inf") }
        settings.requestRate = requestRate
        settings.burstiness = burstiness
        if let maxConcurrency, maxConcurrency < 1 { throw LoadFailure.usage("--max-concurrency is \(maxConcurrency), expected 1 or more") }
        settings.maxConcurrency = maxConcurrency
        if let rampUpStrategy {
            guard let ramp = ArrivalSettings.Ramp(rawValue: rampUpStrategy) else {
                throw LoadFailure.usage("--ramp-up-strategy is \(rampUpStrategy), expected linear or exponential")
            }
            settings.rampUpStrategy = ramp
        }
        settings.rampUpStartRps = rampUpStartRps
        settings.rampUpEndRps = rampUpEndRps
        if let rampUpDuration { settings.rampUpDuration = try Duration.flag(rampUpDuration, "--ramp-up-duration") }
        settings.selfTimed = selfTimed
        return settings
    }
}

extension Duration {
    /// A flag's value, as `250ms`, `5s` or `2m`.
    static func flag(_ text: String, _ name: String) throws -> Duration {
        guard let duration = Duration(parsing: text) else { throw LoadFailure.usage("\(name) is \(text), expected for example 250ms, 5s or 2m") }
        return duration
    }
}
