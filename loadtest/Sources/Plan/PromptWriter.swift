/// What a prompt is sent as.
package enum PromptForm: Sendable, Equatable {
    case text
    /// Token ids drawn from the range, which should hold none of the model's special tokens.
    case tokens(ClosedRange<Int32>)
    case chat
}

/// Makes prompts of about so many tokens: common English words, or token ids.
struct PromptWriter: Sendable, Equatable {
    let form: PromptForm
    /// Tokens that the server makes of one of the words below.
    let tokensPerWord: Double

    private(set) var text: [UInt8] = []
    private(set) var ids: [Int32] = []

    init(_ form: PromptForm, tokensPerWord: Double) {
        self.form = form
        self.tokensPerWord = tokensPerWord
    }

    /// Adds `tokens` tokens. What is added starts at a word's beginning, so that equal pieces after equal pieces are equal tokens.
    mutating func append(_ tokens: Int, _ draw: inout Draw) {
        if case .tokens(let range) = form {
            ids.reserveCapacity(ids.count + tokens)
            for _ in 0..<tokens { ids.append(Int32(draw.integer(in: Int(range.lowerBound)...Int(range.upperBound)))) }
            return
        }
        var left = tokens == 0 ? 0 : max(1, Int((Double(tokens) / tokensPerWord).rounded()))
        text.reserveCapacity(text.count + 6 * left)
        while left > 0 {
            var bits = draw.next()
            for _ in 0..<min(7, left) {
                if !text.isEmpty { text.append(UInt8(ascii: " ")) }
                text.append(contentsOf: Self.words[Int(bits & 511)])
                bits >>= 9
            }
            left -= min(7, left)
        }
    }

    /// What was added since the last call.
    mutating func finish() -> Prompt {
        defer {
            text.removeAll(keepingCapacity: true)
            ids = []
        }
        return switch form {
        case .tokens: .tokens(ids)
        case .text: .text(String(decoding: text, as: UTF8.self))
        case .chat: .chat([ChatMessage(role: "user", text: String(decoding: text, as: UTF8.self))])
        }
    }

    /// 512 common words, each of which is one token, with the space before it, for the tokenizers of GPT-2, Falcon, Phi-3, Qwen2.5 and
    /// SmolLM.
    private static let words: [[UInt8]] = """
        time year people way day man thing woman life child world school state family student group country problem hand part place case
        week company system program question work government number night point home water room mother area money story fact month lot
        right study book eye job word business issue side kind head house service friend father power hour game line end member law car
        city community name president team minute idea kid body information back parent face others level office door health person art
        war history party result change morning reason research girl moment air teacher force education foot boy age policy process
        music market sense nation plan college interest death experience effect use class control care field development role effort
        rate heart drug show leader light voice wife police mind price report decision son view relationship town road arm difference
        value building action season society tax director position player record paper space ground form event official matter center
        couple site project activity star table need court oil situation cost industry figure street image phone data picture practice
        piece land product doctor wall patient worker news test movie north love support technology step baby computer type attention
        film source stage hair window culture chance brother energy period course summer plant opportunity term letter condition choice
        rule south floor campaign material population call economy hospital church risk fire future bank sport board author amount
        century evidence glass answer model river garden winter spring mountain ocean island forest animal bird fish horse dog cat tree
        flower grass stone metal gold silver wood bread milk sugar salt coffee tea wine fruit apple orange green blue red black white
        yellow brown small large great high long little own old big young early important few public bad same able good new first last
        next best better free full special easy clear recent certain personal open difficult available likely short single medical
        current wrong private past foreign fine common poor natural significant similar hot dead central happy serious ready simple left
        physical general environmental financial political international national human local late hard major economic strong possible
        whole real different social only other such some any each every both many much more most several enough make know take see come
        think look want give find tell ask seem feel try leave keep let begin help talk turn start might play run move like live believe
        hold bring happen write provide sit stand lose pay meet include continue set learn lead understand watch follow stop create
        speak read allow add spend grow walk win offer remember consider appear buy wait serve die send expect build stay fall cut reach
        kill remain suggest raise pass sell require decide pull return explain hope develop carry break receive agree hit produce eat
        cover catch draw choose cause listen realize close involve increase fly drive sleep sing dance cook clean paint measure count
        compare describe discuss prepare protect prove reduce reflect relate repeat replace represent save search share shout smile
        solve sound teach thank throw touch travel visit vote warn wear wish wonder
        """.split { $0 == " " || $0 == "\n" }.map { Array($0.utf8) }
}
