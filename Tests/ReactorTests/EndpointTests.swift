import Reactor
import Testing

struct EndpointTests {
    @Test(arguments: [
        ("127.0.0.1:8080", Endpoint.tcp(host: "127.0.0.1", port: 8080)),
        ("[::1]:0", .tcp(host: "::1", port: 0)),
        ("localhost:65535", .tcp(host: "localhost", port: 65535)),
        ("worker-3.internal:7000", .tcp(host: "worker-3.internal", port: 7000)),
        ("unix:/run/ferry.sock", .unix(path: "/run/ferry.sock")),
    ])
    func `an endpoint reads and writes as text`(text: String, endpoint: Endpoint) throws {
        #expect(try Endpoint(text) == endpoint)
        #expect(endpoint.description == text)
    }

    @Test(arguments: [
        "", ":", ":8080", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:+1", "127.0.0.1: 1", "::1:80",
        "[::1:80", "[example]:80", "a b:1", "a/b:1", "unix:", "unix:relative", "h:0x10", "[]:1",
        "unix:/" + String(repeating: "x", count: 107),
    ])
    func `what is no endpoint is refused with the text in the message`(text: String) {
        let error = #expect(throws: EndpointError.self) { try Endpoint(text) }
        #expect(error?.description.contains("\"\(text)\"") == true)
    }

    @Test func `only loopback addresses and Unix sockets are local`() throws {
        for local in ["127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "localhost:1", "unix:/a"] { #expect(try Endpoint(local).isLocal) }
        for other in ["0.0.0.0:1", "[::]:1", "10.0.0.1:1", "127.0.0.1.example.org:1", "example.org:1"] {
            #expect(try !Endpoint(other).isLocal)
        }
    }
}
