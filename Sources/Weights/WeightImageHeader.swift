package import Kernels
package import Platform

/// The directory at the front of a weight image: what lies where, for whom it was made, and a digest of every part.
///
/// All numbers little-endian:
///
///     0   8  magic "FerryWgt"
///     8   4  format version            12  4  weight form (1 bf16, 2 f32, 3 int8, 4 int8g32, 5 enec)
///     16  8  bytes of this header      24  8  bytes of the image
///     32  16 digest of the source      48  16 digest of the plan
///     64  4  layout version of panels  68  4  number of entries
///     72     entries: 2 name length, name, 1 form, 1 weight form, 8 rows, 8 columns, 8 offset, 8 bytes, 16 digest
///            16 digest of all header bytes before it
///
/// The digest of a part is that of its pieces (`ThreadTeam.digest(ofPiecesOf:)`).
/// Parts follow in the order of their entries, each on a multiple of 4096 bytes, zeroes between.
package struct WeightImageHeader: Sendable, Equatable {
    package struct Entry: Sendable, Equatable {
        package var name: String
        package var form: WeightPlan.Form
        package var element: WeightForm
        package var rows: Int
        package var columns: Int
        package var range: Range<Int>
        package var digest: Digest
    }

    /// What an image must match to be used.
    package struct Key: Sendable, Hashable {
        /// Content of the source files.
        package var source: Digest
        package var plan: Digest
        package var weights: WeightForm
        /// Arrangement of elements inside panels.
        package var layout: UInt32

        package init(source: Digest, plan: Digest, weights: WeightForm, layout: UInt32) {
            self.source = source
            self.plan = plan
            self.weights = weights
            self.layout = layout
        }
    }

    package var key: Key
    package var imageBytes: Int
    package var entries: [Entry]

    package static let formatVersion: UInt32 = 2
    package static let alignment = 4096
    /// Beyond: refused.
    package static let largestHeader = 64 << 20
    private static let magic: UInt64 = 0x7467_5779_7272_6546  // "FerryWgt"
    private static let fixedBytes = 72
    private static let digestBytes = 16
    /// Of an entry, without its name.
    private static let entryBytes = 2 + 1 + 1 + 8 * 4 + digestBytes

    package init(key: Key, imageBytes: Int, entries: [Entry]) {
        self.key = key
        self.imageBytes = imageBytes
        self.entries = entries
    }

    /// Places the operands of `plan` one after another. Digests are still zero.
    /// `parts` says for each operand how its elements are kept and how many bytes that takes.
    init(placing plan: WeightPlan, key: Key, parts: [(element: WeightForm, bytes: Int)]) {
        precondition(parts.count == plan.operands.count, "\(parts.count) parts of \(plan.operands.count) operands")
        let nameBytes = plan.operands.reduce(0) { $0 + $1.name.utf8.count }
        var end = Self.fixedBytes + plan.operands.count * Self.entryBytes + nameBytes + Self.digestBytes
        var entries: [Entry] = []
        entries.reserveCapacity(plan.operands.count)
        for (operand, part) in zip(plan.operands, parts) {
            let start = Self.aligned(end)
            end = start + part.bytes
            entries.append(
                Entry(
                    name: operand.name, form: operand.form, element: part.element,
                    rows: operand.rows, columns: operand.columns, range: start..<end, digest: Digest(high: 0, low: 0)))
        }
        self.init(key: key, imageBytes: Self.aligned(end), entries: entries)
    }

    private static func aligned(_ offset: Int) -> Int { (offset + alignment - 1) / alignment * alignment }

    /// Whether its parts are the operands of `plan` as its weight form keeps them.
    func holds(_ plan: WeightPlan) -> Bool {
        entries.count == plan.operands.count
            && zip(entries, plan.operands).allSatisfy { entry, operand in
                entry.name == operand.name && entry.form == operand.form && entry.rows == operand.rows && entry.columns == operand.columns
                    && WeightBuilder.mayKeep(operand, as: entry.element, bytes: entry.range.count, in: key.weights)
            }
    }

    package func encoded() -> [UInt8] {
        var bytes: [UInt8] = []
        func put(_ value: some FixedWidthInteger) {
            for shift in stride(from: 0, to: value.bitWidth, by: 8) { bytes.append(UInt8(truncatingIfNeeded: value >> shift)) }
        }
        func put(_ digest: Digest) {
            put(digest.low)
            put(digest.high)
        }
        let nameBytes = entries.reduce(0) { $0 + $1.name.utf8.count }
        let count = Self.fixedBytes + entries.count * Self.entryBytes + nameBytes + Self.digestBytes
        bytes.reserveCapacity(count)
        put(Self.magic)
        put(Self.formatVersion)
        put(key.weights.number)
        put(UInt64(count))
        put(UInt64(imageBytes))
        put(key.source)
        put(key.plan)
        put(key.layout)
        put(UInt32(entries.count))
        for entry in entries {
            put(UInt16(entry.name.utf8.count))
            bytes.append(contentsOf: entry.name.utf8)
            put(entry.form.rawValue)
            put(UInt8(entry.element.number))
            put(UInt64(entry.rows))
            put(UInt64(entry.columns))
            put(UInt64(entry.range.lowerBound))
            put(UInt64(entry.range.count))
            put(entry.digest)
        }
        put(Digest(of: bytes.rawSpan))
        precondition(bytes.count == count, "a weight image header of \(bytes.count) bytes, planned \(count)")
        return bytes
    }

    /// Parses the header of the image `bytes`. Never traps, whatever the bytes; after it every part lies inside the image,
    /// in order, aligned and without overlap, and has at least the bytes of its elements.
    package init(parsing bytes: RawSpan) throws(WeightImageError) {
        var fields = ByteReader(bytes)
        guard try fields.field(UInt64.self) == Self.magic else { throw .malformed("it does not begin like one") }
        let version = try fields.field(UInt32.self)
        guard version == Self.formatVersion else { throw .stale("format version \(version), not \(Self.formatVersion)") }
        let formNumber = try fields.field(UInt32.self)
        guard let weights = WeightForm(number: formNumber) else { throw .malformed("weight form \(formNumber)") }
        let headerBytes = try fields.count(atMost: min(bytes.byteCount, Self.largestHeader))
        let imageBytes = try fields.count(atMost: Int.max)
        guard imageBytes == bytes.byteCount else { throw .malformed("\(bytes.byteCount) bytes, not the \(imageBytes) it claims") }
        guard headerBytes >= Self.fixedBytes + Self.digestBytes else { throw .malformed("a header of \(headerBytes) bytes") }
        let body = bytes.extracting(0..<(headerBytes - Self.digestBytes))
        var tail = ByteReader(bytes.extracting((headerBytes - Self.digestBytes)..<headerBytes))
        guard try tail.digest() == Digest(of: body) else { throw .damaged(part: "the header") }

        let source = try fields.digest()
        let plan = try fields.digest()
        let layout = try fields.field(UInt32.self)
        let count = Int(try fields.field(UInt32.self))
        guard count <= headerBytes / Self.entryBytes else { throw .malformed("\(count) entries in \(headerBytes) bytes") }
        var entries: [Entry] = []
        entries.reserveCapacity(count)
        var end = headerBytes
        for _ in 0..<count {
            let entry = try Self.entry(&fields, after: end, imageBytes: imageBytes)
            end = entry.range.upperBound
            entries.append(entry)
        }
        self.init(key: Key(source: source, plan: plan, weights: weights, layout: layout), imageBytes: imageBytes, entries: entries)
    }

    private static func entry(_ fields: inout ByteReader, after end: Int, imageBytes: Int) throws(WeightImageError) -> Entry {
        let name = try fields.text(count: Int(try fields.field(UInt16.self)))
        let formNumber = try fields.field(UInt8.self)
        let elementNumber = try fields.field(UInt8.self)
        guard let form = WeightPlan.Form(rawValue: formNumber), let element = WeightForm(number: UInt32(elementNumber)) else {
            throw .malformed("\(name) has form \(formNumber) and weight form \(elementNumber)")
        }
        // 2^31 rows of 2^24 columns of 4 bytes still fit an Int.
        let rows = try fields.count(atMost: Int(Int32.max))
        let columns = try fields.count(atMost: 1 << 24)
        let offset = try fields.count(atMost: imageBytes)
        let count = try fields.count(atMost: imageBytes - offset)
        guard offset >= end, offset % alignment == 0, count >= rows * columns * element.byteCount else {
            throw .malformed("\(name) has \(rows) x \(columns) elements in \(count) bytes at \(offset)")
        }
        return Entry(
            name: name, form: form, element: element, rows: rows, columns: columns, range: offset..<(offset + count),
            digest: try fields.digest())
    }
}

