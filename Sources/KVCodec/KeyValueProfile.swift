/// How blocks are coded: transform, quantiser with its allocation, coder, and which tokens stay exact.
///
/// Named by a canonical text such as `had/mm(k12:6,v8:4,r.8)/rans/s4,w64`; KVFormat.md has the grammar. Every value of this type is a valid
/// composition.
package struct KeyValueProfile: Hashable, Sendable, CustomStringConvertible {
    package enum Transform: UInt8, Sendable, CaseIterable {
        case none = 0
        /// Random signs and a Hadamard transform of each head.
        case hadamard = 1
        /// The same behind a power of two for each channel.
        case scaledHadamard = 2
        /// Groups of ten tokens; the first one with eight bits, the others as differences to it.
        case anchors = 3
        /// A calibrated basis across the heads of a layer, of keys with their rotary position undone.
        case principal = 4
        /// A calibrated basis across keys and values of all heads, in units that are as dear to the model in each of them.
        case joint = 5
    }

    package enum Coder: UInt8, Sendable, CaseIterable {
        case raw = 0
        case pack = 1
        case lz4 = 2
        case bitPlanes = 3
        case bytePlanes = 4
        /// A table for each side and precision.
        case rans = 5
        /// A table for each channel.
        case channelRans = 6
        case enec = 7
    }

    package let transform: Transform
    package let quantiser: Quantiser
    package let coder: Coder
    /// The first tokens of a prompt, which stay exact: attention sinks.
    package let sinks: Int
    /// The last tokens of a prompt, which stay exact.
    package let recent: Int

    /// - Throws: the reason why this is no valid composition.
    package init(
        transform: Transform, quantiser: Quantiser, coder: Coder, sinks: Int = 0, recent: Int = 0
    ) throws(KeyValueProfileError) {
        self.transform = transform
        self.quantiser = quantiser
        self.coder = coder
        self.sinks = sinks
        self.recent = recent
        if let reason = violation { throw KeyValueProfileError(text, reason) }
    }

    /// A canonical text, or a preset's name.
    package init(_ text: String) throws(KeyValueProfileError) {
        var grammar = ProfileGrammar(KeyValuePreset.text(of: text) ?? text)
        self = try grammar.profile()
    }

    package var isLossless: Bool { quantiser == .none }

    package var description: String { text }

    /// What a calibration must hold for encoding.
    package var needs: CalibrationNeeds {
        var needs: CalibrationNeeds = transform == .principal ? .bases : transform == .joint ? .jointBases : []
        switch quantiser {
        case .none, .fp8, .bounded: break
        case .uniform(let uniform):
            if uniform.headShare != nil { needs.insert(.headScores) }
            if uniform.isAllocated { needs.insert(.stepFactors) }
        case .codebook(let codebook): if codebook.headShare != nil { needs.insert(.headScores) }
        case .deadzone(let deadzone): if deadzone.isAllocated { needs.insert(.stepFactors) }
        }
        return needs
    }
}

/// Parts of a calibration.
package struct CalibrationNeeds: OptionSet, Hashable, Sendable, CustomStringConvertible {
    package let rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }

    package static let headScores = CalibrationNeeds(rawValue: 1)
    /// Means, bases and rotary frequencies. Decoding needs them too.
    package static let bases = CalibrationNeeds(rawValue: 2)
    /// Of a rate-distortion allocation.
    package static let stepFactors = CalibrationNeeds(rawValue: 4)
    /// The same as bases, across keys and values. Decoding needs them too.
    package static let jointBases = CalibrationNeeds(rawValue: 8)

    package var description: String {
        let names: [(CalibrationNeeds, String)] = [
            (.headScores, "head scores"), (.bases, "bases"), (.stepFactors, "step factors"), (.jointBases, "joint bases"),
        ]
        return names.filter { contains($0.0) }.map(\.1).joined(separator: ", ")
    }
}

/// Why a text is no profile, or a profile cannot be used.
package struct KeyValueProfileError: Error, Equatable, CustomStringConvertible {
    package let profile: String
    package let reason: String

    package init(_ profile: String, _ reason: String) {
        self.profile = profile
        self.reason = reason
    }

    package var description: String { "profile '\(profile)': \(reason)" }
}
