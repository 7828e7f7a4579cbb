package import Kernels
package import Platform

/// A kind of block codec, by the name that packed files have for it.
package protocol CodecFamily: Sendable {
    var name: String { get }

    /// The codec for a tensor of such type and shape, with the parameters that suit `elements` best; nil where the family has none.
    func fitted(to elements: RawSpan, type: SourceType, shape: [Int], on team: ThreadTeam) -> TensorCodec?

    /// The codec that a description speaks of; nil where the family has none with such parameters for such a tensor. Never traps,
    /// whatever the parameters. The shape has at least one element, and no more elements than four times the bytes of the file.
    func described(by parameters: JSONObject, type: SourceType, shape: [Int]) -> TensorCodec?
}

/// A codec for one tensor, as its description says it.
package struct TensorCodec: Sendable {
    package let family: String
    /// What a reader must know beside type and shape. Whole numbers.
    package let parameters: JSONObject
    package let blocks: any BlockCodec

    /// Bytes of the parameters as JSON, at most: the room for a file's header is set aside before they are known.
    package static let mostParameterBytes = 48

    package init(_ family: String, parameters: JSONObject = JSONObject(), blocks: any BlockCodec) {
        let text = JSON.object(parameters).text
        precondition(family.utf8.count <= 16, "a codec called \(family)")
        precondition(text.utf8.count <= Self.mostParameterBytes, "parameters of \(family): \(text)")
        self.family = family
        self.parameters = parameters
        self.blocks = blocks
    }
}
