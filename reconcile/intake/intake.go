package intake

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"

	"tallystick/ledger"
	"tallystick/ledger/chain"
	"tallystick/ledger/money"
	"tallystick/ledger/store"
	"tallystick/reconcile/bankfile"
)

// maxAttempts bounds how often a file is judged again because others came between.
const maxAttempts = 10

// File is a file to take.
type File struct {
	Name     string // without a path, for people
	Content  io.ReadSeeker
	Columns  *bankfile.Columns // of CSV; nil for all other formats
	MaxBytes int64             // bankfile.MaxFile when zero
	By       string            // who hands it in: the id of a key, or a word
}

// Outcome is what became of a file.
type Outcome string

// The outcomes.
const (
	Accepted    Outcome = "accepted"
	Already     Outcome = "already_there" // nothing was changed
	Quarantined Outcome = "quarantined"
)

// Receipt says what became of a file.
type Receipt struct {
	Outcome    Outcome
	File       store.BankFile // as it is stored
	Statements []Statement    // none of a file in quarantine, or of one that was taken before as a whole
}

// Statement is a statement of an accepted file.
type Statement struct {
	store.BankStatement
	Already bool // it was there before
}

// ConflictCode is the reason of quarantine that is found here, beside those of bankfile.
const ConflictCode = "conflicting"

// Take takes a file. A file that cannot be taken is an outcome or, where its account is not known, an *AccountError;
// any other error is one of the source or the database, and may be gone when it is tried again.
func Take(ctx context.Context, db *store.DB, id ledger.LedgerID, f File, accounts Accounts) (Receipt, error) {
	if f.MaxBytes <= 0 {
		f.MaxBytes = bankfile.MaxFile
	}
	t := &taking{ctx: ctx, db: db, id: id, file: f, accounts: accounts}
	if err := t.identify(); err != nil {
		return Receipt{}, fmt.Errorf("reading bank file %s: %w", f.Name, err)
	}
	before, err := db.AcceptedBankFile(ctx, id, t.row.SHA256)
	switch {
	case err == nil:
		return Receipt{Outcome: Already, File: before}, nil
	case !errors.Is(err, store.ErrNotFound):
		return Receipt{}, err
	}
	for attempt := 1; ; attempt++ {
		receipt, err := t.attempt()
		if !errors.Is(err, store.ErrBankMoved) || attempt == maxAttempts {
			return receipt, err
		}
	}
}

// taking is the state of Take.
type taking struct {
	ctx      context.Context // of Take
	db       *store.DB
	id       ledger.LedgerID
	file     File
	accounts Accounts
	row      store.BankFile
}

// identify hashes the file.
func (t *taking) identify() error {
	h := sha256.New()
	n, err := io.Copy(h, io.LimitReader(t.file.Content, t.file.MaxBytes+1))
	if err != nil {
		return err
	}
	t.row = store.BankFile{Name: t.file.Name, Bytes: n, ImportedBy: t.file.By}
	h.Sum(t.row.SHA256[:0])
	return nil
}

// attempt judges the file as the store is now, and stores it or the verdict.
func (t *taking) attempt() (Receipt, error) {
	j, err := t.judge()
	if err != nil {
		return Receipt{}, err
	}
	t.row.Format = string(j.verdict.File.Format)
	if len(j.reasons) > 0 {
		t.row.Reasons = j.reasons
		kept, _, err := t.db.QuarantineBankFile(t.ctx, t.id, t.row)
		kept.Reasons = j.reasons // as of now; those kept may be of an earlier day
		return Receipt{Outcome: Quarantined, File: kept}, err
	}
	if err := t.resolve(j); err != nil {
		return Receipt{}, err
	}
	if len(j.fresh) == 0 {
		return Receipt{Outcome: Already, File: t.row, Statements: j.statements()}, nil
	}
	stored, fresh, err := t.db.StoreBankFile(t.ctx, t.id, t.row, j.fresh, func(emit func(int, store.BankLine) error) error { return t.lines(j, emit) })
	if err != nil {
		return Receipt{}, err
	}
	if !fresh {
		return Receipt{Outcome: Already, File: stored}, nil
	}
	return Receipt{Outcome: Accepted, File: stored, Statements: j.statements()}, nil
}

