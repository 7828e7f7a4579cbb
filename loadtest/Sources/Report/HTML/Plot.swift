/// A plot of series over two axes, as inline SVG.
struct Plot: Sendable {
    var title: String
    var note = ""
    var x: Axis
    var y: Axis
    var series: [Series]
    /// Lines across the plot with a name: objectives, limits.
    var verticals: [(at: Double, name: String)] = []
    var horizontals: [(at: Double, name: String)] = []
    /// A plot whose series are all empty is left out.
    var isEmpty: Bool { series.allSatisfy { $0.points.isEmpty } }

    static let mostMarks = 2000
    static let width = 920.0
    static let height = 300.0
    static let left = 64.0
    static let right = 16.0
    static let top = 12.0
    static let bottom = 46.0

    private func at(_ x: Double) -> Double { Self.left + self.x.place(x) * (Self.width - Self.left - Self.right) }
    private func down(_ y: Double) -> Double { Self.height - Self.bottom - self.y.place(y) * (Self.height - Self.top - Self.bottom) }

    var figure: String {
        let shown = thinned
        var svg = Self.open(title, height: Self.height)
        svg += Self.frame(x: x, y: y, height: Self.height)
        svg += limits { place, _ in place }
        for one in shown { svg += marks(one) }
        // Names last, so that no mark covers them.
        svg += limits { _, name in name }
        return Self.figure(title, legend: Self.legend(shown.filter { !$0.points.isEmpty }), svg + "</svg>", note: noteText(shown))
    }

    private func limits(_ pick: (_ line: String, _ name: String) -> String) -> String {
        let (floor, end) = (Self.height - Self.bottom, Self.width - Self.right)
        let upright = verticals.map { limit in
            let x = at(limit.at)
            return pick(SVG.line("limit", (x, Self.top), (x, floor)), SVG.text("limit-name", (x + 4, Self.top + 11), .start, limit.name))
        }
        let level = horizontals.map { limit in
            let y = down(limit.at)
            return pick(SVG.line("limit", (Self.left, y), (end, y)), SVG.text("limit-name", (Self.left + 6, y - 4), .start, limit.name))
        }
        return (upright + level).joined()
    }

    /// Series share the marks evenly, and what the small ones leave goes to the large ones: a few refusals stay among thousands of answers.
    private var thinned: [Series] {
        var shown = series
        var left = Self.mostMarks
        for (rank, index) in series.indices.sorted(by: { series[$0].points.count < series[$1].points.count }).enumerated() {
            let share = left / (series.count - rank)
            shown[index] = series[index].thinned(to: share)
            left -= shown[index].points.count
        }
        return shown
    }

    private func noteText(_ shown: [Series]) -> String {
        let count = shown.reduce(0) { $0 + $1.points.count }
        let total = series.reduce(0) { $0 + $1.total }
        guard count < total else { return note }
        let numbers = "\(TerminalSummary.grouped(count)) of \(TerminalSummary.grouped(total)) points"
        let thinning = numbers + " are shown: the lowest and the highest of each group in a row."
        return note.isEmpty ? thinning : note + " " + thinning
    }

    private func marks(_ one: Series) -> String {
        switch one.mark {
        case .dots: one.points.map { dot($0, one) }.joined()
        case .crosses: one.points.map { cross($0, one) }.joined()
        case .line, .dashes, .steps: path(one)
        }
    }

    private func dot(_ point: Series.Point, _ one: Series) -> String {
        SVG.dot("f\(one.colour)", (at(point.x), down(point.y)), radius: 2.2, title: point.title)
    }

    private func cross(_ point: Series.Point, _ one: Series) -> String {
        SVG.cross("s\(one.colour)", (at(point.x), down(point.y)), title: point.title)
    }

    private func path(_ one: Series) -> String {
        guard !one.points.isEmpty else { return "" }
        var commands = ""
        var last = 0.0
        for (index, point) in one.points.enumerated() {
            let (x, y) = (Markup.pixel(at(point.x)), Markup.pixel(down(point.y)))
            if index == 0 {
                commands += "M\(x) \(y)"
            } else if one.mark == .steps {
                commands += "L\(x) \(Markup.pixel(last))L\(x) \(y)"
            } else {
                commands += "L\(x) \(y)"
            }
            last = down(point.y)
        }
        let dashes = one.mark == .dashes ? " dashed" : ""
        var svg = SVG.path("line s\(one.colour)\(dashes)", commands)
        // Something to point at where there are titles.
        for point in one.points where !point.title.isEmpty { svg += dot(point, one) }
        return svg
    }
}

extension Plot {
    static func open(_ title: String, height: Double) -> String {
        "<svg viewBox=\"0 0 \(Markup.pixel(width)) \(Markup.pixel(height))\" role=\"img\" aria-label=\"\(Markup.escaped(title))\">"
    }

    static func figure(_ title: String, legend: String, _ svg: String, note: String) -> String {
        let caption = note.isEmpty ? "" : "<p class=\"note\">\(Markup.escaped(note))</p>"
        return "<figure><figcaption><h3>\(Markup.escaped(title))</h3>\(legend)</figcaption>\(svg)\(caption)</figure>\n"
    }

    static func legend(_ series: [Series]) -> String {
        guard !series.isEmpty else { return "" }
        let items = series.map { one in
            let symbol =
                switch one.mark {
                case .dots: SVG.dot("f\(one.colour)", (8, 6), radius: 3.5, title: "")
                case .crosses: SVG.cross("s\(one.colour)", (8, 6), title: "")
                case .line, .steps: SVG.path("line s\(one.colour)", "M0 6L16 6")
                case .dashes: SVG.path("line s\(one.colour) dashed", "M0 6L16 6")
                }
            return "<span><svg class=\"key\" viewBox=\"0 0 16 12\">\(symbol)</svg>\(Markup.escaped(one.name))</span>"
        }
        return "<div class=\"legend\">\(items.joined())</div>"
    }

    /// Grid, ticks and labels.
    static func frame(x: Axis, y: Axis?, height: Double) -> String {
        let (floor, end) = (height - bottom, width - right)
        var svg = ""
        for tick in x.ticks {
            let place = left + x.place(tick) * (end - left)
            svg += SVG.line("grid", (place, top), (place, floor)) + SVG.text("tick", (place, floor + 16), .middle, Markup.short(tick))
        }
        for tick in y?.ticks ?? [] {
            let place = floor - (y?.place(tick) ?? 0) * (floor - top)
            svg += SVG.line("grid", (left, place), (end, place)) + SVG.text("tick", (left - 8, place + 4), .end, Markup.short(tick))
        }
        svg += SVG.line("axis", (left, floor), (end, floor)) + SVG.text("label", ((left + end) / 2, height - 8), .middle, x.label)
        return y.map { svg + SVG.text("label", (14, (top + floor) / 2), .middle, $0.label, isUpright: true) } ?? svg
    }
}
