internal import Glibc

/// Real data that is not part of the project (foreign tokenizers, texts, models): `FERRY_SHARED`, or `../shared` beside the
/// checkout. Tests that use it are skipped where it is absent.
package enum SharedFiles {
    /// The path of `relative` below the shared folder, if it exists.
    package static func path(_ relative: String) -> String? {
        let root = unsafe getenv("FERRY_SHARED").map { unsafe String(cString: $0) } ?? repository + "/../shared"
        let path = root + "/" + relative
        return unsafe access(path, R_OK) == 0 ? path : nil
    }

    /// The checkout's root, found from where this file was compiled.
    package static var repository: String {
        let parts = #filePath.split(separator: "/").dropLast(3)
        return "/" + parts.joined(separator: "/")
    }
}
