#!/bin/sh
# The session that the README shows: post, verify, tamper by SQL, be caught. It is played on a server and a
# data folder of its own, which are gone afterwards, and ends with an error where the story does not hold.
#
#   sh scripts/session.sh [path of tallystick]     without one, it is built first
#   sh scripts/session.sh --print                  print the story as the README has it, and do no more
#
# It is played as printed, but for the port, which is one that is free. It needs curl, jq and psql.
set -eu
cd "$(dirname "$0")/.."

story=$(cat <<'STORY'
# For all that follows: the key, the ledger, and how to speak to it.
key=$(cat data/admin.key)
main=http://127.0.0.1:8080/v1/ledgers/main
post() { curl -sS -H "Authorization: Bearer $key" -H 'Content-Type: application/json' "$@"; echo; }

# Two accounts. The customer's cannot be overdrawn.
post $main/accounts -d '{"code":"bank","type":"asset","currency":"EUR"}'
post $main/accounts -d '{"code":"customers:42","type":"liability","currency":"EUR","min_balance":"0"}'

# A deposit. Sent again under the same key it gets the same entry, and is not booked again.
post $main/transfers -H 'Idempotency-Key: deposit-1' -d '{"debit":"bank","credit":"customers:42","amount":"100.00"}'
post $main/transfers -H 'Idempotency-Key: deposit-1' -d '{"debit":"bank","credit":"customers:42","amount":"100.00"}'

# A payment of more than there is: refused, with what is available. One within it: booked.
post $main/transfers -H 'Idempotency-Key: payment-1' -d '{"debit":"customers:42","credit":"bank","amount":"100.01"}'
post $main/transfers -H 'Idempotency-Key: payment-2' -d '{"debit":"customers:42","credit":"bank","amount":"12.34"}'

# Every entry is derived from its columns and hashed again. All is well.
bin/tallystick verify --ledger main; echo "exit code $?"

# Somebody with every right on the database makes the payment smaller...
psql -X -h "$PWD/data/postgres/socket" -U postgres tallystick -c "update book.postings set amount = 2.34
  where amount = 12.34 and ledger_id = (select ledger_id from book.ledgers where name = 'main')"

# ...and is caught: verify names the entry and both hashes.
bin/tallystick verify --ledger main; echo "exit code $?"
STORY
)

if [ "${1:-}" = --print ]; then
	printf '%s\n' "$story"
	exit
fi

work=$(mktemp -d "${TMPDIR:-/tmp}/tallystick-session-XXXXXX")
mkdir "$work/bin"
server=

finish() {
	status=$?
	trap - EXIT
	if [ -n "$server" ] && kill "$server" 2>/dev/null; then
		wait "$server" || true
	fi
	if [ "$status" -ne 0 ]; then
		echo "session: the story does not hold" >&2
		[ ! -s "$work/server.log" ] || tail -n 20 "$work/server.log" >&2
	fi
	rm -rf "$work"
	exit "$status"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

if [ -n "${1:-}" ]; then
	cp "$1" "$work/bin/tallystick"
else
	sh scripts/go.sh build -o "$work/bin/tallystick" ./cmd/tallystick
fi
cd "$work"
# The story tampers with psql, and knows of no setting.
unset TALLYSTICK_DATABASE_URL TALLYSTICK_DATA_DIR TALLYSTICK_ADMIN_KEY TALLYSTICK_BASE_CURRENCY
export TALLYSTICK_ENGINE=postgres

# ready waits for the server; it fails when the server has ended.
ready() {
	for _ in $(seq 600); do
		curl -sf "http://$address/readyz" >ready && return
		kill -0 "$server" 2>/dev/null || return 1
		sleep 0.1
	done
	return 1
}

# start tries ports until one is free.
start() {
	for attempt in 1 2 3 4 5; do
		address=127.0.0.1:$((20000 + ($$ * 7 + attempt * 1009) % 10000))
		bin/tallystick serve --listen "$address" >server.log 2>&1 &
		server=$!
		ready && return
		grep -q 'address already in use' server.log || return 1
		wait "$server" || server=
	done
	return 1
}

# holds WHAT COMMAND… says what does not hold when the command fails.
holds() {
	what=$1
	shift
	"$@" >holds 2>&1 || {
		echo "session: not so: $what" >&2
		exit 1
	}
}

start
printf '%s\n' "$story" | sed "s/127\.0\.0\.1:8080/$address/" >story
sh -v ./story 2>&1 | tee told

# One line an answer, in the order of the story.
grep '^{' told >answers
answer() { sed -n "$1p" answers; }
deposit_is_booked_once() { [ "$(answer 3)" = "$(answer 4)" ] && answer 3 | jq -e '.kind == "transfer"'; }
overdraft_is_refused() { answer 5 | jq -e '.code == "limit_exceeded" and .status == 422 and .available == "100.00"'; }
payment_is_booked() { answer 6 | jq -e '[.postings[] | select(.account == "customers:42") | .balance] == ["87.66"]'; }
codes_are_0_and_1() { [ "$(grep '^exit code' told | tr '\n' ' ')" = 'exit code 0 exit code 1 ' ]; }
verify_names_the_break() {
	seq=$(answer 6 | jq .seq)
	hash=$(answer 6 | jq -r .hash)
	bin/tallystick verify --ledger main --json >report && return 1
	found=$(jq -r --argjson seq "$seq" --arg hash "$hash" \
		'select(.status == "tampered") | .findings[] | select(.seq == $seq and .stored == $hash) | .recomputed' report | head -n 1)
	[ "${#found}" -eq 64 ] && [ "$found" != "$hash" ] && grep -q "$found" told && grep -q "$hash" told
}
holds 'the deposit is booked once' deposit_is_booked_once
holds 'the overdraft is refused' overdraft_is_refused
holds 'the payment is booked' payment_is_booked
holds 'verify exits with 0, and after the tampering with 1' codes_are_0_and_1
holds 'verify names the entry and both hashes' verify_names_the_break
echo 'session: the story holds'
