import Platform
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(1))) struct JobThreadsTests {
    @Test(arguments: [1, 3]) func `every job is done once, by a thread that there is, and those left at the end too`(count: Int) async {
        let (results, report) = AsyncStream<(job: Int, thread: Int)>.makeStream()
        do {
            let threads = JobThreads(count, name: "jobs")
            for job in 0..<1000 { threads.submit { report.yield((job, $0)) } }
        }
        var seen: [Int] = []
        for await (job, thread) in results {
            #expect((0..<count).contains(thread))
            seen.append(job)
            if seen.count == 1000 { break }
        }
        // One thread keeps the order in which they came.
        #expect((count == 1 ? seen : seen.sorted()) == Array(0..<1000))
    }
}
