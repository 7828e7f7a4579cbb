// swift-tools-version: 6.2
import Foundation
import PackageDescription

// Targets stand in the order of the module table in README.md ("Map"). Imports go down only;
// ArchitectureTests compares the import lines of every file with these dependency lists.

/// One settings list for every Swift target: no target can opt out silently.
let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .strictMemorySafety(),
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .enableUpcomingFeature("InferIsolatedConformances"),
    .enableUpcomingFeature("ImmutableWeakCaptures"),
]

/// Lets Platform hand out spans from its own types (`@_lifetime`); nowhere else.
let lifetimes: [SwiftSetting] = [.enableExperimentalFeature("Lifetimes")]

let argumentParser: Target.Dependency = .product(name: "ArgumentParser", package: "swift-argument-parser")
let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")
let yaml: Target.Dependency = .product(name: "Yams", package: "Yams")
let histogram: Target.Dependency = .product(name: "Histogram", package: "hdrhistogram-swift")
let lifecycle: Target.Dependency = .product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
let signals: Target.Dependency = .product(name: "UnixSignals", package: "swift-service-lifecycle")

/// A test target. What lies in its `Fixtures` and the like is read from the checkout, so nothing is copied.
func test(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    let path = "Tests/\(name)Tests"
    let data = ["Fixtures", "Goldens", "clients"]
    return .testTarget(
        name: name + "Tests", dependencies: dependencies + ["TestSupport"], path: path,
        exclude: data.filter { FileManager.default.fileExists(atPath: Context.packageDirectory + "/" + path + "/" + $0) })
}

