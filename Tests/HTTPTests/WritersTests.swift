import TestSupport
import Testing

@testable import HTTP

@Suite("Event streams, dates and fields")
struct WritersTests {
    private func written(_ write: (inout [UInt8]) -> Void) -> String {
        var buffer: [UInt8] = []
        write(&buffer)
        return String(decoding: buffer, as: UTF8.self)
    }

    @Test("an event is one data line and a blank one")
    func event() {
        #expect(written { ServerSentEvents.data(#"{"a":1}"#.utf8, into: &$0) } == "data: {\"a\":1}\n\n")
        #expect(written { ServerSentEvents.data(into: &$0) { $0.append(0x61) } } == "data: a\n\n")
        #expect(written { ServerSentEvents.data("".utf8, into: &$0) } == "data: \n\n")
        #expect(written { ServerSentEvents.done(into: &$0) } == "data: [DONE]\n\n")
    }

    @Test("line ends within data become data lines, so that no event can be forged")
    func multiline() {
        #expect(
            written { ServerSentEvents.data("a\nb\r\nc\rd\n\ne".utf8, into: &$0) }
                == "data: a\ndata: b\ndata: c\ndata: d\ndata: \ndata: e\n\n")
        #expect(written { ServerSentEvents.comment("wait\nnow", into: &$0) } == ": wait now\n\n")
    }

    @Test(
        "dates are IMF-fixdate",
        arguments: [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"), (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (951_868_800, "Wed, 01 Mar 2000 00:00:00 GMT"), (1_709_164_800, "Thu, 29 Feb 2024 00:00:00 GMT"),
            (4_107_542_399, "Sun, 28 Feb 2100 23:59:59 GMT"), (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
            (253_402_300_799, "Fri, 31 Dec 9999 23:59:59 GMT"),
        ])
    func dates(seconds: Int, text: String) { #expect(HTTPDate.string(seconds: seconds) == text) }

    @Test("fields keep their order and lists are searched without case")
    func fields() {
        var headers: HTTPHeaders = ["a": "1", "b": "x, Close ,y", "a": "2"]
        #expect(headers["a"] == "1" && headers.values("a") == ["1", "2"] && headers["c"] == nil)
        #expect(
            headers.list("b", contains: "close") && !headers.list("b", contains: "clos") && !headers.list("a", contains: "close"))
        headers.set("a", "3")
        #expect(headers.values("a") == ["3"] && headers.count == 2)
        headers.remove("b")
        #expect(headers == ["a": "3"])
    }

    @Test("a queue of bytes gives what it was given, in any pieces")
    func byteQueue() {
        var queue = ByteQueue(), taken: [UInt8] = [], given: [UInt8] = [], random = SeededGenerator(seed: 7)
        for _ in 0..<2000 {
            let piece = (0..<Int(random.next() % 300)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
            given += piece
            for byte in piece { queue.append(byte) }
            queue.move(Int(random.next() % UInt64(queue.count + 1)), to: &taken)
        }
        queue.move(queue.count, to: &taken)
        #expect(taken == given && queue.isEmpty)
    }
}
