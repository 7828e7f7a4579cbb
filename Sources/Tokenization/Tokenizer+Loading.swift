internal import Glibc
internal import Inference
internal import Platform

extension Tokenizer {
    /// Reads `tokenizer.json` of a model's directory and, where they exist, `tokenizer_config.json` and
    /// `special_tokens_map.json` for the roles of its special tokens.
    package convenience init(directory: String, limits: TokenizerLimits = TokenizerLimits()) throws(TokenizerError) {
        let main = directory + "/tokenizer.json"
        var roles: [(file: String, json: [UInt8])] = []
        for name in ["tokenizer_config.json", "special_tokens_map.json"] {
            let path = directory + "/" + name
            if unsafe access(path, F_OK) == 0 { roles.append((path, try Self.read(path))) }
        }
        try self.init(json: try Self.read(main), file: main, roles: roles, limits: limits)
    }

    /// Builds a tokenizer from the content of tokenizer.json. `file` names it in errors; `roles` are the files that name the
    /// special tokens, the more important first.
    package convenience init(
        json: [UInt8], file: String = "tokenizer.json", roles: [(file: String, json: [UInt8])] = [],
        limits: TokenizerLimits = TokenizerLimits()
    ) throws(TokenizerError) {
        var roleNodes: [ComponentNode] = []
        for role in roles { roleNodes.append(try Self.parse(role.json, role.file)) }
        let root = try Self.parse(json, file)
        let parts = try TokenizerParts(root, roles: roleNodes)
        let decoder = try Decoder(root["decoder"])
        guard let text = TokenText(vocabulary: parts.vocabulary, normalForms: parts.normalForms, decoder: decoder) else {
            let expected = "at most \(TokenizerLimits.vocabularyBytes) bytes"
            throw root["decoder"].invalid("tokens that grow without measure", expected: expected)
        }
        self.init(parts, text, limits: limits)
    }

    private static func read(_ path: String) throws(TokenizerError) -> [UInt8] {
        do throws(FileError) {
            let file = try MappedFile(path: path)
            return unsafe file.bytes.withUnsafeBytes { unsafe Array($0) }
        } catch {
            throw .unreadable(error)
        }
    }

    private static func parse(_ json: [UInt8], _ file: String) throws(TokenizerError) -> ComponentNode {
        let value: JSON
        do throws(JSONError) {
            value = try JSON(parsing: json, limits: .file)
        } catch {
            throw .notJSON(file: file, error)
        }
        let node = ComponentNode(value: value, file: file, key: "")
        _ = try node.object()
        return node
    }
}

extension TokenizerParts {
    init(_ root: ComponentNode, roles: [ComponentNode]) throws(TokenizerError) {
        normalizer = try Normalizer(root["normalizer"])
        preTokenizer = try PreTokenizer(root["pre_tokenizer"])
        let modelNode = root["model"]
        let type = modelNode["type"].isAbsent ? "BPE" : try modelNode["type"].string()
        guard type == "BPE" else { throw modelNode["type"].unsupported("the model \(type)") }
        let added = try Self.addedTokens(root["added_tokens"])
        var vocabulary = try Self.vocabulary(modelNode["vocab"], room: added.count)
        // Before the added tokens, which the model does not know.
        let (merges, separates) = try Self.merges(modelNode["merges"], vocabulary, try modelNode.unknownName())
        let modelVocabulary = vocabulary
        special = []
        addedTokens = AddedTokenMatcher()
        normalizedAddedTokens = AddedTokenMatcher()
        normalForms = [:]
        var highest: TokenID?
        for (token, node) in added {
            try Self.insert(token, node, into: &vocabulary, model: modelVocabulary, after: highest)
            highest = max(highest ?? 0, token.id)
        }
        var budget = MatchBudget(bytes: 0)
        // Special tokens first: of two equal patterns the first counts.
        for (token, _) in added.filter(\.token.special) + added.filter({ !$0.token.special }) {
            if token.special { special.insert(token.id) }
            if token.normalized {
                let form = try normalizer.apply(to: Array(token.content.utf8), within: &budget).text
                normalizedAddedTokens.insert(token, as: form)
                normalForms[token.id] = form
            } else {
                addedTokens.insert(token, as: Array(token.content.utf8))
            }
        }
        model = try BytePairEncoder(
            modelNode, vocabulary: modelVocabulary, merges: merges, alphabet: preTokenizer.alphabet,
            separatesAtMetaspace: separates
        )
        self.vocabulary = vocabulary
        specialTokens = try SpecialTokens(roles, vocabulary: vocabulary)
        if root["post_processor"].isAbsent {
            postProcessor = PostProcessor(
                before: specialTokens.addsBeginning ? specialTokens.beginning : nil,
                after: specialTokens.addsEnd ? specialTokens.end : nil
            )
        } else {
            postProcessor = try PostProcessor(root["post_processor"], idLimit: TokenizerLimits.vocabulary)
        }
    }

