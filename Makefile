# make help lists the targets. Everything needs Go and git only, but for race,
# which needs a C compiler too.

GO      ?= go
TOOL    := $(GO) tool -modfile=tools/go.mod

# The directory whose words make run counts. Empty means the Go source tree.
DIR      ?=
# How long the tests of one package may take.
TIMEOUT  ?= 10m
# How long each fuzz target runs.
FUZZTIME ?= 10s
# Which benchmarks run, and how often, for benchstat.
BENCH    ?= .
COUNT    ?= 1
# How long make chaos breaks things, and what decides in which order. No seed
# means one drawn by chance, which it prints. SCENARIO tells one story instead.
DURATION ?= 45s
SEED     ?=
SCENARIO ?=
# Kinds of faults that make chaos breaks nothing but, with commas in between.
FAULTS   ?=
# What make bench-peers measures: SIZE is small, which takes three minutes, or
# full, which takes hours; ONLY is kinds of work and sides, as in
# sort,tasks/river; FLAGS are more, as in -servers 3 -repeat 5.
SIZE     ?= small
ONLY     ?=
FLAGS    ?=

.DEFAULT_GOAL := help

.PHONY: help
help: ## List the targets
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: ## Start three nodes and count the words of DIR, by default of the Go source tree
	$(GO) run ./cmd/muster demo $(DIR)

.PHONY: build
build: ## Build bin/muster
	$(GO) build -o bin/muster ./cmd/muster

.PHONY: cross
cross: ## Check that the binary builds for the other systems
	CGO_ENABLED=0 GOOS=linux GOARCH=arm64 $(GO) build -o /dev/null ./cmd/muster
	CGO_ENABLED=0 GOOS=darwin GOARCH=arm64 $(GO) build -o /dev/null ./cmd/muster
	CGO_ENABLED=0 GOOS=windows GOARCH=amd64 $(GO) build -o /dev/null ./cmd/muster

.PHONY: release
release: ## Build what a release consists of, for all systems, into dist/release
	GO=$(GO) .ci/release

.PHONY: test
test: ## Vet and test everything
	$(GO) vet ./...
	$(GO) test -timeout $(TIMEOUT) ./...

.PHONY: race
race: ## Test everything under the race detector
	CGO_ENABLED=1 $(GO) test -race -timeout $(TIMEOUT) ./...

.PHONY: lint
lint: ## Check style and look for bugs; the first time builds the linter, which takes minutes
	$(TOOL) golangci-lint run ./...

.PHONY: fmt
fmt: ## Format all Go files
	$(TOOL) gofumpt -w .

.PHONY: fuzz
fuzz: ## Run every fuzz target for FUZZTIME
	GO=$(GO) .ci/fuzz $(FUZZTIME)

.PHONY: bench
bench: ## Run the benchmarks that match BENCH, COUNT times, in a form that benchstat reads
	$(GO) test -run '^$$' -bench '$(BENCH)' -benchmem -count $(COUNT) ./...

.PHONY: chaos
chaos: ## Break a cluster of processes for DURATION while it works, by SEED, and check that nothing is lost
	$(GO) run ./benchmarks/chaos -duration $(DURATION) $(if $(SEED),-seed $(SEED)) $(if $(SCENARIO),-scenario $(SCENARIO)) $(if $(FAULTS),-faults $(FAULTS))

.PHONY: bench-peers
bench-peers: ## Measure muster beside asynq, River, Go, GNU, DuckDB and bigslice; the page is dist/peers/peers.html
	benchmarks/peers/install.sh bin/peers-python
	benchmarks/peers/bigslice/build.sh bin/peers-bigslice || echo 'bigslice can not be built: it is left out' >&2
	cd benchmarks/peers && $(GO) build -o ../../bin/peers .
	MUSTER_PEERS_PYTHON=$(CURDIR)/bin/peers-python/bin/python MUSTER_PEERS_BIGSLICE=$(CURDIR)/bin/peers-bigslice bin/peers -size $(SIZE) -only '$(ONLY)' -out dist/peers $(FLAGS)

.PHONY: test-peers
test-peers: ## Vet and test what measures muster beside others
	cd benchmarks/peers && $(GO) vet ./... && $(GO) test -timeout $(TIMEOUT) ./...

# What these tests read is outside of their module, and Go would not notice that
# it has changed.
.PHONY: test-deploy
test-deploy: ## Check what is in deploy: manifests, alerts and the dashboard
	cd deploy/check && $(GO) vet ./... && $(GO) test -count=1 -timeout $(TIMEOUT) ./...

.PHONY: verify
verify: ## Check that generated files, go.mod and go.sum are up to date
	GO=$(GO) .ci/verify

.PHONY: clean
clean: ## Remove what was built
	rm -rf bin dist
