internal import COpenSSL
internal import Platform
internal import Synchronization

/// The protocols offered or accepted by ALPN, most wanted first.
package enum ApplicationProtocols: Int, Sendable {
    case http2OrHTTP1 = 1, http2, http1

    /// As on the wire: each name behind its length. Immortal, because contexts refer to it for as long as a session lives.
    var wireFormat: StaticString {
        switch self {
        case .http2OrHTTP1: "\u{2}h2\u{8}http/1.1"
        case .http2: "\u{2}h2"
        case .http1: "\u{8}http/1.1"
        }
    }
}

/// The versions of TLS that are spoken at all.
package enum TLSVersion: Sendable {
    case tls12, tls13

    var number: Int32 {
        switch self {
        case .tls12: TLS1_2_VERSION
        case .tls13: TLS1_3_VERSION
        }
    }
}

/// Files that make up one side's identity and trust, all PEM.
package struct TLSFiles: Sendable, Equatable {
    /// The certificate and its intermediates, leaf first.
    package var certificateChain: String
    package var privateKey: String
    /// Authorities whose certificates the other side must present. On a server this turns on mutual TLS.
    package var peerAuthorities: String?

    package init(certificateChain: String, privateKey: String, peerAuthorities: String? = nil) {
        self.certificateChain = certificateChain
        self.privateKey = privateKey
        self.peerAuthorities = peerAuthorities
    }
}

/// One side's certificates, keys and rules for TLS, from which sessions are made. Any thread.
package final class TLSContext: Sendable {
    package enum Side: Sendable, Equatable {
        case server
        /// Trusts `TLSFiles.peerAuthorities`, else the system's authorities.
        case client
    }

    package let side: Side
    private let protocols: ApplicationProtocols
    private let minimumVersion: TLSVersion
    private let files: TLSFiles?
    /// A client's authorities when it has no certificate of its own.
    private let authorities: String?
    private let verifies: Bool
    private let current: Mutex<Handle>

    /// A server's context.
    ///
    /// - Throws: `TLSError` naming the file and what OpenSSL finds wrong with it, also when key and certificate do not belong
    /// together.
    package init(
        server files: TLSFiles, protocols: ApplicationProtocols, minimumVersion: TLSVersion = .tls12
    ) throws(TLSError) {
        self.side = .server
        self.protocols = protocols
        self.minimumVersion = minimumVersion
        self.files = files
        self.authorities = files.peerAuthorities
        self.verifies = true
        self.current = Mutex(try Handle.make(.server, files, files.peerAuthorities, protocols, minimumVersion, true))
    }

    /// A client's context: with `files` it presents a certificate; `authorities` (a PEM file) replaces the system's.
    ///
    /// `verifies` false takes any server's word for who it is: for measurements on one's own machines only.
    ///
    /// Under TLS 1.3 a client's handshake is complete before the server has looked at its certificate: a client that is not let in
    /// hears so afterwards, as the end of its stream.
    package init(
        client files: TLSFiles? = nil, authorities: String? = nil, protocols: ApplicationProtocols, minimumVersion: TLSVersion = .tls12,
        verifies: Bool = true
    ) throws(TLSError) {
        self.side = .client
        self.protocols = protocols
        self.minimumVersion = minimumVersion
        self.files = files
        self.authorities = authorities ?? files?.peerAuthorities
        self.verifies = verifies
        self.current = Mutex(try Handle.make(.client, files, self.authorities, protocols, minimumVersion, verifies))
    }

    /// Reads the files again, for renewed certificates. Running sessions keep what they began with; on error nothing changes.
    package func reload() throws(TLSError) {
        // Built under the lock: new sessions wait for the few milliseconds that parsing takes.
        try current.withLock { (handle) throws(TLSError) in
            let fresh = try Handle.make(side, files, authorities, protocols, minimumVersion, verifies)
            handle = fresh
        }
    }

    /// A new session object holding its own reference on the context's current state.
    func makeSession() -> OpaquePointer {
        unsafe current.withLock { handle in
            // Fails only for want of memory.
            guard let session = unsafe SSL_new(handle.context) else { preconditionFailure("OpenSSL has no memory for a session") }
            return unsafe session
        }
    }
}

/// Owns one reference on an `SSL_CTX`.
@safe
private struct Handle: ~Copyable {
    let context: OpaquePointer

    static func make(
        _ side: TLSContext.Side, _ files: TLSFiles?, _ authorities: String?, _ protocols: ApplicationProtocols,
        _ minimumVersion: TLSVersion, _ verifies: Bool
    ) throws(TLSError) -> Handle {
        ERR_clear_error()
        guard let context = unsafe SSL_CTX_new(side == .server ? TLS_server_method() : TLS_client_method()) else {
            throw TLSError("make a TLS context")
        }
        let handle = unsafe Handle(adopting: context, minimumVersion)
        if let files { try handle.load(files) }
        if verifies { try handle.trust(authorities, side: side) }
        try handle.negotiate(protocols, side: side)
        return handle
    }

