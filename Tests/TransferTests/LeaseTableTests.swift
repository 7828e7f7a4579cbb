import Platform
import Testing
import Wire

@testable import Transfer

/// What a table of leases says, second by second.
@Suite
struct LeaseTableTests {
    /// Runs lines like "0 begin a" and adds what came of each.
    private func transcript(_ script: String, duration: Duration = .seconds(10)) -> String {
        var table = LeaseTable(duration: duration)
        var lines: [String] = []
        for line in script.split(separator: "\n") {
            let words = line.split(separator: " ")
            let now = MonotonicInstant(nanoseconds: (UInt64(words[0]) ?? 0) * 1_000_000_000)
            let name = words.count > 2 ? TransferID(high: 0, low: UInt64(words[2].utf8.first ?? 0)) : TransferID(high: 0, low: 0)
            let result =
                switch words[1] {
                case "begin":
                    { () -> String in
                        table.begin(name, now: now)
                        return "held"
                    }()
                case "renew": table.renew(name, now: now) ? "held" : "unknown"
                case "end": table.end(name) ? "ended" : "unknown"
                default: table.expire(now: now).map { String(UnicodeScalar(UInt8($0.low))) }.joined(separator: " ")
                }
            lines.append("\(line): \(result.isEmpty ? "-" : result) (\(table.count) held, \(table.expired) expired)")
        }
        return lines.joined(separator: "\n")
    }

    @Test func `a lease lasts its time from its beginning or renewal, and is over at that moment`() {
        #expect(
            transcript(
                """
                0 begin b
                0 begin a
                1 begin c
                9 look
                9 renew b
                10 look
                11 look
                11 renew c
                18 look
                19 look
                20 renew a
                """)
                == """
                0 begin b: held (1 held, 0 expired)
                0 begin a: held (2 held, 0 expired)
                1 begin c: held (3 held, 0 expired)
                9 look: - (3 held, 0 expired)
                9 renew b: held (3 held, 0 expired)
                10 look: a (2 held, 1 expired)
                11 look: c (1 held, 2 expired)
                11 renew c: unknown (1 held, 2 expired)
                18 look: - (1 held, 2 expired)
                19 look: b (0 held, 3 expired)
                20 renew a: unknown (0 held, 3 expired)
                """)
    }

    @Test func `leases that end together are named in their order`() {
        #expect(
            transcript("0 begin c\n0 begin a\n0 begin b\n10 look").hasSuffix("10 look: a b c (0 held, 3 expired)"))
    }

    @Test func `what was released does not expire, and is released once`() {
        #expect(
            transcript("0 begin a\n5 end a\n5 end a\n5 renew a\n10 look\n10 begin a\n19 look\n20 look")
                == """
                0 begin a: held (1 held, 0 expired)
                5 end a: ended (0 held, 0 expired)
                5 end a: unknown (0 held, 0 expired)
                5 renew a: unknown (0 held, 0 expired)
                10 look: - (0 held, 0 expired)
                10 begin a: held (1 held, 0 expired)
                19 look: - (1 held, 0 expired)
                20 look: a (0 held, 1 expired)
                """)
    }
}
