internal import CKernels

// Work on one row at a time. A few rows are done by the caller alone: waking the others costs more.
extension ThreadTeam {
    /// out[i] = x[rows][i] / sqrt(mean of squares + epsilon) * weight.
    package func normalize(
        _ x: borrowing FloatMatrix, rows: Range<Int>, weight: Span<Float>, epsilon: Float, into out: inout OperandMatrix
    ) {
        x.check(rows, 0..<x.columns)
        precondition(rows.count <= out.rows, "\(rows.count) rows into \(out.rows)")
        check(out, columns: x.columns, weight: weight.count)
        let (set, type, isBytes) = (instructionSet.cSet, out.type.cType, out.form.isBytes)
        let (xStride, outStride, columns) = (x.stride, out.stride, x.columns)
        unsafe weight.withUnsafeBufferPointer { weight in
            let lent = unsafe Lent((x.address(row: rows.lowerBound), weight.baseAddress, out.address(row: 0)))
            let width = out.elementBytes
            forRows(rows.count, cost: columns) { part in
                let (source, w, target) = unsafe lent.pointers
                let (from, to) = unsafe (source + part.lowerBound * xStride, target + part.lowerBound * outStride * width)
                if isBytes {
                    unsafe ck_int8_rms_norm(set, from, xStride, nil, part.count, columns, w, epsilon, to, outStride)
                } else {
                    unsafe ck_rms_norm(set, type, from, xStride, nil, part.count, columns, w, epsilon, to, outStride)
                }
            }
        }
    }

    /// The same for chosen rows: out[i] from x[picked[i]]. For the positions whose logits are wanted.
    package func normalize(
        _ x: borrowing FloatMatrix, picked: Span<Int32>, weight: Span<Float>, epsilon: Float, into out: inout OperandMatrix
    ) {
        precondition(picked.count <= out.rows, "\(picked.count) rows into \(out.rows)")
        check(out, columns: x.columns, weight: weight.count)
        for i in 0..<picked.count { precondition(picked[i] >= 0 && Int(picked[i]) < x.rows, "row \(picked[i]) of \(x.rows)") }
        unsafe weight.withUnsafeBufferPointer { weight in
            unsafe picked.withUnsafeBufferPointer { picked in
                if out.form.isBytes {
                    unsafe ck_int8_rms_norm(
                        instructionSet.cSet, x.address(row: 0), x.stride, picked.baseAddress, picked.count, x.columns,
                        weight.baseAddress, epsilon, out.address(row: 0), out.stride)
                } else {
                    unsafe ck_rms_norm(
                        instructionSet.cSet, out.type.cType, x.address(row: 0), x.stride, picked.baseAddress, picked.count, x.columns,
                        weight.baseAddress, epsilon, out.address(row: 0), out.stride)
                }
            }
        }
    }

    /// out[i] = x[rows][i], rounded to what products with weights of `out.form` take.
    package func convert(_ x: borrowing FloatMatrix, rows: Range<Int>, into out: inout OperandMatrix) {
        x.check(rows, 0..<x.columns)
        precondition(rows.count <= out.rows, "\(rows.count) rows into \(out.rows)")
        check(out, columns: x.columns, weight: x.columns)
        let (set, type, isBytes) = (instructionSet.cSet, out.type.cType, out.form.isBytes)
        let (xStride, outStride, columns, width) = (x.stride, out.stride, x.columns, out.elementBytes)
        let lent = unsafe Lent((x.address(row: rows.lowerBound), out.address(row: 0)))
        forRows(rows.count, cost: columns) { part in
            let (source, target) = unsafe lent.pointers
            let (from, to) = unsafe (source + part.lowerBound * xStride, target + part.lowerBound * outStride * width)
            if isBytes {
                unsafe ck_int8_operand(set, CK_F32, from, xStride, nil, part.count, columns, to, outStride)
            } else {
                unsafe ck_operand(set, type, from, xStride, nil, part.count, columns, to, outStride)
            }
        }
    }

