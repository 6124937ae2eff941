// Package match finds, for the lines of a bank's statements, the postings of the ledger that they mean, and says of every
// line what became of it. It only computes: lines, rules, a calendar and decisions in, groups and two proofs out. No clock, no
// order of a map, no random choice has a part in it.
//
//	lines of the bank    lines of the ledger
//	        └─────────┬─────────┘
//	          canonical order
//	                  ▼
//	          decisions, by number ────────────► groups by hand
//	                  ▼
//	          rules in the order of the policy:
//	          what is certain                    reference, batch, amount and date
//	            before the first by amount       pairs that were taken back
//	                  ▼
//	          rules in their order again:
//	          what is likely                     amounts that several have, many to many, fees, sums
//	                  ▼
//	          diagnosis                          duplicates, mismatches, drift; on its way, or unmatched
//	                  ▼
//	          groups ──► two proofs ──► explanations
//
// Canonical order is: the bank before the ledger, then currency, booking date, id. Wherever two choices are equally good,
// the one that is first in it is taken, so that the order in which lines were read is of no account.
//
// # What may be one group
//
// Amounts are whole numbers of the currency's smallest unit, signed as the bank sees them; they are equal or not. No
// group that is matched or suggested crosses currencies. Those that rules make have one direction; by hand a payment and
// its fee may stand against one posting, since their sum is what agrees. Dates are compared in business days between
// booking dates.
//
// References are compared without regard to case, to space around them and to the hyphens of a UUID. NOTPROVIDED and its like
// are none. A line with several values under one name stands for several payments: it is left to the rules of batches.
//
//	reference  equal value, equal amount, within the window. Lines that agree in both are alike for every purpose, and
//	           are paired: those of one day first, then by date. What is left over is a duplicate, not an ambiguity.
//	batch      lines that values join, of one currency and direction, no two of them further apart than the window: one to
//	           many and many to one are matched when the sums are equal, many to many is suggested.
//	amount     equal amount within the window, when neither line could be any other's; otherwise suggested, by date, with the
//	           number of lines that could be meant. A line that a reference ties to the other side takes no part.
//	fee        equal reference, one open line on each side, amounts that differ by the tolerance at most: suggested, with the
//	           booking that would settle it.
//	subset     lines that add up to one of the other side, where at most MaxSubsetLines come into question and the
//	           smallest choice is the only one of its size: suggested.
//
// Why certain before likely: a suggestion, by whatever rule, must not take a line away from a match. Why references outweigh
// amounts: a wrong amount under the right reference is the break to be found, and a stranger with the right amount hides it.
// Why pairs that the bank took back come before amounts: that a line was undone is known, that it is another's is a guess.
//
// # Statuses
//
//	lines of a decision ──► add up ─────────────► matched · reversed_pair (of one side) · written_off
//	        │
//	        └─ do not ──► amount_mismatch · side_mismatch, and the decision is among the troubles
//
//	matched by a rule ────► matched, suggested
//	taken back ───────────► reversed_pair            a reversal, its original, the same reference or named by it
//	said twice ───────────► duplicate_bank · duplicate_ledger          within the rule's window, else a standing order
//	same reference, and ──► date_drift               same amount, further apart than the window
//	                        side_mismatch            same amount, other direction
//	                        amount_mismatch          one open line on each side, or a batch that does not add up
//	                        currency_mismatch        one open line on each side
//	none of these ────────► timing                   at most Transit business days old
//	                        unmatched_bank · unmatched_ledger
//	still open, and all of it carried by one decision ──► carried, until its date
//
// All but matched, reversed_pair and written_off are open. The order says which is found first; the diagnosis moves no
// money and every open group, whatever it is called, adds its difference to the sum.
//
// # Breaks
//
// A group's id is the digest of its lines' ids, so that it is the same tomorrow, and what is said about it is kept
// with its lines: owner, cause and note follow a line into another group. First seen is when the group, or any of its lines
// alone, was first reported. Age counts from the oldest line's booking date, not from when somebody looked.
//
// Decisions are applied by number before any rule. A later one that forms or parts a group dissolves earlier groups of
// those lines. One that names a line that is not there, or that cannot be, changes nothing and is among the troubles:
// it is never half applied.
//
// # Proofs
//
// Every line is in exactly one group: counted in the groups that are handed out. And per currency
//
//	bank closing − ledger closing = Σ (bank − ledger) of the open groups
//
// which follows when each side foots (opening + movement = closing), the sides began alike but for what was brought
// forward, and settled groups add up to zero. All of these are computed; where one fails, it says by how much.
//
// # Bounds
//
// 100,000 lines of each side take seconds. Nothing compares all lines with all: values, amounts and dates are sorted
// once and walked together. What could grow without end has a name: MaxLines, MaxGroup, MaxCandidates, MaxSubsetLines,
// MaxSubsetAnchors, MaxReferences, MaxDecisions. Where a bound leaves something unsearched, Notes says so.
//
// Tried and rejected: the best total over all pairs (assignment), which is cubic and whose choice nobody can retrace;
// scores and weights, for the same reason; matching by amount a second time after the first has made lines
// unique, which lets one wrong match pull the next after it.
package match
