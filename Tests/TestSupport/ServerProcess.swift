internal import Foundation

/// `ferry serve` with the bundled model on free ports, ready to answer.
package struct ServerProcess: Sendable {
    package struct Failure: Error, CustomStringConvertible {
        package let description: String
    }

    package let process: ChildProcess
    /// Base addresses without a slash at the end, such as `http://127.0.0.1:41234`.
    package let url: String
    package let adminURL: String
    package static let model = SharedFiles.repository + "/models/pilot"

    private static let readyWithin = Duration.seconds(120)
    private static let endsWithin = Duration.seconds(60)

    /// Starts the server and waits until it says on standard output where it listens. `settings` become `--set key=value`.
    package init(settings: [String: String] = [:]) async throws {
        let arguments =
            ["serve", "--model", Self.model, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]
            + settings.sorted { $0.key < $1.key }.flatMap { ["--set", "\($0.key)=\($0.value)"] }
        process = try ChildProcess(Program.ferry, arguments)
        guard let url = await process.line(after: "listening on ", within: Self.readyWithin),
            let adminURL = await process.line(after: "admin on ", within: Self.readyWithin)
        else {
            let ending = await process.ending(within: Self.endsWithin)
            throw Failure(description: "\(process.command)\nwas never ready: \(ending)\n\(process.output)\(process.errorOutput)")
        }
        self.url = url
        self.adminURL = adminURL
    }

    /// Asks it to end and waits until it has.
    package func stop() async -> ChildProcess.Ending {
        process.signal(SIGTERM)
        return await process.ending(within: Self.endsWithin)
    }

    /// Runs `body` with a server, which is stopped however `body` ends. Throws if the server does not end with exit status 0.
    package static func run<Result>(
        settings: [String: String] = [:], _ body: (ServerProcess) async throws -> Result
    ) async throws -> Result {
        let server = try await ServerProcess(settings: settings)
        let result: Result
        do {
            result = try await body(server)
        } catch {
            _ = await server.stop()
            throw error
        }
        let ending = await server.stop()
        guard ending == .success else {
            throw Failure(description: "the server's \(ending) after SIGTERM\n\(server.process.errorOutput.suffix(4000))")
        }
        return result
    }
}
