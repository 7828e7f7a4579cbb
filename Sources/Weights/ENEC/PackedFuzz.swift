package import Kernels
internal import Platform

/// The fuzz entry point of packed files: reads anything, decodes whatever is accepted, and must neither trap nor take memory that the bytes
/// do not pay for.
package enum PackedFuzz {
    /// Whether `bytes` are a sound safetensors file, packed or not, whose tensors all decode to what their digests say.
    package static func read(_ bytes: [UInt8], codecs: CodecShelf = .standard, team: ThreadTeam) -> Bool {
        guard !bytes.isEmpty, var draft = try? FileDraft(inMemoryFor: "a file", bytes: bytes.count) else { return false }
        draft.replace(at: 0, with: bytes.rawSpan)
        let file = draft.map()
        guard let header = try? SafetensorsHeader(parsing: file.bytes, fileBytes: file.count, file: "a file") else { return false }
        do {
            guard let description = try PackedDescription(in: header, file: "a file", codecs: codecs) else { return true }
            for tensor in description.tensors {
                switch tensor.form {
                case .plain(let range, let digest): try tensor.verify(file.bytes.extracting(range), digest, file: "a file")
                case .packed(let packed):
                    precondition(packed.byteCount <= bytes.count * PackedTensor.mostExpansion, "\(packed.byteCount) bytes of \(bytes.count)")
                    var memory = try Slab(bytes: packed.byteCount, purpose: "a tensor")
                    var elements = memory.bytes
                    try packed.decode(in: file.bytes, into: &elements, on: team)
                    try packed.verifyBlob(in: file.bytes)
                }
            }
            return true
        } catch {
            return false
        }
    }
}
