internal import Kernels
internal import Platform

/// Blocks close to the entropy of their exponents: for files.
struct CascadeFamily: CodecFamily {
    let name = "cascade"

    func fitted(to elements: RawSpan, type: SourceType, shape: [Int], on team: ThreadTeam) -> TensorCodec? { codec(type) }

    func described(by parameters: JSONObject, type: SourceType, shape: [Int]) -> TensorCodec? { parameters.isEmpty ? codec(type) : nil }

    private func codec(_ type: SourceType) -> TensorCodec { TensorCodec(name, blocks: CascadeCodec(type: type)) }
}