    private init(adopting context: OpaquePointer, _ minimumVersion: TLSVersion) {
        unsafe self.context = context
        // These set fields and cannot fail with the constants given.
        unsafe _ = copenssl_set_min_version(context, minimumVersion.number)
        unsafe copenssl_set_modes(context)
        unsafe copenssl_set_options(context)
    }

    deinit { unsafe SSL_CTX_free(context) }

    private borrowing func load(_ files: TLSFiles) throws(TLSError) {
        try requireReadable(files.certificateChain, "certificate chain")
        guard unsafe SSL_CTX_use_certificate_chain_file(context, files.certificateChain) == 1 else {
            throw TLSError("load the certificate chain \(files.certificateChain) (PEM, leaf first)")
        }
        try requireReadable(files.privateKey, "private key")
        guard unsafe SSL_CTX_use_PrivateKey_file(context, files.privateKey, SSL_FILETYPE_PEM) == 1 else {
            throw TLSError("load the private key \(files.privateKey) (PEM, without passphrase, for \(files.certificateChain))")
        }
        guard unsafe SSL_CTX_check_private_key(context) == 1 else {
            throw TLSError("use the private key \(files.privateKey) with the certificate \(files.certificateChain)")
        }
    }

    private borrowing func trust(_ authorities: String?, side: TLSContext.Side) throws(TLSError) {
        guard let authorities else {
            guard side == .client else { return }
            guard unsafe SSL_CTX_set_default_verify_paths(context) == 1 else { throw TLSError("load the system's authorities") }
            return unsafe copenssl_verify_server(context)
        }
        try requireReadable(authorities, "authorities")
        guard unsafe SSL_CTX_load_verify_locations(context, authorities, nil) == 1 else {
            throw TLSError("load the authorities \(authorities) (PEM)")
        }
        guard side == .server else { return unsafe copenssl_verify_server(context) }
        // The names are a hint for the client which certificate to send; the context takes the list over.
        unsafe SSL_CTX_set_client_CA_list(context, SSL_load_client_CA_file(authorities))
        // Without a session id context, OpenSSL refuses to resume sessions that have a client certificate.
        let name: StaticString = "ferry"
        unsafe _ = SSL_CTX_set_session_id_context(context, name.utf8Start, UInt32(name.utf8CodeUnitCount))
        unsafe copenssl_require_peer_certificate(context)
    }

    private borrowing func negotiate(_ protocols: ApplicationProtocols, side: TLSContext.Side) throws(TLSError) {
        let list = protocols.wireFormat
        if side == .client {
            // Zero is success here, other than everywhere else.
            guard unsafe SSL_CTX_set_alpn_protos(context, list.utf8Start, UInt32(list.utf8CodeUnitCount)) == 0 else {
                throw TLSError("offer protocols")
            }
        } else {
            unsafe SSL_CTX_set_alpn_select_cb(context, selectProtocol, UnsafeMutableRawPointer(bitPattern: protocols.rawValue))
        }
    }
}

/// OpenSSL's own words for a missing file are about BIOs; ours name the file.
private func requireReadable(_ path: String, _ role: String) throws(TLSError) {
    do throws(FileError) {
        _ = try MappedFile(path: path)
    } catch {
        throw TLSError(attempt: "load the \(role) \(path)", reason: error.detail)
    }
}

/// Picks the server's most wanted protocol among those the client offers; without a common one the handshake fails (RFC 7301).
@c private func selectProtocol(
    _ session: OpaquePointer?, _ out: UnsafeMutablePointer<UnsafePointer<UInt8>?>?, _ outLength: UnsafeMutablePointer<UInt8>?,
    _ offered: UnsafePointer<UInt8>?, _ offeredLength: UInt32, _ argument: UnsafeMutableRawPointer?
) -> Int32 {
    guard let protocols = ApplicationProtocols(rawValue: Int(bitPattern: argument)) else { return SSL_TLSEXT_ERR_ALERT_FATAL }
    let list = protocols.wireFormat
    var chosen: UnsafeMutablePointer<UInt8>?
    // The answer points into our list, which is immortal, or on failure into the client's, which is then not used.
    let count = UInt32(list.utf8CodeUnitCount)
    let status = unsafe SSL_select_next_proto(&chosen, outLength, list.utf8Start, count, offered, offeredLength)
    guard status == OPENSSL_NPN_NEGOTIATED else { return SSL_TLSEXT_ERR_ALERT_FATAL }
    unsafe out!.pointee = UnsafePointer(chosen)
    return SSL_TLSEXT_ERR_OK
}
