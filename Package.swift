// swift-tools-version: 6.2
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
let deque: Target.Dependency = .product(name: "DequeModule", package: "swift-collections")
let configuration: Target.Dependency = .product(name: "Configuration", package: "swift-configuration")
let lifecycle: Target.Dependency = .product(name: "ServiceLifecycle", package: "swift-service-lifecycle")

func test(_ name: String, _ dependencies: [Target.Dependency], resources: [Resource] = []) -> Target {
    .testTarget(name: name + "Tests", dependencies: dependencies + ["TestSupport"], path: "Tests/\(name)Tests", resources: resources)
}

let package = Package(
    name: "ferry",
    products: [
        .executable(name: "ferry", targets: ["Ferry"])
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-configuration", from: "1.4.0", traits: ["YAML"]),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    ],
    targets: [
        // Level 0: C
        .systemLibrary(name: "CLibUV", pkgConfig: "libuv", providers: [.apt(["libuv1-dev"])]),
        .systemLibrary(name: "CNGHTTP2", pkgConfig: "libnghttp2", providers: [.apt(["libnghttp2-dev"])]),
        .systemLibrary(name: "COpenSSL", pkgConfig: "openssl", providers: [.apt(["libssl-dev"])]),
        .systemLibrary(name: "CPCRE2", pkgConfig: "libpcre2-8", providers: [.apt(["libpcre2-dev"])]),
        .systemLibrary(name: "CUTF8Proc", providers: [.apt(["libutf8proc-dev"])]),
        .systemLibrary(name: "CXXHash", pkgConfig: "libxxhash", providers: [.apt(["libxxhash-dev"])]),
        .target(
            name: "CKernels", exclude: ["README.md"],
            cSettings: [.define("NDEBUG", .when(configuration: .release))]
        ),
        // Level 1
        .target(name: "Platform", dependencies: ["CXXHash"], swiftSettings: lifetimes),
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
        .target(name: "Weights", dependencies: ["Platform", "Kernels", "Inference"]),
        .target(name: "KVCache", dependencies: ["Platform", "Inference"]),
        .target(name: "Model", dependencies: ["Platform", "Kernels", "Inference", "Weights"]),
        // Level 4
        .target(name: "Scheduling", dependencies: ["Inference", "KVCache", deque]),
        // Level 5
        .target(
            name: "Engine",
            dependencies: ["Platform", "Inference", "Telemetry", "Kernels", "Wire", "KVCache", "Weights", "Model", "Scheduling"]
        ),
        .target(name: "Transfer", dependencies: ["Platform", "Wire", "Telemetry"]),
        // Level 6
        .target(
            name: "Gateway",
            dependencies: ["Platform", "Inference", "Reactor", "HTTP", "Server", "Wire", "Tokenization", "Telemetry"]
        ),
        .target(name: "Admin", dependencies: ["Platform", "Inference", "Reactor", "HTTP", "Server", "Wire", "Telemetry"]),
        // Level 7
        .executableTarget(
            name: "Ferry",
            dependencies: [
                "Platform", "Inference", "Telemetry", "Kernels", "Reactor", "HTTP", "Server", "Wire", "Tokenization", "Weights",
                "KVCache", "Model", "Scheduling", "Engine", "Transfer", "Gateway", "Admin",
                argumentParser, logging, configuration, lifecycle,
            ]
        ),
        // Tests
        .target(name: "TestSupport", dependencies: ["Platform"], path: "Tests/TestSupport"),
        test("Architecture", []),
        test("Tokenization", ["Tokenization", "Platform", "Inference"], resources: [.copy("Fixtures"), .copy("Goldens")]),
    ]
)

for target in package.targets where target.type != .system && target.name != "CKernels" {
    target.swiftSettings = strict + (target.swiftSettings ?? [])
}
