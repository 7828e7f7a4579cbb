import Inference
import KVCache
import Testing

@Suite struct PageCacheTests {
    private func tokens(_ count: Int, from first: TokenID = 0) -> [TokenID] { (0..<TokenID(count)).map { first + $0 } }

    /// Computes `all` in a new table and gives it back, as a sequence that ran to its end would.
    private func run(_ all: [TokenID], in cache: inout PageCache, salt: String = "") -> [PageIndex] {
        var table = cache.open(for: all, salt: salt)
        let extended = cache.extend(&table, toHold: all.count) != nil
        #expect(extended)
        cache.seal(&table, tokens: { all[$0] }, computed: all.count)
        let pages = table.pages
        cache.close(table)
        cache.checkInvariants()
        return pages
    }

    @Test func aRepeatedPromptFindsItsFullPagesAndLeavesTheLastTokenToCompute() {
        var cache = PageCache(pages: 8, model: "m")
        let first = run(tokens(200), in: &cache)
        var table = cache.open(for: tokens(200), salt: "")
        #expect(table.sealed == 3)
        #expect(table.pages == Array(first[..<3]))
        cache.close(table)
        table = cache.open(for: tokens(192), salt: "")
        #expect(table.sealed == 2, "the last of 192 tokens must be computed, so its page is not reused")
        cache.close(table)
        cache.checkInvariants()
    }

    @Test func prefixesAreNotSharedAcrossSaltsModelsOrDifferentParents() {
        var cache = PageCache(pages: 16, model: "m")
        _ = run(tokens(129), in: &cache, salt: "a")
        #expect(cache.knownPrefix(of: tokens(129), salt: "a") == 128)
        #expect(cache.knownPrefix(of: tokens(129), salt: "b") == 0)
        // The second page has the same tokens but another first page before it.
        let other = tokens(64, from: 1000) + tokens(129)[64...]
        #expect(cache.knownPrefix(of: other, salt: "a") == 0)
    }

    @Test func aPageHeldByTwoIsFreedOnlyByTheLast() {
        var cache = PageCache(pages: 4, model: "m")
        _ = run(tokens(65), in: &cache)
        let one = cache.open(for: tokens(65), salt: "")
        let two = cache.open(for: tokens(65), salt: "")
        #expect(one.pages == two.pages)
        #expect(cache.held == 1)
        cache.close(one)
        #expect(cache.held == 1)
        cache.close(two)
        #expect(cache.held == 0)
        cache.checkInvariants()
    }

    @Test func whenPagesRunOutTheLeastRecentlyUsedPrefixGoesTailFirst() {
        var cache = PageCache(pages: 4, model: "m")
        _ = run(tokens(129), in: &cache)  // two sealed pages and one free again
        var table = cache.open(for: tokens(150, from: 5000), salt: "")
        #expect(cache.extend(&table, toHold: 150) != nil)  // needs three: two free, one reclaimed
        #expect(cache.knownPrefix(of: tokens(129), salt: "") == 64, "the tail of the old prefix went, its head is still there")
        #expect(cache.reclaimed == 1)
        cache.close(table)
        cache.checkInvariants()
    }

    @Test func anImpossibleExtensionChangesNothing() {
        var cache = PageCache(pages: 2, model: "m")
        var table = cache.open(for: tokens(10), salt: "")
        #expect(cache.extend(&table, toHold: 64) == [0])
        #expect(cache.extend(&table, toHold: 64 * 3) == nil)
        #expect(table.pages == [0])
        #expect(cache.available == 1)
        cache.close(table)
        cache.checkInvariants()
    }

    @Test func twinsComputedAtOnceKeepOneNameAndLeakNothing() {
        var cache = PageCache(pages: 4, model: "m")
        let all = tokens(65)
        var one = cache.open(for: all, salt: "")
        var two = cache.open(for: all, salt: "")
        _ = cache.extend(&one, toHold: 65)
        _ = cache.extend(&two, toHold: 65)
        cache.seal(&one, tokens: { all[$0] }, computed: 65)
        cache.seal(&two, tokens: { all[$0] }, computed: 65)
        cache.close(two)
        cache.close(one)
        cache.checkInvariants()
        #expect(cache.available == 4)
        #expect(cache.knownPrefix(of: all, salt: "") == 64)
        cache.forgetPrefixes()
        cache.checkInvariants()
        #expect(cache.knownPrefix(of: all, salt: "") == 0)
    }

    @Test func aDroppedTableTraps() async {
        await #expect(processExitsWith: .failure) {
            var cache = PageCache(pages: 2, model: "m")
            var table = cache.open(for: [1, 2], salt: "")
            _ = cache.extend(&table, toHold: 2)
            _ = consume table
        }
    }
}
