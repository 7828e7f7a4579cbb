internal import Inference
internal import Kernels

/// Copies pages as they are: what every other trip is measured against.
final class CopyTrip: KeyValueTrip {
    func take(_ prompt: PromptKeyValues) {
        for (from, to) in zip(prompt.from, prompt.to) {
            for layer in 0..<prompt.memory.geometry.layers {
                prompt.memory.withLayer(layer, ofPage: from) { prompt.memory.write($0, toLayer: layer, ofPage: to, at: 0) }
            }
        }
    }
}
