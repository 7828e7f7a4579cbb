package import Inference
internal import Platform

/// Which tokens play which part, from tokenizer_config.json and special_tokens_map.json.
package struct SpecialTokens: Sendable, Equatable {
    package var beginning: TokenID?
    package var end: TokenID?
    /// Whether to put `beginning` before, `end` after a text, where tokenizer.json leaves that open.
    package var addsBeginning = false
    package var addsEnd = false

    init() {}

    /// - Parameter files: parsed, in the order in which they are asked for a role.
    init(_ files: [ComponentNode], vocabulary: Vocabulary) throws(TokenizerError) {
        beginning = try Self.role("bos_token", files, vocabulary)
        end = try Self.role("eos_token", files, vocabulary)
        for file in files where addsBeginning == false { addsBeginning = try file["add_bos_token"].bool(ifAbsent: false) }
        for file in files where addsEnd == false { addsEnd = try file["add_eos_token"].bool(ifAbsent: false) }
    }

    /// A role is a token's text, or an object that has it as `content`. One that is not in the vocabulary plays no part.
    private static func role(
        _ name: String, _ files: [ComponentNode], _ vocabulary: Vocabulary
    ) throws(TokenizerError) -> TokenID? {
        for file in files where !file[name].isAbsent {
            let node = file[name]
            let text = node.value.object == nil ? try node.string() : try node["content"].string()
            return vocabulary.id(of: text)
        }
        return nil
    }
}
