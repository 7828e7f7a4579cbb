/// A configuration file that Ferry cannot serve as it stands, and why.
package struct ModelConfigurationError: Error, Equatable, CustomStringConvertible {
    package let file: String
    /// The key at fault, with its parents; nil where the whole file is.
    package let key: String?
    package let reason: String

    package init(file: String, key: String? = nil, reason: String) {
        self.file = file
        self.key = key
        self.reason = reason
    }

    package var description: String {
        if let key { "\(file): \(key): \(reason)" } else { "\(file): \(reason)" }
    }
}
