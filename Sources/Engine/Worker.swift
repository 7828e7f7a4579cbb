package import Platform
internal import Inference
internal import KVCache
package import Scheduling
package import Wire

/// A worker: takes commands from its channel, plans steps, runs them, reports. One actor on a thread of its own.
///
/// A turn is: take what arrived, plan, run, complete, report: one report per step for all sequences. Between steps the
/// thread looks at the channel once; with nothing to compute it waits there, also for what its transfers bring.
package actor Worker {
    private let thread: WorkerThread
    private var scheduler: Scheduler
    private let model: any StepModel
    private let channel: any GatewayChannel
    private let clock: any MonotonicClock
    private let peers: Peers?
    private var reported = WorkerLoad()
    private var steps: UInt64 = 0
    private var modelTime: Duration = .zero
    private var stepTime: Duration = .zero

    package nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe thread.asUnownedSerialExecutor() }

    /// - Parameters:
    ///   - pages: KV pages that the model has memory for.
    ///   - peers: the ways to other workers; without them every sequence that is to be handed over fails.
    ///   - makeModel: makes the model from scratch, so that nobody else can hold it.
    ///   - fingerprint: whatever changes KV: weights, dtype, instruction set. Prefixes are shared only under equal ones.
    package init(
        thread: WorkerThread, limits: SchedulerLimits, pages: Int, fingerprint: String, channel: any GatewayChannel,
        clock: any MonotonicClock = SystemClock(), peers: Peers? = nil, makeModel: @Sendable () throws -> any StepModel
    ) rethrows {
        self.thread = thread
        self.scheduler = Scheduler(limits: limits, cache: PageCache(pages: pages, model: fingerprint))
        self.model = try makeModel()
        self.channel = channel
        self.clock = clock
        self.peers = peers
    }

    /// Serves until the channel is closed, then ends what is left. Called once.
    package func run() async {
        while await channel.wait() {
            serve()
            model.rest()
        }
        scheduler.endAll(.failed("the worker stopped"), now: clock.now)
        performHandoffs()
        reportEndings()
    }

    /// Steps until there is nothing to compute. What waits then, waits for the channel.
    private func serve() {
        repeat { take() } while step()
        assert(scheduler.integrity, "the scheduler's books do not add up")
    }

    private func take() {
        for command in channel.take() {
            switch command {
            case .start(let request) where request.handoff != .none && peers == nil:
                scheduler.refuse(request, "a hand-off was asked for, this worker has no way to others", now: clock.now)
            case .start(let request):
                if case .send = request.handoff, let reason = peers?.station.refusal(of: request.profile) {
                    scheduler.refuse(request, reason, now: clock.now)
                } else {
                    scheduler.start(request, now: clock.now)
                }
            case .cancel(let id): scheduler.cancel(id, now: clock.now)
            }
        }
        guard let peers else { return }
        for news in peers.takeNews() { scheduler.take(news, now: clock.now) }
    }

    /// Computes one step; false when there is nothing to compute.
    private func step() -> Bool {
        let started = clock.now
        let plan = scheduler.plan(now: started)
        // Pages that were taken back may be in the plan.
        performHandoffs()
        guard !plan.isEmpty else {
            reportEndings()
            return false
        }
        if !plan.began.isEmpty {
            var report = StepReport(began: plan.began, load: scheduler.load)
            note(&report.load)
            channel.deliver(report)
        }
        let modelStarted = clock.now
        let outcomes = peers?.run(plan, on: model) ?? model.run(plan)
        let modelEnded = clock.now
        var report = scheduler.complete(plan, outcomes: outcomes, now: modelEnded)
        performHandoffs()
        steps += 1
        modelTime += modelEnded.since(modelStarted)
        stepTime += clock.now.since(started)
        note(&report.load)
        channel.deliver(report)
        return true
    }

    private func performHandoffs() { peers?.perform(scheduler.takeHandoffSteps()) }

    /// Endings without a step, and a load that changed without one.
    private func reportEndings() {
        var report = StepReport(endings: scheduler.takeEndings(), load: scheduler.load)
        let last = reported
        note(&report.load)
        if !report.endings.isEmpty || report.load != last { channel.deliver(report) }
    }

    private func note(_ load: inout WorkerLoad) {
        load.steps = steps
        load.modelTime = modelTime
        load.stepTime = stepTime
        reported = load
    }
}
