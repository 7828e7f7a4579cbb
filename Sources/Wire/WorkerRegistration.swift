package import Inference

/// What a worker says of itself when it joins: who it is, what it can do, and what must agree for KV to pass between it and others.
package struct WorkerRegistration: Sendable, Equatable {
    /// Of the messages between gateway and worker. Raised with every change of their bytes.
    package static let currentVersion: UInt16 = 2

    package var version = WorkerRegistration.currentVersion
    /// Stable over restarts; at most one worker of a fleet has it.
    package var name: String
    /// Of the process's life: another one under the same name has another number, and nothing of what the earlier one held.
    package var incarnation: UInt64
    package var process: Int32
    package var capabilities: WorkerRole
    package var wanted: WorkerRole
    package var hello: WorkerHello
    /// Of everything that must be equal for the bytes of KV to mean the same: weights, dtype, geometry, instruction set.
    package var keyValueFingerprint: UInt64
    package var tokenizerDigest: String
    package var pageTokens: Int
    package var pageBytes: Int
    /// Where peers fetch KV, as `Endpoint` writes it; empty where they cannot.
    package var endpoint: String

    package init(
        name: String, incarnation: UInt64, process: Int32, capabilities: WorkerRole, wanted: WorkerRole, hello: WorkerHello,
        keyValueFingerprint: UInt64, tokenizerDigest: String, pageTokens: Int, pageBytes: Int, endpoint: String
    ) {
        self.name = name
        self.incarnation = incarnation
        self.process = process
        self.capabilities = capabilities
        self.wanted = wanted
        self.hello = hello
        self.keyValueFingerprint = keyValueFingerprint
        self.tokenizerDigest = tokenizerDigest
        self.pageTokens = pageTokens
        self.pageBytes = pageBytes
        self.endpoint = endpoint
    }

    static let nameRule = "1 to \(MessageLimits.name) of a-z, 0-9, '.', '_' and '-'"

    /// True for what can be the name of a worker.
    package static func isName(_ text: some StringProtocol) -> Bool {
        (1...MessageLimits.name).contains(text.utf8.count)
            && text.utf8.allSatisfy { (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || $0 == 0x2E || $0 == 0x5F || $0 == 0x2D }
    }
}

extension MessageEncoder {
    mutating func put(_ registration: WorkerRegistration) {
        put(registration.version)
        put(worker: registration.name, "name")
        put(registration.incarnation)
        put(UInt32(bitPattern: registration.process))
        put(registration.capabilities.rawValue)
        put(registration.wanted.rawValue)
        put(registration.hello)
        put(registration.keyValueFingerprint)
        put(text: registration.tokenizerDigest, "tokenizer digest")
        put(registration.pageTokens)
        put(registration.pageBytes)
        put(text: registration.endpoint, "endpoint")
    }

    private mutating func put(_ hello: WorkerHello) {
        put(text: hello.worker, "hello.worker")
        put(text: hello.modelName, "hello.model name")
        put(text: hello.modelDigest, "hello.model digest")
        let shape = hello.shape
        for value in [
            shape.layers, shape.hidden, shape.intermediate, shape.heads, shape.keyValueHeads, shape.headDimension, shape.vocabulary,
            shape.context, hello.sequenceLimit, hello.pagesTotal,
        ] { put(value) }
        put(text: hello.instructionSet, "hello.instruction set")
        put(text: hello.dtype, "hello.dtype")
    }

    mutating func put(_ address: WorkerAddress) {
        put(worker: address.worker, "peer.worker")
        put(address.incarnation)
        put(text: address.endpoint, "peer.endpoint")
    }

    mutating func put(_ addresses: [WorkerAddress]) {
        put(count: addresses.count)
        for address in addresses { put(address) }
    }
}

extension MessageDecoder {
    mutating func registration() throws(MessageError) -> WorkerRegistration {
        let (version, expected) = (try unsigned("version", UInt16.self), WorkerRegistration.currentVersion)
        guard version == expected else { throw .version(found: version, expected: expected) }
        return WorkerRegistration(
            name: try worker("name"), incarnation: try unsigned("incarnation"), process: Int32(bitPattern: try unsigned("process")),
            capabilities: try roles("capabilities"), wanted: try roles("wanted roles"), hello: try hello(),
            keyValueFingerprint: try unsigned("fingerprint"), tokenizerDigest: try text("tokenizer digest"),
            pageTokens: try natural("page tokens"), pageBytes: try natural("page bytes"), endpoint: try text("endpoint"))
    }

    private mutating func hello() throws(MessageError) -> WorkerHello {
        let (worker, name, digest) = (try text("hello.worker"), try text("hello.model name"), try text("hello.model digest"))
        let shape = ModelShape(
            layers: try natural("shape.layers"), hidden: try natural("shape.hidden"), intermediate: try natural("shape.intermediate"),
            heads: try natural("shape.heads"), keyValueHeads: try natural("shape.KV heads"),
            headDimension: try natural("shape.head dimension"), vocabulary: try natural("shape.vocabulary"),
            context: try natural("shape.context"))
        return WorkerHello(
            worker: worker, modelName: name, modelDigest: digest, shape: shape, sequenceLimit: try natural("hello.sequence limit"),
            pagesTotal: try natural("hello.pages"), instructionSet: try text("hello.instruction set"), dtype: try text("hello.dtype"))
    }

    mutating func address() throws(MessageError) -> WorkerAddress {
        WorkerAddress(worker: try worker("peer.worker"), incarnation: try unsigned("peer.incarnation"), endpoint: try text("peer.endpoint"))
    }

    /// Each takes two lengths, a name of a byte, and the incarnation.
    mutating func addresses(_ what: StaticString) throws(MessageError) -> [WorkerAddress] {
        try list(what, each: 17) { (decoder) throws(MessageError) in try decoder.address() }
    }
}
