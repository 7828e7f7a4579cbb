internal import KVCodec

/// The compositions that a sweep measures: every component, with settings from fine to coarse where there are any.
enum SweepGrid {
    /// Canonical texts, in the order of the tables.
    static let texts: [String] = {
        var texts = KeyValuePreset.all.map(\.profile)
        // Lossless coders.
        texts += ["lz4", "bits+lz4", "bytes+lz4", "rans", "enec"].map { "none/none/\($0)" }
        // Transforms under the quantisers that say how fine they are.
        for transform in ["none", "had", "shad", "anchor", "pca"] {
            texts += levels.map { "\(transform)/mm(k\($0.keys),v\($0.values))/rans" }
            texts += steps.map { "\(transform)/ec(k\($0.keys),v\($0.values),rms)/rans(channel)" }
        }
        // Heads apart, as KVServe has them.
        for transform in ["none", "had"] {
            texts += ["k32:16,v32:16,r.5", "k16:8,v12:6,r.5", "k12:6,v8:4,r.8", "k10:5,v8:4,r.8", "k8:4,v6:4,r.9"].map {
                "\(transform)/mm(\($0))/rans"
            }
        }
        // Layers apart, groups, two levels of scales, code books, floats, bounds.
        for transform in ["none", "had"] {
            texts += ["k16:8@.67,v16:8@.67", "k4,v4,g32,bf16", "k16,v16,g32,bf16"].map { "\(transform)/mm(\($0))/rans" }
            texts += ["k4,v4,g32", "k8,v6,g32", "k16,v16,g32"].map { "\(transform)/mm2(\($0))/pack" }
            texts += ["k4,v4", "k8,v6", "k12,v8", "k16,v16"].map { "\(transform)/lm(\($0))/rans" }
            texts += ["\(transform)/fp8/raw", "\(transform)/fp8/rans"]
        }
        texts += ["k.02,v.01", "k.1,v.05", "k.3,v.15"].map { "none/eb(\($0))/rans" }
        // Coders over the same symbols.
        texts += ["raw", "pack", "lz4", "bits+lz4", "rans", "rans(channel)"].map { "had/mm(k6,v5)/\($0)" }
        texts += ["", ",z.4"].flatMap { zone in steps.map { "joint/ec(k\($0.keys),v\($0.values)\(zone))/rans(channel)" } }
        // Steps that a calibration allots; tokens that stay exact.
        for transform in ["none", "pca"] {
            texts += steps.map { "\(transform)/ec(k\($0.keys),v\($0.values),rd,rms)/rans(channel)" }
            texts += steps.map { "\(transform)/ec(k\($0.keys),v\($0.values),rms,z.4,p.05)/rans(channel)" }
            texts += steps.map { "\(transform)/ec(k\($0.keys),v\($0.values),rms)/rans(channel)/s4,w64" }
        }
        texts += levels.map { "pca/mm(k\($0.keys),v\($0.values))/rans(channel)/s4" }
        return texts
    }()

    private static let levels = [(32, 24), (16, 12), (12, 8), (8, 6), (6, 5), (4, 4)].map { (keys: $0.0, values: $0.1) }
    private static let steps = [(".25", ".25"), (".4", ".4"), (".6", ".6"), (".8", ".8"), ("1.1", "1.1"), ("1.5", "1.5")].map {
        (keys: $0.0, values: $0.1)
    }

    /// Each composition once.
    static let profiles: [NamedProfile] = {
        var seen: Set<KeyValueProfile> = []
        return texts.compactMap { text in
            guard let profile = try? KeyValueProfile(text) else { preconditionFailure("\(text) is no profile") }
            return seen.insert(profile).inserted ? NamedProfile(profile) : nil
        }
    }()
}
