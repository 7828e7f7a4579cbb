/// How a request's end is written.
enum OutcomeText {
    static func word(_ outcome: Outcome) -> String {
        switch outcome {
        case .completed: "completed"
        case .refused: "refused"
        case .broken: "broken"
        case .failed: "failed"
        case .troubled: "troubled"
        case .late: "late"
        case .unfinished: "unfinished"
        }
    }

    /// The code or reason; empty where there is none.
    static func detail(_ outcome: Outcome) -> String {
        switch outcome {
        case .refused(let text), .broken(let text), .failed(let text): text
        case .completed, .troubled, .late, .unfinished: ""
        }
    }

    /// Nil for a completed request.
    static func error(_ request: RequestRecord) -> String? {
        switch request.outcome {
        case .completed: nil
        case .refused(let code): "refused with status \(request.status ?? 0)\(code.isEmpty ? "" : ": \(code)")"
        case .broken(let code): "broken in the stream: \(code)"
        case .failed(let reason): "failed: \(reason)"
        case .troubled: "ended by its client on purpose"
        case .late: "given up at the deadline"
        case .unfinished: "unfinished when the run ended"
        }
    }
}
