#!/bin/sh
# What tamper evidence costs: posts batches with the hash chain and a signer beside, and in a test build without
# either, in turn, and prints the ratio of each pair.
#
#   sh scripts/evidence.sh [pairs]     5 unless said otherwise
#
# The machine should have nothing else to do: the ratios are those of a moment.
set -eu
cd "$(dirname "$0")/.."
pairs=${1:-5}
work=$(mktemp -d "${TMPDIR:-/tmp}/tallystick-evidence-XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

sh scripts/go.sh test -c -o "$work/with" ./cmd/tallystick
sh scripts/go.sh test -c -tags unchained -o "$work/without" ./cmd/tallystick
cd cmd/tallystick
pair=1
while [ "$pair" -le "$pairs" ]; do
	for build in with without; do
		"$work/$build" -test.run '^$' -test.bench '^BenchmarkPosting$' -test.benchtime 5s |
			awk -v pair="$pair" -v build="$build" '/transfers\/s/ {print pair, build, $1, $(NF-1)}' >>"$work/runs"
	done
	pair=$((pair + 1))
done
awk '
	{ rate[$1, $3, $2] = $4; batches[$3] = 1; if ($1 > pairs) pairs = $1 }
	END {
		for (batch in batches) {
			n = 0
			for (pair = 1; pair <= pairs; pair++) {
				ratio = rate[pair, batch, "with"] / rate[pair, batch, "without"]
				printf "%s: %d transfers/s with, %d without: %.3f\n", batch, rate[pair, batch, "with"], rate[pair, batch, "without"], ratio
				for (i = ++n; i > 1 && sorted[i - 1] > ratio; i--) sorted[i] = sorted[i - 1]
				sorted[i] = ratio
			}
			printf "%s: median %.3f\n", batch, sorted[int((n + 1) / 2)]
		}
	}' "$work/runs"
