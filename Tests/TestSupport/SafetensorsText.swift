/// Makes safetensors files for tests.
package struct SafetensorsText {
    private var members: [String] = []
    private var data: [UInt8] = []

    package init() {}

    package mutating func append(_ name: String, type: String, shape: [Int], bytes: [UInt8]) {
        members.append(
            "\"\(name)\":{\"dtype\":\"\(type)\",\"shape\":\(shape),\"data_offsets\":[\(data.count),\(data.count + bytes.count)]}")
        data += bytes
    }

    package mutating func append(_ name: String, shape: [Int], f32 values: [Float]) {
        append(name, type: "F32", shape: shape, bytes: values.flatMap { Self.bytes($0.bitPattern) })
    }

    /// Values are cut, not rounded: give values that bf16 holds.
    package mutating func append(_ name: String, shape: [Int], bf16 values: [Float]) {
        append(name, type: "BF16", shape: shape, bytes: values.flatMap { Self.bytes(UInt16($0.bitPattern >> 16)) })
    }

    package var bytes: [UInt8] {
        Self.file(header: "{\"__metadata__\":{\"format\":\"pt\"}," + members.joined(separator: ",") + "}", data: data)
    }

    /// A file of any header text and data.
    package static func file(header: String, data: [UInt8]) -> [UInt8] {
        bytes(UInt64(header.utf8.count)) + Array(header.utf8) + data
    }

    package static func bytes(_ value: some FixedWidthInteger) -> [UInt8] {
        stride(from: 0, to: value.bitWidth, by: 8).map { UInt8(truncatingIfNeeded: value >> $0) }
    }
}
