internal import CNGHTTP2

/// What nghttp2 calls while its output is taken.
extension HTTP2Session {
    /// How long a DATA frame may be: what both sides allow. nghttp2 cuts it to the windows.
    func frameLength(peerAllows: Int) -> Int { min(peerAllows, limits.maximumFrame) }

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
        unsafe sink.append(header)
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
}
