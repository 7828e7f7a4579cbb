internal import Platform

/// The entry point for hostile bodies: every decoder of the gateway reads `body` and either returns or throws.
package enum RequestFuzzing {
    package static func run(_ body: [UInt8]) {
        let limits = RequestLimits(vocabulary: 1000)
        _ = try? ChatRequest(body: body.span, limits: limits)
        _ = try? CompletionRequest(body: body.span, limits: limits)
        _ = try? TokenizeRequest(body: body.span, limits: limits)
        _ = try? DetokenizeRequest(body: body.span, limits: limits)
    }
}
