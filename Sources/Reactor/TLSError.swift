internal import COpenSSL

/// What OpenSSL refused, in its own words, and on what.
package struct TLSError: Error, Equatable, CustomStringConvertible {
    /// What was tried, as a verb phrase: "load the certificate chain /etc/ferry/cert.pem".
    package let attempt: String
    package let reason: String

    package init(attempt: String, reason: String) {
        self.attempt = attempt
        self.reason = reason
    }

    /// Takes the reasons from this thread's error queue, which is empty afterwards.
    init(_ attempt: String) {
        self.attempt = attempt
        var reasons: [String] = []
        while true {
            let code = ERR_get_error()
            guard code != 0 else { break }
            // Reasons outlive the call: they are static tables; unknown codes have none.
            let text = unsafe ERR_reason_error_string(code).map { unsafe String(cString: $0) } ?? "error \(code)"
            if reasons.count < 4, !reasons.contains(text) { reasons.append(text) }
        }
        self.reason = reasons.isEmpty ? "no reason given" : reasons.joined(separator: "; ")
    }

    package var description: String { "cannot \(attempt): \(reason)" }
}
