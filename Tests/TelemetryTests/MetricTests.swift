import Telemetry
import Testing

@Suite struct MetricTests {
    @Test("an observation on an edge belongs to the bucket of that edge, one above all edges to the last")
    func edges() {
        var counts = HistogramCounts(edges: [1, 2, 5])
        for value in [0.5, 1, 1.5, 2, 5, 5.1, -3] { counts.observe(value) }
        #expect(counts.buckets == [3, 2, 1, 1])
        #expect(counts.count == 7)
        counts.observe(.nan)
        counts.observe(.infinity)
        #expect(counts.count == 7)
    }

    @Test("a quantile is interpolated inside its bucket")
    func quantile() {
        var counts = HistogramCounts(edges: [10, 20])
        #expect(counts.quantile(0.5) == nil)
        for _ in 0..<10 { counts.observe(15) }
        #expect(counts.quantile(0.5) == 15)
        #expect(counts.quantile(1) == 20)
    }

    @Test("the text names each family once, with cumulative buckets and escaped labels, under both names")
    func exposition() {
        let registry = MetricRegistry(commonLabels: [MetricLabel("model_name", "a\"b\\c\nd")])
        registry.counter(.requestsFinished, MetricLabel("finished_reason", "stop")).add(2)
        registry.counter(.requestsFinished, MetricLabel("finished_reason", "length")).add()
        registry.gauge(.kvUsage).set(0.25)
        registry.histogram(.requestChoices).observe(2)
        registry.histogram(.requestChoices).observe(100)
        let text = String(decoding: PrometheusText.render(registry, compatibleNames: false), as: UTF8.self)
        #expect(
            text == #"""
                # HELP ferry_requests_finished_total Sequences that ended by themselves, by reason.
                # TYPE ferry_requests_finished_total counter
                ferry_requests_finished_total{model_name="a\"b\\c\nd",finished_reason="stop"} 2
                ferry_requests_finished_total{model_name="a\"b\\c\nd",finished_reason="length"} 1
                # HELP ferry_kv_cache_usage_ratio Share of KV pages in use, 0 to 1.
                # TYPE ferry_kv_cache_usage_ratio gauge
                ferry_kv_cache_usage_ratio{model_name="a\"b\\c\nd"} 0.25
                # HELP ferry_request_choices The parameter n per request.
                # TYPE ferry_request_choices histogram
                ferry_request_choices_bucket{model_name="a\"b\\c\nd",le="1"} 0
                ferry_request_choices_bucket{model_name="a\"b\\c\nd",le="2"} 1
                ferry_request_choices_bucket{model_name="a\"b\\c\nd",le="5"} 1
                ferry_request_choices_bucket{model_name="a\"b\\c\nd",le="10"} 1
                ferry_request_choices_bucket{model_name="a\"b\\c\nd",le="20"} 1
                ferry_request_choices_bucket{model_name="a\"b\\c\nd",le="+Inf"} 2
                ferry_request_choices_sum{model_name="a\"b\\c\nd"} 102
                ferry_request_choices_count{model_name="a\"b\\c\nd"} 2

                """#)
        let both = String(decoding: PrometheusText.render(registry), as: UTF8.self)
        #expect(both.contains("\nvllm:kv_cache_usage_perc{"))
        #expect(both.contains("\nvllm:gpu_cache_usage_perc{"))
        #expect(both.contains("vllm:request_success_total{model_name=\"a\\\"b\\\\c\\nd\",finished_reason=\"length\"} 1\n"))
    }

    @Test("metric names are unique over both sets and legal")
    func names() {
        let names = Metric.allCases.flatMap { [$0.rawValue] + $0.compatibleNames }
        #expect(Set(names).count == names.count)
        for name in names {
            #expect(name.utf8.allSatisfy { ($0 >= 97 && $0 <= 122) || ($0 >= 48 && $0 <= 57) || $0 == 95 || $0 == 58 }, "\(name)")
        }
        for metric in Metric.allCases {
            switch metric.kind {
            case .counter, .sampledCounter: #expect(metric.rawValue.hasSuffix("_total"))
            default: #expect(!metric.rawValue.hasSuffix("_total"))
            }
        }
    }

    @Test("label sets beyond the bound share one series")
    func bounded() {
        let registry = MetricRegistry(seriesLimit: 2)
        for index in 0..<10 { registry.counter(.requests, MetricLabel("route", "\(index)")).add() }
        let text = String(decoding: PrometheusText.render(registry), as: UTF8.self)
        #expect(text.contains("ferry_requests_total{route=\"other\"} 8\n"))
    }
}
