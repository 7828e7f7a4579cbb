/// What the connection itself answers when it finds an error before a route is found: the error object of the inference API, with
/// codes, types and fields as the routes give them.
struct RefusalAnswer {
    let head: ResponseHead
    let body: [UInt8]

    /// - Parameters:
    ///   - refusal: its reason is ours and needs no escapes.
    ///   - requestID: empty: none is sent.
    init(_ refusal: HTTP1Refusal, requestID: String) {
        let (code, isRetryable): (String, Bool?) =
            switch refusal.status {
            // Nothing was done for it, so that sending it again, faster, is safe.
            case 408: ("request_timeout", true)
            case 501, 505: ("not_implemented", false)
            default: ("malformed_request", nil)
            }
        let type = refusal.status < 500 ? "invalid_request_error" : "server_error"
        body = Array(#"{"error":{"message":"\#(refusal.reason)","type":"\#(type)","param":null,"code":"\#(code)"}}"#.utf8)
        var headers: HTTPHeaders = ["content-type": "application/json", "content-length": String(body.count)]
        if !requestID.isEmpty { headers.append("x-request-id", requestID) }
        if let isRetryable { headers.append("x-should-retry", isRetryable ? "true" : "false") }
        head = ResponseHead(status: refusal.status, headers: headers)
    }

    /// A complete HTTP/1.1 answer, after which the connection closes.
    func write(to out: inout ByteQueue, date: String) {
        HTTP1ResponseWriter.writeHead(
            head, framing: .length(remaining: body.count), keepAlive: false, version: .http11, date: date, to: &out)
        unsafe out.append(body.span.bytes)
    }
}

/// Names for requests that a connection refuses: 32 hexadecimal digits, as the routes give, out of the connection's name.
func refusalID(connection name: String, number: Int) -> String {
    guard !name.isEmpty else { return "" }
    let digits = String(number, radix: 16)
    return name + String(repeating: "0", count: max(0, 16 - digits.count)) + digits
}
