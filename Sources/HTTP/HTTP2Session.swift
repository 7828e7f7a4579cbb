internal import CNGHTTP2

/// An nghttp2 session, either side: frames, HPACK and flow control in C, streams and events in Swift.
///
/// Not Sendable and without threads: whoever owns the connection calls it. Callbacks only append events and change our own streams;
/// bytes go in by `receive` and out by `output`, never both at once.
@safe
final class HTTP2Session {
    enum Side { case server, client }

    let side: Side
    let limits: HTTPLimits
    let handle: OpaquePointer
    var streams: [StreamID: HTTP2Stream] = [:]
    var abuse: HTTP2FrameGuard
    /// Where `mem_send` and the body callback write; the caller's during `output`.
    var sink = HTTPOutput()
    /// The body callback refuses to go past this length of `sink`.
    var sinkLimit = 0
    var explanation = ""
    var owedContinues: [StreamID] = []
    var drainPing = false
    /// During a `receive` with `bodies`: body bytes interrupt nghttp2 instead of being copied into an event.
    var handsOverBodies = false
    /// The piece of a body, inside the bytes being received, at which nghttp2 was interrupted.
    var handedOver: (stream: StreamID, bytes: UnsafeRawBufferPointer)?
    private(set) var isDraining = false
    var isBroken = false
    var failure: HTTPError?
    var peerIsLeaving = false
    /// The peer's preface has come: it speaks HTTP/2, and its limits are known.
    var hasPeerSettings = false
    var events: EventQueue
    var counters: HTTPCounters
    var date = ""
    var name = ""

    /// All types but those of RFC 9113 (0 to 9), ALTSVC, ORIGIN and PRIORITY_UPDATE.
    private static let unknownFrameTypes = (UInt8(0x0B)...0xFF).filter { $0 != 0x0C && $0 != 0x10 }

    init(side: Side, limits: HTTPLimits, events: EventQueue = EventQueue(), counters: HTTPCounters = HTTPCounters()) {
        self.side = side
        self.limits = limits
        self.events = events
        self.counters = counters
        self.abuse = HTTP2FrameGuard(limits: limits)
        let callbacks = unsafe makeHTTP2Callbacks()
        defer { unsafe nghttp2_session_callbacks_del(callbacks) }
        var made: OpaquePointer?
        guard unsafe nghttp2_option_new(&made) == 0, let option = unsafe made else { fatalError("out of memory") }
        defer { unsafe nghttp2_option_del(option) }
        unsafe nghttp2_option_set_no_auto_window_update(option, 1)
        unsafe nghttp2_option_set_no_closed_streams(option, 1)
        unsafe nghttp2_option_set_max_outbound_ack(option, limits.maximumOutboundAcknowledgements)
        unsafe nghttp2_option_set_max_continuations(option, limits.maximumContinuations)
        unsafe nghttp2_option_set_stream_reset_rate_limit(option, UInt64(limits.resetBurst), UInt64(limits.resetsPerSecond))
        // Only types that are asked for are announced to `frameBegan`; without it unknown frames would be free of charge.
        for type in Self.unknownFrameTypes { unsafe nghttp2_option_set_user_recv_extension_type(option, type) }
        var session: OpaquePointer?
        // The user pointer is set below, when `self` is whole; no callback runs before the first bytes.
        let status =
            unsafe side == .server
            ? nghttp2_session_server_new2(&session, callbacks, nil, option)
            : nghttp2_session_client_new2(&session, callbacks, nil, option)
        guard status == 0, let session = unsafe session else { fatalError("out of memory") }
        unsafe self.handle = session
        unsafe nghttp2_session_set_user_data(session, Unmanaged.passUnretained(self).toOpaque())
        submitSettings()
    }

    deinit { unsafe nghttp2_session_del(handle) }

    private func submitSettings() {
        func entry(_ id: nghttp2_settings_id, _ value: Int) -> nghttp2_settings_entry {
            nghttp2_settings_entry(settings_id: Int32(id.rawValue), value: UInt32(value))
        }
        var entries = [
            entry(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, limits.streamWindow),
            entry(NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, limits.maximumHeaderBytes),
        ]
        if limits.maximumFrame != HTTPLimits.smallestFrame { entries.append(entry(NGHTTP2_SETTINGS_MAX_FRAME_SIZE, limits.maximumFrame)) }
        switch side {
        case .server:
            entries.append(entry(NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, limits.maximumConcurrentStreams))
            // Clients' wishes are ignored; see `share`.
            entries.append(entry(NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1))
        case .client:
            entries.append(entry(NGHTTP2_SETTINGS_ENABLE_PUSH, 0))
        }
        check(unsafe nghttp2_submit_settings(handle, flagNone, entries, entries.count), "submit settings")
        check(unsafe nghttp2_session_set_local_window_size(handle, flagNone, 0, Int32(limits.connectionWindow)), "set the window")
    }

