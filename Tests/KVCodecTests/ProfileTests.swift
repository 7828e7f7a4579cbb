import Testing

@testable import KVCodec

/// The names of profiles.
@Suite struct ProfileTests {
    @Test func `every composition is printed and read back, as text and as bytes`() throws {
        let all = KeyValueProfile.compositions
        #expect(all.count > 1000)
        #expect(Set(all).count == all.count && Set(all.map(\.description)).count == all.count)
        for profile in all {
            #expect(try KeyValueProfile(profile.description) == profile, "\(profile)")
            #expect(KeyValueProfile(bytes: profile.bytes) == profile, "\(profile)")
            #expect(profile.bytes.count <= 32, "\(profile)")
        }
    }

    @Test func `compositions have every component`() {
        let all = KeyValueProfile.compositions
        #expect(Set(all.map(\.transform)).count == KeyValueProfile.Transform.allCases.count)
        #expect(Set(all.map(\.coder)).count == KeyValueProfile.Coder.allCases.count)
        for word in ["/none/", "/mm(", "/mm2(", "/sym(", "/fp8/", "/eb(", "/lm(", "/ec(", ",r.8", "@.67", ",rd", "/s4,w64"] {
            #expect(all.contains { $0.description.contains(word) }, "\(word)")
        }
    }

    @Test(arguments: [
        "had/mm(k12:6,v8:4,r.8)/rans", "had/mm(k12:6,v8:4,r.8)/rans/s4,w64", "none/none/enec", "shad/mm2(k6,v4,g32)/pack/w16",
        "none/sym(k15:11@.63,v15:11@.15,bf16)/rans(channel)", "pca/ec(k.5,v.25,rd,rms,z.4,p.05)/rans(channel)/s4",
        "anchor/lm(k12:8,v8:5,r.75)/bits+lz4", "none/eb(k.05,v1.25)/lz4", "none/mm(k6x,v4c,rd,bf16)/raw", "none/none/bytes+lz4",
        "none/fp8/raw",
    ])
    func `a canonical text is printed as it was read`(text: String) throws {
        #expect(try KeyValueProfile(text).description == text)
    }

    @Test func `other spellings come out canonical`() throws {
        #expect(try KeyValueProfile("had/mm(k12:6c,v8:4t,r0.80)/rans").description == "had/mm(k12:6,v8:4,r.8)/rans")
        #expect(try KeyValueProfile("none/mm(k6:6,v4)/pack").description == "none/mm(k6,v4)/pack")
        #expect(try KeyValueProfile("none/ec(k1.0,v.5,z.5,p0)/rans").description == "none/ec(k1,v.5)/rans")
    }

    @Test func `presets are canonical and have their names`() throws {
        for (name, text) in KeyValuePreset.all {
            #expect(try KeyValueProfile(name).description == text)
            #expect(try KeyValueProfile(name) == KeyValueProfile(text))
        }
        #expect(try KeyValueProfile("lossless").isLossless && KeyValueProfile("raw").isLossless)
        #expect(try !KeyValueProfile("kvserve-default").isLossless && KeyValueProfile("kvserve-default").needs == .headScores)
        #expect(try KeyValueProfile("pca/ec(k1,v1,rd,rms)/rans").needs == [.bases, .stepFactors])
        #expect(try KeyValueProfile("joint/ec(k1,v1)/rans").needs == .jointBases)
    }

