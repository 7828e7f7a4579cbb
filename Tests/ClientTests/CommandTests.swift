import Foundation
import TestSupport
import Testing

/// What `ferry` says to a person at a shell: exit codes and the words that name the thing at fault.
@Suite struct CommandTests {
    struct Call: Sendable, CustomTestStringConvertible {
        var arguments: [String]
        var environment: [String: String] = [:]
        var status: Int32
        var says: String

        var testDescription: String { arguments.joined(separator: " ") }
    }

    /// The bundled model is packed; this one is not.
    private static let plainModel = SharedFiles.repository + "/Tests/ModelTests/Fixtures/llama-mini"

    static let calls: [Call] = [
        Call(arguments: ["--version"], status: 0, says: "ferry "),
        Call(arguments: ["serve", "--help"], status: 0, says: "Examples:"),
        Call(arguments: ["generate", "--help"], status: 0, says: "Examples:"),
        Call(arguments: ["bench", "--help"], status: 0, says: "Examples:"),
        Call(arguments: ["tokenize", "--help"], status: 0, says: "Examples:"),
        Call(arguments: ["pack", "--help"], status: 0, says: "Examples:"),
        Call(arguments: ["unpack", "--help"], status: 0, says: "Examples:"),
        Call(arguments: ["inspect", "--help"], status: 0, says: "Examples:"),
        Call(arguments: ["codec", "--help"], status: 0, says: "Examples:"),
        Call(arguments: ["inspect", ServerProcess.model], status: 0, says: "model.embed_tokens.weight"),
        Call(arguments: ["serve", "--print-config"], status: 0, says: "engine.step_tokens: 512"),
        Call(arguments: ["sail"], status: 2, says: "sail"),
        Call(arguments: ["generate", "--prompt", "x", "--temperature", "inf"], status: 2, says: "--temperature"),
        Call(arguments: ["bench", "--shape", "gpt-5"], status: 2, says: "smollm2-135m"),
        Call(arguments: ["bench", "--shape", "smollm2-135m", "--threads", "257"], status: 2, says: "0 to 256"),
        Call(arguments: ["pack", ServerProcess.model], status: 2, says: "--output"),
        Call(arguments: ["pack", ServerProcess.model, "--output", "/nowhere", "--codec", "zip"], status: 2, says: "cascade"),
        Call(arguments: ["pack", ServerProcess.model, "--output", "/nowhere", "--for", "speed"], status: 2, says: "--for"),
        Call(
            arguments: ["pack", ServerProcess.model, "--output", "/nowhere", "--for", "storage", "--codec", "enec"], status: 2, says: "exclude"),
        Call(arguments: ["pack", ServerProcess.model, "--output", "/nowhere", "--threads", "257"], status: 2, says: "0 to 256"),
        Call(arguments: ["pack", "/nowhere", "--output", "/nowhere-else"], status: 1, says: "/nowhere"),
        Call(arguments: ["pack", ServerProcess.model, "--output", ServerProcess.model], status: 1, says: "another folder was expected"),
        Call(arguments: ["pack", ServerProcess.model, "--output", SharedFiles.repository + "/Sources"], status: 1, says: "--force"),
        Call(arguments: ["pack", plainModel, "--output", "/proc/none/packed"], status: 1, says: "/proc/none"),
        Call(arguments: ["pack", ServerProcess.model, "--output", "/proc/none/packed"], status: 1, says: "packed already"),
        Call(arguments: ["unpack", plainModel, "--output", "/proc/none/plain"], status: 1, says: "none of its files is packed"),
        Call(arguments: ["inspect", "/nowhere"], status: 1, says: "/nowhere"),
        Call(arguments: ["inspect", ServerProcess.model + "/config.json"], status: 1, says: "safetensors"),
        Call(arguments: ["serve", "--set", "engine.thread=1"], status: 78, says: "unknown key engine.thread"),
        Call(arguments: ["serve", "--set", "engine.threads=257"], status: 78, says: "0 to 256"),
        Call(arguments: ["serve", "--print-config"], environment: ["FERRY_ENGINE_THREAD": "1"], status: 78, says: "FERRY_ENGINE_THREAD"),
        Call(arguments: ["serve", "--model", "/nowhere"], status: 78, says: "/nowhere"),
        Call(arguments: ["serve", "--set", "gateway.tls_key=/dev/null"], status: 78, says: "gateway.tls_certificate"),
        Call(arguments: ["serve", "--set", "gateway.max_sequences=5000"], status: 78, says: "gateway.max_sequences"),
        Call(arguments: ["serve", "--set", "engine.kv_memory=1048576GiB"], status: 78, says: "engine.kv_memory"),
        Call(arguments: ["generate", "--prompt", "x"], environment: ["FERRY_ISA": "mmx"], status: 78, says: "mmx"),
    ]

