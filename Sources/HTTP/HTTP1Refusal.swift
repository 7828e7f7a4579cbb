/// A request that will not be served: the status that says so, and the reason in words. The connection closes after it.
struct HTTP1Refusal: Error, Equatable {
    let status: Int
    let reason: String

    init(_ status: Int, _ reason: String) {
        self.status = status
        self.reason = reason
    }
}
