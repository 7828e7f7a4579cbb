/// How numbers become symbols, and which numbers get how many.
package enum Quantiser: Hashable, Sendable {
    /// Lossless: elements are coded as they are.
    case none
    case uniform(Uniform)
    /// E4M3 with a power of two for each token and each channel.
    case fp8
    /// Predicts from the token before and never errs by more than the bound.
    case bounded(keys: ProfileNumber, values: ProfileNumber)
    case codebook(Codebook)
    case deadzone(Deadzone)

    /// What a range of a uniform quantiser belongs to.
    package enum Axis: UInt8, Sendable, CaseIterable {
        /// A channel of a head, over the block's tokens or a group of them.
        case channel = 0
        /// A token, over the heads of one precision or over a group of channels of a head.
        case token = 1
        /// All heads of one precision.
        case tensor = 2
    }

    /// How many levels a side's heads get.
    package struct Levels: Hashable, Sendable {
        package var high: Int
        /// Of the heads or layers of low precision; `high` where there are none.
        package var low: Int
        /// The share of the layers, first ones first, that get `high`; nil where layers are alike.
        package var layerShare: ProfileNumber?
        package var axis: Axis

        package init(high: Int, low: Int? = nil, layerShare: ProfileNumber? = nil, axis: Axis) {
            self.high = high
            self.low = low ?? high
            self.layerShare = layerShare
            self.axis = axis
        }

        /// What `layer` gets: one count, or one for each class of heads.
        func of(layer: Int, layers: Int) -> (high: Int, low: Int) {
            guard let layerShare else { return (high, low) }
            let boundary = min(layers, max(2, Int((Double(layerShare.millionths) * Double(layers) / 1e6).rounded())))
            return layer < boundary ? (high, high) : (low, low)
        }
    }

    /// How scales and offsets are stored.
    package enum Scales: UInt8, Sendable, CaseIterable {
        /// Eight bits each, against the greatest of a precision group.
        case narrow = 0
        /// bf16.
        case wide = 1
        /// Eight bits for each group, against bf16 for each row of groups.
        case twoLevel = 2
    }

    package struct Uniform: Hashable, Sendable {
        /// Around zero with an odd number of levels, instead of between the least and the greatest.
        package var isSymmetric: Bool
        package var keys: Levels
        package var values: Levels
        /// The share of all heads, lowest scores first, that get the low levels.
        package var headShare: ProfileNumber?
        /// Tokens (per channel) or channels (per token) that share a range; 0 for all.
        package var group: Int
        package var scales: Scales
        /// Whether a calibration changes the levels of each head.
        package var isAllocated: Bool

        package init(
            isSymmetric: Bool = false, keys: Levels, values: Levels, headShare: ProfileNumber? = nil, group: Int = 0,
            scales: Scales = .narrow,
            isAllocated: Bool = false
        ) {
            self.isSymmetric = isSymmetric
            self.keys = keys
            self.values = values
            self.headShare = headShare
            self.group = group
            self.scales = scales
            self.isAllocated = isAllocated
        }
    }

    /// Lloyd-Max levels of a normal distribution, times the root mean square of a token in a head.
    package struct Codebook: Hashable, Sendable {
        package var keys: Levels
        package var values: Levels
        package var headShare: ProfileNumber?

        package init(keys: Levels, values: Levels, headShare: ProfileNumber? = nil) {
            self.keys = keys
            self.values = values
            self.headShare = headShare
        }
    }

    /// Uniform steps around a zero that may be wider, for entropy coding.
    package struct Deadzone: Hashable, Sendable {
        package var keys: ProfileNumber
        package var values: ProfileNumber
        /// Whether a calibration changes the steps of each head.
        package var isAllocated: Bool
        /// Whether steps are in units of the root mean square of the block's side.
        package var isRelative: Bool
        /// 0.5 rounds to nearest; less makes the zero wider.
        package var rounding: ProfileNumber
        /// How far, in steps, values are moved towards zero.
        package var pull: ProfileNumber

        package init(
            keys: ProfileNumber, values: ProfileNumber, isAllocated: Bool = false, isRelative: Bool = false,
            rounding: ProfileNumber = ProfileNumber(0.5), pull: ProfileNumber = ProfileNumber(0)
        ) {
            self.keys = keys
            self.values = values
            self.isAllocated = isAllocated
            self.isRelative = isRelative
            self.rounding = rounding
            self.pull = pull
        }
    }
}
