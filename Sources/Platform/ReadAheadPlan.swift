/// Which bytes of files should be on their way while others are in use. Pure: whoever calls has the reading done.
///
/// Work goes step by step; each step uses some ranges. Those of the step in use may be read, and behind them as many bytes as the window has.
package struct ReadAheadPlan: Sendable, Equatable {
    /// Bytes of a file, by its place among the files.
    package struct Piece: Sendable, Equatable {
        package var file: Int
        package var range: Range<Int>

        package init(file: Int, range: Range<Int>) {
            self.file = file
            self.range = range
        }
    }

    private var pieces: [Piece] = []
    /// For each step how many pieces there are before it.
    private var firsts: [Int] = []
    /// For each piece how many bytes there are before it; one more for the end.
    private var offsets = [0]
    private let window: Int
    private var next = 0
    /// Bytes that may be read by now.
    private var allowed: Int

    /// Large enough for a disk's queue, small beside a model.
    package static let defaultWindow = 128 << 20
    /// Bytes that are asked for at a time.
    package static let defaultPiece = 8 << 20

    /// - Parameter steps: the ranges that each step uses.
    package init(_ steps: [[Piece]], window: Int = defaultWindow, piece size: Int = defaultPiece) {
        precondition(window > 0 && size > 0, "a window of \(window) bytes in pieces of \(size)")
        self.window = window
        allowed = window
        for step in steps {
            firsts.append(pieces.count)
            for whole in step {
                for start in stride(from: whole.range.lowerBound, to: whole.range.upperBound, by: size) {
                    let end = min(start + size, whole.range.upperBound)
                    pieces.append(Piece(file: whole.file, range: start..<end))
                    offsets.append(offsets[offsets.count - 1] + end - start)
                }
            }
        }
        firsts.append(pieces.count)
    }

    /// Step `index` is in use: what is behind it needs no reading any more, and the window moves on.
    package mutating func begin(_ index: Int) {
        precondition(index >= 0 && index < firsts.count - 1, "step \(index) of \(firsts.count - 1)")
        next = max(next, firsts[index])
        allowed = max(allowed, offsets[firsts[index + 1]] + window)
    }

    /// The next bytes to be read; nil while the window is full.
    package mutating func take() -> Piece? {
        guard next < pieces.count, offsets[next] < allowed else { return nil }
        next += 1
        return pieces[next - 1]
    }

    /// Whether nothing will be left to read, whatever begins.
    package var isOver: Bool { next == pieces.count }
}
