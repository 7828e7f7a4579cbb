internal import Platform

/// Which of the two generation APIs a response belongs to.
package enum ResponseKind: Sendable, Equatable {
    case chat
    case text

    var idPrefix: String { self == .chat ? "chatcmpl-" : "cmpl-" }
    func object(streaming: Bool) -> String {
        switch self {
        case .chat: streaming ? "chat.completion.chunk" : "chat.completion"
        case .text: "text_completion"
        }
    }
}

/// What every object of one response repeats.
package struct ResponseHeader: Sendable, Equatable {
    package var kind: ResponseKind
    package var id: String
    /// Seconds since 1970.
    package var created: Int64
    package var model: String
    package var fingerprint: String

    package init(kind: ResponseKind, id: String, created: Int64, model: String, fingerprint: String) {
        self.kind = kind
        self.id = id
        self.created = created
        self.model = model
        self.fingerprint = fingerprint
    }

    /// The members before `choices`, inside an object that is open.
    func write(to writer: inout JSONWriter, streaming: Bool) {
        writer.field("id", id)
        writer.field("object", kind.object(streaming: streaming))
        writer.field("created", created)
        writer.field("model", model)
        writer.field("system_fingerprint", fingerprint)
    }
}
