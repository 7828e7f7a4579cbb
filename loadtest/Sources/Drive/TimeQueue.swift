/// What is to happen when, earliest first; of equal times the one that was put in first. A binary heap: O(log n) in and out.
struct TimeQueue<Element> {
    private var heap: [(time: Duration, order: UInt64, element: Element)] = []
    private var count: UInt64 = 0

    var isEmpty: Bool { heap.isEmpty }
    var next: Duration? { heap.first?.time }

    mutating func insert(_ element: Element, at time: Duration) {
        heap.append((time, count, element))
        count += 1
        var child = heap.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard isBefore(child, parent) else { return }
            heap.swapAt(child, parent)
            child = parent
        }
    }

    /// The earliest, if it is due by `now`.
    mutating func pop(by now: Duration) -> (time: Duration, element: Element)? {
        guard let first = heap.first, first.time <= now else { return nil }
        let last = heap.removeLast()
        if !heap.isEmpty {
            heap[0] = last
            sink()
        }
        return (first.time, first.element)
    }

    private mutating func sink() {
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count && isBefore(child, least) { least = child }
            guard least != parent else { return }
            heap.swapAt(least, parent)
            parent = least
        }
    }

    private func isBefore(_ a: Int, _ b: Int) -> Bool { (heap[a].time, heap[a].order) < (heap[b].time, heap[b].order) }
}
