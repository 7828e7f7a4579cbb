import Foundation
import Platform
import TestSupport
import Testing

/// `ferry pack`, `unpack` and `inspect` as people and scripts use them, with the bundled model, which is shipped packed.
@Suite struct PackingTests {
    private let folder = ScratchFolder()

    /// The bundled model as it was before.
    private func plainModel() async throws -> String {
        let path = folder.path + "/plain"
        let unpack = try await ferry("unpack", ServerProcess.model, "--output", path)
        #expect(unpack.status == .exit(0), "\(unpack.complaints)")
        return path
    }

    private func ferry(_ arguments: String...) async throws -> (status: ChildProcess.Ending.Cause, output: String, complaints: String) {
        let process = try ChildProcess(Program.ferry, arguments)
        let ending = await process.ending(within: .seconds(120))
        return (ending.cause, process.output, process.errorOutput)
    }

    /// Files that differ between two folders, or are in one only. What the folders keep for themselves is left out.
    private func differences(_ a: String, _ b: String) throws -> [String] {
        let names = [a, b].map { Set(Folder.names(in: $0)).subtracting([".ferry-output"]) }
        let both = names[0].intersection(names[1])
        return try names[0].symmetricDifference(names[1]).sorted()
            + both.filter { try ScratchFolder.read("\(a)/\($0)") != ScratchFolder.read("\(b)/\($0)") }.sorted()
    }

    @Test("a packed model is smaller, gives the same answers, and unpacks to the same bytes", arguments: ["serving", "storage"])
    func roundTrip(purpose: String) async throws {
        let plain = try await plainModel()
        let (packed, again) = (folder.path + "/packed", folder.path + "/again")
        let pack = try await ferry("pack", plain, "--output", packed, "--for", purpose, "--json")
        #expect(pack.status == .exit(0), "\(pack.complaints)")
        let figures = try JSON(parsing: pack.output)
        for key in ["bytes", "coded_bytes", "ratio", "seconds"] { #expect(figures[key]?.double != nil, "\(key)") }
        #expect(figures["ratio"]?.double ?? 0 > 1.3)
        #expect(try differences(plain, packed) == ["model.safetensors"])

        let question = ["generate", "--chat", "--prompt", "What is 347 + 285?", "--max-tokens", "16", "--json", "--model"]
        var answers: [String] = []
        for model in [plain, packed] {
            let process = try ChildProcess(Program.ferry, question + [model, "--set", "model.cache=\(folder.path)/cache"])
            #expect(await process.ending(within: .seconds(120)) == .success, "\(process.errorOutput)")
            answers.append(process.output)
        }
        #expect(answers[0] == answers[1] && !answers[0].isEmpty)

        #expect(try await ferry("unpack", packed, "--output", again).status == .exit(0))
        #expect(try differences(plain, again) == [])
    }

    @Test("the JSON of inspect has the keys that scripts rely on, of a directory and of a file, packed and plain")
    func inspection() async throws {
        let plain = try await plainModel()
        let packed = folder.path + "/packed"
        #expect(try await ferry("pack", plain, "--output", packed).status == .exit(0))
        var bounds: [Double] = []
        for path in [plain, plain + "/model.safetensors", packed, packed + "/model.safetensors"] {
            let answer = try await ferry("inspect", path, "--json")
            #expect(answer.status == .exit(0), "\(answer.complaints)")
            let report = try JSON(parsing: answer.output)
            let tensors = try #require(report["tensors"]?.array)
            #expect(tensors.count == 56)
            for tensor in tensors {
                #expect(tensor["name"]?.string != nil && tensor["dtype"]?.string == "BF16" && tensor["shape"]?.array != nil)
                for key in ["bits_per_weight", "ratio", "entropy_ratio"] { #expect(tensor[key]?.double ?? 0 > 0, "\(key)") }
                let isPlain = tensor["codec"]?.string == "raw"
                #expect(isPlain ? tensor["ratio"]?.double == 1 : tensor["ratio"]?.double ?? 0 > 1)
            }
            #expect(tensors.contains { $0["codec"]?.string != "raw" } == path.hasPrefix(packed))
            let total = try #require(report["total"])
            for key in ["bytes", "coded_bytes", "ratio", "entropy_ratio"] { #expect(total[key]?.double ?? 0 > 0, "\(key)") }
            #expect(path.hasPrefix(packed) == (total["ratio"]?.double ?? 0 > 1))
            bounds.append(total["entropy_ratio"]?.double ?? 0)
        }
        #expect(bounds.allSatisfy { $0 == bounds[0] && $0 > 1.4 })
    }

    @Test("where there is no room the file is named and nothing of it is left", arguments: ["pack", "unpack"])
    func noRoom(command: String) async throws {
        let plain = try await plainModel()
        let shell = try #require(Program.path("sh"))
        #expect(try await ferry("pack", plain, "--output", folder.path + "/packed").status == .exit(0))
        let source = command == "pack" ? plain : folder.path + "/packed"
        // Files of one and a half megabytes or three, in the shell's units: all but the tensors fit.
        let script = "ulimit -f 3000; exec \"$0\" \"$1\" \"$2\" --output \"$3\""
        let process = try ChildProcess(shell, ["-c", script, Program.ferry, command, source, folder.path + "/full"])
        #expect(await process.ending(within: .seconds(60)).cause == .exit(1))
        #expect(process.errorOutput.contains("/full/model.safetensors") && process.errorOutput.contains("File too large"), "\(process.errorOutput)")
        let left = folder.names(in: "full")
        #expect(left.contains("config.json") && !left.contains { $0.contains("model.safetensors") }, "\(left)")
    }

    @Test("Ctrl-C at any moment leaves whole files only", .enabled(if: Program.path("timeout") != nil))
    func interruption() async throws {
        let plain = try await plainModel()
        let timeout = try #require(Program.path("timeout"))
        let whole = folder.path + "/whole"
        #expect(try await ferry("pack", plain, "--output", whole).status == .exit(0))
        var interrupted = 0
        for moment in 1...12 {
            let part = folder.path + "/part\(moment)"
            let process = try ChildProcess(
                timeout, ["-s", "INT", "\(Double(moment) * 0.015)", Program.ferry, "pack", plain, "--output", part])
            if await process.ending(within: .seconds(60)) != .success { interrupted += 1 }
            for name in Folder.names(in: part) {
                #expect(try ScratchFolder.read("\(part)/\(name)") == ScratchFolder.read("\(whole)/\(name)"), "\(moment): \(name)")
            }
        }
        #expect(interrupted > 0)
    }

    @Test("Python's safetensors opens a packed file and sees bytes and the description", .enabled("safetensors for Python is not installed") { await ClientScript.hasPython("safetensors") })
    func reference() async throws {
        let plain = try await plainModel()
        let packed = folder.path + "/packed"
        #expect(try await ferry("pack", plain, "--output", packed).status == .exit(0))
        let python = try #require(ClientScript.python)
        let script = SharedFiles.repository + "/Tests/ClientTests/clients/packed_file.py"
        let process = try ChildProcess(python, [script, packed + "/model.safetensors", plain + "/model.safetensors"])
        #expect(await process.ending(within: .seconds(60)) == .success, "\(process.output)\(process.errorOutput)")
    }
}
