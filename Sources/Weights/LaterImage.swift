package import Platform

/// Weights that were decoded into memory so that serving could begin, and the image that later starts would rather find.
///
/// Reading such an image while it is in the system's cache takes a fraction of the time of decoding.
package struct LaterImage: Sendable {
    /// The image, as it is in memory.
    let file: MappedFile
    /// Where it is to be.
    package let path: String

    package var bytes: Int { file.count }

    private static let pieceBytes = 8 << 20

    /// Writes it to the disk: takes as long as the disk does, and as little memory as the system likes. A process that ends meanwhile
    /// leaves nothing.
    package func write() throws(FileError) {
        try Folder.create(Folder.parent(of: path))
        FileDraft.removeAbandoned(beside: path)
        var image = try FileAppender(path: path)
        for start in stride(from: 0, to: file.count, by: Self.pieceBytes) {
            try image.append(file.bytes.extracting(start..<min(file.count, start + Self.pieceBytes)))
        }
        try image.commit()
    }
}
