extension Digest {
    /// Digest of `bytes`, which as integers have no padding to read by mistake.
    package init(of bytes: borrowing Span<UInt8>, seed: UInt64 = 0) {
        let bytes = unsafe bytes.bytes
        self.init(of: bytes, seed: seed)
    }
}
