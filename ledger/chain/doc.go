// Package chain turns an entry of a ledger into bytes, and the bytes into the
// hash that makes the ledger tamper-evident (I6); and it makes and verifies what
// is signed and proven about those hashes (I7): the Merkle tree, checkpoints,
// receipts, balances. FORMAT.md beside this file is the specification, complete
// enough to do without this package.
//
//	                     Check: bounds, and the fields of the kind
//	                       │
//	columns ──▶ Entry ─────┴─▶ AppendCanonical ──▶ bytes ──▶ SHA-256(0x00 ‖ bytes) = Hash
//	              ▲ ▲                                │                                │
//	              │ └──────────── Decode ◀───────────┘                                │
//	              └─ PrevHash of the next entry, and leaf seq of the Merkle tree ◀────┘
//	free text ──▶ Commitment under a random salt ──▶ Description, Reference, Metadata
//
// One hash serves two structures. PrevHash is inside the bytes, so each hash
// fixes everything before it; and the byte 0x00 in front makes it the leaf hash
// of RFC 6962, so that standard Merkle proofs need no second hash.
//
// A verifier fills an Entry from the columns that are shown to people, and
// hashes that; there is no stored blob that could say something else. That is
// why AppendCanonical encodes whatever it is given, damaged rows included, and
// why the rules of form are in Check, apart from it.
//
// # The tree, and what is signed of it
//
//	entry hashes ──▶ Frontier.Append ──▶ Root ──▶ Checkpoint ──▶ SigningKey.Sign ──▶ signed note
//	     │                │                                                          │   ▲
//	     │                └▶ complete subtrees of 256^k ──▶ stored nodes             │   └ AddSignatures
//	     │                                                    │ ReadNodes            │      of witnesses
//	     └──────────────────── level 0 ─────────────────────▶ │                      ▼
//	                                                          ├▶ ProveInclusion ──▶ Receipt (.tlog-proof)
//	                                                          └▶ ProveConsistency     with the entry's bytes
//	balances ──▶ BalanceTree ──▶ root in a balance_commitment ──▶ AccountProof, BalanceReceipt
//	checkpoints of all ledgers ──▶ SuperLeaf ──▶ a tree of its own: the super-log
//
// The forms are those of C2SP (signed-note, tlog-checkpoint, tlog-cosignature,
// tlog-tiles, tlog-proof, tlog-policy), so that others' tools read them. The
// mathematics and the notes are golang.org/x/mod's, cosignatures those of
// transparency-dev/formats; here is what these leave open: one spelling for each
// thing, bounds before arithmetic, no empty baseline, a note whose text is a
// checkpoint and nothing more, keys and witnesses that count once.
//
// # As a library
//
// Another program verifies with what it was given, and needs no server. An
// auditor who holds a receipt, and got the signer's key by another way:
//
//	key, err := chain.ParseLogKey(verifierKey)
//	receipt, err := chain.ParseReceipt(file)
//	entry, checkpoint, err := receipt.Verify(key)   // err == nil: proven
//
// With a policy, whether enough witnesses have seen it in the last day:
//
//	policy, err := chain.ParsePolicy(file)
//	signed, err := chain.OpenCheckpoint(note, policy.Keys()...)
//	ok := signed.SignedByLog() && policy.Quorum(&signed, time.Now().Add(-24*time.Hour))
//
// Two checkpoints of one origin, between which nothing may have been changed:
//
//	err := chain.VerifyConsistency(old.Size, signed.Size, old.Root, signed.Root, proof)
//
// All entries, as bytes in the order of seq, with one Entry for all of them:
//
//	var entry chain.Entry
//	var tree chain.Frontier
//	for canonical := range entries {
//		err := entry.Decode(canonical)          // form and bounds; rules are for others
//		tree.Append(chain.HashCanonical(canonical)) // and entry.PrevHash is the one before
//	}
//	same := tree.Size() == signed.Size && tree.Root() == signed.Root
//
// Errors are compared with errors.Is: ErrMalformed and ErrUnknown of entries and
// leaves, ErrCheckpoint, ErrUnknownKey, ErrSignature, ErrProof, ErrEmptyBaseline,
// ErrReceipt, ErrPolicy, ErrKey, ErrBalances. Values are safe to read from many
// goroutines; a Frontier, a BalanceTree and an Entry that is decoded into belong
// to one.
//
// # What is promised
//
//   - Injective: Decode accepts exactly what AppendCanonical writes for entries
//     that pass Check, so each has one encoding and no two share one. Lengths
//     stand before contents, presence is a byte, lists that are sets are sorted.
//   - Complete: every field of Entry is hashed. A test walks the type by
//     reflection, so a field that is added and not encoded fails it.
//   - Append-only: codes, names and the version never change their meaning; the
//     kinds that later releases write have their place from the start.
//   - Bounded: every length has a name and a bound, and Decode allocates no more
//     than a small multiple of its input, whatever lengths the input claims.
//   - Cheap: no allocation per entry; encoding and hashing two postings takes a
//     few hundred nanoseconds, nearly all of it SHA-256. Decoding, hashing and
//     appending to the tree takes two thirds of its time in SHA-256 too.
//
// # What was rejected
//
// Canonical JSON costs a hundred times more and leaves number and string forms
// open. Joining fields with a separator is not injective. Self-describing
// formats (CBOR, Protocol Buffers) have several encodings per value, and rules to
// pick one that a stranger has to get right. A layout of its own for each kind
// would be shorter by a few bytes, but then software that meets a kind from the
// future could not even follow the chain; with one layout for all it can, and
// what a rare kind needs beyond that are named details. Hashing the text itself
// would make erasure and proof exclude each other; a plain hash of it could be
// guessed from short texts, so a commitment is keyed with a random salt.
//
// # What is not here
//
// Whether an entry balances, follows its predecessor and keeps the limits: the
// rules of package ledger decide that, and reconcile decides it again without
// sharing their code. Nor is there any I/O or clock: the package is part of what
// an auditor has to trust, and depends on package money, google/uuid,
// golang.org/x/mod, transparency-dev/formats and the standard library alone.
package chain
