/// What a request must keep to be good, in milliseconds: `--goodput ttft:500 tpot:50 e2el:20000`.
package struct Objectives: Sendable, Equatable {
    package var ttft: Double?
    package var tpot: Double?
    package var e2el: Double?

    package init() {}

    /// Each `name:milliseconds`.
    package init(parsing words: [String]) throws(PlanError) {
        for word in words {
            let parts = word.split(separator: ":", omittingEmptySubsequences: false)
            guard parts.count == 2, let limit = Double(parts[1]), limit >= 0, limit.isFinite else {
                throw .setting("--goodput", "\"\(word)\"", expected: "ttft:MS, tpot:MS or e2el:MS")
            }
            switch parts[0] {
            case "ttft": ttft = limit
            case "tpot": tpot = limit
            case "e2el": e2el = limit
            default: throw .setting("--goodput", "\"\(word)\"", expected: "ttft:MS, tpot:MS or e2el:MS")
            }
        }
    }

    package var isEmpty: Bool { ttft == nil && tpot == nil && e2el == nil }

    /// In the order of vLLM's documentation.
    package var limits: [(name: String, milliseconds: Double)] {
        [("ttft", ttft), ("tpot", tpot), ("e2el", e2el)].compactMap { name, limit in limit.map { (name, $0) } }
    }

    /// A completed request keeps each limit, ends included. As in vLLM an answer of one token has a TPOT of 0; one without content has no
    /// first token and is not good where that has a limit.
    func isMet(by request: RequestMeasures) -> Bool {
        if let ttft { guard let measured = request.ttft, Double(measured) <= ttft * 1e6 else { return false } }
        if let tpot, Double(request.tpot ?? 0) > tpot * 1e6 { return false }
        if let e2el, Double(request.e2el) > e2el * 1e6 { return false }
        return true
    }
}
