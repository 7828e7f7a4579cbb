import Platform
import Reactor
import Testing

@testable import Ferry

@Suite struct SupervisorTests {
    private enum News {
        case tick
        case started(String)
        case unstartable(String)
        case registered(String)
        case exited(String, ChildEnd)
        case stopAll
    }

    /// A supervisor with what it was told, and what it answered, as text.
    private struct Stage {
        var supervisor: Supervisor

        init(_ names: [String], _ plan: SupervisionPlan = SupervisionPlan()) {
            supervisor = Supervisor(names, plan: plan, now: Stage.moment(0))
        }

        static func moment(_ seconds: Double) -> MonotonicInstant {
            MonotonicInstant(nanoseconds: 5_000_000_000 + UInt64((seconds * 1e9).rounded()))
        }

        mutating func at(_ seconds: Double, _ news: News) -> [String] {
            let now = Stage.moment(seconds)
            let actions: [Supervisor.Action] = switch news {
            case .tick: supervisor.tick(now: now)
            case .started(let name): supervisor.started(name, number: 100, now: now)
            case .unstartable(let name): supervisor.failedToStart(name, reason: "cannot be found", now: now)
            case .registered(let name):
                {
                    supervisor.registered(name, now: now)
                    return []
                }()
            case .exited(let name, let end): supervisor.exited(name, end, now: now)
            case .stopAll: supervisor.stopAll(now: now)
            }
            return actions.map { action in
                switch action {
                case .start(let name): "start \(name)"
                case .signal(let name, let signal): "\(signal) \(name)"
                case .giveUp(let name, let reason, let status): "give up \(name), \(status): \(reason)"
                }
            }
        }

        var nextTick: Double? { supervisor.nextTick.map { Double($0.nanoseconds - 5_000_000_000) / 1e9 } }

        /// Lets a started child fail at `seconds` and returns how long the supervisor waits.
        mutating func pause(after seconds: Double) -> Double? {
            guard at(seconds, .started("w")) == [], at(seconds, .exited("w", .exited(status: 1))) == [], let tick = nextTick else { return nil }
            guard at(tick - 0.001, .tick) == [], at(tick, .tick) == ["start w"] else { return nil }
            return tick - seconds
        }
    }

    @Test func `all children are started by the first tick, in their order`() {
        var stage = Stage(["p0", "d0"])
        #expect(stage.nextTick == 0)
        #expect(stage.at(0, .tick) == ["start p0", "start d0"])
        #expect(stage.at(0, .tick) == [])
        #expect(stage.at(0.1, .started("p0")) == [])
        #expect(stage.supervisor.number(of: "p0") == 100)
        #expect(stage.supervisor.number(of: "d0") == nil)
        // When its patience with p0 ends.
        #expect(stage.nextTick == 600.1)
        #expect(stage.at(0.2, .registered("p0")) == [])
        #expect(stage.nextTick == nil)
    }

    @Test func `a child that keeps failing after it had registered is started again after doubling pauses, for ever`() {
        var stage = Stage(["w"])
        _ = stage.at(0, .tick)
        _ = stage.at(0, .started("w"))
        _ = stage.at(1, .registered("w"))
        #expect(stage.at(2, .exited("w", .killed(signal: 9))) == [])
        #expect(stage.nextTick == 2.1)
        #expect(stage.at(2.1, .tick) == ["start w"])
        var pauses: [Double?] = []
        for time in 1...9 { pauses.append(stage.pause(after: Double(time * 100)).map { ($0 * 1000).rounded() / 1000 }) }
        #expect(pauses == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10, 10, 10])
    }

    @Test func `a child registered for long enough has its pauses begin anew`() {
        var stage = Stage(["w"])
        _ = stage.at(0, .tick)
        _ = stage.at(0, .started("w"))
        _ = stage.at(1, .registered("w"))
        _ = stage.at(2, .exited("w", .exited(status: 1)))
        _ = stage.at(2.1, .tick)
        _ = stage.at(3, .started("w"))
        _ = stage.at(4, .registered("w"))
        // One nanosecond short of the proof, however long it ran.
        _ = stage.at(33.999_999_999, .exited("w", .exited(status: 1)))
        #expect(stage.nextTick == 34.199_999_999)
        _ = stage.at(35, .tick)
        _ = stage.at(35, .started("w"))
        _ = stage.at(40, .registered("w"))
        _ = stage.at(70, .exited("w", .exited(status: 0)))
        #expect(stage.nextTick == 70.1)
    }

