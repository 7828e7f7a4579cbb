/// Which way the weights of a packed model come into memory sooner, and why. Pure.
///
/// An image costs the reading of what of it is not in memory. Decoding costs the reading of the packed files or the decoding, whichever takes
/// longer, since one goes on beside the other. Where there is no image yet, the question is whether to make one for the starts to come, so
/// that both are taken to be read whole.
package struct LoadChoice: Sendable, Equatable {
    package enum Way: Sendable, Equatable {
        /// The image, which is made first where there is none.
        case image
        /// Decoded into memory.
        case memory
    }

    /// Bytes of it.
    package struct Size: Sendable, Equatable {
        package var bytes: Int
        /// Those that are not in memory.
        package var cold: Int

        package init(bytes: Int, cold: Int) {
            self.bytes = bytes
            self.cold = cold
        }
    }

    package let way: Way
    /// Whether what is decoded into memory is also to be written as an image, beside serving: reading an image that is still in memory
    /// takes no time.
    package let keepsImage: Bool
    /// For the log.
    package let sentence: String

    /// Less than this part of an image's time makes decoding the way: speeds are guesses, and an image is shared and can be paged out.
    private static let margin = 0.8

    /// There is no image yet, and one of about `bytes` bytes can be written while others are served: nothing needs to be weighed.
    package init(keepingImageOf bytes: Int) {
        (way, keepsImage) = (.memory, true)
        sentence = "decoding the packed weights into memory; an image of about \(size(bytes)) is written meanwhile for later starts"
    }

    /// - Parameters:
    ///   - packed: the packed files.
    ///   - decoded: bytes of their tensors once decoded.
    ///   - image: the image that there is.
    ///   - newImage: bytes of the image that there would be.
    package init(packed: Size, decoded: Int, image: Size?, newImage: Int, speeds: LoadSpeeds) {
        keepsImage = false
        guard let packedDisk = speeds.packedDisk, let imageDisk = speeds.imageDisk, packedDisk > 0, imageDisk > 0, speeds.decoding > 0 else {
            way = .image
            sentence = "the weights are read from an image in the cache: the disk's speed could not be measured"
            return
        }
        let reading = Double(image?.cold ?? newImage) / imageDisk
        let decoding = max(Double(image == nil ? packed.bytes : packed.cold) / packedDisk, Double(decoded) / speeds.decoding)
        way = decoding < reading * Self.margin ? .memory : .image
        let disks = packedDisk == imageDisk
            ? "the disk gives \(rate(packedDisk))" : "the disks give \(rate(packedDisk)) and \(rate(imageDisk))"
        let packedText = "\(size(packed.bytes)) of packed weights (\(seconds(decoding)))"
        let reason = "\(disks), decoding \(rate(speeds.decoding))"
        switch (way, image) {
        case (.memory, let image?):
            sentence = "decoding \(packedText) rather than reading the \(size(image.bytes)) image (\(seconds(reading))): \(reason)"
        case (.memory, nil):
            sentence = "decoding \(packedText) and keeping no image of \(size(newImage)), which takes longer to read (\(seconds(reading))): \(reason)"
        case (.image, let image?):
            sentence = "reading the \(size(image.bytes)) image (\(seconds(reading))) rather than decoding \(packedText): \(reason)"
        case (.image, nil):
            sentence = "making an image of \(size(newImage)), which takes less time to read (\(seconds(reading))) than decoding \(packedText): \(reason)"
        }
    }
}

private func size(_ bytes: Int) -> String { bytes < 100_000_000 ? "\(tenths(Double(bytes) / 1e6)) MB" : "\(tenths(Double(bytes) / 1e9)) GB" }

private func rate(_ speed: Double) -> String { "\((speed / 1e7).rounded() / 100) GB/s" }

private func seconds(_ time: Double) -> String { "\(tenths(time)) s" }

private func tenths(_ value: Double) -> Double { (value * 10).rounded() / 10 }
