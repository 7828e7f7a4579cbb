struct Daemon {
    let settings: Settings
    func run() async throws {}
}
