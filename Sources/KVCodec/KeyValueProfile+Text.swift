/// The canonical text.
extension KeyValueProfile {
    var text: String {
        var parts = [transform.word, quantiser.text, coder.word]
        let exact = [sinks > 0 ? "s\(sinks)" : nil, recent > 0 ? "w\(recent)" : nil].compactMap(\.self)
        if !exact.isEmpty { parts.append(exact.joined(separator: ",")) }
        return parts.joined(separator: "/")
    }
}

extension KeyValueProfile.Transform {
    var word: String {
        switch self {
        case .none: "none"
        case .hadamard: "had"
        case .scaledHadamard: "shad"
        case .anchors: "anchor"
        case .principal: "pca"
        case .joint: "joint"
        }
    }
}

extension KeyValueProfile.Transform {
    /// Whether a block names the calibration that it needs.
    var isCalibrated: Bool { self == .principal || self == .joint }
}

extension KeyValueProfile.Coder {
    var word: String {
        switch self {
        case .raw: "raw"
        case .pack: "pack"
        case .lz4: "lz4"
        case .bitPlanes: "bits+lz4"
        case .bytePlanes: "bytes+lz4"
        case .rans: "rans"
        case .channelRans: "rans(channel)"
        case .enec: "enec"
        }
    }
}

extension Quantiser.Axis {
    var letter: String {
        switch self {
        case .channel: "c"
        case .token: "t"
        case .tensor: "x"
        }
    }
}

extension Quantiser.Levels {
    /// Behind the side's letter. `usual` is the axis that needs no letter.
    func text(usual: Quantiser.Axis) -> String {
        "\(high)" + (low == high ? "" : ":\(low)") + (layerShare.map { "@\($0)" } ?? "") + (axis == usual ? "" : axis.letter)
    }
}

extension Quantiser {
    var text: String {
        switch self {
        case .none: return "none"
        case .fp8: return "fp8"
        case .bounded(let keys, let values): return "eb(k\(keys),v\(values))"
        case .uniform(let uniform): return uniform.text
        case .codebook(let codebook):
            return "lm(k\(codebook.keys.text(usual: .token)),v\(codebook.values.text(usual: .token))"
                + (codebook.headShare.map { ",r\($0)" } ?? "") + ")"
        case .deadzone(let deadzone): return deadzone.text
        }
    }
}

extension Quantiser.Uniform {
    var word: String { isSymmetric ? "sym" : scales == .twoLevel ? "mm2" : "mm" }

    var text: String {
        var items = [
            "k" + keys.text(usual: Self.usualAxis(.keys, isSymmetric)), "v" + values.text(usual: Self.usualAxis(.values, isSymmetric)),
        ]
        if let headShare { items.append("r\(headShare)") }
        if isAllocated { items.append("rd") }
        if group > 0 { items.append("g\(group)") }
        if scales == .wide { items.append("bf16") }
        return "\(word)(\(items.joined(separator: ",")))"
    }

    enum Half { case keys, values }

    /// Keys by channel and values by token, where outliers are; what is symmetric by token.
    static func usualAxis(_ half: Half, _ isSymmetric: Bool) -> Quantiser.Axis { half == .keys && !isSymmetric ? .channel : .token }
}

extension Quantiser.Deadzone {
    var text: String {
        var items = ["k\(keys)", "v\(values)"]
        if isAllocated { items.append("rd") }
        if isRelative { items.append("rms") }
        if rounding != ProfileNumber(0.5) { items.append("z\(rounding)") }
        if pull != ProfileNumber(0) { items.append("p\(pull)") }
        return "ec(\(items.joined(separator: ",")))"
    }
}
