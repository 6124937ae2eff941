#!/bin/sh
# Installs what is missing, on Debian and Ubuntu, as root or through sudo:
#
#   sh scripts/install.sh engine|postgres|compiler|curl|jq|hledger|xmllint …
#
#   engine    a database engine: PostgreSQL, unless a cockroach binary or a database URL is there to be used
#   postgres  the PostgreSQL server, version 15 or newer
#   compiler  a C compiler, which the race detector links with
#   curl, jq  which the README's session uses
#   hledger   which the tests let add up what export wrote
#   xmllint   which the tests let hold statements against their schema
#
# What is there already is left alone, and then nothing needs root. Elsewhere it says what to install by hand.
set -eu

oldest_postgres=15

say() { printf '%s\n' "$*" >&2; }

have() { command -v "$1" >/dev/null 2>&1; }

have_postgres() {
	for bin in /usr/lib/postgresql/*/bin /usr/pgsql-*/bin /usr/local/pgsql/bin \
		/opt/homebrew/opt/postgresql@*/bin /usr/local/opt/postgresql@*/bin; do
		postgres_is_new_enough "$bin" && return 0
	done
	have postgres && postgres_is_new_enough "$(dirname "$(readlink -f "$(command -v postgres)")")"
}

postgres_is_new_enough() {
	[ -x "$1/postgres" ] && [ -x "$1/initdb" ] || return 1
	version=$("$1/postgres" --version | sed -n 's/.*(PostgreSQL) \([0-9]*\).*/\1/p')
	[ "${version:-0}" -ge "$oldest_postgres" ]
}

# The same choice as the server's: a URL, then what TALLYSTICK_ENGINE asks for, then cockroach, then PostgreSQL.
have_engine() {
	[ -z "${TALLYSTICK_DATABASE_URL:-}" ] || return 0
	case "${TALLYSTICK_ENGINE:-auto}" in
	postgres) have_postgres ;;
	*) have "${COCKROACH_BINARY:-cockroach}" || have_postgres ;;
	esac
}

have_compiler() {
	have "${CC:-gcc}" || return 1
	work=$(mktemp -d)
	printf '#include <stdlib.h>\n#include <pthread.h>\nint main(void) { return EXIT_SUCCESS; }\n' >"$work/try.c"
	status=0
	"${CC:-gcc}" -o "$work/try" "$work/try.c" 2>/dev/null || status=1
	rm -rf "$work"
	return $status
}

# Go and curl believe no server without these.
have_certificates() {
	[ -n "${SSL_CERT_FILE:-}${SSL_CERT_DIR:-}" ] && return 0
	for file in /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/cert.pem /etc/ssl/ca-bundle.pem; do
		[ -s "$file" ] && return 0
	done
	return 1
}

as_root() {
	if [ "$(id -u)" -eq 0 ]; then
		"$@"
	elif have sudo; then
		sudo "$@"
	else
		say "install: this needs root, and there is no sudo. As root, run: sh scripts/install.sh$needs"
		exit 1
	fi
}

apt() {
	as_root env DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 \
		apt-get -qq -o DPkg::Lock::Timeout=300 "$@"
}

# The versioned package: the plain one would bring the next major version at the next upgrade of the system,
# and let this one, whose store it cannot read, be removed.
postgres_package() {
	have apt-cache || return 0
	apt-cache depends postgresql 2>/dev/null | sed -n 's/^ *Depends: \(postgresql-[0-9][0-9]*\)$/\1/p' | head -n 1
}

# apt_install installs packages; the lists are fetched only when without them it does not work.
apt_install() {
	if apt install -y --no-install-recommends "$@" >/dev/null 2>&1; then
		return
	fi
	apt update
	apt install -y --no-install-recommends "$@" >/dev/null
}

# Debian's package creates and starts a cluster of its own, which nobody here asked for. A drop-in forbids it
# while we install, and is taken away again: the machine's later installations behave as their owner expects.
no_cluster=/etc/postgresql-common/createcluster.d/tallystick.conf

install_postgres() {
	package=$(postgres_package)
	if [ -z "$package" ]; then
		apt update
		package=$(postgres_package)
	fi
	if [ -z "$package" ] || [ "${package#postgresql-}" -lt "$oldest_postgres" ]; then
		say "install: this system's packages have no PostgreSQL $oldest_postgres or newer (${package:-none}); see https://www.postgresql.org/download/"
		exit 1
	fi
	# postgresql-common first: versions of it that know no drop-ins are seen, and told in their own file.
	as_root mkdir -p "${no_cluster%/*}"
	trap 'as_root rm -f "$no_cluster"' EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
	printf 'create_main_cluster = false\n' | as_root tee "$no_cluster" >/dev/null
	apt_install postgresql-common
	if ! grep -qs '^include_dir' /etc/postgresql-common/createcluster.conf; then
		as_root sed -i 's/^#* *create_main_cluster *=.*/create_main_cluster = false/' /etc/postgresql-common/createcluster.conf
	fi
	apt_install "$package"
	as_root rm -f "$no_cluster"
	trap - EXIT INT TERM HUP
}

needs=
packages=
want_postgres=
for what in "$@"; do
	case "$what" in
	engine) have_engine || want_postgres=1 ;;
	postgres) have_postgres || want_postgres=1 ;;
	compiler) have_compiler || packages="$packages gcc libc6-dev" ;;
	curl | jq | hledger) have "$what" || packages="$packages $what" ;;
	xmllint) have xmllint || packages="$packages libxml2-utils" ;;
	*)
		say "install: unknown: $what (known: engine postgres compiler curl jq hledger xmllint)"
		exit 2
		;;
	esac
	needs="$needs $what"
done
have_certificates || packages="$packages ca-certificates"

[ -n "$want_postgres$packages" ] || exit 0
missing="${want_postgres:+ PostgreSQL (server, $oldest_postgres or newer)}$packages"
if ! have apt-get; then
	say "install: missing here, please install by hand:$missing"
	exit 1
fi
say "installing:$missing"
# shellcheck disable=SC2086 # a list of words
[ -z "$packages" ] || apt_install $packages
[ -z "$want_postgres" ] || install_postgres
