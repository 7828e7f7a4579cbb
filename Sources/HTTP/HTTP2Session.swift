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
    private let handle: OpaquePointer
    private(set) var streams: [StreamID: HTTP2Stream] = [:]
    private var abuse: HTTP2FrameGuard
    /// Where `mem_send` and the body callback write; the caller's buffer during `output`.
    private var sink: [UInt8] = []
    /// The body callback refuses to go past this length of `sink`.
    private var sinkLimit = 0
    private var explanation = ""
    private var owedContinues: [StreamID] = []
    private var drainPing = false
    private(set) var isDraining = false
    private var isBroken = false
    private(set) var failure: HTTPError?
    private(set) var peerIsLeaving = false
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

    private var flagNone: UInt8 { UInt8(NGHTTP2_FLAG_NONE.rawValue) }

    // MARK: State

    var wantsRead: Bool { unsafe !isBroken && nghttp2_session_want_read(handle) != 0 }
    var hasOutput: Bool { unsafe !isBroken && (!owedContinues.isEmpty || nghttp2_session_want_write(handle) != 0) }
    var isFinished: Bool { !wantsRead && !hasOutput }

    /// Bytes buffered on all streams.
    var bufferedBytes: Int { streams.values.reduce(0) { $0 + $1.out.count } }

    // MARK: Input

    func receive(_ bytes: RawSpan) {
        guard wantsRead else { return }
        let status = unsafe bytes.withUnsafeBytes { all in
            unsafe nghttp2_session_mem_recv(handle, all.baseAddress?.assumingMemoryBound(to: UInt8.self), all.count)
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

    private func terminate(_ code: HTTP2ErrorCode, _ detail: String) {
        failure = .protocolError(code, detail: detail)
        let status = unsafe nghttp2_session_terminate_session(handle, code.rawValue)
        if status != 0 { isBroken = true }
    }

    /// Streams that outlive the session's will to talk are told so.
    private func settle() {
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

    // MARK: Callbacks of mem_recv

    func headersBegan(stream id: StreamID) {
        abuse.progress()
        if let stream = streams[id] {
            stream.section = HTTP2HeaderSection()
        } else if side == .server {
            streams[id] = HTTP2Stream(id: id)
            share(id)
        }
    }

    /// Streams take turns, whatever the client asked for.
    private func share(_ id: StreamID) {
        var priority = nghttp2_extpri(urgency: UInt32(NGHTTP2_EXTPRI_DEFAULT_URGENCY), inc: 1)
        _ = unsafe nghttp2_session_change_extpri_stream_priority(handle, id, &priority, 1)
    }

    func headerReceived(stream id: StreamID, name: UnsafeBufferPointer<UInt8>, value: UnsafeBufferPointer<UInt8>) {
        guard let stream = streams[id], !stream.isDead else { return }
        unsafe stream.section.append(name: name, value: value, limits: limits)
    }

    func frameBegan(_ header: nghttp2_frame_hd) {
        switch UInt32(header.type) {
        case NGHTTP2_DATA.rawValue:
            if header.length == 0, header.flags & UInt8(NGHTTP2_FLAG_END_STREAM.rawValue) == 0 { abuse.idleFrame() }
        case NGHTTP2_HEADERS.rawValue, NGHTTP2_CONTINUATION.rawValue, NGHTTP2_WINDOW_UPDATE.rawValue, NGHTTP2_PING.rawValue,
            NGHTTP2_RST_STREAM.rawValue, NGHTTP2_GOAWAY.rawValue:
            break
        default: abuse.idleFrame()
        }
    }

    func frameReceived(_ frame: UnsafePointer<nghttp2_frame>) {
        let header = unsafe frame.pointee.hd
        let ends = header.flags & UInt8(NGHTTP2_FLAG_END_STREAM.rawValue) != 0
        switch UInt32(header.type) {
        case NGHTTP2_HEADERS.rawValue:
            if let stream = streams[header.stream_id] { headComplete(stream, ends: ends) }
        case NGHTTP2_DATA.rawValue:
            if ends, let stream = streams[header.stream_id] { bodyComplete(stream, trailers: [:]) }
        case NGHTTP2_RST_STREAM.rawValue:
            counters.resetsReceived += 1
        case NGHTTP2_PING.rawValue:
            if header.flags & UInt8(NGHTTP2_FLAG_ACK.rawValue) != 0, drainPing { finishDrain() }
        case NGHTTP2_GOAWAY.rawValue:
            peerIsLeaving = true
            let (last, code) = unsafe (frame.pointee.goaway.last_stream_id, frame.pointee.goaway.error_code)
            events.append(.goingAway(lastStream: last, HTTP2ErrorCode(rawValue: code)))
        default: break
        }
    }

    func invalidFrameReceived() {
        abuse.streamError()
        counters.streamErrors += 1
    }

    func errorExplained(_ message: String) { explanation = message }

    private func headComplete(_ stream: HTTP2Stream, ends: Bool) {
        guard !stream.isDead else { return }
        if stream.receivedHead {
            // Trailers: nghttp2 has checked that they end the stream.
            if stream.section.excess != nil {
                reset(stream.id, .enhanceYourCalm, tell: true)
            } else {
                bodyComplete(stream, trailers: stream.section.headers)
            }
            return
        }
        switch side {
        case .server: requestComplete(stream, ends: ends)
        case .client:
            let response = stream.section.response()
            guard response.status >= 200 else { return }
            stream.receivedHead = true
            stream.receivedEnd = ends
            if stream.section.excess != nil {
                reset(stream.id, .enhanceYourCalm, tell: true)
            } else {
                events.append(.response(stream.id, response, endOfBody: ends))
            }
        }
        stream.section = HTTP2HeaderSection()
    }

    private func requestComplete(_ stream: HTTP2Stream, ends: Bool) {
        stream.receivedHead = true
        stream.receivedEnd = ends
        counters.requests += 1
        do {
            let head = try stream.section.request(limits: limits)
            stream.isHead = head.method == "HEAD"
            if !ends, head.headers.list("expect", contains: "100-continue") {
                stream.owesContinue = true
                owedContinues.append(stream.id)
            }
            stream.announced = true
            events.append(.request(stream.id, head, endOfBody: ends))
        } catch {
            counters.refusals += 1
            abuse.streamError()
            let answer = RefusalAnswer(error, requestID: refusalID(connection: name, number: counters.refusals))
            stream.isHead = stream.section.method == "HEAD"
            respond(stream.id, answer.head, endStream: false)
            _ = unsafe write(stream.id, answer.body.span.bytes)
            finish(stream.id, trailers: [:])
        }
    }

    func bodyReceived(stream id: StreamID, _ bytes: UnsafeBufferPointer<UInt8>) {
        abuse.progress()
        guard let stream = streams[id], !stream.isDead, stream.announced else {
            // Nobody will consume it; the connection's window must not shrink for it.
            _ = unsafe nghttp2_session_consume_connection(handle, bytes.count)
            return
        }
        stream.unconsumed += bytes.count
        guard let discarded = stream.discarded else { return unsafe events.append(.body(id, Array(bytes))) }
        stream.discarded = discarded + bytes.count
        consumed(id, bytes.count)
        if discarded + bytes.count > limits.streamWindow { stopBody(id) }
    }

    /// Whether the response is complete and the rest of the request is being thrown away.
    func isDiscarding(_ id: StreamID) -> Bool { streams[id]?.discarded != nil }

    /// Asks the client to stop sending what nobody needs.
    func stopBody(_ id: StreamID) {
        guard let stream = streams[id], !stream.receivedEnd, !stream.isDead, !isBroken else { return }
        check(unsafe nghttp2_submit_rst_stream(handle, flagNone, id, HTTP2ErrorCode.noError.rawValue), "reset a stream")
    }

    private func bodyComplete(_ stream: HTTP2Stream, trailers: HTTPHeaders) {
        stream.receivedEnd = true
        guard !stream.isDead, stream.announced, stream.discarded == nil else { return }
        events.append(.bodyEnd(stream.id, trailers: trailers))
    }

    func streamClosed(_ id: StreamID, _ code: HTTP2ErrorCode) {
        guard let stream = streams.removeValue(forKey: id) else { return }
        if stream.unconsumed > 0 { _ = unsafe nghttp2_session_consume_connection(handle, stream.unconsumed) }
        guard stream.announced else { return }
        // RST_STREAM(NO_ERROR) after a complete response only says that the rest of the request is not needed.
        let responseComplete = side == .server ? stream.finishing : stream.receivedEnd
        let isWhole = !stream.isDead && code == .noError && responseComplete
        if isWhole { abuse.served() } else if !stream.isDead { events.append(.reset(id, code)) }
        events.append(.streamClosed(id))
    }

    func consumed(_ id: StreamID, _ count: Int) {
        guard let stream = streams[id], !isBroken else { return }
        let known = min(count, stream.unconsumed)
        guard known > 0 else { return }
        stream.unconsumed -= known
        _ = unsafe nghttp2_session_consume(handle, id, known)
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

    private func append(_ headers: HTTPHeaders, to fields: inout [(String, String)]) {
        for field in headers.fields where !HTTP1ResponseWriter.isConnectionSpecific(field.name) || field.name == "te" {
            fields.append((field.name, field.value))
        }
    }

    func write(_ id: StreamID, _ bytes: RawSpan) -> Int {
        guard let stream = streams[id], !stream.isDead, !isBroken else { return 0 }
        precondition(stream.submitted, "a body before the head on stream \(id)")
        guard !stream.bodyless, !stream.finishing, bytes.byteCount > 0 else { return stream.out.count }
        guard stream.out.count <= limits.maximumBufferedOutput else {
            reset(id, .enhanceYourCalm, tell: true)
            return 0
        }
        stream.out.append(bytes)
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

    private func resume(_ stream: HTTP2Stream) {
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

    /// Appends to `buffer` until it has grown by `maximum` bytes or there is nothing to send; a frame is never cut,
    /// so the growth may be one frame (16 KiB and 9 bytes) more.
    func output(into buffer: inout [UInt8], maximum: Int) {
        sendOwedContinues()
        swap(&sink, &buffer)
        defer { swap(&sink, &buffer) }
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
                unsafe sink.append(contentsOf: UnsafeBufferPointer(start: piece, count: count))
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

    // MARK: Callbacks of mem_send

    enum BodyPlan {
        case wait
        case send(count: Int, last: Bool, trailersFollow: Bool)
    }

    func planBody(stream id: StreamID, maximum: Int) -> BodyPlan {
        // A reset is already queued before this frame.
        guard let stream = streams[id], !stream.isDead else { return .wait }
        let count = min(maximum, stream.out.count)
        let last = stream.finishing && count == stream.out.count
        guard count > 0 || last else {
            stream.deferred = true
            return .wait
        }
        let trailersFollow = last && !stream.trailers.isEmpty
        if trailersFollow {
            var fields: [(String, String)] = []
            append(stream.trailers, to: &fields)
            let status = unsafe HTTP2FieldBlock(fields).withFields { block in
                unsafe nghttp2_submit_trailer(handle, id, block.baseAddress, block.count)
            }
            check(status, "submit trailers")
        }
        stream.promised = count
        return .send(count: count, last: last, trailersFollow: trailersFollow)
    }

    /// Moves one DATA frame to the caller's buffer; false when the caller has enough for now.
    func moveBody(stream id: StreamID, header: UnsafeBufferPointer<UInt8>, count: Int) -> Bool {
        guard sink.count < sinkLimit else { return false }
        unsafe sink.append(contentsOf: header)
        guard let stream = streams[id], stream.out.count >= count else {
            preconditionFailure("nghttp2 sends \(count) bytes of stream \(id) that are not there")
        }
        stream.out.move(count, to: &sink)
        stream.promised = 0
        abuse.progress()
        if stream.aboveHighWater, stream.out.count < limits.lowWater {
            stream.aboveHighWater = false
            if !stream.finishing, !stream.isDead { events.append(.drained(id)) }
        }
        return true
    }

    func frameSent(_ frame: UnsafePointer<nghttp2_frame>) {
        let header = unsafe frame.pointee.hd
        switch UInt32(header.type) {
        case NGHTTP2_HEADERS.rawValue, NGHTTP2_DATA.rawValue:
            guard side == .server, header.flags & UInt8(NGHTTP2_FLAG_END_STREAM.rawValue) != 0,
                let stream = streams[header.stream_id], !stream.receivedEnd, !stream.isDead
            else { return }
            // RFC 9113, 8.1: the response is complete without the rest of the request, and RST_STREAM(NO_ERROR) may ask for it to stop. But
            // curl 7.88 takes a reset that it reads together with the response for a failure, so the rest is thrown away for a while.
            guard stream.announced else { return stopBody(stream.id) }
            stream.discarded = 0
            consumed(stream.id, stream.unconsumed)
        case NGHTTP2_GOAWAY.rawValue:
            let code = HTTP2ErrorCode(rawValue: unsafe frame.pointee.goaway.error_code)
            guard code != .noError else { return }
            counters.errorGoAways += 1
            if failure == nil { failure = .protocolError(code, detail: explanation) }
        default: break
        }
    }

    /// A request that could not be opened (the peer is leaving, it was cancelled first, the numbers are used up) ends here,
    /// and so does a response whose head nghttp2 finds too large.
    func frameNotSent(_ header: nghttp2_frame_hd) {
        guard UInt32(header.type) == NGHTTP2_HEADERS.rawValue, let stream = streams[header.stream_id] else { return }
        guard side == .client else {
            reset(stream.id, .internalError, tell: true)
            return
        }
        streams[stream.id] = nil
        if !stream.isDead { events.append(.reset(stream.id, .refusedStream)) }
        events.append(.streamClosed(stream.id))
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
