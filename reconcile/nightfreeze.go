package reconcile

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"tallystick/ledger/chain"
	"tallystick/ledger/store"
	"tallystick/reconcile/calendar"
	"tallystick/reconcile/policy"
)

const (
	// MostReadWhole is how many entries a run reads whole unless told otherwise:
	// about ten minutes at 100,000 entries a second, a quarter of what two processors
	// were measured to do.
	MostReadWhole = 60_000_000
	// dayMargin is how long after the cut-off a day counts as over: a commit that was
	// decided before it may end after it.
	dayMargin = time.Minute
)

// Reading says which entries a run reads.
type Reading string

// The ways to read.
const (
	// ReadAsPlanned reads all up to MostReadWhole entries, and beyond that the
	// increment.
	ReadAsPlanned Reading = ""
	ReadWhole     Reading = "whole"
	ReadIncrement Reading = "increment"
)

// NightOptions say what to run.
type NightOptions struct {
	Ledger uuid.UUID
	// AsOf is the day whose end the figures are for; nil for the last business day
	// that is over.
	AsOf    *chain.Date
	Reading Reading
	// Policy is nil without one; Rates, Inputs and Calendar likewise. Calendar is a
	// list of holidays beside those of the policy.
	Policy                  *policy.Policy
	Rates, Inputs, Calendar *Document
	// SignerState is the state file of the signer; without it everything is read.
	SignerState *Document
	// Again has a run that has ended computed once more and compared with what is
	// stored; nothing is written.
	Again   bool
	Workers int
	// Lease is how long a process that has stopped keeps a run from others;
	// DefaultLease when 0.
	Lease time.Duration
	// Began, unless nil, is told once the run has its row, which may be of a run that
	// has gone on, or ended, before.
	Began func(store.Run)
	// Progress, unless nil, is told which phase is at work and how far it is.
	Progress func(phase string, done, total int64)
}

// ErrNothingBooked: the ledger has no entry up to the day.
var ErrNothingBooked = errors.New("nothing was booked up to that day")

// ErrDayNotOver: figures are not made for days to come.
var ErrDayNotOver = errors.New("that day has not begun")

// freeze pins everything that the run depends on.
func freeze(ctx context.Context, db *store.DB, now time.Time, o *NightOptions) (*Night, *pins, error) {
	n := &Night{LedgerID: o.Ledger, DB: db, Policy: o.Policy, Rates: o.Rates, Inputs: o.Inputs, Workers: o.Workers, again: o.Again}
	if n.Workers <= 0 {
		n.Workers = DefaultWorkers()
	}
	cut, err := db.Snapshot(ctx, o.Ledger)
	if err != nil {
		return nil, nil, err
	}
	n.Snapshot, n.Present = cut, cut.Size
	if err := n.readTerms(ctx); err != nil {
		return nil, nil, err
	}
	if err := n.chooseDay(now, o); err != nil {
		return nil, nil, err
	}
	if err := n.cutAt(ctx); err != nil {
		return nil, nil, err
	}
	p := &pins{Inputs: make(map[string]chain.Hash), Evidence: o.SignerState != nil}
	for _, f := range []struct {
		name string
		file *Document
	}{{"rates_sha256", o.Rates}, {"inputs_sha256", o.Inputs}, {"calendar_sha256", o.Calendar}} {
		if f.file != nil {
			p.Inputs[f.name] = sha256.Sum256(f.file.Data)
		}
	}
	if o.Policy != nil {
		p.Inputs["policy_sha256"] = o.Policy.SHA256
	}
	if err := n.pinDecisions(ctx, p); err != nil {
		return nil, nil, err
	}
	if err := n.pinStatements(ctx, p); err != nil {
		return nil, nil, err
	}
	if err := n.pinPrevious(ctx, p); err != nil {
		return nil, nil, err
	}
	return n, p, nil
}

