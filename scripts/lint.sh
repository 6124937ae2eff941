#!/bin/sh
# go vet and staticcheck, the latter at a pinned version and built with the Go that go.mod asks for: an
# analyser built with an older Go refuses a newer module.
set -eu
cd "$(dirname "$0")/.."
staticcheck=honnef.co/go/tools/cmd/staticcheck@v0.8.2

sh scripts/go.sh vet ./...
if [ -z "${GOTOOLCHAIN:-}" ]; then
	GOTOOLCHAIN=$(sh scripts/go.sh env GOVERSION)
	export GOTOOLCHAIN
fi
sh scripts/go.sh run "$staticcheck" ./...
