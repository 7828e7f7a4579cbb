internal import Inference
internal import Platform
internal import Wire

/// What an operator may change, by path; POST only.
enum Operation: Equatable {
    case drain(worker: String, Bool)
    case roles(worker: String)
    /// Of one worker's links, or of all.
    case links(worker: String?)
    case cancel(request: String)

    static let explanations = [
        ("/fleet/{worker}/drain", "gives the worker nothing new; what it has goes on to its end"),
        ("/fleet/{worker}/undrain", "gives it work again"),
        ("/fleet/{worker}/roles", "{\"roles\": \"prefill,decode\"}: what it does from now on"),
        ("/fleet/{worker}/links", "{\"rate\": bytes/s, \"latency_ms\", \"jitter_ms\", \"break_after\": bytes}: shapes what it sends; {} ends that"),
        ("/links", "the same for all workers"),
        ("/requests/{id}/cancel", "ends a request with request_cancelled"),
    ]

    init?(path: String) {
        let parts = path.split(separator: "/", omittingEmptySubsequences: false).dropFirst().map(String.init)
        switch (parts.first, parts.count, parts.last) {
        case ("links", 1, _): self = .links(worker: nil)
        case ("fleet", 3, "drain"): self = .drain(worker: parts[1], true)
        case ("fleet", 3, "undrain"): self = .drain(worker: parts[1], false)
        case ("fleet", 3, "roles"): self = .roles(worker: parts[1])
        case ("fleet", 3, "links"): self = .links(worker: parts[1])
        case ("requests", 3, "cancel"): self = .cancel(request: parts[1])
        default: return nil
        }
    }
}

/// Why an operation was not done: for the body of the answer.
struct OperationRefusal: Error {
    let status: Int
    let code: String
    let message: String
}

extension LinkShapeSetting {
    /// Nil for an empty object: links are to be as they are.
    static func read(_ json: JSON) throws(OperationRefusal) -> LinkShapeSetting? {
        guard let object = json.object else { throw OperationRefusal(status: 400, code: "invalid_type", message: "an object was expected") }
        if object.isEmpty { return nil }
        var setting = LinkShapeSetting()
        for (name, value) in object.members {
            guard let number = value.double, number >= 0, number <= 1e15 else {
                throw OperationRefusal(status: 400, code: "invalid_value", message: "\(name): a number from 0 was expected")
            }
            switch name {
            case "rate": setting.bytesPerSecond = max(1, Int(number))
            case "latency_ms": setting.latency = .nanoseconds(Int64(min(number, 1e7) * 1e6))
            case "jitter_ms": setting.jitter = .nanoseconds(Int64(min(number, 1e7) * 1e6))
            case "break_after": setting.breakAfterBytes = Int(number)
            default:
                throw OperationRefusal(
                    status: 400, code: "unsupported_parameter", message: "\(name.prefix(64)): rate, latency_ms, jitter_ms and break_after are known")
            }
        }
        return setting
    }
}
