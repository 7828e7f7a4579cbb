package import Platform

/// What decides the size and the layout of a KV page.
package struct KeyValueGeometry: Sendable, Hashable {
    package let layers: Int
    package let heads: Int
    package let dimension: Int
    package let type: ElementType

    /// Tokens in a page.
    package static let tokens = 64

    /// - Parameters:
    ///   - heads: KV heads, not query heads.
    ///   - dimension: of one head; even, 8...256.
    package init(layers: Int, heads: Int, dimension: Int, type: ElementType) {
        precondition(layers > 0 && heads > 0, "\(layers) layers of \(heads) KV heads")
        precondition(dimension % 2 == 0 && (8...256).contains(dimension), "head dimension \(dimension); expected an even 8...256")
        self.layers = layers
        self.heads = heads
        self.dimension = dimension
        self.type = type
    }

    /// Bytes of one K or V panel: 64 tokens of one head.
    package var panelBytes: Int { Self.tokens * dimension * type.byteCount }

    package var layerBytes: Int { heads * 2 * panelBytes }

    /// A page: [layer][head] of a K panel, then a V panel.
    package var pageBytes: Int { layers * layerBytes }

    /// Where the K panel of `head` in `layer` stands in a page; its V panel follows.
    package func offset(layer: Int, head: Int) -> Int {
        precondition(layer >= 0 && layer < layers && head >= 0 && head < heads, "layer \(layer), KV head \(head) of \(self)")
        return layer * layerBytes + head * 2 * panelBytes
    }
}

/// The pages of a worker's KV cache, in one piece of memory.
///
/// Knows nothing of who uses which page. The holder of a page's lease is the only one to write it, and nobody reads what is being
/// written; that discipline is the caller's, and it is what makes sharing this object between threads sound.
@safe
package final class KeyValueMemory: Sendable {
    package let geometry: KeyValueGeometry
    package let pages: Int
    private let slab: Slab

    /// - Throws: `FileError` when the system refuses the memory.
    package init(geometry: KeyValueGeometry, pages: Int) throws(FileError) {
        precondition(pages > 0 && pages <= Int(Int32.max), "\(pages) KV pages")
        self.geometry = geometry
        self.pages = pages
        self.slab = try Slab(bytes: pages * geometry.pageBytes, purpose: "\(pages) KV pages")
    }

    package var pageBytes: Int { geometry.pageBytes }

    /// Makes a page fit for its first token. Due before each reuse: attention multiplies what it masks by zero, so it must be finite.
    package func zero(page: Int32) {
        unsafe address(page: page).initializeMemory(as: UInt8.self, repeating: 0, count: pageBytes)
    }

    /// Zeroes one layer of a page.
    package func zero(layer: Int, ofPage page: Int32) {
        let start = unsafe address(page: page) + geometry.offset(layer: layer, head: 0)
        unsafe start.initializeMemory(as: UInt8.self, repeating: 0, count: geometry.layerBytes)
    }

    /// Reads a whole page, for transfer.
    package func withPage<Result, Failure: Error>(
        _ page: Int32, _ body: (RawSpan) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try body(unsafe RawSpan(_unsafeStart: address(page: page), byteCount: pageBytes))
    }

    /// Writes a whole page, for transfer.
    package func withMutablePage<Result, Failure: Error>(
        _ page: Int32, _ body: (inout MutableRawSpan) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        var span = unsafe MutableRawSpan(_unsafeStart: address(page: page), byteCount: pageBytes)
        return try body(&span)
    }

    /// Reads one layer of a page, for transfer.
    package func withLayer<Result, Failure: Error>(
        _ layer: Int, ofPage page: Int32, _ body: (RawSpan) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        let offset = geometry.offset(layer: layer, head: 0)
        return try body(unsafe RawSpan(_unsafeStart: address(page: page) + offset, byteCount: geometry.layerBytes))
    }

    /// Copies `bytes` into one layer of a page, from `offset` of the layer on.
    package func write(_ bytes: RawSpan, toLayer layer: Int, ofPage page: Int32, at offset: Int) {
        precondition(
            offset >= 0 && bytes.byteCount <= geometry.layerBytes - offset, "\(bytes.byteCount) bytes at \(offset) of a layer of \(geometry.layerBytes)")
        let target = unsafe address(page: page) + geometry.offset(layer: layer, head: 0) + offset
        unsafe bytes.withUnsafeBytes { source in
            guard let start = source.baseAddress else { return }
            unsafe target.copyMemory(from: start, byteCount: source.count)
        }
    }

    func address(page: Int32) -> UnsafeMutableRawPointer {
        precondition(page >= 0 && page < pages, "page \(page) of \(pages)")
        return unsafe slab.base + Int(page) * pageBytes
    }
}
