package import Platform

/// A refusal or failure as the client reads it. One shape everywhere: in a body, and in a stream after its head was sent.
package struct APIError: Error, Equatable, Sendable {
    /// The closed list of `code` values. Clients branch on them, so none is ever renamed.
    package enum Code: String, CaseIterable, Sendable {
        case invalidJSON = "invalid_json"
        case invalidType = "invalid_type"
        case invalidValue = "invalid_value"
        case missingParameter = "missing_parameter"
        case unsupportedParameter = "unsupported_parameter"
        case imageRejected = "image_rejected"
        case contextLengthExceeded = "context_length_exceeded"
        case invalidAPIKey = "invalid_api_key"
        case routeNotFound = "route_not_found"
        case modelNotFound = "model_not_found"
        case methodNotAllowed = "method_not_allowed"
        case payloadTooLarge = "payload_too_large"
        case unsupportedMediaType = "unsupported_media_type"
        case rateLimitExceeded = "rate_limit_exceeded"
        case serverOverloaded = "server_overloaded"
        case internalError = "internal_error"
        case draining
        case modelLoading = "model_loading"
        case workerLost = "worker_lost"
        case requestCancelled = "request_cancelled"
        case deadlineExceeded = "deadline_exceeded"
        /// These three are the connection's own, for requests of which no route hears. The first has the statuses 414, 417 and 431, too,
        /// and the last 505.
        case malformedRequest = "malformed_request"
        case requestTimeout = "request_timeout"
        case notImplemented = "not_implemented"

        package var status: Int {
            switch self {
            case .invalidJSON, .invalidType, .invalidValue, .missingParameter, .unsupportedParameter, .imageRejected,
                .contextLengthExceeded, .malformedRequest:
                400
            case .invalidAPIKey: 401
            case .routeNotFound, .modelNotFound: 404
            case .methodNotAllowed: 405
            case .requestTimeout: 408
            case .payloadTooLarge: 413
            case .unsupportedMediaType: 415
            case .rateLimitExceeded, .serverOverloaded: 429
            case .internalError: 500
            case .notImplemented: 501
            case .draining, .modelLoading, .workerLost, .requestCancelled: 503
            case .deadlineExceeded: 504
            }
        }

        /// OpenAI's coarser class of the error.
        package var type: String {
            switch status {
            case 401: "authentication_error"
            case 404: "not_found_error"
            case 400, 405, 408, 413, 415: "invalid_request_error"
            case 429: "rate_limit_error"
            default: "server_error"
            }
        }

        /// Whether the same request can succeed later: sent as `x-should-retry`, which stops the SDKs from repeating what
        /// cannot work. An expired deadline is not repeated: the answer is late already and the work would be done twice.
        package var isRetryable: Bool { status == 408 || status == 429 || status == 503 }
    }

    package let code: Code
    package let message: String
    /// The JSON path of the member at fault, such as `messages[2].content[0].type`.
    package let param: String?
    /// When trying again makes sense; only for retryable codes, and then always sent (one second when nothing is known).
    package let retryAfter: Duration?
    /// The methods that the route has, for `allow`.
    package let allowedMethods: [String]

    package init(_ code: Code, _ message: String, param: String? = nil, retryAfter: Duration? = nil, allowedMethods: [String] = []) {
        self.code = code
        self.message = message
        self.param = param
        self.retryAfter = retryAfter
        self.allowedMethods = allowedMethods
    }

    /// Fields that go with the error, beside those of every response.
    package var headers: [(name: String, value: String)] {
        var headers: [(name: String, value: String)] = []
        if code.isRetryable {
            let milliseconds = max(1, Int(((retryAfter ?? .seconds(1)).inMilliseconds).rounded(.up)))
            headers.append(("retry-after", "\((milliseconds + 999) / 1000)"))
            headers.append(("retry-after-ms", "\(milliseconds)"))
            headers.append(("x-should-retry", "true"))
        } else if code.status >= 500 {
            headers.append(("x-should-retry", "false"))
        }
        if code == .invalidAPIKey { headers.append(("www-authenticate", "Bearer")) }
        if !allowedMethods.isEmpty { headers.append(("allow", allowedMethods.joined(separator: ", "))) }
        return headers
    }

    /// `{"error":{…}}`
    package var body: [UInt8] {
        var writer = JSONWriter(capacity: 192 + message.utf8.count)
        write(to: &writer)
        return writer.bytes
    }

    package func write(to writer: inout JSONWriter) {
        writer.beginObject()
        writer.key("error")
        writer.beginObject()
        writer.field("message", message)
        writer.field("type", code.type)
        writer.key("param")
        if let param { writer.string(param) } else { writer.null() }
        writer.field("code", code.rawValue)
        writer.endObject()
        writer.endObject()
    }
}
