/// A request that will not be served: the status that says so, and the reason in words. The connection closes after it.
struct HTTP1Refusal: Error, Equatable {
    let status: Int
    let reason: String

    init(_ status: Int, _ reason: String) {
        self.status = status
        self.reason = reason
    }

    /// A complete HTTP/1.1 answer.
    func write(to out: inout ByteQueue, date: String) {
        let body = ErrorBody.json(status: status, reason: reason)
        out.append("HTTP/1.1 \(status) \(HTTPStatus.reason(status))\r\n")
        if !date.isEmpty { out.append("date: \(date)\r\n") }
        out.append(
            "server: ferry\r\ncontent-type: application/json\r\ncontent-length: \(body.utf8.count)\r\nconnection: close\r\n\r\n")
        out.append(body)
    }
}

/// The error object of the inference API, for errors that are found before a route is.
enum ErrorBody {
    /// `reason` is ours and needs no escapes.
    static func json(status: Int, reason: String) -> String {
        let code = HTTPStatus.errorCode(status)
        return #"{"error":{"message":"\#(reason)","type":"invalid_request_error","param":null,"code":"\#(code)"}}"#
    }
}
