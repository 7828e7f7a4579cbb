internal import Kernels
internal import Weights

/// One key of the configuration: its name, its default and what it means. The list below is the whole of it:
/// a key that is not in it stops the start.
struct SettingKey: Sendable {
    enum Kind: Sendable {
        case text
        case integer(ClosedRange<Int>)
        /// Bytes, with an optional suffix: 512MiB, 2GiB.
        case bytes(ClosedRange<Int>)
        case seconds(ClosedRange<Double>)
        case choice([String])
        /// A list in YAML; commas on the command line and in the environment.
        case list
    }

    let name: String
    let kind: Kind
    /// As it would be written in the file; empty means unset.
    let fallback: String
    let meaning: String
    /// Never printed.
    var secret = false

    /// The environment variable that sets it: `engine.step_tokens` is `FERRY_ENGINE_STEP_TOKENS`.
    var variable: String {
        "FERRY_" + name.uppercased().map { $0 == "." ? "_" : String($0) }.joined()
    }
}

extension SettingKey {
    private static let seconds = 0.0...86_400.0
    private static let anyBytes = 0...(1 << 50)

    static let all: [SettingKey] = [
        SettingKey(name: "model.path", kind: .text, fallback: "", meaning: "Hugging Face model directory; empty: the bundled model"),
        SettingKey(name: "model.name", kind: .text, fallback: "", meaning: "name in the API; empty: the directory's name"),
        SettingKey(
            name: "model.dtype", kind: .choice(["bf16", "f32"]), fallback: "bf16",
            meaning: "weights, activations and KV: bf16 with fp32 sums, or f32 throughout (exact, slower, twice the memory)"),
        SettingKey(
            name: "model.weights", kind: .choice(["auto"] + WeightForm.allCases.map(\.name)), fallback: "auto",
            meaning: "auto: as dtype, or enec where that is faster; enec: bf16 packed, exact; int8, int8g32 (a scale per row, per 32 columns): not exact"),
        SettingKey(
            name: "model.load", kind: .choice(LoadOptions.Mode.allCases.map(\.rawValue)), fallback: "auto",
            meaning: "weights come from an image in the cache folder, or are repacked in memory at each start; auto: packed models as is sooner"),
        SettingKey(name: "model.cache", kind: .text, fallback: "", meaning: "folder of repacked weights; empty: the user's cache folder"),

        SettingKey(name: "engine.threads", kind: .integer(0...ThreadTeam.mostThreads), fallback: "0", meaning: "compute threads; 0: one per core"),
        SettingKey(
            name: "engine.step_tokens", kind: .integer(16...65_536), fallback: "512",
            meaning: "tokens per step: smaller for steadier streams, larger for faster prefill"),
        SettingKey(
            name: "engine.running_sequences", kind: .integer(1...65_536), fallback: "256", meaning: "sequences that generate at once; more wait"),
        SettingKey(
            name: "engine.waiting_sequences", kind: .integer(1...1_000_000), fallback: "4096", meaning: "sequences that may wait; more are refused"),
        SettingKey(
            name: "engine.kv_memory", kind: .bytes(anyBytes), fallback: "0",
            meaning: "KV cache; 0: enough for 32 sequences of full length, at most a quarter of the machine's memory"),

        SettingKey(name: "gateway.listen", kind: .list, fallback: "127.0.0.1:8080", meaning: "addresses of the inference API; port 0: any free port"),
        SettingKey(name: "gateway.tls_certificate", kind: .text, fallback: "", meaning: "PEM file with the certificate chain; empty: clear text"),
        SettingKey(name: "gateway.tls_key", kind: .text, fallback: "", meaning: "PEM file with the private key"),
        SettingKey(name: "gateway.api_keys", kind: .list, fallback: "", meaning: "keys that clients must send; empty: open", secret: true),
        SettingKey(name: "gateway.api_keys_file", kind: .text, fallback: "", meaning: "file with one key per line, added to the above"),
        SettingKey(
            name: "gateway.max_sequences", kind: .integer(1...1_000_000), fallback: "256",
            meaning: "answers in work (each choice counts); more get 429 with the time to come back"),
        SettingKey(
            name: "gateway.max_queued_tokens", kind: .integer(1...1_000_000_000), fallback: "262144",
            meaning: "prompt tokens of requests that have no first token yet; more get 429"),
        SettingKey(
            name: "gateway.max_preparing", kind: .integer(1...1_000_000), fallback: "256",
            meaning: "requests that wait for template and tokeniser; more get 429"),
        SettingKey(name: "gateway.request_timeout", kind: .seconds(1...86_400), fallback: "3600", meaning: "seconds that one answer may take at most"),
        SettingKey(name: "gateway.max_body", kind: .bytes(1024...(1 << 30)), fallback: "32MiB", meaning: "largest request body; more gets 413"),
        SettingKey(name: "gateway.max_connections", kind: .integer(1...1_000_000), fallback: "4096", meaning: "open connections"),
        SettingKey(
            name: "gateway.max_buffered", kind: .bytes(4096...(1 << 29)), fallback: "512KiB",
            meaning: "bytes kept for one client that does not read; beyond it the stream is cancelled"),
        SettingKey(name: "gateway.header_timeout", kind: .seconds(seconds), fallback: "10", meaning: "seconds for a request's head to arrive"),
        SettingKey(name: "gateway.body_timeout", kind: .seconds(seconds), fallback: "20", meaning: "seconds without a byte of an unfinished request body"),
        SettingKey(name: "gateway.idle_timeout", kind: .seconds(seconds), fallback: "75", meaning: "seconds an idle connection is kept"),
        SettingKey(name: "gateway.write_timeout", kind: .seconds(seconds), fallback: "30", meaning: "seconds a client may read nothing of what is due"),
        SettingKey(name: "gateway.keep_alive_comment", kind: .seconds(0.1...15), fallback: "10", meaning: "seconds of silence before a comment on a stream"),
        SettingKey(
            name: "gateway.reset_burst", kind: .integer(1...1_000_000), fallback: "1000",
            meaning: "HTTP/2 stream resets that one connection may send at once before it is closed"),
        SettingKey(name: "gateway.reset_rate", kind: .integer(1...1_000_000), fallback: "33", meaning: "and per second in the long run"),

        SettingKey(
            name: "fleet.workers", kind: .list, fallback: "prefill,decode",
            meaning: "worker processes that serve starts, by what they do: prefill, decode or prefill+decode; none: only those that join"),
        SettingKey(
            name: "fleet.listen", kind: .list, fallback: "",
            meaning: "addresses where workers of other machines join; a Unix socket or loopback in clear, any other with the certificates below"),
        SettingKey(
            name: "fleet.advertise", kind: .text, fallback: "",
            meaning: "name or address under which other machines reach the workers that serve starts; needed where those join"),
        SettingKey(name: "fleet.tls_certificate", kind: .text, fallback: "", meaning: "PEM file with this process's fleet certificate (deploy/fleet-ca.sh makes them)"),
        SettingKey(name: "fleet.tls_key", kind: .text, fallback: "", meaning: "PEM file with its private key"),
        SettingKey(name: "fleet.tls_authority", kind: .text, fallback: "", meaning: "PEM file with the fleet's authority: whom it has signed belongs to the fleet"),
        SettingKey(name: "fleet.pulse", kind: .seconds(0.05...60), fallback: "1", meaning: "seconds between a worker's signs of life"),
        SettingKey(name: "fleet.suspect_after", kind: .seconds(0.1...600), fallback: "2", meaning: "seconds of silence after which a worker gets nothing new"),
        SettingKey(name: "fleet.lost_after", kind: .seconds(0.2...600), fallback: "5", meaning: "and after which what it had is done again elsewhere"),
        SettingKey(
            name: "fleet.stall_after", kind: .seconds(1...3600), fallback: "30",
            meaning: "seconds without a finished step, with work pending, after which a worker is given up, however lively it is"),
        SettingKey(
            name: "fleet.attempts", kind: .integer(1...100), fallback: "4",
            meaning: "how often a sequence may be begun, the first time included, before its client gets an error"),
        SettingKey(
            name: "fleet.wait", kind: .seconds(0...3600), fallback: "30", meaning: "seconds that a sequence which lost its worker waits for another one"),
        SettingKey(
            name: "fleet.local_tokens", kind: .integer(0...1_000_000), fallback: "128",
            meaning: "prompts of at most so many new tokens may be prefilled where they are decoded, when that is no later"),
        SettingKey(
            name: "fleet.lease", kind: .seconds(1...3600), fallback: "30",
            meaning: "seconds that finished KV is kept for a worker that gives no sign of wanting it"),

        SettingKey(
            name: "kv.profile", kind: .text, fallback: "lossless",
            meaning: "how KV travels between workers: raw, lossless or one of kv.allowed"),
        SettingKey(
            name: "kv.allowed", kind: .text, fallback: "",
            meaning: "lossy profiles that may be used, with spaces between, as ferry codec measures them: \"kvserve-default had/mm(k16,v16)/rans\"; requests choose with x-ferry-kv-profile"),
        SettingKey(name: "kv.codec_threads", kind: .integer(1...64), fallback: "1", meaning: "threads that code and decode KV beside those that compute, in each worker"),

        SettingKey(name: "admin.listen", kind: .list, fallback: "127.0.0.1:9090", meaning: "addresses of health and metrics; keep them private"),
        SettingKey(
            name: "admin.stall_after", kind: .seconds(1...3600), fallback: "30",
            meaning: "seconds without a finished step, with work pending, after which the server is not ready"),

        SettingKey(name: "shutdown.drain", kind: .seconds(seconds), fallback: "30", meaning: "seconds that streams may still run after SIGTERM"),
        SettingKey(
            name: "log.level", kind: .choice(["trace", "debug", "info", "notice", "warning", "error", "critical"]), fallback: "info",
            meaning: "least severe line that is written"),
        SettingKey(name: "log.format", kind: .choice(["text", "json"]), fallback: "text", meaning: "text for people, json for machines"),
    ]

    static let byName = Dictionary(uniqueKeysWithValues: all.map { ($0.name, $0) })
}
