internal import Foundation

/// The process's surroundings, read in this target only.
enum Environment {
    static var variables: [String: String] { ProcessInfo.processInfo.environment }

    /// The program that runs, to be started again.
    static var program: String { (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? CommandLine.arguments[0] }

    /// The model that ships with Ferry: `models/pilot` beside the working directory, or beside the program's checkout.
    static var bundledModel: String? {
        let program = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        var folders = [URL(fileURLWithPath: FileManager.default.currentDirectoryPath)]
        var folder = program.deletingLastPathComponent()
        for _ in 0..<5 {
            folders.append(folder)
            folders.append(folder.appendingPathComponent("share/ferry"))
            folder = folder.deletingLastPathComponent()
        }
        return folders.map { $0.appendingPathComponent("models/pilot").path }
            .first { FileManager.default.fileExists(atPath: $0 + "/config.json") }
    }
}
