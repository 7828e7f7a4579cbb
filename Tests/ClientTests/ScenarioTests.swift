import Foundation
import TestSupport
import Testing

/// The harness against a fleet: a scenario of `loadtest/scenarios` as everybody runs it.
@Suite(.timeLimit(.minutes(5))) struct ScenarioTests {
    private static let folder = SharedFiles.repository + "/loadtest/scenarios"

    private func run(_ arguments: String...) async throws -> (ending: ChildProcess.Ending, output: String) {
        let python = try #require(ClientScript.python, "nothing is installed that runs Python")
        let own = ["--ferry", Program.ferry, "--ferry-load", Program.ferryLoad, "--model", SharedFiles.repository + "/models/pilot"]
        let process = try ChildProcess(
            python, [Self.folder + "/scenario.py"] + arguments + own, environment: ["PYTHONDONTWRITEBYTECODE": "1"])
        let ending = await process.ending(within: .seconds(200))
        return (ending, process.output + process.errorOutput)
    }

    @Test func `twenty seconds of everything end as expected`() async throws {
        let (ending, output) = try await run("smoke")
        #expect(ending == .success, "\(output)")
        #expect(output.contains("smoke: as expected"), "\(output)")
    }

    @Test func `each scenario says what happens and what to expect`() throws {
        let files = try FileManager.default.contentsOfDirectory(atPath: Self.folder).filter { $0.hasSuffix(".json") }
        #expect(files.count >= 10)
        for file in files {
            let data = try Data(contentsOf: URL(fileURLWithPath: Self.folder + "/" + file))
            let scenario = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any], "\(file)")
            for key in ["about", "expect"] { #expect((scenario[key] as? String)?.isEmpty == false, "\(file): \(key)") }
            #expect((scenario["must"] as? [[Any]])?.isEmpty == false, "\(file): must")
        }
    }
}
