package import Platform
internal import Inference
internal import KVCache
package import Scheduling
package import Wire

/// A worker: takes commands from its channel, plans steps, runs them, reports. One actor on a thread of its own.
///
/// A turn is: take what arrived, plan, run, complete, report: one report per step for all sequences. Between steps the
/// thread looks at the channel once; with nothing to do it waits there.
package actor Worker {
    private let thread: WorkerThread
    private var scheduler: Scheduler
    private let model: any StepModel
    private let channel: any GatewayChannel
    private let clock: any MonotonicClock
    private var steps: UInt64 = 0
    private var modelTime: Duration = .zero
    private var stepTime: Duration = .zero

    package nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe thread.asUnownedSerialExecutor() }

    /// - Parameters:
    ///   - pages: KV pages that the model has memory for.
    ///   - makeModel: makes the model from scratch, so that nobody else can hold it.
    ///   - fingerprint: whatever changes KV: weights, dtype, instruction set. Prefixes are shared only under equal ones.
    package init(
        thread: WorkerThread, limits: SchedulerLimits, pages: Int, fingerprint: String, channel: any GatewayChannel,
        clock: any MonotonicClock = SystemClock(), makeModel: @Sendable () throws -> any StepModel
    ) rethrows {
        self.thread = thread
        self.scheduler = Scheduler(limits: limits, cache: PageCache(pages: pages, model: fingerprint))
        self.model = try makeModel()
        self.channel = channel
        self.clock = clock
    }

    /// Serves until the channel is closed, then ends what is left. Called once.
    package func run() async {
        while await channel.wait() { serve() }
        scheduler.endAll(.failed("the worker stopped"), now: clock.now)
        reportEndings()
    }

    /// Steps until there is nothing left to do.
    private func serve() {
        repeat {
            take()
            step()
        } while !scheduler.isIdle
        assert(scheduler.integrity, "the scheduler's books do not add up")
    }

    private func take() {
        for command in channel.take() {
            switch command {
            case .start(let request): scheduler.start(request, now: clock.now)
            case .cancel(let id): scheduler.cancel(id, now: clock.now)
            }
        }
    }

    private func step() {
        let started = clock.now
        let plan = scheduler.plan(now: started)
        guard !plan.isEmpty else { return reportEndings() }
        let modelStarted = clock.now
        let outcomes = model.run(plan)
        let modelEnded = clock.now
        var report = scheduler.complete(plan, outcomes: outcomes, now: modelEnded)
        steps += 1
        modelTime += modelEnded.since(modelStarted)
        stepTime += clock.now.since(started)
        note(&report.load)
        channel.deliver(report)
    }

    private func reportEndings() {
        var report = StepReport(endings: scheduler.takeEndings(), load: scheduler.load)
        note(&report.load)
        channel.deliver(report)
    }

    private func note(_ load: inout WorkerLoad) {
        load.steps = steps
        load.modelTime = modelTime
        load.stepTime = stepTime
    }
}
