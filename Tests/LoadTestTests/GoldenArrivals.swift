/// The first times of sending at 10 requests a second with seed 42, computed in Python by the same published methods.
enum GoldenArrivals {
    static let poisson = [0.045219535, 0.053485697, 0.160091817]
    static let gamma = [0.08489708, 0.42391137, 0.515052209]
}
