internal import CKernels

/// Transforms of planes, in place where nothing else is said.
extension InstructionSet {
    /// Orthonormal Hadamard transform of each row with random signs, or its inverse. `signs` has a bit for each column.
    package func hadamard(_ planes: inout [Float], _ shape: PlaneShape, signs: [UInt32], isInverse: Bool) {
        shape.check(in: planes.count)
        precondition(signs.count * 32 >= shape.columns, "\(signs.count) words of signs for \(shape.columns) columns")
        unsafe planes.withUnsafeMutableBufferPointer { planes in
            guard let base = planes.baseAddress, !shape.isEmpty else { return }
            unsafe ck_kv_hadamard(cSet, base + shape.offset, shape.stride, shape.rows, shape.columns, signs, isInverse)
        }
    }

    /// x * factor[column] + term[column].
    package func affineColumns(_ planes: inout [Float], _ shape: PlaneShape, factors: [Float], terms: [Float]) {
        shape.check(in: planes.count)
        precondition(
            factors.count >= shape.columns && terms.count >= shape.columns, "\(factors.count) factors for \(shape.columns) columns")
        unsafe planes.withUnsafeMutableBufferPointer { planes in
            guard let base = planes.baseAddress, !shape.isEmpty else { return }
            unsafe ck_kv_affine_columns(cSet, base + shape.offset, shape.stride, shape.rows, shape.columns, factors, terms)
        }
    }

    /// The plane times matrix[inner][columns], which begins at `first` of `matrix`, into another place.
    package func product(
        _ planes: [Float], _ shape: PlaneShape, matrix: [Float], at first: Int = 0, into out: inout [Float], _ outShape: PlaneShape
    ) {
        shape.check(in: planes.count)
        outShape.check(in: out.count)
        precondition(
            shape.rows == outShape.rows && first >= 0 && first + shape.columns * outShape.columns <= matrix.count,
            "\(shape.rows) x \(shape.columns) times a matrix of \(matrix.count) to \(outShape.rows) x \(outShape.columns)")
        unsafe planes.withUnsafeBufferPointer { planes in
            unsafe matrix.withUnsafeBufferPointer { matrix in
                unsafe out.withUnsafeMutableBufferPointer { out in
                    guard let from = planes.baseAddress, let by = matrix.baseAddress, let to = out.baseAddress, !outShape.isEmpty else {
                        return
                    }
                    unsafe ck_kv_product(
                        cSet, from + shape.offset, shape.stride, shape.rows, shape.columns, by + first, outShape.columns,
                        to + outShape.offset,
                        outShape.stride)
                }
            }
        }
    }

    /// Turns pairs (i, i + half) of each head of `dimension` in the rows, row i by angles [i][half] from `first` of cosine and sine.
    package func rotate(
        _ planes: inout [Float], _ shape: PlaneShape, dimension: Int, half: Int, cosines: [Float], sines: [Float], positions: [Int32]
    ) {
        shape.check(in: planes.count)
        precondition(
            shape.columns % dimension == 0 && 2 * half <= dimension && positions.count >= shape.rows, "\(shape) in heads of \(dimension)")
        precondition(cosines.count == sines.count, "\(cosines.count) cosines, \(sines.count) sines")
        for row in 0..<shape.rows {
            precondition(positions[row] >= 0 && (Int(positions[row]) + 1) * half <= cosines.count, "position \(positions[row])")
        }
        unsafe planes.withUnsafeMutableBufferPointer { planes in
            guard let base = planes.baseAddress, !shape.isEmpty, half > 0 else { return }
            unsafe ck_rotate(
                cSet, base + shape.offset, shape.stride, shape.rows, shape.columns / dimension, dimension, half, cosines, sines, positions)
        }
    }

    /// Bytes [rows][columns] at `offset` of `symbols` -> [columns][rows] at the same place of `out`.
    package func transpose(_ symbols: [UInt8], at offset: Int, rows: Int, columns: Int, into out: inout [UInt8], at place: Int) {
        precondition(offset >= 0 && offset + rows * columns <= symbols.count, "\(rows) x \(columns) at \(offset) of \(symbols.count)")
        precondition(place >= 0 && place + rows * columns <= out.count, "\(rows) x \(columns) at \(place) of \(out.count)")
        unsafe symbols.withUnsafeBufferPointer { symbols in
            unsafe out.withUnsafeMutableBufferPointer { out in
                guard let from = symbols.baseAddress, let to = out.baseAddress, rows > 0, columns > 0 else { return }
                unsafe ck_kv_transpose_symbols(cSet, from + offset, rows, columns, to + place)
            }
        }
    }
}

extension PlaneShape {
    /// Copies the plane to another place of the same size in other memory, row by row.
    package func copy(of planes: [Float], to out: inout [Float], _ outShape: PlaneShape) {
        check(in: planes.count)
        outShape.check(in: out.count)
        precondition(rows == outShape.rows && columns == outShape.columns, "\(rows) x \(columns) to \(outShape.rows) x \(outShape.columns)")
        unsafe planes.withUnsafeBufferPointer { planes in
            unsafe out.withUnsafeMutableBufferPointer { out in
                guard let from = planes.baseAddress, let to = out.baseAddress, !isEmpty else { return }
                for row in 0..<rows {
                    unsafe (to + outShape.offset + row * outShape.stride).update(from: from + offset + row * stride, count: columns)
                }
            }
        }
    }
}