    /// Want of memory is all that these calls can fail with when they are used rightly.
    func check(_ status: Int32, _ what: StaticString) {
        precondition(status == 0, "nghttp2 could not \(what): \(status)")
    }

    var flagNone: UInt8 { UInt8(NGHTTP2_FLAG_NONE.rawValue) }

    // MARK: State

    var wantsRead: Bool { unsafe !isBroken && nghttp2_session_want_read(handle) != 0 }
    var hasOutput: Bool { unsafe !isBroken && (!owedContinues.isEmpty || nghttp2_session_want_write(handle) != 0) }
    var isFinished: Bool { !wantsRead && !hasOutput }

    /// Bytes buffered on all streams.
    var bufferedBytes: Int { streams.values.reduce(0) { $0 + $1.out.count } }

    // MARK: Input

    /// - Parameter bodies: gets the pieces of bodies where they lie, without a copy and instead of `body` events. It is called between two
    ///   calls of nghttp2, not from within one, so it may do everything but receive; events that came before are in the queue.
    func receive(_ bytes: RawSpan, bodies: (StreamID, RawSpan) -> Void) {
        guard wantsRead else { return }
        handsOverBodies = true
        feed(bytes, bodies)
        handsOverBodies = false
    }

    func receive(_ bytes: RawSpan) {
        guard wantsRead else { return }
        feed(bytes) { _, _ in }
    }

    private func feed(_ bytes: RawSpan, _ bodies: (StreamID, RawSpan) -> Void) {
        var status = 0
        unsafe bytes.withUnsafeBytes { all in
            var read = 0
            repeat {
                unsafe handedOver = nil
                let rest = unsafe UnsafeRawBufferPointer(rebasing: all[read...])
                // Also with nothing left: after an interruption by the last bytes, what the frame's end means is still to be said.
                status = unsafe nghttp2_session_mem_recv(handle, rest.baseAddress?.assumingMemoryBound(to: UInt8.self), rest.count)
                guard status >= 0 else { return }
                read += status
                if let (stream, piece) = unsafe handedOver { bodies(stream, unsafe piece.bytes) }
            } while unsafe handedOver != nil && !isBroken
            unsafe handedOver = nil
        }
        if status < 0 {
            break_(status)
        } else if abuse.isExceeded, failure == nil {
            terminate(.enhanceYourCalm, abuse.reason)
        }
        settle()
    }

    private func break_(_ status: Int) {
        switch Int32(status) {
        case NGHTTP2_ERR_FLOODED.rawValue: terminate(.enhanceYourCalm, "too many acknowledgements or settings")
        case NGHTTP2_ERR_TOO_MANY_CONTINUATIONS.rawValue: terminate(.enhanceYourCalm, "too many CONTINUATION frames")
        case NGHTTP2_ERR_BAD_CLIENT_MAGIC.rawValue: terminate(.protocolError, "the connection preface is wrong")
        default:
            failure = .library(code: status, detail: unsafe String(cString: nghttp2_strerror(Int32(status))))
            isBroken = true
        }
    }

    func terminate(_ code: HTTP2ErrorCode, _ detail: String) {
        failure = .protocolError(code, detail: detail)
        let status = unsafe nghttp2_session_terminate_session(handle, code.rawValue)
        if status != 0 { isBroken = true }
    }

    /// Streams that outlive the session's will to talk are told so.
    func settle() {
        guard !streams.isEmpty, isFinished else { return }
        endAllStreams(failure == .timedOut ? .cancel : .protocolError)
    }

    private func endAllStreams(_ code: HTTP2ErrorCode) {
        for (id, stream) in streams.sorted(by: { $0.key < $1.key }) {
            streams[id] = nil
            guard stream.announced else { continue }
            if !stream.isDead { events.append(.reset(id, code)) }
            events.append(.streamClosed(id))
        }
    }

