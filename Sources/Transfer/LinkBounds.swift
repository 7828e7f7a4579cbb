internal import HTTP
package import Server

extension HTTPLinkLimits {
    /// Between processes of a fleet: few streams, much on each.
    package static var fleet: HTTPLinkLimits { HTTPLinkLimits() }
}

extension ServerLimits {
    /// The same on the listening side: `link`, and what a fleet needs beyond. Peers are of the fleet, so what they may have open and waiting is
    /// generous, and bounded all the same.
    package static var fleet: ServerLimits {
        var limits = ServerLimits.link
        // One from each peer, and while it reconnects another. Far beyond any fleet that one gateway serves.
        limits.maximumConnections = 1024
        // A stream for each sequence on its way from here to one peer. Beyond: the fetcher asks again when one has ended.
        limits.http.maximumConcurrentStreams = 1024
        // Enough to keep the link busy while the next block is copied; more would only be memory, for each transfer that is fetched.
        limits.http.highWater = 1 << 20
        limits.http.lowWater = 256 << 10
        // Peers cancel a stream with every sequence that is cancelled.
        limits.http.resetBurst = 100_000
        limits.http.resetsPerSecond = 10_000
        // Connections are made before they are needed, so the first request may come as late as any other.
        limits.headTimeout = limits.idleTimeout
        return limits
    }
}
