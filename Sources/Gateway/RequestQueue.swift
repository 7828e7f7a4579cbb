internal import Synchronization

/// Work on its way to a thread: first in, first out, bounded. Any thread puts; one consumer waits and takes.
final class RequestQueue<Element: Sendable>: Sendable {
    private struct State {
        var waiting: [Element] = []
        var isClosed = false
    }

    private let state = Mutex(State())
    private let limit: Int
    private let wake: AsyncStream<Void>
    private let waker: AsyncStream<Void>.Continuation

    /// - Parameter limit: elements that wait at most; more are not taken.
    init(limit: Int) {
        self.limit = limit
        // One pending wake-up is enough: the consumer takes all there is.
        (wake, waker) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
    }

    /// - Returns: false when the queue is full or closed; nothing was taken then.
    func put(_ element: Element) -> Bool {
        let (taken, first) = state.withLock { state -> (Bool, Bool) in
            guard !state.isClosed, state.waiting.count < limit else { return (false, false) }
            state.waiting.append(element)
            return (true, state.waiting.count == 1)
        }
        if first { waker.yield() }
        return taken
    }

    func close() {
        state.withLock { $0.isClosed = true }
        waker.finish()
    }

    /// Calls `body` with each element until the queue is closed and empty. Stays where the caller is.
    func forEach(_ body: (Element) -> Void) async {
        drain(body)
        for await _ in wake { drain(body) }
        drain(body)
    }

    private func drain(_ body: (Element) -> Void) {
        while true {
            let batch = state.withLock { state in
                let batch = state.waiting
                state.waiting = []
                return batch
            }
            guard !batch.isEmpty else { return }
            for element in batch { body(element) }
        }
    }
}
