import Foundation
import Platform
import TestSupport
import Testing

/// `ferry codec` as a person and a script meet it.
@Suite(.timeLimit(.minutes(5))) struct CodecCommandTests {
    private static let text = SharedFiles.repository + "/models/pilot/README.md"
    private static let tasks = SharedFiles.repository + "/models/pilot/recall-eval.jsonl"
    private static let small = ["codec", "--text", text, "--prompt", "100", "--continue", "8", "--windows", "2"]

    private func run(_ arguments: [String]) async throws -> (status: ChildProcess.Ending.Cause, output: String, complaints: String) {
        let process = try ChildProcess(Program.ferry, arguments)
        let ending = await process.ending(within: .seconds(240))
        return (ending.cause, process.output, process.errorOutput)
    }

    @Test func `JSON has the keys that scripts rely on`() async throws {
        let (status, output, complaints) = try await run(Self.small + ["--profile", "raw,lossless,none/mm(k8,v6)/rans/s4,w8", "--json"])
        #expect(status == .exit(0), "\(complaints)")
        let figures = try #require(try JSON(parsing: Array(output.utf8)).array)
        #expect(figures.map { $0["profile"]?.string } == ["raw", "lossless", "none/mm(k8,v6)/rans/s4,w8"])
        for figure in figures {
            for key in ["ratio", "encode_gbps", "decode_gbps", "kl_mean", "kl_p99", "top1_agreement", "perplexity_change"] {
                #expect(figure[key]?.double != nil, "\(key) of \(output)")
            }
            #expect(figure["tokens"]?.integer == 16)
            #expect(figure["kl_mean_interval"]?.array?.count == 2)
        }
        #expect(figures[0]["kl_mean"]?.double == 0)
        #expect(figures[1]["perplexity_change"]?.double == 0)
        #expect((figures[2]["kl_mean"]?.double ?? 0) > 0)
    }

    @Test func `a table has a line for each preset`() async throws {
        let (status, output, complaints) = try await run(Self.small)
        #expect(status == .exit(0), "\(complaints)")
        for name in ["raw", "lossless", "kivi-2", "cachegen-1", "kvserve-default"] { #expect(output.contains("\n\(name) "), "\(output)") }
    }

    @Test func `a calibration is written, found and used`() async throws {
        let folder = ScratchFolder()
        let path = folder.path + "/own.safetensors"
        let (status, output, complaints) = try await run(Self.small + ["--calibrate", "--output", path])
        #expect(status == .exit(0), "\(complaints)")
        #expect(output.contains(path))
        let used = try await run(Self.small + ["--profile", "pca/ec(k.5,v.5,rd,rms)/rans", "--calibration", path, "--json"])
        #expect(used.status == .exit(0), "\(used.complaints)")
        let joint = try await run(Self.small + ["--profile", "ferry-small", "--calibration", path, "--json"])
        #expect(joint.status == .exit(0), "\(joint.complaints)")
        // A byte of the text's digest in the header changes nothing but the file's name for itself; a byte of its fingerprint does.
        var bytes = try folder.read("own.safetensors")
        let place = try #require(Data(bytes).range(of: Data("\"fingerprint\":\"".utf8))).upperBound
        bytes[place] = bytes[place] == UInt8(ascii: "0") ? UInt8(ascii: "1") : UInt8(ascii: "0")
        folder.write("own.safetensors", bytes)
        let refused = try await run(Self.small + ["--profile", "raw", "--calibration", path])
        #expect(refused.status == .exit(1))
        #expect(refused.complaints.contains("own.safetensors") && refused.complaints.contains("fingerprint"), "\(refused.complaints)")
    }

    @Test func `speed alone needs no model and no text`() async throws {
        let (status, output, complaints) = try await run(
            ["codec", "--shape", "qwen2.5-0.5b", "--prompt", "130", "--profile", "lossless,ferry-balanced", "--json"])
        #expect(status == .exit(0), "\(complaints)")
        let figures = try JSON(parsing: output).array ?? []
        #expect(figures.map { $0["profile"]?.string } == ["lossless", "ferry-balanced"])
        for figure in figures {
            #expect((figure["encode_gbps"]?.double ?? 0) > 0 && (figure["decode_gbps"]?.double ?? 0) > 0)
            #expect(figure["shape"]?.string == "qwen2.5-0.5b" && figure["tokens"]?.integer == 130)
        }
    }

    static let refusals: [(arguments: [String], status: Int32, says: String)] = [
        (["codec"], 2, "--text"),
        (["codec", "--shape", "huge"], 2, "llama-1b"),
        (small + ["--shape", "llama-1b"], 2, "--shape"),
        (["codec", "--shape", "llama-1b", "--prompt", "9000"], 2, "--prompt"),
        (small + ["--profile", "zip"], 2, "transform"),
        (small + ["--profile", "had/mm(k4:6,v4)/rans"], 2, "4:6"),
        (small + ["--profile", "raw,none/none/pack"], 2, "pack"),
        (small + ["--calibrate", "--sweep"], 2, "--calibrate"),
        (small + ["--output", "x"], 2, "--output"),
        (["codec", "--text", "/nowhere"], 1, "/nowhere"),
        (["codec", "--text", text, "--prompt", "2000"], 1, "context"),
        (["codec", "--text", text, "--windows", "0"], 2, "--windows"),
        (small + ["--tasks", text], 1, "line 1"),
        (small + ["--calibration", "/nowhere"], 1, "/nowhere"),
        (small + ["--model", "/nowhere"], 78, "/nowhere"),
        (small + ["--sweep", "--output", "/proc/none"], 1, "/proc/none")
    ]

    @Test(arguments: refusals.indices) func `what cannot be done is refused by name`(index: Int) async throws {
        let refusal = Self.refusals[index]
        let (status, _, complaints) = try await run(refusal.arguments)
        #expect(status == .exit(refusal.status), "\(refusal.arguments): \(complaints)")
        #expect(complaints.contains(refusal.says), "\(complaints)")
    }
}
