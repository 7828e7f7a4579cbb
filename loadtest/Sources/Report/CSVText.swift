/// Comma-separated values (RFC 4180) with LF ends. Cells that a spreadsheet would take for a formula get an apostrophe before them.
package struct CSVText: Sendable {
    package private(set) var bytes: [UInt8] = []

    mutating func row(_ cells: [String]) {
        for (index, cell) in cells.enumerated() {
            if index > 0 { bytes.append(UInt8(ascii: ",")) }
            append(cell)
        }
        bytes.append(UInt8(ascii: "\n"))
    }

    private mutating func append(_ cell: String) {
        var cell = cell
        if let first = cell.utf8.first, "=+-@\t\r".utf8.contains(first), Double(cell) == nil { cell = "'" + cell }
        guard cell.utf8.contains(where: { $0 == UInt8(ascii: ",") || $0 == UInt8(ascii: "\"") || $0 == 0x0A || $0 == 0x0D }) else {
            return bytes.append(contentsOf: cell.utf8)
        }
        bytes.append(UInt8(ascii: "\""))
        for byte in cell.utf8 {
            if byte == UInt8(ascii: "\"") { bytes.append(byte) }
            bytes.append(byte)
        }
        bytes.append(UInt8(ascii: "\""))
    }
}

extension CSVText {
    private static let columns = [
        "number", "session", "turn", "warmup", "trouble", "outcome", "status", "detail", "finish_reason", "due_s", "sent_s", "head_s",
        "first_token_s",
        "last_token_s", "ended_s", "ttft_ms", "tpot_ms", "e2el_ms", "client_queue_time_ms", "input_tokens", "output_tokens",
        "cached_tokens",
        "chunks", "body_bytes", "connection", "server_queue_ms", "server_prefill_ms", "server_decode_ms", "prefill_worker", "decode_worker",
        "attempts", "kv_profile", "kv_raw_bytes", "kv_sent_bytes", "kv_wire_ms", "kv_exposed_ms", "kv_wait_ms",
    ]

    /// One row a request, warm-ups included.
    package static func requests(_ record: RunRecord) -> CSVText {
        var text = CSVText()
        text.row(columns)
        for request in record.requests { text.row(cells(request)) }
        return text
    }

    private static func cells(_ request: RequestRecord) -> [String] {
        func seconds(_ time: Duration?) -> String { time.map { "\(Double($0.nanosecondCount) / 1e9)" } ?? "" }
        func ms(_ time: Duration?) -> String { time.map { "\(Double($0.nanosecondCount) / 1e6)" } ?? "" }
        func number(_ value: (some BinaryInteger)?) -> String { value.map { "\($0)" } ?? "" }
        let measures = request.outcome == .completed ? RequestMeasures(request) : nil
        let server = request.server
        let transfer = server?.transfer
        let trouble =
            switch request.trouble {
            case nil: ""
            case .cancel: "cancel"
            case .readSlowly: "slow"
            case .stopReading: "stop"
            case .vanish: "vanish"
            }
        var cells: [String] = ["\(request.number)", number(request.session), "\(request.turn)", request.isWarmup ? "1" : "0", trouble]
        cells += [
            OutcomeText.word(request.outcome), number(request.status), OutcomeText.detail(request.outcome), request.finishReason ?? "",
        ]
        cells += [request.due, request.sent, request.head, request.content.first, request.content.last, request.ended].map(seconds)
        cells += [measures?.ttft, measures?.tpot, measures?.e2el].map { ms($0.map { .nanoseconds($0) }) }
        cells.append(ms(request.sent.map { max(.zero, $0 - request.due) }))
        cells += [request.inputTokens, measures?.outputTokens ?? request.outputTokens, request.cachedTokens].map { number($0) }
        cells += ["\(request.content.count)", "\(request.bodyBytes)", number(request.connection)]
        cells += [server?.queue, server?.prefill, server?.decode].map(ms)
        cells += [server?.prefillWorker ?? "", server?.decodeWorker ?? "", number(server?.attempts), transfer?.profile ?? ""]
        cells += [number(transfer?.rawBytes), number(transfer?.sentBytes)]
        return cells + [transfer?.wire, transfer?.exposed, transfer?.wait].map(ms)
    }

    /// One row a run: its settings and every figure. Columns are those that any of the runs has.
    package static func runs(_ runs: [(record: RunRecord, figures: Figures)]) -> CSVText {
        let tables = runs.map { run in
            [("date", run.record.date)] + run.record.settings.map { ($0.key, cell($0.value)) }
                + run.figures.list.map { ($0.key, "\($0.value)") }
        }
        var names: [String] = []
        var known: Set<String> = []
        for (name, _) in tables.joined() where known.insert(name).inserted { names.append(name) }
        var text = CSVText()
        text.row(names)
        for table in tables {
            let values = Dictionary(table) { first, _ in first }
            text.row(names.map { values[$0] ?? "" })
        }
        return text
    }

    private static func cell(_ value: SettingValue) -> String {
        switch value {
        case .text(let text): text
        case .number(let number): Int(exactly: number).map { "\($0)" } ?? "\(number)"
        case .flag(let flag): "\(flag)"
        case .none: ""
        }
    }
}
