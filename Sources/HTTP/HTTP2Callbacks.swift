internal import CNGHTTP2

// nghttp2 calls these from inside `mem_recv` and `mem_send`, on the caller's thread. Each recovers the session, which owns the
// C object and therefore outlives the call, and hands on; nothing here or below calls back into `mem_recv` or `mem_send`.

/// Registers the trampolines. The result is freed with `nghttp2_session_callbacks_del`.
func makeHTTP2Callbacks() -> OpaquePointer {
    var made: OpaquePointer?
    guard unsafe nghttp2_session_callbacks_new(&made) == 0, let callbacks = unsafe made else { fatalError("out of memory") }
    unsafe nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, onBeginHeaders)
    unsafe nghttp2_session_callbacks_set_on_header_callback(callbacks, onHeader)
    unsafe nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, onFrameReceived)
    unsafe nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks, onBeginFrame)
    unsafe nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks, onInvalidFrame)
    unsafe nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, onBody)
    unsafe nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, onStreamClose)
    unsafe nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, onFrameSent)
    unsafe nghttp2_session_callbacks_set_on_frame_not_send_callback(callbacks, onFrameNotSent)
    unsafe nghttp2_session_callbacks_set_send_data_callback(callbacks, onSendBody)
    unsafe nghttp2_session_callbacks_set_data_source_read_length_callback(callbacks, onFrameLength)
    unsafe nghttp2_session_callbacks_set_unpack_extension_callback(callbacks, onUnknownFrame)
    unsafe nghttp2_session_callbacks_set_error_callback2(callbacks, onErrorMessage)
    return unsafe callbacks
}

/// The data provider of every outgoing body.
func makeHTTP2Provider() -> nghttp2_data_provider {
    var provider = unsafe nghttp2_data_provider()
    unsafe provider.read_callback = readBody
    return unsafe provider
}

private func owner(_ user: UnsafeMutableRawPointer?) -> HTTP2Session {
    guard let user = unsafe user else { preconditionFailure("nghttp2 lost the session") }
    return unsafe Unmanaged<HTTP2Session>.fromOpaque(user).takeUnretainedValue()
}

@c private func onBeginHeaders(_: OpaquePointer?, frame: UnsafePointer<nghttp2_frame>?, user: UnsafeMutableRawPointer?) -> Int32 {
    guard let frame = unsafe frame else { return 0 }
    unsafe owner(user).headersBegan(stream: frame.pointee.hd.stream_id)
    return 0
}

@c private func onHeader(
    _: OpaquePointer?, frame: UnsafePointer<nghttp2_frame>?, name: UnsafePointer<UInt8>?, nameCount: Int,
    value: UnsafePointer<UInt8>?, valueCount: Int, flags: UInt8, user: UnsafeMutableRawPointer?
) -> Int32 {
    guard let frame = unsafe frame else { return 0 }
    unsafe owner(user).headerReceived(
        stream: frame.pointee.hd.stream_id, name: UnsafeBufferPointer(start: name, count: nameCount),
        value: UnsafeBufferPointer(start: value, count: valueCount))
    return 0
}

@c private func onBeginFrame(_: OpaquePointer?, header: UnsafePointer<nghttp2_frame_hd>?, user: UnsafeMutableRawPointer?) -> Int32
{
    guard let header = unsafe header else { return 0 }
    unsafe owner(user).frameBegan(header.pointee)
    return 0
}

/// A frame of a type that HTTP/2 does not define, already counted where it began. RFC 9113, 5.5: ignore it.
@c private func onUnknownFrame(
    _: OpaquePointer?, _: UnsafeMutablePointer<UnsafeMutableRawPointer?>?, _: UnsafePointer<nghttp2_frame_hd>?, _: UnsafeMutableRawPointer?
) -> Int32 {
    NGHTTP2_ERR_CANCEL.rawValue
}

@c private func onFrameReceived(_: OpaquePointer?, frame: UnsafePointer<nghttp2_frame>?, user: UnsafeMutableRawPointer?) -> Int32
{
    guard let frame = unsafe frame else { return 0 }
    unsafe owner(user).frameReceived(frame)
    return 0
}