    /// out[i] = x[rows][i] as bytes: what attention computed, for weights of bytes.
    package func convert(_ x: borrowing OperandMatrix, rows: Range<Int>, into out: inout OperandMatrix) {
        precondition(!x.form.isBytes && out.form.isBytes, "operands for \(x.form) into operands for \(out.form)")
        precondition(x.instructionSet == instructionSet, "operands made for \(x.instructionSet), a team of \(instructionSet)")
        precondition(rows.lowerBound >= 0 && rows.upperBound <= x.rows && rows.count <= out.rows, "rows \(rows) of \(x.rows) into \(out.rows)")
        check(out, columns: x.columns, weight: x.columns)
        let (set, type) = (instructionSet.cSet, x.elementBytes == 2 ? CK_BF16 : CK_F32)
        let (xStride, xWidth, outStride, columns) = (x.stride, x.elementBytes, out.stride, x.columns)
        let lent = unsafe Lent((x.address(row: rows.lowerBound), out.address(row: 0)))
        forRows(rows.count, cost: columns) { part in
            let (source, target) = unsafe lent.pointers
            unsafe ck_int8_operand(
                set, type, source + part.lowerBound * xStride * xWidth, xStride, nil, part.count, columns,
                target + part.lowerBound * outStride, outStride)
        }
    }

    /// Norm of every head by itself, in place: columns `columns` hold heads of `weight.count`.
    package func normalizeHeads(
        _ x: inout FloatMatrix, rows: Range<Int>, columns: Range<Int>, weight: Span<Float>, epsilon: Float
    ) {
        x.check(rows, columns)
        let dimension = weight.count
        precondition(dimension > 0 && columns.count % dimension == 0, "\(columns.count) columns in heads of \(dimension)")
        let (set, stride, heads) = (instructionSet.cSet, x.stride, columns.count / dimension)
        unsafe weight.withUnsafeBufferPointer { weight in
            let lent = unsafe Lent((x.address(row: rows.lowerBound) + columns.lowerBound, weight.baseAddress))
            forRows(rows.count, cost: columns.count) { part in
                let (base, w) = unsafe lent.pointers
                unsafe ck_head_norm(set, base + part.lowerBound * stride, stride, part.count, heads, dimension, w, epsilon)
            }
        }
    }

    /// Rotary positions, in place: in every head of `dimension` within `columns`, the pair (i, i + half) is turned by the angle of
    /// its position. `table` gives cosines and sines; `positions[i]` belongs to row `rows.lowerBound + i`.
    package func rotate(
        _ x: inout FloatMatrix, rows: Range<Int>, columns: Range<Int>, dimension: Int, positions: Span<Int32>,
        table: borrowing RotaryTable
    ) {
        x.check(rows, columns)
        let half = table.half
        precondition(dimension >= 2 * half && columns.count % dimension == 0, "\(columns.count) columns in heads of \(dimension)")
        precondition(positions.count == rows.count, "\(positions.count) positions for \(rows.count) rows")
        for i in 0..<positions.count {
            precondition(positions[i] >= 0 && Int(positions[i]) < table.positions, "position \(positions[i]) of \(table.positions)")
        }
        let (set, stride, heads) = (instructionSet.cSet, x.stride, columns.count / dimension)
        unsafe positions.withUnsafeBufferPointer { positions in
            let base = unsafe x.address(row: rows.lowerBound) + columns.lowerBound
            let lent = unsafe Lent((base, positions.baseAddress, table.cosine, table.sine))
            forRows(rows.count, cost: columns.count) { part in
                let (base, position, cosine, sine) = unsafe lent.pointers
                unsafe ck_rotate(
                    set, base + part.lowerBound * stride, stride, part.count, heads, dimension, half, cosine, sine,
                    position.map { unsafe $0 + part.lowerBound })
            }
        }
    }

