internal import Foundation

/// Where the programs are that tests run.
package enum Program {
    /// The path of an installed program, looked for as a shell does; nil if there is none.
    package static func path(_ name: String) -> String? {
        let folders = (ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin").split(separator: ":")
        return folders.map { "\($0)/\(name)" }.first { FileManager.default.isExecutableFile(atPath: $0) }
    }

    /// The `ferry` executable that was built with the tests.
    package static var ferry: String { built("ferry") }

    /// The load-test harness that was built with the tests.
    package static var ferryLoad: String { built("ferry-load") }

    /// It lies beside the test bundle, whose executable runs now.
    private static func built(_ name: String) -> String {
        let own = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        var folder = URL(fileURLWithPath: own ?? CommandLine.arguments[0]).deletingLastPathComponent()
        // On some platforms the executable lies deeper inside the bundle.
        while folder.path != "/", !FileManager.default.isExecutableFile(atPath: folder.appendingPathComponent(name).path) {
            folder.deleteLastPathComponent()
        }
        return folder.appendingPathComponent(name).path
    }
}
