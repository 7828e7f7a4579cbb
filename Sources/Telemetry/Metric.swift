/// Every metric that Ferry exposes: its name, kind, meaning and, where a vLLM metric means the same, that name too, so
/// that dashboards, autoscalers and routers written for vLLM read Ferry unchanged.
package enum Metric: String, CaseIterable, Sendable {
    case buildInfo = "ferry_build_info"
    case cacheConfiguration = "ferry_cache_config_info"
    case modelLoadShare = "ferry_model_load_ratio"
    case modelLoadBytes = "ferry_model_load_read_bytes"
    case modelLoadTime = "ferry_model_load_seconds"
    case requests = "ferry_requests_total"
    case requestsFinished = "ferry_requests_finished_total"
    case requestsRefused = "ferry_requests_refused_total"
    case requestsCancelled = "ferry_requests_cancelled_total"
    case requestsActive = "ferry_requests_active"
    case sequencesActive = "ferry_sequences_active"
    case permitsHeld = "ferry_permits_held"
    case queuedPromptTokens = "ferry_queued_prompt_tokens"
    case requestsRunning = "ferry_sequences_running"
    case requestsWaiting = "ferry_sequences_waiting"
    case kvUsage = "ferry_kv_cache_usage_ratio"
    case promptTokens = "ferry_prompt_tokens_total"
    case generationTokens = "ferry_generation_tokens_total"
    case prefixQueries = "ferry_prefix_cache_queries_total"
    case prefixHits = "ferry_prefix_cache_hits_total"
    case preemptions = "ferry_preemptions_total"
    case workerConnected = "ferry_worker_connected"
    case workerLosses = "ferry_worker_losses_total"
    case steps = "ferry_steps_total"
    case prefilledTokens = "ferry_prefilled_tokens_total"
    case modelSeconds = "ferry_model_seconds_total"
    case stepSeconds = "ferry_step_seconds_total"
    case preparationTime = "ferry_preparation_seconds"
    case timeToFirstToken = "ferry_time_to_first_token_seconds"
    case interTokenLatency = "ferry_inter_token_latency_seconds"
    case requestLatency = "ferry_request_latency_seconds"
    case queueTime = "ferry_request_queue_seconds"
    case prefillTime = "ferry_request_prefill_seconds"
    case decodeTime = "ferry_request_decode_seconds"
    case inferenceTime = "ferry_request_inference_seconds"
    case requestPromptTokens = "ferry_request_prompt_tokens"
    case requestGenerationTokens = "ferry_request_generation_tokens"
    case requestChoices = "ferry_request_choices"
    case requestMaxTokens = "ferry_request_max_tokens"
    case iterationTokens = "ferry_iteration_tokens"
    case workers = "ferry_workers"
    case workersRefused = "ferry_workers_refused_total"
    case workersLost = "ferry_fleet_workers_lost_total"
    case placements = "ferry_placements_total"
    case replays = "ferry_replays_total"
    case replayedTokens = "ferry_replayed_tokens_total"
    case staleMessages = "ferry_stale_messages_total"
    case divergences = "ferry_token_divergences_total"
    case cancelToFree = "ferry_cancel_to_free_seconds"
    case kvRawBytes = "ferry_kv_transfer_raw_bytes_total"
    case kvSentBytes = "ferry_kv_transfer_sent_bytes_total"
    case kvTransfers = "ferry_kv_transfers_total"
    case kvReconnects = "ferry_kv_transfer_reconnects_total"
    case kvWireTime = "ferry_kv_transfer_wire_seconds"
    case kvExposedTime = "ferry_kv_transfer_exposed_seconds"

    package enum Kind: Sendable, Equatable {
        /// Only grows while the process lives; whole numbers counted here.
        case counter
        /// Only grows, but is read from elsewhere and set.
        case sampledCounter
        case gauge
        case histogram(edges: [Double])

        var word: String {
            switch self {
            case .counter, .sampledCounter: "counter"
            case .gauge: "gauge"
            case .histogram: "histogram"
            }
        }
    }

    package var kind: Kind {
        switch self {
        case .requests, .requestsFinished, .requestsRefused, .requestsCancelled, .promptTokens, .generationTokens, .workerLosses,
            .workersRefused, .kvRawBytes, .kvSentBytes, .kvTransfers, .kvReconnects:
            .counter
        case .prefixQueries, .prefixHits, .preemptions, .steps, .prefilledTokens, .modelSeconds, .stepSeconds, .workersLost,
            .placements, .replays, .replayedTokens, .staleMessages, .divergences:
            .sampledCounter
        case .buildInfo, .cacheConfiguration, .modelLoadShare, .modelLoadBytes, .modelLoadTime, .requestsActive, .sequencesActive, .permitsHeld, .queuedPromptTokens, .requestsRunning,
            .requestsWaiting, .kvUsage, .workerConnected, .workers:
            .gauge
        case .timeToFirstToken, .preparationTime: .histogram(edges: Buckets.firstToken)
        case .interTokenLatency, .cancelToFree, .kvExposedTime: .histogram(edges: Buckets.interToken)
        case .requestLatency, .queueTime, .prefillTime, .decodeTime, .inferenceTime, .kvWireTime: .histogram(edges: Buckets.request)
        case .requestPromptTokens, .requestGenerationTokens, .requestMaxTokens: .histogram(edges: Buckets.tokens)
        case .requestChoices: .histogram(edges: Buckets.choices)
        case .iterationTokens: .histogram(edges: Buckets.iteration)
        }
    }

    /// vLLM's names for the same measure; older names stay, since dashboards keep using them.
    package var compatibleNames: [String] {
        switch self {
        case .cacheConfiguration: ["vllm:cache_config_info"]
        case .requestsFinished: ["vllm:request_success_total"]
        case .requestsRunning: ["vllm:num_requests_running"]
        case .requestsWaiting: ["vllm:num_requests_waiting"]
        case .kvUsage: ["vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc"]
        case .promptTokens: ["vllm:prompt_tokens_total"]
        case .generationTokens: ["vllm:generation_tokens_total"]
        case .prefixQueries: ["vllm:prefix_cache_queries_total"]
        case .prefixHits: ["vllm:prefix_cache_hits_total"]
        case .preemptions: ["vllm:num_preemptions_total"]
        case .timeToFirstToken: ["vllm:time_to_first_token_seconds"]
        case .interTokenLatency: ["vllm:inter_token_latency_seconds", "vllm:time_per_output_token_seconds"]
        case .requestLatency: ["vllm:e2e_request_latency_seconds"]
        case .queueTime: ["vllm:request_queue_time_seconds"]
        case .prefillTime: ["vllm:request_prefill_time_seconds"]
        case .decodeTime: ["vllm:request_decode_time_seconds"]
        case .inferenceTime: ["vllm:request_inference_time_seconds"]
        case .requestPromptTokens: ["vllm:request_prompt_tokens"]
        case .requestGenerationTokens: ["vllm:request_generation_tokens"]
        case .requestChoices: ["vllm:request_params_n"]
        case .requestMaxTokens: ["vllm:request_params_max_tokens"]
        case .iterationTokens: ["vllm:iteration_tokens_total"]
        default: []
        }
    }

    package var explanation: String {
        switch self {
        case .buildInfo: "Always 1; the labels name the build and the model."
        case .cacheConfiguration: "Always 1; the labels name the size and number of KV pages."
        case .modelLoadShare: "Share of the weights that is loaded, 0 to 1."
        case .modelLoadBytes: "Bytes of files that were read to load the weights."
        case .modelLoadTime: "Seconds that loading the weights took; the label says what they were loaded from."
        case .requests: "HTTP requests answered, by route and status."
        case .requestsFinished: "Sequences that ended by themselves, by reason."
        case .requestsRefused: "Requests refused before generation, by error code."
        case .requestsCancelled: "Requests given up before their end, by cause."
        case .requestsActive: "Generation requests between arrival and last byte."
        case .sequencesActive: "Sequences started on a worker whose ending has not come."
        case .permitsHeld: "Admission permits held."
        case .queuedPromptTokens: "Prompt tokens of admitted requests that have no first token yet."
        case .requestsRunning: "Sequences in the worker's batch."
        case .requestsWaiting: "Sequences that wait for a place in the worker's batch."
        case .kvUsage: "Share of KV pages in use, 0 to 1."
        case .promptTokens: "Prompt tokens of sequences that ended."
        case .generationTokens: "Tokens generated."
        case .prefixQueries: "Prompt tokens looked up in the prefix cache."
        case .prefixHits: "Prompt tokens found in the prefix cache."
        case .preemptions: "Sequences whose pages were taken back to be computed again."
        case .workerConnected: "1 while a worker is attached."
        case .workerLosses: "Workers lost while attached."
        case .steps: "Forward passes of the worker."
        case .prefilledTokens: "Prompt tokens computed, that is not found in the prefix cache."
        case .modelSeconds: "Seconds inside forward passes."
        case .stepSeconds: "Seconds inside whole steps."
        case .preparationTime: "Seconds from arrival to the prompt's tokens: decoding, template, tokenisation."
        case .timeToFirstToken: "Seconds from arrival to the first token."
        case .interTokenLatency: "Seconds between consecutive tokens of a sequence."
        case .requestLatency: "Seconds from arrival to the end."
        case .queueTime: "Seconds a sequence waited in the worker."
        case .prefillTime: "Seconds of prefill of a sequence."
        case .decodeTime: "Seconds of decode of a sequence."
        case .inferenceTime: "Seconds of prefill and decode of a sequence."
        case .requestPromptTokens: "Prompt tokens per sequence."
        case .requestGenerationTokens: "Generated tokens per sequence."
        case .requestChoices: "The parameter n per request."
        case .requestMaxTokens: "The limit on generated tokens per request."
        case .iterationTokens: "Tokens computed per step."
        case .workers: "Workers in the fleet, by state."
        case .workersRefused: "Workers that were not let in, by code."
        case .workersLost: "Workers given up, for whatever reason."
        case .placements: "Sequences begun on one worker (whole) or on a prefilling and a decoding one (split)."
        case .replays: "Sequences begun again after their worker was lost or gave them up."
        case .replayedTokens: "Tokens of prompts and answers computed again for replays."
        case .staleMessages: "Tokens and endings of attempts that were over."
        case .divergences: "Tokens that came twice and differed: a worker computes wrongly."
        case .cancelToFree: "Seconds from giving a sequence up to the workers' word that its pages are free."
        case .kvRawBytes: "Bytes of KV handed from worker to worker, as the pages hold them."
        case .kvSentBytes: "Bytes that went over the links for them."
        case .kvTransfers: "Sequences whose KV was handed over."
        case .kvReconnects: "Connections beyond the first that hand-overs needed."
        case .kvWireTime: "Seconds in which the link was busy with one sequence's KV."
        case .kvExposedTime: "Seconds of it after the prefill's end, which the client waited for."
        }
    }
}

/// Upper edges of histogram buckets, ascending. All of vLLM's edges, so that its quantile queries keep their resolution,
/// and a few lower ones where small models are faster than vLLM's first edge.
package enum Buckets {
    package static let firstToken = [
        0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80, 160, 640, 2560,
    ]
    package static let interToken = [
        0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80,
    ]
    package static let request = [
        0.01, 0.05, 0.1, 0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480, 960, 1920, 7680,
    ]
    package static let tokens: [Double] = [
        1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000,
    ]
    package static let choices: [Double] = [1, 2, 5, 10, 20]
    package static let iteration: [Double] = [1, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384]
}
