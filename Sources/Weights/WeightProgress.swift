/// How far the weights of a model are on their way into memory.
package struct WeightProgress: Sendable, Equatable {
    package enum Stage: String, Sendable {
        /// Digests of an image, or of panels in packed files, are checked.
        case reading
        /// Packed tensors become what the kernels read.
        case decoding
        /// Plain tensors do.
        case repacking
    }

    package var stage = Stage.repacking
    package var doneBytes: Int
    package var totalBytes: Int
    /// Bytes of files that were read for it.
    package var readBytes = 0

    /// 0 to 1.
    package var share: Double { min(1, Double(doneBytes) / Double(max(1, totalBytes))) }
}
