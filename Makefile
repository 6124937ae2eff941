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

.PHONY: test
test: ## install what is missing, then vet, staticcheck and all tests with the race detector
	@sh scripts/install.sh postgres compiler curl jq
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
