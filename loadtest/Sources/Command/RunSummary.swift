internal import Platform

/// A run in a few lines.
enum RunSummary {
    static func text(_ record: RunRecord) -> String {
        let measured = record.requests.filter { !$0.isWarmup }
        var counts: [(String, Int)] = []
        for request in measured {
            let name =
                switch request.outcome {
                case .refused(let code): "refused \(request.status ?? 0) \(code)"
                case .broken(let code): "broken \(code)"
                case .failed(let reason): "failed: \(reason)"
                default: "\(request.outcome)"
                }
            if let place = counts.firstIndex(where: { $0.0 == name }) { counts[place].1 += 1 } else { counts.append((name, 1)) }
        }
        let seconds = (record.ended - record.began).inSeconds
        let chunks = measured.reduce(0) { $0 + $1.content.count }
        let firsts = measured.compactMap { request in request.content.first.map { ($0 - request.due).inMilliseconds } }.sorted()
        let lag = record.lagNanoseconds.sorted()
        func at(_ sorted: [Double], _ share: Double) -> String {
            sorted.isEmpty ? "-" : "\((sorted[min(sorted.count - 1, Int(share * Double(sorted.count)))] * 1000).rounded() / 1000)"
        }
        let lagMilliseconds = lag.map { Double($0) / 1e6 }
        return counts.map { "\($0.0): \($0.1)\n" }.joined()
            + "seconds \(seconds), chunks \(chunks), chunks/s \(Double(chunks) / max(seconds, 1e-9)), peak in flight \(record.peakInFlight)\n"
            + "requests/s \(Double(measured.count) / max(seconds, 1e-9))\n"
            + "TTFT ms p50 \(at(firsts, 0.5)) p99 \(at(firsts, 0.99))\n"
            + "lag ms p50 \(at(lagMilliseconds, 0.5)) p99 \(at(lagMilliseconds, 0.99)) max \(at(lagMilliseconds, 1)), \(lag.count) samples\n"
            + "cpu \(record.processorTime.inSeconds / max(seconds, 1e-9)) of a core, connections \(record.connectionsOpened) opened, \(record.connectionsFailed) failed\n"
            + record.hooks.map { "hook \($0.command): \($0.status.map { "\($0)" } ?? "running")\n" }.joined()
            + "scrapes \(record.scrapes.count)\n"
    }
}
