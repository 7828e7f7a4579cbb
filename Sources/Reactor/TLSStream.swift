/// TLS over another stream. Lives where that stream lives and owns it.
///
/// Plaintext written before the handshake is complete waits; when it completes, `onEstablished` is called once, then bytes flow.
/// An end without close_notify counts as an end: the protocols above know their own lengths.
@safe
package final class TLSStream: ByteStream {
    package let reactor: Reactor
    package var receiver: (any ByteStreamReceiver)?
    package var peer: Endpoint? { transport.peer }
    package private(set) var negotiatedProtocol: String?
    package var isEncrypted: Bool { true }
    package private(set) var isEstablished = false
    /// As `TLSSession.peerFingerprint`, once established.
    package private(set) var peerFingerprint: [UInt8]?
    package var bytesReceived: UInt64 { transport.bytesReceived }
    package var bytesSent: UInt64 { transport.bytesSent }

    private let transport: TCPStream
    private var session: TLSSession
    /// Called once when the handshake is complete; a failed one closes the stream.
    package var onEstablished: (() -> Void)?
    /// Plaintext for after the handshake.
    private var early: [UInt8] = []
    private var wantsReading = false
    private var wantsFinish = false
    private var hasEnded = false
    private var hasFinished = false
    private var transportEnded = false
    /// True while plaintext is being handed on, so that a receiver's call does not begin a second round inside the first.
    private var isDelivering = false
    private var isInTurnEnd = false

    /// Takes `transport` over, which must not have been read from, and begins the handshake.
    ///
    /// - Parameters:
    ///   - serverName: on a client, what the server's certificate must be for.
    ///   - established: becomes `onEstablished`.
    package init(
        over transport: TCPStream, context: TLSContext, serverName: String? = nil, established: (() -> Void)? = nil
    ) {
        self.reactor = transport.reactor
        self.transport = transport
        self.session = TLSSession(context, serverName: serverName)
        self.onEstablished = established
        transport.receiver = self
        transport.resumeReading()
        if context.side == .client { deliverLater() }
    }

    package var drainMark: Int {
        get { transport.drainMark }
        set { transport.drainMark = newValue }
    }

    package var queuedBytes: Int { transport.queuedBytes + early.count }

    // MARK: Writing

    package func write(_ bytes: RawSpan) {
        precondition(!wantsFinish || !transport.isOpen, "writing to a stream after finishWriting()")
        guard transport.isOpen else { return }
        guard isEstablished else {
            unsafe bytes.withUnsafeBytes { unsafe early.append(contentsOf: $0) }
            return
        }
        do throws(TLSError) { try session.write(bytes) } catch { return close(.insecure(error)) }
        send()
    }

    package func write(_ bytes: consuming [UInt8]) { write(unsafe bytes.span.bytes) }

    package func write(_ bytes: [UInt8], _ range: Range<Int>) { write(unsafe bytes.span.bytes.extracting(range)) }

    package func finishWriting() {
        guard transport.isOpen, !wantsFinish else { return }
        wantsFinish = true
        if isEstablished { finish() }
    }

    package func closeWhenWritten() {
        finishWriting()
        if isEstablished { transport.closeWhenWritten() } else { close() }
    }

    private func finish() {
        session.closeNotify()
        send()
        hasFinished = true
        transport.finishWriting()
    }

    /// After our close_notify nothing may follow; answers that OpenSSL still wants to give (to a key update) are dropped.
    private func send() {
        session.takeCiphertext { if !hasFinished { transport.write($0) } }
    }

    // MARK: Reading

    package func resumeReading() {
        guard !wantsReading, !hasEnded else { return }
        wantsReading = true
        deliverLater()
    }

    package func pauseReading() {
        wantsReading = false
        if isEstablished { transport.pauseReading() }
    }

    /// Plaintext that was held back by a pause is handed on at the end of the turn, not inside `resumeReading()`.
    private func deliverLater() {
        guard !isInTurnEnd else { return }
        isInTurnEnd = true
        reactor.atTurnEnd(self)
    }

    private func advance() {
        guard transport.isOpen, !isDelivering else { return }
        isDelivering = true
        defer { isDelivering = false }
        do throws(TLSError) {
            if !isEstablished {
                let complete = try session.handshake()
                send()
                guard complete else { return endIfTransportEnded() }
                becomeEstablished()
            }
            try deliver()
            send()
        } catch {
            // The alert that tells the peer why.
            send()
            failAfterAlert(error)
        }
    }

    private func becomeEstablished() {
        isEstablished = true
        negotiatedProtocol = session.negotiatedProtocol
        peerFingerprint = session.peerFingerprint
        let tell = onEstablished
        onEstablished = nil
        tell?()
        guard transport.isOpen else { return }
        if !early.isEmpty {
            let waiting = early
            early = []
            write(waiting)
        }
        if wantsFinish { finish() }
        if !wantsReading { transport.pauseReading() }
    }

    private func deliver() throws(TLSError) {
        while wantsReading, transport.isOpen, !hasEnded {
            switch try unsafe session.read(into: reactor.plaintextBuffer) {
            case .bytes(let count):
                let bytes = unsafe UnsafeRawBufferPointer(rebasing: reactor.plaintextBuffer[..<count])
                receiver?.stream(self, didReceive: unsafe bytes.bytes)
            case .needsInput:
                if transportEnded { return end() }
                return transport.resumeReading()
            case .ended:
                return end()
            }
        }
    }

    /// Whatever follows close_notify is nobody's: it stays in the system's buffers.
    private func end() {
        guard !hasEnded else { return }
        hasEnded = true
        transport.pauseReading()
        receiver?.streamDidReachEnd(self)
    }

    private func endIfTransportEnded() {
        guard transportEnded else { return }
        close(.insecure(TLSError(attempt: "complete the TLS handshake", reason: "the peer closed the connection")))
    }

    // MARK: Ending

    package func close() { close(.closed) }

    package func close(_ reason: StreamEnd) { transport.close(reason) }

    /// As `TCPStream.reset`.
    package func reset() { transport.reset() }

    /// Writes the alert at once, as far as the socket takes it, and closes.
    private func failAfterAlert(_ error: TLSError) {
        guard transport.isOpen else { return }
        transport.flushNow()
        close(.insecure(error))
    }
}

extension TLSStream: TurnEndParticipant {
    package func turnEnds() {
        isInTurnEnd = false
        advance()
    }
}

extension TLSStream: ByteStreamReceiver {
    package func stream(_ stream: any ByteStream, didReceive bytes: RawSpan) {
        guard !hasEnded else { return }
        do throws(TLSError) { try session.feed(bytes) } catch { return close(.insecure(error)) }
        advance()
    }

    package func streamDidReachEnd(_ stream: any ByteStream) {
        transportEnded = true
        advance()
    }

    package func streamDidDrain(_ stream: any ByteStream) { receiver?.streamDidDrain(self) }

    package func streamDidClose(_ stream: any ByteStream, _ reason: StreamEnd) {
        let last = receiver
        receiver = nil
        onEstablished = nil
        last?.streamDidClose(self, reason)
    }
}
