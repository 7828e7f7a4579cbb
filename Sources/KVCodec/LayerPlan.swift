import Kernels

/// How the heads of a layer are quantised: what a profile, a calibration and the layer come to. A block carries what a reader cannot work
/// out.
struct LayerPlan: Equatable {
    /// Heads with the same levels. Their symbols stand together.
    struct Group: Equatable {
        /// 0 where levels mean nothing.
        var levels: Int
        var heads: [Int]
    }

    struct Side: Equatable {
        var groups: [Group]
        /// Of a dead-zone quantiser, for each head.
        var steps: [Float]
        /// How many of its symbols are beyond the dead zone's alphabet.
        var wide = 0

        var headCount: Int { groups.reduce(0) { $0 + $1.heads.count } }
    }

    var keys: Side
    var values: Side

    subscript(side: KeyValueSide) -> Side {
        get { side == .keys ? keys : values }
        set { if side == .keys { keys = newValue } else { values = newValue } }
    }

    /// - Parameter isLow: for each head of the layer, where the profile splits heads.
    init(_ profile: KeyValueProfile, layer: Int, geometry: KeyValueGeometry, isLow: [Bool], calibration: KeyValueCalibration?) {
        let all = Group(levels: 0, heads: Array(0..<geometry.heads))
        keys = Side(groups: [all], steps: [])
        values = keys
        for side in KeyValueSide.allCases {
            switch profile.quantiser {
            case .none, .fp8, .bounded: break
            case .uniform(let uniform):
                let levels = side == .keys ? uniform.keys : uniform.values
                if uniform.isAllocated, let calibration {
                    self[side].groups = (0..<geometry.heads).map { head in
                        let factor = Double(calibration.stepFactor(layer: layer, side: side, head: head))
                        return Group(levels: Int(min(max((Double(levels.high - 1) / factor).rounded() + 1, 2), 255)), heads: [head])
                    }
                } else {
                    self[side].groups = Self.groups(levels, layer, geometry, isLow)
                }
            case .codebook(let codebook):
                self[side].groups = Self.groups(side == .keys ? codebook.keys : codebook.values, layer, geometry, isLow)
            case .deadzone(let deadzone):
                let step = (side == .keys ? deadzone.keys : deadzone.values).value
                self[side].steps = (0..<geometry.heads).map { head in
                    step * (deadzone.isAllocated ? calibration?.stepFactor(layer: layer, side: side, head: head) ?? 1 : 1)
                }
            }
        }
    }

    private static func groups(_ levels: Quantiser.Levels, _ layer: Int, _ geometry: KeyValueGeometry, _ isLow: [Bool]) -> [Group] {
        let (high, low) = levels.of(layer: layer, layers: geometry.layers)
        guard high != low, !isLow.isEmpty else {
            return [Group(levels: isLow.first ?? false ? low : high, heads: Array(0..<geometry.heads))]
        }
        return [(high, false), (low, true)].map { levels, wanted in
            Group(levels: levels, heads: (0..<geometry.heads).filter { isLow[$0] == wanted })
        }.filter { !$0.heads.isEmpty }
    }
}

/// What a block says of its layer's plan.
extension LayerPlan {
    /// A bit for each head that is low; the levels of each head; the steps of each head and how many symbols are wide; or nothing.
    func write(_ profile: KeyValueProfile, heads: Int, isLow: [Bool], to bytes: inout [UInt8]) {
        switch profile.quantiser {
        case .none, .fp8, .bounded: break
        case .uniform(let uniform):
            if uniform.isAllocated {
                for side in [keys, values] { for group in side.groups { bytes.append(UInt8(group.levels)) } }
            } else if uniform.headShare != nil {
                Self.write(isLow, to: &bytes)
            }
        case .codebook(let codebook): if codebook.headShare != nil { Self.write(isLow, to: &bytes) }
        case .deadzone:
            for side in [keys, values] {
                for step in side.steps { bytes.append(bfloat: step) }
                bytes.append(varint: side.wide)
            }
        }
    }

    private static func write(_ isLow: [Bool], to bytes: inout [UInt8]) {
        for start in stride(from: 0, to: isLow.count, by: 8) {
            bytes.append((start..<min(start + 8, isLow.count)).reduce(0) { $0 | (isLow[$1] ? 1 << UInt8($1 - start) : 0) })
        }
    }

    init(
        _ profile: KeyValueProfile, layer: Int, geometry: KeyValueGeometry, from header: inout ByteCursor
    ) throws(KeyValueBlockError) {
        var isLow: [Bool] = []
        switch profile.quantiser {
        case .none, .fp8, .bounded: break
        case .uniform(let uniform): if uniform.headShare != nil { isLow = try Self.mask(geometry.heads, &header) }
        case .codebook(let codebook): if codebook.headShare != nil { isLow = try Self.mask(geometry.heads, &header) }
        case .deadzone: break
        }
        self.init(profile, layer: layer, geometry: geometry, isLow: isLow, calibration: nil)
        for side in KeyValueSide.allCases {
            switch profile.quantiser {
            case .uniform(let uniform) where uniform.isAllocated:
                self[side].groups.removeAll()
                for head in 0..<geometry.heads {
                    let levels = Int(try header.byte())
                    guard levels >= 2 else { throw KeyValueBlockError("head \(head) has \(levels) levels; 2 to 255 were expected") }
                    self[side].groups.append(Group(levels: levels, heads: [head]))
                }
            case .deadzone:
                for head in 0..<geometry.heads {
                    let step = try header.bfloat()
                    guard step > 0, step.isFinite else {
                        throw KeyValueBlockError("head \(head) has a step of \(step); one above 0 was expected")
                    }
                    self[side].steps[head] = step
                }
                self[side].wide = try header.varint()
                let most = KeyValueBlock.tokens * geometry.heads * geometry.dimension
                guard self[side].wide <= most else {
                    throw KeyValueBlockError("\(self[side].wide) wide symbols; at most \(most) were expected")
                }
            case .none, .uniform, .fp8, .bounded, .codebook: break
            }
        }
    }

    private static func mask(_ heads: Int, _ header: inout ByteCursor) throws(KeyValueBlockError) -> [Bool] {
        let place = try header.take((heads + 7) / 8)
        let bytes = header.bytes
        guard heads % 8 == 0 || bytes[place + heads / 8] >> UInt8(heads % 8) == 0 else {
            throw KeyValueBlockError("more heads of low precision than the \(heads) of the layer")
        }
        return (0..<heads).map { bytes[place + $0 / 8] >> UInt8($0 % 8) & 1 != 0 }
    }
}
