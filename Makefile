# Ferry. `make run` and `make test` need a Debian 12 machine with a Swift 6.3 toolchain and nothing else:
# what is missing of the C libraries is installed with apt-get (as root or through sudo).

.DEFAULT_GOAL := build
.PHONY: build run test bench micro codecs install-libraries install-clients fresh-kernels clean sanitize

LIBRARIES := libuv1-dev libnghttp2-dev libssl-dev libpcre2-dev libutf8proc-dev libxxhash-dev liblz4-dev pkg-config

SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
FERRY := .build/release/ferry
VENV := .build/clients

build: install-libraries fresh-kernels
	swift build -c release --product ferry
	swift build -c release --product ferry-load

run: build
	$(FERRY) serve --config configs/local.yaml

# The tests run in a release build: the C kernels are two orders of magnitude slower in debug builds. It has a folder of its
# own, because some tests look inside modules (-enable-testing) and the product should not be built that way.
test: install-libraries install-clients fresh-kernels
	swift build $(TESTBUILD) --build-tests
	FERRY_PYTHON=$(abspath $(VENV))/bin/python swift test $(TESTBUILD) --skip-build $(TESTFLAGS)

TESTBUILD := -c release -Xswiftc -enable-testing --scratch-path .build-test

# The parsers under the address sanitizer, the threads under the thread sanitizer; debug builds, assertions included.
# Leaks are not looked for: the test runner itself has some.
sanitize: install-libraries
	swift build --build-tests --scratch-path .build-address --sanitize=address
	ASAN_OPTIONS=detect_leaks=0 swift test --skip-build --scratch-path .build-address --sanitize=address --filter '$(ADDRESS_SUITES)'
	swift build --build-tests --scratch-path .build-thread --sanitize=thread
	TSAN_OPTIONS=suppressions=$(abspath Tests/thread-sanitizer.supp) \
	  swift test --skip-build --scratch-path .build-thread --sanitize=thread --filter '$(THREAD_SUITES)'

ADDRESS_SUITES := PlatformTests|HTTPTests|WireTests|TokenizationTests|WeightsTests|KVCacheTests|SchedulingTests
# The socket tests of Server and Gateway overrun their time limits under it; run them by hand on a fast machine.
THREAD_SUITES := ReactorTests|WorkerTests|SchedulingTests|TransferTests|CodedStationTests

bench: build
	$(FERRY) bench --shape smollm2-135m

# Each kernel beside what the machine can do: loadtest/micro/README.md. MICROFLAGS="--isa avx2 --threads 2 --json"
micro:
	@mkdir -p .build-micro
	@$(dir $(realpath $(shell command -v swift)))clang -O2 -DNDEBUG -std=gnu17 -ISources/CKernels/include loadtest/micro/micro.c \
	  Sources/CKernels/*.c -lm -lpthread -o .build-micro/micro
	@.build-micro/micro $(MICROFLAGS)

# Size and speed of the weight codecs: loadtest/codecs/README.md. CODECFLAGS="--type bf16 --threads 1"
codecs:
	@mkdir -p .build-micro
	@$(dir $(realpath $(shell command -v swift)))clang -O2 -DNDEBUG -std=gnu17 -ISources/CKernels/include loadtest/codecs/codecs.c \
	  Sources/CKernels/*.c -lm -lpthread -o .build-micro/codecs
	@.build-micro/codecs $(CODECFLAGS)

# The build does not notice a new header of a C target: what was compiled of its module before then stands in the way.
fresh-kernels:
	@for header in Sources/CKernels/include/*.h; do find .build .build-test -name 'CKernels-*.pcm' ! -newer $$header -delete 2>/dev/null; done; true

install-libraries:
	@missing=""; for p in $(LIBRARIES); do dpkg-query -W -f='$${Status}' $$p 2>/dev/null | grep -q 'ok installed' || missing="$$missing $$p"; done; \
	if [ -n "$$missing" ]; then echo "installing$$missing"; $(SUDO) apt-get update -qq && $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing; fi

install-clients: $(VENV)/done
	@missing=""; for c in curl:curl h2load:nghttp2-client openssl:openssl node:nodejs java:default-jdk-headless; do \
	  command -v $${c%%:*} >/dev/null || missing="$$missing $${c##*:}"; done; \
	if [ -n "$$missing" ]; then echo "installing$$missing"; $(SUDO) apt-get update -qq && $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing; fi

$(VENV)/done: Tests/ClientTests/clients/requirements.txt
	@python3 -c "import ensurepip, venv" 2>/dev/null || { $(SUDO) apt-get update -qq; $(SUDO) apt-get install -y -qq python3 python3-venv; }
	python3 -m venv $(VENV)
	$(VENV)/bin/pip install -q --disable-pip-version-check -r $<
	touch $@

clean:
	rm -rf .build .build-test .build-address .build-thread .build-micro
