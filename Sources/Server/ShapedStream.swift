internal import Platform
package import Reactor

/// A stream whose sending direction behaves like a worse link: delays, paces and breaks as its `Shaper` says. Without a shape bytes go
/// straight on. Reading is left as it is. Owns the stream below it.
///
/// What it holds counts as `queuedBytes`, so writers that look at it keep it bounded. Timers have a millisecond: at high rates bytes go on
/// in larger steps.
package final class ShapedStream: ByteStream {
    package let reactor: Reactor
    package var receiver: (any ByteStreamReceiver)?
    package var drainMark = 64 << 10 { didSet { inner.drainMark = drainMark } }
    private let inner: any ByteStream
    private var shaper: Shaper
    /// Held in the order of writing; `offset` bytes of the first are gone.
    private var held: [[UInt8]] = []
    private var offset = 0
    private var timer: ReactorTimer?
    private var wantsFinish = false
    private var wantsClose = false
    private var isOver = false
    private var owesDrain = false

    package init(over inner: any ByteStream, shape: LinkShape?, seed: UInt64) {
        self.inner = inner
        reactor = inner.reactor
        shaper = Shaper(seed: seed, now: SystemClock().now)
        inner.receiver = self
        if shape != nil { change(to: shape) }
    }

    package var shape: LinkShape? {
        get { shaper.shape }
        set { change(to: newValue) }
    }

    private func change(to shape: LinkShape?) {
        guard !isOver else { return }
        shaper.change(to: shape, now: SystemClock().now)
        advance()
    }

    package var peer: Endpoint? { inner.peer }
    package var negotiatedProtocol: String? { inner.negotiatedProtocol }
    package var isEncrypted: Bool { inner.isEncrypted }
    package var queuedBytes: Int { inner.queuedBytes + shaper.queued }
    package var bytesReceived: UInt64 { inner.bytesReceived }
    package var bytesSent: UInt64 { inner.bytesSent }

    // MARK: Writing

    /// Whether bytes may go straight on: nothing changes them and none are before them.
    private var isTransparent: Bool { shaper.shape == nil && shaper.queued == 0 }

    package func write(_ bytes: RawSpan) {
        if isTransparent { return inner.write(bytes) }
        var copy: [UInt8] = []
        copy.reserveCapacity(bytes.byteCount)
        unsafe bytes.withUnsafeBytes { unsafe copy.append(contentsOf: $0) }
        hold(copy)
    }

    package func write(_ bytes: consuming [UInt8]) {
        if isTransparent { return inner.write(bytes) }
        hold(bytes)
    }

    package func write(_ bytes: [UInt8], _ range: Range<Int>) {
        if isTransparent { return inner.write(bytes, range) }
        hold(Array(bytes[range]))
    }

    private func hold(_ bytes: [UInt8]) {
        guard !isOver, !bytes.isEmpty else { return }
        held.append(bytes)
        shaper.accept(bytes.count, now: SystemClock().now)
        advance()
    }

    /// Does what is due and sets the timer for what is not.
    private func advance() {
        guard !isOver else { return }
        while true {
            switch shaper.step(now: SystemClock().now) {
            case .pass(let count): pass(count)
            case .wait(let due):
                if queuedBytes > drainMark { owesDrain = true }
                endIfWritten()
                return wake(after: due.since(SystemClock().now))
            case .idle:
                timer?.stop()
                return endIfWritten()
            case .breakOff: return close()
            }
        }
    }

    private func pass(_ count: Int) {
        var left = count
        var gone = 0
        while left > 0 {
            let part = min(left, held[gone].count - offset)
            inner.write(held[gone], offset..<(offset + part))
            left -= part
            offset += part
            guard offset == held[gone].count else { break }
            offset = 0
            gone += 1
        }
        held.removeFirst(gone)
    }

    private func wake(after delay: Duration) {
        if let timer { return timer.restart(after: delay) }
        timer = ReactorTimer(on: reactor, after: delay) { [unowned self] in
            advance()
            tellDrained()
        }
    }

    private func tellDrained() {
        guard owesDrain, !isOver, queuedBytes <= drainMark else { return }
        owesDrain = false
        receiver?.streamDidDrain(self)
    }

    // MARK: The rest

    package func pauseReading() { inner.pauseReading() }
    package func resumeReading() { inner.resumeReading() }

    package func finishWriting() {
        wantsFinish = true
        endIfWritten()
    }

    package func closeWhenWritten() {
        wantsClose = true
        endIfWritten()
    }

    private func endIfWritten() {
        guard shaper.queued == 0 else { return }
        if wantsClose { inner.closeWhenWritten() } else if wantsFinish { inner.finishWriting() }
    }

    package func close() { close(.closed) }

    package func close(_ reason: StreamEnd) {
        end()
        inner.close(reason)
    }

    private func end() {
        isOver = true
        held = []
        timer?.close()
        timer = nil
    }
}

extension ShapedStream: ByteStreamReceiver {
    package func stream(_ stream: any ByteStream, didReceive bytes: RawSpan) { receiver?.stream(self, didReceive: bytes) }
    package func streamDidReachEnd(_ stream: any ByteStream) { receiver?.streamDidReachEnd(self) }

    package func streamDidDrain(_ stream: any ByteStream) {
        if shaper.queued == 0 { return receiver?.streamDidDrain(self) ?? () }
        tellDrained()
    }

    package func streamDidClose(_ stream: any ByteStream, _ reason: StreamEnd) {
        end()
        let last = receiver
        receiver = nil
        last?.streamDidClose(self, reason)
    }
}
