internal import Glibc

/// The process's limit of open files.
package enum FileDescriptors {
    /// Raises the soft limit to the hard one: the usual soft limit of 1024 would refuse connections long before anything else does.
    package static func raiseLimit() {
        var limit = rlimit()
        let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
        guard unsafe getrlimit(resource, &limit) == 0, limit.rlim_cur < limit.rlim_max else { return }
        limit.rlim_cur = limit.rlim_max
        unsafe _ = setrlimit(resource, &limit)
    }
}
