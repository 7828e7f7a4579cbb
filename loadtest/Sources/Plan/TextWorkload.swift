internal import Platform

/// Requests whose texts stand in a file: ShareGPT's conversations, and lines of our own shape. Only where they stand is held in memory; a
/// file that is changed meanwhile ends the plan.
struct TextWorkload: Workload {
    struct Row: Sendable, Equatable {
        var range: Range<Int>
        /// Nil: none said.
        var time: Duration?
        var session: Int?
        var turn = 0
    }

    /// Tells a text's bytes from its tokens where nothing better is known: English has about four a token.
    static func estimatedTokens(_ text: String) -> Int { max(1, (text.utf8.count + 3) / 4) }

    private let settings: WorkloadSettings
    private let file: DatasetFile
    private let rows: [Row]
    private let seed: UInt64
    private let sessions: Int
    private var index = 0

    init(_ settings: WorkloadSettings, path: String, seed: UInt64) throws(PlanError) {
        self.settings = settings
        self.seed = seed
        file = try DatasetFile(path: path)
        rows = settings.datasetName == .sharegpt ? try Self.conversations(file, settings) : try Self.lines(file, settings)
        guard !rows.isEmpty else { throw PlanError("\(path) has no request that the settings allow") }
        sessions = (rows.compactMap(\.session).max() ?? -1) + 1
    }

    var count: Int? { settings.numPrompts ?? rows.count }

    var firstTurns: Int? {
        let whole = count! / rows.count * rows.count { $0.turn == 0 }
        return whole + rows.prefix(count! % rows.count).count { $0.turn == 0 }
    }

    mutating func next() -> PlannedRequest? {
        guard index < count! else { return nil }
        let row = rows[index % rows.count]
        let round = index / rows.count
        guard let object = try? file.object(row.range, place: "entry \(index)"),
            var request = try? settings.datasetName == .sharegpt
                ? Conversation(object, settings).request(turn: row.turn) : Line(object, settings).request
        else { return nil }
        request.number = index
        request.due = row.time.map { TraceWorkload.sped($0 + period * round, by: settings.traceSpeed) }
        request.turn = row.turn
        request.session = row.session.map { $0 + round * sessions }
        if row.turn > 0 {
            request.due = nil
            if settings.datasetName == .sharegpt {
                var draw = Draw(seed: seed, .session, index)
                request.thinkTime = draw.duration(in: settings.thinkTime)
            }
        }
        index += 1
        return request
    }

    private var period: Duration { (rows.compactMap(\.time).max() ?? .zero) + .seconds(1) }

    private static func conversations(_ file: DatasetFile, _ settings: WorkloadSettings) throws(PlanError) -> [Row] {
        var rows: [Row] = []
        var session = 0
        try file.forEachElement { number, range throws(PlanError) in
            let conversation = try Conversation(try file.object(range, place: "element \(number)"), settings)
            guard conversation.isAllowed else { return true }
            let hasSessions = settings.turns.upperBound > 1
            let turns = hasSessions ? min(conversation.exchanges.count, settings.turns.upperBound) : 1
            guard turns >= settings.turns.lowerBound else { return true }
            for turn in 0..<turns { rows.append(Row(range: range, session: hasSessions ? session : nil, turn: turn)) }
            session += 1
            return rows.count < settings.numPrompts ?? .max
        }
        return rows
    }

    private static func lines(_ file: DatasetFile, _ settings: WorkloadSettings) throws(PlanError) -> [Row] {
        var rows: [Row] = []
        var names: [String?] = []
        try file.forEachLine { number, range throws(PlanError) in
            let line = try Line(try file.object(range, place: "line \(number)"), settings)
            if let most = settings.maxInputLen, line.estimatedInput > most { return true }
            rows.append(Row(range: range, time: line.time))
            names.append(line.session)
            return rows.count < settings.numPrompts ?? .max
        }
        // Where some have a time, all have one, and the first is the beginning.
        let times = rows.compactMap(\.time)
        guard times.isEmpty || times.count == rows.count else {
            throw PlanError("\(file.path): `timestamp` stands in \(times.count) of \(rows.count) lines, in all or none was expected")
        }
        let first = times.min() ?? .zero
        var sessions: [String: (number: Int, turns: Int)] = [:]
        let order = rows.indices.sorted { (rows[$0].time ?? .zero, $0) < (rows[$1].time ?? .zero, $1) }
        return order.map { index in
            var row = rows[index]
            row.time = row.time.map { $0 - first }
            guard let name = names[index] else { return row }
            let known = sessions[name] ?? (sessions.count, 0)
            row.session = known.number
            row.turn = known.turns
            sessions[name] = (known.number, known.turns + 1)
            return row
        }
    }

    /// `{"conversations": [{"from": "human"|"gpt"|"system", "value": …}]}`: what a person said and was answered, in turns.
    private struct Conversation {
        let settings: WorkloadSettings
        var exchanges: [(prompt: String, answer: String)] = []

