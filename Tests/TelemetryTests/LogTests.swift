import Logging
import Synchronization
import Telemetry
import Testing

@Suite struct LogTests {
    @Test(
        "timestamps are RFC 3339 in UTC",
        arguments: [
            (0, "1970-01-01T00:00:00.000Z"), (951_782_399_999_000_000, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000_000_000, "2000-02-29T00:00:00.000Z"), (1_767_225_599_123_456_789, "2025-12-31T23:59:59.123Z"),
            (-1_000_000, "1969-12-31T23:59:59.999Z"), (4_107_542_400_000_000_000, "2100-03-01T00:00:00.000Z"),
        ] as [(Int64, String)])
    func timestamps(time: Int64, text: String) {
        #expect(LogLineFormatter.timestamp(time) == text)
    }

    @Test("a text line quotes values that could be misread, and stays one line")
    func text() {
        let line = LogLineFormatter(format: .text).line(
            time: 0, level: .info, label: "gateway", message: "a\nb", metadata: [("id", "x1"), ("why", "two words"), ("q", "a\"b=c")])
        #expect(
            String(decoding: line, as: UTF8.self)
                == #"1970-01-01T00:00:00.000Z info     gateway: a\nb id=x1 why="two words" q="a\"b=c""# + "\n")
    }

    @Test("control characters beyond ASCII and Unicode's line ends do not stand bare")
    func controls() {
        let line = LogLineFormatter(format: .text).line(
            time: 0, level: .info, label: "g", message: "m\u{9B}", metadata: [("a", "x\u{9B}31m"), ("b", "\u{85}\u{2028}\u{2029}"), ("c", "ü"), ("d", "")])
        #expect(
            String(decoding: line, as: UTF8.self)
                == #"1970-01-01T00:00:00.000Z info     g: m\u009b a="x\u009b31m" b="\u0085\u2028\u2029" c=ü d="""# + "\n")
    }

    @Test("a JSON line escapes control characters and does not let metadata replace its own keys")
    func json() {
        let line = LogLineFormatter(format: .json, colour: true).line(
            time: 0, level: .warning, label: "g", message: "\u{1B}[31m", metadata: [("level", "x"), ("k", "ü\t")])
        #expect(
            String(decoding: line, as: UTF8.self)
                == #"{"time":"1970-01-01T00:00:00.000Z","level":"warning","label":"g","message":"\u001b[31m","level_":"x","k":"ü\t"}"# + "\n")
    }

    @Test("loggers follow the level of the process until they set their own")
    func level() {
        let sink = LineSink()
        let level = LogLevel(.info)
        let output = LogOutput(write: { sink.add($0) }, now: { 0 })
        var logger = Logger(label: "t") { LineLogHandler(label: $0, configuration: LogConfiguration(), level: level, output: output) }
        logger.debug("no")
        level.value = .debug
        logger.debug("yes")
        logger.logLevel = .error
        logger.warning("no")
        #expect(sink.lines == ["1970-01-01T00:00:00.000Z debug    t: yes\n"])
    }
}

private final class LineSink: Sendable {
    private let state = Mutex<[String]>([])
    func add(_ bytes: [UInt8]) { state.withLock { $0.append(String(decoding: bytes, as: UTF8.self)) } }
    var lines: [String] { state.withLock { $0 } }
}