// readTerms reads what the ledger was opened with.
func (n *Night) readTerms(ctx context.Context) error {
	found := false
	err := n.Snapshot.Scan(ctx, termsSQL, []any{n.LedgerID}, func(r *store.Row) error {
		found = true
		n.Terms = chain.LedgerTerms{
			Name: string(r.Text(0)), Origin: string(r.Text(1)), TimeZone: string(r.Text(2)), DayCutoff: r.Int32(3),
			BaseCurrency: string(r.Text(4)), BaseScale: r.Scale(5), ValueDaysBack: r.Int32(6), ValueDaysAhead: r.Int32(7),
		}
		if bad := rejected(r); bad != nil {
			return fmt.Errorf("%s is %q: run tallystick verify", bad.column, bad.value)
		}
		return nil
	})
	switch {
	case err != nil:
		return fmt.Errorf("reading the terms of ledger %s: %w", n.LedgerID, err)
	case !found:
		return fmt.Errorf("reading the terms of ledger %s: %w", n.LedgerID, ErrUnknownLedger)
	}
	return nil
}

// chooseDay decides which day the run is for, by the ledger's own clock.
func (n *Night) chooseDay(now time.Time, o *NightOptions) error {
	zone, err := time.LoadLocation(n.Terms.TimeZone)
	if err != nil {
		return fmt.Errorf("reading the time zone of ledger %s: %w", n.Terms.Name, err)
	}
	if o.Policy != nil {
		n.Days = o.Policy.Days()
	} else if n.Days, err = calendar.Named("weekdays"); err != nil {
		return err
	}
	if o.Calendar != nil {
		holidays, err := readHolidays(o.Calendar)
		if err != nil {
			return err
		}
		n.Days = n.Days.With(holidays)
	}
	n.AsOf = n.Days.Before(bookingDay(&n.Terms, zone, now.Add(-dayMargin)))
	if o.AsOf != nil {
		n.AsOf = *o.AsOf
	}
	today := bookingDay(&n.Terms, zone, now)
	switch {
	case n.AsOf > today:
		err = fmt.Errorf("%w: the ledger books on %s", ErrDayNotOver, today)
	case o.Policy != nil && !o.Policy.InForce(n.AsOf):
		err = fmt.Errorf("%w: it applies from %s on", ErrPolicyNotInForce, o.Policy.EffectiveFrom)
	}
	return wrap(fmt.Sprintf("running ledger %s as of %s", n.Terms.Name, n.AsOf), err)
}

// bookingDay is the business day of t: the local date, or the next one from the
// cut-off on (FORMAT.md, section 7).
func bookingDay(terms *chain.LedgerTerms, zone *time.Location, t time.Time) chain.Date {
	local := t.In(zone)
	day := chain.DateOf(local)
	if clock := int32(local.Hour()*3600 + local.Minute()*60 + local.Second()); terms.DayCutoff > 0 && clock >= terms.DayCutoff {
		day++
	}
	return day
}

// maxHolidays bounds a calendar file.
const maxHolidays = 100_000

// readHolidays reads a list of days, one a line. What follows # is for people.
func readHolidays(doc *Document) ([]chain.Date, error) {
	var days []chain.Date
	line := 0
	for text := range strings.SplitSeq(string(doc.Data), "\n") {
		line++
		text, _, _ = strings.Cut(text, "#")
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		day, err := chain.ParseDate(text)
		if err != nil {
			return nil, fmt.Errorf("reading the calendar %s, line %d: %q is no day such as 2026-12-25", doc.Name, line, text)
		}
		if days = append(days, day); len(days) > maxHolidays {
			return nil, fmt.Errorf("reading the calendar %s: more than %d days", doc.Name, maxHolidays)
		}
	}
	return days, nil
}

// tailPage is how many entries are looked at together from the end of a day back.
const tailPage = 64

// Index: i5_entries_seq, read backwards.
const tailKindsSQL = `
select seq, kind, entry_hash
from book.entries
where ledger_id = $1::uuid and seq < $2::int8
order by seq desc
limit $3::int8`

