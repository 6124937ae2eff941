package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"tallystick/ledger"
	"tallystick/ledger/chain"
	"tallystick/ledger/money"
	"tallystick/ledger/store"
)

// Actions of decisions about breaks, beside those of chain.
const (
	actionAccept = "accept" // a suggested match
	actionCarry  = "carry"  // leave it open, knowingly
)

// Bounds of decisions about breaks.
const (
	// MaxDecidedLines is how many lines one decision names; their ids must also fit
	// into ledger.MaxSubject bytes.
	MaxDecidedLines = 100
	// WriteOffPatience is how long a write-off waits for its turn.
	WriteOffPatience = 15 * time.Second
	// maxOwner is the longest owner or cause.
	maxOwner = 64
)

// verdict is a decision as a client asks for it.
type verdict struct {
	action, breakID, reason string
	lines                   []string
	extras                  decisionExtras
	account                 string // of a write-off: the account for the difference
	supersedes              *ledger.RequestID
}

// decide answers POST /v1/ledgers/{ledger}/decisions.
func (h *handlers) decide(x *exchange) error {
	if err := h.findLedger(x); err != nil {
		return err
	}
	r, err := x.body()
	if err != nil {
		return err
	}
	defer r.release()
	v := decodeVerdict(r)
	if err := r.end(); err != nil {
		return err
	}
	book, err := h.Bank.Breaks(x.req.Context(), x.ledger)
	if err != nil {
		return fmt.Errorf("reading the breaks of the newest run: %w", err)
	}
	if err := v.expand(book); err != nil {
		return err
	}
	facts, err := h.subjects(x.req.Context(), x.ledger, book, v.lines)
	if err != nil {
		return err
	}
	decision := &ledger.Decide{Action: v.action, Subject: strings.Join(v.lines, ","), Supersedes: v.supersedes}
	if len(decision.Subject) > ledger.MaxSubject {
		return fieldProblem(codeItemCount, "/lines", "the ids of the lines have %d bytes together, at most %d are bound; decide in several steps", len(decision.Subject), ledger.MaxSubject)
	}
	if decision.ID, _, err = freshRequestID(x.req.Header, x.ledger, ledger.OperationDecide); err != nil {
		return err
	}
	if v.action == chain.ActionWriteOff {
		return h.writeOffInTurn(x, v, facts, decision)
	}
	return h.record(x, v, decision)
}

// writeOffInTurn writes lines off while nobody else does: two write-offs at once
// that share a line would each find that it is not written off yet.
func (h *handlers) writeOffInTurn(x *exchange, v *verdict, facts []lineFact, d *ledger.Decide) error {
	ctx, cancel := context.WithTimeout(x.req.Context(), WriteOffPatience)
	defer cancel()
	if err := h.writeOffs.Acquire(ctx, 1); err != nil { // one connection waits for the turn, not one a request
		return writeOffsBusy()
	}
	defer h.writeOffs.Release(1)
	begun := false
	err := h.DB.InBankTurn(ctx, x.ledger, func() error {
		begun = true
		if err := h.writeOff(x, v, facts, d); err != nil {
			return err
		}
		return h.record(x, v, d)
	})
	if !begun && ctx.Err() != nil {
		return writeOffsBusy()
	}
	return err
}

func writeOffsBusy() *problem {
	return newProblem(codeOverloaded, "other lines of this ledger are being written off, or a bank file is being stored; nothing happened, try again later")
}

// record puts a decision on record. The reason is its description and the rest
// its metadata: the entry is bound to them, and they can be erased.
func (h *handlers) record(x *exchange, v *verdict, d *ledger.Decide) error {
	x.identify(&d.Common)
	d.Description = &v.reason
	if v.extras != (decisionExtras{}) {
		text, _ := json.Marshal(v.extras) // of texts: never fails
		canonical, p := canonicalMetadata(text)
		if p != nil {
			return p
		}
		d.Metadata = &canonical
	}
	outcome, err := h.Poster.Submit(x.req.Context(), x.ledger, d)
	switch {
	case err != nil:
		return fmt.Errorf("putting the decision %s on record: %w", d.Action, err)
	case outcome.Refusal != nil:
		return refused(outcome.Refusal)
	}
	status := x.changed(outcome)
	x.out = appendDecision(x.out, outcome.Entry)
	return x.send(status)
}

