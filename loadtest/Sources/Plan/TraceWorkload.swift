internal import Platform

/// Requests of a trace that says how long prompts and answers were, and when: Mooncake's and Azure's. Prompts are random words of those
/// lengths; Mooncake's have equal beginnings where its hash ids are equal.
struct TraceWorkload: Workload {
    struct Row: Sendable, Equatable {
        /// From the trace's first request.
        var time: Duration
        var input: Int
        var output: Int
        /// One for each 512 tokens of the prompt, the last for what is left; equal ids after equal ids are equal text. Empty: no prompt is
        /// like another.
        var blocks: [Int32] = []
        var images = 0
    }

    static let blockTokens = 512

    private let settings: WorkloadSettings
    private let seed: UInt64
    private let rows: [Row]
    private var index = 0
    private var writer: PromptWriter

    /// `rows` in the order of their times.
    init(_ rows: [Row], _ settings: WorkloadSettings, seed: UInt64) {
        self.rows = rows
        self.settings = settings
        self.seed = seed
        writer = PromptWriter(settings.promptForm, tokensPerWord: settings.tokensPerWord)
    }

    var count: Int? { settings.numPrompts ?? rows.count }
    var firstTurns: Int? { count }

    mutating func next() -> PlannedRequest? {
        guard index < count! else { return nil }
        defer { index += 1 }
        let row = rows[index % rows.count]
        // A second round is another one: nothing of the first is in its prompts.
        let round = index / rows.count
        let seed = seed &+ UInt64(round)
        let input = scaled(row.input, most: settings.maxInputLen)
        var images: [String] = []
        if row.images > 0, settings.promptForm == .chat {
            var draw = Draw(seed: seed, .picture, -1 - index)
            images = settings.images.pictures(row.images, &draw)
        }
        write(row, input, seed)
        var request = PlannedRequest(
            number: index, due: Self.sped(row.time + period * round, by: settings.traceSpeed), prompt: writer.finish(),
            maximumOutputTokens: settings.outputLen ?? scaled(row.output, most: settings.maxOutputLen))
        request.expectedInputTokens = input
        if !images.isEmpty, case .chat(var messages) = request.prompt {
            messages[0].images = images
            request.prompt = .chat(messages)
        }
        return request
    }

    private mutating func write(_ row: Row, _ input: Int, _ seed: UInt64) {
        guard !row.blocks.isEmpty else {
            var draw = Draw(seed: seed, .text, index)
            return writer.append(input, &draw)
        }
        let block = max(1, Int((Double(Self.blockTokens) * settings.traceScale).rounded()))
        var left = input
        for id in row.blocks where left > 0 {
            var draw = Draw(seed: seed, .block, Int(id))
            writer.append(min(block, left), &draw)
            left -= block
        }
        // Rounding may leave a few tokens behind the last block.
        if left > 0 {
            var draw = Draw(seed: seed, .text, index)
            writer.append(left, &draw)
        }
    }

    /// To the nanosecond; exact for a speed of 1.
    static func sped(_ time: Duration, by speed: Double) -> Duration {
        speed == 1 ? time : .nanoseconds(Int64((Double(time.inNanoseconds) / speed).rounded()))
    }

    private func scaled(_ tokens: Int, most: Int?) -> Int {
        min(most ?? .max, max(1, Int((Double(tokens) * settings.traceScale).rounded())))
    }

    /// A round's length: the last time and one mean gap.
    private var period: Duration {
        guard let last = rows.last, rows.count > 1 else { return .seconds(1) }
        return last.time + last.time / (rows.count - 1)
    }
}

extension TraceWorkload.Row {
    private static let tokens = 0...10_000_000

    /// Mooncake's: `{"timestamp": ms, "input_length", "output_length", "hash_ids": […]}`, one a line.
    static func mooncake(path: String, most: Int?) throws(PlanError) -> [Self] {
        let file = try DatasetFile(path: path)
        var rows: [Self] = []
        try file.forEachLine { number, range throws(PlanError) in
            let line = try file.object(range, place: "line \(number)")
            guard let time = try line.optionalMilliseconds("timestamp") else { throw line.missing("timestamp", "milliseconds") }
            var row = Self(
                time: time, input: try line.integer("input_length", in: tokens), output: try line.integer("output_length", in: tokens))
            row.blocks = try blocks(line, input: row.input)
            rows.append(row)
            return rows.count < most ?? .max
        }
        return try sorted(rows, path: path)
    }

