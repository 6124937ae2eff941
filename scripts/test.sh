#!/bin/sh
# Everything make test runs: vet, staticcheck, and all tests under the race detector, skips listed at the end.
#
#   TEST_TIMEOUT     of one package, default 20m
#   TEST_FLAGS       more flags for go test, such as -run=TestName
#   REQUIRE_SAMPLES  1: tests that lack their sample data fail instead of being skipped
set -eu
cd "$(dirname "$0")/.."

# What vet and staticcheck find does not keep the tests from running.
status=0
sh scripts/lint.sh || status=$?

export CGO_ENABLED=1 # the race detector needs it
# shellcheck disable=SC2086 # flags are words
sh scripts/go.sh run ./scripts/runtests -race -count=1 -timeout="${TEST_TIMEOUT:-20m}" ${TEST_FLAGS:-} ./... || status=$?

[ "$status" -eq 0 ] || echo "make test: failed; what failed stands above" >&2
exit "$status"
