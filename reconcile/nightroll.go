package reconcile

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/shopspring/decimal"

	"tallystick/ledger/chain"
	"tallystick/reconcile/figures"
	"tallystick/reconcile/report"
)

// Closing is what a run leaves for the next one: the balances with which it ended.
type Closing struct {
	Size     int64  `json:"size"`
	Accounts int64  `json:"accounts"`
	SHA256   string `json:"sha256"` // over a line for each account, see closingLine
}

// closingOutput is the name of a Closing among the outputs of a run.
const closingOutput = "closing"

// maxRollFindings is how many accounts of a roll-forward are reported.
const maxRollFindings = 100

// closingOf adds balances, in order of their codes, up to a Closing.
func closingOf(size int64, all []Balance) Closing {
	h := sha256.New()
	for i := range all {
		b := &all[i]
		fmt.Fprintf(h, "%s %s %d %s %s %s\n", b.Code, b.Currency, b.AccountSeq, b.Posted.Format(b.Scale), b.PendingDebit.Format(b.Scale), b.PendingCredit.Format(b.Scale))
	}
	return Closing{Size: size, Accounts: int64(len(all)), SHA256: chain.Hash(h.Sum(nil)).String()}
}

// checkRollForward holds what the run before reported as closing balances against
// the balances that the ledger now gives for that size, which are today's opening
// balances. What the run before has stored is held against its entry first.
func (b *nightBooks) checkRollForward(ctx context.Context) (string, error) {
	before := b.Previous
	if before == nil {
		return "", notApplicable("this is the first run: there is no closing to go on from")
	}
	if err := b.holdPrevious(ctx, before); err != nil {
		return "", err
	}
	opening, err := b.balancesAt(ctx, before.Size)
	if err != nil {
		return "", err
	}
	now := closingOf(before.Size, opening)
	var reported Closing
	if err := b.readPrevious(ctx, StateOutput, closingOutput, &reported); err != nil {
		return "", err
	}
	n := b.found.count()
	compared, err := b.rollTrialBalance(ctx, opening)
	if err != nil {
		return "", err
	}
	if reported != now && b.found.count() == n {
		b.Find(nightFinding(RollForwardMismatch, before.Size-1, fmt.Sprintf("%d accounts, SHA-256 %s, by run %s", reported.Accounts, reported.SHA256, before.ID),
			fmt.Sprintf("%d accounts, SHA-256 %s", now.Accounts, now.SHA256)))
	}
	scope := fmt.Sprintf("%d balances after %s, at the end of %s, against what run %s left", now.Accounts, entriesText(before.Size), before.AsOf, before.ID)
	if compared {
		scope += " and its trial balance"
	}
	return scope, nil
}

// holdPrevious holds the outputs that are stored of the run before against its
// entry in the ledger.
func (b *nightBooks) holdPrevious(ctx context.Context, before *PreviousRun) error {
	outputs, err := listOutputs(ctx, b.DB, before.ID)
	if err != nil {
		return err
	}
	seq, said, err := runEntryOf(ctx, b.DB, b.LedgerID, before.ID)
	if err != nil {
		return err
	}
	if said == nil {
		b.Find(nightFinding(RunNotReproduced, noSeq, "run "+before.ID.String()+" without an entry", "an entry of the ledger with its id"))
		return nil
	}
	for _, c := range []struct{ name, stored string }{
		{"reports_sha256", OutputsDigest(outputs).String()},
		{"size", fmt.Sprint(before.Size)},
		{"as_of", before.AsOf.String()},
	} {
		if said[c.name] != c.stored {
			b.Find(nightFinding(RunNotReproduced, seq, c.name+" "+c.stored+", as it is stored", said[c.name]+", by the run entry"))
		}
	}
	return nil
}

// notReproduced reports whether an error of reading an output of the run before says
// that it is not what was put out, which is then a finding.
func (n *Night) notReproduced(err error) bool {
	if !errors.Is(err, errOutput) {
		return false
	}
	n.Find(nightFinding(RunNotReproduced, noSeq, err.Error(), ""))
	return true
}

// readPrevious decodes an output of the run before. One that is not what was put
// out is a finding.
func (b *nightBooks) readPrevious(ctx context.Context, kind, name string, into any) error {
	encoded, err := ReadOutput(ctx, b.DB, b.Previous.ID, kind, name)
	b.notReproduced(err)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(encoded, into); err != nil {
		return fmt.Errorf("reading %s %s of run %s: %w", kind, name, b.Previous.ID, err)
	}
	return nil
}

// rollTrialBalance holds the closing column of the trial balance that the run
// before reported against opening balances; compared is false when it reported
// none.
func (b *nightBooks) rollTrialBalance(ctx context.Context, opening []Balance) (compared bool, err error) {
	encoded, err := ReadOutput(ctx, b.DB, b.Previous.ID, ReportOutput, figures.NameTrialBalance)
	switch {
	case errors.Is(err, ErrNoOutput), b.notReproduced(err):
		return false, nil
	case err != nil:
		return false, err
	}
	doc, err := report.Decode(encoded)
	if err != nil {
		return false, fmt.Errorf("reading the trial balance of run %s: %w", b.Previous.ID, err)
	}
	reported := closingColumn(doc)
	found, more := []chain.Finding{}, 0
	mismatch := func(account, stored, recomputed string) {
		if len(found) == maxRollFindings {
			more++
			return
		}
		found = append(found, b.about(RollForwardMismatch, b.Previous.Size-1, account, stored+", by the trial balance of run "+b.Previous.ID.String(), recomputed))
	}
	for i := range opening {
		a := &opening[i]
		stands := a.Posted.Decimal(a.Scale)
		closing := reported[a.Code]
		delete(reported, a.Code)
		if !closing.Equal(stands) {
			mismatch(a.Code, closing.StringFixed(int32(a.Scale)), a.Posted.Format(a.Scale))
		}
	}
	for _, code := range sortedKeys(reported) {
		mismatch(code, reported[code].String(), "no such account")
	}
	if more > 0 {
		found = append(found, nightFinding(RollForwardMismatch, b.Previous.Size-1, fmt.Sprintf("%d further accounts of the trial balance of run %s", more, b.Previous.ID), ""))
	}
	b.Find(found...)
	return true, nil
}

// closingColumn returns the closing balances of a trial balance by account,
// debit-positive.
func closingColumn(doc *report.Document) map[string]decimal.Decimal {
	all := make(map[string]decimal.Decimal)
	for i := range doc.Blocks {
		t := doc.Blocks[i].Table
		if t == nil {
			continue
		}
		column := make(map[string]int, len(t.Columns))
		for j := range t.Columns {
			column[t.Columns[j].Name] = j
		}
		account, ok1 := column["account"]
		debit, ok2 := column["closing_debit"]
		credit, ok3 := column["closing_credit"]
		if !ok1 || !ok2 || !ok3 {
			continue
		}
		for j := range t.Rows {
			if row := &t.Rows[j]; row.Kind == report.Record {
				all[row.Cells[account].Value] = cellAmount(&row.Cells[debit]).Sub(cellAmount(&row.Cells[credit]))
			}
		}
	}
	return all
}

// cellAmount is the amount of a cell; an empty one is zero.
func cellAmount(c *report.Cell) decimal.Decimal {
	v, err := decimal.NewFromString(c.Value)
	if err != nil {
		return decimal.Decimal{}
	}
	return v
}
