package import Platform

/// Which stored tensors become which operands of the kernels. The model describes it, this module carries it out.
package struct WeightPlan: Sendable, Equatable {
    /// How an operand lies in memory.
    package enum Form: UInt8, Sendable, CaseIterable {
        /// A linear map in the panel layout of the matrix kernels.
        case panels = 1
        /// Rows one after another, for look-up by row.
        case table = 2
        /// Values always widened to f32: norms and biases.
        case vector = 3
    }

    package struct Operand: Sendable, Equatable {
        package var name: String
        package var form: Form
        /// Stored tensors, in order, with the rows of each.
        package var sources: [Source]
        package var columns: Int

        /// Those of the sources, one below the other.
        package var rows: Int { sources.reduce(0) { $0 + $1.rows } }

        package init(name: String, form: Form, sources: [Source], columns: Int) {
            self.name = name
            self.form = form
            self.sources = sources
            self.columns = columns
        }
    }

    /// One stored tensor: `[rows, columns]`, or `[rows]` where the operand is a vector.
    package struct Source: Sendable, Equatable {
        package var tensor: String
        package var rows: Int

        package init(_ tensor: String, rows: Int) {
            self.tensor = tensor
            self.rows = rows
        }
    }

    package private(set) var operands: [Operand] = []

    package init() {}

    package mutating func append(_ operand: Operand) { operands.append(operand) }

    /// Names the plan: two equal plans have it in common, and practically no two others.
    package var digest: Digest {
        var text = ""
        for operand in operands {
            text += "\(operand.name) \(operand.form) \(operand.columns):"
            for source in operand.sources { text += " \(source.tensor) \(source.rows)" }
            text += "\n"
        }
        return Digest(of: text)
    }
}