/// The header's fields; short input is a malformed image.
extension ByteReader {
    fileprivate mutating func field<T: FixedWidthInteger & BitwiseCopyable>(_ type: T.Type) throws(WeightImageError) -> T {
        do throws(ByteReaderError) { return try read(type) } catch { throw .malformed("\(error)") }
    }

    fileprivate mutating func count(atMost limit: Int) throws(WeightImageError) -> Int {
        let value = try field(UInt64.self)
        guard value <= UInt64(limit) else { throw .malformed("a count of \(value), at most \(limit) was expected") }
        return Int(value)
    }

    fileprivate mutating func digest() throws(WeightImageError) -> Digest {
        let low = try field(UInt64.self)
        return Digest(high: try field(UInt64.self), low: low)
    }

    fileprivate mutating func text(count: Int) throws(WeightImageError) -> String {
        var bytes: [UInt8] = []
        for _ in 0..<count { bytes.append(try field(UInt8.self)) }
        guard let text = String(validating: bytes, as: UTF8.self) else { throw .malformed("a name that is not UTF-8") }
        return text
    }
}

/// The numbers of weight forms in images.
extension WeightForm {
    fileprivate var number: UInt32 { UInt32(rawValue) + 1 }

    fileprivate init?(number: UInt32) {
        guard (1...UInt32(Self.allCases.count)).contains(number), let form = Self(rawValue: UInt8(number - 1)) else { return nil }
        self = form
    }
}

/// Why an image is not used. It is rebuilt; nothing in it is trusted.
package enum WeightImageError: Error, Equatable, CustomStringConvertible {
    case malformed(String)
    /// Made by another version, or for another source, plan or type.
    case stale(String)
    /// The bytes of a part are not those that were written.
    case damaged(part: String)

    package var description: String {
        switch self {
        case .malformed(let reason): "not a weight image: \(reason)"
        case .stale(let reason): "a weight image for something else: \(reason)"
        case .damaged(let part): "a damaged weight image: the digest of \(part) differs"
        }
    }
}
