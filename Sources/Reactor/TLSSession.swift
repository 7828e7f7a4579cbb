internal import COpenSSL

/// One TLS connection without a socket: ciphertext in, plaintext out, and the reverse. One thread at a time.
///
/// Feed what the network delivers, then call `read` until it has nothing; after every call take the ciphertext and send it.
/// Inside, at most what was fed and not yet read is kept, plus what was not yet taken.
@safe
package struct TLSSession: ~Copyable {
    package enum Read: Equatable {
        case bytes(Int)
        /// Nothing until more ciphertext is fed.
        case needsInput
        /// The peer has ended its direction properly (close_notify).
        case ended
    }

    private let session: OpaquePointer
    /// Owned by the session.
    private let input: OpaquePointer
    private let output: OpaquePointer
    /// After a fatal error OpenSSL allows nothing but taking the alert that is to be sent.
    private var failure: TLSError?

    /// - Parameter serverName: on a client, the name or numeric address that the server's certificate must carry.
    package init(_ context: TLSContext, serverName: String? = nil) {
        unsafe session = context.makeSession()
        guard let input = unsafe BIO_new(BIO_s_mem()), let output = unsafe BIO_new(BIO_s_mem()) else {
            preconditionFailure("OpenSSL has no memory for a session")
        }
        unsafe self.input = input
        unsafe self.output = output
        // An empty memory BIO means "later", not "end".
        unsafe copenssl_empty_means_retry(input)
        unsafe copenssl_empty_means_retry(output)
        unsafe SSL_set_bio(session, input, output)
        switch context.side {
        case .server: unsafe SSL_set_accept_state(session)
        case .client:
            unsafe SSL_set_connect_state(session)
            if let serverName { expect(serverName) }
        }
    }

    deinit { unsafe SSL_free(session) }

    package var isEstablished: Bool { unsafe SSL_is_init_finished(session) == 1 }

    /// "TLSv1.3" or "TLSv1.2".
    package var version: String { unsafe String(cString: SSL_get_version(session)) }

    package var negotiatedProtocol: String? {
        var name: UnsafePointer<UInt8>?
        var length: UInt32 = 0
        unsafe SSL_get0_alpn_selected(session, &name, &length)
        guard let name = unsafe name, length > 0 else { return nil }
        return unsafe String(decoding: UnsafeBufferPointer(start: name, count: Int(length)), as: UTF8.self)
    }

    /// SHA-256 of the peer's certificate, if it has presented one (and so, with authorities configured, a trusted one).
    package var peerFingerprint: [UInt8]? {
        guard let certificate = unsafe SSL_get0_peer_certificate(session) else { return nil }
        var digest = [UInt8](repeating: 0, count: 32)
        var length: UInt32 = 0
        guard unsafe X509_digest(certificate, EVP_sha256(), &digest, &length) == 1 else { return nil }
        return digest
    }

    /// Ciphertext from the network. Read until `needsInput` before feeding more: all that was not read is kept.
    package mutating func feed(_ ciphertext: RawSpan) throws(TLSError) {
        try refuseAfterFailure()
        ERR_clear_error()
        // A memory BIO grows as needed, up to a limit of OpenSSL's own.
        let taken = unsafe ciphertext.withUnsafeBytes { unsafe BIO_write(input, $0.baseAddress, Int32($0.count)) }
        guard taken == ciphertext.byteCount else { throw fail("keep \(ciphertext.byteCount) bytes for the TLS session") }
    }

    /// Goes on with the handshake as far as the fed bytes allow.
    ///
    /// - Returns: true once it is complete.
    package mutating func handshake() throws(TLSError) -> Bool {
        try refuseAfterFailure()
        if isEstablished { return true }
        ERR_clear_error()
        let status = unsafe SSL_do_handshake(session)
        if status == 1 { return true }
        let error = unsafe SSL_get_error(session, status)
        if error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE { return false }
        throw fail("complete the TLS handshake")
    }

    /// Takes plaintext, at most one record (16 KiB) at a time.
    package mutating func read(into buffer: UnsafeMutableRawBufferPointer) throws(TLSError) -> Read {
        try refuseAfterFailure()
        ERR_clear_error()
        let count = unsafe SSL_read(session, buffer.baseAddress, Int32(clamping: buffer.count))
        if count > 0 { return .bytes(Int(count)) }
        switch unsafe SSL_get_error(session, count) {
        case SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE: return .needsInput
        case SSL_ERROR_ZERO_RETURN: return .ended
        default: throw fail("read from the TLS session")
        }
    }

    /// Encrypts all of `plaintext`. Only once the handshake is complete.
    package mutating func write(_ plaintext: RawSpan) throws(TLSError) {
        try refuseAfterFailure()
        precondition(isEstablished, "writing to a TLS session before its handshake is complete")
        var done = 0
        while done < plaintext.byteCount {
            let rest = plaintext.extracting(done..<min(plaintext.byteCount, done + 1 << 20))
            ERR_clear_error()
            let count = unsafe rest.withUnsafeBytes { unsafe SSL_write(session, $0.baseAddress, Int32($0.count)) }
            // The output BIO takes everything and renegotiation is off, so there is nothing to wait for.
            guard count > 0 else { throw fail("write to the TLS session") }
            done += Int(count)
        }
    }

    /// Says goodbye; the peer may go on sending.
    package mutating func closeNotify() {
        guard failure == nil, isEstablished else { return }
        ERR_clear_error()
        // 0 means sent and not yet answered; an error can only mean that the session is already broken.
        unsafe _ = SSL_shutdown(session)
        ERR_clear_error()
    }

    package var pendingCiphertext: Int { unsafe Int(BIO_ctrl_pending(output)) }

    /// Hands over all ciphertext that is to be sent, valid for the call.
    package mutating func takeCiphertext(_ body: (RawSpan) -> Void) {
        let count = pendingCiphertext
        guard count > 0 else { return }
        unsafe withUnsafeTemporaryAllocation(byteCount: min(count, 32 << 10), alignment: 16) { buffer in
            while true {
                let taken = unsafe BIO_read(output, buffer.baseAddress, Int32(buffer.count))
                guard taken > 0 else { return }
                body(unsafe UnsafeRawBufferPointer(rebasing: buffer[..<Int(taken)]).bytes)
            }
        }
    }

    private func expect(_ name: String) {
        // Fails only for want of memory, or for a name too long to be in any certificate, which then fails verification.
        if isIPv4(name) || isIPv6(name) {
            unsafe _ = X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(session), name)
        } else {
            unsafe _ = SSL_set1_host(session, name)
            unsafe _ = copenssl_set_server_name(session, name)
        }
    }

    private mutating func fail(_ attempt: String) -> TLSError {
        let verification = unsafe SSL_get_verify_result(session)
        var error = TLSError(attempt)
        if verification != Int(X509_V_OK), let text = unsafe X509_verify_cert_error_string(verification) {
            error = unsafe TLSError(attempt: attempt, reason: error.reason + ": " + String(cString: text))
        }
        failure = error
        return error
    }

    private func refuseAfterFailure() throws(TLSError) {
        if let failure { throw failure }
    }
}
