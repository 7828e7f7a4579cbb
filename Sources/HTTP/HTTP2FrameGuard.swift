/// Counts what a peer does that costs us work and brings nobody forward.
///
/// nghttp2 itself bounds resets, CONTINUATION, and waiting acknowledgements; this guard bounds the rest.
/// It has no clock. A stream error is made good by a response that the peer lets come to its end, so that honest peers stay below
/// both limits for any length of time: a proxy whose users now and then send what is refused, beside those whose requests are served.
struct HTTP2FrameGuard {
    private let maximumIdleFrames: Int
    private let maximumStreamErrors: Int
    private var idleFrames = 0
    private(set) var streamErrors = 0

    init(limits: HTTPLimits) {
        self.maximumIdleFrames = limits.maximumIdleFrames
        self.maximumStreamErrors = limits.maximumStreamErrors
    }

    var isExceeded: Bool { idleFrames > maximumIdleFrames || streamErrors > maximumStreamErrors }

    var reason: String { streamErrors > maximumStreamErrors ? "too many stream errors" : "too many frames without progress" }

    mutating func idleFrame() { idleFrames += 1 }
    mutating func progress() { idleFrames = 0 }
    mutating func streamError() { streamErrors += 1 }
    mutating func served() { streamErrors = max(0, streamErrors - 1) }
}
