# Tallystick. `make` lists the targets; a target's help is the text after its ##.

SHELL = /bin/sh
GO = sh scripts/go.sh
VERSION = $(shell git -c safe.directory='*' describe --tags --always --dirty 2>/dev/null || echo unversioned)

.DEFAULT_GOAL = help

.PHONY: help
help: ## list the targets
	@sed -n 's/^\([a-z][a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | while IFS="$$(printf '\t')" read -r target text; do \
		printf '  make %-10s %s\n' "$$target" "$$text"; done

.PHONY: run
run: ## install what is missing, build, and serve on 127.0.0.1:8080 (ARGS="--listen …" for more)
	@sh scripts/install.sh engine curl
	@$(MAKE) --no-print-directory build
	@exec bin/tallystick serve $(ARGS)

.PHONY: demo
demo: ## make the ledger demo: a year of a small payment institution (ARGS="--customers 1000" for more)
	@sh scripts/install.sh engine
	@$(MAKE) --no-print-directory build
	@bin/tallystick demo $(ARGS)

.PHONY: test
test: ## install what is missing, then vet, staticcheck and all tests with the race detector
	@sh scripts/install.sh postgres compiler curl jq hledger xmllint
	@sh scripts/test.sh

.PHONY: build
build: ## build bin/tallystick
	@$(GO) build -trimpath -ldflags '-X main.version=$(VERSION)' -o bin/tallystick ./cmd/tallystick

.PHONY: lint
lint: ## go vet and staticcheck
	@sh scripts/lint.sh

.PHONY: clean
clean: ## remove what was built; data/ stays
	@rm -rf bin

# The long versions of what the tests run in short. Each starts and stops servers of its own.

.PHONY: crash
crash: ## kill -9 server and engine, 20 rounds each, and look for what was lost or doubled
	@sh scripts/install.sh engine
	@$(GO) run ./scripts/crash --victim server
	@$(GO) run ./scripts/crash --victim engine

.PHONY: evidence
evidence: ## measure what hash chain, tree and checkpoints cost of posting, with and without in turn
	@sh scripts/install.sh postgres
	@sh scripts/evidence.sh

.PHONY: signer
signer: ## kill -9 the signer 100 times under load, take its state away, roll the database back (ARGS="--p99 2s" for a limit)
	@sh scripts/install.sh engine
	@$(GO) run ./scripts/signer $(ARGS)

.PHONY: contention
contention: ## two servers on one ledger for 60 s, undisturbed, one killed, one stopped
	@sh scripts/install.sh engine
	@$(GO) run ./scripts/contention
	@$(GO) run ./scripts/contention --disturb kill
	@$(GO) run ./scripts/contention --disturb stop

.PHONY: amlsim
amlsim: ## post the AMLSim sample one request each; import it, killed halfway and run again, and let hledger add it up
	@sh scripts/install.sh engine hledger
	@REQUIRE_SAMPLES=1 AMLSIM=whole $(GO) test -count=1 -timeout=60m -run=TestTheSample -v ./scripts/amlsim

.PHONY: latency
latency: ## import the AMLSim sample and measure how long each kind of read takes (ARGS="--p99 5ms" for a limit)
	@sh scripts/install.sh engine
	@$(GO) run ./scripts/latency $(ARGS)

.PHONY: memory
memory: ## compare the memory of verify on 2 million entries with that on 500,000
	@sh scripts/install.sh postgres
	@LARGE=2000000 $(GO) test -count=1 -timeout=60m -run=TestMemoryDoesNotGrowWithTheLedger -v ./reconcile

.PHONY: control
control: ## 100,000 mixed operations in honest use, after which verify must find nothing
	@sh scripts/install.sh postgres
	@CONTROL=100000 $(GO) test -count=1 -timeout=60m -run=TestHonestUseGivesNoFindings -v ./cmd/tallystick

.PHONY: model
model: ## post 2,000 made-up histories and compare each with a plain book
	@sh scripts/install.sh postgres
	@$(GO) test -count=1 -timeout=60m -run='PlainBook|Order' ./ledger/store/model -rapid.checks=1000

.PHONY: fsck
fsck: ## let the fsck of Tessera verify a ledger of 70,007 entries over HTTP, and find flipped bits
	@sh scripts/install.sh engine
	@FSCK=whole $(GO) test -count=1 -timeout=60m -run=Tessera -v ./scripts/fsck
