import Foundation
import Inference
import KVCodec
import Kernels
import Platform
import TestSupport
import Testing
import Weights

@testable import Ferry

@Suite struct CalibrationTests {
    // MARK: Arithmetic

    @Test func `a symmetric matrix comes apart into its components`() {
        let eigen = SymmetricEigen([[2, 1], [1, 2]])
        #expect(zip(eigen.values, [3, 1]).allSatisfy { abs($0 - $1) < 1e-12 })
        #expect(eigen.vectors.joined().allSatisfy { abs(abs($0) - 0.5.squareRoot()) < 1e-12 })
        var generator = SeededGenerator(seed: 3)
        let n = 24
        let numbers = generator.floats(n * n).map(Double.init)
        let matrix = (0..<n).map { row in (0..<n).map { numbers[max(row, $0) * n + min(row, $0)] } }
        let found = SymmetricEigen(matrix)
        for row in 0..<n {
            for column in 0..<n {
                let again = (0..<n).reduce(0.0) { $0 + found.values[$1] * found.vectors[$1][row] * found.vectors[$1][column] }
                #expect(abs(again - matrix[row][column]) < 1e-10)
            }
        }
        #expect(zip(found.values, found.values.dropFirst()).allSatisfy(>=))
    }

    @Test func `statistics are those of all tokens`() {
        var statistics = ChannelStatistics(channels: 2)
        for token: [Float] in [[1, 2], [3, 6], [5, 4]] { statistics.add(token.span) }
        #expect(statistics.mean == [3, 4])
        let expected: [[Double]] = [[8.0 / 3, 4.0 / 3], [4.0 / 3, 8.0 / 3]]
        #expect(zip(statistics.covariance.joined(), expected.joined()).allSatisfy { abs($0 - $1) < 1e-12 })
        #expect(abs(statistics.variance - 8.0 / 3) < 1e-12)
    }

    @Test func `a head that looks everywhere scores a half, one that looks at the end almost nothing`() {
        let even = HeadScores.score(query: [0, 0], key: [1, 1], frequencies: [1])
        #expect(abs(even - 1025.0 / 2048) < 1e-9)
        // At distance 0 the angle is 0, and everywhere else the pair points elsewhere.
        let near = HeadScores.score(query: [60, 0], key: [60, 0], frequencies: [0.002])
        #expect(near < 0.05)
    }

    @Test(arguments: [(0.01, 0.01 * 0.01 / 12), (0.2, 0.04 / 12), (20.0, 1.0)])
    func `a rounded normal number errs as theory says`(step: Double, error: Double) {
        let found = StepAllocation.normal(step: step)
        #expect(abs(found.error - error) < error * 0.01)
    }

    @Test func `the entropy of a rounded normal number falls by a bit when steps double`() {
        // But for step² / 24 · log2(e), which is what rounding smooths.
        #expect(abs(StepAllocation.normal(step: 0.1).entropy - StepAllocation.normal(step: 0.2).entropy - 1) < 3e-3)
        #expect(StepAllocation.normal(step: 20).entropy < 1e-6)
        // ½ log2(2πe) + log2(4).
        #expect(abs(StepAllocation.normal(step: 0.25).entropy - (2.0471 + 2)) < 0.01)
    }

    @Test func `what a model minds more gets finer steps, for fewer bits and no more damage`() {
        let part = { StepAllocation.Part(sensitivity: $0, variances: [1.5, 0.5]) }
        let allocation = StepAllocation([part(1), part(16), part(1)], step: 0.5)
        #expect(allocation.factors[1] < allocation.factors[0])
        #expect(allocation.factors[1] < allocation.factors[2])
        #expect(allocation.chosen.bits < allocation.uniform.bits)
        #expect(allocation.chosen.damage <= allocation.uniform.damage)
        #expect(StepAllocation([part(0), part(0)], step: 0.5).factors == [1, 1])
    }

    // MARK: The file

    private static let geometry = KeyValueGeometry(layers: 2, heads: 2, dimension: 8, type: .bf16)
    private static let fingerprint = Digest(high: 1, low: 2)

    private static var findings: CalibrationFindings {
        let channels = 16
        let identity = (0..<channels * channels).map { Float($0 % (channels + 1) == 0 ? 1 : 0) }
        return CalibrationFindings(
            headScores: [0.1, 0.2, 0.3, 0.4], means: (0..<4).map { Array(repeating: Float($0), count: channels) },
            vectors: Array(repeating: identity, count: 4), variances: Array(repeating: Array(repeating: 1, count: channels), count: 4),
            sensitivities: [1, 2, 3, 4], stepFactors: [1, 1, 2, 2, 0.5, 0.5, 1, 1], rotaryFrequencies: [1, 0.1, 0.01, 0.001], tokens: 99)
    }

    private func written(_ change: (inout CalibrationFindings) -> Void = { _ in }) throws -> (folder: ScratchFolder, path: String) {
        let folder = ScratchFolder()
        let path = folder.path + "/calibration"
        var findings = Self.findings
        change(&findings)
        try CalibrationFile.write(findings, to: path, geometry: Self.geometry, fingerprint: Self.fingerprint, text: Digest(of: "text"))
        return (folder, path)
    }

    private func read(_ path: String, geometry: KeyValueGeometry = Self.geometry) throws -> KeyValueCalibration {
        try CalibrationFile.read(path, geometry: geometry, fingerprint: Self.fingerprint)
    }

    private static func digest(_ bytes: [UInt8]) -> UInt64 { Digest(of: bytes.rawSpan).low }

