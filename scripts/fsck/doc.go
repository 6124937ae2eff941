// Package fsck lets a client that others wrote verify a ledger over HTTP: fsck of
// Tessera (github.com/transparency-dev/tessera), which knows C2SP tlog-tiles and
// nothing of Tallystick. It must find nothing, and must find one flipped bit.
//
//	go test ./scripts/fsck              a ledger of 300 entries
//	make fsck                           a ledger of 70,000 entries
//
// The tool is built from the Go module proxy, outside this module, and is no
// dependency of it. A machine without a network sets TALLYSTICK_OFFLINE=1; then
// the test is skipped, and says so.
package fsck
