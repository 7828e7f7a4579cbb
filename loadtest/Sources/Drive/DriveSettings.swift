internal import HTTP
internal import Reactor

/// How a plan is carried out: where, over what, within which bounds.
struct DriveSettings: Sendable {
    var target: Target
    var version = WireVersion.http1
    /// Needed where a target is `https`.
    var tls: TLSContext?
    /// Connections at once.
    var connections = 1000
    /// HTTP/2: streams of one connection, and the window of each.
    var streamsPerConnection = 100
    var streamWindow = 256 << 10

    var endpoint = InferenceEndpoint.chat
    var model = ""
    /// Beside `content-type`; names in lower case.
    var headers = HTTPHeaders()
    var body = BodyOptions()

    var rules = Pacer.Rules()
    /// After the duration, for what is in flight.
    var grace: Duration = .seconds(30)
    var limits = AnswerLimits()
    /// Keeps answers' texts in the record.
    var keepsText = false

    /// Read once a second.
    var metrics: Target?
    var hooks: [Hook] = []
    /// Ctrl-C ends the run instead of the program; a second one ends the program.
    var heedsInterrupt = false

    init(target: Target) { self.target = target }
}
