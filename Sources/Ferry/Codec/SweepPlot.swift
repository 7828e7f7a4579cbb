internal import Foundation
internal import KVCodec

/// Ratio against mean divergence, both on logarithmic axes, as SVG. Colour: speed there and back. The front is drawn, numbered and listed.
struct SweepPlot {
    private let figures: [CodecFigure]
    private let title: String
    private let front: [Int]

    private static let width = 1180.0
    private static let plot = (left: 70.0, top: 50.0, width: 640.0, height: 480.0)
    /// Below it nothing can be told from exact.
    private static let floor = 1e-6

    init(_ report: CodecReport) {
        figures = report.figures
        front = ParetoFront(report.figures).indices
        let quality = report.figures.first?.quality
        title =
            "\(report.model): \(report.figures.count) compositions, \(quality?.windows ?? 0) windows, \(quality?.positions ?? 0) predictions"
    }

    var svg: String {
        let rows = front.count
        let height = max(Self.plot.top + Self.plot.height + 60, Self.plot.top + 20 + Double(rows) * 15 + 30)
        var lines = [
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"\(Self.text(Self.width))\" height=\"\(Self.text(height))\" "
                + "viewBox=\"0 0 \(Self.text(Self.width)) \(Self.text(height))\" font-family=\"sans-serif\" font-size=\"12\">",
            "<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>",
            Self.label(Self.plot.left, 24, title, size: 15)
        ]
        lines += axes
        lines += figures.map(dot)
        lines += frontLine
        lines += presetNames
        lines += key
        lines.append("</svg>")
        return lines.joined(separator: "\n") + "\n"
    }

    // MARK: Places

    private var greatestRatio: Double { max(2, figures.map(\.ratio).max() ?? 2) * 1.1 }

    private func x(_ ratio: Double) -> Double { Self.plot.left + Self.plot.width * log(max(ratio, 1)) / log(greatestRatio) }

    private var greatestDivergence: Double { pow(10, ceil(log10(max(figures.map(\.quality.divergence).max() ?? 1, 1e-3)))) }

    /// What is exact stands on the floor.
    private func y(_ divergence: Double) -> Double {
        let share = log(max(divergence, Self.floor) / Self.floor) / log(greatestDivergence / Self.floor)
        return Self.plot.top + Self.plot.height * (1 - share)
    }

    // MARK: Parts

    private var axes: [String] {
        let (left, top, width, height) = Self.plot
        var lines = [
            "<rect x=\"\(Self.text(left))\" y=\"\(Self.text(top))\" width=\"\(Self.text(width))\" height=\"\(Self.text(height))\" fill=\"none\" stroke=\"#888888\"/>"
        ]
        for ratio in [1.0, 1.5, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128] where ratio <= greatestRatio {
            lines.append(Self.line(x(ratio), top, x(ratio), top + height, "#e4e4e4"))
            lines.append(Self.label(x(ratio), top + height + 18, Self.text(ratio), anchor: "middle"))
        }
        var divergence = Self.floor
        while divergence <= greatestDivergence * 1.001 {
            lines.append(Self.line(left, y(divergence), left + width, y(divergence), "#e4e4e4"))
            let exponent = Int(log10(divergence).rounded())
            lines.append(
                Self.label(left - 8, y(divergence) + 4, divergence == Self.floor ? "≤ 1e\(exponent)" : "1e\(exponent)", anchor: "end"))
            divergence *= 10
        }
        lines.append(Self.label(left + width / 2, top + height + 42, "compression ratio, all headers counted", anchor: "middle"))
        lines.append(
            "<text x=\"16\" y=\"\(Self.text(top + height / 2))\" text-anchor=\"middle\" transform=\"rotate(-90 16 \(Self.text(top + height / 2)))\">mean KL(exact ‖ reconstructed), nats</text>"
        )
        return lines
    }

    private func dot(_ figure: CodecFigure) -> String {
        "<circle cx=\"\(Self.text(x(figure.ratio)))\" cy=\"\(Self.text(y(figure.quality.divergence)))\" r=\"4\" fill=\"\(colour(speed(figure)))\" "
            + "stroke=\"#333333\" stroke-width=\"0.5\"><title>\(Self.escaped(figure.profile)): \(String(format: "%.2f, KL %.2e", figure.ratio, figure.quality.divergence))</title></circle>"
    }

