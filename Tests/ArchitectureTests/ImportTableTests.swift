import Foundation
import TestSupport
import Testing

/// The module table: what each target may import. Imports go down only; a C module has exactly one importer.
/// README.md ("Map") shows the same table to people.
private let table: [(level: Int, target: String, imports: Set<String>)] = [
    (1, "Platform", ["CXXHash", "CLinux"]),
    (1, "Inference", []),
    (1, "Telemetry", ["Logging"]),
    (2, "Kernels", ["CKernels", "Platform"]),
    (2, "Reactor", ["CLibUV", "COpenSSL", "Platform"]),
    (2, "HTTP", ["CNGHTTP2", "Platform"]),
    (2, "Wire", ["Platform", "Inference"]),
    (2, "Tokenization", ["CPCRE2", "CUTF8Proc", "Platform", "Inference"]),
    (3, "Server", ["Platform", "Reactor", "HTTP"]),
    (3, "Weights", ["Platform", "Kernels", "Inference"]),
    (3, "KVCache", ["Platform", "Inference"]),
    (3, "KVCodec", ["CLZ4", "Platform", "Kernels", "Inference"]),
    (4, "Model", ["Platform", "Kernels", "Inference", "Weights"]),
    (4, "Scheduling", ["Platform", "Inference", "Wire", "KVCache"]),
    (5, "Engine", ["Platform", "Inference", "Telemetry", "Kernels", "Wire", "KVCache", "KVCodec", "Weights", "Model", "Scheduling"]),
    (4, "Routing", ["Platform", "Inference", "Wire"]),
    (5, "Transfer", ["Platform", "Inference", "Reactor", "HTTP", "Server", "Wire", "Logging"]),
    (6, "Gateway", ["Platform", "Inference", "Reactor", "HTTP", "Server", "Wire", "Routing", "Tokenization", "Telemetry", "Logging"]),
    (7, "LoadTest", ["Platform", "Inference", "Telemetry", "Reactor", "HTTP", "Server", "ArgumentParser", "Histogram"]),
    (6, "Admin", ["Platform", "Inference", "Reactor", "HTTP", "Server", "Wire", "Telemetry", "Logging"]),
]

/// What the toolchain brings, and where it may be used.
private let system: Set<String> = ["Glibc", "Synchronization"]

@Suite struct ImportTableTests {
    private func swiftFiles(in target: String) throws -> [URL] {
        let folder = target == "LoadTest" ? "/loadtest/Sources" : "/Sources/" + target
        let root = URL(fileURLWithPath: SharedFiles.repository + folder)
        let files = FileManager.default.enumerator(at: root, includingPropertiesForKeys: nil)
        return (files?.allObjects as? [URL] ?? []).filter { $0.pathExtension == "swift" }
    }

    private func imports(of file: URL) throws -> [String] {
        try String(contentsOf: file, encoding: .utf8).split(separator: "\n").compactMap { line in
            let words = line.split(separator: " ")
            guard let index = words.firstIndex(of: "import"), index <= 2, !line.hasPrefix("//"), index + 1 < words.count else { return nil }
            guard words[..<index].allSatisfy({ ["internal", "package", "public", "private", "fileprivate", "@_exported", "@testable", "@preconcurrency", "@_spi"].contains($0) })
            else { return nil }
            return String(words[index + 1].split(separator: ".")[0])
        }
    }

    @Test(arguments: table.map(\.target)) func aTargetImportsOnlyWhatTheTableAllows(target: String) throws {
        let allowed = try #require(table.first { $0.target == target }).imports.union(system)
        let files = try swiftFiles(in: target)
        #expect(!files.isEmpty, "no sources in \(target)")
        for file in files {
            for name in try imports(of: file) {
                #expect(allowed.contains(name), "\(target)/\(file.lastPathComponent) imports \(name)")
            }
        }
    }

    @Test func everyTargetButTheExecutableIsInTheTableAndLevelsPointDown() throws {
        let folders = try FileManager.default.contentsOfDirectory(atPath: SharedFiles.repository + "/Sources").filter { !$0.hasPrefix(".") }
        let swiftTargets = Set(folders.filter { !$0.hasPrefix("C") }).subtracting(["Ferry"])
        #expect(swiftTargets.union(["LoadTest"]) == Set(table.map(\.target)))
        let levels = Dictionary(uniqueKeysWithValues: table.map { ($0.target, $0.level) })
        for row in table {
            for name in row.imports { #expect((levels[name] ?? 0) < row.level, "\(row.target) looks up to \(name)") }
        }
    }

    @Test func everyCModuleHasExactlyOneImporter() throws {
        let folders = try FileManager.default.contentsOfDirectory(atPath: SharedFiles.repository + "/Sources").filter { $0.hasPrefix("C") }
        for module in folders {
            let importers = try (table.map(\.target) + ["Ferry"]).filter { target in
                try swiftFiles(in: target).contains { try imports(of: $0).contains(module) }
            }
            #expect(importers.count == 1, "\(module) is imported by \(importers)")
        }
    }

    @Test func uncheckedSendableStandsOnlyWhereItIsArgued() throws {
        for target in table.map(\.target) + ["Ferry"] {
            for file in try swiftFiles(in: target) {
                let lines = try String(contentsOf: file, encoding: .utf8).split(separator: "\n", omittingEmptySubsequences: false)
                for (index, line) in lines.enumerated() where line.contains("@unchecked Sendable") && !line.contains("//") {
                    let around = lines[max(0, index - 3)...min(lines.count - 1, index + 3)].joined()
                    #expect(around.contains("Sendable by argument"), "\(target)/\(file.lastPathComponent):\(index + 1) argues nothing")
                }
            }
        }
    }

    @Test func uncheckedIsolationStandsOnlyWhereItIsArgued() throws {
        for target in table.map(\.target) + ["Ferry"] {
            for file in try swiftFiles(in: target) {
                let lines = try String(contentsOf: file, encoding: .utf8).split(separator: "\n", omittingEmptySubsequences: false)
                for (index, line) in lines.enumerated() where line.contains("nonisolated(unsafe)") {
                    let before = lines[max(0, index - 10)...index].joined()
                    #expect(before.contains("Safe by argument"), "\(target)/\(file.lastPathComponent):\(index + 1) argues nothing")
                }
            }
        }
    }

    @Test func nothingBelowTheExecutableIsPublicOrLinksFoundation() throws {
        for target in table.map(\.target) {
            for file in try swiftFiles(in: target) {
                #expect(try !imports(of: file).contains { $0.hasPrefix("Foundation") }, "\(target)/\(file.lastPathComponent)")
                let text = try String(contentsOf: file, encoding: .utf8)
                #expect(!text.contains("\npublic "), "\(target)/\(file.lastPathComponent) declares something public")
            }
        }
    }
}
