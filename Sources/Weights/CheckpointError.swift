package import Platform

/// What is wrong with a model's files, in words for the person who put them there.
package struct CheckpointError: Error, Equatable, CustomStringConvertible {
    /// File name or path.
    package let file: String
    /// The tensor at fault, where one is.
    package let tensor: String?
    package let reason: String

    package init(file: String, tensor: String? = nil, reason: String) {
        self.file = file
        self.tensor = tensor
        self.reason = reason
    }

    package init(_ error: FileError) {
        self.init(file: error.path, reason: "cannot \(error.operation) it: \(error.detail)")
    }

    package var description: String {
        if let tensor { "\(file): tensor \(tensor): \(reason)" } else { "\(file): \(reason)" }
    }
}
