// Package client speaks the HTTP API from the outside, as a payment front-end
// does. `tallystick bench` and the programs under scripts/ are built on it; it
// shares no code with the server, so that a mistake in how the server writes an
// answer cannot hide in how the answer is read.
//
// There are two ways in:
//
//	Client ── one call, one method: open a ledger, list accounts, read an
//	   │      entry. Refusals come back as *Problem. Convenience counts here.
//	   │
//	   └── Conn ── one kept-alive connection that posts prepared bodies and
//	         │     reuses every buffer. Speed counts here: the load generator
//	         │     usually shares two cores with the server it measures.
//	         │
//	         └── Load ── a closed loop over many Conns with a warm-up, counting
//	                     answers in a Tally and their times in Latencies.
//
// A closed loop sends a connection's next request when the one before has been
// answered. Its percentiles are those of the answers given, not of a schedule:
// a stall of the server delays requests that were never sent. The programs that
// care about stalls therefore also report the longest gap between answers.
//
// Amounts and balances are strings, as on the wire; nothing here computes with
// money.
package client