@c private func onInvalidFrame(
    _: OpaquePointer?, frame: UnsafePointer<nghttp2_frame>?, code: Int32, user: UnsafeMutableRawPointer?
) -> Int32 {
    unsafe owner(user).invalidFrameReceived()
    return 0
}

@c private func onBody(
    _: OpaquePointer?, flags: UInt8, stream: Int32, bytes: UnsafePointer<UInt8>?, count: Int, user: UnsafeMutableRawPointer?
) -> Int32 {
    unsafe owner(user).bodyReceived(stream: stream, UnsafeBufferPointer(start: bytes, count: count)) ? NGHTTP2_ERR_PAUSE.rawValue : 0
}

@c private func onStreamClose(_: OpaquePointer?, stream: Int32, code: UInt32, user: UnsafeMutableRawPointer?) -> Int32 {
    unsafe owner(user).streamClosed(stream, HTTP2ErrorCode(rawValue: code))
    return 0
}

@c private func onFrameSent(_: OpaquePointer?, frame: UnsafePointer<nghttp2_frame>?, user: UnsafeMutableRawPointer?) -> Int32 {
    guard let frame = unsafe frame else { return 0 }
    unsafe owner(user).frameSent(frame)
    return 0
}

@c private func onFrameNotSent(
    _: OpaquePointer?, frame: UnsafePointer<nghttp2_frame>?, code: Int32, user: UnsafeMutableRawPointer?
) -> Int32 {
    guard let frame = unsafe frame else { return 0 }
    unsafe owner(user).frameNotSent(frame.pointee.hd)
    return 0
}

@c private func onErrorMessage(
    _: OpaquePointer?, code: Int32, message: UnsafePointer<CChar>?, count: Int, user: UnsafeMutableRawPointer?
) -> Int32 {
    guard let message = unsafe message else { return 0 }
    let bytes = unsafe UnsafeRawBufferPointer(start: message, count: count)
    unsafe owner(user).errorExplained(String(decoding: bytes, as: UTF8.self))
    return 0
}

@c private func onFrameLength(
    _: OpaquePointer?, _: UInt8, _: Int32, _: Int32, _: Int32, peerAllows: UInt32, user: UnsafeMutableRawPointer?
) -> Int {
    unsafe owner(user).frameLength(peerAllows: Int(peerAllows))
}

/// Says how much of the body goes into the next DATA frame. The bytes themselves are moved by `onSendBody`.
@c private func readBody(
    _: OpaquePointer?, stream: Int32, buffer: UnsafeMutablePointer<UInt8>?, length: Int, flags: UnsafeMutablePointer<UInt32>?,
    source: UnsafeMutablePointer<nghttp2_data_source>?, user: UnsafeMutableRawPointer?
) -> Int {
    guard let flags = unsafe flags else { return Int(NGHTTP2_ERR_CALLBACK_FAILURE.rawValue) }
    switch unsafe owner(user).planBody(stream: stream, maximum: length) {
    case .wait: return Int(NGHTTP2_ERR_DEFERRED.rawValue)
    case .send(let count, let last, let trailersFollow):
        unsafe flags.pointee |= NGHTTP2_DATA_FLAG_NO_COPY.rawValue
        if last { unsafe flags.pointee |= NGHTTP2_DATA_FLAG_EOF.rawValue }
        if trailersFollow { unsafe flags.pointee |= NGHTTP2_DATA_FLAG_NO_END_STREAM.rawValue }
        return count
    }
}

@c private func onSendBody(
    _: OpaquePointer?, frame: UnsafeMutablePointer<nghttp2_frame>?, header: UnsafePointer<UInt8>?, count: Int,
    source: UnsafeMutablePointer<nghttp2_data_source>?, user: UnsafeMutableRawPointer?
) -> Int32 {
    guard let frame = unsafe frame, let header = unsafe header else { return NGHTTP2_ERR_CALLBACK_FAILURE.rawValue }
    // Nine bytes: the frame header (RFC 9113, 4.1). We never pad.
    let sent = unsafe owner(user).moveBody(
        stream: frame.pointee.hd.stream_id, header: UnsafeBufferPointer(start: header, count: 9), count: count)
    return sent ? 0 : NGHTTP2_ERR_WOULDBLOCK.rawValue
}
