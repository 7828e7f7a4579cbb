internal import ArgumentParser
internal import Platform
internal import Reactor

struct RunCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Send a planned load to a server and report what came back (the default).",
        discussion: """
            Bounded by default: 1000 requests, 600 seconds, this machine only. Flags have the names of `vllm bench serve` where it has them.

            Examples:
              ferry-load --base-url http://127.0.0.1:8080 --num-prompts 200 --request-rate 4 --goodput ttft:500 tpot:50
              ferry-load --base-url http://127.0.0.1:8080 --max-concurrency 16 --duration 60s --save-result --html report.html
              ferry-load --base-url http://127.0.0.1:8080 --http 2 --request-rate 10 --burstiness 0.3 --metrics-url http://127.0.0.1:9090/metrics
              ferry-load --base-url http://127.0.0.1:8080 --request-rate 5 --hook 10s:'kill -9 1234' --trouble vanish:0.05:100ms
            """)

    @OptionGroup var options: LoadOptions
    @Option(help: "Repeats, each with the next seed; the means get 95 % intervals.") var numRuns = 1

    func run() async throws {
        guard numRuns >= 1, numRuns <= 100 else { throw LoadFailure.usage("--num-runs is \(numRuns), expected 1 to 100") }
        var load = try Load(options)
        let reactor = try Reactor(name: "load")
        do {
            try await load.ask(on: reactor)
            var runs: [[Figure]] = []
            for number in 0..<numRuns {
                let end = try await load.run(on: reactor, seed: options.seed &+ UInt64(number))
                let figures = Figures(end.record, objectives: load.objectives, percentiles: try options.results.report().metricPercentiles)
                try options.results.write(end.record, figures, name: load.name(of: end.record))
                runs.append(figures.list)
                try load.judge(end)
            }
            if numRuns > 1, !options.results.json {
                let keys = [
                    "request_throughput", "output_throughput", "mean_ttft_ms", "p99_ttft_ms", "mean_tpot_ms", "p99_tpot_ms", "mean_itl_ms",
                    "p99_itl_ms", "mean_e2el_ms",
                ]
                try StandardOutput.write(Repeats(runs).text(keys: keys))
            }
            await reactor.shutdown()
        } catch {
            await reactor.shutdown()
            throw error
        }
    }
}