    /// out[i] = silu(gate) * up, where row i of x holds gate in its first `out.columns` columns and up in the next.
    package func siluMultiply(_ x: borrowing FloatMatrix, rows: Range<Int>, into out: inout OperandMatrix) {
        let columns = out.columns
        x.check(rows, 0..<2 * columns)
        precondition(rows.count <= out.rows, "\(rows.count) rows into \(out.rows)")
        check(out, columns: columns, weight: columns)
        let (set, type, isBytes) = (instructionSet.cSet, out.type.cType, out.form.isBytes)
        let (xStride, outStride, width) = (x.stride, out.stride, out.elementBytes)
        let lent = unsafe Lent((x.address(row: rows.lowerBound), out.address(row: 0)))
        forRows(rows.count, cost: columns * 4) { part in
            let (source, target) = unsafe lent.pointers
            let (from, to) = unsafe (source + part.lowerBound * xStride, target + part.lowerBound * outStride * width)
            if isBytes {
                unsafe ck_int8_silu_multiply(set, from, xStride, part.count, columns, to, outStride)
            } else {
                unsafe ck_silu_multiply(set, type, from, xStride, part.count, columns, to, outStride)
            }
        }
    }

    /// x[row + i] = row tokens[i] of a row-major table of `x.columns` columns.
    package func embed(_ tokens: Span<Int32>, from table: RawSpan, as type: SourceType, into x: inout FloatMatrix, at row: Int = 0) {
        let rowBytes = x.columns * type.byteCount
        x.check(row..<row + tokens.count, 0..<x.columns)
        unsafe table.withUnsafeBytes { table in
            for i in 0..<tokens.count {
                let token = Int(tokens[i])
                precondition(token >= 0 && (token + 1) * rowBytes <= table.count, "token \(token), a table of \(table.count) bytes")
                unsafe ck_to_float(
                    instructionSet.cSet, table.baseAddress! + token * rowBytes, type.cType, x.columns, x.address(row: row + i))
            }
        }
    }

    /// The same out of a packed matrix (a head tied to the embedding).
    package func embed(_ tokens: Span<Int32>, from table: PanelMatrix, into x: inout FloatMatrix, at row: Int = 0) {
        x.check(row..<row + tokens.count, 0..<x.columns)
        precondition(table.columns == x.columns, "embeddings of \(table.columns) columns into \(x.columns)")
        for i in 0..<tokens.count {
            precondition(tokens[i] >= 0 && Int(tokens[i]) < table.rows, "token \(tokens[i]) of \(table.rows)")
        }
        let (stride, columns, set) = (x.stride, x.columns, instructionSet)
        unsafe tokens.withUnsafeBufferPointer { tokens in
            let lent = unsafe Lent((tokens, x.address(row: row)))
            forRows(tokens.count, cost: columns * 16) { part in
                let (picked, target) = unsafe lent.pointers
                for i in part {
                    unsafe table.copyRow(Int(picked[i]), on: set, to: target + i * stride)
                }
            }
        }
    }

    /// Runs `body` over parts of 0..<count. `cost` is about the number of simple operations of one row.
    func forRows(_ count: Int, cost: Int, _ body: @Sendable (Range<Int>) -> Void) {
        // Below some 10 us of work (32 Ki simple operations) the caller is done before the others have come.
        guard threads > 1, count > 1, count * cost > 1 << 15 else {
            if count > 0 { body(0..<count) }
            return
        }
        let perChunk = max(1, (count + threads * 4 - 1) / (threads * 4))
        run(chunks: (count + perChunk - 1) / perChunk) { chunk in
            body(chunk * perChunk..<min(count, (chunk + 1) * perChunk))
        }
    }

    private func check(_ out: borrowing OperandMatrix, columns: Int, weight: Int) {
        precondition(out.instructionSet == instructionSet, "operands made for \(out.instructionSet), a team of \(instructionSet)")
        precondition(out.columns == columns, "\(columns) columns into operands of \(out.columns)")
        precondition(weight == columns, "a weight of \(weight) for \(columns) columns")
    }
}