    private var frontLine: [String] {
        let points = front.map { "\(Self.text(x(figures[$0].ratio))),\(Self.text(y(figures[$0].quality.divergence)))" }
        var lines = ["<polyline points=\"\(points.joined(separator: " "))\" fill=\"none\" stroke=\"#c2410c\" stroke-width=\"1.5\"/>"]
        for (number, index) in front.enumerated() {
            lines.append(
                Self.label(
                    x(figures[index].ratio) + 5, y(figures[index].quality.divergence) + 14, "\(number + 1)", size: 10, colour: "#c2410c"))
        }
        return lines
    }

    /// Of profiles that have one.
    private var presetNames: [String] {
        let named = KeyValuePreset.all.flatMap { preset in figures.filter { $0.profile == preset.profile }.map { (preset.name, $0) } }
        return named.map { name, figure in
            let (x, y) = (x(figure.ratio), y(figure.quality.divergence))
            return Self.label(x - 6, y - 6, name, anchor: x < Self.plot.left + 60 ? "start" : "end", size: 10, colour: "#444444")
        }
    }

    /// The front's profiles, and what the colours mean.
    private var key: [String] {
        let left = Self.plot.left + Self.plot.width + 30
        var lines = [Self.label(left, Self.plot.top + 4, "front: ratio, KL, profile", size: 12, colour: "#c2410c")]
        for (number, index) in front.enumerated() {
            let figure = figures[index]
            let text = String(
                format: "%d   %.2f   %@   ", number + 1, figure.ratio,
                figure.quality.divergence == 0 ? "0" : String(format: "%.1e", figure.quality.divergence))
            lines.append(Self.label(left, Self.plot.top + 22 + Double(number) * 15, text + figure.profile, size: 11))
        }
        let (from, to) = speeds
        let bar = (left: Self.plot.left + Self.plot.width - 260, top: 34.0)
        for step in 0..<20 {
            let share = Double(step) / 19
            lines.append(
                "<rect x=\"\(Self.text(bar.left + Double(step) * 6))\" y=\"\(Self.text(bar.top))\" width=\"6\" height=\"9\" fill=\"\(colour(from * pow(to / from, share)))\"/>"
            )
        }
        lines.append(Self.label(bar.left - 6, bar.top + 9, String(format: "%.2g", from), anchor: "end", size: 10))
        lines.append(Self.label(bar.left + 126, bar.top + 9, String(format: "%.2g GB/s coded and back", to), size: 10))
        return lines
    }

    // MARK: Colours

    /// Raw bytes through encoder and decoder, one after the other.
    private func speed(_ figure: CodecFigure) -> Double { 1 / (1 / max(figure.encode, 1e-6) + 1 / max(figure.decode, 1e-6)) }

    private var speeds: (Double, Double) {
        let all = figures.map(speed)
        let (from, to) = (all.min() ?? 0.1, all.max() ?? 1)
        return (from, max(to, from * 1.001))
    }

    private func colour(_ speed: Double) -> String {
        let (from, to) = speeds
        let place = min(max(log(speed / from) / log(to / from), 0), 1) * Double(Self.gradient.count - 1)
        let index = min(Int(place), Self.gradient.count - 2)
        let part = place - Double(index)
        let mixed = (0..<3).map {
            Int((Self.gradient[index][$0] + (Self.gradient[index + 1][$0] - Self.gradient[index][$0]) * part).rounded())
        }
        return String(format: "#%02x%02x%02x", mixed[0], mixed[1], mixed[2])
    }

    /// Dark and slow to bright and fast; its lightness tells the same as its hue.
    private static let gradient: [[Double]] = [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]]

    // MARK: Text

    private static func label(
        _ x: Double, _ y: Double, _ text: String, anchor: String = "start", size: Int = 12, colour: String = "#222222"
    ) -> String {
        "<text x=\"\(self.text(x))\" y=\"\(self.text(y))\" text-anchor=\"\(anchor)\" font-size=\"\(size)\" fill=\"\(colour)\">\(escaped(text))</text>"
    }

    private static func line(_ x1: Double, _ y1: Double, _ x2: Double, _ y2: Double, _ colour: String) -> String {
        "<line x1=\"\(text(x1))\" y1=\"\(text(y1))\" x2=\"\(text(x2))\" y2=\"\(text(y2))\" stroke=\"\(colour)\"/>"
    }

    private static func text(_ number: Double) -> String {
        number == number.rounded() ? String(Int(number)) : String(format: "%.1f", number)
    }

    private static func escaped(_ text: String) -> String {
        text.replacingOccurrences(of: "&", with: "&amp;").replacingOccurrences(of: "<", with: "&lt;").replacingOccurrences(
            of: ">", with: "&gt;")
    }
}