let package = Package(
    name: "ferry",
    products: [
        .executable(name: "ferry", targets: ["Ferry"]),
        .executable(name: "ferry-load", targets: ["LoadTest"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift", from: "0.2.0"),
    ],
    targets: [
        // Level 0: C
        .systemLibrary(name: "CLibUV", pkgConfig: "libuv", providers: [.apt(["libuv1-dev"])]),
        .systemLibrary(name: "CNGHTTP2", pkgConfig: "libnghttp2", providers: [.apt(["libnghttp2-dev"])]),
        .systemLibrary(name: "COpenSSL", pkgConfig: "openssl", providers: [.apt(["libssl-dev"])]),
        .systemLibrary(name: "CPCRE2", pkgConfig: "libpcre2-8", providers: [.apt(["libpcre2-dev"])]),
        .systemLibrary(name: "CUTF8Proc", providers: [.apt(["libutf8proc-dev"])]),
        .systemLibrary(name: "CXXHash", pkgConfig: "libxxhash", providers: [.apt(["libxxhash-dev"])]),
        .systemLibrary(name: "CLZ4", pkgConfig: "liblz4", providers: [.apt(["liblz4-dev"])]),
        .systemLibrary(name: "CLinux"),
        .target(
            name: "CKernels", exclude: ["README.md"],
            cSettings: [.define("NDEBUG", .when(configuration: .release))]
        ),
        // Level 1
        .target(name: "Platform", dependencies: ["CXXHash", "CLinux"], swiftSettings: lifetimes),
        .target(name: "Inference"),
        .target(name: "Telemetry", dependencies: [logging]),
        // Level 2
        .target(name: "Kernels", dependencies: ["CKernels", "Platform"]),
        .target(name: "Reactor", dependencies: ["CLibUV", "COpenSSL", "Platform"]),
        .target(name: "HTTP", dependencies: ["CNGHTTP2", "Platform"]),
        .target(name: "Wire", dependencies: ["Platform", "Inference"]),
        .target(name: "Tokenization", dependencies: ["CPCRE2", "CUTF8Proc", "Platform", "Inference"]),
        // Level 3
        .target(name: "Server", dependencies: ["Platform", "Reactor", "HTTP"]),
        .target(name: "Weights", dependencies: ["Platform", "Kernels", "Inference"], exclude: ["ENECFormat.md"]),
        .target(name: "KVCache", dependencies: ["Platform", "Inference"]),
        .target(name: "KVCodec", dependencies: ["CLZ4", "Platform", "Kernels", "Inference"], exclude: ["KVFormat.md"]),
        .target(name: "Model", dependencies: ["Platform", "Kernels", "Inference", "Weights"]),
        // Level 4
        .target(name: "Scheduling", dependencies: ["Platform", "Inference", "Wire", "KVCache"]),
        .target(name: "Routing", dependencies: ["Platform", "Inference", "Wire"]),
        // Level 5
        .target(
            name: "Engine",
            dependencies: ["Platform", "Inference", "Telemetry", "Kernels", "Wire", "KVCache", "KVCodec", "Weights", "Model", "Scheduling"]
        ),
        .target(name: "Transfer", dependencies: ["Platform", "Inference", "Reactor", "HTTP", "Server", "Wire", logging], exclude: ["README.md"]),
        // Level 6
        .target(
            name: "Gateway",
            dependencies: ["Platform", "Inference", "Reactor", "HTTP", "Server", "Wire", "Routing", "Tokenization", "Telemetry", logging]
        ),
        .target(name: "Admin", dependencies: ["Platform", "Inference", "Reactor", "HTTP", "Server", "Wire", "Telemetry", logging]),
        // Level 7
        .executableTarget(
            name: "Ferry",
            dependencies: [
                "Platform", "Inference", "Telemetry", "Kernels", "Reactor", "HTTP", "Server", "Wire", "Tokenization", "Weights",
                "KVCache", "KVCodec", "Model", "Scheduling", "Routing", "Engine", "Transfer", "Gateway", "Admin",
                argumentParser, logging, yaml, lifecycle, signals,
            ]
        ),
        .executableTarget(
            name: "LoadTest",
            dependencies: ["Platform", "Inference", "Telemetry", "Reactor", "HTTP", "Server", argumentParser, histogram],
            path: "loadtest/Sources", exclude: ["Figures/Figures.md"]
        ),
        // Tests
        .target(name: "TestSupport", dependencies: ["Platform"], path: "Tests/TestSupport"),
        test("Architecture", []),
        test("Platform", ["Platform"]),
        test("Telemetry", ["Telemetry", logging]),
        test("Kernels", ["Platform", "CKernels", "Kernels"]),
        test("Reactor", ["Platform", "Reactor"]),
        test("HTTP", ["Platform", "HTTP"]),
        test("Wire", ["Platform", "Inference", "Wire"]),
        test("Tokenization", ["Platform", "Inference", "Tokenization"]),
        test("Server", ["Platform", "Reactor", "HTTP", "Server"]),
        test("Weights", ["Platform", "Kernels", "Inference", "Weights"]),
        test("KVCache", ["Inference", "KVCache"]),
        test("KVCodec", ["Platform", "Kernels", "KVCodec"]),
        test("Model", ["Platform", "Kernels", "Inference", "Weights", "Model"]),
        test("Scheduling", ["Platform", "Inference", "Wire", "KVCache", "Scheduling"]),
        test("Routing", ["Platform", "Inference", "Wire", "Routing"]),
        test("Engine", ["Platform", "Inference", "Wire", "Kernels", "KVCache", "Weights", "Model", "Scheduling", "Engine", "Transfer"]),
        test("Transfer", ["Platform", "Inference", "Reactor", "HTTP", "Server", "Wire", "Transfer", logging]),
        test("Gateway", ["Platform", "Inference", "Telemetry", "Reactor", "HTTP", "Server", "Wire", "Routing", "Tokenization", "Gateway", logging]),
        test("Admin", ["Platform", "Inference", "Telemetry", "Reactor", "HTTP", "Server", "Wire", "Admin"]),
        test(
            "Ferry",
            ["Platform", "Inference", "Kernels", "Tokenization", "Weights", "KVCodec", "Model", "Wire", "Ferry"]),
        test("Client", ["Platform", "Ferry"]),
        test("LoadTest", ["Platform", "Reactor", "HTTP", "Server", "LoadTest"]),
    ]
)

for target in package.targets where target.type != .system && target.name != "CKernels" {
    target.swiftSettings = strict + (target.swiftSettings ?? [])
}
