# taolight. The two targets to know are `make run` and `make test`; `make help` lists the rest.
# Go is all they need; a C compiler adds the race detector, Node.js the interoperability judge.

GO       ?= go
NETWORK  ?= demo
FUZZTIME ?= 10s
# Packages for `make fuzz`.
PKG      ?= ./...

STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2

# Every release is made with these: no C, no paths of the machine that built it, no symbol table.
export CGO_ENABLED = 0
LDFLAGS  := -s -w
# Nobody here speaks HTTP/2: without it the program is half a megabyte smaller.
TAGS     := nethttpomithttp2
BUILD    := $(GO) build -trimpath -tags $(TAGS) -ldflags "$(LDFLAGS)"

# GOARM=6 runs on every Raspberry Pi; Go's own default when cross-building is 7, which a Pi Zero
# cannot run. arm64 stays at v8.0: the cores of a Pi 3, 4 and Zero 2 have nothing later.
TARGETS  := linux-amd64 linux-arm64 linux-armv7 linux-armv6 linux-riscv64
linux-amd64   := GOOS=linux GOARCH=amd64
linux-arm64   := GOOS=linux GOARCH=arm64
linux-armv7   := GOOS=linux GOARCH=arm GOARM=7
linux-armv6   := GOOS=linux GOARCH=arm GOARM=6
linux-riscv64 := GOOS=linux GOARCH=riscv64

# Where goroutines meet; the other packages have none.
RACE     := ./cmd/... ./lightclient/... ./gossip ./gossip/link ./internal/demonet/... ./storage/... ./internal/power/rig ./neuron/...

# Of these, tests without a second goroutine that would take minutes so, and one whose parts others run.
UNRACED  := ^(TestWatch|TestFlipDatabase|TestHostilePages|TestPowerCutInCommit|TestTornSlots|TestAllocatorModel|TestArgon)$$

STAGE    := sh .ci/stage

.PHONY: run build test bench budget cross fuzz interop fmt lint clean help man package test-package test-qemu \
	check-format check-vet check-lint check-test check-race check-modules

run: build
	@exec ./build/taolight run --network $(NETWORK)

build:
	@$(BUILD) -o build/taolight ./cmd/taolight

test: check-format check-vet check-lint check-test check-race cross check-modules

check-format:
	@$(STAGE) format sh -c 'bad=$$(gofmt -l .); [ -z "$$bad" ] || { echo "not as gofmt writes it; run: make fmt"; echo "$$bad"; exit 1; }'

# vet knows faults that only show where an int has 32 bits. All stages but the race detector's build
# with -trimpath, so that each package is compiled once for a platform and not once for a stage.
check-vet:
	@$(STAGE) "vet amd64" env GOARCH=amd64 $(GO) vet -trimpath ./...
	@$(STAGE) "vet arm64" env GOARCH=arm64 $(GO) vet -trimpath ./...
	@$(STAGE) "vet arm"   env GOARCH=arm   $(GO) vet -trimpath ./...

check-lint:
	@$(STAGE) staticcheck $(GO) run $(STATICCHECK) ./...

check-test:
	@$(STAGE) -t test $(GO) test -trimpath -v ./...

check-race:
	@cc=$$($(GO) env CC); case $$($(GO) env GOARCH) in \
	amd64 | arm64 | riscv64) \
		if command -v "$$cc" >/dev/null 2>&1; then \
			$(STAGE) -t "test -race" env CGO_ENABLED=1 $(GO) test -race -v -skip '$(UNRACED)' $(RACE); \
		else \
			$(STAGE) -s "test -race" "the race detector needs a C compiler, and there is none"; \
		fi ;; \
	*) $(STAGE) -s "test -race" "Go has no race detector for this processor" ;; \
	esac

# The modules that stand apart, so that what they need never enters go.mod.
check-modules:
	@for d in $(dir $(wildcard internal/*/go.mod internal/*/*/go.mod)); do \
		$(STAGE) "vet $${d%/}" sh -c "cd $$d && $(GO) vet ./..." || exit 1; \
	done

cross: $(TARGETS:%=cross-%) cross-js-wasm cross-wasip1-wasm

cross-linux-%:
	@$(STAGE) "build linux-$*" sh -c '$(linux-$*) $(BUILD) -o build/taolight-linux-$* ./cmd/taolight && \
		$(linux-$*) $(BUILD) -o build/verify-linux-$* ./verify/example && \
		echo "NOTE taolight $$(wc -c <build/taolight-linux-$*) bytes, verify/example $$(wc -c <build/verify-linux-$*) bytes"'

cross-js-wasm:
	@$(STAGE) "build js/wasm" env GOOS=js GOARCH=wasm $(GO) build -trimpath ./verify/...

