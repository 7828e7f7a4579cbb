internal import Platform

/// The entry points for hostile bytes on a stream between gateway and worker: they return whatever the bytes are, and trap only where
/// this module breaks its own promises.
package enum MessageFuzz {
    /// What a reader made of its input.
    package struct Transcript<Message: FleetMessage & Equatable>: Equatable, Sendable {
        package var messages: [Message] = []
        /// The accepted messages, written again.
        package var written: [UInt8] = []
        package var failure: MessageError?
    }

    package static func worker(_ bytes: [UInt8], piece: Int = .max) -> Transcript<WorkerMessage> { run(bytes, piece) }

    package static func gateway(_ bytes: [UInt8], piece: Int = .max) -> Transcript<GatewayMessage> { run(bytes, piece) }

    /// Feeds `bytes` in pieces. Every message has exactly one form in bytes: what is accepted must be the same when it is written again.
    private static func run<Message: FleetMessage & Equatable>(_ bytes: [UInt8], _ piece: Int) -> Transcript<Message> {
        let now = MonotonicInstant(nanoseconds: 1 << 60)
        var transcript = Transcript<Message>()
        var reader = MessageReader<Message>()
        var start = 0
        while start < bytes.count, transcript.failure == nil {
            let end = piece < bytes.count - start ? start + piece : bytes.count
            do throws(MessageError) {
                try reader.read(bytes.rawSpan.extracting(start..<end), now: now) { transcript.messages.append($0) }
            } catch {
                transcript.failure = error
            }
            precondition(reader.pendingBytes <= end, "a reader has more bytes than it was given")
            start = end
        }
        for message in transcript.messages {
            do throws(MessageError) {
                try message.encode(into: &transcript.written, now: now)
            } catch {
                preconditionFailure("what was read cannot be written: \(error)")
            }
        }
        precondition(bytes.starts(with: transcript.written), "messages changed when they were written again: \(transcript.messages)")
        return transcript
    }
}