// writeOff books the difference of the lines against the account that was named,
// before the decision is put on record. Both ids follow from the lines and from
// the decision that took them back last: whoever asks, and however often, it is
// booked once; what was interrupted between the two is finished by the same
// request; and what was taken back can be written off again.
func (h *handlers) writeOff(x *exchange, v *verdict, facts []lineFact, d *ledger.Decide) error {
	difference, err := differenceOf(facts)
	if err != nil {
		return err
	}
	if err := h.atBank(x, &facts[0]); err != nil {
		return err
	}
	standing, takenBack, err := h.writtenOff(x, v.lines)
	if err != nil {
		return err
	}
	key := "\x01write_off\x00" + d.Subject
	if v.supersedes != nil {
		key += "\x00" + v.supersedes.String()
	}
	if takenBack > 0 {
		key += "\x00" + strconv.FormatInt(takenBack, 10)
	}
	d.ID = ledger.DeriveRequestID(x.ledger, ledger.OperationDecide, key)
	for _, line := range v.lines {
		if by, ok := standing[line]; ok && by.RequestID() != d.ID {
			return fieldProblem(codeWrittenOff, "/lines", "decision %d has written off %s; take it back first (unmatch), and reverse its transfer", by.Seq(), line)
		}
	}
	here, there := chain.Debit, chain.Credit
	if difference.Sign() < 0 {
		here, there = there, here
	}
	at := facts[0]
	amount := difference.Decimal(at.scale)
	booked := amount.Abs()
	t := &ledger.TransferRequest{Legs: []ledger.Leg{
		{Account: at.account, Direction: here, Amount: booked, Currency: at.currency},
		{Account: v.account, Direction: there, Amount: booked, Currency: at.currency},
	}}
	t.ID = ledger.DeriveRequestID(x.ledger, ledger.OperationTransfer, key)
	x.identify(&t.Common)
	t.Description = &v.reason
	outcome, err := h.Poster.Submit(x.req.Context(), x.ledger, t)
	switch {
	case err != nil:
		return fmt.Errorf("booking the write-off: %w", err)
	case outcome.Refusal != nil:
		return refused(outcome.Refusal)
	}
	d.Entry, d.Amount, d.Currency = &t.ID, &amount, at.currency
	return nil
}

// decisionsAtOnce is how many decisions are looked through at once.
const decisionsAtOnce = 1000

// writtenOff returns the decisions by which some of the lines are written off, and
// the newest one that took any of them back, 0 for none. To book a line again
// that is written off together with others would book it twice.
func (h *handlers) writtenOff(x *exchange, lines []string) (standing map[string]*ledger.Entry, takenBack int64, err error) {
	standing = map[string]*ledger.Entry{}
	for from := int64(0); ; {
		page, err := h.DB.Decisions(x.req.Context(), x.ledger, from, decisionsAtOnce)
		if err != nil {
			return nil, 0, fmt.Errorf("looking for earlier write-offs: %w", err)
		}
		for i := range page {
			e := &page[i]
			from = e.Seq() + 1
			for subject := range strings.SplitSeq(detail(e, "subject"), ",") {
				if !slices.Contains(lines, subject) {
					continue
				}
				switch detail(e, "action") {
				case chain.ActionWriteOff:
					standing[subject] = e
				case chain.ActionUnmatch:
					delete(standing, subject)
					takenBack = e.Seq()
				}
			}
		}
		if len(page) < decisionsAtOnce {
			return standing, takenBack, nil
		}
	}
}

// atBank refuses to write off what no run reconciles: postings of an account that
// stands for none at a bank.
func (h *handlers) atBank(x *exchange, f *lineFact) error {
	if f.bank {
		return nil
	}
	known, err := h.DB.BankStatements(x.req.Context(), x.ledger, store.BankStatementFilter{Account: f.account, Limit: 1})
	if err != nil {
		return fmt.Errorf("looking for bank statements of account %s: %w", f.account, err)
	}
	if len(known) == 0 {
		return fieldProblem(codeLineNotFound, "/lines", "account %s has no bank statements, so that nothing of it is open with a bank; post a transfer instead", f.account)
	}
	return nil
}

// lineFact is what is known of a line that a decision is about.
type lineFact struct {
	bank     bool
	account  string // code of the ledger's
	currency string
	scale    uint8
	units    money.Int128 // positive raises the balance at the bank
}

