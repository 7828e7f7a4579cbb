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
        ("ferry-fine", "joint/ec(k.3,v.3,z.4)/rans(channel)"),
        ("ferry-balanced", "joint/ec(k.6,v.6,z.4)/rans(channel)"),
        ("ferry-small", "joint/ec(k1.5,v1.5,z.4)/rans(channel)"),
    ]

    static func text(of name: String) -> String? { all.first { $0.name == name }?.profile }
}
