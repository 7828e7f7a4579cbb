/// Settings of the gateway. Defaults are the documentation.
package struct GatewayConfiguration: Sendable {
    /// Keys that open the API; none: open to all who can connect. `/health` is always open.
    package var keys: APIKeys
    /// What is taken on; beyond: 429 with the time to come back.
    package var admission = AdmissionControl.Bounds()
    /// Bytes of a request's body; beyond: 413 before it is read.
    package var bodyLimit = 32 << 20
    /// Requests that wait for template and tokenisation. Beyond: 429.
    package var preparationLimit = 256
    /// Silence after which a stream gets a comment frame. Proxies give up after 50 to 60 s; at most 15 s are allowed here.
    package var keepAlive: Duration = .seconds(10)
    /// Bytes of an answer that are gathered for a slow client, at which its stream is cancelled. What goes to the server pauses before,
    /// at the server's high-water mark; what the worker computes meanwhile is gathered and becomes larger chunks.
    package var bufferLimit = 512 << 10
    /// The deadline that every request gets; its end is reported as `deadline_exceeded`.
    package var requestTimeout: Duration = .seconds(3600)
    /// `max_tokens` of completions that name none. OpenAI's default.
    package var completionTokens = 16

    /// How KV travels between workers.
    package var transferProfiles = TransferProfiles()

    package init() {
        do { keys = try APIKeys() } catch { preconditionFailure("no keys are no bad keys: \(error)") }
    }

    /// What is out of bounds, one sentence each, naming the key.
    package func problems() -> [String] {
        var problems: [String] = []
        func require(_ holds: Bool, _ sentence: String) { if !holds { problems.append(sentence) } }
        require((1...1_000_000).contains(admission.sequences), "admission.sequences: 1 to 1000000 was expected, found \(admission.sequences)")
        require(
            (1...1_000_000_000).contains(admission.queuedTokens),
            "admission.queuedTokens: 1 to 1000000000 was expected, found \(admission.queuedTokens)")
        require((1 << 10...1 << 30).contains(bodyLimit), "bodyLimit: 1024 to 1073741824 was expected, found \(bodyLimit)")
        require((1...1_000_000).contains(preparationLimit), "preparationLimit: 1 to 1000000 was expected, found \(preparationLimit)")
        require(
            keepAlive >= .milliseconds(100) && keepAlive <= .seconds(15), "keepAlive: 0.1 to 15 seconds was expected, found \(keepAlive)")
        require((1 << 10...1 << 30).contains(bufferLimit), "bufferLimit: 1024 to 1073741824 was expected, found \(bufferLimit)")
        require(
            requestTimeout >= .seconds(1) && requestTimeout <= .seconds(86_400),
            "requestTimeout: 1 to 86400 seconds was expected, found \(requestTimeout)")
        require((1...1_000_000).contains(completionTokens), "completionTokens: 1 to 1000000 was expected, found \(completionTokens)")
        return problems
    }
}
