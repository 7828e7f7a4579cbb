/// The compact form in a block's header: whole numbers, seven bits to a byte, the lowest first, the top bit set on all but the last byte.
extension KeyValueProfile {
    /// No profile's bytes are more.
    static let mostBytes = 64

    var bytes: [UInt8] {
        var bytes: [UInt8] = []
        for var field in fields {
            while field >= 0x80 {
                bytes.append(UInt8(truncatingIfNeeded: field) | 0x80)
                field >>= 7
            }
            bytes.append(UInt8(field))
        }
        return bytes
    }

    /// Nil when the bytes are no valid composition, or not the shortest for it.
    init?(bytes: some Collection<UInt8>) {
        guard bytes.count <= Self.mostBytes else { return nil }
        var fields = Fields()
        var (field, shift) = (UInt32(0), UInt32(0))
        for byte in bytes {
            guard shift <= 28 else { return nil }
            field |= UInt32(byte & 0x7F) << shift
            shift += 7
            guard byte < 0x80 else { continue }
            fields.values.append(field)
            (field, shift) = (0, 0)
        }
        guard shift == 0, let profile = Self.read(&fields), fields.next == fields.values.count, profile.bytes.elementsEqual(bytes) else {
            return nil
        }
        self = profile
    }

    private var fields: [UInt32] {
        var fields = [UInt32(transform.rawValue), UInt32(coder.rawValue), UInt32(sinks), UInt32(recent)]
        switch quantiser {
        case .none: fields.append(0)
        case .uniform(let uniform):
            fields += [1, (uniform.isSymmetric ? 1 : 0) | UInt32(uniform.scales.rawValue) << 1 | (uniform.isAllocated ? 8 : 0)]
            fields += uniform.keys.fields + uniform.values.fields + [uniform.headShare?.millionths ?? 0, UInt32(uniform.group)]
        case .fp8: fields.append(2)
        case .bounded(let keys, let values): fields += [3, keys.millionths, values.millionths]
        case .codebook(let codebook):
            fields.append(4)
            fields += codebook.keys.fields + codebook.values.fields + [codebook.headShare?.millionths ?? 0]
        case .deadzone(let deadzone):
            fields += [5, (deadzone.isAllocated ? 1 : 0) | (deadzone.isRelative ? 2 : 0)]
            fields += [deadzone.keys, deadzone.values, deadzone.rounding, deadzone.pull].map(\.millionths)
        }
        return fields
    }

    private struct Fields {
        var values: [UInt32] = []
        var next = 0

        /// Zero behind the end; `next` tells.
        mutating func take() -> UInt32 {
            defer { next += 1 }
            return next < values.count ? values[next] : 0
        }

        mutating func number() -> ProfileNumber? { ProfileNumber(millionths: take()) }
        mutating func share() -> ProfileNumber? { ProfileNumber(millionths: take()).flatMap { $0.millionths == 0 ? nil : $0 } }

        mutating func levels() -> Quantiser.Levels? {
            let (high, low, share, axis) = (take(), take(), share(), take())
            guard high <= 255, low <= 255, let axis = UInt8(exactly: axis).flatMap(Quantiser.Axis.init) else { return nil }
            return Quantiser.Levels(high: Int(high), low: Int(low), layerShare: share, axis: axis)
        }
    }

    private static func read(_ fields: inout Fields) -> KeyValueProfile? {
        guard let transform = UInt8(exactly: fields.take()).flatMap(Transform.init),
            let coder = UInt8(exactly: fields.take()).flatMap(Coder.init)
        else { return nil }
        let (sinks, recent) = (Int(fields.take()), Int(fields.take()))
        guard let quantiser = quantiser(&fields) else { return nil }
        return try? KeyValueProfile(transform: transform, quantiser: quantiser, coder: coder, sinks: sinks, recent: recent)
    }

    private static func quantiser(_ fields: inout Fields) -> Quantiser? {
        switch fields.take() {
        case 0: return Quantiser.none
        case 1:
            let flags = fields.take()
            guard flags < 16, let scales = Quantiser.Scales(rawValue: UInt8(flags >> 1 & 3)), let keys = fields.levels(),
                let values = fields.levels()
            else { return nil }
            let (share, group) = (fields.share(), Int(fields.take()))
            return .uniform(
                .init(
                    isSymmetric: flags & 1 != 0, keys: keys, values: values, headShare: share, group: group, scales: scales,
                    isAllocated: flags & 8 != 0))
        case 2: return .fp8
        case 3:
            guard let keys = fields.number(), let values = fields.number() else { return nil }
            return .bounded(keys: keys, values: values)
        case 4:
            guard let keys = fields.levels(), let values = fields.levels() else { return nil }
            return .codebook(.init(keys: keys, values: values, headShare: fields.share()))
        case 5:
            let flags = fields.take()
            guard flags < 4, let keys = fields.number(), let values = fields.number(), let rounding = fields.number(),
                let pull = fields.number()
            else { return nil }
            return .deadzone(
                .init(keys: keys, values: values, isAllocated: flags & 1 != 0, isRelative: flags & 2 != 0, rounding: rounding, pull: pull))
        default: return nil
        }
    }
}

extension Quantiser.Levels {
    fileprivate var fields: [UInt32] { [UInt32(high), UInt32(low), layerShare?.millionths ?? 0, UInt32(axis.rawValue)] }
}
