extension MappedFile {
    /// All of the file's bytes in memory of their own, for small files that are parsed once.
    package func copiedBytes() -> [UInt8] {
        unsafe bytes.withUnsafeBytes { source in unsafe [UInt8](source) }
    }
}
