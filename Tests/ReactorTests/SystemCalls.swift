import Glibc

func raiseUser2() { kill(getpid(), SIGUSR2) }

func fileMode(_ path: String) -> UInt32? {
    var status = stat()
    return unsafe lstat(path, &status) == 0 ? status.st_mode : nil
}

/// Binds and listens on a Unix socket, then goes away without removing it, as a killed process does.
func abandonSocket(at path: String) {
    let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: path.utf8) }
    unsafe withUnsafeBytes(of: &address) { bytes in
        unsafe _ = bind(descriptor, bytes.baseAddress!.assumingMemoryBound(to: sockaddr.self), socklen_t(bytes.count))
    }
    listen(descriptor, 1)
    close(descriptor)
}

func makePipe() -> (reading: Int32, writing: Int32) {
    var ends: [Int32] = [-1, -1]
    precondition(unsafe pipe(&ends) == 0 && ends.allSatisfy { fcntl($0, F_SETFD, FD_CLOEXEC) == 0 }, "no pipe: error \(errno)")
    return (ends[0], ends[1])
}

func writeByte(_ descriptor: Int32) { unsafe _ = write(descriptor, "x", 1) }

func openFile(_ path: String) -> Int32 { unsafe open(path, O_RDONLY | O_CLOEXEC) }

func closeDescriptor(_ descriptor: Int32) { close(descriptor) }
