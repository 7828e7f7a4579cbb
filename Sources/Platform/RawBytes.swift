extension Array where Element == UInt8 {
    /// The bytes as parsers and digests take them. Always sound for bytes, which have no padding.
    package var rawSpan: RawSpan {
        @_lifetime(borrow self)
        get { unsafe span.bytes }
    }
}
