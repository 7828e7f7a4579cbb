internal import CXXHash

/// A `Digest` of bytes that come in pieces: equal to that of all of them at once.
@safe
package struct DigestStream: ~Copyable {
    private let state: OpaquePointer

    package init() {
        guard let state = unsafe XXH3_createState() else { preconditionFailure("no memory for a digest") }
        unsafe self.state = unsafe state
        unsafe _ = XXH3_128bits_reset(state)
    }

    deinit { unsafe _ = XXH3_freeState(state) }

    package mutating func append(_ bytes: RawSpan) {
        unsafe bytes.withUnsafeBytes { unsafe _ = XXH3_128bits_update(state, $0.baseAddress, $0.count) }
    }

    package var digest: Digest {
        let hash = unsafe XXH3_128bits_digest(state)
        return Digest(high: hash.high64, low: hash.low64)
    }
}
