internal import ArgumentParser
internal import Platform

/// What ends a run, what requests say beside their prompts, and what happens beside them.
struct BoundOptions: ParsableArguments {
    @Option(name: [.customLong("duration"), .customLong("benchmark-duration")], help: "No request is sent after it, as 600s.") var duration = "600s"
    @Option(name: [.customLong("grace-period"), .customLong("benchmark-grace-period")], help: "After the duration, for what is in flight.")
    var gracePeriod = "30s"
    @Option(help: "Failed requests after which the run ends.") var maxErrors: Int?
    @Option(help: "When a client gives up that has no --deadline.") var requestTimeout = "600s"
    @Option(help: "The longest answer that is read.") var maxResponseBytes = 64 << 20
    @Flag(help: "Ask for whole answers instead of streams.") var noStream = false
    @Flag(help: "Ask servers to go on behind the end of a text.") var ignoreEos = false
    @Option(help: "Of sampling.") var temperature: Double?
    @Option(help: "A JSON object whose members every request gets.") var extraBody: String?
    @Flag(help: "Ask Ferry to report queue, prefill and KV transfer of each request.") var serverReport = false
    @Option(help: "The server's metrics, read once a second, as http://127.0.0.1:9090/metrics.") var metricsUrl: String?
    @Option(help: ArgumentHelp("A command in the midst of the run, as 5s:'kill -9 123'; may be repeated.", valueName: "time:command"))
    var hook: [String] = []
    @Option(help: ArgumentHelp("A POST in the midst of the run; may be repeated.", valueName: "time:url:body")) var hookPost: [String] = []

    func apply(to settings: inout DriveSettings, _ targets: TargetOptions) throws {
        settings.rules.duration = try Duration.flag(duration, "--duration")
        settings.grace = try Duration.flag(gracePeriod, "--grace-period")
        settings.rules.deadline = try Duration.flag(requestTimeout, "--request-timeout")
        settings.rules.errors = maxErrors
        guard maxResponseBytes >= 1024 else { throw LoadFailure.usage("--max-response-bytes is \(maxResponseBytes), expected 1024 or more") }
        settings.limits.answer = maxResponseBytes
        settings.limits.event = min(settings.limits.event, maxResponseBytes)
        settings.body.streams = !noStream
        settings.body.ignoresEnd = ignoreEos
        settings.body.temperature = temperature
        settings.body.asksFerry = serverReport
        if let extraBody {
            guard let object = (try? JSON(parsing: extraBody))?.object else { throw LoadFailure.usage("--extra-body is no JSON object: \(extraBody)") }
            settings.body.extra = object
        }
        if let metricsUrl { settings.metrics = try targets.target(metricsUrl, "--metrics-url") }
        do throws(HookError) {
            settings.hooks = try hook.map { text throws(HookError) in try Hook(command: text) }
            settings.hooks += try hookPost.map { text throws(HookError) in try Hook(post: text) }
        } catch {
            throw LoadFailure.usage(error.description)
        }
        for case .post(let target, _) in settings.hooks.map(\.action) { _ = try targets.target(target.description, "--hook-post") }
    }
}
