package reconcile

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"tallystick/ledger/chain"
	"tallystick/ledger/store"
	"tallystick/reconcile/bankbook"
	"tallystick/reconcile/report"
)

// BankResult is the name of the result of the bank phase: a BankOutcome.
const BankResult = "bank"

// bankPhase reconciles the ledger with its banks: a result, two reports, and when breaks were first seen.
func (n *Night) bankPhase(ctx context.Context) error {
	out, err := ReconcileBank(ctx, Bank{Snapshot: n.Snapshot, Present: n.Present, AsOf: n.AsOf, Days: n.Days, Policy: n.Policy,
		Statements: n.Statements, BankFiles: n.BankFiles, Progress: n.tell})
	if err != nil {
		return err
	}
	if err := n.keepBreaks(ctx, out); err != nil {
		return err
	}
	n.Find(out.Findings()...)
	if err := n.Put(ResultOutput, BankResult, out); err != nil {
		return err
	}
	facts := out.facts(n)
	for _, write := range []func(string, []report.Fact, []*bankbook.Result) (*report.Document, error){bankbook.Reconciliation, bankbook.Breaks} {
		doc, err := write(n.Terms.Name, facts, out.Accounts)
		if err != nil {
			return err
		}
		if err := n.Put(ReportOutput, doc.Name, doc); err != nil {
			return err
		}
	}
	return nil
}

// keepBreaks keeps which breaks were seen, before they are put out: it changes nothing about those that are kept already.
func (n *Night) keepBreaks(ctx context.Context, out *BankOutcome) error {
	var open []string
	for _, r := range out.Accounts {
		open = append(open, r.Open()...)
	}
	switch {
	case len(open) == 0:
		return nil
	case n.Keeper.KeepBreaks == nil:
		return errors.New("keeping when breaks were first seen: this run has no way to")
	}
	return n.Keeper.KeepBreaks(ctx, n.LedgerID, n.RunID, n.AsOf, open)
}

// facts say what the reports rest on. Present has no place among them: the run entry itself moves it, and what was decided
// is in the run's pins.
func (out *BankOutcome) facts(n *Night) []report.Fact {
	policy := "none"
	if n.Policy != nil {
		policy = n.Policy.Name + " " + n.Policy.Version + ", SHA-256 " + n.Policy.SHA256.String()
	}
	return []report.Fact{
		{Name: "As of", Value: n.AsOf.String()},
		{Name: "Ledger size", Value: strconv.FormatInt(n.Snapshot.Size, 10)},
		{Name: "Head", Value: n.Snapshot.Head.String()},
		{Name: "Policy", Value: policy},
		{Name: "Bank statements", Value: "up to number " + strconv.FormatInt(n.Statements, 10)},
	}
}

// Findings are what is wrong, or could not be looked at. Breaks are no findings by themselves.
func (out *BankOutcome) Findings() []chain.Finding {
	var all []chain.Finding
	add := func(code, account, stored, recomputed string) {
		f := nightFinding(code, noSeq, stored, recomputed)
		f.Account = optional(account)
		all = append(all, f)
	}
	for _, r := range out.Accounts {
		switch r.State {
		case bankbook.NotReconciled:
			stored, recomputed := unproved(r)
			add(BankNotReconciled, r.Account, stored, recomputed)
		case bankbook.Reconciled:
			if !r.Stated {
				add(BankBalanceNotStated, r.Account, "no balance", "")
			}
		}
		if r.State == bankbook.NoStatement || len(r.Missing) > 0 {
			add(BankStatementMissing, r.Account, lacking(r), "a statement up to "+r.AsOf)
		}
		if r.Overdue > 0 {
			add(BankBreaksOverdue, r.Account, fmt.Sprintf("%d breaks", r.Overdue), "0")
		}
		for _, t := range r.Troubles {
			f := nightFinding(BankDecisionIneffective, t.Seq, string(t.Action)+": "+t.Why, "")
			f.Account = optional(r.Account)
			all = append(all, f)
		}
	}
	for _, code := range out.Unknown {
		add(BankAccountMissing, code, "", "")
	}
	for _, q := range out.Quarantined {
		add(BankStatementQuarantine, "", fmt.Sprintf("file %d, SHA-256 %s, %d reasons", q.File, q.SHA256, q.Reasons), "")
	}
	return all
}

// lacking says which statements an account lacks.
func lacking(r *bankbook.Result) string {
	if len(r.Missing) == 0 {
		return "none"
	}
	var reach []string
	for _, bank := range r.Banks {
		reach = append(reach, bank.BankAccount+" up to "+bank.To)
	}
	if len(reach) == 0 {
		return "none of " + strings.Join(r.Missing, ", ")
	}
	return strings.Join(reach, ", ")
}

// unproved says which proof of an account does not hold.
func unproved(r *bankbook.Result) (stored, recomputed string) {
	p := r.Proof
	if p == nil {
		return strings.Join(r.Notes, "; "), ""
	}
	format := func(what string, off interface{ Format(uint8) string }) string {
		return what + " " + off.Format(r.Scale) + " " + r.Currency + " off"
	}
	switch {
	case !r.Placement.Holds():
		return fmt.Sprintf("%d of %d lines are in one group", r.Placement.Placed, r.Placement.Lines), ""
	case !p.BankFooting.IsZero():
		return format("the bank's side is", p.BankFooting), "0"
	case !p.LedgerFooting.IsZero():
		return format("the ledger's side is", p.LedgerFooting), "0"
	case !p.OpeningGap.IsZero():
		return format("the openings are", p.OpeningGap), "0"
	}
	return p.Difference.Format(r.Scale), p.OpenBreaks.Format(r.Scale)
}

// Index: the primary key, read backwards for one row.
const newestDaySQL = `select booking_date from book.entries where ledger_id = $1::uuid order by seq desc limit 1`

// MatchBank reconciles a ledger with its banks outside a run, up to the end of a day: that of the newest entry where the
// options name none. Nothing is stored. Of several accounts, account selects one.
func MatchBank(ctx context.Context, db *store.DB, now time.Time, o NightOptions, account string) (*BankOutcome, error) {
	if o.AsOf == nil {
		err := db.Scan(ctx, newestDaySQL, []any{o.Ledger}, func(r *store.Row) error {
			day := r.Date(0)
			o.AsOf = &day
			return bankRow(r)
		})
		if err != nil {
			return nil, fmt.Errorf("reading the newest day of ledger %s: %w", o.Ledger, err)
		}
	}
	n, _, err := freeze(ctx, db, now, &o)
	if err != nil {
		return nil, fmt.Errorf("reading ledger %s: %w", o.Ledger, err)
	}
	return ReconcileBank(ctx, Bank{Snapshot: n.Snapshot, Present: n.Present, AsOf: n.AsOf, Days: n.Days, Policy: n.Policy,
		Statements: n.Statements, BankFiles: n.BankFiles, Account: account})
}
