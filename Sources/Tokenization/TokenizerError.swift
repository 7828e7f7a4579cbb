package import Platform

/// Why a tokenizer could not be built, or a text not be encoded.
package enum TokenizerError: Error, Equatable, CustomStringConvertible {
    /// A file cannot be opened or mapped.
    case unreadable(FileError)
    case notJSON(file: String, JSONError)
    /// The value at `key` (a path such as `model.merges[17]`) is not what the format allows.
    case invalid(file: String, key: String, found: String, expected: String)
    /// The file asks for a component that Ferry does not have. Refused, since leaving it out would change ids silently.
    case unsupported(file: String, key: String, found: String)
    case textTooLong(bytes: Int, limit: Int)
    case tooManyTokens(limit: Int)
    /// A regular expression of the tokenizer gave up on this text, at its match limit or when the text's time for it was used up.
    case patternTooCostly(pattern: String)
    /// The text holds a character outside the vocabulary, and the token that should stand for it is not in it either.
    case unknownTokenMissing(String)

    package var description: String {
        switch self {
        case .unreadable(let error): error.description
        case .notJSON(let file, let error): "\(file): \(error)"
        case .invalid(let file, let key, let found, let expected): "\(file): \(key): found \(found), expected \(expected)"
        case .unsupported(let file, let key, let found): "\(file): \(key): \(found) is not supported"
        case .textTooLong(let bytes, let limit): "a text of \(bytes) bytes; the limit is \(limit)"
        case .tooManyTokens(let limit): "more than \(limit) tokens"
        case .patternTooCostly(let pattern): "the tokenizer's pattern \(pattern) takes too long on this text"
        case .unknownTokenMissing(let token): "the text needs the unknown token \(token), which is not in the vocabulary"
        }
    }
}
