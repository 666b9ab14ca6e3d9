VERSION ?= 0.1.0
COMMIT  ?= $(shell git describe --always --dirty 2>/dev/null || echo unknown)
PREFIX  ?= /usr/local
BINDIR  ?= $(PREFIX)/bin
OUTPUT  ?= oci-mini
GO      ?= go

# staticcheck from PATH, or from where `go install` puts it.
STATICCHECK ?= $(shell command -v staticcheck 2>/dev/null || echo "$$($(GO) env GOPATH)/bin/staticcheck")

# Where the process begins: internal/entry/doc.go. Elsewhere it begins in the Go runtime.
ENTRY = $(if $(filter amd64 arm64 riscv64,$(shell $(GO) env GOARCH)),-E github.com/oci-mini/oci-mini/internal/entry.entry)

BUILD = CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -tags urfave_cli_no_docs \
	-ldflags "-s -w $(ENTRY) -X main.version=$(VERSION) -X main.commit=$(COMMIT)"

.PHONY: build demo test test-vm test-engines check conformance install bench cross clean

build:
	$(BUILD) -o $(OUTPUT) .

# A container of this machine's own root file system, read-only: a shell at a
# terminal, a tour of what isolates it otherwise.
demo: build
	@dir=$$(mktemp -d "$${TMPDIR:-/tmp}/oci-mini-demo.XXXXXX") && chmod 755 "$$dir" && \
	trap 'rm -rf "$$dir"' EXIT && \
	if [ -t 0 ]; then \
		echo "A shell in a container; leave it with exit." && \
		./oci-mini spec --host --bundle "$$dir"; \
	else \
		./oci-mini spec --host --bundle "$$dir" -- sh -c "$$(cat tests/demo-tour.sh)"; \
	fi && \
	{ ./oci-mini run "$$dir/" || [ -t 0 ]; }

# Everything, with one count over all suites as the last line.
test: build
	@tests/install-deps
	@tests/engines/install-deps
	@tests/run $(SUITES)

# podman, containerd and docker drive it: see docs/engines.md.
test-engines: build
	@tests/install-deps
	@tests/engines/install-deps
	@tests/run engines

# The bats suite where systemd is init and cgroups are v2 alone: in virtual machines, four
# passes of half an hour to an hour each, and SELinux (tests/vm/README.md).
test-vm: build
	@tests/install-deps vm
	@tests/run vm-full

# SA1019 is off: a runtime must still read the fields that the specification
# has deprecated.
check:
	@unformatted=$$(gofmt -l .); if [ -n "$$unformatted" ]; then echo "not gofmt'ed:" $$unformatted; exit 1; fi
	$(GO) vet ./...
	@if [ ! -x "$(STATICCHECK)" ]; then \
		echo "staticcheck is missing: go install honnef.co/go/tools/cmd/staticcheck@v0.8.2"; exit 1; fi
	$(STATICCHECK) -checks inherit,-SA1019 ./...
	@tests/lint-shell

# The index of docs/conformance.md, from the schema of the specification.
conformance:
	$(GO) test ./internal/specschema -run TestConformancePage -update

install:
	@[ -x oci-mini ] || { echo "no ./oci-mini yet: make build"; exit 1; }
	install -d -m 0755 "$(DESTDIR)$(BINDIR)"
	if [ "$$(id -u)" = 0 ]; then owner="-o root -g root"; fi; \
	install $$owner -m 0755 oci-mini "$(DESTDIR)$(BINDIR)/oci-mini"

bench: build
	bench/run

cross:
	@dir=$$(mktemp -d "$${TMPDIR:-/tmp}/oci-mini-cross.XXXXXX") && trap 'rm -rf "$$dir"' EXIT && \
	for arch in amd64 arm64 riscv64; do \
		GOOS=linux GOARCH=$$arch $(BUILD) -o "$$dir/oci-mini-$$arch" . || exit 1; \
		echo "linux/$$arch: $$(wc -c <"$$dir/oci-mini-$$arch") bytes"; \
	done

clean:
	rm -f oci-mini
