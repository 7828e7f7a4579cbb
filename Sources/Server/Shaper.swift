internal import Glibc
internal import Platform

/// Decides when the bytes of one shaped connection go on, and when it breaks. All time is given; the same seed and the same calls give
/// the same answers.
struct Shaper {
    /// Bytes that go on together: a piece of at most `grain`, so that the rate is smooth.
    private struct Piece {
        var count: Int
        var due: MonotonicInstant
    }

    /// What may happen now.
    enum Step: Equatable {
        /// Hand so many bytes on.
        case pass(Int)
        /// Nothing before then.
        case wait(until: MonotonicInstant)
        case idle
        /// The connection is over.
        case breakOff
    }

    /// What goes on at once. 16 KiB are 1.3 ms at 100 Mbit/s, about the resolution of timers.
    private static let grain = 16 << 10

    private(set) var shape: LinkShape?
    private var random: SplitMix
    private var pieces: [Piece] = []
    private var head = 0
    /// When the link has finished sending what was accepted before.
    private var free: MonotonicInstant
    private var lastDue: MonotonicInstant
    private var breakAt: MonotonicInstant?
    private var passed = 0
    private(set) var queued = 0

    init(seed: UInt64, now: MonotonicInstant) {
        random = SplitMix(state: seed)
        free = now
        lastDue = now
    }

    /// Takes effect for what is accepted from now on; a break is counted from now.
    mutating func change(to shape: LinkShape?, now: MonotonicInstant) {
        self.shape = shape
        free = now
        passed = 0
        breakAt = shape?.meanTimeBetweenBreaks.map { mean in
            now.advanced(by: mean * -log(1 - random.unit()))
        }
    }

    mutating func accept(_ count: Int, now: MonotonicInstant) {
        queued += count
        var left = count
        while left > 0 {
            let part = min(left, Self.grain)
            left -= part
            pieces.append(Piece(count: part, due: due(part, now)))
        }
    }

    private mutating func due(_ count: Int, _ now: MonotonicInstant) -> MonotonicInstant {
        var at = max(now, lastDue)
        if let shape {
            if let rate = shape.bytesPerSecond {
                free = max(free, now).advanced(by: .nanoseconds(Int64(Double(count) / Double(max(1, rate)) * 1e9)))
            } else {
                free = now
            }
            let late = shape.jitter > .zero ? shape.jitter * random.unit() : .zero
            // A piece never overtakes the one before it.
            at = max(lastDue, free.advanced(by: shape.latency + late))
        }
        lastDue = at
        return at
    }

    /// Asked until the answer is not `pass`.
    mutating func step(now: MonotonicInstant) -> Step {
        if let breakAt, now >= breakAt { return .breakOff }
        var count = 0
        while head < pieces.count, pieces[head].due <= now {
            count += pieces[head].count
            head += 1
        }
        if head == pieces.count {
            pieces.removeAll(keepingCapacity: true)
            head = 0
        } else if head > 256 {
            pieces.removeFirst(head)
            head = 0
        }
        if count > 0 {
            if let limit = shape?.breakAfterBytes, passed + count > limit { return .breakOff }
            passed += count
            queued -= count
            return .pass(count)
        }
        let next = head < pieces.count ? pieces[head].due : nil
        guard let soonest = [next, breakAt].compactMap({ $0 }).min() else { return .idle }
        return .wait(until: soonest)
    }
}

/// A small generator whose sequence is fixed by its seed (Steele, Lea and Flood 2014).
struct SplitMix {
    var state: UInt64

    /// 0 up to 1, without 1.
    mutating func unit() -> Double {
        state &+= 0x9E37_79B9_7F4A_7C15
        var word = state
        word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
        word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
        return Double((word ^ (word >> 31)) >> 11) * 0x1p-53
    }
}
