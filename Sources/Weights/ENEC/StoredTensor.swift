package import Platform

/// A tensor of a checkpoint: what it is, and how its bytes stand in the file.
package struct StoredTensor: Sendable {
    package enum Form: Sendable {
        /// As they are, at these bytes of the file. The digest is nil where the file says none.
        case plain(Range<Int>, digest: Digest?)
        /// In coded blocks.
        case packed(PackedTensor)
    }

    package let name: String
    /// What it is once decoded; so is `shape`.
    package let type: StoredType
    package let shape: [Int]
    package let form: Form

    package init(name: String, type: StoredType, shape: [Int], form: Form) {
        self.name = name
        self.type = type
        self.shape = shape
        self.form = form
    }

    /// Bytes once decoded.
    package var byteCount: Int {
        switch form {
        case .plain(let range, _): range.count
        case .packed(let packed): packed.byteCount
        }
    }

    /// Where it stands in the file, coded or not.
    package var range: Range<Int> {
        switch form {
        case .plain(let range, _): range
        case .packed(let packed): packed.blob
        }
    }

    /// As the file's own directory lists it.
    var listed: SafetensorsHeader.Tensor {
        switch form {
        case .plain(let range, _): SafetensorsHeader.Tensor(name: name, type: type, shape: shape, range: range)
        case .packed(let packed):
            SafetensorsHeader.Tensor(name: name, type: PackedTensor.storedType, shape: [packed.blob.count], range: packed.blob)
        }
    }
}
