internal import Inference
internal import Scheduling
package import Wire

/// A worker's ways to its peers: the station, where its pages are read and written, and the port that moves them.
///
/// The order is what keeps pages safe: the station forgets them before anybody else may have them, and knows them before the port is
/// told of them.
package struct Peers: Sendable {
    package let station: KeyValueStation
    package let port: any TransferPort

    package init(station: KeyValueStation, port: any TransferPort) {
        self.station = station
        self.port = port
        station.join(port)
    }

    /// What the port tells. The pages of what arrived or failed are closed already.
    func takeNews() -> [TransferNews] {
        let news = port.takeNews()
        for event in news {
            switch event {
            case .arrived(let transfer, _, _), .failed(let transfer, _): station.close(transfer)
            case .released, .expired: break
            }
        }
        return news
    }

    func perform(_ steps: [HandoffStep]) {
        guard !steps.isEmpty else { return }
        var orders: [TransferOrder] = []
        for step in steps {
            switch step {
            case .open(let transfer, let pages, let known, let tokens, let profile):
                station.open(transfer, pages: pages, known: known, tokens: tokens, profile: profile)
                orders.append(.offer(transfer))
            case .finish(let transfer, let chosen):
                station.finish(transfer, chosen: chosen)
                orders.append(.finished(transfer))
            case .withdraw(let transfer, let untold):
                station.withdraw(transfer)
                if untold { orders.append(.withdraw(transfer)) }
            case .announce(let transfer, let source): orders.append(.announce(transfer, from: source))
            case .fetch(let transfer, let source, let pages, let known, let tokens):
                station.expect(transfer, pages: pages, known: known, tokens: tokens)
                orders.append(.fetch(transfer, from: source))
            case .abandon(let transfer):
                station.close(transfer)
                orders.append(.abandon(transfer))
            }
        }
        if !orders.isEmpty { port.perform(orders) }
    }

    /// Computes a step, and tells station and port of its layers where some of it is for others.
    func run(_ plan: StepPlan, on model: any StepModel) -> [SampleOutcome?] {
        var offers: [TransferID] = []
        for segment in plan.segments {
            guard let offer = segment.sequence.offer else { continue }
            station.advance(offer, to: segment.position + segment.rows.count)
            offers.append(offer)
        }
        guard !offers.isEmpty else { return model.run(plan) }
        return model.run(plan) { layer in
            for offer in offers { station.layerIsDone(layer, of: offer) }
            port.layerIsDone()
        }
    }
}
