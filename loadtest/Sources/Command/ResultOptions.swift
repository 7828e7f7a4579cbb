internal import ArgumentParser
internal import Platform

/// What becomes of a run's figures.
struct ResultOptions: ParsableArguments {
    @Option(parsing: .upToNextOption, help: "What a request must keep to be good, as ttft:500 tpot:50 e2el:20000 (milliseconds).")
    var goodput: [String] = []
    @Option(help: "Measures at the top of the result, as ttft,tpot,itl,e2el.") var percentileMetrics: String?
    @Option(help: "Their percentiles, as 50,99,99.9.") var metricPercentiles: String?
    @Flag(help: "Write the result as JSON to --result-dir.") var saveResult = false
    @Flag(help: "Write it with an entry for each request.") var saveDetailed = false
    @Flag(help: "Add the result as a line to the file --result-filename.") var appendResult = false
    @Option(help: "Where results go.") var resultDir = "."
    @Option(help: "The result's name; otherwise made of label, rate, model and time.") var resultFilename: String?
    @Option(parsing: .upToNextOption, help: ArgumentHelp("Kept in the result; may be repeated.", valueName: "key=value")) var metadata: [String] = []
    @Option(help: "Kept in the result and in its name.") var label: String?
    @Option(help: "A report with plots, one HTML file that needs nothing else.") var html: String?
    @Option(help: "A row for each request.") var csv: String?
    @Flag(help: "The result as JSON on standard output instead of the summary.") var json = false
    @Flag(help: "Show no live line.") var disableTqdm = false

    func objectives() throws -> Objectives { try Objectives(parsing: goodput) }

    func report() throws -> ReportOptions {
        try ReportOptions(percentileMetrics: percentileMetrics, metricPercentiles: metricPercentiles, saveDetailed: saveDetailed)
    }

    func metadataSettings() throws -> [(key: String, value: SettingValue)] {
        try metadata.map { word in
            guard let equals = word.firstIndex(of: "="), equals > word.startIndex else {
                throw LoadFailure.usage("--metadata \"\(word)\": expected KEY=VALUE")
            }
            return (String(word[..<equals]), .text(String(word[word.index(after: equals)...])))
        }
    }

    /// Writes what was asked for.
    ///
    /// - Throws: `FileError` naming the file.
    func write(_ record: RunRecord, _ figures: Figures, name: @autoclosure () -> String) throws {
        let report = try report()
        if saveResult || saveDetailed || appendResult {
            let path = resultDir + "/" + (resultFilename ?? name())
            try Folder.create(resultDir, readableByAll: true)
            try write(ResultJSON.bytes(record, figures, report), to: path, appending: appendResult)
        }
        if let html { try write(HTMLReport.run(record, figures), to: html) }
        if let csv { try write(CSVText.requests(record).bytes, to: csv) }
        try StandardOutput.write(
            json ? String(decoding: ResultJSON.bytes(record, figures, report), as: UTF8.self) + "\n" : TerminalSummary.text(record, figures, report))
    }

    func write(_ bytes: [UInt8], to path: String, appending: Bool = false) throws(FileError) {
        var file = try FileAppender(path: path)
        if appending, Folder.holdsFile(path) {
            let before = try MappedFile(path: path)
            try file.append(before.bytes)
            // One result a line, also behind a file that somebody else wrote.
            if before.count > 0, before.bytes.octets[before.count - 1] != UInt8(ascii: "\n") { try file.append([UInt8(ascii: "\n")].rawSpan) }
        }
        try file.append(bytes.rawSpan)
        try file.append([UInt8(ascii: "\n")].rawSpan)
        try file.commit()
    }
}
