internal import Foundation
internal import Platform
internal import Weights

/// The figures of a model's tensors, as a table for people and JSON for scripts.
struct InspectionReport {
    private let figures: [TensorFigures]
    private let bytes: Int
    private let codedBytes: Int
    private let entropyBytes: Double

    init(_ figures: [TensorFigures]) {
        self.figures = figures
        bytes = figures.reduce(0) { $0 + $1.bytes }
        codedBytes = figures.reduce(0) { $0 + $1.codedBytes }
        entropyBytes = figures.reduce(0) { $0 + $1.entropyBytes }
    }

    private var ratio: Double { TensorFigures.ratio(bytes, Double(codedBytes)) }
    private var entropyRatio: Double { TensorFigures.ratio(bytes, entropyBytes) }

    var table: String {
        let shapes = figures.map { "[" + $0.shape.map(String.init).joined(separator: ", ") + "]" }
        let names = figures.map(\.name)
        let (nameWidth, shapeWidth) = (Self.width(names + ["tensor"]), Self.width(shapes + ["shape"]))
        func line(_ name: String, _ type: String, _ shape: String, _ codec: String, _ numbers: String) -> String {
            Self.padded(name, nameWidth) + Self.padded(type, 9) + Self.padded(shape, shapeWidth) + Self.padded(codec, 9) + numbers
        }
        var lines = [line("tensor", "dtype", "shape", "codec", "bits/weight    ratio    bound")]
        for (row, shape) in zip(figures, shapes) {
            let numbers = String(format: "%11.3f%9.3f%9.3f", row.bitsPerWeight, row.ratio, row.entropyRatio)
            lines.append(line(row.name, row.type.description, shape, row.codec, numbers))
        }
        lines += ["", String(
            format: "%d tensors, %@ in %@, ratio %.4f, bound %.4f", figures.count, ConversionReport.megabytes(bytes),
            ConversionReport.megabytes(codedBytes), ratio, entropyRatio)]
        return lines.joined(separator: "\n")
    }

    private static func width(_ texts: [String]) -> Int { (texts.map(\.count).max() ?? 0) + 2 }

    private static func padded(_ text: String, _ width: Int) -> String { text.padding(toLength: width, withPad: " ", startingAt: 0) }

    var json: String {
        var writer = JSONWriter(capacity: 256 * figures.count)
        writer.beginObject()
        writer.key("tensors")
        writer.beginArray()
        for row in figures {
            writer.beginObject()
            writer.field("name", row.name)
            writer.field("dtype", row.type.description)
            writer.field("shape", .array(row.shape.map { .integer(Int64($0)) }))
            writer.field("codec", row.codec)
            writer.field("bits_per_weight", row.bitsPerWeight)
            writer.field("ratio", row.ratio)
            writer.field("entropy_ratio", row.entropyRatio)
            writer.field("bytes", row.bytes)
            writer.field("coded_bytes", row.codedBytes)
            writer.endObject()
        }
        writer.endArray()
        writer.key("total")
        writer.beginObject()
        writer.field("bytes", bytes)
        writer.field("coded_bytes", codedBytes)
        writer.field("ratio", ratio)
        writer.field("entropy_ratio", entropyRatio)
        writer.endObject()
        writer.endObject()
        return String(decoding: writer.bytes, as: UTF8.self)
    }
}
