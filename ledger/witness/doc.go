// Package witness is both sides of the C2SP witness protocol
// (https://c2sp.org/tlog-witness@v1.0.0): a witness that an auditor runs, and
// the client with which a signer asks witnesses.
//
// Whoever holds a signer's key can sign two histories and show each to somebody
// else. A witness makes that visible: it keeps the newest checkpoint of every
// log that it knows, cosigns the next one only if that is proven to extend it,
// and says when. Who wants to see the cosignatures of a quorum of witnesses (a
// policy, chain.Policy) can be shown one history only.
//
//	signer                                        witness (somebody else's machine)
//	──────                                        ───────
//	signed checkpoint
//	   │ Circle.Gather: all witnesses at once
//	   ├─▶ Client.Cosign                     ┌──▶ ParseRequest           400, 413
//	   │     │ from the size remembered      │      │
//	   │     │ Prove(from)                   │    origin known?          404
//	   │     └─▶ POST /add-checkpoint ───────┘    signed by its key?     403
//	   │           old 5                            │
//	   │           proof…                         ─ lock of the origin ─────────────┐
//	   │                                          old size = head's?      409 size  │
//	   │           checkpoint                     same size, same root?   409       │
//	   │     ┌──── 409 size: once more from there proof verifies?         422       │
//	   │     │                                      │                               │
//	   │     │                                    head on disk: file, rename, folder│
//	   │     ◀──── 200 — name signature ────────  cosignature leaves ───────────────┘
//	   │   verified with the witness's key
//	   ▼
//	checkpoint with the cosignatures that came ──▶ chain.Policy.Quorum ──▶ publish
//
// # Why kill -9 does no harm
//
// A cosignature leaves after its checkpoint is on disk as the head: written to
// a file beside it, flushed, renamed over it, and the folder flushed. A witness
// that dies before the rename has cosigned nothing and is still at the old head;
// after it, it is at the new head, whether or not the answer arrived, and the
// client learns that from the next 409. From the look at the head to the rename
// one lock of the origin is held, so of two checkpoints that both extend the
// head the second meets the first as the head. A lock of the folder keeps a
// second process out.
//
// When the rename or the flush of the folder fails, what the next start would
// find is not known: the log is not cosigned any more until there was one.
//
// # What a witness knows, and when it refuses to start
//
// The folder holds, for each origin, <SHA-256 of the origin>.cp: the head with
// the log's signatures and the witness's own, a note like any other and its own
// integrity check. The file "witness" names the key and all origins that have a
// head. A head that is damaged or gone, an index that is, or a key whose folder
// is: the witness does not start. It never trusts a log on first use for a
// second time, because a second first use is what an attacker would ask for.
// What helps is a new witness with a new key. (A key that is known to be unused
// begins with Config.UnusedKey.)
//
// A folder restored from a backup cannot be told from one that is up to date:
// it, too, needs a new key.
//
// When a log offers another root of the size of the head, it has signed two
// histories. The first time, both notes are kept, as .fork.cosigned.cp and
// .fork.refused.cp of the origin's SHA-256; together they prove the fork to
// everybody.
//
// # Where this witness is stricter or choosier than the protocol
//
//   - Checkpoints have no extension lines (chain.ParseCheckpoint), so logs that
//     use them get 400.
//   - A checkpoint of size 0 with a root of its own is no checkpoint: 400. In the
//     draft of the protocol's next version that is 422, and so is another root of
//     the same size, for which version 1.0.0 has 409. Clients take both as final.
//   - The same head again gets a new cosignature with the time of that moment
//     (heartbeats rely on it), but within one second the same one, so that a
//     checkpoint that is replayed by anyone costs at most one write a second.
//   - At most MaxAtOnce requests at once, of at most MaxRequest bytes. Slow
//     senders are the business of the server around Handler and its timeouts;
//     there is no limit for single addresses, which a proxy in front knows better.
package witness
