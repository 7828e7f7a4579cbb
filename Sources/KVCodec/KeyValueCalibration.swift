package import Kernels

/// What was measured on a model for the profiles that ask for it. Immutable; shared by all coders of a worker.
package struct KeyValueCalibration: Sendable {
    /// A mean and an orthonormal basis of the channels of a layer's side, across its heads.
    package struct Basis: Sendable {
        /// [C], C = heads * dimension.
        package let mean: [Float]
        /// [C][C]: channel times component. Components are in the order in which they are coded, `dimension` to a head's place.
        package let matrix: [Float]
        /// [C][C]: component times channel.
        package let inverse: [Float]

        package init(mean: [Float], matrix: [Float]) {
            let count = mean.count
            let transposed = matrix.count == count * count ? (0..<matrix.count).map { matrix[$0 % count * count + $0 / count] } : []
            (self.mean, self.matrix, inverse) = (mean, matrix, transposed)
        }

        /// In units: channels are divided by theirs before the basis, and multiplied behind it.
        package init(mean: [Float], orthonormal matrix: [Float], units: [Float]) {
            let plain = Basis(mean: mean, matrix: matrix)
            let count = mean.count
            self.mean = mean
            self.matrix = plain.matrix.indices.map { plain.matrix[$0] / units[$0 / count] }
            inverse = plain.inverse.indices.map { plain.inverse[$0] * units[$0 % count] }
        }
    }

    package let geometry: KeyValueGeometry
    /// [layer][head], the more the more precision; or empty.
    package let headScores: [Float]
    /// [layer][side]; or empty.
    package let bases: [Basis]
    /// [layer], C being the channels of keys, then of values; or empty.
    package let joint: [Basis]
    /// What steps are multiplied by: [layer][side][head]; or empty.
    package let stepFactors: [Float]
    /// Radians per position of each rotated pair (i, i + half) of a head's keys; or empty when keys have no rotary position.
    package let rotaryFrequencies: [Float]
    /// Of everything above, as its file has it: both ends of a transfer must agree.
    package let digest: UInt64

    package init(
        geometry: KeyValueGeometry, headScores: [Float] = [], bases: [Basis] = [], joint: [Basis] = [], stepFactors: [Float] = [],
        rotaryFrequencies: [Float] = [],
        digest: UInt64
    ) throws(KeyValueCalibrationError) {
        let (layers, heads, channels) = (geometry.layers, geometry.heads, geometry.heads * geometry.dimension)
        try Self.check("head scores", headScores, layers * heads)
        try Self.check("step factors", stepFactors, layers * 2 * heads)
        guard stepFactors.allSatisfy({ $0 > 0 }) else { throw KeyValueCalibrationError("a step factor is not above 0") }
        guard bases.isEmpty || bases.count == layers * 2 else {
            throw KeyValueCalibrationError("\(bases.count) bases; \(layers * 2) were expected")
        }
        guard joint.isEmpty || joint.count == layers else {
            throw KeyValueCalibrationError("\(joint.count) joint bases; \(layers) were expected")
        }
        for (index, basis) in bases.enumerated() { try Self.check("", index, basis, channels) }
        for (index, basis) in joint.enumerated() { try Self.check("joint ", index, basis, 2 * channels) }
        guard rotaryFrequencies.count * 2 <= geometry.dimension, rotaryFrequencies.allSatisfy(\.isFinite) else {
            throw KeyValueCalibrationError(
                "\(rotaryFrequencies.count) rotary frequencies; finite ones, at most \(geometry.dimension / 2), were expected")
        }
        self.geometry = geometry
        self.headScores = headScores
        self.bases = bases
        self.joint = joint
        self.stepFactors = stepFactors
        self.rotaryFrequencies = rotaryFrequencies
        self.digest = digest
    }

    private static func check(_ kind: String, _ index: Int, _ basis: Basis, _ channels: Int) throws(KeyValueCalibrationError) {
        guard basis.mean.count == channels else {
            throw KeyValueCalibrationError("\(kind)mean \(index) has \(basis.mean.count) numbers; \(channels) were expected")
        }
        try check("\(kind)mean \(index)", basis.mean, channels)
        for matrix in [basis.matrix, basis.inverse] {
            guard matrix.count == channels * channels else {
                throw KeyValueCalibrationError("\(kind)basis \(index) has \(matrix.count) numbers; \(channels * channels) were expected")
            }
            try check("\(kind)basis \(index)", matrix, channels * channels)
        }
    }

    private static func check(_ name: String, _ values: [Float], _ count: Int) throws(KeyValueCalibrationError) {
        guard values.isEmpty || values.count == count else {
            throw KeyValueCalibrationError("\(values.count) \(name); \(count) were expected")
        }
        guard values.allSatisfy(\.isFinite) else { throw KeyValueCalibrationError("\(name) that are not finite") }
    }

    package var has: CalibrationNeeds {
        var parts: CalibrationNeeds = []
        if !headScores.isEmpty { parts.insert(.headScores) }
        if !bases.isEmpty { parts.insert(.bases) }
        if !joint.isEmpty { parts.insert(.jointBases) }
        if !stepFactors.isEmpty { parts.insert(.stepFactors) }
        return parts
    }

    func basis(layer: Int, side: KeyValueSide) -> Basis { bases[layer * 2 + Int(side.rawValue)] }

    func stepFactor(layer: Int, side: KeyValueSide, head: Int) -> Float {
        stepFactors[(layer * 2 + Int(side.rawValue)) * geometry.heads + head]
    }

    /// Which heads of all layers get low precision: the `share` of the lowest scores, of equals the earlier ones. [layer][head]
    func isLow(share: ProfileNumber) -> [Bool] {
        let count = Int((Double(headScores.count) * Double(share.millionths) / 1e6).rounded())
        let order = headScores.indices.sorted { (headScores[$0], $0) < (headScores[$1], $1) }
        var result = [Bool](repeating: false, count: headScores.count)
        for index in order.prefix(count) { result[index] = true }
        return result
    }
}

/// What is wrong with a calibration.
package struct KeyValueCalibrationError: Error, Equatable, CustomStringConvertible {
    package let description: String
    package init(_ description: String) { self.description = description }
}
