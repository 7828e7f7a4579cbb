package import Platform

extension ThreadTeam {
    /// Names `bytes` by the digest of the digests of its pieces of 1 MiB, each 16 bytes as they are written (low word first), the last piece
    /// short: what a digest of the whole would say, found on all threads.
    package func digest(ofPiecesOf bytes: RawSpan) -> Digest {
        let (total, size) = (bytes.byteCount, Self.pieceBytes)
        var words = [UInt64](repeating: 0, count: (total + size - 1) / size * 2)
        guard !words.isEmpty else { return Digest(of: words.span) }
        unsafe bytes.withUnsafeBytes { source in
            unsafe words.withUnsafeMutableBufferPointer { words in
                let lent = unsafe Lent((source.baseAddress!, words.baseAddress!))
                run(chunks: words.count / 2) { piece in
                    let (source, words) = unsafe lent.pointers
                    let start = piece * size
                    let digest = Digest(of: unsafe RawSpan(_unsafeStart: source + start, byteCount: min(size, total - start)))
                    unsafe words[2 * piece] = digest.low
                    unsafe words[2 * piece + 1] = digest.high
                }
            }
        }
        return Digest(of: words.span)
    }

    private static var pieceBytes: Int { 1 << 20 }
}
