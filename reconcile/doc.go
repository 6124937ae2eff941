// Package reconcile is the audit: it re-derives what a ledger says from what
// its tables hold, and reports everything that does not agree.
//
// It shares no code with what it audits. It knows the format of entries
// (ledger/chain), exact amounts (ledger/money) and how to read rows
// (store.Snapshot), and nothing of the rules by which entries came to be
// (ledger): those it states again, in its own words, from FORMAT.md. All it
// knows about wrongs is the table in checks.go.
//
// # Verify
//
//	periods and currencies of the ledger: a rule book (I10) ───────────────┐
//	                                                                       │
//	            size N, head ──────────────────────────────────────────────┤
//	                                                                       │
//	stripe 0            stripe 1                stripe w                   │
//	┌────┬────┬────┐    ┌────┬────┬────┐        ┌────┬────┬────┐           │
//	│ segment of   │ ~~ │              │ ~ … ~  │              │ ~~ join ~~┤
//	│ 4096 entries │    │              │        │              │           │
//	└────┴────┴────┘    └────┴────┴────┘        └────┴────┴────┘           │
//	  each: entries, postings, versions, details, payloads by range scan;  │
//	  merged by seq in Go; every entry encoded and hashed again            │
//	                                                                       ▼
//	accounts, a page at a time: they follow (I9), add up (I2) ──▶ findings ──▶ Report
//	what stands twice: requests (I8), captures, releases, reversals (I12) ──▶
//
// The first pass walks through the entries in order of seq, on as many stripes
// as there are workers, with range scans in primary-key order and no joins. A
// worker looks at an entry alone (does it re-hash from its columns, does it
// balance) and at its predecessor (chain, time, density). Where two stripes
// meet, first and last entry are held against each other.
//
// # Levels
//
// A verification goes as far as it is asked to (options.go), each level including
// those before: the newest checkpoint (0), a pinned one (1), chain and tree since
// the pin (2), everything in the columns (3), the schema around them (4), and
// evidence from outside the database (5). Levels 0 and 1 read no entries but the
// few hundred that a root is computed from.
//
// # Checkpoints and the tree
//
//	entry_hash 0 … N−1, a page at a time ──▶ merkle ──┬─▶ node complete ──▶ book.tiles
//	                                                  ├─▶ size of a checkpoint ──▶ book.checkpoints
//	                                                  └─▶ size somebody asks for ──▶ pin, archive, receipt, state
//
// The tree is added up from the stored hashes (tree.go), which the first pass holds
// against the columns: so an edited row is one finding at its entry, and the signed
// root still proves its hash to be the sealed one. It is computed by code of its own
// (merkle.go), not by that of the signer; a test compares the two. Stored nodes are
// compared and never relied on, with one exception: where entries are missing, the
// node over their block stands for them, and if the next signed root then holds,
// nothing else was touched.
//
// That is done in the first pass, on each stripe by itself (stripetree.go): 0.15 µs of
// processor time an entry; reading the hashes once more costs more than that.
// It can only show that all is well. Where it does not, the leaves are read again in
// order, so that what is reported does not depend on the workers.
//
// A checkpoint counts if a key signed it that an auditor's policy names, or, without
// one, that the chain itself names for that size (signers.go). What is wrong at one
// size is mostly wrong at all sizes after it: the first finding of a kind is reported
// in full, and the others are counted.
//
// What is there before the cut is made belongs below it, because a checkpoint is
// stored after its entries: the newest checkpoint, the stored nodes and the one that
// is shown are looked up first, and one beyond the cut then means that entries are
// gone (TAIL_TRUNCATED). Whether all of it was rewound together, only something from
// outside can tell (outside.go): LOG_ROLLBACK, PIN_INCONSISTENT, and FORK_PROVEN where
// two signed notes contradict each other and so prove it to anyone.
//
// # The schema
//
// A view, a rule or a row-level policy can hide rows from whoever reads, this package
// included; so the catalogue is held against a list (schema.go) of what the migrations
// make. It is data and not derived from them: who audits a schema must not take it
// from whoever makes it. A test holds the list against a database just migrated.
//
// An index can hide rows as well (schema_indexes.go): built over a condition that calls
// a function, which afterwards says something else, it has lost rows and is taken for
// whole. So indexes are held against the list down to what they say, and functions in
// the schemas are findings, as are those behind the engine's own types, operators and
// casts. What the engine answers is believed otherwise: who can make it another program
// is found by a bundle only, or on a machine of one's own.
//
// # What refers to other entries
//
// A capture or release is held against its hold, a reversal against what it
// undoes (references.go). What stands in the same segment is at hand. Of the holds
// before it, a worker remembers the newest (holds.go). All others are read by
// primary key once the segment is, in two statements, and the postings as a
// stream: one earlier entry is held at a time. Where every second entry captures
// a hold from some 20,000 entries before, the whole verification takes a fifth
// more processor time than one that does not look at them, and a third more if no
// holds are remembered. To keep all open holds would need memory without a bound,
// and where a stripe begins they are not known.
//
// That each settles a hold exactly makes the pending totals of an account the sum
// of its open holds, once none is settled twice. Two entries that settle the same
// hold may be any distance apart: they are found by grouping the column ref_seq,
// which the unique keys of the book make an index scan. They are not relied on:
// without them it reads the entries once more.
//
// Closed periods, currencies and keys hold for the whole ledger from some entry on.
// They are few, are read before the first pass (rulebook.go), and tell every
// worker what was in force at any seq.
//
// # What is derived
//
// Columns and tables that only serve searches are in no hash, and are derived
// again (I11). The terms by which metadata is searched for need the metadata:
// where that was erased on record there must be none, and where it is not the one
// committed to, nobody can say what they should be.
//
// Balance commitments and stored snapshots say what all balances were after some
// first entries (claims.go). The first pass stops at each of these cuts and keeps what
// the accounts posted to since the one before have then (marks.go): six claims on a
// ledger of 2.4 million entries and 10,000 accounts take 54 ms beside it. Where it met
// more accounts than it holds, or found something wrong, the postings of each account
// are searched for the last one before a cut, or read once in account order for up to
// 64 claims, which takes 9 s there on one connection. Erasures are held against what
// they erase (erasures.go), page by page, and what is stored of runs against the run
// entries, which bind the digest of all that a run put out (storedruns.go).
//
// # Reading less
//
// Of what a row costs PostgreSQL, most is columns: 50 to 90 ns of processor time for
// each that is sent, 10 to 25 ns for a term of an expression, 80 ns for finding the
// row and as much for sending any. So of entries and postings those columns are read
// that always differ, what places a posting in one number (packed.go), and of the
// others only those that the segments before needed (shape.go); that all others are
// as expected is one condition. That is so only where equal values are the same
// bytes (plain.go). A row that cannot be said so without loss has its whole segment
// read again, at last as it stands: what is found does not depend on how it was
// read. COPY as text costs as much as binary rows, a bitmap scan more than the index
// scan, and adding rows up into arrays spares this process 0.3 µs an entry and costs
// PostgreSQL 0.45.
//
// Payloads without a text are passed over (textplaces.go): one scan beside the first
// pass finds the entries that have one, where they are few, which spares the others
// 0.14 µs each. An index of them would spare as much, and cost every posting that has
// a text.
//
// Requests that stand twice are suspected by a filter in memory while the first
// pass meets them (requestfilter.go), and only suspects are looked up; in ledgers too
// large for the filter the engine groups all of them.
//
// # Memory
//
// Memory is the segment, the account states and the findings, each with a
// named bound (bounds.go), times the workers, the filter, and the balances at the
// cuts of claims; nothing grows with the ledger.
//
// # Two ways to follow an account
//
// Every posting is held against the one before it on its account (balance,
// account_seq) and against the attributes in force (limits, freezes). Both ways
// to do so share every rule (follow.go) and are tested to find the same.
//
// By account (order.go): the second pass reads the postings again by
// (account_id, account_seq), a page of accounts at a time. Simple, but each
// posting lies on another page of the table: with a million entries over 20,000
// accounts, this cost PostgreSQL 1.9 µs of processor time a posting, against
// 0.7 µs in order of seq, and more than the whole first pass.
//
// Along the chain (follow.go): the first pass itself holds the states of the
// accounts it has met, at most cachedAccounts of them, and reads a state that
// it does not hold from the book as of that entry: the posting before, and the
// attributes in force. The second pass then reads no more than the newest
// posting of each account. Its account_seq must add up to the number of
// postings: as every posting has been found to follow one with the number
// before it, the numbers of an account are 1 to n, and if the sum agrees none
// stands twice. This is twice as fast where accounts are met often, and much
// slower where most postings meet an account that is not held; chooseWay
// decides by their number.
//
// What an account has before a region, one of the parts that the entries are cut
// into at first, is left by the region before (regions.go): the first posting on it
// is held against that once all are walked through, and against the book where it
// does not fit. So are the newest postings known, and they are read again only
// where something is wrong.
//
// The states lie all over the memory of a worker, and waiting for them took a sixth
// of its time. So the accounts of some postings are looked up together, and these
// postings followed at once (accountcache.go).
//
// # Following
//
// A Follower is the first pass along the chain, from some point on and for what
// has come since: who signs a ledger checks every entry before (follower.go). The
// accounts it met last are still at hand, so that a new entry costs the queries
// of a segment. It leaves texts alone: who signs need not read them.
//
//	Point ── size, head ──▶ still there? ── no ──▶ LOG_ROLLBACK
//	                           │
//	                           ▼
//	  rules since ──▶ segments: derive, follow, references ──▶ findings: refused
//	                           │
//	                           ▼
//	                hashes, and the next Point
//
// What lies before the point it takes as it stands. So a posting on an account
// whose newest balance was edited before follows from that: it is Verify that
// finds the edit, and the application, which hashes again what it builds on.
//
// # The night
//
// RunNight is the nightly job: Verify, what the books say of themselves, the bank,
// risk and reports, over the entries that were booked up to the end of a day
// (night.go has the phases, nightchecks.go what they look for).
//
//	freeze ─▶ key ─▶ row of ops.runs ─▶ phase ─▶ outputs and the next phase, in one transaction ─▶ … ─▶ run entry
//	  │                    ▲                                                                             │
//	  │                    └── the same key: goes on, or is answered                                     │
//	  └── the end of the day, decisions, erasures, statements, files                     id: of the key ─┘
//
// The cut is the end of the day and not the present, so that a run that was killed
// is the same run the next morning, and a run of last month is that of last month.
// What was booked since is the next run's. Tried in thought and rejected: to cut at
// the present (a run would never be the same again), and to let the signer's state
// say where an increment begins (it is always ahead of the day; it vouches for the
// run entry that the increment goes on from, see nightplan.go). Package reconcile
// writes nothing: Keeper has the functions that do.
//
// # A cut, and spans
//
// A night is pinned to a size and head, and may go on when the ledger has long gone
// on too. So Verify can be asked for an earlier cut: what came after it is looked at
// only where it says that something below is gone, and a text that was erased since
// was there then. And it can be asked for some spans of entries. What lies outside
// them it takes as it stands: a span begins with the stored hash before it, its last
// entry is held against the one behind, and accounts are followed along the chain.
// What stands twice is looked for wherever the other one is, by the keys of what the
// spans hold (spans.go). Balances, rules, checkpoints and schema are of the whole
// ledger in any case: they cost the accounts, and not the entries.
//
//	0                                          ReadFrom        Size
//	├──┬──┬──┬──┬──┬──┬──┬──┬──┬──┬──┬──┬──┬──┬──┤┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┤
//	 ▓▓                   ▓▓                   ▓▓ ▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓   one night
//	    ▓▓                   ▓▓                     …               the next
//
// That an edit outside tonight's spans does not stay unseen rests on the signer's
// state: its head covers all entries, and every entry is read within seven nights.
//
// # Balances at a size
//
// Reports, risk and the books phase begin with the balances of all accounts at some
// size (balances.go): the newest snapshot and the postings since, or each account's
// newest posting, whichever costs less. Snapshots are derived, and verify and
// the night hold them against the postings; one that is damaged is passed over. One is made when as
// many postings have come as it has lines, so that all together are never more than
// the postings, and none need be deleted. They are stored as compressed parts of
// 8192 accounts, not as rows.
//
// # Reports
//
//	size N, dates ──▶ First, End ──▶ BalancesAt(First) ──┐
//	 (booking dates never go back)   postings First…End ─┴▶ sums, days, lines ──▶ figures ──▶ report.Document
//
// A report of a period rests on the balances before it and one pass over its
// postings (figuresread.go); a statement on the postings of its account alone
// (figuresaccount.go). It is computed at a size, so that what is posted meanwhile
// does not matter, and refuses books that are damaged: a total over what nobody
// can vouch for is worse than none. Package figures makes the documents, without a
// database.
//
// A run leaves what its passes over the year and over the month have come to
// (figuresstate.go), with the lines of the month's general ledger while they are at most
// 20,000. The
// next run that reads what is new goes on from there if the period is the same, and
// puts out the same bytes as one that reads the period. It does not where the phases
// before say that the books may not be the same, where another policy gives other
// roles (of the month), or where a closing claims a transfer that was passed. Statements
// of accounts at banks are read for their month each night, at most 20,000 lines.
//
// # What a finding claims
//
// One hash covers a whole entry and cannot say which column was changed, so
// ENTRY_HASH_MISMATCH names neither account nor column unless something else
// proves them: a value that its column cannot hold, or a rule that says what
// the value must have been, confirmed by the sealed hash (prove.go).
//
// Postings are held against stored balances, not recomputed ones: one wrong
// balance is a finding at its entry and at the account's next, and not one for
// every posting ever after. Likewise a chain is unbroken where prev_hash equals
// the stored or the recomputed hash of the predecessor: an edited entry is one
// finding, not two.
package reconcile
