/// Carries a value that belongs to a reactor through code that the compiler cannot see to be on it, such as from a callback into
/// the actor that lives there. Reading it anywhere else traps.
package struct ReactorBound<Value>: @unchecked Sendable {
    // Sendable by argument: `value` is given only on the reactor's thread, where it was put in.
    private let held: Value
    private let reactor: Reactor

    package init(_ value: Value, on reactor: Reactor) {
        reactor.requireThread()
        self.held = value
        self.reactor = reactor
    }

    package var value: Value {
        reactor.requireThread()
        return held
    }
}
