internal import CNGHTTP2

/// What nghttp2 calls while it is fed: frames become events and changes of our own streams, never calls to anybody else.
extension HTTP2Session {
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
    func share(_ id: StreamID) {
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
        case NGHTTP2_SETTINGS.rawValue:
            if header.flags & UInt8(NGHTTP2_FLAG_ACK.rawValue) == 0 { hasPeerSettings = true }
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

    func headComplete(_ stream: HTTP2Stream, ends: Bool) {
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

    func requestComplete(_ stream: HTTP2Stream, ends: Bool) {
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
            _ = write(stream.id, answer.body)
            finish(stream.id, trailers: [:])
        }
    }

    /// - Returns: whether nghttp2 is to be interrupted, because the owner gets the bytes as they lie.
    func bodyReceived(stream id: StreamID, _ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
        abuse.progress()
        guard let stream = streams[id], !stream.isDead, stream.announced else {
            // Nobody will consume it; the connection's window must not shrink for it.
            _ = unsafe nghttp2_session_consume_connection(handle, bytes.count)
            return false
        }
        stream.unconsumed += bytes.count
        if let discarded = stream.discarded {
            stream.discarded = discarded + bytes.count
            consumed(id, bytes.count)
            if discarded + bytes.count > limits.streamWindow { stopBody(id) }
        } else if handsOverBodies {
            unsafe handedOver = (id, UnsafeRawBufferPointer(bytes))
            return true
        } else {
            unsafe events.append(.body(id, Array(bytes)))
        }
        return false
    }

    /// Whether the response is complete and the rest of the request is being thrown away.
    func isDiscarding(_ id: StreamID) -> Bool { streams[id]?.discarded != nil }

    /// Asks the client to stop sending what nobody needs.
    func stopBody(_ id: StreamID) {
        guard let stream = streams[id], !stream.receivedEnd, !stream.isDead, !isBroken else { return }
        check(unsafe nghttp2_submit_rst_stream(handle, flagNone, id, HTTP2ErrorCode.noError.rawValue), "reset a stream")
    }

    func bodyComplete(_ stream: HTTP2Stream, trailers: HTTPHeaders) {
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

    /// Asks the peer for a sign of life: it answers at once, before anything else.
    func ping() {
        guard !isBroken, failure == nil else { return }
        check(unsafe nghttp2_submit_ping(handle, flagNone, nil), "submit a ping")
    }
}
