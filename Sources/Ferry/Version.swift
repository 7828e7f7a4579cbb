/// What this build is.
enum Version {
    static let text = "ferry 0.1.0"
}
