internal import Inference
internal import Platform
internal import Wire

/// The fleet and the requests as JSON.
enum FleetPage {
    /// `{"workers":[{"id","pid","roles","state","epoch","address",…}]}`
    static func workers(_ workers: [WorkerStatus]) -> [UInt8] {
        var json = JSONWriter()
        json.beginObject()
        json.key("workers")
        json.beginArray()
        for worker in workers { write(worker, to: &json) }
        json.endArray()
        json.endObject()
        return json.bytes
    }

    private static func write(_ worker: WorkerStatus, to json: inout JSONWriter) {
        let registration = worker.registration
        json.beginObject()
        json.field("id", registration.name)
        json.field("pid", registration.process)
        json.key("roles")
        json.beginArray()
        for role in worker.roles.description.split(separator: ",") { json.string(String(role)) }
        json.endArray()
        // Draining to the end: nothing of ours is there any more, and no peer waits for its pages.
        let isDrained = worker.state == "draining" && worker.sequences == 0 && worker.load.exports == 0
        json.field("state", isDrained ? "drained" : worker.state)
        json.field("epoch", worker.epoch)
        json.field("address", registration.endpoint)
        json.field("model", registration.hello.modelName)
        json.field("isa", registration.hello.instructionSet)
        json.field("dtype", registration.hello.dtype)
        json.field("sequences", worker.sequences)
        json.field("running", worker.load.running)
        json.field("waiting", worker.load.waiting)
        json.field("pending_prefill_tokens", worker.load.pendingPrefill)
        json.field("exports", worker.load.exports)
        json.field("imports", worker.load.imports)
        json.field("pages_total", worker.load.pagesTotal)
        json.field("pages_available", worker.load.pagesAvailable)
        json.field("steps", worker.load.steps)
        json.field("silence_ms", worker.silence.inMilliseconds)
        if let pulse = worker.pulse {
            json.field("since_progress_ms", pulse.sinceProgress.inMilliseconds)
            json.field("open_transfers", pulse.openTransfers)
            json.key("links")
            json.beginArray()
            for link in pulse.links {
                json.beginObject()
                json.field("peer", link.peer)
                json.field("state", "\(link.state)")
                json.field("bytes", link.bytes)
                json.field("bytes_per_second", link.bytesPerSecond)
                json.endObject()
            }
            json.endArray()
        }
        json.endObject()
    }

    /// `{"requests":[{"id","route","state",…}]}`
    static func requests(_ requests: [RequestStatus]) -> [UInt8] {
        var json = JSONWriter()
        json.beginObject()
        json.key("requests")
        json.beginArray()
        for request in requests {
            json.beginObject()
            json.field("id", request.id)
            json.field("route", request.route)
            json.field("state", request.state)
            json.field("age_ms", request.age.inMilliseconds)
            json.field("left_ms", request.timeLeft.inMilliseconds)
            json.field("prompt_tokens", request.promptTokens)
            json.field("generated_tokens", request.generatedTokens)
            json.field("choices", request.choices)
            json.field("buffered_bytes", request.bufferedBytes)
            json.endObject()
        }
        json.endArray()
        json.endObject()
        return json.bytes
    }
}
