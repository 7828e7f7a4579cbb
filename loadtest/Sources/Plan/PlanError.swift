/// Why there is no plan: a setting or a file, what is in it and what was expected.
package struct PlanError: Error, Equatable, CustomStringConvertible {
    package let description: String

    package init(_ description: String) { self.description = description }

    /// `--setting` is `found`.
    static func setting(_ name: String, _ found: String, expected: String) -> Self {
        Self("\(name) is \(found), \(expected) was expected")
    }
}
