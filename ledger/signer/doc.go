// Package signer signs checkpoints of ledgers: "the ledger with this origin has
// N entries, whose Merkle root is R". It is the one that a rewritten database
// cannot talk into anything: what it signed is in a file outside the database,
// and it signs nothing that it has not derived again, or that does not extend
// what it signed before.
//
// It knows no SQL. What it needs of the database is handed to it (Database), and
// so are witnesses and whoever names its key in a ledger's chain.
//
// # A round
//
// There is one each second, by one goroutine, over all ledgers. An idle ledger
// costs its share of one query.
//
//	Ledgers ── where they stand ──▶ those that changed
//	                                   │ for each
//	                                   ▼
//	             Follow: every new entry derived again ── finding ──▶ refused
//	                                   │ hashes
//	                                   ▼
//	             tree grows; its root is held against every checkpoint
//	             published meanwhile, whoever signed it ── another ──▶ refused
//	                                   │
//	  state.json ◀── Save: size, root, frontier, head, signed note; on disk ── ✗ ▶ nothing leaves
//	                                   │
//	             ╌╌╌╌╌╌ from here on, others may see the note ╌╌╌╌╌╌
//	                                   │
//	             Cosign: witnesses are asked ── below the quorum ──▶ kept; later, perhaps larger
//	                                   │
//	             Publish: nodes, checkpoint and what is shown, one transaction
//	                                   │ once a minute for a ledger, at most
//	                                   ▼
//	             super-log: a leaf for each new checkpoint, a log like the others
//
// All ledgers of a round are put on disk at once. What is shown is shown again
// every minute, with fresh cosignatures, so that its age says whether the signer
// lives.
//
// # Why a crash never makes it sign two histories
//
// Every note is of the state on disk, and under one origin the state only ever goes
// from a tree to one that extends it: from a frontier, leaves are appended. So all
// notes that ever left it are of prefixes of the newest state, whenever it was killed:
//
//   - before Save returned, nothing had left: the state is the old one, or the new
//     one, and the round is done again from it;
//   - after that, the same note is made again from the state (Ed25519 gives the
//     same signature), and publishing it again changes nothing;
//   - the nodes of the tree that were to be published with it are computed again
//     from the stored hashes, and must come to the root in the state.
//
// # When it refuses
//
// A refused ledger is not signed; a finding is stored, once. The others go on.
// It looks again once a minute, because a database may be mended.
//
//	the ledger is shorter than the state, or has another entry there    LOG_ROLLBACK
//	a published checkpoint lies beyond the ledger                       LOG_ROLLBACK
//	one within it has another root                                      CHECKPOINT_ROOT_MISMATCH
//	… and is signed with this very key                                  FORK_PROVEN
//	an entry does not hold                                              the finding of reconcile
//	the origin is another one                                           LOG_ROLLBACK
//	the origin does not end with the ledger's own id                    LEDGER_ID_MISMATCH
//	the id is one that only super-logs have                             LEDGER_ID_MISMATCH
//
// The last but one is what keeps two ledgers from being signed under one name: their
// checkpoints would contradict each other, and a copy could take the place of the
// original.
//
// An entry that this version cannot check, such as one of a kind that it does
// not know, is no finding: the ledger is signed up to there and no further.
//
// # After an honest loss
//
// Entries that were signed and are lost for good stay refused. Their ledger is ended
// (Config.Ended), and a successor with an origin of its own is opened: ledger
// reincarnate. The super-log, which loses leaves with every restore, goes on under
// another origin once that was declared (Succeed): from the leaves that are left and
// one that binds the newest checkpoint of the old one. The origin is made from the
// root over all of these, so that two declarations, also of two replicas, never sign
// two trees under one name. Both take somebody at the signer's files; a leaf that
// somebody else puts there is refused by every signer that has a state.
//
// # When there is no state
//
// The state is made before the key. So a key without a state has lost it, and
// nothing is signed (ErrStateLost): whoever rolled the database back may have
// removed the state, too. A ledger that the state does not name, and that has
// checkpoints by this key, is refused likewise. A checkpoint that the operator
// has from elsewhere and vouches for, a pin, lets it begin anew: it goes through
// the whole ledger again and wants that root on the way. Until it has reached the
// end of a ledger for which there was no state, it neither saves nor signs
// anything of it.
//
// # Replicas
//
// Any number may run with copies of one key, each with a state of its own. A row
// in the database, a lease, says which one signs. The others check all the same,
// and keep their states up with it. Safety does not rest on the lease: two that
// sign at once sign the same ledgers. Who takes over with an older state follows
// the entries since, and holds every checkpoint published meanwhile against its
// own tree.
//
// What an older state cannot know is that a ledger was rolled back to somewhere
// between it and what a newer state has signed, if the checkpoints were removed
// from the database as well. That is what witnesses are for.
//
// # Memory and work
//
// Of each ledger there are some hundred bytes, and nodes that have yet to be
// published (maxNodes). The state file has about a kilobyte for each ledger and
// is written whole when one of them grew. A round follows roundEntries of all
// ledgers together, those with the least to do first, so that one that is far
// behind, or a hundred, keep no other waiting; it is signed as far as it came.
package signer
