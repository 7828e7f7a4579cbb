import Testing

@testable import Gateway

@Suite struct TraceContextTests {
    private let id = "4bf92f3577b34da6a3ce929d0e0e4736"

    @Test("a client's trace is taken over")
    func taken() {
        #expect(TraceContext("00-\(id)-00f067aa0ba902b7-01")?.traceID == id)
        // A later version may have more.
        #expect(TraceContext("01-\(id)-00f067aa0ba902b7-01-what-ever")?.traceID == id)
    }

    @Test("what is malformed is no trace")
    func malformed() {
        for text in [
            "", "00", "00-\(id)-00f067aa0ba902b7", "00-\(id)-00f067aa0ba902b7-01-x", "ff-\(id)-00f067aa0ba902b7-01",
            "00-\(id.uppercased())-00f067aa0ba902b7-01", "00-\(String(repeating: "0", count: 32))-00f067aa0ba902b7-01",
            "00-\(id)-0000000000000000-01", "00-\(id)0-00f067aa0ba902b7-01",
        ] { #expect(TraceContext(text) == nil, "\(text)") }
        #expect(TraceContext(nil) == nil)
    }
}