    private static func addedTokens(_ node: ComponentNode) throws(TokenizerError) -> [(token: AddedToken, node: ComponentNode)] {
        guard !node.isAbsent else { return [] }
        let elements = try node.elements()
        guard elements.count <= TokenizerLimits.addedTokens else {
            throw node.invalid("\(elements.count) tokens", expected: "at most \(TokenizerLimits.addedTokens)")
        }
        var tokens: [(AddedToken, ComponentNode)] = []
        for element in elements {
            let content = try element["content"].string()
            guard (1...TokenizerLimits.addedTokenBytes).contains(content.utf8.count) else {
                let expected = "1 to \(TokenizerLimits.addedTokenBytes)"
                throw element["content"].invalid("\(content.utf8.count) bytes", expected: expected)
            }
            let special = try element["special"].bool(ifAbsent: false)
            let token = AddedToken(
                id: TokenID(try element["id"].integer(in: 0..<TokenizerLimits.vocabulary)), content: content,
                singleWord: try element["single_word"].bool(ifAbsent: false),
                stripsLeft: try element["lstrip"].bool(ifAbsent: false),
                stripsRight: try element["rstrip"].bool(ifAbsent: false),
                normalized: try element["normalized"].bool(ifAbsent: !special), special: special
            )
            tokens.append((token, element))
        }
        return tokens
    }

    /// An added token is one of the model's under its id, or one more. The reference numbers those behind both the model's tokens
    /// and the `highest` added so far, whatever the file says, and only warns where that disagrees. Nobody can tell then which
    /// ids the model was trained with, so a disagreement is refused here.
    private static func insert(
        _ token: AddedToken, _ node: ComponentNode, into vocabulary: inout Vocabulary, model: Vocabulary, after highest: TokenID?
    ) throws(TokenizerError) {
        if model.id(of: token.content) == nil, vocabulary.id(of: token.content) == nil {
            let next = max(model.count, highest.map { Int($0) + 1 } ?? 0)
            guard next == token.id else {
                throw node["id"].invalid("\(token.id)", expected: "\(next), the next free id")
            }
        }
        switch vocabulary.insert(token.content, id: token.id) {
        case nil: break
        case .text(let known):
            guard known == token.id else {
                throw node["id"].invalid("\(token.id)", expected: "\(known), which \"\(token.content)\" has already")
            }
            guard model.id(of: token.content) != nil else {
                throw node["content"].invalid("\"\(token.content)\" a second time", expected: "each token once")
            }
        case .id(let text): throw node["id"].invalid("\(token.id)", expected: "an id other than that of \"\(text)\"")
        case .size: throw node.invalid("a larger vocabulary", expected: "at most \(TokenizerLimits.vocabularyBytes) bytes")
        }
    }

    private static func vocabulary(_ node: ComponentNode, room: Int) throws(TokenizerError) -> Vocabulary {
        let members = try node.object().members
        guard members.count <= TokenizerLimits.vocabulary else {
            throw node.invalid("\(members.count) tokens", expected: "at most \(TokenizerLimits.vocabulary)")
        }
        var vocabulary = Vocabulary(capacity: members.count + room)
        for (text, value) in members {
            guard let id = value.integer, id >= 0, id < TokenizerLimits.vocabulary else {
                let found = value.integer.map { "\($0)" } ?? value.kind
                throw node[text].invalid(found, expected: "an id below \(TokenizerLimits.vocabulary)")
            }
            switch vocabulary.insert(text, id: TokenID(id)) {
            case nil: break
            case .id(let other): throw node[text].invalid("\(id)", expected: "an id other than that of \"\(other)\"")
            case .text(let other): throw node[text].invalid("\(id)", expected: "\(other), as before")
            case .size: throw node.invalid("a larger vocabulary", expected: "at most \(TokenizerLimits.vocabularyBytes) bytes")
            }
        }
        return vocabulary
    }

