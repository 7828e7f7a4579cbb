internal import CLibUV
internal import COpenSSL

/// The C libraries under the reactor, as found at run time.
package enum LibraryVersions {
    package static var libuv: String { unsafe String(cString: uv_version_string()) }
    package static var openssl: String { unsafe String(cString: OpenSSL_version(OPENSSL_VERSION)) }

    /// What is wrong with the libraries this process was started with, one sentence each: a library older than the header it was
    /// compiled against may lack calls or lay out its structures differently.
    package static func complaints() -> [String] {
        var complaints: [String] = []
        if uv_version() < clibuv_compiled_version() {
            let compiled = String(clibuv_compiled_version(), radix: 16)
            complaints.append("libuv \(libuv) is older than the one this program was compiled with (0x\(compiled))")
        }
        if OpenSSL_version_num() < copenssl_compiled_version() {
            let compiled = String(copenssl_compiled_version(), radix: 16)
            complaints.append("\(openssl) is older than the one this program was compiled with (0x\(compiled))")
        }
        return complaints
    }
}
