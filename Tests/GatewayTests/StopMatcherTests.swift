import Gateway
import TestSupport
import Testing

@Suite struct StopMatcherTests {
    private func run(_ pieces: [String], _ stops: [String], includesStop: Bool = false) -> (given: [String], matched: String?) {
        var matcher = StopMatcher(stops, includesStop: includesStop)
        var given = pieces.map { matcher.push($0) }
        if matcher.matched == nil { given.append(matcher.flush()) }
        return (given, matcher.matched)
    }

    @Test("only the end that may become a stop string is held back")
    func holdsBack() {
        #expect(run(["abc", "<", "/s", ">d"], ["</s>"]).given == ["abc", "", "", ""])
        #expect(run(["abc<", "x"], ["</s>"]).given == ["abc", "<x", ""])
        #expect(run(["abc<"], ["</s>"]).given == ["abc", "<"])
    }

    @Test("a stop string is cut off, or kept when asked for")
    func cuts() {
        #expect(run(["one\n", "two\n\nthree"], ["\n\n"]).given.joined() == "one\ntwo")
        #expect(run(["one\n", "two\n\nthree"], ["\n\n"], includesStop: true).given.joined() == "one\ntwo\n\n")
    }

    @Test("the stop string that is complete first wins, the longest of those complete together")
    func order() {
        #expect(run(["xabcd"], ["abcd", "bc"]).matched == "bc")
        #expect(run(["xabc"], ["bc", "abc"]).matched == "abc")
        #expect(run(["xabc"], ["bc", "abc"]).given.joined() == "x")
    }

    @Test("a failed beginning does not hide a later one")
    func overlap() {
        let result = run(["aab"], ["ab"])
        #expect(result.matched == "ab")
        #expect(result.given.joined() == "a")
        #expect(run(["a", "a", "a", "b"], ["aab"]).given.joined() == "a")
    }

    @Test("code points are never split")
    func codePoints() {
        // é is C3 A9, è is C3 A8: the first byte alone is a beginning of the stop string.
        let result = run(["caf", "é", "x"], ["è"])
        #expect(result.given == ["caf", "é", "x", ""])
        #expect(run(["👩‍", "👧"], ["👧"]).given.joined() == "👩‍")
    }

    @Test("cutting the text differently changes nothing")
    func cuttingIsIrrelevant() {
        var random = SeededGenerator(seed: 3)
        for _ in 0..<400 {
            let alphabet: [Character] = ["a", "b", "é", "\n"]
            let text = String((0..<20).map { _ in alphabet[Int(random.next() % 4)] })
            let stops = (0..<3).map { _ in String((0...Int(random.next() % 4)).map { _ in alphabet[Int(random.next() % 4)] }) }
            let whole = run([text], stops)
            var pieces: [String] = []
            for character in text {
                if random.next() % 2 == 0 || pieces.isEmpty { pieces.append("") }
                pieces[pieces.count - 1].append(character)
            }
            let cut = run(pieces, stops)
            #expect(cut.matched == whole.matched, "\(pieces) \(stops)")
            #expect(cut.given.joined() == whole.given.joined(), "\(pieces) \(stops)")
        }
    }

    @Test("after a match nothing more comes")
    func afterMatch() {
        var matcher = StopMatcher(["x"])
        #expect(matcher.push("ax") == "a")
        #expect(matcher.push("bx") == "")
        #expect(matcher.flush() == "")
    }

    @Test("a stop string before the least number of tokens does not count")
    func minTokens() {
        var choice = ChoiceStream(stops: ["x"], includesStop: false, minTokens: 2, keepsTokens: true)
        var completed = ["x", "x"].map { choice.accept(1, text: $0) }
        #expect(choice.take()?.text == "xx")
        completed.append(choice.accept(2, text: "ax"))
        #expect(choice.finish == .stopString("x"))
        #expect(choice.generated == 3)
        completed.append(choice.accept(3, text: "b"))
        #expect(completed == [false, false, true, false])
        var last = ChoiceDelta()
        last.text = "a"
        last.tokens = [2]
        #expect(choice.take() == last)
        #expect(choice.take() == nil)
    }
}
