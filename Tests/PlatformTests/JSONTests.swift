import Foundation
import Platform
import TestSupport
import Testing

@Suite struct JSONTests {
    private static let exact: [(String, JSON)] = [
        ("null", JSON.null), ("true", true), ("-0", 0), ("12", 12), ("-9223372036854775808", .integer(.min)),
        ("9223372036854775808", .number(9223372036854775808)), ("1.5e3", 1500.0), ("\"\"", ""), ("[]", []), ("{}", .object(JSONObject())),
        (" [1 , \"a\" ,{\"k\":null}]\n", [1, "a", ["k": nil]]),
        ("\"\\u00e9\\ud83d\\ude00\\n\\/\"", "é😀\n/"),
    ]

    @Test(arguments: exact) func aValueIsReadExactly(text: String, value: JSON) throws {
        #expect(try JSON(parsing: text) == value)
    }

    @Test(arguments: [
        "", " ", "nul", "truex", "01", "+1", "1.", ".5", "1e", "--1", "1e400", "\"", "\"\\x\"", "\"\\u12g4\"", "\"\\ud800\"", "\"\\udc00\"",
        "\"\\ud800\\u0041\"", "\"a\nb\"", "[1,]", "[1 2]", "[", "]", "{\"a\":1,}", "{\"a\"}", "{a:1}", "{\"a\":1 \"b\":2}", "{\"a\":1,\"a\":2}", "1 2",
        "[1]x", "'a'", "/* */1", "NaN", "Infinity",
    ])
    func textThatIsNotJSONIsRefused(text: String) {
        #expect(throws: JSONError.self) { try JSON(parsing: text) }
    }

    @Test func invalidUTF8IsRefusedInsideStringsAndKeys() {
        for bad: [UInt8] in [[0xFF], [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xF5, 0x80, 0x80, 0x80], [0xE2, 0x82]] {
            #expect(throws: JSONError.self) { try JSON(parsing: [0x22] + bad + [0x22]) }
            #expect(throws: JSONError.self) { try JSON(parsing: [0x22, 0x5C, 0x6E] + bad + [0x22]) }
            #expect(throws: JSONError.self) { try JSON(parsing: [0x7B, 0x22] + bad + Array("\":1}".utf8)) }
        }
    }

    @Test func depthAndCountAreBounded() throws {
        let deep = String(repeating: "[", count: 64) + String(repeating: "]", count: 64)
        #expect(throws: Never.self) { try JSON(parsing: deep) }
        #expect(throws: JSONError.self) { try JSON(parsing: "[" + deep + "]") }
        #expect(throws: JSONError.self) { try JSON(parsing: String(repeating: "[", count: 1_000_000)) }
        #expect(throws: JSONError.self) { try JSON(parsing: "[1,2,3]", limits: JSONLimits(depth: 4, values: 3)) }
    }

    @Test func keysKeepTheirOrderAndManyKeysAreFoundQuickly() throws {
        let keys = (0..<1000).map { "key\(($0 * 7919) % 1000)" }
        let text = "{" + keys.map { "\"\($0)\":\"\($0)\"" }.joined(separator: ",") + "}"
        let object = try #require(try JSON(parsing: text).object)
        #expect(object.keys == keys)
        for key in keys { #expect(object[key]?.string == key) }
        #expect(JSON.object(object).text == text)
    }

    @Test func settingNilRemovesAMember() {
        var object = JSONObject((0..<12).map { (key: "k\($0)", value: .integer(Int64($0))) })
        object["k3"] = nil
        #expect(object["k3"] == nil && object["k11"] == 11 && object.count == 11)
    }

    @Test func whatIsWrittenReadsBackTheSame() throws {
        let value: JSON = [
            "text": "quote \" slash \\ newline \n tab \t bell \u{07} é 😀 \u{7F}", "numbers": [0, -1, 1.25, 1e100], "nested": [["a": [nil, true, false]]],
        ]
        #expect(try JSON(parsing: value.text) == value)
        var writer = JSONWriter()
        writer.number(.nan)
        #expect(String(decoding: writer.bytes, as: UTF8.self) == "null")
    }

    /// The kept corpus: names that begin with "bad" must be refused, all others read.
    private static func corpus() throws -> [(name: String, bytes: [UInt8])] {
        let folder = URL(fileURLWithPath: SharedFiles.repository + "/Tests/PlatformTests/Fixtures/json")
        return try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
            .sorted { $0.path < $1.path }.map { ($0.lastPathComponent, [UInt8](try Data(contentsOf: $0))) }
    }

    @Test func theKeptCorpusIsReadOrRefusedAsItsNamesSay() throws {
        let corpus = try Self.corpus()
        #expect(corpus.count >= 10)
        for (name, bytes) in corpus { #expect(((try? JSON(parsing: bytes)) == nil) == name.hasPrefix("bad"), "\(name)") }
    }

    @Test func arbitraryBytesAreReadOrRefusedButNeverTrap() throws {
        var random = SeededGenerator(seed: 7)
        for (_, seed) in try Self.corpus() {
            for _ in 0..<1000 {
                var bytes = seed
                for _ in 0..<Int.random(in: 1...4, using: &random) {
                    let place = Int.random(in: 0..<bytes.count, using: &random)
                    switch Int.random(in: 0..<3, using: &random) {
                    case 0: bytes[place] = UInt8.random(in: 0...255, using: &random)
                    case 1: bytes.insert(UInt8.random(in: 0...255, using: &random), at: place)
                    default: if bytes.count > 1 { bytes.remove(at: place) }
                    }
                }
                JSONFuzz.parse(bytes)
            }
        }
    }
}
