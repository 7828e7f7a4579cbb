internal import Foundation
internal import Platform

/// Names the files that make text into tokens: workers and gateway of a fleet must agree on them.
enum TokenizerDigest {
    static func of(directory: String) throws -> String {
        var all: [UInt8] = []
        for name in ["tokenizer.json", "tokenizer_config.json"] {
            if let data = FileManager.default.contents(atPath: directory + "/" + name) { all += data }
        }
        return Digest(of: all.rawSpan).description
    }
}