// differenceOf returns what the bank says less what the ledger says. Booked on the
// ledger's side, it settles the lines.
func differenceOf(facts []lineFact) (money.Int128, error) {
	var sum money.Int128
	ok := len(facts) > 0
	for i := range facts {
		units := facts[i].units
		if !facts[i].bank {
			units, _ = units.Neg() // an amount of a posting is in range
		}
		var fits bool
		sum, fits = sum.Add(units)
		ok = ok && fits
	}
	switch {
	case !ok:
		return sum, fieldProblem(codeValueInvalid, "/lines", "the amounts of the lines add up to more than can be booked")
	case sum.IsZero():
		return sum, fieldProblem(codeNothingOpen, "/lines", "the lines add up to zero: there is nothing to write off; match them instead")
	}
	return sum, nil
}

// subjects makes sure that the lines exist and are of one account and currency.
func (h *handlers) subjects(ctx context.Context, id ledger.LedgerID, book *BreakBook, lines []string) ([]lineFact, error) {
	var facts []lineFact
	for _, line := range lines {
		if strings.HasPrefix(line, bankFilePrefix) {
			continue
		}
		f, err := h.lineFact(ctx, id, book, line)
		if errors.Is(err, store.ErrNotFound) {
			return nil, fieldProblem(codeLineNotFound, "/lines", "there is no line %.64q: a line is bank:STATEMENT/LINE or ledger:SEQ/POSTING, as breaks and bank statements show them", line)
		}
		if err != nil {
			return nil, err
		}
		if facts = append(facts, f); f.account != facts[0].account || f.currency != facts[0].currency {
			return nil, fieldProblem(codeLinesApart, "/lines", "%s belongs to account %s and %s to %s; a decision is about lines of one account", lines[0], facts[0].account, line, f.account)
		}
	}
	return facts, nil
}

// lineFact finds a line. The difference of the openings, bank:N/0, is no stored
// line: the newest run knows it.
func (h *handlers) lineFact(ctx context.Context, id ledger.LedgerID, book *BreakBook, line string) (lineFact, error) {
	side, container, number, ok := parseLine(line)
	switch {
	case !ok:
		return lineFact{}, store.ErrNotFound
	case side == "bank" && number == 0:
		return h.openingFact(ctx, id, book, line, container)
	case side == "bank":
		s, l, err := h.DB.BankLine(ctx, id, container, number)
		if err == nil && (l.Status != store.BookedLine || s.Format == store.Announcement) {
			return lineFact{}, fieldProblem(codeLineNotFound, "/lines", "%s only announces what the bank has yet to book; decide about the line of the statement that books it", line)
		}
		return lineFact{true, s.Account, s.Currency, s.Scale, l.Units}, err
	}
	e, err := h.DB.Entry(ctx, id, container)
	if err != nil {
		return lineFact{}, err
	}
	postings := e.Record().Postings
	if number >= int64(len(postings)) {
		return lineFact{}, store.ErrNotFound
	}
	p := postings[number]
	f := lineFact{false, e.Accounts()[number].Code, p.Currency, p.Scale, p.Amount}
	if p.Direction == chain.Credit {
		f.units, _ = f.units.Neg()
	}
	return f, nil
}

func (h *handlers) openingFact(ctx context.Context, id ledger.LedgerID, book *BreakBook, line string, statement int64) (lineFact, error) {
	if book == nil {
		return lineFact{}, store.ErrNotFound
	}
	s, err := h.DB.BankStatement(ctx, id, statement)
	if err != nil {
		return lineFact{}, err
	}
	for i := range book.Breaks {
		for _, l := range book.Breaks[i].Lines {
			if l.ID != line {
				continue
			}
			d, err := money.ParseAmount(l.Amount)
			if err != nil {
				return lineFact{}, fmt.Errorf("reading the amount of line %s: %w", line, err)
			}
			units, err := money.FromDecimal(d, s.Scale)
			return lineFact{true, s.Account, s.Currency, s.Scale, units}, err
		}
	}
	return lineFact{}, store.ErrNotFound
}

// parseLine reads the id of a line.
func parseLine(id string) (side string, container, number int64, ok bool) {
	side, rest, _ := strings.Cut(id, ":")
	first, second, _ := strings.Cut(rest, "/")
	container, ok1 := parseSeq(first)
	number, ok2 := parseSeq(second)
	return side, container, number, (side == "bank" || side == "ledger") && ok1 && ok2
}

// bankFilePrefix begins the subject of a note about a file in quarantine.
const bankFilePrefix = "bankfile:"

