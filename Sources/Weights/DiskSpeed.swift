internal import Platform

/// How fast a disk gives bytes that are not in memory, and the memory of it: measuring reads some tens of megabytes.
package struct DiskSpeed: Sendable, Equatable {
    package var device: UInt64
    package var bytesPerSecond: Double
    /// Nanoseconds since 1970.
    package var measured: Int64

    package init(device: UInt64, bytesPerSecond: Double, measured: Int64) {
        self.device = device
        self.bytesPerSecond = bytesPerSecond
        self.measured = measured
    }

    /// What was measured longer ago is measured again.
    package static let mostAge: Duration = .seconds(86_400)
    /// Bytes that are read to measure, and the least that say something.
    private static let sampleBytes = 64 << 20
    private static let leastBytes = 8 << 20
    private static let pieceBytes = 4 << 20
    /// A slow disk has shown enough by then.
    private static let mostTime: Duration = .milliseconds(500)

    /// The speed for `file`, which is on `device`: remembered in `folder`, or measured now; nil where nothing could be measured.
    static func of(_ file: MappedFile, on device: UInt64, rememberedIn folder: CacheFolder?, clock: any MonotonicClock, now: Int64) -> Double? {
        let memory = folder.map { "\($0.path)/stamps/disk-\(device).json" }
        if let memory, let known = recall(memory), known.device == device, known.isFresh(now: now) { return known.bytesPerSecond }
        guard let speed = measure(file, clock: clock) else { return nil }
        // A memory that cannot be written is measured again at the next start.
        if let memory { try? DiskSpeed(device: device, bytesPerSecond: speed, measured: now).remember(at: memory) }
        return speed
    }

    /// Not when the clock was set back either.
    func isFresh(now: Int64) -> Bool { now >= measured && now - measured < Self.mostAge.inNanoseconds }

    /// Reads pieces that are not in memory, as loading does: asked for ahead of being touched.
    private static func measure(_ file: MappedFile, clock: any MonotonicClock) -> Double? {
        var pieces = coldPieces(of: file)
        if pieces.reduce(0, { $0 + $1.cold }) < leastBytes {
            file.forget(0..<min(file.count, sampleBytes))
            pieces = coldPieces(of: file)
        }
        guard pieces.reduce(0, { $0 + $1.cold }) >= leastBytes else { return nil }
        let ahead = ReadAhead(ReadAheadPlan(pieces.map { [.init(file: 0, range: $0.range)] }, window: sampleBytes), of: [file])
        let start = clock.now
        var (bytes, spent) = (0, Duration.zero)
        for (index, piece) in pieces.enumerated() where bytes < leastBytes || spent < mostTime {
            ahead.begin(index)
            guard file.touch(piece.range) else { return nil }
            bytes += piece.cold
            spent = clock.now.since(start)
        }
        return spent > .zero ? Double(bytes) / spent.inSeconds : nil
    }

    /// The first pieces that are for the most part not in memory.
    private static func coldPieces(of file: MappedFile) -> [(range: Range<Int>, cold: Int)] {
        var (pieces, bytes): ([(Range<Int>, Int)], Int) = ([], 0)
        for start in stride(from: 0, to: file.count, by: pieceBytes) where bytes < sampleBytes {
            let range = start..<min(file.count, start + pieceBytes)
            let cold = file.coldBytes(range)
            guard cold * 2 > range.count else { continue }
            pieces.append((range, cold))
            bytes += cold
        }
        return pieces
    }

    // MARK: Memory

    private static let version = 1

    private static func recall(_ path: String) -> DiskSpeed? {
        guard FileStamp.isReadable(path), let mapping = try? MappedFile(path: path) else { return nil }
        return DiskSpeed(parsing: mapping.bytes)
    }

    /// Nil for anything that is not exactly what `text` gives. Never traps, whatever the bytes.
    package init?(parsing bytes: RawSpan) {
        guard let root = try? JSON(parsing: Span<UInt8>(_bytes: bytes)), root["version"]?.integer == Self.version,
            let device = root["device"]?.string.flatMap({ UInt64($0) }), let speed = root["bytes_per_second"]?.integer, speed > 0,
            let measured = root["measured_ns"]?.integer
        else { return nil }
        self.init(device: device, bytesPerSecond: Double(speed), measured: Int64(measured))
    }

    package var text: String {
        JSON.object(
            JSONObject([
                ("version", .integer(Int64(Self.version))), ("device", .string(String(device))),
                ("bytes_per_second", .integer(Int64(max(1, min(bytesPerSecond, 1e15))))), ("measured_ns", .integer(measured)),
            ])
        ).text
    }

    private func remember(at path: String) throws(FileError) {
        let bytes = Array(text.utf8)
        try Folder.create(Folder.parent(of: path))
        var draft = try FileDraft(path: path, bytes: bytes.count)
        draft.replace(at: 0, with: bytes.rawSpan)
        try draft.commit()
    }
}
