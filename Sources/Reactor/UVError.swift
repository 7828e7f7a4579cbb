internal import CLibUV

/// A failed call of the event loop's library, under the name the system's documentation uses ("ECONNRESET").
package struct UVError: Error, Equatable, CustomStringConvertible {
    /// A libuv error number (negative errno on Linux). The named ones are those the code above decides on.
    package struct Code: RawRepresentable, Hashable, Sendable {
        package let rawValue: Int32
        package init(rawValue: Int32) { self.rawValue = rawValue }

        package static let connectionReset = Code(rawValue: UV_ECONNRESET.rawValue)
        package static let connectionRefused = Code(rawValue: UV_ECONNREFUSED.rawValue)
        package static let brokenPipe = Code(rawValue: UV_EPIPE.rawValue)
        package static let addressInUse = Code(rawValue: UV_EADDRINUSE.rawValue)
        package static let nameTooLong = Code(rawValue: UV_ENAMETOOLONG.rawValue)
        package static let invalid = Code(rawValue: UV_EINVAL.rawValue)
        package static let canceled = Code(rawValue: UV_ECANCELED.rawValue)
        package static let noEntry = Code(rawValue: UV_ENOENT.rawValue)

        /// The C name, for example "EADDRINUSE".
        package var name: String { unsafe describe(rawValue, with: { unsafe uv_err_name_r($0, $1, $2) }) }
        /// The C description, for example "address already in use".
        package var reason: String { unsafe describe(rawValue, with: { unsafe uv_strerror_r($0, $1, $2) }) }
    }

    package let code: Code
    /// What was tried and with what, as the middle of a sentence: "listen on 127.0.0.1:80".
    package let attempt: String

    package init(_ code: Code, attempt: String) {
        self.code = code
        self.attempt = attempt
    }

    init(_ status: Int32, _ attempt: String) { self.init(Code(rawValue: status), attempt: attempt) }

    package var description: String { "cannot \(attempt): \(code.name) (\(code.reason))" }
}

/// Calls a libuv text function of the `_r` kind: the plain ones leak memory on unknown numbers.
private func describe(
    _ status: Int32, with text: (Int32, UnsafeMutablePointer<CChar>?, Int) -> UnsafeMutablePointer<CChar>?
) -> String {
    unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: 128) { buffer in
        unsafe buffer.initialize(repeating: 0)
        unsafe _ = text(status, buffer.baseAddress, buffer.count)
        return unsafe String(cString: buffer.baseAddress!)
    }
}

/// Throws what a libuv call returned, if it is an error.
func check(_ status: Int32, _ attempt: @autoclosure () -> String) throws(UVError) {
    guard status >= 0 else { throw UVError(status, attempt()) }
}