        init(_ object: DatasetObject, _ settings: WorkloadSettings) throws(PlanError) {
            self.settings = settings
            guard let value = object["conversations"] else { throw object.missing("conversations", "an array") }
            guard let messages = value.array else { throw object.wrong("conversations", value, "an array") }
            var prompt: String?
            for message in messages {
                guard let role = message["from"]?.string, let text = message["value"]?.string else {
                    throw object.wrong("conversations", message, "objects with the strings `from` and `value`")
                }
                switch role {
                case "system": break
                case "human", "user": prompt = text
                default:
                    guard let asked = prompt else { break }
                    exchanges.append((asked, text))
                    prompt = nil
                }
            }
        }

        /// As vLLM does, what is very short or longer than the limits is left out.
        var isAllowed: Bool {
            guard let first = exchanges.first else { return false }
            let input = TextWorkload.estimatedTokens(first.prompt)
            let output = TextWorkload.estimatedTokens(first.answer)
            return input >= 4 && output >= 4 && input <= settings.maxInputLen ?? .max && output <= settings.maxOutputLen ?? .max
        }

        func request(turn: Int) -> PlannedRequest {
            let exchange = exchanges[turn]
            let output = min(settings.maxOutputLen ?? .max, TextWorkload.estimatedTokens(exchange.answer))
            let prompt: Prompt =
                settings.promptForm == .chat ? .chat([ChatMessage(role: "user", text: exchange.prompt)]) : .text(exchange.prompt)
            return PlannedRequest(number: 0, prompt: prompt, maximumOutputTokens: settings.outputLen ?? output)
        }
    }

    /// `{"prompt": text or token ids | "messages": […], "output_tokens"?, "timestamp"? ms, "session"?, "think_time"? ms}`
    private struct Line {
        var request: PlannedRequest
        var time: Duration?
        var session: String?
        var estimatedInput = 0

        init(_ object: DatasetObject, _ settings: WorkloadSettings) throws(PlanError) {
            let output = try object.optionalInteger("output_tokens", in: 1...10_000_000) ?? settings.randomOutputLen
            let prompt = try Self.prompt(object, settings)
            request = PlannedRequest(
                number: 0, prompt: prompt, maximumOutputTokens: settings.outputLen ?? min(output, settings.maxOutputLen ?? .max))
            time = try object.optionalMilliseconds("timestamp")
            request.thinkTime = try object.optionalMilliseconds("think_time") ?? .zero
            if let value = object["session"] {
                guard let name = value.string ?? value.integer.map({ "\($0)" }) else {
                    throw object.wrong("session", value, "a string or an integer")
                }
                session = name
            }
            switch prompt {
            case .text(let text): estimatedInput = TextWorkload.estimatedTokens(text)
            case .tokens(let tokens):
                estimatedInput = tokens.count
                request.expectedInputTokens = tokens.count
            case .chat(let messages): estimatedInput = messages.reduce(0) { $0 + TextWorkload.estimatedTokens($1.text) }
            }
        }

        private static func prompt(_ object: DatasetObject, _ settings: WorkloadSettings) throws(PlanError) -> Prompt {
            let isChat = settings.promptForm == .chat
            switch (object["prompt"], object["messages"]) {
            case (let prompt?, nil):
                if let text = prompt.string { return isChat ? .chat([ChatMessage(role: "user", text: text)]) : .text(text) }
                guard let elements = prompt.array, !elements.isEmpty, !isChat else {
                    throw object.wrong("prompt", prompt, isChat ? "a string" : "a string or an array of token ids")
                }
                var tokens: [Int32] = []
                for element in elements {
                    guard let id = element.integer.flatMap({ Int32(exactly: $0) }), id >= 0 else {
                        throw object.wrong("prompt", element, "a token id")
                    }
                    tokens.append(id)
                }
                return .tokens(tokens)
            case (nil, let messages?):
                guard isChat else { throw object.wrong("messages", messages, "`prompt`, since the endpoint is not chat's,") }
                guard let elements = messages.array, !elements.isEmpty else {
                    throw object.wrong("messages", messages, "an array of messages")
                }
                var chat: [ChatMessage] = []
                for element in elements { chat.append(try message(element, object)) }
                return .chat(chat)
            case (nil, nil): throw object.missing("prompt", "`prompt` or `messages`")
            case (let prompt?, .some): throw object.wrong("prompt", prompt, "`prompt` or `messages`, not both,")
            }
        }

        private static func message(_ value: JSON, _ object: DatasetObject) throws(PlanError) -> ChatMessage {
            guard let role = value["role"]?.string, let content = value["content"] else {
                throw object.wrong("messages", value, "objects with `role` and `content`")
            }
            if let text = content.string { return ChatMessage(role: role, text: text) }
            guard let parts = content.array else { throw object.wrong("messages", content, "a string or an array of parts as `content`") }
            var message = ChatMessage(role: role, text: "")
            for part in parts {
                if part["type"]?.string == "text", let text = part["text"]?.string {
                    message.text += text
                } else if part["type"]?.string == "image_url", let url = part["image_url"]?["url"]?.string, url.hasPrefix("data:") {
                    message.images.append(url)
                } else {
                    throw object.wrong("messages", part, "a part of type `text`, or `image_url` with a data URL,")
                }
            }
            return message
        }
    }
}
