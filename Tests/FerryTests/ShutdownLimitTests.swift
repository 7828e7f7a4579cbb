import Dispatch
import Synchronization
import Testing

@testable import Ferry

@Suite(.timeLimit(.minutes(1))) struct ShutdownLimitTests {
    private enum Step: Equatable { case reported, ended }

    @Test func `when the time is over the reason is told, then the process ends`() async {
        let steps = Mutex<[Step]>([])
        await withCheckedContinuation { continuation in
            ShutdownLimit(limit: .zero) {
                steps.withLock { $0.append(.reported) }
            } end: {
                steps.withLock { $0.append(.ended) }
                continuation.resume()
            }.begin()
        }
        #expect(steps.withLock { $0 } == [.reported, .ended])
    }

    @Test func `a log that hangs does not keep the process alive`() async {
        let never = DispatchSemaphore(value: 0)
        await withCheckedContinuation { continuation in
            ShutdownLimit(limit: .zero) { never.wait() } end: { continuation.resume() }.begin()
        }
        never.signal()
    }
}
