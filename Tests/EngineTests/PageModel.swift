import Engine
import Inference
import Kernels
import Platform
import Scheduling

/// A stand-in for the model that keeps what it knows of the past in the pages alone, so that a page that is lost, damaged or another's
/// changes every later token.
final class PageModel: StepModel {
    static let geometry = KeyValueGeometry(layers: 3, heads: 2, dimension: 8, type: .f32)
    private static let slot = geometry.layerBytes / Page.tokens
    private let memory: KeyValueMemory

    init(memory: KeyValueMemory) { self.memory = memory }

    func run(_ plan: StepPlan, layerDone: (Int) -> Void) -> [SampleOutcome?] {
        for page in plan.freshPages { memory.zero(page: page) }
        for layer in 0..<Self.geometry.layers {
            for segment in plan.segments {
                for (offset, row) in segment.rows.enumerated() {
                    let position = segment.position + offset
                    let word = Self.word(plan.tokens[row], position: position, layer: layer)
                    let words = [word, ~word]
                    memory.write(
                        unsafe words.span.bytes, toLayer: layer, ofPage: segment.pages[position / Page.tokens],
                        at: position % Page.tokens * Self.slot)
                }
            }
            layerDone(layer)
        }
        return plan.segments.map { segment in
            guard segment.samples else { return nil }
            let count = segment.position + segment.rows.count
            var words: [UInt64] = []
            for layer in 0..<Self.geometry.layers {
                for position in 0..<count { words.append(self.word(segment.pages[position / Page.tokens], layer, position)) }
            }
            return .token(Self.token(words), logprob: nil, alternatives: [])
        }
    }

    private func word(_ page: PageIndex, _ layer: Int, _ position: Int) -> UInt64 {
        memory.withLayer(layer, ofPage: page) { bytes in
            var reader = ByteReader(bytes.extracting((position % Page.tokens * Self.slot)..<(position % Page.tokens * Self.slot + 8)))
            return (try? reader.read(UInt64.self)) ?? 0
        }
    }

    private static func word(_ token: TokenID, position: Int, layer: Int) -> UInt64 {
        Digest(of: [Int64(token), Int64(position), Int64(layer)].span).low
    }

    private static func token(_ words: [UInt64]) -> TokenID { TokenID(Digest(of: words.span).low & 0xFFFF) }

    /// What the model says after `prompt`, if nothing goes wrong.
    static func answer(to prompt: [TokenID], count: Int) -> [TokenID] {
        var all = prompt
        for _ in 0..<count {
            let words = (0..<geometry.layers).flatMap { layer in
                all.enumerated().map { Self.word($0.element, position: $0.offset, layer: layer) }
            }
            all.append(token(words))
        }
        return Array(all[prompt.count...])
    }
}
