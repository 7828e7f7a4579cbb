import Foundation
import TestSupport
import Testing

/// A program in `clients/` that uses the server as its users do, and exits 0 if all was well.
struct ClientScript {
    let name: String
    let arguments: [String]

    /// What runs it, by the ending of its name; nil where that is not installed.
    private var interpreter: String? {
        switch name.split(separator: ".").last {
        case "py": Self.python
        case "sh": Program.path("bash")
        case "mjs": Program.path("node")
        case "java": Program.path("java")
        default: nil
        }
    }

    init(_ name: String, _ arguments: String...) {
        self.name = name
        self.arguments = arguments
    }

    /// Runs it against `server` and fails the test with its output if it does not end well within `limit`.
    func run(
        against server: ServerProcess, environment: [String: String] = [:], within limit: Duration = .seconds(240),
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        let variables = ["FERRY_URL": server.url, "FERRY_OPERATOR_URL": server.adminURL, "FERRY_PID": "\(server.process.identifier)"]
        let complaint = try await outcome(variables.merging(environment) { _, own in own }, within: limit, sourceLocation)
        if let complaint { Issue.record("\(complaint)\nserver:\n\(server.process.errorOutput.suffix(4000))", sourceLocation: sourceLocation) }
    }

    /// Runs one that starts the processes it needs itself.
    func run(within limit: Duration = .seconds(240), sourceLocation: SourceLocation = #_sourceLocation) async throws {
        let complaint = try await outcome(["FERRY_PROGRAM": Program.ferry], within: limit, sourceLocation)
        if let complaint { Issue.record("\(complaint)", sourceLocation: sourceLocation) }
    }

    /// What it said, unless it ended well.
    private func outcome(_ environment: [String: String], within limit: Duration, _ sourceLocation: SourceLocation) async throws -> String? {
        let interpreter = try #require(interpreter, "nothing is installed that runs \(name)", sourceLocation: sourceLocation)
        let variables = ["FERRY_MODEL": ServerProcess.model, "PYTHONDONTWRITEBYTECODE": "1"].merging(environment) { _, own in own }
        let path = "\(SharedFiles.repository)/Tests/ClientTests/clients/\(name)"
        let process = try ChildProcess(interpreter, [path] + arguments, environment: variables)
        let ending = await process.ending(within: limit)
        return ending == .success ? nil : "\(name): \(ending)\n\(process.output)\(process.errorOutput)"
    }
}

extension ClientScript {
    /// The Python that has what `clients/requirements.txt` names, as `make test` installs it; otherwise the system's.
    static let python = ProcessInfo.processInfo.environment["FERRY_PYTHON"] ?? Program.path("python3")

    /// Whether Python can import the module.
    static func hasPython(_ module: String) async -> Bool {
        guard let python, let process = try? ChildProcess(python, ["-c", "import \(module)"]) else { return false }
        return await process.ending(within: .seconds(60)) == .success
    }
}
