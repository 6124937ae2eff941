// Package api is HTTP in, answers and events out. It decides nothing about
// money: it turns bytes into requests that are well formed, hands them to the
// ledger, and turns what the ledger says into bytes.
//
//	        routes.go: the whole surface on one screen
//	            │
//	request ─► exchange.go ─► auth.go ─► one file per noun ──────────────► answer
//	            │                         │  decode.go   strict JSON in
//	            │                         │  idempotency.go  the request id
//	            │                         │  query.go, cursor.go  lists
//	            │                         ├─► Poster (ledger.Sequencers)  writes
//	            │                         ├─► store.DB                    reads
//	            │                         └─► render.go  documents out
//	            │
//	            ├─► problem.go: every refusal and failure becomes problem+json;
//	            │   the only file that knows both a code and an HTTP status
//	            ├─► metrics.go: time by route and status
//	            └─► log.go: one wide event per request
//
// What comes in is read in one pass and strictly, because what two parsers can
// read in two ways is how money gets lost: no duplicate or unknown members, no
// null for "nothing", no JSON number for an amount, no control characters, no
// lone surrogates, nothing behind the document. Syntax is refused here with
// 400; what only the book can know is refused by package ledger with 422 and
// the seq that the answer rests on.
//
// A batch of transfers is read in the same pass. What makes the document
// unreadable refuses it as a whole; a value that is wrong in its place spoils its
// own transfer only.
//
// What moves money can be rehearsed: dry_run decides a request on a confirmed head
// as it would be decided for real, and stores nothing.
//
// Pages of statements and of balances are of one moment: their cursor carries the
// entry as of which the first page was read.
//
// Checkpoints, tiles and proofs are served as C2SP has them (checkpoints.go,
// proofs.go, superlog.go). Nothing is handed out that does not hold: entries are
// encoded from the columns that clients see and hashed again, and a proof must lead
// to the root that was signed. Who waits for a checkpoint (receipts.go) is woken by
// one goroutine for each ledger (watches.go).
//
// Who follows a ledger (events.go) is woken by another one, and reads the entries from
// the database like everybody else: it gets what is committed, by whichever server, and
// nothing twice. A stream that cannot go on ends, and the client is told why when it
// connects again.
//
// Files of banks are the one body that is not read in memory: it goes to a
// temporary file, because it is judged before it is stored (bank.go). What a
// bank's file or a break means is not this package's to know: BankDesk does.
//
// A code of an account that is not even well formed is a 400
// (account_code_invalid) wherever a body or query names it, and a 404 in a
// path; a well-formed code without an account is the ledger's unknown_account
// (422) in a transfer and a 404 in a path.
//
// An error is answered by what it is, never by what it says: a text that
// nobody wrote for clients goes to the log, and the client gets "internal".
//
// Package console has the pages for people; it asks this API, in this process, with
// the reader's key.
//
// openapi.yaml is written by hand and describes every operation; the tests hold
// routes and document equal both ways and every answer against its schema.
package api
