internal import Foundation

/// How far back a head looks, by the recipe of KVServe (kvpress' DuoAttention on the fly): attention of the mean query, at the last of 1024
/// positions, over the mean key at all of them; the score is the mean of the cumulative sums. 1: everything at the beginning; near 0: at
/// the end.
enum HeadScores {
    static let positions = 1024

    /// - Parameters:
    ///   - query, key: means over tokens, before positions turn them.
    ///   - frequencies: radians per position of each pair (i, i + half).
    static func score(query: [Double], key: [Double], frequencies: [Float]) -> Double {
        let half = frequencies.count
        let scale = 1 / Double(query.count).squareRoot()
        var scores = [Double](repeating: 0, count: positions)
        // What is not turned.
        var fixed = 0.0
        for channel in (2 * half)..<max(query.count, 2 * half) { fixed += query[channel] * key[channel] }
        for position in 0..<positions {
            let distance = Double(positions - 1 - position)
            var sum = fixed
            for pair in 0..<half {
                let (q1, q2, k1, k2) = (query[pair], query[pair + half], key[pair], key[pair + half])
                let angle = distance * Double(frequencies[pair])
                sum += (q1 * k1 + q2 * k2) * cos(angle) + (q1 * k2 - q2 * k1) * sin(angle)
            }
            scores[position] = sum * scale
        }
        let greatest = scores.max() ?? 0
        let weights = scores.map { exp($0 - greatest) }
        let total = weights.reduce(0, +)
        var (cumulative, area) = (0.0, 0.0)
        for weight in weights {
            cumulative += weight / total
            area += cumulative
        }
        return area / Double(positions)
    }
}