    /// The merges, and whether they keep U+2581 at the beginning of words (`BytePairEncoder.separatesAtMetaspace`).
    private static func merges(
        _ node: ComponentNode, _ vocabulary: Vocabulary, _ unknown: String?
    ) throws(TokenizerError) -> (MergeTable, separates: Bool) {
        guard let elements = node.value.array else { throw node.invalid(node.value.kind, expected: "an array") }
        guard elements.count <= TokenizerLimits.merges else {
            throw node.invalid("\(elements.count) merges", expected: "at most \(TokenizerLimits.merges)")
        }
        var table = MergeTable(capacity: elements.count)
        let mark = Array("\u{2581}".utf8)
        var separates = vocabulary.id(of: mark.span) != nil && !(unknown?.unicodeScalars.last == "\u{2581}")
        var rank: UInt32 = 0
        for (index, element) in elements.enumerated() {
            let merge = ComponentNode(value: element, file: node.file, key: "\(node.key)[\(index)]")
            guard let (left, right) = try merge.mergePair() else { continue }
            guard let leftID = vocabulary.id(of: left.span) else { throw merge.unknownToken(left) }
            guard let rightID = vocabulary.id(of: right.span) else { throw merge.unknownToken(right) }
            let joined = left + right
            guard let merged = vocabulary.id(of: joined.span) else { throw merge.unknownToken(joined) }
            table.insert(leftID, rightID, rank: rank, merged: merged)
            rank += 1
            if right.starts(with: mark), !left.suffix(3).elementsEqual(mark) { separates = false }
        }
        return (table, separates)
    }
}

extension ComponentNode {
    /// `"a b"` or `["a", "b"]`; nil for a line of comment, which old files keep from merges.txt.
    fileprivate func mergePair() throws(TokenizerError) -> (left: [UInt8], right: [UInt8])? {
        switch value {
        case .string(let line):
            if line.hasPrefix("#version") { return nil }
            let bytes = Array(line.utf8)
            guard let space = bytes.firstIndex(of: UInt8(ascii: " ")), !bytes[(space + 1)...].contains(UInt8(ascii: " ")) else {
                throw invalid("\"\(line.prefix(40))\"", expected: "two tokens with a space between")
            }
            return (Array(bytes[..<space]), Array(bytes[(space + 1)...]))
        case .array(let pair):
            guard pair.count == 2, let left = pair[0].string, let right = pair[1].string else {
                throw invalid("an array of \(pair.count)", expected: "two tokens")
            }
            return (Array(left.utf8), Array(right.utf8))
        default: throw invalid(value.kind, expected: "two tokens")
        }
    }

    fileprivate func unknownToken(_ token: [UInt8]) -> TokenizerError {
        invalid("the token \"\(String(decoding: token, as: UTF8.self).prefix(40))\"", expected: "tokens of the vocabulary")
    }

    fileprivate func unknownName() throws(TokenizerError) -> String? {
        self["unk_token"].isAbsent ? nil : try self["unk_token"].string()
    }
}

extension BytePairEncoder {
    /// - Parameter vocabulary: the model's, without added tokens.
    fileprivate init(
        _ node: ComponentNode, vocabulary: Vocabulary, merges: MergeTable, alphabet: Alphabet, separatesAtMetaspace: Bool
    ) throws(TokenizerError) {
        for name in ["continuing_subword_prefix", "end_of_word_suffix"] where !node[name].isAbsent {
            let affix = try node[name].string()
            guard affix.isEmpty else { throw node[name].unsupported("\"\(affix.prefix(40))\"") }
        }
        let dropout = node["dropout"]
        guard dropout.isAbsent || dropout.value.double == 0 else { throw dropout.unsupported("merging at random") }
        var options = Options(alphabet: alphabet)
        if let unknown = try node.unknownName() {
            options.unknown = vocabulary.id(of: unknown).map { .token($0) } ?? .missing(unknown)
        }
        options.fusesUnknown = try node["fuse_unk"].bool(ifAbsent: false)
        options.ignoresMerges = try node["ignore_merges"].bool(ifAbsent: false)
        options.fallsBackToBytes = try node["byte_fallback"].bool(ifAbsent: false)
        options.separatesAtMetaspace = separatesAtMetaspace && alphabet == .scalars && !options.ignoresMerges
        self.init(vocabulary: vocabulary, merges: merges, options: options)
    }
}