    @Test func `a child that ends three times and never registered is given up, alone`() {
        var stage = Stage(["bad", "good"])
        #expect(stage.at(0, .tick) == ["start bad", "start good"])
        _ = stage.at(0, .started("good"))
        _ = stage.at(0, .registered("good"))
        #expect(stage.at(0, .started("bad")) == [])
        #expect(stage.at(1, .exited("bad", .exited(status: 1))) == [])
        #expect(stage.at(1.1, .tick) == ["start bad"])
        #expect(stage.at(1.1, .unstartable("bad")) == [])
        #expect(stage.at(1.3, .tick) == ["start bad"])
        #expect(stage.at(1.3, .started("bad")) == [])
        #expect(
            stage.at(3.05, .exited("bad", .killed(signal: 11)))
                == ["give up bad, 1: bad failed 3 times and never registered; at last it was ended by signal 11 after 1.8 s"])
        #expect(stage.nextTick == nil)
        #expect(!stage.supervisor.isOver)
        #expect(stage.at(4, .stopAll) == ["terminate good"])
        #expect(stage.at(5, .exited("good", .exited(status: 0))) == [])
        #expect(stage.supervisor.isOver)
    }

    @Test func `a child that starts and never registers hangs, and is killed`() {
        var plan = SupervisionPlan()
        plan.registration = .seconds(60)
        var stage = Stage(["a", "b"], plan)
        #expect(stage.at(0, .tick) == ["start a", "start b"])
        #expect(stage.at(0, .started("a")) == [] && stage.at(0, .started("b")) == [])
        #expect(stage.at(1, .registered("b")) == [])
        #expect(stage.nextTick == 60)
        #expect(stage.at(59.9, .tick) == [])
        #expect(stage.at(60, .tick) == ["kill a"])
        #expect(stage.at(60.1, .exited("a", .killed(signal: 9))) == [])
        #expect(stage.at(60.2, .tick) == ["start a"])
    }

    @Test func `a child that calls its configuration bad is given up at once`() {
        var stage = Stage(["w"])
        _ = stage.at(0, .tick)
        _ = stage.at(0, .started("w"))
        _ = stage.at(1, .registered("w"))
        #expect(stage.at(100, .exited("w", .exited(status: 78))) == ["give up w, 78: w ended with status 78 (bad configuration)"])
        #expect(stage.supervisor.isOver)
    }

    @Test func `a child that does not end in time is killed, and none is started again`() {
        var stage = Stage(["quick", "stuck", "waiting"])
        _ = stage.at(0, .tick)
        for name in ["quick", "stuck", "waiting"] { _ = stage.at(0, .started(name)) }
        _ = stage.at(1, .registered("waiting"))
        _ = stage.at(1, .exited("waiting", .exited(status: 1)))
        #expect(stage.at(1, .stopAll) == ["terminate quick", "terminate stuck"])
        #expect(stage.at(1.5, .stopAll) == [])
        #expect(stage.at(2, .exited("quick", .killed(signal: 15))) == [])
        #expect(stage.nextTick == 11)
        #expect(stage.at(10.9, .tick) == [])
        #expect(stage.at(11, .tick) == ["kill stuck"])
        #expect(stage.at(12, .tick) == [])
        #expect(!stage.supervisor.isOver)
        #expect(stage.at(12, .exited("stuck", .killed(signal: 9))) == [])
        #expect(stage.supervisor.isOver)
        #expect(stage.nextTick == nil)
    }

    @Test func `a child that was just being started when all are stopped is told so, or need not be`() {
        var stage = Stage(["a", "b"])
        _ = stage.at(0, .tick)
        #expect(stage.at(0, .stopAll) == [])
        #expect(stage.at(0.1, .started("a")) == ["terminate a"])
        #expect(stage.at(0.1, .unstartable("b")) == [])
        #expect(!stage.supervisor.isOver)
        #expect(stage.at(0.2, .exited("a", .exited(status: 78))) == [])
        #expect(stage.supervisor.isOver)
    }
}
