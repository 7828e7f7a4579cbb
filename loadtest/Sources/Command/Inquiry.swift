internal import HTTP
internal import Platform
internal import Reactor

/// What is asked of a server before a run.
struct Inquiry {
    let settings: DriveSettings
    let reactor: Reactor

    /// - Throws: `LoadFailure` when there is no answer.
    private func ask(_ method: String, _ path: String, _ body: [UInt8] = []) async throws -> ErrandAnswer {
        let settings = settings, reactor = reactor
        let result: Result<ErrandAnswer, DialFailure> = await withCheckedContinuation { continuation in
            reactor.submit {
                let dialer = Dialer(target: settings.target, version: settings.version, tls: settings.tls, clock: SystemClock(), reactor: reactor)
                var headers = settings.headers
                if !body.isEmpty { headers.set("content-type", "application/json") }
                let request = OutgoingRequest(method: method, target: settings.target.path(path), headers: headers, body: body)
                let holder = ErrandHolder()
                holder.errand = Errand(request, by: dialer) {
                    holder.errand = nil
                    continuation.resume(returning: $0)
                }
            }
        }
        switch result {
        case .success(let answer): return answer
        case .failure(let failure): throw LoadFailure("\(settings.target): \(failure.reason)")
        }
    }

    /// The first model of the server's list.
    func model() async throws -> String {
        let answer = try await ask("GET", "/v1/models")
        guard answer.status == 200, let name = (try? JSON(parsing: answer.body))?["data"]?.array?.first?["id"]?.string else {
            throw LoadFailure("\(settings.target) does not tell its models (status \(answer.status)); name one with --model")
        }
        return name
    }

    /// Tokens per word of generated text, from `/tokenize`; nil where the server has none.
    func tokensPerWord(model: String) async -> Double? {
        let words = 256
        var writer = PromptWriter(.text, tokensPerWord: 1)
        var draw = Draw(seed: 0, .text, 0)
        writer.append(words, &draw)
        guard case .text(let text) = writer.finish() else { return nil }
        let body: JSON = ["model": .string(model), "prompt": .string(text), "add_special_tokens": false]
        guard let answer = try? await ask("POST", "/tokenize", Array(body.text.utf8)), answer.status == 200,
            let json = try? JSON(parsing: answer.body), let count = json["count"]?.integer ?? json["tokens"]?.array?.count, count > 0
        else { return nil }
        return Double(count) / Double(words)
    }
}

/// Holds an errand until it is done.
private final class ErrandHolder {
    var errand: Errand?
}
