/// How far a service is on the way to having its model's weights in memory.
package struct LoadProgress: Sendable, Equatable {
    /// 0 to 1.
    package var share: Double
    /// What is being done: `reading`, `decoding`, `repacking`; `starting` before anything is known.
    package var stage: String
    package var doneBytes: Int
    package var totalBytes: Int

    package init(share: Double = 0, stage: String = "starting", doneBytes: Int = 0, totalBytes: Int = 0) {
        self.share = share
        self.stage = stage
        self.doneBytes = doneBytes
        self.totalBytes = totalBytes
    }
}
