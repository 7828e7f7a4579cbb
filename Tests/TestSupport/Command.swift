internal import Glibc
internal import Platform

/// A program run to its end, with its output. Found through PATH.
package struct Command: Sendable {
    package let status: Int32
    /// Standard output.
    package let output: [UInt8]
    /// Standard error.
    package let complaints: String

    package var text: String { String(decoding: output, as: UTF8.self) }

    /// True when `name` can be run here.
    package static func exists(_ name: String) -> Bool {
        let folders = unsafe getenv("PATH").map { unsafe String(cString: $0) } ?? "/usr/bin:/bin"
        return folders.split(separator: ":").contains { unsafe access("\($0)/\(name)", X_OK) == 0 }
    }

    /// Waits off the cooperative pool, on a thread of its own.
    package static func run(_ arguments: [String]) async -> Command { await Runner().run(arguments) }

    private actor Runner {
        private let thread = WorkerThread(name: "command")
        nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe thread.asUnownedSerialExecutor() }

        func run(_ arguments: [String]) -> Command {
            let folder = TemporaryFolder()
            let (out, err) = (folder.file("out"), folder.file("err"))
            var actions = unsafe posix_spawn_file_actions_t()
            unsafe posix_spawn_file_actions_init(&actions)
            defer { unsafe _ = posix_spawn_file_actions_destroy(&actions) }
            unsafe posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
            unsafe posix_spawn_file_actions_addopen(&actions, 1, out, O_WRONLY | O_CREAT, 0o600)
            unsafe posix_spawn_file_actions_addopen(&actions, 2, err, O_WRONLY | O_CREAT, 0o600)
            var words = unsafe arguments.map { unsafe strdup($0) }
            unsafe words.append(nil)
            defer { for unsafe word in unsafe words { unsafe free(word) } }
            var process: pid_t = 0
            guard unsafe posix_spawnp(&process, arguments[0], &actions, nil, words, environ) == 0 else {
                return Command(status: 127, output: [], complaints: "cannot run \(arguments[0])")
            }
            var status: Int32 = 0
            while unsafe waitpid(process, &status, 0) < 0, errno == EINTR {}
            let code = status & 0x7f == 0 ? (status >> 8) & 0xff : 128 + (status & 0x7f)
            return Command(status: code, output: contents(out), complaints: String(decoding: contents(err), as: UTF8.self))
        }

        private func contents(_ path: String) -> [UInt8] {
            guard let file = try? MappedFile(path: path) else { return [] }
            let bytes = file.bytes
            return unsafe bytes.withUnsafeBytes { unsafe Array($0) }
        }
    }
}
