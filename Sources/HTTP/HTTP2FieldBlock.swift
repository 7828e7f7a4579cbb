internal import CNGHTTP2

/// Header fields in the form nghttp2 takes them: pointers into one block of bytes. nghttp2 copies what it is given.
struct HTTP2FieldBlock {
    private var bytes: [UInt8] = []
    /// (name's length, value's length), in order.
    private var lengths: [(Int, Int)] = []

    init(_ fields: [(String, String)]) {
        for (name, value) in fields {
            let start = bytes.count
            bytes.append(contentsOf: name.utf8)
            let middle = bytes.count
            // A value may echo what a client sent: what cannot stand in a field becomes a blank, and none stands at an end.
            bytes.append(contentsOf: FieldSyntax.trimmed(value.utf8).lazy.map { FieldSyntax.isValue($0) ? $0 : 0x20 })
            lengths.append((middle - start, bytes.count - middle))
        }
    }

    /// The pointers are valid during `body` only.
    consuming func withFields<Result>(_ body: (UnsafeBufferPointer<nghttp2_nv>) -> Result) -> Result {
        let lengths = lengths
        return unsafe bytes.withUnsafeMutableBufferPointer { all in
            var fields = unsafe [nghttp2_nv]()
            unsafe fields.reserveCapacity(lengths.count)
            var cursor = all.baseAddress
            for (name, value) in lengths {
                let valueStart = unsafe cursor.map { unsafe $0 + name }
                unsafe fields.append(
                    nghttp2_nv(
                        name: cursor, value: valueStart, namelen: name, valuelen: value,
                        flags: UInt8(NGHTTP2_NV_FLAG_NONE.rawValue)))
                unsafe cursor = valueStart.map { unsafe $0 + value }
            }
            return unsafe fields.withUnsafeBufferPointer { unsafe body($0) }
        }
    }
}
