import Kernels
import Testing

@Suite struct ChunkSharesTests {
    @Test func `shares are consecutive, even, and know their chunks`() {
        for threads in 1...9 {
            for chunks in 0...40 {
                var end = 0
                for thread in 0..<threads {
                    let share = ChunkShares.share(of: thread, chunks: chunks, threads: threads)
                    #expect(share.lowerBound == end && (chunks / threads...chunks / threads + 1).contains(share.count))
                    for chunk in share { #expect(ChunkShares.thread(of: chunk, chunks: chunks, threads: threads) == thread) }
                    end = share.upperBound
                }
                #expect(end == chunks)
            }
        }
    }

    @Test func `a thread takes its own from the front, then others' from the back`() {
        let shares = ChunkShares(threads: 3)
        shares.deal(chunks: 8)
        #expect([shares.take(0), shares.take(2), shares.take(0)] == [0, 5, 1])
        // Thread 0 is through: it helps thread 1, and when that has nothing left, thread 2.
        #expect([shares.take(0), shares.take(1), shares.take(0), shares.take(0), shares.take(0)] == [4, 2, 3, 7, 6])
        #expect((0..<3).allSatisfy { shares.take($0) == nil })
        shares.deal(chunks: 1)
        #expect([shares.take(0), shares.take(1)] == [0, nil])
    }
}