    func peerClosed() {
        guard !isBroken else { return }
        if !streams.isEmpty, failure == nil { failure = .peerClosed(openStreams: streams.count) }
        isBroken = true
        endAllStreams(.cancel)
    }

    func expire() {
        guard !isBroken, failure == nil else { return }
        terminate(.noError, "")
        failure = .timedOut
    }

    // MARK: Drain

    /// Server: announces the end with a GOAWAY that still accepts everything, and a PING; when the PING comes back, every request that
    /// was on its way has arrived, and the final GOAWAY names the last of them. Client: one GOAWAY; open streams go on.
    func beginDrain() {
        guard !isDraining, !isBroken else { return }
        isDraining = true
        switch side {
        case .server:
            check(unsafe nghttp2_submit_shutdown_notice(handle), "announce the shutdown")
            check(unsafe nghttp2_submit_ping(handle, flagNone, nil), "submit a ping")
            drainPing = true
        case .client:
            check(unsafe nghttp2_submit_goaway(handle, flagNone, 0, 0, nil, 0), "submit a goaway")
        }
    }

    /// The second step of the drain; also for an owner that does not want to wait for the peer's PING.
    func finishDrain() {
        guard side == .server, !isBroken else { return }
        isDraining = true
        drainPing = false
        let last = unsafe nghttp2_session_get_last_proc_stream_id(handle)
        check(unsafe nghttp2_submit_goaway(handle, flagNone, last, 0, nil, 0), "submit a goaway")
    }

    // MARK: Output

    /// Client: opens a stream; `nil` when the peer accepts no more, now or ever.
    func request(_ head: HTTPHead, endStream: Bool) -> StreamID? {
        guard !isBroken, failure == nil, !peerIsLeaving, !isDraining, streams.count < limits.maximumConcurrentStreams,
            unsafe nghttp2_session_check_request_allowed(handle) != 0,
            unsafe streams.count < Int(nghttp2_session_get_remote_settings(handle, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS))
        else { return nil }
        var fields: [(String, String)] = [
            (":method", head.method), (":scheme", head.scheme), (":authority", head.authority), (":path", head.target),
        ]
        if head.authority.isEmpty { fields.remove(at: 2) }
        append(head.headers, to: &fields)
        var provider = unsafe makeHTTP2Provider()
        let id = unsafe HTTP2FieldBlock(fields).withFields { block in
            unsafe withUnsafePointer(to: &provider) { body in
                unsafe nghttp2_submit_request(handle, nil, block.baseAddress, block.count, endStream ? nil : body, nil)
            }
        }
        guard id > 0 else { return nil }
        let stream = HTTP2Stream(id: id)
        stream.announced = true
        stream.submitted = true
        stream.finishing = endStream
        streams[id] = stream
        counters.requests += 1
        return id
    }

    func respond(_ id: StreamID, _ response: ResponseHead, endStream: Bool) {
        guard let stream = streams[id], !stream.isDead, !isBroken else { return }
        precondition(!stream.submitted, "stream \(id) was answered twice")
        precondition(response.status >= 200, "status \(response.status) is not a final response")
        stream.submitted = true
        stream.owesContinue = false
        stream.bodyless = endStream || stream.isHead || !HTTPStatus.hasBody(response.status)
        stream.finishing = endStream
        var fields = [(":status", String(response.status))]
        append(response.headers, to: &fields)
        if !date.isEmpty, !response.headers.contains("date") { fields.append(("date", date)) }
        if !response.headers.contains("server") { fields.append(("server", "ferry")) }
        var provider = unsafe makeHTTP2Provider()
        let bodyless = stream.bodyless
        let status = unsafe HTTP2FieldBlock(fields).withFields { block in
            unsafe withUnsafePointer(to: &provider) { body in
                unsafe nghttp2_submit_response(handle, id, block.baseAddress, block.count, bodyless ? nil : body)
            }
        }
        check(status, "submit a response")
    }

    func append(_ headers: HTTPHeaders, to fields: inout [(String, String)]) {
        for field in headers.fields where !HTTP1ResponseWriter.isConnectionSpecific(field.name) || field.name == "te" {
            fields.append((field.name, field.value))
        }
    }

    func write(_ id: StreamID, _ bytes: RawSpan) -> Int {
        guard let stream = writable(id) else { return bufferedBytes(id) }
        stream.out.append(bytes)
        return wrote(stream)
    }

