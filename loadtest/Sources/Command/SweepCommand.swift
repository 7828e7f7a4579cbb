internal import ArgumentParser
internal import Platform
internal import Reactor

struct SweepCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sweep", abstract: "Run the load at several rates and find the highest that the server keeps up with.",
        discussion: """
            Without --rates the search begins at --lowest-rate, doubles until the server is saturated (too few good requests, a queue that grows, or
            added load that does not come out as throughput), and then narrows the gap.

            Examples:
              ferry-load sweep --base-url http://127.0.0.1:8080 --num-prompts 200 --lowest-rate 1 --highest-rate 64 --goodput ttft:500
              ferry-load sweep --base-url http://127.0.0.1:8080 --rates 1,2,4,8 --duration 30s --html sweep.html
            """)

    @OptionGroup var options: LoadOptions
    @Option(help: "Requests a second to run at, as 1,2,4; nothing is searched for then.") var rates: String?
    @Option(help: "Where the search begins.") var lowestRate = 1.0
    @Option(help: "Where it ends at the latest.") var highestRate = 1000.0

    func run() async throws {
        let load = try Load(options)
        var sweep = try Sweep(Sweep.Settings(lowest: lowestRate, highest: highestRate))
        let listed = try listedRates()
        guard options.arrivals.rampUpStrategy == nil, !options.arrivals.selfTimed else {
            throw LoadFailure.usage("a sweep chooses the rates: neither ramps nor --self-timed")
        }
        let reactor = try Reactor(name: "load")
        do {
            let runs = try await self.runs(load, listed, &sweep, on: reactor)
            await reactor.shutdown()
            if let html = options.results.html { try options.results.write(HTMLReport.sweep(runs, knee: sweep.knee), to: html) }
            if let csv = options.results.csv { try options.results.write(CSVText.runs(runs.map { ($0.record, $0.figures) }).bytes, to: csv) }
            try StandardOutput.write(options.results.json ? String(decoding: sweep.json, as: UTF8.self) + "\n" : sweep.text)
        } catch {
            await reactor.shutdown()
            throw error
        }
    }

    private func runs(
        _ load: Load, _ listed: [Double]?, _ sweep: inout Sweep, on reactor: Reactor
    ) async throws -> [(rate: Double, record: RunRecord, figures: Figures)] {
        var load = load
        try await load.ask(on: reactor)
        var runs: [(rate: Double, record: RunRecord, figures: Figures)] = []
        while let rate = listed.map({ runs.count < $0.count ? $0[runs.count] : nil }) ?? sweep.next {
            let end = try await load.run(on: reactor, rate: rate)
            let figures = Figures(end.record, objectives: load.objectives, percentiles: try options.results.report().metricPercentiles)
            sweep.add(Sweep.Observation(rate: rate, end.record, figures))
            runs.append((rate, end.record, figures))
            if options.results.saveResult || options.results.saveDetailed || options.results.appendResult {
                try Folder.create(options.results.resultDir, readableByAll: true)
                let path = options.results.resultDir + "/" + (options.results.resultFilename ?? "sweep-\(load.name(of: runs[0].record))l")
                try options.results.write(
                    ResultJSON.bytes(end.record, figures, try options.results.report()), to: path,
                    appending: runs.count > 1 || options.results.appendResult)
            }
            if let step = sweep.steps.last, !options.results.json {
                StandardError.write(Array("\(rate) req/s: \(step.saturation.map { "saturated: \($0)" } ?? "kept up")\n".utf8))
            }
            if end.ending == .stopped { try load.judge(end) }
        }
        guard runs.contains(where: { $0.figures.counts.completed > 0 }) else { throw LoadFailure("no request succeeded") }
        return runs
    }

    private func listedRates() throws -> [Double]? {
        try rates.map { text in
            let values = text.split(separator: ",", omittingEmptySubsequences: false).map { Double($0) ?? 0 }
            guard values.allSatisfy({ $0 > 0 && $0.isFinite }) else { throw LoadFailure.usage("--rates is \(text), expected positive numbers as 1,2,4") }
            return values
        }
    }
}
