internal import CLibUV

/// A write that the socket could not take at once: the library's request together with the bytes it refers to, which must stay
/// in place until the callback. Kept for reuse by the reactor.
@safe
final class WriteRequest {
    /// 64 KiB a request and 32 spare ones: at most 2 MiB per reactor lie idle.
    static let capacity = 64 << 10
    static let spareLimit = 32

    let request: UnsafeMutablePointer<uv_write_t>
    let bytes: UnsafeMutableRawBufferPointer
    var count = 0

    init() {
        unsafe request = .allocate(capacity: 1)
        unsafe bytes = .allocate(byteCount: Self.capacity, alignment: 64)
    }

    deinit {
        unsafe request.deallocate()
        unsafe bytes.deallocate()
    }
}
