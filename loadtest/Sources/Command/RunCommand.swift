internal import ArgumentParser
internal import Platform
internal import Reactor

struct RunCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Send a planned load to a server and report what came back (the default).",
        discussion: """
            Bounded by default: 1000 requests, 600 seconds, this machine only. Flags have the names of `vllm bench serve`.

            Examples:
              ferry-load --base-url http://127.0.0.1:8080 --num-prompts 200 --request-rate 4
              ferry-load --base-url http://127.0.0.1:8080 --max-concurrency 16 --duration 60s
              ferry-load --base-url http://127.0.0.1:8080 --http 2 --request-rate 10 --burstiness 0.3 --metrics-url http://127.0.0.1:9090/metrics
              ferry-load --base-url http://127.0.0.1:8080 --request-rate 5 --hook 10s:'kill -9 1234' --trouble vanish:0.05:100ms
            """)

    @OptionGroup(title: "The server") var targets: TargetOptions
    @OptionGroup(title: "What is sent") var workload: WorkloadOptions
    @OptionGroup(title: "When it is sent") var arrivals: ArrivalOptions
    @OptionGroup(title: "Bounds, bodies and what happens beside") var bounds: BoundOptions
    @Option(help: "The same seed gives the same plan.") var seed: UInt64 = 0
    @Flag(help: "Show no live line.") var disableTqdm = false

    func run() async throws {
        var settings = try targets.settings()
        try bounds.apply(to: &settings, targets)
        var workload = try self.workload.settings(settings.endpoint)
        let arrivals = try self.arrivals.settings()
        settings.rules.places = arrivals.maxConcurrency
        settings.rules.requests = self.workload.numPrompts
        settings.heedsInterrupt = true
        FileDescriptors.raiseLimit()
        let reactor = try Reactor(name: "load")
        do {
            let inquiry = Inquiry(settings: settings, reactor: reactor)
            if let model = targets.model { settings.model = model } else { settings.model = try await inquiry.model() }
            if self.workload.tokensPerWord == nil, let ratio = await inquiry.tokensPerWord(model: settings.model) { workload.tokensPerWord = ratio }
            let plan = try Plan(workload, arrivals, seed: seed)
            let line = LiveLine(planned: plan.count)
            let end = try await Driver.run(settings, plan, on: reactor, watch: disableTqdm ? nil : line.watch)
            line.finish()
            await reactor.shutdown()
            try report(end)
        } catch {
            await reactor.shutdown()
            throw error
        }
    }

    private func report(_ end: RunEnd) throws {
        try StandardOutput.write(RunSummary.text(end.record))
        if end.ending == .stopped { throw LoadFailure("ended by a signal", code: 130) }
        guard end.record.requests.contains(where: { !$0.isWarmup && $0.outcome == .completed }) else { throw LoadFailure("no request succeeded") }
    }
}
