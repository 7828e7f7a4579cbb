internal import CKernels

/// Quantisers that are not uniform over a range.
extension InstructionSet {
    /// Symbols 0...14 are the whole numbers -7...7, 15 stands for one of `wide`; returns how many those are.
    package func deadzone(
        _ planes: [Float], _ shape: PlaneShape, factors: [Float], at first: Int, rounding: Float, into symbols: inout [UInt8],
        at place: Int,
        wide: inout [Int16], at wideFirst: Int
    ) -> Int {
        check(shape, planes.count, symbols.count, place)
        checkParameters(shape.rows, first, factors.count)
        precondition(
            wideFirst >= 0 && wideFirst + shape.count <= wide.count, "\(shape.count) wide symbols at \(wideFirst) of \(wide.count)")
        precondition(rounding >= 0 && rounding <= 0.5, "rounding \(rounding)")
        return unsafe planes.withUnsafeBufferPointer { planes in
            unsafe factors.withUnsafeBufferPointer { factors in
                unsafe symbols.withUnsafeMutableBufferPointer { symbols in
                    unsafe wide.withUnsafeMutableBufferPointer { wide in
                        guard let base = planes.baseAddress, let factor = factors.baseAddress, let to = symbols.baseAddress,
                            let list = wide.baseAddress, !shape.isEmpty
                        else { return 0 }
                        return unsafe ck_kv_deadzone(
                            cSet, base + shape.offset, shape.stride, shape.rows, shape.columns, factor + first, rounding, to + place,
                            list + wideFirst)
                    }
                }
            }
        }
    }

    /// The other way; false when the symbols are not such, or their 15 are not `count` many.
    package func undeadzone(
        _ symbols: [UInt8], at place: Int, steps: [Float], at first: Int, pull: Float, wide: [Int16], at wideFirst: Int, count: Int,
        into planes: inout [Float], _ shape: PlaneShape
    ) -> Bool {
        check(shape, planes.count, symbols.count, place)
        checkParameters(shape.rows, first, steps.count)
        precondition(
            wideFirst >= 0 && count >= 0 && wideFirst + count <= wide.count, "\(count) wide symbols at \(wideFirst) of \(wide.count)")
        return unsafe symbols.withUnsafeBufferPointer { symbols in
            unsafe steps.withUnsafeBufferPointer { steps in
                unsafe wide.withUnsafeBufferPointer { wide in
                    unsafe planes.withUnsafeMutableBufferPointer { planes in
                        guard let from = symbols.baseAddress, let step = steps.baseAddress, let list = wide.baseAddress,
                            let base = planes.baseAddress, !shape.isEmpty
                        else { return count == 0 }
                        return unsafe ck_kv_undeadzone(
                            cSet, from + place, shape.rows, shape.columns, step + first, pull, list + wideFirst, count, base + shape.offset,
                            shape.stride)
                    }
                }
            }
        }
    }

    /// symbol = how many of the ascending thresholds are below x * factor[row].
    package func lookDown(
        _ planes: [Float], _ shape: PlaneShape, factors: [Float], at first: Int, thresholds: [Float], into symbols: inout [UInt8],
        at place: Int
    ) {
        check(shape, planes.count, symbols.count, place)
        checkParameters(shape.rows, first, factors.count)
        precondition(thresholds.count <= 255, "\(thresholds.count) thresholds")
        unsafe planes.withUnsafeBufferPointer { planes in
            unsafe factors.withUnsafeBufferPointer { factors in
                unsafe symbols.withUnsafeMutableBufferPointer { symbols in
                    guard let base = planes.baseAddress, let factor = factors.baseAddress, let to = symbols.baseAddress, !shape.isEmpty
                    else { return }
                    unsafe ck_kv_codebook(
                        cSet, base + shape.offset, shape.stride, shape.rows, shape.columns, factor + first, thresholds, thresholds.count,
                        to + place)
                }
            }
        }
    }

