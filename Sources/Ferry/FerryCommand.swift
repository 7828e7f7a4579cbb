internal import ArgumentParser
internal import Foundation
internal import Platform

/// The program `ferry`: parses the command line, runs one command, maps outcomes to exit codes.
@main struct FerryCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ferry",
        abstract: "Serves large language models over HTTP/1.1 and HTTP/2.",
        discussion: """
            Examples:
              ferry serve                                  the bundled model on 127.0.0.1:8080
              ferry serve --model ~/models/SmolLM2-135M    your own
              ferry worker --join http://127.0.0.1:9191    one more worker for a running gateway
              ferry generate --prompt "What is 347 + 285?"
              ferry bench --shape smollm2-135m
              ferry pack ~/models/SmolLM2-135M --output ~/models/SmolLM2-135M-packed

            Exit codes: 0 done, 1 failed, 2 wrong usage, 78 bad configuration.
            """,
        version: Version.text,
        subcommands: [
            ServeCommand.self, WorkerCommand.self, GenerateCommand.self, TokenizeCommand.self, BenchCommand.self, PackCommand.self,
            UnpackCommand.self, InspectCommand.self, CodecCommand.self, LinkBenchmarkPeer.self,
        ])

    static func main() async {
        // A file that would exceed the limit on sizes is an error that names it, not the end of the program.
        _ = signal(SIGXFSZ, SIG_IGN)
        do {
            var command = try parseAsRoot()
            if var asynchronous = command as? any AsyncParsableCommand {
                try await asynchronous.run()
            } else {
                try command.run()
            }
        } catch {
            Foundation.exit(report(error))
        }
    }

    /// Says what went wrong on standard error and gives the exit code.
    private static func report(_ error: any Error) -> Int32 {
        switch error {
        case let error as ConfigurationError:
            complain(error.description)
            return 78
        case let error as CommandFailure:
            complain(error.description)
            return 1
        default:
            // Help and version arrive here too, with exit code 0 and their text on standard output.
            let code = exitCode(for: error)
            guard code == .success || code == .validationFailure else {
                complain("\(error)")
                return 1
            }
            let message = fullMessage(for: error)
            if code == .success {
                do { try StandardOutput.write(message + "\n") } catch { return report(error) }
                return 0
            }
            StandardError.write(Array((message + "\n").utf8))
            return 2
        }
    }

    private static func complain(_ text: String) {
        StandardError.write(Array("ferry: \(text)\n".utf8))
    }
}

/// A command could not do what it was asked; the text names the file, key or tensor at fault.
struct CommandFailure: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}