    private static func blocks(_ line: DatasetObject, input: Int) throws(PlanError) -> [Int32] {
        guard let value = line["hash_ids"] else { throw line.missing("hash_ids", "an array of integers") }
        let expected = (input + TraceWorkload.blockTokens - 1) / TraceWorkload.blockTokens
        guard let elements = value.array, elements.count == expected else {
            throw line.wrong("hash_ids", value, "an array of \(expected) integers, one for each 512 tokens,")
        }
        var blocks: [Int32] = []
        blocks.reserveCapacity(elements.count)
        for element in elements {
            guard let integer = element.integer, let id = Int32(exactly: integer), id >= 0 else {
                throw line.wrong("hash_ids", element, "an integer from 0 to \(Int32.max)")
            }
            blocks.append(id)
        }
        return blocks
    }

    /// Azure's: a head line and `TIMESTAMP,ContextTokens,GeneratedTokens`, with `NumImages` in some, one a line.
    static func azure(path: String, most: Int?) throws(PlanError) -> [Self] {
        let file = try DatasetFile(path: path)
        var columns: [String]?
        var rows: [Self] = []
        try file.forEachLine { number, range throws(PlanError) in
            let cells = file.text(range).split(separator: ",", omittingEmptySubsequences: false).map(String.init)
            guard let names = columns else {
                for name in ["TIMESTAMP", "ContextTokens", "GeneratedTokens"] where !cells.contains(name) {
                    throw file.error(line: number, "has no column \(name); TIMESTAMP,ContextTokens,GeneratedTokens was expected")
                }
                columns = cells
                return true
            }
            guard cells.count == names.count else {
                throw file.error(line: number, "has \(cells.count) columns, \(names.count) were expected")
            }
            func cell(_ name: String) -> String? { names.firstIndex(of: name).map { cells[$0] } }
            func integer(_ name: String, _ range: ClosedRange<Int>) throws(PlanError) -> Int {
                let text = cell(name) ?? "0"
                guard let value = Int(text), range.contains(value) else {
                    throw file.error(
                        line: number, "`\(name)` is \"\(text)\", an integer from \(range.lowerBound) to \(range.upperBound) was expected")
                }
                return value
            }
            let time = cell("TIMESTAMP") ?? ""
            guard let date = TimeOfDay.parse(time) else {
                throw file.error(line: number, "`TIMESTAMP` is \"\(time)\", a time as 2023-11-16 18:17:03.9799600 was expected")
            }
            var row = Self(time: date, input: try integer("ContextTokens", tokens), output: try integer("GeneratedTokens", tokens))
            row.images = try integer("NumImages", 0...64)
            rows.append(row)
            return rows.count < most ?? .max
        }
        return try sorted(rows, path: path)
    }

    /// In the order of time, from the first.
    private static func sorted(_ rows: [Self], path: String) throws(PlanError) -> [Self] {
        guard let first = rows.map(\.time).min() else { throw PlanError("\(path) has no requests") }
        let order = rows.indices.sorted { (rows[$0].time, $0) < (rows[$1].time, $1) }
        return order.map { index in
            var row = rows[index]
            row.time -= first
            return row
        }
    }
}

/// `2023-11-16 18:17:03.9799600`, with `T` between and `Z`, `+00:00` or nothing behind as well: time since 1970 in UTC.
enum TimeOfDay {
    static func parse(_ text: String) -> Duration? {
        var text = text[...]
        for suffix in ["Z", "+00:00"] where text.hasSuffix(suffix) { text = text.dropLast(suffix.count) }
        let halves = text.split { $0 == " " || $0 == "T" }
        guard halves.count == 2 else { return nil }
        let date = halves[0].split(separator: "-").map { Int($0) ?? -1 }
        let clock = halves[1].split(separator: ":")
        guard date.count == 3, clock.count == 3, let hour = Int(clock[0]), let minute = Int(clock[1]) else { return nil }
        let seconds = clock[2].split(separator: ".", omittingEmptySubsequences: false)
        guard (1...2).contains(seconds.count), let second = Int(seconds[0]), (1970...9999).contains(date[0]), (1...12).contains(date[1]),
            (1...31).contains(date[2]), (0...23).contains(hour), (0...59).contains(minute), (0...60).contains(second)
        else { return nil }
        var nanoseconds = 0
        if seconds.count == 2 {
            guard (1...9).contains(seconds[1].utf8.count), let digits = Int(seconds[1]), digits >= 0 else { return nil }
            nanoseconds = (seconds[1].utf8.count..<9).reduce(digits) { value, _ in value * 10 }
        }
        let days = days(year: date[0], month: date[1], day: date[2])
        return .seconds(((days * 24 + hour) * 60 + minute) * 60 + second) + .nanoseconds(nanoseconds)
    }

    /// Since 1970-01-01, in the Gregorian calendar; years begin in March here, so that the leap day is the last.
    static func days(year: Int, month: Int, day: Int) -> Int {
        let shifted = month > 2 ? year : year - 1
        let dayOfYear = (153 * ((month + 9) % 12) + 2) / 5 + day - 1
        return 365 * shifted + shifted / 4 - shifted / 100 + shifted / 400 + dayOfYear - 719_468
    }
}
