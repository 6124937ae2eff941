#!/bin/sh
# Runs the go command as this project needs it on any machine: sh scripts/go.sh build …
set -eu

PATH=$PATH:/usr/local/go/bin
if ! command -v go >/dev/null 2>&1; then
	echo "go.sh: no go command found; install Go 1.21 or newer (https://go.dev/dl/), it fetches the version go.mod names" >&2
	exit 1
fi

# A cache needs a home.
if [ -z "${HOME:-}" ] || [ ! -w "$HOME" ]; then
	HOME=$PWD/bin/home
	mkdir -p "$HOME"
	export HOME
fi

# Some distributions ship go with GOTOOLCHAIN=local, which cannot fetch what go.mod names. A choice of the
# user's own, in the environment or by go env -w, stands.
if [ -z "${GOTOOLCHAIN:-}" ] && ! grep -qs '^GOTOOLCHAIN=' "$(cd / && go env GOENV)"; then
	export GOTOOLCHAIN=auto
fi

# go run and go test execute what they built in the temporary directory, which may forbid that.
if [ -z "${GOTMPDIR:-}" ]; then
	try=$(mktemp)
	printf '#!/bin/sh\n' >"$try"
	chmod +x "$try"
	if ! "$try" 2>/dev/null; then
		GOTMPDIR=$PWD/bin/tmp
		mkdir -p "$GOTMPDIR"
		export GOTMPDIR
	fi
	rm -f "$try"
fi

# A checkout of another user (sudo make run) has no readable version control, and go build would fail on it;
# the version is passed by the Makefile.
export GOFLAGS="$(cd / && go env GOFLAGS) -buildvcs=false"

exec go "$@"
