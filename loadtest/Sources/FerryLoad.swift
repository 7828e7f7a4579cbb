import ArgumentParser

/// `ferry-load`: the command's root.
@main
struct FerryLoad: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ferry-load", abstract: "Measures OpenAI-compatible inference servers.")
}
