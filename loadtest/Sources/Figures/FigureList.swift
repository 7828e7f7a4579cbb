/// A figure by its key in results, as lists, tables, repeats and comparisons have it.
package struct Figure: Sendable, Equatable {
    package var key: String
    package var value: Double
}

extension Figures {
    /// Every figure that is a number, under its key; absent ones are left out.
    package var list: [Figure] {
        var list: [Figure] = [
            Figure(key: "duration", value: duration), Figure(key: "completed", value: Double(counts.completed)),
            Figure(key: "failed", value: Double(counts.unsuccessful)),
            Figure(key: "total_input_tokens", value: Double(totals.inputTokens)),
            Figure(key: "total_output_tokens", value: Double(totals.outputTokens)),
            Figure(key: "request_throughput", value: requestThroughput),
        ]
        if let requestGoodput { list.append(Figure(key: "request_goodput", value: requestGoodput)) }
        list += [
            Figure(key: "output_throughput", value: outputThroughput), Figure(key: "total_token_throughput", value: totalTokenThroughput),
            Figure(key: "max_output_tokens_per_s", value: Double(mostTokensPerSecond)),
            Figure(key: "max_concurrent_requests", value: Double(mostConcurrent)),
        ]
        if let goodputShare { list.append(Figure(key: "goodput_share", value: goodputShare)) }
        for measure in Measure.allCases {
            if let spread = spreads[measure] { list += Self.list(measure, spread) }
        }
        if transfers.count > 0 {
            list.append(Figure(key: "kv_raw_bytes", value: Double(transfers.rawBytes)))
            list.append(Figure(key: "kv_sent_bytes", value: Double(transfers.sentBytes)))
        }
        if let ratio = transfers.ratio { list.append(Figure(key: "kv_ratio", value: ratio)) }
        if let cancel = server.cancelToFree { list.append(Figure(key: "mean_cancel_to_free_ms", value: cancel.mean * 1e3)) }
        if let steady {
            list.append(Figure(key: "steady_request_throughput", value: steady.requestThroughput))
            list.append(Figure(key: "steady_output_throughput", value: steady.outputThroughput))
        }
        return list
    }

    private static func list(_ measure: Measure, _ spread: Spread) -> [Figure] {
        let stem = measure.rawValue + measure.suffix
        return [
            Figure(key: "mean_" + stem, value: spread.mean), Figure(key: "median_" + stem, value: spread.median),
            Figure(key: "std_" + stem, value: spread.deviation),
        ] + spread.percentiles.map { Figure(key: "p\(percentileWord($0.percentile))_" + stem, value: $0.value) }
    }

    /// `99`, `99.9`
    static func percentileWord(_ percentile: Double) -> String { Int(exactly: percentile).map { "\($0)" } ?? "\(percentile)" }
}