// options say how bankfile reads.
func (t *taking) options() bankfile.Options {
	return bankfile.Options{Columns: t.file.Columns, MaxBytes: t.file.MaxBytes, Currency: t.accounts.Currency}
}

// rewind begins the file again.
func (t *taking) rewind() error {
	if _, err := t.file.Content.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("reading bank file %s again: %w", t.file.Name, err)
	}
	return nil
}

// lines hands over the lines of the fresh statements: the second pass.
func (t *taking) lines(j *judgement, emit func(int, store.BankLine) error) error {
	if err := t.rewind(); err != nil {
		return err
	}
	counts := make([]int64, len(j.fresh))
	file, err := bankfile.Read(t.file.Content, t.options(), bankfile.Receiver{
		Line: func(s *bankfile.Statement, l *bankfile.Line) error {
			at, ok := j.place[place{s.Index, l.Amount.Currency.Code}]
			if !ok {
				return nil // it is there already
			}
			counts[at]++
			line, err := lineOf(l, j.fresh[at].To)
			if err != nil {
				return fmt.Errorf("reading line %d of statement %d at %s: %w", l.Index+1, s.Index+1, l.Position, err)
			}
			line.Number = counts[at]
			return emit(at, line)
		},
	})
	if err != nil {
		return err
	}
	if chain.Hash(file.Digest) != t.row.SHA256 {
		return fmt.Errorf("reading bank file %s again: it changed while it was read", t.file.Name)
	}
	return nil
}

// lineOf turns a line into what is stored of it. A line without a booking date, as one that is only announced may be,
// stands on its value date, or else on the last day of its statement.
func lineOf(l *bankfile.Line, last chain.Date) (store.BankLine, error) {
	line := store.BankLine{Booked: last, Units: l.Signed(), Status: string(l.Status), Reversal: l.Reversal, Code: l.Code,
		Party: l.Counterparty.Name, Description: l.Remittance, References: references(l)}
	if line.Party == "" {
		line.Party = l.Counterparty.IBAN
	}
	if line.Description == "" {
		line.Description = l.Info
	}
	if l.ValueDate != "" {
		day, err := chain.ParseDate(string(l.ValueDate))
		if err != nil {
			return line, err
		}
		line.Valued, line.Booked = &day, day
	}
	if l.BookingDate != "" {
		day, err := chain.ParseDate(string(l.BookingDate))
		if err != nil {
			return line, err
		}
		line.Booked = day
	}
	return line, nil
}

// maxDetails is for how many payments of a line that sums a batch the references are kept.
const maxDetails = 500

// references returns what the line is known by, under the names that a policy uses. A line that sums several payments has
// those of each.
func references(l *bankfile.Line) map[string][]string {
	r := &l.References
	refs := make(map[string][]string)
	add := func(name, value string) {
		if value != "" && !slices.Contains(refs[name], value) {
			refs[name] = append(refs[name], value)
		}
	}
	for name, value := range map[string]string{
		"end_to_end": r.EndToEnd, "transaction": r.Transaction, "servicer": r.Servicer, "instruction": r.Instruction, "mandate": r.Mandate,
		"client": r.Client, "entry": r.Entry, "message": r.Message, "batch": r.Batch, "uetr": r.UETR, "cheque": r.Cheque,
	} {
		add(name, value)
	}
	if len(l.Details) > 1 && len(l.Details) <= maxDetails {
		for i := range l.Details {
			add("end_to_end", l.Details[i].References.EndToEnd)
		}
	}
	return refs
}

// reasonOf turns a reason into what is stored of it.
func reasonOf(r *bankfile.Reason) store.BankReason {
	kept := store.BankReason{Code: string(r.Code), Line: int64(r.Position.Line), Byte: r.Position.Offset, Account: r.Account.String(), Text: r.Text}
	if r.Difference.Currency != (money.Currency{}) {
		kept.Currency, kept.Difference = r.Difference.Currency.Code, r.Difference.Units.Format(r.Difference.Currency.Scale)
	}
	return kept
}
