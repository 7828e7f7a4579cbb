import Kernels
import Platform
import TestSupport
import Testing

@testable import Weights

@Suite struct LoadChoiceTests {
    private let gigabyte = 1_000_000_000

    private func choice(
        cold: Int? = nil, image: LoadChoice.Size?, disk: Double?, imageDisk: Double? = nil, decoding: Double = 2e9
    ) -> LoadChoice {
        LoadChoice(
            packed: .init(bytes: 9 * gigabyte, cold: cold ?? 9 * gigabyte), decoded: 13 * gigabyte, image: image, newImage: 13 * gigabyte,
            speeds: LoadSpeeds(packedDisk: disk, imageDisk: imageDisk ?? disk, decoding: decoding))
    }

    @Test func `on a slow disk packed files are sooner, on a fast one the image is`() {
        let image = LoadChoice.Size(bytes: 13 * gigabyte, cold: 13 * gigabyte)
        let slow = choice(image: image, disk: 1.25e9)
        #expect(slow.way == .memory)
        #expect(
            slow.sentence
                == "decoding 9.0 GB of packed weights (7.2 s) rather than reading the 13.0 GB image (10.4 s): the disk gives 1.25 GB/s, decoding 2.0 GB/s")
        // Not by enough to be believed.
        #expect(choice(image: image, disk: 1.7e9).way == .image)
        let fast = choice(image: image, disk: 4e9)
        #expect(fast.way == .image)
        #expect(
            fast.sentence
                == "reading the 13.0 GB image (3.3 s) rather than decoding 9.0 GB of packed weights (6.5 s): the disk gives 4.0 GB/s, decoding 2.0 GB/s")
    }

    @Test func `pages that are in memory already cost nothing`() {
        let warm = LoadChoice.Size(bytes: 13 * gigabyte, cold: 0)
        #expect(choice(image: warm, disk: 1e8).way == .image)
        let half = LoadChoice.Size(bytes: 13 * gigabyte, cold: 7 * gigabyte)
        #expect(choice(image: half, disk: 1e9).way == .image)
        #expect(choice(cold: gigabyte, image: half, disk: 1e9, decoding: 3e9).way == .memory)
    }

    @Test func `an image that is not there yet is weighed as if all had to be read, for the starts to come`() {
        let slow = choice(cold: 0, image: nil, disk: 1e9)
        #expect(slow.way == .memory)
        #expect(slow.sentence.hasPrefix("decoding 9.0 GB of packed weights (9.0 s) and keeping no image of 13.0 GB, which takes longer to read (13.0 s)"))
        let fast = choice(cold: 0, image: nil, disk: 8e9)
        #expect(fast.way == .image && fast.sentence.hasPrefix("making an image of 13.0 GB, which takes less time to read (1.6 s)"))
    }

    @Test func `images may be on another disk`() {
        let image = LoadChoice.Size(bytes: 13 * gigabyte, cold: 13 * gigabyte)
        let choice = choice(image: image, disk: 1e8, imageDisk: 3e9)
        #expect(choice.way == .image && choice.sentence.contains("the disks give 0.1 GB/s and 3.0 GB/s"))
    }

    @Test func `what could not be measured leaves the image`() {
        for (disk, decoding) in [(nil, 1e9), (0, 1e9), (1e9, 0)] as [(Double?, Double)] {
            #expect(choice(image: nil, disk: disk, decoding: decoding).way == .image)
        }
    }
}

@Suite struct DiskSpeedTests {
    private let speed = DiskSpeed(device: .max, bytesPerSecond: 1.5e9, measured: 1_700_000_000_000_000_000)

    @Test func `a speed is remembered as text, and nothing else is believed`() throws {
        let text = Array(speed.text.utf8)
        #expect(DiskSpeed(parsing: text.rawSpan) == speed)
        for count in 0..<text.count { #expect(DiskSpeed(parsing: Array(text[..<count]).rawSpan) == nil) }
        var random = SeededGenerator(seed: 5)
        for _ in 0..<2000 {
            var damaged = text
            damaged[Int.random(in: 0..<text.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
            if let speed = DiskSpeed(parsing: damaged.rawSpan) { #expect(speed.bytesPerSecond > 0) }
        }
        #expect(DiskSpeed(parsing: Array(speed.text.replacing("1500000000", with: "0").utf8).rawSpan) == nil)
    }

    @Test func `it is measured again when it is old, or the clock was set back`() {
        let week = DiskSpeed.mostAge.inNanoseconds
        #expect(speed.isFresh(now: speed.measured) && speed.isFresh(now: speed.measured + week - 1))
        #expect(!speed.isFresh(now: speed.measured + week) && !speed.isFresh(now: speed.measured - 1))
    }
}
