/// Bounds on one template: on its text when it is parsed, on its work each time it is rendered.
///
/// A template is a program that strangers may have written, and its input is what clients sent. A step is one evaluated
/// node, one element made or compared, 64 bytes of text made or scanned, or 4 bytes of text walked by character; dearer
/// operations pay more. So the step budget bounds time and memory at once.
/// At every bound the template fails with `TemplateError.exceeded`; nothing is cut off silently.
package struct TemplateLimits: Sendable, Equatable {
    /// UTF-8 bytes of a template's text. The largest published chat templates have about 20 kB.
    package var sourceBytes: Int
    /// Statements and expressions inside one another.
    package var nesting: Int
    /// Work of one rendering. 1,000 messages of 2 kB take fewer than 400,000 in the costliest of the common templates.
    ///
    /// A million took 0.1 to 0.2 s in plain loops and output, and 1.3 s in the costliest of 119 templates written to be costly
    /// (`groupby` over equal elements), on one core of a shared 2-core AMD EPYC 7003.
    package var steps: Int
    /// UTF-8 bytes of the rendered text, and of any text made on the way to it.
    package var outputBytes: Int
    /// Evaluations inside one another while rendering, macros included: bounds the use of the thread's stack,
    /// which is below 1 MiB at the default in release builds.
    package var evaluationDepth: Int
    /// Lists and objects inside one another, in the input and in what the template builds.
    package var valueDepth: Int
    /// Elements of one `range()`.
    package var rangeLength: Int

    package init(
        sourceBytes: Int = 1 << 20, nesting: Int = 100, steps: Int = 1_000_000, outputBytes: Int = 16 << 20,
        evaluationDepth: Int = 250, valueDepth: Int = 100, rangeLength: Int = 100_000
    ) {
        self.sourceBytes = sourceBytes
        self.nesting = nesting
        self.steps = steps
        self.outputBytes = outputBytes
        self.evaluationDepth = evaluationDepth
        self.valueDepth = valueDepth
        self.rangeLength = rangeLength
    }
}
