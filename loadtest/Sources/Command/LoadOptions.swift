internal import ArgumentParser

/// Everything that a load is made of; what `run` and `sweep` have in common.
struct LoadOptions: ParsableArguments {
    @OptionGroup(title: "The server") var targets: TargetOptions
    @OptionGroup(title: "What is sent") var workload: WorkloadOptions
    @OptionGroup(title: "When it is sent") var arrivals: ArrivalOptions
    @OptionGroup(title: "Bounds, bodies, and what happens beside") var bounds: BoundOptions
    @OptionGroup(title: "Results") var results: ResultOptions
    @Option(help: "The same seed gives the same plan.") var seed: UInt64 = 0
}