    @Test func `what was written is read`() throws {
        let (folder, path) = try written()
        let calibration = try read(path)
        #expect(calibration.headScores == Self.findings.headScores)
        #expect(calibration.stepFactors == Self.findings.stepFactors)
        #expect(calibration.rotaryFrequencies == Self.findings.rotaryFrequencies)
        #expect(calibration.bases.map(\.mean) == Self.findings.means)
        #expect(calibration.bases.map(\.matrix) == Self.findings.vectors)
        #expect(calibration.has == [.headScores, .bases, .stepFactors])
        #expect(calibration.digest == Self.digest(try folder.read("calibration")))
        // Others read it too.
        let header = try Checkpoint(file: path).files[0].header
        #expect(header.metadata["tokens"] == "99")
        #expect(
            header.tensors.map(\.name) == [
                "head_scores", "step_factors", "sensitivities", "rotary_frequencies", "means", "variances", "bases"
            ])
    }

    @Test func `components become columns`() throws {
        let (folder, path) = try written {
            // The first two components change places.
            $0.vectors[0].swapAt(0, 1)
            $0.vectors[0].swapAt(16, 17)
            $0.vectors[0][1] = 1
        }
        defer { _ = folder }
        let matrix = try read(path).bases[0].matrix
        // Channel 1, component 0.
        #expect(matrix[16] == 1)
    }

    private static func joint(_ findings: inout CalibrationFindings) {
        findings.units = [1, 2, 4, 8]
        findings.jointVectors = Array(repeating: (0..<32 * 32).map { Float($0 % 33 == 0 ? 1 : 0) }, count: 2)
    }

    @Test func `a joint basis divides each side by its unit, and multiplies on the way back`() throws {
        let (folder, path) = try written(Self.joint)
        defer { _ = folder }
        let calibration = try read(path)
        #expect(calibration.has == [.headScores, .bases, .stepFactors, .jointBases])
        let second = calibration.joint[1]
        #expect(second.mean == Self.findings.means[2] + Self.findings.means[3])
        // Channel 3 of keys, channel 2 of values.
        #expect(second.matrix[3 * 33] == 0.25 && second.inverse[3 * 33] == 4)
        #expect(second.matrix[18 * 33] == 0.125 && second.inverse[18 * 33] == 8)
        #expect(second.matrix.filter { $0 != 0 }.count == 32)
    }

    @Test func `units are equal damage to the power of three quarters, as great as deviations on the whole`() {
        // Damage for each squared unit: 1/4, 64.
        let units = Calibrator.units([1, 64], [4, 1])
        #expect(abs(units[0] / units[1] - pow(256, 0.375)) < 1e-9)
        #expect(abs(units[0] * units[1] - 2) < 1e-9)
    }

    @Test func `a model without bases has a calibration all the same`() throws {
        let (folder, path) = try written { ($0.means, $0.vectors, $0.variances) = ([], [], []) }
        defer { _ = folder }
        #expect(try read(path).has == [.headScores, .stepFactors])
    }

    @Test(arguments: [
        ("\"version\":\"1\"", "\"version\":\"2\"", "version"),
        ("\"format\":\"ferry-kv-calibration\"", "\"format\":\"ferry-kv-calibratiox\"", "format"),
        ("\"fingerprint\":\"0000000000000001", "\"fingerprint\":\"0000000000000003", "fingerprint"),
        ("\"layers\":\"2\"", "\"layers\":\"3\"", "layers"), ("\"shape\":[2,2,16,16]", "\"shape\":[2,2,256,1]", "bases"),
        ("\"head_scores\":{\"dtype\":\"F32\"", "\"head_scores\":{\"dtype\":\"I32\"", "head_scores"), ("\"means\"", "\"meant\"", "means"),
        ("\"data_offsets\":[0,16]", "\"data_offsets\":[0,17]", "head_scores"),
        ("\"data_offsets\":[16,48]", "\"data_offsets\":[12,44]", "step_factors")
    ])
    func `a file that lies is refused by name`(from: String, to: String, name: String) throws {
        let (folder, path) = try written()
        let bytes = try folder.read("calibration")
        let range = try #require(Data(bytes).range(of: Data(from.utf8)))
        folder.write("calibration", Array(bytes[..<range.lowerBound]) + Array(to.utf8) + Array(bytes[range.upperBound...]))
        #expect { try read(path) } throws: { "\($0)".contains(name) && "\($0)".contains("calibration") }
    }

    @Test func `numbers that are none, and bases that are none, are refused by name`() throws {
        for (change, name) in [
            ({ $0.headScores[1] = .nan }, "head_scores"), ({ $0.stepFactors[3] = 0 }, "step factor"), ({ $0.vectors[2][0] = 1.5 }, "bases"),
            ({ $0.means[1][5] = .infinity }, "means"),
            ({ Self.joint(&$0); $0.units[2] = 0 }, "units"),
            ({ Self.joint(&$0); $0.jointVectors[1][33] = 2 }, "joint_bases"),
            ({ Self.joint(&$0); ($0.means, $0.vectors, $0.variances) = ([], [], []) }, "means"),
        ] as [((inout CalibrationFindings) -> Void, String)] {
            let (folder, path) = try written(change)
            #expect { try read(path) } throws: { "\($0)".contains(name) }
            withExtendedLifetime(folder) {}
        }
    }

    @Test func `a file that was cut anywhere is refused`() throws {
        let (folder, path) = try written()
        let bytes = try folder.read("calibration")
        for count in [0, 1, 7, 8, 100, 700, bytes.count - 512, bytes.count - 1] {
            folder.write("calibration", Array(bytes.prefix(count)))
            #expect(throws: (any Error).self) { try read(path) }
        }
    }

    @Test func `a file of another geometry is refused`() throws {
        let (folder, path) = try written()
        defer { _ = folder }
        #expect { try read(path, geometry: KeyValueGeometry(layers: 2, heads: 1, dimension: 16, type: .bf16)) } throws: {
            "\($0)".contains("heads")
        }
    }
}
