package import Kernels
package import Platform

extension WeightStore {
    /// Random weights for `plan`, in memory: matrices of about deviation 1/√columns, so that values neither grow nor vanish
    /// from layer to layer; norms 1; other vectors small. The same numbers for the same plan and name.
    ///
    /// - Throws: `FileError` when the system refuses the memory.
    package init(random plan: WeightPlan, weights form: WeightForm, named name: String, team: ThreadTeam) throws(FileError) {
        let key = WeightImageHeader.Key(
            source: Digest(of: "random \(name)"), plan: plan.digest, weights: form, layout: WeightStore.layoutVersion)
        var header = WeightImageHeader(placing: plan, key: key) { WeightBuilder.byteCount($0, form: form) }
        var draft = try FileDraft(inMemoryFor: "the random weights of \(name)", bytes: header.imageBytes)
        var generator = WordGenerator(state: key.source.low)
        for index in header.entries.indices {
            let entry = header.entries[index]
            draft.change(entry.range) { bytes in
                if entry.form == .vector {
                    let value: Float = entry.name.hasSuffix("norm") ? 1 : 0.01
                    for offset in stride(from: 0, to: bytes.byteCount, by: 4) {
                        bytes.storeBytes(of: value, toByteOffset: offset, as: Float.self)
                    }
                } else if entry.element.isBytes {
                    Self.pack(into: &bytes, entry, from: &generator)
                } else {
                    Self.fill(&bytes, type: entry.element.elementType, columns: entry.columns, from: &generator)
                }
            }
            header.entries[index].digest = draft.digest(of: entry.range)
        }
        draft.replace(at: 0, with: header.encoded().rawSpan)
        do throws(WeightImageError) {
            try self.init(verifying: draft.map(), expecting: header, team: team)
        } catch {
            preconditionFailure("an image just made in memory is refused: \(error)")
        }
    }

    /// Panels of bytes, out of rows of bf16.
    private static func pack(into bytes: inout MutableRawSpan, _ entry: WeightImageHeader.Entry, from generator: inout WordGenerator) {
        let exponents = exponents(columns: entry.columns)
        var row: [UInt8] = []
        for index in 0..<entry.rows {
            row.removeAll(keepingCapacity: true)
            while row.count < entry.columns * 2 {
                let word = values(exponents, from: &generator)
                for shift in stride(from: 0, to: 64, by: 8) { row.append(UInt8(truncatingIfNeeded: word >> shift)) }
            }
            PanelMatrix.pack(
                row.rawSpan.extracting(0..<entry.columns * 2), as: .bf16, columns: entry.columns, first: index, form: entry.element,
                into: &bytes)
        }
    }

    /// Values ±(1 + m/128) · 2^e with e one of two neighbours: mean square about 1/columns.
    private static func fill(_ bytes: inout MutableRawSpan, type: ElementType, columns: Int, from generator: inout WordGenerator)
    {
        let exponents = exponents(columns: columns)
        for offset in stride(from: 0, to: bytes.byteCount, by: 8) {
            let bf16 = values(exponents, from: &generator)
            // Two f32 numbers whose upper halves are two of the bf16 numbers.
            bytes.storeBytes(of: type == .bf16 ? bf16 : bf16 & 0xFFFF_0000_FFFF_0000, toByteOffset: offset, as: UInt64.self)
        }
    }

    /// The greater exponent of values in rows of `columns`, as four bf16 numbers hold it.
    private static func exponents(columns: Int) -> UInt64 {
        let exponent = UInt64(Float(1.0 / (Double(columns).squareRoot() * 1.25)).bitPattern >> 23)
        return (exponent << 7) &* 0x0001_0001_0001_0001
    }

    /// Four bf16 numbers.
    private static func values(_ exponents: UInt64, from generator: inout WordGenerator) -> UInt64 {
        let word = generator.next()
        // Of each 16 bits: sign and mantissa random, the exponent's lowest bit taken away or not.
        let signsAndMantissas = word & 0x807F_807F_807F_807F
        let halved = exponents &- (word & 0x0080_0080_0080_0080)
        return signsAndMantissas | halved
    }
}

/// SplitMix64 (Steele, Lea and Flood, 2014).
private struct WordGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
