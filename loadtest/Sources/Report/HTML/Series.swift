/// What is drawn in a plot. Colours are numbers of the page's palette; shapes differ too, so that no plot needs its colours.
struct Series: Sendable {
    enum Mark: Sendable {
        case dots
        case crosses
        case line
        /// Goes right, then up.
        case steps
        case dashes
    }

    struct Point: Sendable {
        var x: Double
        var y: Double
        /// Shown when the pointer rests on it.
        var title = ""
    }

    var name: String
    var colour: Int
    var mark: Mark
    var points: [Point]
    /// How many there were before some were left out.
    private(set) var total: Int

    init(_ name: String, colour: Int, _ mark: Mark, _ points: [Point]) {
        self.name = name
        self.colour = colour
        self.mark = mark
        self.points = points
        total = points.count
    }

    /// At most `most` points: of each of equal groups in a row the lowest and the highest, so that no peak is lost.
    func thinned(to most: Int) -> Series {
        guard points.count > most, most >= 2 else { return self }
        var series = self
        let sorted = points.sorted { $0.x < $1.x }
        let groups = most / 2
        series.points = (0..<groups).flatMap { group -> [Point] in
            let range = group * sorted.count / groups..<(group + 1) * sorted.count / groups
            guard let low = range.min(by: { sorted[$0].y < sorted[$1].y }), let high = range.max(by: { sorted[$0].y < sorted[$1].y }) else {
                return []
            }
            return low == high ? [sorted[low]] : [min(low, high), max(low, high)].map { sorted[$0] }
        }
        return series
    }
}
