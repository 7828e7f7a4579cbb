internal import Inference

/// Pages in order of their last use: a doubly linked list over two arrays, so that every operation is O(1).
struct RecencyList {
    private static let none: PageIndex = -1

    private var next: [PageIndex]
    private var previous: [PageIndex]
    private var member: [Bool]
    private var first = RecencyList.none
    private var last = RecencyList.none
    private(set) var count = 0

    init(capacity: Int) {
        next = Array(repeating: Self.none, count: capacity)
        previous = next
        member = Array(repeating: false, count: capacity)
    }

    /// Adds `page` as the most recently used.
    mutating func append(_ page: PageIndex) {
        precondition(!member[Int(page)], "page \(page) is listed already")
        member[Int(page)] = true
        previous[Int(page)] = last
        next[Int(page)] = Self.none
        if last == Self.none { first = page } else { next[Int(last)] = page }
        last = page
        count += 1
    }

    mutating func remove(_ page: PageIndex) {
        precondition(member[Int(page)], "page \(page) is not listed")
        member[Int(page)] = false
        let before = previous[Int(page)]
        let after = next[Int(page)]
        if before == Self.none { first = after } else { next[Int(before)] = after }
        if after == Self.none { last = before } else { previous[Int(after)] = before }
        count -= 1
    }

    /// Removes the least recently used page.
    mutating func removeFirst() -> PageIndex? {
        guard first != Self.none else { return nil }
        let page = first
        remove(page)
        return page
    }

    /// From least to most recently used. O(count).
    var all: [PageIndex] {
        var pages: [PageIndex] = []
        var page = first
        while page != Self.none {
            pages.append(page)
            page = next[Int(page)]
        }
        return pages
    }
}
