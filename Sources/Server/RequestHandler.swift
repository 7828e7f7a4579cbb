package import HTTP

/// What a server hands requests to. All calls are made on the server's reactor and must return soon.
package protocol RequestHandler: AnyObject {
    /// How many bytes of body a request with this head may have; larger ones are answered with 413 without being read.
    /// Called for requests with a body, before any of it is read.
    func bodyLimit(for head: HTTPHead) -> Int

    /// Whether the body goes to the exchange's `onBody` as it comes: then `handle` is called as soon as the head is there, `bodyLimit` is not
    /// asked, and the time a client takes to send the body is the handler's affair. False unless a handler says otherwise.
    func streamsBody(for head: HTTPHead) -> Bool

    /// A complete request, or the head of one whose body streams. It must be answered or aborted in the end, whatever happens; there is no time limit here.
    func handle(_ exchange: Exchange)

    /// Answers a request that the server refuses before its body is complete (413, 503), in the service's own error shape.
    func refuse(_ exchange: Exchange, status: Int, reason: String)
}

extension RequestHandler {
    package func streamsBody(for head: HTTPHead) -> Bool { false }

    package func refuse(_ exchange: Exchange, status: Int, reason: String) {
        exchange.refuse(status: status, reason: reason)
    }
}

extension Exchange {
    /// Answers with the error object of the OpenAI API. `reason` must need no escapes in JSON.
    func refuse(status: Int, reason: String) {
        let kind = status < 500 ? "invalid_request_error" : "server_error"
        let code = status == 413 ? "payload_too_large" : "server_overloaded"
        let body = #"{"error":{"message":"\#(reason)","type":"\#(kind)","param":null,"code":"\#(code)"}}"#
        var headers: HTTPHeaders = ["content-type": "application/json"]
        if status == 503 {
            headers.append("retry-after", "1")
            headers.append("retry-after-ms", "1000")
            headers.append("x-should-retry", "true")
        }
        respond(status: status, headers: headers, body: Array(body.utf8))
    }
}