    /// A large array is kept as it is until it has left.
    func write(_ id: StreamID, _ bytes: consuming [UInt8]) -> Int {
        guard let stream = writable(id) else { return bufferedBytes(id) }
        stream.out.append(bytes)
        return wrote(stream)
    }

    private func writable(_ id: StreamID) -> HTTP2Stream? {
        guard let stream = streams[id], !stream.isDead, !isBroken else { return nil }
        precondition(stream.submitted, "a body before the head on stream \(id)")
        guard !stream.bodyless, !stream.finishing else { return nil }
        guard stream.out.count <= limits.maximumBufferedOutput else {
            reset(id, .enhanceYourCalm, tell: true)
            return nil
        }
        return stream
    }

    private func wrote(_ stream: HTTP2Stream) -> Int {
        guard !stream.out.isEmpty else { return 0 }
        if stream.out.count > limits.highWater { stream.aboveHighWater = true }
        resume(stream)
        return stream.out.count
    }

    func finish(_ id: StreamID, trailers: HTTPHeaders) {
        guard let stream = streams[id], !stream.isDead, !stream.finishing, !isBroken else { return }
        precondition(stream.submitted, "stream \(id) ends before its head")
        stream.finishing = true
        stream.trailers = trailers
        if !stream.bodyless { resume(stream) }
    }

    func resume(_ stream: HTTP2Stream) {
        guard stream.deferred else { return }
        stream.deferred = false
        check(unsafe nghttp2_session_resume_data(handle, stream.id), "resume a body")
    }

    /// `tell`: the owner did not ask for it and gets a `reset` event.
    func reset(_ id: StreamID, _ code: HTTP2ErrorCode, tell: Bool = false) {
        guard let stream = streams[id], !stream.isDead, !isBroken else { return }
        stream.isDead = true
        stream.out.truncate(to: stream.promised)
        if tell, stream.announced { events.append(.reset(id, code)) }
        check(unsafe nghttp2_submit_rst_stream(handle, flagNone, id, code.rawValue), "reset a stream")
    }

    func bufferedBytes(_ id: StreamID) -> Int { streams[id]?.out.count ?? 0 }

    func output(into buffer: inout [UInt8], maximum: Int) {
        var pieces = HTTPOutput()
        output(into: &pieces, maximum: maximum)
        buffer.append(contentsOf: &pieces)
    }

    /// Appends to `output` until it has grown by `maximum` bytes or there is nothing to send; a frame is never cut,
    /// so the growth may be one frame (`HTTPLimits.maximumFrame` and 9 bytes) more.
    func output(into output: inout HTTPOutput, maximum: Int) {
        sendOwedContinues()
        swap(&sink, &output)
        defer { swap(&sink, &output) }
        sinkLimit = sink.count + maximum
        while !isBroken, sink.count < sinkLimit {
            var piece: UnsafePointer<UInt8>?
            let count = unsafe nghttp2_session_mem_send(handle, &piece)
            if count < 0 {
                break_(count)
                isBroken = true
            } else if count == 0 {
                break
            } else {
                unsafe sink.append(UnsafeBufferPointer(start: piece, count: count))
            }
        }
        settle()
    }

    private func sendOwedContinues() {
        for id in owedContinues {
            guard let stream = streams[id], stream.owesContinue, !stream.isDead, !stream.receivedEnd else { continue }
            stream.owesContinue = false
            let status = unsafe HTTP2FieldBlock([(":status", "100")]).withFields { block in
                unsafe nghttp2_submit_headers(handle, flagNone, id, nil, block.baseAddress, block.count, nil)
            }
            check(status, "submit 100")
        }
        owedContinues.removeAll()
    }

    // MARK: Upgrade

    /// The session takes over a request that was read as HTTP/1.1 and becomes stream 1 (RFC 7540, 3.2).
    /// False when the settings are not valid.
    func upgrade(settings: [UInt8], isHead: Bool) -> Bool {
        let status = unsafe settings.withUnsafeBufferPointer { all in
            unsafe nghttp2_session_upgrade2(handle, all.baseAddress, all.count, isHead ? 1 : 0, nil)
        }
        guard status == 0 else { return false }
        let stream = HTTP2Stream(id: 1)
        stream.announced = true
        stream.isHead = isHead
        stream.receivedHead = true
        stream.receivedEnd = true
        streams[1] = stream
        share(1)
        return true
    }
}
