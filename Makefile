# make builds ./edgecam, with OpenCV where pkg-config finds it; make OPENCV= builds
# without; make test checks everything. See CONTRIBUTING.md.
GO      ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X main.version=$(VERSION)
LINT    := $(GO) run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
ASMFMT  := $(GO) run github.com/klauspost/asmfmt/cmd/asmfmt@v1.3.2
HOT     := ./kernels/... ./internal/op/...
RACE    := ./internal/engine/... ./sdk/... ./camera/... ./cmd/...
GOFILES  = $(shell git ls-files -co --exclude-standard '*.go')
ASMSUM   = git ls-files -co --exclude-standard -z kernels | xargs -0 sha256sum
TARGETS := linux/amd64 linux/arm64 linux/arm darwin/arm64 windows/amd64
PYTHON  ?= python3
FUZZTIME ?= 1m
BENCH ?= .
BENCHTIME ?= 0.2s
# Without these tags no GoCV after 0.32 compiles against OpenCV 4.6.
TAGS    := gocv,gocv_specific_modules,gocv_videoio
# The version of OpenCV, or nothing; WHYNOT says why. Libraries that are not used are not linked.
OPENCV  ?= $(shell ./scripts/opencv >/dev/null && ./scripts/opencv)
WHYNOT   = $(or $(shell ./scripts/opencv | grep -v '^[0-9]'),OPENCV is set to nothing)
CGO      = CGO_ENABLED=1 CGO_LDFLAGS='-O2 -g -Wl,--as-needed'
SUITE   ?= bookworm
export GOFLAGS += -buildvcs=false

.PHONY: build test deps fmt vet cross test-unit test-noasm test-arm64 test-selftest test-gocv test-gocv-arm64 test-avx512 test-vnni arm64 gocv-arm64 dist race fuzz bench bench-peers lint golden size generate-check
build:
ifneq ($(OPENCV),)
	@echo "with GoCV and OpenCV $(OPENCV), which pkg-config finds; the first time takes a minute (make OPENCV= builds without)"
	$(CGO) $(GO) build -trimpath -tags $(TAGS) -ldflags '$(LDFLAGS)' -o edgecam ./cmd/edgecam
else
	@echo "without OpenCV: $(WHYNOT)"
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o edgecam ./cmd/edgecam
endif
arm64:
	CGO_ENABLED=0 GOOS=linux GOARCH=arm64 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/edgecam-arm64 ./cmd/edgecam
gocv-arm64:
	LDFLAGS='$(LDFLAGS)' ./scripts/gocv-arm64 $(SUITE) build
dist:
	VERSION='$(VERSION)' ./scripts/dist
# The plain unit tests come last, so that the output ends with their summary.
test: deps fmt vet cross lint generate-check test-noasm race test-arm64 test-selftest test-gocv test-gocv-arm64 test-unit
deps:
	@./.ci/deps
fmt:
	@files=$$(gofmt -l $(GOFILES)); test -z "$$files" || { echo "gofmt -w these files: $$files"; exit 1; }
vet:
	$(GO) vet ./... && GOARCH=arm64 CGO_ENABLED=0 $(GO) vet ./...
cross:
	@for t in $(TARGETS); do echo "build $$t"; CGO_ENABLED=0 GOOS=$${t%/*} GOARCH=$${t#*/} $(GO) build -o /dev/null ./... || exit 1; done
test-unit:
	$(GO) test ./...
test-noasm:
	$(GO) test -tags noasm $(HOT)
test-arm64:
	QEMU_CPUS="max cortex-a76 cortex-a72 a64fx" ./.ci/arm64 $(HOT)
	QEMU_CPUS=max ./.ci/arm64 $$($(GO) list ./... | grep -v -e /kernels -e /internal/op$$ -e /internal/lint$$)
# edgecam selftest on every rung, and as arm64 code on four processors.
test-selftest:
	./.ci/selftest
test-gocv:
	@if why=$$(./scripts/opencv); then set -x; $(CGO) $(GO) vet -tags $(TAGS),matprofile ./... && $(CGO) $(LINT) run --build-tags $(TAGS),matprofile ./camera ./sdk && $(CGO) $(GO) test -tags $(TAGS),matprofile ./camera ./sdk; \
	else echo "tests of the GoCV edition left out: $$why"; fi
test-gocv-arm64:
	./.ci/gocv-arm64 $(SUITE)
# Emulation takes minutes, so these are not part of test.
test-avx512:
	./.ci/avx512 ./kernels
test-vnni:
	./.ci/avxvnni ./kernels
race:
	@if command -v gcc >/dev/null; then EDGECAM_ASSETS=none CGO_ENABLED=1 $(GO) test -race -short $(RACE); else echo "race detector skipped: it needs gcc (apt-get install gcc libc6-dev)"; fi
fuzz:
	@grep -rhoE --include='*_test.go' '^func Fuzz[A-Za-z]+' -H . | sed -E 's,/[^/]*:func , ,' | while read -r dir name; do \
		echo "$$dir $$name"; $(GO) test -run '^$$' -fuzz "^$$name$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 1x $$dir || exit 1; done
bench:
	$(GO) test -run '^$$' -bench '$(BENCH)' -benchtime $(BENCHTIME) -count 6 $(HOT)
# Beside other runtimes; writes docs/benchmarks.md and the README's figures. PEERS holds vs.py, PYTHON has the
# engines. At its defaults, ten nets take about ten minutes, on a machine that does nothing else.
PEERS        ?= $(EDGECAM_ASSETS)/peers
MODELS       ?=
ROUNDS       ?= 3
SECONDS      ?= 0.4
RUNS         ?= 10000
REPEAT       ?= 5
HIST         ?= mobilenet_v2,fastestdet
HIST_THREADS ?= 1
OUT          ?= docs/benchmarks.md
README       ?= README.md
bench-peers:
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/edgecam ./cmd/edgecam
	$(PYTHON) scripts/bench-peers --edgecam bin/edgecam --peers "$(PEERS)" --rounds $(ROUNDS) --seconds $(SECONDS) --runs $(RUNS) --repeat $(REPEAT) --hist $(HIST) --hist-threads $(HIST_THREADS) --out $(OUT) --readme "$(README)" $(MODELS)
lint:
	$(LINT) run ./...
	@files=$$($(ASMFMT) -l $$(git ls-files -co --exclude-standard '*.s')); test -z "$$files" || { echo "asmfmt -w these files: $$files"; exit 1; }
golden:
	for f in testdata/gen/*.py; do $(PYTHON) $$f || exit 1; done
# Generated assembly is committed: generating it again must not change a byte.
generate-check:
	@a=$$($(ASMSUM)); $(GO) generate ./kernels/... && test "$$a" = "$$($(ASMSUM))" || { echo "go generate changed kernels/: commit the result"; exit 1; }
# Lines of Go by package, the stripped binary, and the README's program, which imports only the SDK.
size: build
	@for p in $$($(GO) list -f '{{.Dir}}' ./...); do printf '%7d %s\n' $$(cat $$p/*.go | grep -vc '^\s*$$') $${p#$(CURDIR)/}; done | sort -rn
	@CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w' -o bin/sdk-program ./internal/lint/testdata/readme && ls -l edgecam bin/sdk-program
