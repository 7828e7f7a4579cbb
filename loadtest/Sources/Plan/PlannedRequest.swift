/// One request that a run intends to send: what, when, and how its client will behave. Pure values; the same seed gives the same plan.
package struct PlannedRequest: Sendable, Equatable {
    /// 0, 1, 2 … in the order of the plan.
    package var number: Int
    /// The intended time of sending, from the run's start; all latencies count from it. Nil in a closed loop (as soon as a place is
    /// free) and for later turns of a session (`thinkTime` after the turn before ended).
    package var due: Duration?
    /// Requests of one session are sent one after the other, in the order of their turns.
    package var session: Int?
    package var turn = 0
    package var thinkTime: Duration = .zero
    package var prompt: Prompt
    /// What the plan takes the prompt to be; nil: the server will say.
    package var expectedInputTokens: Int?
    package var maximumOutputTokens: Int
    /// From `due`: the client gives up then. Nil: the run's default.
    package var deadline: Duration?
    package var trouble: Trouble?
    /// Sent before the measurement begins; counted nowhere.
    package var isWarmup = false

    package init(number: Int, due: Duration? = nil, prompt: Prompt, maximumOutputTokens: Int) {
        self.number = number
        self.due = due
        self.prompt = prompt
        self.maximumOutputTokens = maximumOutputTokens
    }
}

/// What the model is asked.
package enum Prompt: Sendable, Equatable {
    case text(String)
    case tokens([Int32])
    /// The new messages only: in a later turn of a session the conversation so far goes before them.
    case chat([ChatMessage])
}

package struct ChatMessage: Sendable, Equatable {
    package var role: String
    package var text: String
    /// Each a `data:` URL; sent before the text as parts of type `image_url`.
    package var images: [String]

    package init(role: String, text: String, images: [String] = []) {
        self.role = role
        self.text = text
        self.images = images
    }
}

/// What a client does that a server must survive. Times count from the first byte of the answer's head, or from sending where none came.
package enum Trouble: Sendable, Equatable {
    /// Over HTTP/2 RST_STREAM(CANCEL); over HTTP/1.1 the connection is closed.
    case cancel(after: Duration)
    /// Reads no faster than this: windows over HTTP/2, the socket over HTTP/1.1.
    case readSlowly(bytesPerSecond: Int)
    /// Reads nothing from then on, and holds the connection until the deadline.
    case stopReading(after: Duration)
    /// Its connection is reset (TCP RST), and with it, over HTTP/2, every stream on it.
    case vanish(after: Duration)
}