    @Test(arguments: [
        ("", "a transform"), ("lossles", "a transform"), ("had", "'/' was expected"), ("had/", "a quantiser"),
        ("had/mm(k6,v6)", "'/' was expected"),
        ("had/mm(k6,v6)/", "a coder"), ("had/mm(k6,v6)/rans ", "behind the profile's end"), ("had/mm(k6,v6)/rans/", "s or w"),
        ("had/mm(k6,v6)/rans/s", "how many first tokens"), ("had/mm(k6,v6)/rans/s0", "how many first tokens"),
        ("had/mm(k6,v6)/rans/s129", "1 to 128"),
        ("had/mm(k6,v6)/rans/w5000", "1 to 4096"), ("had/mm(k6)/rans", "',v' was expected"), ("had/mm(k,v6)/rans", "a number of levels"),
        ("had/mm(k1,v6)/rans", "2 to 255"), ("had/mm(k256,v6)/rans", "2 to 255"), ("had/mm(k6:12,v6,r.8)/rans", "more than the high ones"),
        ("had/mm(k12:6,v6)/rans", "neither r nor @"), ("had/mm(k12:6@.5,v6,r.5)/rans", "r and @ both"),
        ("had/mm(k6,v6,r.5)/rans", "no low levels"),
        ("had/mm(k12:6,v6,r1)/rans", "between 0 and 1"), ("had/mm(k12:6@1,v6)/rans", "between 0 and 1"),
        ("had/mm(k6@.5,v6)/rans", "no low levels"),
        ("pca/mm(k12:6,v6,r.5)/rans", "pca mixes heads"), ("had/mm(k6,v6,g1)/rans", "groups of 2 to 128"),
        ("had/mm(k6x,v6,g8)/rans", "no groups"),
        ("had/mm2(k6,v6)/rans", "needs groups"), ("had/mm2(k6,v6,g8,bf16)/rans", "bf16 says otherwise"),
        ("had/sym(k6,v7)/rans", "odd numbers"),
        ("had/mm(k12:6,v6,rd,r.5)/rans", "')' was expected"), ("had/mm(k12:6@.5,v6,rd)/rans", "rd chooses"),
        ("had/none/rans", "none was expected"),
        ("none/none/pack", "nothing to do"), ("none/none/rans(channel)", "is for symbols"), ("none/none/raw/s4", "all tokens are exact"),
        ("none/mm(k6,v6)/enec", "only the quantiser none"), ("none/mm(k6,v6)/bytes+lz4", "only the quantiser none"),
        ("had/eb(k.1,v.1)/rans", "the transform none"),
        ("none/eb(k0,v.1)/rans", "above 0"), ("none/eb(k.1,v.1)/pack", "eight bits"), ("none/fp8/pack", "eight bits"),
        ("none/ec(k0,v1)/rans", "above 0"), ("pca/ec(k1,v1,rd)/rans", "rd,rms was expected"),
        ("joint/mm(k6,v6)/rans", "ec without rms"), ("joint/ec(k1,v1,rms)/rans", "ec without rms"),
        ("joint/none/raw", "ec without rms"),
        ("none/ec(k1,v1,z.6)/rans", "at most .5"), ("none/ec(k1,v1,p.6)/rans", "at most .5"), ("none/lm(k20,v8)/rans", "2 to 16"),
        ("none/lm(k8c,v8)/rans", "for each token"), ("none/ec(k1.0000001,v1)/rans", "up to 6 digits"),
        ("none/ec(k1000,v1)/rans", "up to 3 digits"),
        ("none/mm(k99999999999999999999,v1)/rans", "a number of levels"), (String(repeating: "x", count: 5000), "more than 160 bytes"),
    ])
    func `an invalid text is refused with the reason`(text: String, reason: String) {
        do throws(KeyValueProfileError) {
            let profile = try KeyValueProfile(text)
            Issue.record("\(text) became \(profile)")
        } catch {
            #expect(error.reason.contains(reason), "\(error)")
            #expect(error.description.utf8.count < 500)
        }
    }

    @Test func `damaged bytes name no profile, or another valid one`() throws {
        for profile in KeyValueProfile.compositions.prefix(400) {
            for place in profile.bytes.indices {
                for bit in 0..<8 {
                    var bytes = profile.bytes
                    bytes[place] ^= 1 << UInt8(bit)
                    if let other = KeyValueProfile(bytes: bytes) { #expect(other.bytes == bytes && other.violation == nil) }
                }
            }
            #expect(KeyValueProfile(bytes: profile.bytes + [0]) == nil)
        }
    }
}