// cutAt cuts the ledger at the end of the day, without the runs and sign-offs
// that stand last: they are of what was before them, and a run must not give
// cause for another.
func (n *Night) cutAt(ctx context.Context) error {
	size, err := SizeThrough(ctx, n.Snapshot, n.AsOf)
	if err != nil {
		return err
	}
	for {
		type last struct {
			seq  int64
			kind string
			hash chain.Hash
		}
		var page []last
		var decided []int64
		err := n.Snapshot.Scan(ctx, tailKindsSQL, []any{n.LedgerID, size, int64(tailPage)}, func(r *store.Row) error {
			e := last{r.Int64(0), string(r.Text(1)), r.Hash(2)}
			if page = append(page, e); e.kind == chain.Decision.String() {
				decided = append(decided, e.seq)
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("reading the last entries of %s: %w", n.AsOf, err)
		}
		signOffs, err := n.signOffsAmong(ctx, decided)
		if err != nil {
			return err
		}
		for _, e := range page {
			if e.kind == chain.Run.String() || signOffs[e.seq] {
				size = e.seq
				continue
			}
			n.Snapshot.Size, n.Snapshot.Head = e.seq+1, e.hash
			return nil
		}
		if len(page) == 0 {
			return fmt.Errorf("running ledger %s as of %s: %w", n.Terms.Name, n.AsOf, ErrNothingBooked)
		}
	}
}

// Index: the primary key.
const signOffsSQL = `
select seq from book.details
where ledger_id = $1::uuid and seq = any($2::int8[]) and name = 'action' and value = 'sign_off'`

func (n *Night) signOffsAmong(ctx context.Context, seqs []int64) (map[int64]bool, error) {
	found := make(map[int64]bool)
	if len(seqs) == 0 {
		return found, nil
	}
	err := n.Snapshot.Scan(ctx, signOffsSQL, []any{n.LedgerID, seqs}, func(r *store.Row) error {
		found[r.Int64(0)] = true
		return nil
	})
	return found, wrap("reading which decisions sign a run off", err)
}

// pins is what a run is pinned to beside its cut, as it is stored.
type pins struct {
	Scope    string                `json:"scope"` // whole, or increment
	ReadFrom int64                 `json:"read_from"`
	Why      string                `json:"why"` // of the scope
	Previous string                `json:"previous,omitempty"`
	Evidence bool                  `json:"evidence,omitempty"` // there is a signer's state to hold the ledger against
	Inputs   map[string]chain.Hash `json:"-"`
	Digests  map[string]string     `json:"inputs"`
}

// key is the digest of all that a run is pinned to. Why is for people.
func (n *Night) key(p *pins) chain.Hash {
	var b strings.Builder
	line := func(name, value string) { fmt.Fprintf(&b, "%s %s\n", name, value) }
	line("tallystick/run", "1")
	for _, p := range phases {
		line("phase "+p.name, strconv.Itoa(p.version))
	}
	line("ledger", n.LedgerID.String())
	line("size", strconv.FormatInt(n.Snapshot.Size, 10))
	line("head", n.Snapshot.Head.String())
	line("as_of", n.AsOf.String())
	line("scope", p.Scope)
	line("read_from", strconv.FormatInt(p.ReadFrom, 10))
	line("previous", p.Previous)
	if p.Evidence { // what is checked against it is more than what can be checked without
		line("evidence", "signer's state")
	}
	for _, name := range chain.RunInputs {
		if digest, ok := p.Inputs[name]; ok {
			line(name, digest.String())
		}
	}
	return sha256.Sum256([]byte(b.String()))
}

// encode returns the pins as they are stored.
func (p *pins) encode() (json.RawMessage, error) {
	p.Digests = make(map[string]string, len(p.Inputs))
	for name, digest := range p.Inputs {
		p.Digests[name] = digest.String()
	}
	return json.Marshal(p)
}

// digest is the SHA-256 over lines. It is absent when there are none.
type digest struct{ h hash.Hash }

func (d *digest) line(format string, args ...any) {
	if d.h == nil {
		d.h = sha256.New()
	}
	fmt.Fprintf(d.h, format+"\n", args...)
}

func (d *digest) into(p *pins, name string) {
	if d.h != nil {
		p.Inputs[name] = chain.Hash(d.h.Sum(nil))
	}
}

// Indexes: entries_night and i12_entries_erased.
const (
	decidedSQL = `
select seq, entry_hash from book.entries
where ledger_id = $1::uuid and kind = 'decision' and seq > $2::int8 and seq < $3::int8
order by seq
limit $4::int8`
	erasuresPinnedSQL = `
select ref_seq, seq, entry_hash from book.entries
where ledger_id = $1::uuid and kind = 'erasure' and seq < $2::int8
order by ref_seq, seq`
)

// pinDecisions pins what people decided up to now, but for sign-offs, and whose
// text is erased.
func (n *Night) pinDecisions(ctx context.Context, p *pins) error {
	var d digest
	after := int64(-1)
	for {
		type decided struct {
			seq  int64
			hash chain.Hash
		}
		var page []decided
		var seqs []int64
		err := n.Snapshot.Scan(ctx, decidedSQL, []any{n.LedgerID, after, n.Present, int64(standard.page)}, func(r *store.Row) error {
			page, seqs = append(page, decided{r.Int64(0), r.Hash(1)}), append(seqs, r.Int64(0))
			return nil
		})
		if err != nil {
			return fmt.Errorf("reading decisions: %w", err)
		}
		if len(page) == 0 {
			break
		}
		signOffs, err := n.signOffsAmong(ctx, seqs)
		if err != nil {
			return err
		}
		for _, e := range page {
			if !signOffs[e.seq] {
				d.line("decision %d %s", e.seq, e.hash)
			}
		}
		after = page[len(page)-1].seq
	}
	err := n.Snapshot.Scan(ctx, erasuresPinnedSQL, []any{n.LedgerID, n.Present}, func(r *store.Row) error {
		d.line("erasure %d %s", r.Int64(1), r.Hash(2))
		return nil
	})
	d.into(p, "decisions_sha256")
	return wrap("reading erasures", err)
}

// Indexes: bank_statements_content, and the primary key of ops.bank_files.
const (
	statementsPinnedSQL = `
select statement, bank_account, currency, sha256 from ops.bank_statements
where ledger_id = $1::uuid and to_date <= $2::date
order by bank_account, currency, sha256`
	quarantinedPinnedSQL = `
select file, sha256 from ops.bank_files
where ledger_id = $1::uuid and verdict = 'quarantined'
order by file`
)

// pinStatements pins the bank statements up to the day, and the files that were
// quarantined, whatever day they are of.
func (n *Night) pinStatements(ctx context.Context, p *pins) error {
	var d digest
	err := n.Snapshot.Scan(ctx, statementsPinnedSQL, []any{n.LedgerID, n.AsOf.Time()}, func(r *store.Row) error {
		n.Statements = max(n.Statements, r.Int64(0))
		d.line("statement %s %s %s", r.Text(1), r.Text(2), r.Hash(3))
		return nil
	})
	if err != nil {
		return fmt.Errorf("reading which bank statements there are: %w", err)
	}
	err = n.Snapshot.Scan(ctx, quarantinedPinnedSQL, []any{n.LedgerID}, func(r *store.Row) error {
		n.BankFiles = max(n.BankFiles, r.Int64(0))
		d.line("quarantined %s", r.Hash(1))
		return nil
	})
	d.into(p, "statements_sha256")
	return wrap("reading which bank files are quarantined", err)
}

// Index: runs_by_day, read backwards.
const previousRunSQL = `
select run_id, as_of, size, reports_sha256 from ops.runs
where ledger_id = $1::uuid and as_of < $2::date and phase = 'done' and entry_seq is not null and size <= $3::int8
order by as_of desc, entry_seq desc
limit 1`

// pinPrevious pins the newest run of an earlier day.
func (n *Night) pinPrevious(ctx context.Context, p *pins) error {
	err := n.Snapshot.Scan(ctx, previousRunSQL, []any{n.LedgerID, n.AsOf.Time(), n.Snapshot.Size}, func(r *store.Row) error {
		n.Previous = &PreviousRun{ID: r.UUID(0), AsOf: r.Date(1), Size: r.Int64(2), Reports: r.Hash(3)}
		p.Previous = n.Previous.ID.String() + " " + n.Previous.Reports.String()
		return nil
	})
	return wrap("looking for the run before", err)
}
