internal import Synchronization

/// A reason of the program's own to stop; the first counts. Any thread.
final class StopRequest: Sendable {
    /// Opens with the first reason, and when nobody needs to wait for one any more.
    let latch = Latch()
    private let first = Mutex<(String, Int32)?>(nil)

    /// The reason and the exit status that goes with it; nil while there is none.
    var reason: (text: String, status: Int32)? { first.withLock { $0 } }

    func put(_ reason: String, status: Int32) {
        first.withLock { if $0 == nil { $0 = (reason, status) } }
        latch.open()
    }
}
