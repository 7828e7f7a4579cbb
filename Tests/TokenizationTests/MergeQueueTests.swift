@testable import Tokenization
import Inference
import TestSupport
import Testing

@Suite struct MergeQueueTests {
    /// 26 letters and random merges of what is there so far.
    private func randomMerges(_ generator: inout SeededGenerator, count: Int) -> (table: MergeTable, merges: [(TokenID, TokenID, TokenID)]) {
        var table = MergeTable(capacity: count)
        var merges: [(TokenID, TokenID, TokenID)] = []
        for rank in 0..<count {
            let (left, right) = (TokenID(generator.next(below: 4 + rank)), TokenID(generator.next(below: 4 + rank)))
            guard table[left, right] == MergeTable.none else { continue }
            let merged = TokenID(4 + merges.count)
            merges.append((left, right, merged))
            table.insert(left, right, rank: UInt32(rank), merged: merged)
        }
        return (table, merges)
    }

    /// Each merge in turn, everywhere from the left: what ranks mean.
    private func expected(_ symbols: [TokenID], _ merges: [(TokenID, TokenID, TokenID)]) -> [TokenID] {
        var symbols = symbols
        while true {
            guard let merge = merges.first(where: { merge in
                zip(symbols, symbols.dropFirst()).contains { $0 == merge.0 && $1 == merge.1 }
            }) else { return symbols }
            for index in 0..<(symbols.count - 1) where symbols[index] == merge.0 && symbols[index + 1] == merge.1 {
                symbols.replaceSubrange(index...(index + 1), with: [merge.2])
                break
            }
        }
    }

    @Test("short and long words merge lowest rank first, leftmost first")
    func order() {
        var generator = SeededGenerator(seed: 3)
        var queue = MergeQueue()
        for length in [1, 2, 3, 10, MergeQueue.scanLimit, MergeQueue.scanLimit + 1, 150] {
            for _ in 0..<8 {
                let (table, merges) = randomMerges(&generator, count: 30)
                let word = (0..<length).map { _ in TokenID(generator.next(below: 4)) }
                queue.symbols = word
                queue.merge(by: table)
                #expect(queue.symbols == expected(word, merges))
            }
        }
    }

    @Test("a word of a hundred thousand letters merges in no time")
    func longWord() throws {
        var table = MergeTable(capacity: 10)
        for level in 0..<10 { table.insert(TokenID(level), TokenID(level), rank: UInt32(level), merged: TokenID(level + 1)) }
        var queue = MergeQueue()
        queue.symbols = [TokenID](repeating: 0, count: 1 << 17)
        queue.merge(by: table)
        #expect(queue.symbols == [TokenID](repeating: 10, count: 1 << 7))
        queue.trim(toCapacity: 100)
        #expect(queue.symbols.capacity == 0)
    }

    @Test("the word cache forgets rather than grow")
    func cache() {
        var cache = WordCache(slotBits: 4, arenaBytes: 1000)
        for number in 0..<500 {
            let word = Array("word\(number)".utf8)
            let hash = WordCache.hash(word.span, 0, word.count)
            var output: [TokenID] = []
            #expect(!cache.append(word.span, 0, word.count, hash: hash, to: &output))
            cache.remember(word.span, 0, word.count, hash: hash, tokens: [TokenID(number), 7])
            #expect(cache.append(word.span, 0, word.count, hash: hash, to: &output))
            #expect(output == [TokenID(number), 7])
        }
    }
}
