/// Profiles with a name of their own.
package enum KeyValuePreset {
    /// Names and canonical texts. The baselines are those of the systems they are called after, as KVServe's authors measured them; ours
    /// follow them, from the nearest to the smallest: with a calibrated model they take less at equal divergence.
    package static let all: [(name: String, profile: String)] = [
        ("raw", "none/none/raw"),
        ("lossless", "none/none/enec"),
        ("kivi-2", "none/mm(k4,v4,g32,bf16)/pack"),
        ("cachegen-1", "none/sym(k15:11@.63,v15:11@.15,bf16)/rans(channel)"),
        ("cachegen-2", "none/sym(k31:15@.32,v31:15@.15,bf16)/rans(channel)"),
        ("cachegen-3", "none/sym(k31,v31,bf16)/rans(channel)"),
        ("kvserve-default", "none/mm(k12:6,v8:4,r.8)/rans"),
        ("ferry-fine", "pca/ec(k.4,v.4,rms)/rans(channel)/s4"),
        ("ferry-balanced", "pca/ec(k.8,v.8,rms)/rans(channel)/s4"),
        ("ferry-small", "pca/ec(k1.5,v1.5,rms,z.4,p.05)/rans(channel)/s4"),
    ]

    static func text(of name: String) -> String? { all.first { $0.name == name }?.profile }
}