    @Test("commands end with the code and the words that were promised", arguments: calls)
    func commands(call: Call) async throws {
        let process = try ChildProcess(Program.ferry, call.arguments, environment: call.environment)
        let ending = await process.ending(within: .seconds(60))
        #expect(ending.cause == .exit(call.status), "\(process.output)\(process.errorOutput)")
        let text = call.status == 0 ? process.output : process.errorOutput
        #expect(text.contains(call.says), "\(text)")
    }

    @Test("a keys file without a key does not open the API")
    func emptyKeysFile() async throws {
        let folder = ScratchFolder()
        let file = folder.write("keys", "# none yet\n")
        let process = try ChildProcess(Program.ferry, ["serve", "--set", "gateway.api_keys_file=\(file)"])
        #expect(await process.ending(within: .seconds(60)).cause == .exit(78))
        #expect(process.errorOutput.contains("holds no key"))
    }

    @Test("an output that cannot be written is a failure, a log that cannot be written is none")
    func fullDisk() async throws {
        let shell = try #require(Program.path("sh"))
        let generate = try ChildProcess(shell, ["-c", "exec \"$0\" generate --prompt hi --max-tokens 2 --json > /dev/full", Program.ferry])
        #expect(await generate.ending(within: .seconds(60)).cause == .exit(1))
        #expect(generate.errorOutput.contains("standard output"))
        let serve = try ChildProcess(
            shell, ["-c", "exec \"$0\" serve --listen 127.0.0.1:0 --admin 127.0.0.1:0 2> /dev/full", Program.ferry])
        #expect(await serve.line(after: "admin on ", within: .seconds(60)) != nil)
        serve.signal(SIGTERM)
        #expect(await serve.ending(within: .seconds(60)) == .success)
    }

    @Test("a server in which a thread hangs ends all the same, with a failure")
    func hangingThread() async throws {
        let folder = ScratchFolder()
        let shell = try #require(Program.path("sh"))
        // A full pipe that nobody reads: the first line of the log, when draining begins, stops the reactor for ever.
        let script = """
            mkfifo "$1" && exec 3<>"$1" && head -c 65536 /dev/zero >&3
            exec "$0" serve --listen 127.0.0.1:0 --admin 127.0.0.1:0 --set log.level=notice --set shutdown.drain=1 2>&3
            """
        let serve = try ChildProcess(shell, ["-c", script, Program.ferry, folder.path + "/log"])
        #expect(await serve.line(after: "admin on ", within: .seconds(60)) != nil)
        serve.signal(SIGTERM)
        #expect(await serve.ending(within: .seconds(60)) == .init(cause: .exit(1), overdue: false))
    }

    @Test("a server whose reactor hangs is found out and ends, with its workers")
    func hangingReactor() async throws {
        let folder = ScratchFolder()
        let shell = try #require(Program.path("sh"))
        // The line that follows the first request finds a full pipe that nobody reads.
        let script = """
            mkfifo "$1" && exec 3<>"$1" && head -c 65536 /dev/zero >&3
            exec "$0" serve --listen 127.0.0.1:0 --admin 127.0.0.1:0 --set log.level=warning --set admin.stall_after=2 2>&3
            """
        let serve = try ChildProcess(shell, ["-c", script, Program.ferry, folder.path + "/log"])
        let admin = try #require(await serve.line(after: "admin on http://", within: .seconds(60)))
        // Losing a worker is worth a line.
        let curl = try #require(Program.path("curl"))
        let fleet = try ChildProcess(curl, ["-s", "http://\(admin)/fleet"])
        _ = await fleet.ending(within: .seconds(60))
        let worker = try #require(fleet.output.firstMatch(of: /"pid":(\d+)/).flatMap { Int32($0.1) })
        _ = kill(worker, SIGKILL)
        #expect(await serve.ending(within: .seconds(60)) == .init(cause: .exit(1), overdue: false))
    }
}
