extension Array where Element == UInt8 {
    /// The bytes as parsers and digests take them. Always sound for bytes, which have no padding.
    package var rawSpan: RawSpan {
        @_lifetime(borrow self)
        get { unsafe span.bytes }
    }
}

extension RawSpan {
    /// The bytes one by one.
    package var octets: Span<UInt8> {
        @_lifetime(copy self)
        get { Span<UInt8>(_bytes: self) }
    }
}
