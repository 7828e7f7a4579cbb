extension KeyValueProfile {
    /// The preset's name where there is one, else the canonical text; both are parsed alike.
    package var name: String { KeyValuePreset.all.first { $0.profile == text }?.name ?? text }

    /// Nothing is coded: what pages hold may travel as it is.
    package var isRaw: Bool { name == KeyValuePreset.raw }

    /// - Throws: what the profile needs and `calibration` has not.
    package func check(_ calibration: KeyValueCalibration?) throws(KeyValueProfileError) {
        let missing = needs.subtracting(calibration?.has ?? [])
        guard missing.isEmpty else { throw KeyValueProfileError(text, "it needs a calibration with \(missing)") }
    }
}

extension KeyValuePreset {
    package static let raw = "raw"
    package static let lossless = "lossless"
}
