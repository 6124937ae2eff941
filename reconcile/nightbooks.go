package reconcile

import (
	"context"
	"fmt"

	"tallystick/ledger/chain"
)

// bookChecks is what the books phase looks at, on one screen. That balances add
// up, limits held, and keys, closed accounts and periods were minded is Verify's:
// see Checks. All of these read the ledger up to the cut and nothing beyond.
var bookChecks = []bookCheck{
	{"snapshots of balances", (*nightBooks).checkSnapshots},              // I11; nightsnapshots.go
	{"roll-forward", (*nightBooks).checkRollForward},                     // yesterday's closing is today's opening; nightroll.go
	{"late and back-dated entries", (*nightBooks).checkLate},             // listed; nightlate.go
	{"suspected duplicates", (*nightBooks).checkSuspects},                // one body, two requests (I8); nightsuspects.go
	{"control accounts", (*nightBooks).checkControl},                     // by the policy; nightcontrol.go
	{"suspense and clearing accounts", (*nightBooks).checkAged},          // likewise; nightaged.go
	{"holds that have expired", (*nightBooks).checkExpired},              // nightexpired.go
	{"webhooks that were not delivered", (*nightBooks).checkUndelivered}, // there are none
}

// bookCheck returns in words what it looked at. An error of it says what could
// not be looked at.
type bookCheck struct {
	name string
	do   func(*nightBooks, context.Context) (string, error)
}

// nightBooks is the books phase at work.
type nightBooks struct {
	*Night
	distrusts bool // a snapshot is wrong: balances are those that postings alone give
	read      bool
	balances  []Balance      // of all accounts at the cut, in order of their codes
	at        map[string]int // where a code is in balances
}

// balancesAt is BalancesAt, without snapshots once one was found to be wrong.
func (b *nightBooks) balancesAt(ctx context.Context, size int64) ([]Balance, error) {
	if b.distrusts {
		return balancesSince(ctx, b.Snapshot, 0, size)
	}
	return BalancesAt(ctx, b.Snapshot, size)
}

// readBalances reads the balances at the cut, once.
func (b *nightBooks) readBalances(ctx context.Context) (err error) {
	if b.read {
		return nil
	}
	if b.balances, err = b.balancesAt(ctx, b.Snapshot.Size); err != nil {
		return err
	}
	b.at = make(map[string]int, len(b.balances))
	for i := range b.balances {
		b.at[b.balances[i].Code] = i
	}
	b.read = true
	return nil
}

// BooksResult is what the books phase looked at.
type BooksResult struct {
	Accounts int64           `json:"accounts"`
	Checks   []CheckStanding `json:"checks"`
}

// How a check came out.
const (
	CheckDone          = "checked"
	CheckNotApplicable = "not applicable"
	CheckNotDone       = "not checked"
)

// CheckStanding is how one of the checks came out. Standing is one of the words
// above; Findings counts what it found, whatever its severity.
type CheckStanding struct {
	Name     string `json:"name"`
	Standing string `json:"standing"`
	Scope    string `json:"scope"` // what was looked at, or why not
	Findings int64  `json:"findings"`
}

// notApplicable is the error of a check that has nothing to look at.
type notApplicable string

func (n notApplicable) Error() string { return string(n) }

func (n *Night) booksPhase(ctx context.Context) error {
	b := &nightBooks{Night: n}
	result := BooksResult{Checks: []CheckStanding{}}
	for i, c := range bookChecks {
		n.tell(int64(i), int64(len(bookChecks)))
		before := n.found.count()
		scope, err := c.do(b, ctx)
		s := CheckStanding{Name: c.name, Standing: CheckDone, Scope: scope, Findings: n.found.count() - before}
		switch none, ok := err.(notApplicable); {
		case ctx.Err() != nil:
			return ctx.Err()
		case ok:
			s.Standing, s.Scope = CheckNotApplicable, string(none)
		case err != nil:
			s.Standing, s.Scope = CheckNotDone, err.Error()
			n.NotChecked(c.name + ": " + err.Error())
		}
		result.Checks = append(result.Checks, s)
	}
	return b.close(ctx, &result)
}

// close keeps what the next run begins with.
func (b *nightBooks) close(ctx context.Context, result *BooksResult) error {
	switch err := b.readBalances(ctx); {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		b.NotChecked("closing balances: " + err.Error())
		return b.Put(ResultOutput, "books", result)
	}
	result.Accounts = int64(len(b.balances))
	if err := b.Put(ResultOutput, "books", result); err != nil {
		return err
	}
	if err := b.Put(StateOutput, closingOutput, closingOf(b.Snapshot.Size, b.balances)); err != nil {
		return err
	}
	return b.keepSnapshot(ctx)
}

// count counts all that was found.
func (f *found) count() int64 { return f.critical + f.warnings + f.info }

// about returns a finding of the night about an account.
func (b *nightBooks) about(code string, seq int64, account, stored, recomputed string) chain.Finding {
	f := nightFinding(code, seq, stored, recomputed)
	f.Account = optional(account)
	return f
}

// checkUndelivered would look for messages that were never delivered.
func (b *nightBooks) checkUndelivered(context.Context) (string, error) {
	return "", notApplicable("none are configured: this version sends no webhooks, and the stream of events resumes where its reader stopped")
}

// entriesFrom says in words which entries were looked at.
func entriesFrom(from, to int64) string {
	if from == to {
		return "no entries: there are no new ones"
	}
	return fmt.Sprint(Span{from, to})
}
