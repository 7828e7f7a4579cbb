/// An installed program run to its end, with its output.
package struct Command: Sendable {
    /// The exit status; nil when it was killed or could not be started.
    package let status: Int32?
    package let text: String
    /// What it wrote to standard error.
    package let complaints: String

    /// True when `name` can be run here.
    package static func exists(_ name: String) -> Bool { Program.path(name) != nil }

    /// Runs the program that a shell would find. It is killed after a minute.
    package static func run(_ name: String, _ arguments: [String]) async -> Command {
        guard let path = Program.path(name), let process = try? ChildProcess(path, arguments) else {
            return Command(status: nil, text: "", complaints: "cannot run \(name)")
        }
        let ending = await process.ending(within: .seconds(60))
        let status: Int32? = if case .exit(let status) = ending.cause { status } else { nil }
        return Command(status: status, text: process.output, complaints: process.errorOutput)
    }
}
