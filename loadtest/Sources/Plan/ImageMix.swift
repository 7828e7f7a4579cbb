/// Which requests carry pictures, how many and how large. Every picture is another one, so that no cache knows it.
package struct ImageMix: Sendable, Equatable {
    package struct Size: Sendable, Equatable {
        package var width: Int
        package var height: Int

        package init(width: Int, height: Int) {
            self.width = width
            self.height = height
        }

        /// `640x480`
        package init(parsing text: String) throws(PlanError) {
            let numbers = text.split(separator: "x", omittingEmptySubsequences: false).map { Int($0) ?? 0 }
            guard numbers.count == 2 else { throw .setting("a picture's size", "\"\(text)\"", expected: "WIDTHxHEIGHT") }
            self.init(width: numbers[0], height: numbers[1])
        }
    }

    /// Of all requests, 0 to 1.
    package var share = 0.0
    package var perRequest = 1...1
    package var sizes: [Size] = [Size(width: 512, height: 512)]

    package init() {}

    func check() throws(PlanError) {
        guard share >= 0, share <= 1 else { throw .setting("the share of requests with pictures", "\(share)", expected: "0 to 1") }
        guard perRequest.lowerBound >= 1, perRequest.upperBound <= 64 else {
            throw .setting("the number of pictures", "\(perRequest)", expected: "1 to 64")
        }
        guard !sizes.isEmpty else { throw PlanError("pictures need a size") }
        for size in sizes where !(1...8192).contains(size.width) || !(1...8192).contains(size.height) {
            throw .setting("a picture's size", "\(size.width)x\(size.height)", expected: "1 to 8192 each way")
        }
    }

    /// Data URLs for the request numbered `place`; mostly none.
    func pictures(seed: UInt64, place: Int) -> [String] {
        guard share > 0 else { return [] }
        var draw = Draw(seed: seed, .picture, place)
        guard draw.uniform() < share else { return [] }
        return pictures(draw.integer(in: perRequest), &draw)
    }

    func pictures(_ count: Int, _ draw: inout Draw) -> [String] {
        (0..<count).map { _ in
            let size = sizes[draw.integer(in: 0...(sizes.count - 1))]
            return "data:image/png;base64," + Base64.text(GeneratedPicture.png(width: size.width, height: size.height, &draw))
        }
    }
}

/// RFC 4648 §4, with padding.
enum Base64 {
    private static let digits = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    static func text(_ bytes: [UInt8]) -> String {
        var text: [UInt8] = []
        text.reserveCapacity((bytes.count + 2) / 3 * 4)
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let count = min(3, bytes.count - start)
            var group = 0
            for index in 0..<3 { group = group << 8 | (index < count ? Int(bytes[start + index]) : 0) }
            for index in 0..<4 { text.append(index <= count ? digits[group >> (18 - 6 * index) & 63] : UInt8(ascii: "=")) }
        }
        return String(decoding: text, as: UTF8.self)
    }
}
