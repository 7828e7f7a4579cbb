internal import CKernels

/// Ranges of planes, and their values as symbols: bytes [rows][columns] without gaps, from a given place of a byte array on.
///
/// A parameter array has, from `first` on, one number for each row or column.
extension InstructionSet {
    /// What a parameter belongs to.
    package enum Axis: Sendable, Hashable { case rows, columns }

    /// The least and the greatest of each row or column; of nothing, or of NaN only, 0.
    package func range(_ planes: [Float], _ shape: PlaneShape, of axis: Axis, least: inout [Float], greatest: inout [Float], at first: Int)
    {
        shape.check(in: planes.count)
        let count = shape.parameters(axis)
        precondition(
            first >= 0 && first + count <= least.count && first + count <= greatest.count, "\(count) ranges at \(first) of \(least.count)")
        unsafe planes.withUnsafeBufferPointer { planes in
            unsafe least.withUnsafeMutableBufferPointer { least in
                unsafe greatest.withUnsafeMutableBufferPointer { greatest in
                    guard let base = planes.baseAddress, let low = least.baseAddress, let high = greatest.baseAddress, count > 0 else {
                        return
                    }
                    switch axis {
                    case .rows:
                        unsafe ck_kv_range_rows(
                            cSet, base + shape.offset, shape.stride, shape.rows, shape.columns, low + first, high + first)
                    case .columns:
                        unsafe ck_kv_range_columns(
                            cSet, base + shape.offset, shape.stride, shape.rows, shape.columns, low + first, high + first)
                    }
                }
            }
        }
    }

    /// Sums of squares of the rows.
    package func energy(_ planes: [Float], _ shape: PlaneShape, into energy: inout [Float], at first: Int) {
        shape.check(in: planes.count)
        precondition(first >= 0 && first + shape.rows <= energy.count, "\(shape.rows) rows at \(first) of \(energy.count)")
        unsafe planes.withUnsafeBufferPointer { planes in
            unsafe energy.withUnsafeMutableBufferPointer { energy in
                guard let base = planes.baseAddress, let to = energy.baseAddress, shape.rows > 0 else { return }
                unsafe ck_kv_energy_rows(cSet, base + shape.offset, shape.stride, shape.rows, shape.columns, to + first)
            }
        }
    }

    /// symbol = round(x * factor + bias) within 0...top.
    package func quantise(
        _ planes: [Float], _ shape: PlaneShape, by axis: Axis, factors: [Float], biases: [Float], at first: Int, top: Int,
        into symbols: inout [UInt8], at place: Int
    ) {
        precondition((1...255).contains(top), "symbols up to \(top)")
        check(shape, planes.count, symbols.count, place)
        checkParameters(shape.parameters(axis), first, min(factors.count, biases.count))
        unsafe planes.withUnsafeBufferPointer { planes in
            unsafe factors.withUnsafeBufferPointer { factors in
                unsafe biases.withUnsafeBufferPointer { biases in
                    unsafe symbols.withUnsafeMutableBufferPointer { symbols in
                        guard let base = planes.baseAddress, let factor = factors.baseAddress, let bias = biases.baseAddress,
                            let to = symbols.baseAddress, !shape.isEmpty
                        else { return }
                        switch axis {
                        case .rows:
                            unsafe ck_kv_quantise_rows(
                                cSet, base + shape.offset, shape.stride, shape.rows, shape.columns, factor + first, bias + first,
                                UInt32(top),
                                to + place)
                        case .columns:
                            unsafe ck_kv_quantise_columns(
                                cSet, base + shape.offset, shape.stride, shape.rows, shape.columns, factor + first, bias + first,
                                UInt32(top),
                                to + place)
                        }
                    }
                }
            }
        }
    }

    /// x = symbol * step + offset.
    package func dequantise(
        _ symbols: [UInt8], at place: Int, by axis: Axis, steps: [Float], offsets: [Float], at first: Int, into planes: inout [Float],
        _ shape: PlaneShape
    ) {
        check(shape, planes.count, symbols.count, place)
        checkParameters(shape.parameters(axis), first, min(steps.count, offsets.count))
        unsafe symbols.withUnsafeBufferPointer { symbols in
            unsafe steps.withUnsafeBufferPointer { steps in
                unsafe offsets.withUnsafeBufferPointer { offsets in
                    unsafe planes.withUnsafeMutableBufferPointer { planes in
                        guard let from = symbols.baseAddress, let step = steps.baseAddress, let offset = offsets.baseAddress,
                            let base = planes.baseAddress, !shape.isEmpty
                        else { return }
                        switch axis {
                        case .rows:
                            unsafe ck_kv_dequantise_rows(
                                cSet, from + place, shape.rows, shape.columns, step + first, offset + first, base + shape.offset,
                                shape.stride)
                        case .columns:
                            unsafe ck_kv_dequantise_columns(
                                cSet, from + place, shape.rows, shape.columns, step + first, offset + first, base + shape.offset,
                                shape.stride)
                        }
                    }
                }
            }
        }
    }

    func check(_ shape: PlaneShape, _ floats: Int, _ symbols: Int, _ place: Int) {
        shape.check(in: floats)
        precondition(place >= 0 && place + shape.count <= symbols, "\(shape.count) symbols at \(place) of \(symbols)")
    }

    func checkParameters(_ count: Int, _ first: Int, _ room: Int) {
        precondition(first >= 0 && first + count <= room, "\(count) parameters at \(first) of \(room)")
    }
}

extension PlaneShape {
    package func parameters(_ axis: InstructionSet.Axis) -> Int { axis == .rows ? rows : columns }
}