// expand puts the lines of the break in the place of its id, and sorts them.
func (v *verdict) expand(book *BreakBook) error {
	if v.breakID != "" {
		b := book.find(v.breakID)
		if b == nil {
			return breakNotFound(v.breakID)
		}
		if b.MoreLines > 0 {
			return fieldProblem(codeItemCount, "/break", "break %s has %d lines more than it shows; name the lines, at most %d at a time", b.ID, b.MoreLines, MaxDecidedLines)
		}
		for _, l := range b.Lines {
			v.lines = append(v.lines, l.ID)
		}
	}
	slices.Sort(v.lines)
	v.lines = slices.Compact(v.lines)
	files := 0
	for _, line := range v.lines {
		if number, ok := strings.CutPrefix(line, bankFilePrefix); ok {
			if _, whole := parseSeq(number); !whole || v.action != chain.ActionNote {
				return fieldProblem(codeValueInvalid, "/lines", "a file in quarantine is named bankfile:NUMBER, and the one thing to decide about it is a note")
			}
			files++
		}
	}
	together := v.action == chain.ActionMatch || v.action == actionAccept // one line is enough to take its group apart
	switch {
	case len(v.lines) == 0:
		return newProblem(codeMissingField, "name the lines, or the break, that the decision is about")
	case files > 0 && files < len(v.lines):
		return fieldProblem(codeValueInvalid, "/lines", "a decision is about lines or about files in quarantine")
	case together && len(v.lines) < 2:
		return fieldProblem(codeItemCount, "/lines", "a %s is about two lines at least", v.action)
	}
	return nil
}

// decodeVerdict reads a decision about lines.
func decodeVerdict(r *reader) *verdict {
	v := &verdict{}
	r.begin('{')
	for r.next() {
		switch string(r.name) {
		case "action":
			v.action = r.oneOf(chain.ActionMatch, actionAccept, chain.ActionUnmatch, chain.ActionAssign, chain.ActionNote, chain.ActionWriteOff, actionCarry)
		case "break":
			v.breakID = r.text(1, maxOwner)
		case "lines":
			v.lines = decodeLines(r)
		case "reason":
			v.reason = r.text(1, ledger.MaxDescription)
		case "owner":
			v.extras.Owner = r.label()
		case "cause":
			v.extras.Cause = r.label()
		case "until":
			if day := r.date(); day != nil {
				v.extras.Until = day.String()
			}
		case "account":
			v.account = r.accountCode()
		case "supersedes":
			if id := r.id(); id != uuid.Nil {
				v.supersedes = &ledger.RequestID{UUID: id}
			}
		default:
			r.unknown()
		}
	}
	v.complete(r)
	return v
}

// complete refuses what is missing, or does not belong to the action.
func (v *verdict) complete(r *reader) {
	switch {
	case v.action == "":
		r.missing("action")
	case v.reason == "":
		r.missing("reason")
	case v.breakID != "" && len(v.lines) > 0:
		r.failMember(codeConflictingForm, "break", "name the break or its lines, not both")
	case v.action == chain.ActionAssign && v.extras.Owner == "" && v.extras.Cause == "":
		r.missing("owner")
	case v.action != chain.ActionAssign && (v.extras.Owner != "" || v.extras.Cause != ""):
		r.failMember(codeConflictingForm, "owner", "owner and cause belong to the action assign")
	case v.action != actionCarry && v.extras.Until != "":
		r.failMember(codeConflictingForm, "until", "until belongs to the action carry")
	case v.action == chain.ActionWriteOff && v.account == "":
		r.missing("account")
	case v.action != chain.ActionWriteOff && v.account != "":
		r.failMember(codeConflictingForm, "account", "an account belongs to the action write_off")
	}
}

func decodeLines(r *reader) []string {
	var lines []string
	r.begin('[')
	for r.more(']') {
		if len(lines) == MaxDecidedLines {
			r.fail(codeItemCount, "a decision names at most %d lines", MaxDecidedLines)
		}
		lines = append(lines, r.text(1, maxOwner))
	}
	return lines
}

// label reads an owner or a cause, which stand in reports that are kept for ever:
// a team or a word, not a person.
func (r *reader) label() string {
	s := r.text(1, maxOwner)
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && (i == 0 || c != '.' && c != '_' && c != '-') {
			r.fail(codeValueInvalid, "this is 1 to %d of a to z, 0 to 9, '.', '_' and '-', such as treasury or bank_fee; it names no person, because reports keep it", maxOwner)
			return ""
		}
	}
	return s
}
