internal import Platform
internal import Weights

/// Progress of long work on standard error: a bar on a terminal, nothing elsewhere.
final class ProgressBar {
    private var title: String
    private let visible = StandardError.isTerminal
    private var lastShown = -1

    init(_ title: String = "") { self.title = title }

    /// - Parameter share: 0 to 1.
    func show(_ share: Double) {
        let percent = Int(share * 100)
        guard visible, percent != lastShown else { return }
        lastShown = percent
        let filled = percent * 30 / 100
        let bar = String(repeating: "█", count: filled) + String(repeating: "░", count: 30 - filled)
        write("\r\u{1B}[K\(title) \(bar) \(percent) %")
    }

    /// Under the name of what is being done.
    func show(_ progress: WeightProgress) {
        title = "\(progress.stage.rawValue) weights"
        show(progress.share)
    }

    func finish() {
        if visible, lastShown >= 0 { write("\r\u{1B}[K") }
    }

    /// One line for a person who watches.
    func note(_ text: String) {
        guard visible else { return }
        write("\u{1B}[2m\(text)\u{1B}[0m\n")
    }

    private func write(_ text: String) { StandardError.write(Array(text.utf8)) }
}
