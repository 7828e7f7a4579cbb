package import Logging
internal import Synchronization

/// How log lines look.
package enum LogFormat: String, Sendable, CaseIterable {
    case text
    /// One JSON object a line.
    case json
}

package struct LogConfiguration: Sendable {
    /// Lines below it are not written. Can be changed while running through `LogLevel`.
    package var level: Logger.Level = .info
    package var format: LogFormat = .text
    /// Colour the level; only `text` has colours. The caller decides, since it knows whether a terminal is at the other end.
    package var colour = false

    package init() {}
}

/// Where lines go and what time it is: the two things that only the process knows.
package struct LogOutput: Sendable {
    /// Takes one whole line with its line feed. Called from any thread; must write it in one piece.
    package let write: @Sendable ([UInt8]) -> Void
    /// Nanoseconds since 1970-01-01T00:00:00Z.
    package let now: @Sendable () -> Int64

    package init(write: @escaping @Sendable ([UInt8]) -> Void, now: @escaping @Sendable () -> Int64) {
        self.write = write
        self.now = now
    }
}

/// The level of the whole process, changeable while it runs. Any thread.
package final class LogLevel: Sendable {
    private let cell: Mutex<Logger.Level>

    package init(_ level: Logger.Level) { cell = Mutex(level) }

    package var value: Logger.Level {
        get { cell.withLock { $0 } }
        set { cell.withLock { $0 = newValue } }
    }
}

package enum LogSetup {
    /// Makes every `Logger` of the process write through `output`. Once per process, before the first logger.
    ///
    /// - Returns: the switch for the level.
    package static func bootstrap(_ configuration: LogConfiguration, output: LogOutput) -> LogLevel {
        let level = LogLevel(configuration.level)
        LoggingSystem.bootstrap { label in LineLogHandler(label: label, configuration: configuration, level: level, output: output) }
        return level
    }
}

/// Turns log events into lines.
package struct LineLogHandler: LogHandler {
    private let label: String
    private let formatter: LogLineFormatter
    private let level: LogLevel
    private let output: LogOutput
    package var metadata: Logger.Metadata = [:]
    package var metadataProvider: Logger.MetadataProvider?
    /// A logger that set its own level keeps it; the others follow the process.
    private var ownLevel: Logger.Level?

    package init(label: String, configuration: LogConfiguration, level: LogLevel, output: LogOutput) {
        self.label = label
        self.formatter = LogLineFormatter(format: configuration.format, colour: configuration.colour)
        self.level = level
        self.output = output
    }

    package var logLevel: Logger.Level {
        get { ownLevel ?? level.value }
        set { ownLevel = newValue }
    }

    package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    package func log(event: LogEvent) {
        var all = metadata
        if let provided = metadataProvider?.get() { all.merge(provided) { _, new in new } }
        if let given = event.metadata { all.merge(given) { _, new in new } }
        if let error = event.error { all["error"] = "\(error)" }
        let line = formatter.line(
            time: output.now(), level: event.level, label: label, message: event.message.description,
            metadata: all.map { (key: $0.key, value: $0.value.description) }.sorted { $0.key < $1.key }
        )
        output.write(line)
    }
}
