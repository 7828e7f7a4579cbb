/// Where the time of each request went: a waterfall of up to 200 requests, and the means of groups in a row for more.
struct StageTimeline {
    static let mostRows = 200
    private static let groups = 60

    /// In the order of a request's life. Where the server says nothing of itself, what lies before the first token is one stage.
    enum Stage: Int, CaseIterable {
        case clientQueue, serverQueue, prefill, exposed, firstToken, decode

        var name: String {
            switch self {
            case .clientQueue: "client queue"
            case .serverQueue: "server queue"
            case .prefill: "prefill"
            case .exposed: "KV hand-over, exposed"
            case .firstToken: "to the first token"
            case .decode: "decode and the rest"
            }
        }

        /// Red is for refusals; prefill and what stands for it are never in one request.
        var colour: Int {
            switch self {
            case .clientQueue, .serverQueue, .prefill, .exposed: rawValue + 1
            case .firstToken: 3
            case .decode: 6
            }
        }
    }

    /// Seconds of each stage that the request had; together they are its end-to-end time.
    static func stages(_ request: RequestRecord) -> [(stage: Stage, seconds: Double)] {
        guard let sent = request.sent, let ended = request.ended, ended > request.due else { return [] }
        var left = Double((ended - request.due).nanosecondCount) / 1e9
        var stages: [(Stage, Double)] = []
        func add(_ stage: Stage, _ time: Duration) {
            let seconds = min(left, max(0, Double(time.nanosecondCount) / 1e9))
            guard seconds > 0 else { return }
            stages.append((stage, seconds))
            left -= seconds
        }
        add(.clientQueue, sent - request.due)
        if let server = request.server {
            add(.serverQueue, server.queue)
            add(.prefill, server.prefill)
            if let transfer = server.transfer { add(.exposed, transfer.exposed) }
        } else if let first = request.content.first {
            add(.firstToken, first - sent)
        }
        return left > 0 ? stages + [(.decode, left)] : stages
    }

    static func figure(_ requests: [RequestRecord], began: Duration) -> String? {
        let whole = requests.filter { $0.outcome == .completed && !stages($0).isEmpty }.sorted { ($0.due, $0.number) < ($1.due, $1.number) }
        guard !whole.isEmpty else { return nil }
        let present = Set(whole.lazy.flatMap { stages($0).map(\.stage) })
        let legend = Plot.legend(
            Stage.allCases.filter(present.contains).map { Series($0.name, colour: $0.colour, .dots, [Series.Point(x: 0, y: 0)]) })
        return whole.count <= mostRows ? waterfall(whole, began, legend) : bars(whole, began, legend)
    }

    private static func waterfall(_ requests: [RequestRecord], _ began: Duration, _ legend: String) -> String {
        // Where requests are short beside the run, all begin at the left, or nothing of their stages could be seen.
        let lengths = requests.map { Double(($0.ended! - $0.due).nanosecondCount) / 1e9 }.sorted()
        let span = Double((requests.compactMap(\.ended).max()! - began).nanosecondCount) / 1e9
        let isAligned = lengths[lengths.count / 2] < span / 20
        func start(_ request: RequestRecord) -> Double { isAligned ? 0 : Double((request.due - began).nanosecondCount) / 1e9 }
        let row = max(3, min(14, 480 / Double(requests.count)))
        let height = Plot.top + Plot.bottom + row * Double(requests.count)
        let x = Axis.linear(
            isAligned ? "time since the intended sending (s)" : "time since the beginning (s)",
            requests.map { start($0) + Double(($0.ended! - $0.due).nanosecondCount) / 1e9 })
        func at(_ value: Double) -> Double { Plot.left + x.place(value) * (Plot.width - Plot.left - Plot.right) }
        var svg = Plot.open("Stages of each request", height: height) + Plot.frame(x: x, y: nil, height: height)
        for (index, request) in requests.enumerated() {
            var from = start(request)
            let y = Plot.top + row * Double(index)
            svg += "<g>" + SVG.title(title(request))
            for (stage, length) in stages(request) {
                let width = max(0.3, at(from + length) - at(from))
                svg += SVG.rectangle("f\(stage.colour)", (at(from), y), width: width, height: row * 0.8)
                from += length
            }
            svg += "</g>"
        }
        svg += SVG.text("label", (14, height / 2), .middle, "requests, by their due time", isUpright: true)
        return Plot.figure("Stages of each request", legend: legend, svg + "</svg>", note: "")
    }

    private static func title(_ request: RequestRecord) -> String {
        "request \(request.number): "
            + stages(request).map { "\($0.stage.name) \(Markup.number($0.seconds * 1e3)) ms" }.joined(separator: ", ")
    }

    private static func bars(_ requests: [RequestRecord], _ began: Duration, _ legend: String) -> String {
        let chunks = (0..<groups).map { Array(requests[$0 * requests.count / groups..<($0 + 1) * requests.count / groups]) }
        let means = chunks.map { chunk -> [Double] in
            var sums = [Double](repeating: 0, count: Stage.allCases.count)
            for request in chunk { for (stage, seconds) in stages(request) { sums[stage.rawValue] += seconds } }
            return sums.map { 1e3 * $0 / Double(max(1, chunk.count)) }
        }
        let y = Axis.linear("mean time (ms)", means.map { $0.reduce(0, +) })
        let x = Axis.linear("requests, by their due time", [0, Double(requests.count)])
        let floor = Plot.height - Plot.bottom
        func at(_ value: Double) -> Double { Plot.left + x.place(value) * (Plot.width - Plot.left - Plot.right) }
        func tall(_ value: Double) -> Double { y.place(value) * (floor - Plot.top) }
        var svg = Plot.open("Stages of requests", height: Plot.height) + Plot.frame(x: x, y: y, height: Plot.height)
        for (index, stages) in means.enumerated() {
            let (from, to) = (index * requests.count / groups, (index + 1) * requests.count / groups)
            let names = Stage.allCases.filter { stages[$0.rawValue] > 0 }.map { "\($0.name) \(Markup.number(stages[$0.rawValue])) ms" }
            svg += "<g>" + SVG.title("requests \(from + 1) to \(to): " + names.joined(separator: ", "))
            var below = 0.0
            for stage in Stage.allCases where stages[stage.rawValue] > 0 {
                let value = stages[stage.rawValue]
                let (low, high) = (floor - tall(below), floor - tall(below + value))
                let width = at(Double(to)) - at(Double(from))
                svg += SVG.rectangle("f\(stage.colour)", (at(Double(from)), high), width: width * 0.85, height: low - high)
                below += value
            }
            svg += "</g>"
        }
        return Plot.figure(
            "Stages of requests", legend: legend, svg + "</svg>",
            note: "Each bar is the mean of about \(requests.count / groups) requests in a row.")
    }
}
