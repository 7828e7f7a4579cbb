/// Which compositions are valid.
extension KeyValueProfile {
    /// Why this is none; nil when it is.
    var violation: String? {
        if !(0...128).contains(sinks) { return "s\(sinks): 1 to 128 first tokens were expected" }
        if !(0...4096).contains(recent) { return "w\(recent): 1 to 4096 recent tokens were expected" }
        if transform == .joint {
            guard case .deadzone(let deadzone) = quantiser, !deadzone.isRelative, !deadzone.isAllocated else {
                return "joint has units of its own; ec without rms and rd was expected"
            }
        }
        switch quantiser {
        case .none: return losslessViolation
        case .fp8: return coder == .pack ? "pack has nothing to do with symbols of eight bits; raw was expected" : lossyViolation
        case .bounded(let keys, let values):
            if transform != .none { return "eb bounds the error of elements; the transform none was expected" }
            if keys.millionths == 0 || values.millionths == 0 { return "eb needs bounds above 0" }
            if coder == .pack { return "pack has nothing to do with symbols of eight bits; raw was expected" }
            return lossyViolation
        case .uniform(let uniform): return lossyViolation ?? violation(of: uniform)
        case .codebook(let codebook):
            return lossyViolation
                ?? violation(of: [codebook.keys, codebook.values], most: 16, headShare: codebook.headShare)
                ?? (codebook.keys.axis != .token || codebook.values.axis != .token ? "lm has a scale for each token only" : nil)
        case .deadzone(let deadzone):
            if deadzone.keys.millionths == 0 || deadzone.values.millionths == 0 { return "ec needs steps above 0" }
            if deadzone.isAllocated, !deadzone.isRelative { return "rd multiplies steps in units of the root mean square; rd,rms was expected" }
            if deadzone.rounding.value > 0.5 { return "z\(deadzone.rounding): at most .5 was expected" }
            if deadzone.pull.value > 0.5 { return "p\(deadzone.pull): at most .5 was expected" }
            return lossyViolation
        }
    }

    private var losslessViolation: String? {
        if transform != .none { return "a transform changes elements; without a quantiser none was expected" }
        if sinks > 0 || recent > 0 { return "without a quantiser all tokens are exact" }
        switch coder {
        case .pack: return "pack has nothing to do with elements; raw was expected"
        case .channelRans: return "rans(channel) is for symbols; of elements rans or enec was expected"
        case .raw, .lz4, .bitPlanes, .bytePlanes, .rans, .enec: return nil
        }
    }

    private var lossyViolation: String? {
        switch coder {
        case .enec: "enec is for elements, which only the quantiser none leaves"
        case .bytePlanes: "bytes+lz4 is for elements of two bytes, which only the quantiser none leaves"
        case .raw, .pack, .lz4, .bitPlanes, .rans, .channelRans: nil
        }
    }

    private func violation(of uniform: Quantiser.Uniform) -> String? {
        if let found = violation(of: [uniform.keys, uniform.values], most: 255, headShare: uniform.headShare) { return found }
        let levels = [uniform.keys.high, uniform.keys.low, uniform.values.high, uniform.values.low]
        if uniform.isSymmetric, levels.contains(where: { $0 % 2 == 0 }) { return "sym needs odd numbers of levels" }
        if uniform.isAllocated, uniform.headShare != nil || uniform.keys.layerShare != nil || uniform.values.layerShare != nil {
            return "rd chooses the levels of each head; r and @ do too"
        }
        if uniform.isAllocated, uniform.isSymmetric { return "rd may choose an even number of levels, which sym cannot have" }
        if uniform.group != 0, !(2...128).contains(uniform.group) { return "g\(uniform.group): groups of 2 to 128 were expected" }
        if uniform.group != 0, uniform.keys.axis == .tensor || uniform.values.axis == .tensor { return "a tensor has no groups" }
        if uniform.scales == .twoLevel {
            if uniform.isSymmetric { return "mm2 is not symmetric" }
            if uniform.group == 0 { return "mm2 needs groups: g2 to g128" }
        }
        return nil
    }

    private func violation(of levels: [Quantiser.Levels], most: Int, headShare: ProfileNumber?) -> String? {
        for side in levels {
            if !(2...most).contains(side.low) || !(2...most).contains(side.high) {
                return "\(side.high):\(side.low) levels; 2 to \(most) were expected"
            }
            if side.low > side.high { return "\(side.high):\(side.low) levels: the low ones are more than the high ones" }
            if let share = side.layerShare {
                if headShare != nil { return "r and @ both say who gets the low levels" }
                if share.millionths == 0 || share.millionths >= 1_000_000 { return "@\(share): a share between 0 and 1 was expected" }
                if side.low == side.high { return "@\(share) has no low levels to give" }
            } else if headShare == nil, side.low != side.high {
                return "\(side.high):\(side.low) levels, and neither r nor @ says who gets the low ones"
            }
        }
        guard let headShare else { return nil }
        if transform == .principal { return "pca mixes heads, so r has none to choose" }
        if headShare.millionths == 0 || headShare.millionths >= 1_000_000 { return "r\(headShare): a share between 0 and 1 was expected" }
        if levels.allSatisfy({ $0.low == $0.high }) { return "r\(headShare) has no low levels to give" }
        return nil
    }
}
