internal import Foundation
internal import Platform

/// What a sweep leaves: tables and a plot. Equal figures give equal bytes.
struct SweepFiles {
    let report: CodecReport

    init(_ report: CodecReport) { self.report = report }

    /// Writes three files and says so. Each is whole or not there.
    func write(to folder: String) throws -> String {
        try Folder.create(folder, readableByAll: true)
        for (name, text) in [("sweep.csv", csv), ("sweep.json", report.json + "\n"), ("sweep.svg", SweepPlot(report).svg)] {
            var file = try FileAppender(path: "\(folder)/\(name)")
            try file.append(Array(text.utf8).rawSpan)
            try file.commit()
        }
        return "\(report.figures.count) compositions: \(folder)/sweep.csv, sweep.json, sweep.svg"
    }

    var csv: String {
        let columns = [
            "profile", "ratio", "encode_gbps", "decode_gbps", "kl_mean", "kl_mean_low", "kl_mean_high", "kl_p99", "top1_agreement",
            "perplexity_change",
            "tokens", "on_front"
        ]
        let front = Set(ParetoFront(report.figures).indices)
        let rows = report.figures.enumerated().map { index, figure -> String in
            let quality = figure.quality
            let numbers: [Double?] = [
                figure.ratio, figure.encode, figure.decode, quality.divergence, quality.divergenceInterval?.low,
                quality.divergenceInterval?.high,
                quality.worst, quality.agreement, quality.perplexityChange
            ]
            let fields = numbers.map { $0.map { String(format: "%.6g", $0) } ?? "" }
            return (["\"\(figure.profile)\""] + fields + ["\(quality.positions)", front.contains(index) ? "1" : "0"]).joined(separator: ",")
        }
        return ([columns.joined(separator: ",")] + rows).joined(separator: "\n") + "\n"
    }
}

/// The figures that no other one beats in ratio and divergence at once.
struct ParetoFront {
    /// From the smallest ratio to the greatest.
    let indices: [Int]

    init(_ figures: [CodecFigure]) {
        let order = figures.indices.sorted {
            (figures[$0].ratio, -figures[$0].quality.divergence, -$0) > (figures[$1].ratio, -figures[$1].quality.divergence, -$1)
        }
        var best = Double.infinity
        var front: [Int] = []
        for index in order where figures[index].quality.divergence < best {
            best = figures[index].quality.divergence
            front.append(index)
        }
        indices = front.reversed()
    }
}
