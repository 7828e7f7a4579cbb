internal import Foundation
internal import KVCodec
internal import Platform

/// The figures of a run, as a table for people and JSON for scripts.
struct CodecReport {
    var figures: [CodecFigure]
    /// GB/s of copying, beside which codecs are seen.
    var copySpeed: Double
    var model: String

    var table: String {
        guard let first = figures.first else { return "no profile was measured" }
        let quality = first.quality
        let width = max(8, figures.map(\.name.count).max() ?? 0) + 2
        let hasRecall = first.recall != nil
        var lines = [
            "\(model): \(quality.windows) windows, \(quality.positions) predictions, perplexity from exact KV "
                + String(format: "%.3f; memcpy %.1f GB/s", quality.exactPerplexity, copySpeed),
            "in brackets: 95 % intervals over windows; speeds: GB/s of raw KV on one thread", "",
            Self.padded("profile", width)
                + "  ratio   encode   decode   KL mean                       KL p99     top-1 agreement             perplexity"
                + (hasRecall ? "                   recall" : "")
        ]
        for figure in figures {
            let quality = figure.quality
            var line = Self.padded(figure.name, width)
            line += String(format: "%7.3f%9.2f%9.2f   ", figure.ratio, figure.encode, figure.decode)
            line += Self.padded(Self.small(quality.divergence) + Self.range(quality.divergenceInterval, Self.small), 30)
            line += Self.padded(Self.small(quality.worst), 11)
            line += Self.padded(
                String(format: "%.2f %%", quality.agreement * 100)
                    + Self.range(quality.agreementInterval) { String(format: "%.2f", $0 * 100) }, 28)
            line += Self.padded(
                String(format: "%+.2f %%", quality.perplexityChange * 100)
                    + Self.range(quality.perplexityInterval) { String(format: "%+.2f", $0 * 100) }, 26)
            if let recall = figure.recall {
                line += String(format: "%.1f %% of %.1f %%", recall.share(recall.right) * 100, recall.share(recall.exact) * 100)
                line += Self.range(recall.shares.interval) { String(format: "%+.1f", $0 * 100) }
            }
            lines.append(line.trimmingCharacters(in: .whitespaces))
        }
        return lines.joined(separator: "\n")
    }

    var json: String { JSON.array(figures.map(object)).text }

    func object(_ figure: CodecFigure) -> JSON {
        let quality = figure.quality
        var object = JSONObject([
            ("profile", .string(figure.name)), ("composition", .string(figure.profile)), ("ratio", .number(figure.ratio)),
            ("encode_gbps", .number(figure.encode)), ("decode_gbps", .number(figure.decode)), ("memcpy_gbps", .number(copySpeed)),
            ("kl_mean", .number(quality.divergence)), ("kl_mean_interval", quality.divergenceInterval?.json ?? .null),
            ("kl_p99", .number(quality.worst)), ("kl_p99_interval", quality.worstInterval?.json ?? .null),
            ("top1_agreement", .number(quality.agreement)), ("top1_agreement_interval", quality.agreementInterval?.json ?? .null),
            ("perplexity_change", .number(quality.perplexityChange)),
            ("perplexity_change_interval", quality.perplexityInterval?.json ?? .null),
            ("perplexity_exact", .number(quality.exactPerplexity)), ("tokens", .integer(Int64(quality.positions))),
            ("windows", .integer(Int64(quality.windows))), ("raw_bytes", .integer(Int64(figure.rawBytes))),
            ("coded_bytes", .integer(Int64(figure.codedBytes))),
            (
                "bytes",
                [
                    "frames": .integer(Int64(figure.codedBytes - figure.sizes.total)), "headers": .integer(Int64(figure.sizes.header)),
                    "statistics": .integer(Int64(figure.sizes.statistics)), "tables": .integer(Int64(figure.sizes.tables)),
                    "symbols": .integer(Int64(figure.sizes.symbols)), "exact": .integer(Int64(figure.sizes.exact))
                ]
            )
        ])
        if let recall = figure.recall {
            object["recall"] = .number(recall.share(recall.right))
            object["recall_exact"] = .number(recall.share(recall.exact))
            object["recall_change"] = .number(recall.shares.difference)
            object["recall_change_interval"] = recall.shares.interval?.json ?? .null
            object["recall_lost"] = .integer(Int64(recall.shares.lost))
            object["recall_won"] = .integer(Int64(recall.shares.won))
            object["recall_tasks"] = .integer(Int64(recall.shares.cases))
            object["recall_ratio"] = .number(recall.ratio)
        }
        return .object(object)
    }

    private static func small(_ value: Double) -> String {
        value == 0 ? "0" : value < 0.001 ? String(format: "%.1e", value) : String(format: "%.4f", value)
    }

    private static func range(_ interval: Interval?, _ text: (Double) -> String) -> String {
        interval.map { " [\(text($0.low)), \(text($0.high))]" } ?? ""
    }

    private static func padded(_ text: String, _ width: Int) -> String { text + String(repeating: " ", count: max(1, width - text.count)) }
}
