/// The fuzz entry point of the JSON parser: reads anything, and what it accepts must survive being written and read again.
package enum JSONFuzz {
    package static func parse(_ bytes: [UInt8]) {
        guard let value = try? JSON(parsing: bytes) else { return }
        guard let again = try? JSON(parsing: value.text) else {
            preconditionFailure("what was written cannot be read: \(value.text)")
        }
        precondition(again == value, "written and read again, \(value.text) changed")
    }
}
