import Glibc
import Kernels
import TestSupport
import Testing

@Suite struct LogitsTests {
    @Test(arguments: supported)
    func `the greatest is the first of equals and never NaN`(set: InstructionSet) {
        let logits = Logits(instructionSet: set)
        for count in [1, 2, 15, 16, 17, 100, 1000] {
            for place in [0, count / 2, count - 1] {
                var x = [Float](repeating: -1, count: count)
                x[place] = 3
                #expect(logits.greatest(in: x.span) == place)
                x[count - 1] = 3
                #expect(logits.greatest(in: x.span) == place)
                x[place] = .nan
                if place < count - 1 { #expect(logits.greatest(in: x.span) == count - 1) }
            }
        }
        #expect(logits.greatest(in: [Float.nan, -.infinity].span) == 1)
        #expect(logits.greatest(in: [Float.nan, .nan].span) == 0)
        #expect(logits.greatest(in: [-Float.infinity, -.infinity].span) == 0)
        #expect(logits.greatest(in: [Float(0), -0.0].span) == 0)
    }

    @Test(arguments: supported)
    func `the sum of exponentials is close to double precision and equal on every instruction set`(set: InstructionSet) {
        var random = SeededGenerator(seed: 20)
        for count in [1, 15, 16, 17, 1023, 1024, 1025, 5000] {
            let x = random.floats(count, in: -20...20)
            let maximum = x.max()!
            let found = Logits(instructionSet: set).sumOfExponentials(of: x.span, maximum: maximum, scale: 0.7)
            let reference = x.reduce(0.0) { $0 + exp((Double($1) - Double(maximum)) * Double(Float(0.7))) }
            #expect(abs(found - reference) < reference * 1e-5)
            #expect(found == Logits(instructionSet: .scalar).sumOfExponentials(of: x.span, maximum: maximum, scale: 0.7))
            let whole = Logits(instructionSet: set).logSumOfExponentials(of: x.span)
            #expect(abs(whole - log(x.reduce(0.0) { $0 + exp(Double($1)) })) < 1e-5)
        }
    }
}
