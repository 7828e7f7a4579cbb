/// What the public listener answers.
enum Route: Equatable, Sendable {
    case chat
    case text
    case tokenize
    case detokenize
    case models
    case model(String)
    case health

    /// - Parameter path: as sent, without the query.
    init?(path: String) {
        switch path {
        case "/v1/chat/completions": self = .chat
        case "/v1/completions": self = .text
        case "/tokenize": self = .tokenize
        case "/detokenize": self = .detokenize
        case "/v1/models": self = .models
        case "/health": self = .health
        default:
            // Names may hold slashes, as `organisation/model` does.
            guard path.hasPrefix("/v1/models/"), let name = Self.percentDecoded(path.dropFirst("/v1/models/".count)), !name.isEmpty else {
                return nil
            }
            self = .model(name)
        }
    }

    var methods: [String] {
        switch self {
        case .chat, .text, .tokenize, .detokenize: ["POST"]
        case .models, .model, .health: ["GET", "HEAD"]
        }
    }

    /// As logs and metrics name it: few values, none from the client.
    var name: String {
        switch self {
        case .chat: "/v1/chat/completions"
        case .text: "/v1/completions"
        case .tokenize: "/tokenize"
        case .detokenize: "/detokenize"
        case .models: "/v1/models"
        case .model: "/v1/models/{id}"
        case .health: "/health"
        }
    }

    /// Open to those without a key.
    var isPublic: Bool { self == .health }

    /// Whether sequences are started for it.
    var generates: Bool { self == .chat || self == .text }

    var task: PreparationJob.Task? {
        switch self {
        case .chat: .chat
        case .text: .text
        case .tokenize: .tokenize
        case .detokenize: .detokenize
        case .models, .model, .health: nil
        }
    }

    /// Nil when an escape is broken or the bytes are not UTF-8.
    static func percentDecoded(_ text: Substring) -> String? {
        guard text.utf8.contains(UInt8(ascii: "%")) else { return String(text) }
        var bytes: [UInt8] = []
        var rest = text.utf8[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            let digits = String(decoding: rest.prefix(2), as: UTF8.self)
            guard digits.utf8.count == 2, !digits.hasPrefix("+"), !digits.hasPrefix("-"), let value = UInt8(digits, radix: 16) else { return nil }
            bytes.append(value)
            rest = rest.dropFirst(2)
        }
        return String(validating: bytes, as: UTF8.self)
    }
}
