internal import CKernels

extension InstructionSet {
    /// Numbers of `type` in `source` as floats; `source` holds exactly `out.count` of them.
    package func convert(_ source: RawSpan, as type: SourceType, to out: inout MutableSpan<Float>) {
        precondition(source.byteCount == out.count * type.byteCount, "\(source.byteCount) bytes for \(out.count) numbers of \(type)")
        unsafe source.withUnsafeBytes { source in
            unsafe out.withUnsafeMutableBufferPointer { out in
                guard let from = source.baseAddress, let to = out.baseAddress else { return }
                unsafe ck_to_float(cSet, from, type.cType, out.count, to)
            }
        }
    }

    /// Floats rounded to the nearest number of `type`, ties to even; `out` has room for exactly `source.count` of them.
    package func convert(_ source: Span<Float>, to type: SourceType, into out: inout MutableRawSpan) {
        precondition(out.byteCount == source.count * type.byteCount, "\(out.byteCount) bytes for \(source.count) numbers of \(type)")
        unsafe source.withUnsafeBufferPointer { source in
            unsafe out.withUnsafeMutableBytes { out in
                guard let from = source.baseAddress, let to = out.baseAddress else { return }
                unsafe ck_from_float(cSet, from, type.cType, source.count, to)
            }
        }
    }
}