    /// x = levels[symbol] * step[row]; 256 levels.
    package func lookUp(
        _ symbols: [UInt8], at place: Int, levels: [Float], steps: [Float], at first: Int, into planes: inout [Float], _ shape: PlaneShape
    ) {
        check(shape, planes.count, symbols.count, place)
        checkParameters(shape.rows, first, steps.count)
        precondition(levels.count == 256, "\(levels.count) levels")
        unsafe symbols.withUnsafeBufferPointer { symbols in
            unsafe steps.withUnsafeBufferPointer { steps in
                unsafe planes.withUnsafeMutableBufferPointer { planes in
                    guard let from = symbols.baseAddress, let step = steps.baseAddress, let base = planes.baseAddress, !shape.isEmpty else {
                        return
                    }
                    unsafe ck_kv_look_up(
                        cSet, from + place, shape.rows, shape.columns, levels, step + first, base + shape.offset, shape.stride)
                }
            }
        }
    }

    /// FP8 E4M3 of x * row * column.
    package func narrow(
        _ planes: [Float], _ shape: PlaneShape, rows: [Float], columns: [Float], into symbols: inout [UInt8], at place: Int
    ) {
        check(shape, planes.count, symbols.count, place)
        checkParameters(shape.rows, 0, rows.count)
        checkParameters(shape.columns, 0, columns.count)
        unsafe planes.withUnsafeBufferPointer { planes in
            unsafe symbols.withUnsafeMutableBufferPointer { symbols in
                guard let base = planes.baseAddress, let to = symbols.baseAddress, !shape.isEmpty else { return }
                unsafe ck_kv_to_fp8(cSet, base + shape.offset, shape.stride, shape.rows, shape.columns, rows, columns, to + place)
            }
        }
    }

    /// FP8 E4M3 times row and column.
    package func widen(
        _ symbols: [UInt8], at place: Int, rows: [Float], columns: [Float], into planes: inout [Float], _ shape: PlaneShape
    ) {
        check(shape, planes.count, symbols.count, place)
        checkParameters(shape.rows, 0, rows.count)
        checkParameters(shape.columns, 0, columns.count)
        unsafe symbols.withUnsafeBufferPointer { symbols in
            unsafe planes.withUnsafeMutableBufferPointer { planes in
                guard let from = symbols.baseAddress, let base = planes.baseAddress, !shape.isEmpty else { return }
                unsafe ck_kv_from_fp8(cSet, from + place, shape.rows, shape.columns, rows, columns, base + shape.offset, shape.stride)
            }
        }
    }

    /// Predicts down the rows; what the symbols cannot say within `bound` goes to `exact` as bf16. Returns how many those are.
    package func predict(
        _ planes: [Float], _ shape: PlaneShape, bound: Float, into symbols: inout [UInt8], at place: Int, exact: inout [UInt16],
        at exactFirst: Int
    ) -> Int {
        check(shape, planes.count, symbols.count, place)
        precondition(
            exactFirst >= 0 && exactFirst + shape.count <= exact.count, "\(shape.count) elements at \(exactFirst) of \(exact.count)")
        return unsafe planes.withUnsafeBufferPointer { planes in
            unsafe symbols.withUnsafeMutableBufferPointer { symbols in
                unsafe exact.withUnsafeMutableBufferPointer { exact in
                    guard let base = planes.baseAddress, let to = symbols.baseAddress, let list = exact.baseAddress, !shape.isEmpty else {
                        return 0
                    }
                    return unsafe ck_kv_predict(
                        cSet, base + shape.offset, shape.stride, shape.rows, shape.columns, bound, to + place, list + exactFirst)
                }
            }
        }
    }

    /// The other way; false when the exact ones are not `count` many.
    package func unpredict(
        _ symbols: [UInt8], at place: Int, bound: Float, exact: [UInt16], at exactFirst: Int, count: Int, into planes: inout [Float],
        _ shape: PlaneShape
    ) -> Bool {
        check(shape, planes.count, symbols.count, place)
        precondition(
            exactFirst >= 0 && count >= 0 && exactFirst + count <= exact.count, "\(count) elements at \(exactFirst) of \(exact.count)")
        return unsafe symbols.withUnsafeBufferPointer { symbols in
            unsafe exact.withUnsafeBufferPointer { exact in
                unsafe planes.withUnsafeMutableBufferPointer { planes in
                    guard let from = symbols.baseAddress, let list = exact.baseAddress, let base = planes.baseAddress, !shape.isEmpty
                    else { return count == 0 }
                    return unsafe ck_kv_unpredict(
                        cSet, from + place, shape.rows, shape.columns, bound, list + exactFirst, count, base + shape.offset, shape.stride)
                }
            }
        }
    }
}
