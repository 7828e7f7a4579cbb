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
        func p(_ value: Double) -> String { Markup.pixel(value) }
        let (floor, end) = (Self.height - Self.bottom, Self.width - Self.right)
        let upright = verticals.map { limit in
            let place = at(limit.at)
            return pick(
                "<line class=\"limit\" x1=\"\(p(place))\" x2=\"\(p(place))\" y1=\"\(p(Self.top))\" y2=\"\(p(floor))\"/>",
                "<text class=\"limit-name\" x=\"\(p(place + 4))\" y=\"\(p(Self.top + 11))\">\(Markup.escaped(limit.name))</text>")
        }
        let level = horizontals.map { limit in
            let place = down(limit.at)
            return pick(
                "<line class=\"limit\" y1=\"\(p(place))\" y2=\"\(p(place))\" x1=\"\(p(Self.left))\" x2=\"\(p(end))\"/>",
                "<text class=\"limit-name\" x=\"\(p(Self.left + 6))\" y=\"\(p(place - 4))\">\(Markup.escaped(limit.name))</text>")
        }
        return (upright + level).joined()
    }

    /// Series share the marks evenly, and what the small ones leave goes to the large ones: a few refusals all stay among thousands of answers.
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
        let thinning = "\(TerminalSummary.grouped(count)) of \(TerminalSummary.grouped(total)) points are shown: the lowest and the highest of each group in a row."
        return note.isEmpty ? thinning : note + " " + thinning
    }

    private func marks(_ one: Series) -> String {
        switch one.mark {
        case .dots: one.points.map { dot($0, one) }.joined()
        case .crosses: one.points.map { cross($0, one) }.joined()
        case .line, .dashes, .steps: path(one)
        }
    }

    private func title(_ point: Series.Point) -> String { point.title.isEmpty ? "" : "<title>\(Markup.escaped(point.title))</title>" }

    private func dot(_ point: Series.Point, _ one: Series) -> String {
        "<circle class=\"f\(one.colour)\" cx=\"\(Markup.pixel(at(point.x)))\" cy=\"\(Markup.pixel(down(point.y)))\" r=\"2.2\">\(title(point))</circle>"
    }

    private func cross(_ point: Series.Point, _ one: Series) -> String {
        let (x, y) = (at(point.x), down(point.y))
        func p(_ value: Double) -> String { Markup.pixel(value) }
        return "<path class=\"s\(one.colour)\" d=\"M\(p(x - 3)) \(p(y - 3))L\(p(x + 3)) \(p(y + 3))M\(p(x - 3)) \(p(y + 3))L\(p(x + 3)) \(p(y - 3))\">\(title(point))</path>"
    }

    private func path(_ one: Series) -> String {
        guard !one.points.isEmpty else { return "" }
        var commands = ""
        var last = 0.0
        for (index, point) in one.points.enumerated() {
            let (x, y) = (Markup.pixel(at(point.x)), Markup.pixel(down(point.y)))
            if index == 0 { commands += "M\(x) \(y)" } else if one.mark == .steps { commands += "L\(x) \(Markup.pixel(last))L\(x) \(y)" } else { commands += "L\(x) \(y)" }
            last = down(point.y)
        }
        let dashes = one.mark == .dashes ? " dashed" : ""
        var svg = "<path class=\"line s\(one.colour)\(dashes)\" d=\"\(commands)\"/>"
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
                case .dots: "<circle class=\"f\(one.colour)\" cx=\"8\" cy=\"6\" r=\"3.5\"/>"
                case .crosses: "<path class=\"s\(one.colour)\" d=\"M4 2L12 10M4 10L12 2\"/>"
                case .line, .steps: "<path class=\"line s\(one.colour)\" d=\"M0 6L16 6\"/>"
                case .dashes: "<path class=\"line s\(one.colour) dashed\" d=\"M0 6L16 6\"/>"
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
            let place = Markup.pixel(left + x.place(tick) * (end - left))
            svg += "<line class=\"grid\" x1=\"\(place)\" x2=\"\(place)\" y1=\"\(Markup.pixel(top))\" y2=\"\(Markup.pixel(floor))\"/>"
            svg += "<text class=\"tick\" x=\"\(place)\" y=\"\(Markup.pixel(floor + 16))\" text-anchor=\"middle\">\(Markup.short(tick))</text>"
        }
        for tick in y?.ticks ?? [] {
            let place = Markup.pixel(floor - (y?.place(tick) ?? 0) * (floor - top))
            svg += "<line class=\"grid\" x1=\"\(Markup.pixel(left))\" x2=\"\(Markup.pixel(end))\" y1=\"\(place)\" y2=\"\(place)\"/>"
            svg += "<text class=\"tick\" x=\"\(Markup.pixel(left - 8))\" y=\"\(place)\" dy=\"0.32em\" text-anchor=\"end\">\(Markup.short(tick))</text>"
        }
        svg += "<line class=\"axis\" x1=\"\(Markup.pixel(left))\" x2=\"\(Markup.pixel(end))\" y1=\"\(Markup.pixel(floor))\" y2=\"\(Markup.pixel(floor))\"/>"
        svg += "<text class=\"label\" x=\"\(Markup.pixel((left + end) / 2))\" y=\"\(Markup.pixel(height - 8))\" text-anchor=\"middle\">\(Markup.escaped(x.label))</text>"
        if let y {
            let middle = Markup.pixel((top + floor) / 2)
            svg += "<text class=\"label\" x=\"14\" y=\"\(middle)\" text-anchor=\"middle\" transform=\"rotate(-90 14 \(middle))\">\(Markup.escaped(y.label))</text>"
        }
        return svg
    }
}
