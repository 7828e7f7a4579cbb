internal import ArgumentParser
internal import Kernels
internal import Platform

struct ServeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve", abstract: "Serve a model over the OpenAI API: a gateway and its workers.",
        discussion: """
            Examples:
              ferry serve
              ferry serve --model ~/models/Qwen2.5-0.5B-Instruct --listen 127.0.0.1:8000
              ferry serve --config configs/local.yaml --set engine.threads=4 --set gateway.max_sequences=64
              ferry serve --config configs/colocated.yaml     one worker that prefills and decodes
              ferry serve --set fleet.workers=prefill,prefill,decode --set fleet.listen=127.0.0.1:9191

            The gateway starts the workers that fleet.workers names and starts them again when they end; others join with `ferry worker`.
            Settings come from --set and flags, then the environment (FERRY_ENGINE_THREADS=4), then the file, then defaults.
            SIGTERM and Ctrl-C drain: streams finish within shutdown.drain seconds, new work is refused. A second one ends them at once.
            10 seconds after the time to drain the process ends in any case, with exit code 1 if something in it hangs.
            """)

    @Option(name: .long, help: "YAML file with settings; configs/local.yaml shows every key.") var config: String?
    @Option(name: .long, help: "Hugging Face model directory (model.path).") var model: String?
    @Option(name: .long, help: "Form of the weights: auto, \(WeightForm.names) (model.weights).") var weights: String?
    @Option(name: .long, help: "Addresses of the API, separated by commas (gateway.listen).") var listen: String?
    @Option(name: .long, help: "Addresses of health and metrics (admin.listen).") var admin: String?
    @Option(name: .long, help: ArgumentHelp("One setting; may be repeated.", valueName: "key=value")) var set: [String] = []
    @Flag(name: .long, help: "Print the effective settings with their origins and exit.") var printConfig = false

    func run() async throws {
        var settings = try Settings(file: config, environment: Environment.variables, overrides: set)
        if let model { try settings.set("model.path", to: model, origin: "--model") }
        if let weights { try settings.set("model.weights", to: weights, origin: "--weights") }
        if let listen { try settings.set("gateway.listen", to: listen, origin: "--listen") }
        if let admin { try settings.set("admin.listen", to: admin, origin: "--admin") }
        if printConfig { return try StandardOutput.write(settings.description + "\n") }
        try await Daemon(settings: settings).run()
    }
}
