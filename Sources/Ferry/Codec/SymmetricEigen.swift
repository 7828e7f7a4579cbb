internal import Foundation

/// Eigenvalues, the greatest first, and orthonormal eigenvectors of a symmetric matrix.
struct SymmetricEigen {
    let values: [Double]
    /// [component][channel]; the greatest element of each is positive.
    let vectors: [[Double]]

    /// Cyclic Jacobi rotations: O(n³) for each of about eight sweeps.
    ///
    /// - Parameter matrix: [n][n], symmetric, finite.
    init(_ matrix: [[Double]]) {
        let n = matrix.count
        var a = matrix
        var vectors = (0..<n).map { row in (0..<n).map { $0 == row ? 1.0 : 0 } }
        let scale = matrix.joined().reduce(0) { $0 + $1 * $1 }
        for _ in 0..<60 {
            var off = 0.0
            for row in 0..<n { for column in 0..<row { off += 2 * a[row][column] * a[row][column] } }
            if off <= scale * 1e-24 { break }
            for p in 0..<n {
                for q in (p + 1)..<max(n, p + 1) where abs(a[p][q]) > 1e-300 {
                    let angle = (a[q][q] - a[p][p]) / (2 * a[p][q])
                    let tangent = (angle >= 0 ? 1 : -1) / (abs(angle) + (angle * angle + 1).squareRoot())
                    let cosine = 1 / (tangent * tangent + 1).squareRoot()
                    Self.turn(&a, p, q, cosine, tangent * cosine)
                    Self.turnRows(&vectors, p, q, cosine, tangent * cosine)
                }
            }
        }
        let order = (0..<n).sorted { (a[$0][$0], $1) > (a[$1][$1], $0) }
        values = order.map { a[$0][$0] }
        self.vectors = order.map { index in
            let vector = vectors[index]
            let greatest = vector.max { abs($0) < abs($1) } ?? 0
            return greatest < 0 ? vector.map { -$0 } : vector
        }
    }

    /// Rows and columns p and q of a symmetric matrix.
    private static func turn(_ a: inout [[Double]], _ p: Int, _ q: Int, _ cosine: Double, _ sine: Double) {
        let (pp, qq, pq) = (a[p][p], a[q][q], a[p][q])
        turnRows(&a, p, q, cosine, sine)
        a[p][p] = cosine * cosine * pp - 2 * cosine * sine * pq + sine * sine * qq
        a[q][q] = sine * sine * pp + 2 * cosine * sine * pq + cosine * cosine * qq
        (a[p][q], a[q][p]) = (0, 0)
        for k in a.indices where k != p && k != q { (a[k][p], a[k][q]) = (a[p][k], a[q][k]) }
    }

    private static func turnRows(_ rows: inout [[Double]], _ p: Int, _ q: Int, _ cosine: Double, _ sine: Double) {
        var (first, second): ([Double], [Double]) = ([], [])
        swap(&first, &rows[p])
        swap(&second, &rows[q])
        for k in first.indices {
            let (x, y) = (first[k], second[k])
            first[k] = cosine * x - sine * y
            second[k] = sine * x + cosine * y
        }
        swap(&first, &rows[p])
        swap(&second, &rows[q])
    }
}
