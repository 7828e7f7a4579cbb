internal import CPCRE2

/// A compiled pattern over UTF-8. Immutable, so any number of threads may match with it, each in its own `Matcher`.
@safe
final class RegularExpression: @unchecked Sendable {
    // Sendable by argument: PCRE2 writes to a compiled pattern only while it is compiled, which ends in `init`.
    fileprivate let code: OpaquePointer
    /// As it stands in the file.
    let pattern: String

    struct Failure: Error, Equatable {
        let reason: String
    }

    /// Compiles `pattern`, which is in the syntax of tokenizer files (`PatternSyntax`).
    init(_ pattern: String) throws(Failure) {
        let translated: String
        do throws(PatternSyntax.Refusal) {
            translated = try PatternSyntax.translate(pattern)
        } catch {
            throw Failure(reason: "\(error.reason) at byte \(error.offset)")
        }
        let context = unsafe pcre2_compile_context_create_8(nil)
        defer { unsafe pcre2_compile_context_free_8(context) }
        unsafe pcre2_set_newline_8(context, UInt32(PCRE2_NEWLINE_LF))
        let options =
            PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_USE_OFFSET_LIMIT | UInt32(PCRE2_NEVER_BACKSLASH_C)
        var code: Int32 = 0
        var offset = 0
        let bytes = Array(translated.utf8)
        let compiled = unsafe bytes.withUnsafeBufferPointer { bytes in
            unsafe pcre2_compile_8(bytes.baseAddress ?? Self.emptyText, bytes.count, options, &code, &offset, context)
        }
        guard let compiled = unsafe compiled else { throw Failure(reason: Self.message(code)) }
        // Without JIT (no executable memory, say) matching interprets: slower, with the same results.
        _ = unsafe pcre2_jit_compile_8(compiled, UInt32(PCRE2_JIT_COMPLETE))
        unsafe self.code = compiled
        self.pattern = pattern
    }

    deinit { unsafe pcre2_code_free_8(code) }

    /// What an empty text is read from: never dereferenced.
    fileprivate static var emptyText: UnsafePointer<UInt8> { unsafe UnsafePointer(bitPattern: 64)! }

    private static func message(_ code: Int32) -> String {
        var buffer = [UInt8](repeating: 0, count: 256)
        let count = unsafe buffer.withUnsafeMutableBufferPointer { buffer in
            unsafe pcre2_get_error_message_8(code, buffer.baseAddress, buffer.count)
        }
        return count > 0 ? String(decoding: buffer[..<Int(count)], as: UTF8.self) : "PCRE2 error \(code)"
    }

    /// The working memory of matching, and the bounds on it: `matchLimit` steps from one start of a match, a stack of `stackLimit`
    /// bytes, and for all of it the budget of the text.
    @safe
    struct Matcher: ~Copyable {
        /// PCRE2's default. It counts anew from each start: up to 0.06 s where it was measured (`\s+\s+$|x` on 100,000 spaces).
        static let matchLimit: UInt32 = 10_000_000
        static let stackLimit = 4 << 20
        /// Starts of matches that are tried before the budget is looked at: PCRE2 cannot be interrupted. So a text may take some
        /// seconds more than its budget, at the worst.
        private static let window = 64

        private let expression: RegularExpression
        private let match: OpaquePointer
        private let context: OpaquePointer
        private let stack: OpaquePointer?
        /// What is left for the text; whoever has another step to do with it takes it from here.
        private(set) var budget: MatchBudget
        /// Starts tried since the budget was looked at.
        private var tried = 0

        init(_ expression: RegularExpression, budget: MatchBudget = MatchBudget(bytes: 0)) {
            self.expression = expression
            self.budget = budget
            self.budget.begin()
            guard let match = unsafe pcre2_match_data_create_8(1, nil),
                let context = unsafe pcre2_match_context_create_8(nil)
            else {
                preconditionFailure("no memory for a match of \(expression.pattern)")
            }
            unsafe self.match = match
            unsafe self.context = context
            unsafe stack = pcre2_jit_stack_create_8(32 << 10, Self.stackLimit, nil)
            unsafe pcre2_set_match_limit_8(context, Self.matchLimit)
            unsafe pcre2_set_heap_limit_8(context, UInt32(Self.stackLimit >> 10))
            unsafe pcre2_jit_stack_assign_8(context, nil, stack.map { unsafe UnsafeMutableRawPointer($0) })
        }

        deinit {
            unsafe pcre2_match_data_free_8(match)
            unsafe pcre2_match_context_free_8(context)
            unsafe pcre2_jit_stack_free_8(stack)
        }

        /// The first match in valid UTF-8 that begins at or after `offset`, a scalar boundary; nil if there is none.
        ///
        /// - Throws: `patternTooCostly` at the match, heap or stack limit, or when the budget is used up.
        mutating func firstMatch(in text: borrowing Span<UInt8>, from offset: Int) throws(TokenizerError) -> Range<Int>? {
            var start = offset
            while true {
                let last = min(start + Self.window, text.count)
                if let match = try firstMatch(in: text, from: start, startingUpTo: last) {
                    try account(for: match.lowerBound - start + 1)
                    return match
                }
                try account(for: Self.window)
                guard last < text.count else { return nil }
                start = last + 1
                while start < text.count, text[start] & 0xC0 == 0x80 { start += 1 }
            }
        }

        /// Counts the starts that were tried.
        private mutating func account(for starts: Int) throws(TokenizerError) {
            // Even an immediate match costs as much as some starts that fail at once.
            tried += max(starts, Self.window / 16)
            guard tried >= Self.window else { return }
            tried = 0
            guard budget.spend() else { throw .patternTooCostly(pattern: expression.pattern) }
        }

        /// Settles the budget, for the next step to go on with.
        mutating func finish() -> MatchBudget {
            _ = budget.spend()
            return budget
        }

        private mutating func firstMatch(
            in text: borrowing Span<UInt8>, from offset: Int, startingUpTo limit: Int
        ) throws(TokenizerError) -> Range<Int>? {
            unsafe pcre2_set_offset_limit_8(context, limit)
            let code = unsafe text.withUnsafeBufferPointer { text in
                unsafe pcre2_match_8(
                    expression.code, text.baseAddress ?? RegularExpression.emptyText, text.count, offset,
                    UInt32(PCRE2_NO_UTF_CHECK), match, context
                )
            }
            if code == PCRE2_ERROR_NOMATCH { return nil }
            guard code >= 0 else { throw .patternTooCostly(pattern: expression.pattern) }
            let bounds = unsafe pcre2_get_ovector_pointer_8(match)!
            let (start, end) = unsafe (bounds[0], bounds[1])
            // \K inside a lookahead can put the start behind the end.
            guard start <= end, start >= offset else { throw .patternTooCostly(pattern: expression.pattern) }
            return start..<end
        }
    }

    /// Calls `body` with every match in valid UTF-8, left to right without overlap. An empty match that touches the one before
    /// it does not count.
    func forEachMatch(
        in text: borrowing Span<UInt8>, with matcher: inout Matcher, _ body: (Range<Int>) -> Void
    ) throws(TokenizerError) {
        var offset = 0
        var previousEnd = -1
        while offset <= text.count, let match = try matcher.firstMatch(in: text, from: offset) {
            if match.isEmpty {
                if match.lowerBound != previousEnd { body(match) }
                previousEnd = match.upperBound
                guard match.upperBound < text.count else { return }
                offset = match.upperBound + lengthOfScalar(text[match.upperBound])
            } else {
                body(match)
                previousEnd = match.upperBound
                offset = match.upperBound
            }
        }
    }
}
