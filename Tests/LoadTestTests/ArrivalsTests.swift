import Testing

@testable import LoadTest

@Suite struct ArrivalsTests {
    private func settings(_ change: (inout ArrivalSettings) -> Void) -> ArrivalSettings {
        var settings = ArrivalSettings()
        change(&settings)
        return settings
    }

    private func times(_ settings: ArrivalSettings, count: Int?, take: Int, seed: UInt64 = 0) throws -> [Double] {
        var arrivals = try Arrivals(settings, count: count, seed: seed)
        return (0..<take).map { _ in Double(arrivals.next()! / .nanoseconds(1)) / 1e9 }
    }

    private func gaps(_ times: [Double]) -> (mean: Double, variation: Double) {
        let gaps = zip(times, [0] + times).map { $0 - $1 }
        let mean = gaps.reduce(0, +) / Double(gaps.count)
        let variance = gaps.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(gaps.count)
        return (mean, variance.squareRoot() / mean)
    }

    @Test func aConstantRateHasConstantGaps() throws {
        let steady = settings {
            $0.requestRate = 4
            $0.burstiness = .infinity
        }
        #expect(try times(steady, count: 4, take: 4) == [0.25, 0.5, 0.75, 1])
    }

    /// The coefficient of variation of a gamma distribution is 1/√shape; its estimate over 20,000 gaps deviates by less than 2 %.
    @Test(arguments: [0.25, 1, 4, 25]) func gapsHaveTheMeanOfTheRateAndTheVariationOfTheBurstiness(burstiness: Double) throws {
        let bursty = settings {
            $0.requestRate = 50
            $0.burstiness = burstiness
        }
        let (mean, variation) = gaps(try times(bursty, count: nil, take: 20_000, seed: 7))
        #expect(abs(mean * 50 - 1) < 0.03, "\(mean)")
        #expect(abs(variation * burstiness.squareRoot() - 1) < 0.04, "\(variation)")
    }

    @Test func aKnownNumberIsStretchedToTheRateExactly() throws {
        let poisson = settings { $0.requestRate = 10 }
        let times = try times(poisson, count: 37, take: 37, seed: 3)
        #expect(times.last == 3.7)
        #expect(times == times.sorted())
        #expect(times[0] > 0)
    }

    /// Computed by the same published methods in Python from the constants of SplitMix64.
    @Test func theFirstTimesOfASeedStayWhatTheyAre() throws {
        let poisson = settings { $0.requestRate = 10 }
        #expect(try times(poisson, count: nil, take: 3, seed: 42) == GoldenArrivals.poisson)
        let bursty = settings {
            $0.requestRate = 10
            $0.burstiness = 0.5
        }
        #expect(try times(bursty, count: nil, take: 3, seed: 42) == GoldenArrivals.gamma)
    }

    @Test func seedsDiffer() throws {
        let poisson = settings { $0.requestRate = 10 }
        #expect(try times(poisson, count: nil, take: 1, seed: 1) != times(poisson, count: nil, take: 1, seed: 2))
    }

    @Test func withoutARateAllAreDueAtOnce() throws {
        #expect(try times(ArrivalSettings(), count: 3, take: 3) == [0, 0, 0])
    }

    @Test func withoutARateButWithABoundTheLoopIsClosed() throws {
        var arrivals = try Arrivals(settings { $0.maxConcurrency = 2 }, count: 3, seed: 0)
        #expect(arrivals.isClosedLoop)
        #expect(arrivals.next() == nil)
    }

    @Test func aLinearRampGoesFromRateToRate() throws {
        let ramp = settings {
            $0.burstiness = .infinity
            $0.rampUpStrategy = .linear
            $0.rampUpStartRps = 1
            $0.rampUpEndRps = 5
        }
        // Rates 1, 2, 3, 4, 5: gaps 1, 1/2, 1/3, 1/4, 1/5.
        let expected = [1, 1.5, 1.833333333, 2.083333333, 2.283333333]
        #expect(try times(ramp, count: 5, take: 5) == expected)
    }

    @Test func anExponentialRampMultipliesTheRate() throws {
        let ramp = settings {
            $0.burstiness = .infinity
            $0.rampUpStrategy = .exponential
            $0.rampUpStartRps = 1
            $0.rampUpEndRps = 4
        }
        #expect(try times(ramp, count: 3, take: 3) == [1, 1.5, 1.75])
    }

    @Test func aRampOverATimeStaysAtItsEndRate() throws {
        let ramp = settings {
            $0.burstiness = .infinity
            $0.rampUpStrategy = .linear
            $0.rampUpStartRps = 1
            $0.rampUpEndRps = 2
            $0.rampUpDuration = .seconds(1)
        }
        #expect(try times(ramp, count: nil, take: 3) == [1, 1.5, 2])
    }

    @Test func impossibleSettingsAreNamed() {
        let wrong: [(ArrivalSettings, String)] = [
            (settings { $0.requestRate = 0 }, "--request-rate is 0.0, a positive number or inf was expected"),
            (settings { $0.burstiness = -1 }, "--burstiness is -1.0, a positive number or inf was expected"),
            (settings { $0.maxConcurrency = 0 }, "--max-concurrency is 0, 1 or more was expected"),
            (settings { $0.rampUpStrategy = .linear }, "--ramp-up-start-rps is missing, --ramp-up-strategy linear asks for it"),
            (
                settings { $0.rampUpEndRps = 3 },
                "--ramp-up-start-rps and --ramp-up-end-rps ask for --ramp-up-strategy linear or exponential"
            ),
        ]
        for (settings, message) in wrong {
            #expect(throws: PlanError(message)) { _ = try Arrivals(settings, count: 1, seed: 0) }
        }
    }
}
