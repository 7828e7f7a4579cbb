internal import Platform

/// Results read back, ours or vLLM's: one run, or several, each a line (`--append-result`).
package struct ResultFile: Sendable {
    package let path: String
    let runs: [ResultRun]

    private static let mostBytes = 1 << 30

    package init(path: String) throws(ResultError) {
        let file: MappedFile
        do throws(FileError) { file = try MappedFile(path: path) } catch { throw ResultError("\(error)") }
        guard file.count > 0 else { throw ResultError("\(path) is empty, a result was expected") }
        guard file.count <= Self.mostBytes else {
            throw ResultError("\(path) has \(file.count) bytes, at most \(Self.mostBytes) were expected")
        }
        try self.init(Span<UInt8>(_bytes: file.bytes), path: path)
    }

    init(_ bytes: Span<UInt8>, path: String) throws(ResultError) {
        self.path = path
        let whole: JSON?
        var fault = ""
        do throws(JSONError) { whole = try JSON(parsing: bytes, limits: .file) } catch {
            whole = nil
            fault = "\(path): \(error)"
        }
        if let whole {
            runs = [try ResultRun(whole, path: path)]
            return
        }
        var runs: [ResultRun] = []
        var start = 0
        var number = 0
        while start < bytes.count {
            var end = start
            while end < bytes.count, bytes[end] != UInt8(ascii: "\n") { end += 1 }
            number += 1
            if (start..<end).contains(where: { bytes[$0] > 0x20 }) {
                let place = "\(path) line \(number)"
                let line: JSON
                // Where not even the first line is one, the file as a whole is at fault.
                do throws(JSONError) { line = try JSON(parsing: bytes.extracting(start..<end), limits: .file) } catch {
                    throw ResultError(runs.isEmpty ? fault : "\(place): \(error)")
                }
                runs.append(try ResultRun(line, path: place))
            }
            start = end + 1
        }
        guard !runs.isEmpty else { throw ResultError(fault) }
        try Self.checkRepeats(runs, path: path)
        self.runs = runs
    }
}

extension ResultFile {
    /// Runs at several rates, as a sweep leaves them, are no repeats.
    private static func checkRepeats(_ runs: [ResultRun], path: String) throws(ResultError) {
        for key in ResultRun.loads {
            var values: [String] = []
            for run in runs where !values.contains(run.load[key] ?? "none") { values.append(run.load[key] ?? "none") }
            guard values.count > 1 else { continue }
            throw ResultError("\(path) has runs whose `\(key)` is \(values.joined(separator: ", ")), repeats of one were expected")
        }
    }
}

/// What is wrong with a result: the file, the key, what was found and what was expected.
package struct ResultError: Error, Equatable, CustomStringConvertible {
    package let description: String

    init(_ description: String) { self.description = description }
}

/// One run of a result.
struct ResultRun: Sendable {
    /// In the order of the file, each once.
    private(set) var figures: [Figure] = []
    private(set) var details: ResultDetails?
    /// What it was asked to do, as text.
    private(set) var load: [String: String] = [:]

    static let loads = ["request_rate", "max_concurrency"]

    private static let counters = [
        "duration", "completed", "failed", "total_input_tokens", "total_output_tokens", "request_throughput", "request_goodput",
        "output_throughput", "total_token_throughput", "max_output_tokens_per_s", "max_concurrent_requests",
    ]

    fileprivate init(_ json: JSON, path: String) throws(ResultError) {
        let reader = ResultReader(path: path)
        guard let object = json.object else { throw ResultError("\(path) is \(json.kind), an object with a result was expected") }
        for key in ["duration", "completed"] where object[key] == nil {
            throw ResultError("\(path): `\(key)` is missing, a number was expected")
        }
        var known: Set<String> = []
        for (key, value) in object.members where Self.counters.contains(key) || Self.isSpread(key) {
            if value.isNull { continue }
            figures.append(Figure(key: key, value: try reader.number(value, key)))
            known.insert(key)
        }
        if let own = object["ferry_load"] {
            for figure in try Self.own(own, reader) where known.insert(figure.key).inserted { figures.append(figure) }
        }
        for key in Self.loads { load[key] = object[key]?.text }
        details = try ResultDetails(object, reader)
    }

    /// `mean_ttft_ms`, `p99.9_itl_ms`, …
    private static func isSpread(_ key: String) -> Bool {
        guard let split = key.firstIndex(of: "_") else { return false }
        let word = key[..<split]
        let stem = String(key[key.index(after: split)...])
        let isWord = ["mean", "median", "std"].contains(word) || (word.hasPrefix("p") && Double(word.dropFirst()) != nil)
        return isWord && Measure.allCases.contains { $0.rawValue + $0.suffix == stem }
    }

