/// How a model's weights are to be brought into memory.
package struct LoadOptions: Sendable {
    package enum Mode: String, Sendable, CaseIterable {
        /// Packed models: as is sooner, by measured speeds. Others: from the image.
        case automatic = "auto"
        /// From the cached image of repacked weights, which is made first where there is none.
        case image
        /// Decoded and repacked in memory at every start; nothing is cached.
        case memory
    }

    package var mode = Mode.image
    /// Whether what is made in memory can be mapped by other processes too.
    package var isShared = false
    /// An image that another process made in memory: the only place where weights are looked for.
    package var image: String?
    /// Known speeds; nil: they are measured.
    package var speeds: LoadSpeeds?

    package init(mode: Mode = .image, isShared: Bool = false, image: String? = nil, speeds: LoadSpeeds? = nil) {
        self.mode = mode
        self.isShared = isShared
        self.image = image
        self.speeds = speeds
    }
}

/// Bytes per second.
package struct LoadSpeeds: Sendable, Equatable {
    /// Of the disk with the packed files. Nil: it could not be measured.
    package var packedDisk: Double?
    /// Of the disk with the images.
    package var imageDisk: Double?
    /// Tensors out of packed files into memory, as they are once decoded, when the files need not be waited for.
    package var decoding: Double

    package init(packedDisk: Double?, imageDisk: Double?, decoding: Double) {
        self.packedDisk = packedDisk
        self.imageDisk = imageDisk
        self.decoding = decoding
    }
}
