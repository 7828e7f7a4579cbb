/// Elements of a drawing, with coordinates to a tenth of a pixel; texts are escaped here.
enum SVG {
    typealias Place = (x: Double, y: Double)

    enum Anchor: String {
        case start, middle, end
    }

    static func line(_ style: String, _ from: Place, _ to: Place) -> String {
        let (a, b) = ((Markup.pixel(from.x), Markup.pixel(from.y)), (Markup.pixel(to.x), Markup.pixel(to.y)))
        return "<line class=\"\(style)\" x1=\"\(a.0)\" y1=\"\(a.1)\" x2=\"\(b.0)\" y2=\"\(b.1)\"/>"
    }

    /// `isUpright`: reads from below to above.
    static func text(_ style: String, _ place: Place, _ anchor: Anchor, _ text: String, isUpright: Bool = false) -> String {
        let (x, y) = (Markup.pixel(place.x), Markup.pixel(place.y))
        let turn = isUpright ? " transform=\"rotate(-90 \(x) \(y))\"" : ""
        return "<text class=\"\(style)\" x=\"\(x)\" y=\"\(y)\" text-anchor=\"\(anchor.rawValue)\"\(turn)>\(Markup.escaped(text))</text>"
    }

    static func rectangle(_ style: String, _ corner: Place, width: Double, height: Double) -> String {
        let (x, y) = (Markup.pixel(corner.x), Markup.pixel(corner.y))
        return "<rect class=\"\(style)\" x=\"\(x)\" y=\"\(y)\" width=\"\(Markup.pixel(width))\" height=\"\(Markup.pixel(height))\"/>"
    }

    static func dot(_ style: String, _ place: Place, radius: Double, title: String) -> String {
        let (x, y) = (Markup.pixel(place.x), Markup.pixel(place.y))
        return "<circle class=\"\(style)\" cx=\"\(x)\" cy=\"\(y)\" r=\"\(Markup.pixel(radius))\">\(Self.title(title))</circle>"
    }

    static func cross(_ style: String, _ place: Place, title: String) -> String {
        func corner(_ x: Double, _ y: Double) -> String { "\(Markup.pixel(place.x + x)) \(Markup.pixel(place.y + y))" }
        return path(style, "M\(corner(-3, -3))L\(corner(3, 3))M\(corner(-3, 3))L\(corner(3, -3))", title: title)
    }

    static func path(_ style: String, _ commands: String, title: String = "") -> String {
        "<path class=\"\(style)\" d=\"\(commands)\">\(Self.title(title))</path>"
    }

    /// Shown when the pointer rests on it; empty: nothing.
    static func title(_ text: String) -> String { text.isEmpty ? "" : "<title>\(Markup.escaped(text))</title>" }
}
