internal import Platform
internal import Server
package import Wire

/// What operators see of the requests in work, and their cancelling one.
extension Gateway: RequestOperations {
    package nonisolated var openRequests: [RequestStatus] { assumeIsolated { $0.list() } }

    package nonisolated func cancelRequest(_ id: String) -> Bool { assumeIsolated { $0.cancelNamed(id) } }

    private func list() -> [RequestStatus] {
        let now = clock.now
        return requests.values.sorted { $0.number < $1.number }.map { request in
            let state = request.isOver ? "closing" : request.stream == nil ? "preparing" : request.firstToken == nil ? "waiting" : "streaming"
            let usage = request.stream?.usage ?? Usage()
            return RequestStatus(
                id: request.id, route: request.route.name, age: now.since(request.arrived), timeLeft: request.deadline.since(now), state: state,
                promptTokens: usage.promptTokens, generatedTokens: usage.completionTokens, choices: request.stream?.choices.count ?? 0,
                bufferedBytes: request.exchange.bufferedBytes)
        }
    }

    private func cancelNamed(_ id: String) -> Bool {
        guard let request = requests.values.first(where: { $0.id == id && !$0.isOver }) else { return false }
        fail(request, APIError(.requestCancelled, "the request was cancelled by an operator", retryAfter: .seconds(1)))
        sendCommands()
        publish()
        return true
    }
}
