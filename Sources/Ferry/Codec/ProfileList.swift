/// Names of profiles in one text.
enum ProfileList {
    /// Commas stand between profiles, and inside of them too: in parentheses, and before the `w` of exact tokens, as in `s4,w64`.
    static func names(in text: String) -> [String] {
        var names = [""]
        var depth = 0
        let characters = Array(text)
        for (index, character) in characters.enumerated() {
            if character == "(" { depth += 1 }
            if character == ")" { depth -= 1 }
            let rest = characters[(index + 1)...].prefix { $0 != "," && $0 != "/" }
            let isWindow = rest.first == "w" && rest.count > 1 && rest.dropFirst().allSatisfy(\.isNumber)
            if character == ",", depth <= 0, !isWindow { names.append("") } else { names[names.count - 1].append(character) }
        }
        return names
    }
}
