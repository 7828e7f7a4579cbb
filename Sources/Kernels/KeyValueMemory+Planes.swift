internal import CKernels

/// Tokens of one layer, side and head, in pages that follow one another: `tokens` count from the first token of the first page.
package struct KeyValuePlace: Sendable, Hashable {
    package var layer: Int
    package var side: KeyValueSide
    package var head: Int
    package var tokens: Range<Int>

    package init(layer: Int, side: KeyValueSide, head: Int, tokens: Range<Int>) {
        precondition(tokens.lowerBound >= 0, "tokens \(tokens)")
        (self.layer, self.side, self.head, self.tokens) = (layer, side, head, tokens)
    }
}

/// Pages of bf16 as planes [token][dimension] of f32, or as elements [dimension][token], and back. Only `tokens` are read or written.
extension KeyValueMemory {
    package func load(
        _ place: KeyValuePlace, pages: [Int32], into planes: inout [Float], _ shape: PlaneShape, on set: InstructionSet
    ) {
        check(shape, place, planes.count)
        unsafe planes.withUnsafeMutableBufferPointer { planes in
            guard let base = planes.baseAddress else { return }
            unsafe forEachPage(place, pages) { panel, first, count, done in
                unsafe ck_kv_load(
                    set.cSet, place.side.cSide, panel, first, count, geometry.dimension, false, base + shape.offset + done * shape.stride,
                    shape.stride)
            }
        }
    }

    package func store(_ planes: [Float], _ shape: PlaneShape, to place: KeyValuePlace, pages: [Int32], on set: InstructionSet) {
        check(shape, place, planes.count)
        unsafe planes.withUnsafeBufferPointer { planes in
            guard let base = planes.baseAddress else { return }
            unsafe forEachPage(place, pages) { panel, first, count, done in
                unsafe ck_kv_store(
                    set.cSet, place.side.cSide, base + shape.offset + done * shape.stride, shape.stride, false, first, count,
                    geometry.dimension, panel)
            }
        }
    }

    /// A dimension's tokens stand together in `elements`, from `offset` on.
    package func unpack(_ place: KeyValuePlace, pages: [Int32], into elements: inout [UInt16], at offset: Int, on set: InstructionSet) {
        let stride = place.tokens.count
        precondition(
            offset >= 0 && offset + stride * geometry.dimension <= elements.count, "\(stride) tokens at \(offset) of \(elements.count)")
        unsafe elements.withUnsafeMutableBufferPointer { elements in
            guard let base = elements.baseAddress else { return }
            unsafe forEachPage(place, pages) { panel, first, count, done in
                unsafe ck_kv_unpack(set.cSet, place.side.cSide, panel, first, count, geometry.dimension, base + offset + done, stride)
            }
        }
    }

    package func pack(_ elements: [UInt16], at offset: Int, to place: KeyValuePlace, pages: [Int32], on set: InstructionSet) {
        let stride = place.tokens.count
        precondition(
            offset >= 0 && offset + stride * geometry.dimension <= elements.count, "\(stride) tokens at \(offset) of \(elements.count)")
        unsafe elements.withUnsafeBufferPointer { elements in
            guard let base = elements.baseAddress else { return }
            unsafe forEachPage(place, pages) { panel, first, count, done in
                unsafe ck_kv_pack(set.cSet, place.side.cSide, base + offset + done, stride, first, count, geometry.dimension, panel)
            }
        }
    }

    private func check(_ shape: PlaneShape, _ place: KeyValuePlace, _ floats: Int) {
        shape.check(in: floats)
        precondition(
            shape.rows == place.tokens.count && shape.columns == geometry.dimension,
            "\(shape.rows) x \(shape.columns) for \(place.tokens.count) tokens of \(geometry.dimension)")
    }

    /// The part of each page: its panel, the first token in it, how many, and how many came before.
    private func forEachPage(
        _ place: KeyValuePlace, _ pages: [Int32], _ body: (UnsafeMutablePointer<UInt16>, _ first: Int, _ count: Int, _ done: Int) -> Void
    ) {
        precondition(geometry.type == .bf16, "planes of KV in f32")
        precondition(place.tokens.upperBound <= pages.count * KeyValueGeometry.tokens, "tokens \(place.tokens) of \(pages.count) pages")
        let within = geometry.offset(layer: place.layer, head: place.head) + (place.side == .values ? geometry.panelBytes : 0)
        var token = place.tokens.lowerBound
        while token < place.tokens.upperBound {
            let (page, first) = token.quotientAndRemainder(dividingBy: KeyValueGeometry.tokens)
            let count = min(KeyValueGeometry.tokens - first, place.tokens.upperBound - token)
            let panel = unsafe (address(page: pages[page]) + within).assumingMemoryBound(to: UInt16.self)
            unsafe body(panel, first, count, token - place.tokens.lowerBound)
            token += count
        }
    }
}

extension KeyValueSide {
    var cSide: ck_side { self == .keys ? CK_KEYS : CK_VALUES }
}
