internal import Kernels
internal import Platform

/// Panels that products read as they are: of bf16 matrices.
struct Planes3Family: CodecFamily {
    let name = "planes3"

    func fitted(to elements: RawSpan, type: SourceType, shape: [Int], on team: ThreadTeam) -> TensorCodec? { codec(type, shape) }

    func described(by parameters: JSONObject, type: SourceType, shape: [Int]) -> TensorCodec? {
        parameters.isEmpty ? codec(type, shape) : nil
    }

    private func codec(_ type: SourceType, _ shape: [Int]) -> TensorCodec? {
        guard type == .bf16, shape.count == 2, (1...Planes3Codec.mostColumns).contains(shape[1]) else { return nil }
        return TensorCodec(name, blocks: Planes3Codec(columns: shape[1]))
    }
}
