internal import Kernels
internal import Platform

/// The published scheme, with the parameters that its search finds for a tensor: for comparison.
struct ENECFamily: CodecFamily {
    let name = "enec"

    /// Parameters in a description, in the paper's letters.
    private static let keys = ["b", "n", "m", "L"]

    func fitted(to elements: RawSpan, type: SourceType, shape: [Int], on team: ThreadTeam) -> TensorCodec? {
        var histogram = ExponentHistogram(type: type)
        histogram.add(elements, on: team.instructionSet)
        return codec(type, ENECParameters(search: histogram))
    }

    func described(by parameters: JSONObject, type: SourceType, shape: [Int]) -> TensorCodec? {
        let numbers = Self.keys.compactMap { parameters[$0]?.integer.flatMap { UInt8(exactly: $0) } }
        guard parameters.count == Self.keys.count, numbers.count == Self.keys.count else { return nil }
        return ENECParameters(bytes: numbers).map { codec(type, $0) }
    }

    private func codec(_ type: SourceType, _ parameters: ENECParameters) -> TensorCodec {
        let members = zip(Self.keys, parameters.bytes).map { (key: $0, value: JSON.integer(Int64($1))) }
        return TensorCodec(name, parameters: JSONObject(members), blocks: ENECCodec(type: type, parameters: parameters))
    }
}
