internal import ArgumentParser
internal import Glibc
internal import Platform

/// The program `ferry-load`: parses the command line, runs one command, maps outcomes to exit codes.
@main struct FerryLoad: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ferry-load", abstract: "Measures OpenAI-compatible inference servers.",
        discussion: """
            Examples:
              ferry-load --base-url http://127.0.0.1:8080 --num-prompts 200 --request-rate 4
              ferry-load --base-url http://127.0.0.1:8080 --max-concurrency 16 --random-input-len 512 --random-output-len 64
              ferry-load --base-url http://127.0.0.1:8080 --http 2 --connections 1 --request-rate 20 --trouble cancel:0.1:100-900ms
              ferry-load sweep --base-url http://127.0.0.1:8080 --lowest-rate 1 --highest-rate 64 --goodput ttft:500
              ferry-load compare before.json after.json
              ferry-load echo --token-rate 50

            Exit codes: 0 done, 1 failed (also when no request succeeded), 2 wrong usage, 130 ended by Ctrl-C.
            """,
        subcommands: [RunCommand.self, SweepCommand.self, CompareCommand.self, EchoCommand.self], defaultSubcommand: RunCommand.self)

    static func main() async {
        do {
            var command = try parseAsRoot()
            if var asynchronous = command as? any AsyncParsableCommand {
                try await asynchronous.run()
            } else {
                try command.run()
            }
        } catch {
            Glibc.exit(report(error))
        }
    }

    /// Says what went wrong on standard error and gives the exit code.
    private static func report(_ error: any Error) -> Int32 {
        switch error {
        case let error as LoadFailure:
            complain(error.description)
            return error.code
        case let error as PlanError:
            complain(error.description)
            return 2
        default:
            // Help arrives here too, with exit code 0 and its text on standard output.
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
        if !text.isEmpty { StandardError.write(Array("ferry-load: \(text)\n".utf8)) }
    }
}

/// Why a command could not do what it was asked, or did not end well.
struct LoadFailure: Error, CustomStringConvertible {
    let description: String
    let code: Int32

    init(_ description: String, code: Int32 = 1) {
        self.description = description
        self.code = code
    }

    static func usage(_ description: String) -> Self { Self(description, code: 2) }
}
