package import KVCodec
package import Kernels
internal import Platform
internal import Synchronization
package import Wire

/// What a worker needs to code KV for others and to decode what comes: threads of their own beside those that compute, and what the model's
/// profiles need. Any thread.
package final class KeyValueCoding: Sendable {
    package let geometry: KeyValueGeometry
    fileprivate let calibration: KeyValueCalibration?
    fileprivate let set: InstructionSet
    private let threads: JobThreads
    /// One for each thread, and a last one for blocks that the threads have no time for.
    private let seats: [Seat]

    /// - Parameter threads: how many code and decode.
    package init(geometry: KeyValueGeometry, calibration: KeyValueCalibration?, threads: Int, on set: InstructionSet) {
        self.geometry = geometry
        self.calibration = calibration
        self.set = set
        self.threads = JobThreads(threads, name: "codec")
        seats = (0...threads).map { _ in Seat() }
    }

    /// The profile to code with; nil: raw, which is all that KV in f32 has.
    ///
    /// - Throws: where it is no profile, or needs what is not here.
    package func accept(_ profile: TransferProfile) throws(KeyValueProfileError) -> KeyValueProfile? {
        let parsed = try KeyValueProfile(profile.name)
        guard geometry.type == .bf16, !parsed.isRaw else { return nil }
        try parsed.check(calibration)
        return parsed
    }

    /// Has `body` done by one of the threads.
    func submit(_ body: @escaping @Sendable (inout CodingTools) -> Void) {
        threads.submit { [seats] thread in seats[thread].tools.withLock { body(&$0) } }
    }

    /// Does `body` here and now.
    func perform<Result>(_ body: (inout CodingTools) -> sending Result) -> sending Result { seats[seats.count - 1].tools.withLock { body(&$0) } }

    private final class Seat: Sendable {
        let tools = Mutex(CodingTools())
    }
}

/// Encoders and the decoder of one thread, made when they are first needed.
struct CodingTools {
    private var encoders: [KeyValueEncoder] = []
    private var decoder: KeyValueDecoder?
    /// Each has some hundred kilobytes; profiles in use at a time are few.
    private static let mostEncoders = 4

    /// - Parameter profile: one that `coding` accepts.
    mutating func encoder(_ profile: KeyValueProfile, _ coding: KeyValueCoding) -> KeyValueEncoder {
        if let known = encoders.first(where: { $0.profile == profile }) { return known }
        do throws(KeyValueProfileError) {
            let encoder = try KeyValueEncoder(profile, geometry: coding.geometry, calibration: coding.calibration, on: coding.set)
            if encoders.count == Self.mostEncoders { encoders.removeFirst() }
            encoders.append(encoder)
            return encoder
        } catch {
            preconditionFailure("a profile that was accepted: \(error)")
        }
    }

    /// KV is bf16.
    mutating func decoder(_ coding: KeyValueCoding) -> KeyValueDecoder {
        if let decoder { return decoder }
        do throws(KeyValueProfileError) {
            let made = try KeyValueDecoder(geometry: coding.geometry, calibration: coding.calibration, on: coding.set)
            decoder = made
            return made
        } catch {
            preconditionFailure("KV of a type that blocks cannot be of: \(error)")
        }
    }
}