cross-wasip1-wasm:
	@$(STAGE) "build wasip1/wasm" env GOOS=wasip1 GOARCH=wasm $(GO) build -trimpath ./verify/...

# Packages: the same commit, with the same Go, gives the same bytes on every machine. What the machine
# has set for Go is left out, and so is Go's own stamp, which depends on the clone. Without git give
# SOURCE_DATE_EPOCH and COMMIT.
PACKED   := linux-amd64 linux-arm64 linux-armv6 linux-riscv64
PACKAGE  := $(CURDIR)/build/package
RELEASED := env GOFLAGS=-mod=readonly GOAMD64=v1 GOARM64=v8.0 GORISCV64=rva20u64 GOEXPERIMENT= GOTOOLCHAIN=local
export SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null || echo 0)
# Set for a commit that is a release: its packages have the version alone.
TAGGED   ?= $(shell git describe --exact-match --match 'v*' HEAD 2>/dev/null)
COMMIT   ?= $(shell git rev-parse HEAD 2>/dev/null)

man: build
	@rm -rf $(PACKAGE)/in/man && mkdir -p $(PACKAGE)/in/man
	@$(GO) test -trimpath ./cmd/taolight -count 1 -run '^TestManPages$$' -man $(PACKAGE)/in/man >/dev/null
	@./build/taolight completion bash >$(PACKAGE)/in/taolight.bash
	@./build/taolight completion zsh  >$(PACKAGE)/in/_taolight
	@./build/taolight completion fish >$(PACKAGE)/in/taolight.fish

package: $(PACKED:%=pack-%)
	@$(STAGE) "man pages" $(MAKE) --no-print-directory man
	@[ -z "$$(git status --porcelain 2>/dev/null)" ] || echo 'note: the tree has changes that no commit holds'
	@$(STAGE) package sh -c 'rm -f $(PACKAGE)/taolight_* && cd internal/release && \
		$(GO) run . $(if $(TAGGED),,-commit "$(COMMIT)") -in $(PACKAGE)/in -out $(PACKAGE) $(PACKED)'

pack-linux-%:
	@$(STAGE) "program linux-$*" $(RELEASED) $(linux-$*) \
		$(GO) build -trimpath -tags $(TAGS) -buildvcs=false -ldflags "$(LDFLAGS) -X main.builtFrom=$(COMMIT)" -o $(PACKAGE)/in/linux-$*/taolight ./cmd/taolight

# Packages in a clean Debian, and that two builds are alike. Says SKIP where that cannot be tried.
test-package: package
	@sh .ci/test-package $(PACKAGE)

# The tests under the processors that boards have, by qemu's user mode (Debian: qemu-user-static).
test-qemu:
	@sh .ci/test-qemu

bench:
	@cd internal/bench && $(GO) run . $(BENCH)

# What a running node costs at each power level, beside its budgets; ten minutes.
budget:
	@cd internal/bench && $(GO) run . levels

# Judges that nobody here wrote: a stock light client from npm joins a running demo network, and a QR
# reader reads the codes that bundles are put on.
interop:
	@$(GO) run ./internal/interop
	@$(GO) run ./internal/interop -through
	@$(STAGE) -t "interop qr" sh -c 'cd internal/interop/qr && $(GO) test -v .'

# Every fuzz target there is, found by asking each package; $(FUZZTIME) each.
fuzz:
	@for p in $$($(GO) list $(PKG)); do \
		for f in $$($(GO) test -list '^Fuzz' $$p | grep '^Fuzz'); do \
			$(STAGE) "$${p##*/} $$f" nice $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x $$p || exit 1; \
		done; \
	done

fmt:
	@gofmt -l -w .

lint: check-format check-vet check-lint

clean:
	@rm -rf build

help:
	@echo 'make run        build, join the demo network, show its finalized head (NETWORK=finney: the real one)'
	@echo 'make test       everything that must hold: format, vet, lint, tests, races, every platform'
	@echo 'make build      build/taolight'
	@echo 'make cross      build/taolight-* for every platform, and their sizes'
	@echo 'make bench      figures beside their budgets, as ratios taken in one run'
	@echo 'make budget     what a node costs at each power level, beside its budgets (ten minutes)'
	@echo 'make fuzz       every fuzz target for FUZZTIME=10s each (PKG=./verify/... for some of them)'
	@echo 'make package  .deb and .ipk packages, their sums and bills of materials, in build/package'
	@echo 'make test-package, make test-qemu   packages in a clean Debian; tests on emulated ARM (or SKIP)'
	@echo 'make interop    judges from outside: a stock light client from npm (needs Node.js), a QR reader'
	@echo 'make fmt lint   write as gofmt does; what the linters say'