    private static func own(_ value: JSON, _ reader: ResultReader) throws(ResultError) -> [Figure] {
        guard value["version"]?.integer == ResultJSON.version else {
            throw reader.wrong("ferry_load.version", value["version"] ?? .null, "\(ResultJSON.version)")
        }
        var list: [Figure] = []
        if let share = value["goodput"]?["share"] {
            list.append(Figure(key: "goodput_share", value: try reader.number(share, "ferry_load.goodput.share")))
        }
        let spreads = try reader.members(value["figures"], "ferry_load.figures")
        for (name, spread) in spreads {
            guard let measure = Measure(rawValue: name) else { continue }
            for (word, value) in try reader.members(spread, "ferry_load.figures.\(name)") {
                let isFigure = ["mean", "median", "std"].contains(word) || (word.hasPrefix("p") && Double(word.dropFirst()) != nil)
                guard isFigure else { continue }
                let number = try reader.number(value, "ferry_load.figures.\(name).\(word)")
                list.append(Figure(key: "\(word)_\(name)\(measure.suffix)", value: number))
            }
        }
        let nested = [
            (["kv", "raw_bytes"], "kv_raw_bytes"), (["kv", "sent_bytes"], "kv_sent_bytes"), (["kv", "ratio"], "kv_ratio"),
            (["cancel_to_free_ms", "mean"], "mean_cancel_to_free_ms"),
            (["steady_state", "request_throughput"], "steady_request_throughput"),
            (["steady_state", "output_throughput"], "steady_output_throughput"),
        ]
        for (path, key) in nested {
            guard let found = value[path[0]]?[path[1]] else { continue }
            list.append(Figure(key: key, value: try reader.number(found, "ferry_load." + path.joined(separator: "."))))
        }
        return list
    }
}

/// What `--save-detailed` keeps: a value for each request, in seconds.
struct ResultDetails: Sendable {
    struct Request: Sendable {
        var ttft: Double
        var latency: Double
        /// When it ended, from the first request's beginning.
        var end: Double
        var queue: Double?
        var inputTokens: Int
        var outputTokens: Int
        var gaps: [Double]

        /// Nil for a single token.
        var tpot: Double? { outputTokens > 1 ? (latency - ttft) / Double(outputTokens - 1) : nil }
    }

    /// Completed ones.
    private(set) var requests: [Request] = []
    private(set) var objectives: [String: Double] = [:]

    /// Nil where the file has none.
    fileprivate init?(_ object: JSONObject, _ reader: ResultReader) throws(ResultError) {
        guard object["ttfts"] != nil, object["latencies"] != nil || object["itls"] != nil else { return nil }
        let ttfts = try reader.numbers(object, "ttfts")
        let itls = try reader.lists(object, "itls", count: ttfts.count)
        // Older results of vLLM have no latencies: the first token and the gaps are the whole of them.
        let latencies =
            object["latencies"] == nil
            ? zip(ttfts, itls).map { $0 + $1.reduce(0, +) } : try reader.numbers(object, "latencies", count: ttfts.count)
        let starts = object["start_times"] == nil ? nil : try reader.numbers(object, "start_times", count: ttfts.count)
        let queues = object["queue_times"] == nil ? nil : try reader.numbers(object, "queue_times", count: ttfts.count)
        let inputs = try reader.numbers(object, "input_lens", count: ttfts.count)
        let outputs = try reader.numbers(object, "output_lens", count: ttfts.count)
        let errors = try reader.strings(object, "errors", count: ttfts.count)
        let first = starts?.min() ?? 0
        for index in ttfts.indices where errors[index].isEmpty {
            requests.append(
                Request(
                    ttft: ttfts[index], latency: latencies[index], end: (starts?[index] ?? 0) - first + latencies[index],
                    queue: queues?[index],
                    inputTokens: Int(inputs[index]), outputTokens: Int(outputs[index]), gaps: itls[index]))
        }
        guard let limits = object["ferry_load"]?["goodput"]?["objectives_ms"] else { return }
        for (name, value) in try reader.members(limits, "ferry_load.goodput.objectives_ms") {
            objectives[name] = try reader.number(value, name)
        }
    }
}

private struct ResultReader {
    let path: String

    func wrong(_ key: String, _ value: JSON, _ expected: String) -> ResultError {
        let text = value.text
        return ResultError("\(path): `\(key)` is \(text.utf8.count > 80 ? value.kind : text), \(expected) was expected")
    }

    func number(_ value: JSON, _ key: String) throws(ResultError) -> Double {
        guard let number = value.double else { throw wrong(key, value, "a number") }
        return number
    }

    func members(_ value: JSON?, _ key: String) throws(ResultError) -> [(key: String, value: JSON)] {
        guard let object = value?.object else { throw wrong(key, value ?? .null, "an object") }
        return object.members
    }

    private func elements(_ object: JSONObject, _ key: String, _ count: Int?) throws(ResultError) -> [JSON] {
        guard let elements = object[key]?.array else { throw wrong(key, object[key] ?? .null, "an array") }
        if let count, elements.count != count {
            throw ResultError("\(path): `\(key)` has \(elements.count) entries, \(count) as in `ttfts` were expected")
        }
        return elements
    }

    func numbers(_ object: JSONObject, _ key: String, count: Int? = nil) throws(ResultError) -> [Double] {
        var numbers: [Double] = []
        for element in try elements(object, key, count) {
            let value = try number(element, key)
            guard value >= 0, value < 1e15 else { throw wrong(key, element, "a number from 0 to 10¹⁵") }
            numbers.append(value)
        }
        return numbers
    }

    func strings(_ object: JSONObject, _ key: String, count: Int) throws(ResultError) -> [String] {
        var strings: [String] = []
        for element in try elements(object, key, count) {
            guard let string = element.isNull ? "" : element.string else { throw wrong(key, element, "a string") }
            strings.append(string)
        }
        return strings
    }

    func lists(_ object: JSONObject, _ key: String, count: Int) throws(ResultError) -> [[Double]] {
        var lists: [[Double]] = []
        for element in try elements(object, key, count) {
            guard let array = element.array else { throw wrong(key, element, "arrays of numbers") }
            var list: [Double] = []
            for value in array { list.append(try number(value, key)) }
            lists.append(list)
        }
        return lists
    }
}
