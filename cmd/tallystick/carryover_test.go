package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"

	"tallystick/cmd/tallystick/internal/carryover"
	"tallystick/ledger"
	"tallystick/ledger/chain"
	"tallystick/ledger/money"
	"tallystick/ledger/store"
	"tallystick/ledger/store/storetest"
	"tallystick/reconcile"
)

// carriedBook is a ledger with everything that is carried over, and with entries after the last one that is.
type carriedBook struct {
	*holdBook
	start time.Time
	seq   int64            // the last entry that is carried over
	kept  ledger.RequestID // a hold that nothing has settled
	late  ledger.RequestID // one that was captured after seq
	over  ledger.RequestID // one whose time is over when balances are carried over
	names int              // of successors
}

func newCarriedBook(t *testing.T, url string) *carriedBook {
	t.Helper()
	b := &carriedBook{holdBook: newHoldBook(t, url), start: time.Now()}
	b.ask(t, &ledger.DefineCurrency{Common: b.common(t), Code: "PTS", Name: "Points", Scale: 1})
	zero, hundred, name := decimal.Zero, decimal.NewFromInt(100), "Ada"
	for _, r := range []ledger.OpenAccount{
		{Code: "bank", Type: chain.Asset, Currency: "EUR"},
		{Code: "fees", Type: chain.Revenue, Currency: "EUR"},
		{Code: "clients:1", Type: chain.Liability, Currency: "EUR", MinBalance: &zero, Name: &name, Tags: []chain.Tag{{Key: "segment", Value: "retail"}}},
		{Code: "clients:above", Type: chain.Liability, Currency: "EUR"},
		{Code: "clients:below", Type: chain.Liability, Currency: "EUR"},
		{Code: "clients:held", Type: chain.Liability, Currency: "EUR", MinBalance: &zero},
		{Code: "clients:frozen", Type: chain.Liability, Currency: "EUR", MinBalance: &zero},
		{Code: "clients:empty", Type: chain.Liability, Currency: "EUR", MinBalance: &hundred, Frozen: chain.FrozenAll},
		{Code: "clients:closed", Type: chain.Liability, Currency: "EUR", MinBalance: &zero},
		{Code: "points:issued", Type: chain.Asset, Currency: "PTS"},
		{Code: "points:1", Type: chain.Liability, Currency: "PTS"},
	} {
		b.openAccount(t, r)
	}
	for _, p := range [][3]string{
		{"bank", "clients:1", "1000.01"}, {"bank", "clients:above", "500"}, {"bank", "clients:held", "80"}, {"bank", "clients:frozen", "50"},
		{"clients:below", "fees", "7.5"}, {"clients:1", "fees", "0.01"}, {"points:issued", "points:1", "12.5"}, {"a", "b", "1"}, {"b", "a", "1"},
	} {
		b.pay(t, &ledger.TransferRequest{}, p[0], p[1], p[2])
	}
	b.change(t, ledger.ChangeAccount{Code: "clients:above", MaxBalance: ledger.Limit{Set: true, Value: &hundred}})
	b.change(t, ledger.ChangeAccount{Code: "clients:below", MinBalance: ledger.Limit{Set: true, Value: &zero}})
	b.change(t, ledger.ChangeAccount{Code: "clients:frozen", Frozen: new(chain.FrozenAll)})
	b.change(t, ledger.ChangeAccount{Code: "clients:closed", Close: true})

	soon, later, text, rate := b.start.Add(time.Minute), b.start.Add(time.Hour), "a room", "1.0842"
	related := b.common(t).ID
	b.kept = b.pay(t, &ledger.TransferRequest{Common: ledger.Common{Description: &text, Reference: &text, Metadata: new(`{"room":"12"}`)},
		Hold: true, ExpiresAt: &later, RelatedTo: &related, Rate: &rate}, "clients:held", "fees", "20")
	b.pay(t, &ledger.TransferRequest{Hold: true}, "clients:1", "clients:held", "40")
	b.change(t, ledger.ChangeAccount{Code: "clients:held", MinBalance: ledger.Limit{Set: true, Value: new(decimal.NewFromInt(70))}, MaxBalance: ledger.Limit{Set: true, Value: &hundred}})
	b.over = b.pay(t, &ledger.TransferRequest{Hold: true, ExpiresAt: &soon}, "clients:1", "fees", "5")
	b.ask(t, &ledger.CaptureHold{Common: b.common(t), Hold: b.pay(t, &ledger.TransferRequest{Hold: true}, "clients:1", "fees", "3")})
	b.late = b.pay(t, &ledger.TransferRequest{Hold: true}, "clients:1", "fees", "2")

	b.seq = b.info(t, "book").Size - 1
	b.ask(t, &ledger.CaptureHold{Common: b.common(t), Hold: b.late})
	b.pay(t, &ledger.TransferRequest{}, "bank", "clients:1", "333")
	b.change(t, ledger.ChangeAccount{Code: "clients:1", MinBalance: ledger.Limit{Set: true}})
	b.openAccount(t, ledger.OpenAccount{Code: "aaa", Type: chain.Asset, Currency: "EUR"})
	return b
}

func (b *carriedBook) openAccount(t *testing.T, r ledger.OpenAccount) {
	t.Helper()
	id, err := ledger.NewAccountID()
	if err != nil {
		t.Fatal(err)
	}
	r.Common, r.AccountID = b.common(t), id
	b.ask(t, &r)
}

func (b *carriedBook) change(t *testing.T, r ledger.ChangeAccount) {
	t.Helper()
	r.Common = b.common(t)
	b.ask(t, &r)
}

// pay asks for r with one leg each.
func (b *carriedBook) pay(t *testing.T, r *ledger.TransferRequest, from, to, amount string) ledger.RequestID {
	t.Helper()
	common, sum := b.common(t), decimal.RequireFromString(amount)
	r.ID, r.Salt = common.ID, common.Salt
	r.Legs = []ledger.Leg{{Account: from, Direction: chain.Debit, Amount: sum}, {Account: to, Direction: chain.Credit, Amount: sum}}
	b.ask(t, r)
	return r.ID
}

func (b *carriedBook) info(t *testing.T, name string) store.LedgerInfo {
	t.Helper()
	info, err := b.db.Ledger(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

// successor opens one, and returns what carries over into it.
func (b *carriedBook) successor(t *testing.T) carryover.Options {
	t.Helper()
	b.names++
	old := b.info(t, "book")
	root, err := rootAt(b.db.Nodes(t.Context(), b.id.UUID), min(b.seq+1, old.Size))
	if err != nil {
		t.Fatal(err)
	}
	into, err := openLedger(t.Context(), b.db, ledger.OpenLedger{
		Host: "tallystick.test", Name: fmt.Sprintf("book.%d", b.names+1), TimeZone: "UTC", BaseCurrency: "EUR", ValueDaysBack: 10, ValueDaysAhead: 10,
		Predecessor: &ledger.Predecessor{Origin: old.Terms.Origin, Size: b.seq + 1, Root: root, LostReason: "restore"},
	})
	if err != nil {
		t.Fatal(err)
	}
	now := b.start.Add(2 * time.Minute)
	b.set(now)
	return carryover.Options{DB: b.db, Poster: b.poster, From: old, Into: into, Salt: randomSalt, Now: now}
}

// check holds the successor against what the old ledger had, account by account, but for a hold of over cents from clients:1
// to fees.
func (b *carriedBook) check(t *testing.T, into ledger.LedgerID, over int64) {
	t.Helper()
	accounts, err := b.db.Accounts(t.Context(), b.id, store.AccountFilter{Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range accounts {
		if a.Code == "aaa" {
			if _, err := b.db.Account(t.Context(), into, a.Code); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("account aaa was opened after entry %d: %v", b.seq, err)
			}
			continue
		}
		was, err := b.db.AccountAt(t.Context(), b.id, a.Code, b.seq)
		if err != nil {
			t.Fatal(err)
		}
		is, err := b.db.Account(t.Context(), into, a.Code)
		if err != nil {
			t.Fatal(err)
		}
		is.AccountID, is.OpenedSeq, is.VersionSeq, is.PostingSeq, is.AccountSeq = was.AccountID, was.OpenedSeq, was.VersionSeq, was.PostingSeq, was.AccountSeq
		if a.Code == "clients:1" {
			was.PendingDebit = money.FromInt64(was.PendingDebit.Decimal(0).IntPart() - over)
		}
		if a.Code == "fees" {
			was.PendingCredit = money.FromInt64(was.PendingCredit.Decimal(0).IntPart() - over)
		}
		if got, want := described(&is), described(&was); got != want {
			t.Errorf("account %s is\n%s\nand was\n%s", a.Code, got, want)
		}
	}
}

// described writes everything about an account that is carried over.
func described(a *ledger.Account) string {
	name := "-"
	if a.Name != nil {
		name = *a.Name
	}
	limits := [2]string{"-", "-"}
	if a.MinBalance != nil {
		limits[0] = a.MinBalance.Format(a.Scale)
	}
	if a.MaxBalance != nil {
		limits[1] = a.MaxBalance.Format(a.Scale)
	}
	return fmt.Sprint(a.Code, a.Type, a.Currency, a.Scale, name, a.Tags, limits, a.Frozen, a.Closed, a.Posted, a.PendingDebit, a.PendingCredit)
}

func TestBalancesAreCarriedOver(t *testing.T) {
	storetest.Each(t, func(t *testing.T, url string) {
		b := newCarriedBook(t, url)
		o := b.successor(t)
		would, err := carryover.Survey(t.Context(), o)
		if err != nil || b.info(t, o.Into.Terms.Name).Size != 1 {
			t.Fatalf("what would be carried over: %+v, %v", would, err)
		}
		r, err := carryover.Carry(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		w, is := *would, *r
		if w.Sums, is.Sums = nil, nil; fmt.Sprint(w) != fmt.Sprint(is) {
			t.Errorf("carried over is %+v, and it would be %+v", is, w)
		}
		if r.Seq != b.seq || r.Since != 4 || r.Accounts != 13 || r.Closed != 1 || r.Holds != 3 || r.Expired != 1 || r.Differ != 0 || r.Before {
			t.Errorf("carried over: %+v", r)
		}
		if got := fmt.Sprint(r.Sums); len(r.Sums) != 2 || r.Sums[0].Balances != 7 || r.Sums[0].Debits.String() != "163751" || r.Sums[1].Debits.String() != "125" {
			t.Errorf("sums are %s", got)
		}
		b.check(t, o.Into.ID, 500)
		for _, code := range r.Openings {
			a, err := b.db.Account(t.Context(), o.Into.ID, code)
			if err != nil || !a.Closed || !a.Posted.IsZero() {
				t.Errorf("opening account %s: %+v, %v", code, a, err)
			}
		}
		b.checkHolds(t, o.Into.ID)
		for _, again := range []func(context.Context, carryover.Options) (*carryover.Result, error){carryover.Survey, carryover.Carry} {
			if r, err := again(t.Context(), o); err != nil || !r.Before || r.Holds != 3 || r.Expired != 1 {
				t.Errorf("again: %+v, %v", r, err)
			}
		}
		auditor, err := store.Open(t.Context(), url, store.RoleAuditor, 2)
		if err != nil {
			t.Fatal(err)
		}
		defer auditor.Close()
		report, err := reconcile.Verify(t.Context(), auditor, o.Into.ID.UUID, reconcile.Options{Workers: 1})
		if err != nil || report.Status != reconcile.Verified {
			t.Errorf("the successor is %s: %v, %v", report.Status, report.Findings, err)
		}
	})
}

// checkHolds settles those of the old ledger in the new one.
func (b *carriedBook) checkHolds(t *testing.T, into ledger.LedgerID) {
	t.Helper()
	entries, err := b.db.Transfer(t.Context(), into, b.kept)
	if err != nil || len(entries) != 1 {
		t.Fatalf("the hold has the entries %v, %v", entries, err)
	}
	was, err := b.db.Transfer(t.Context(), b.id, b.kept)
	if err != nil {
		t.Fatal(err)
	}
	is, had := entries[0].Record(), was[0].Record()
	text, before := entries[0].Text(), was[0].Text()
	rate, _ := is.Detail("rate")
	if *is.ExpiresAt != *had.ExpiresAt || *is.RelatedTo != *had.RelatedTo || rate != "1.0842" || *text.Description != *before.Description ||
		*text.Reference != *before.Reference || *text.Metadata != *before.Metadata {
		t.Errorf("the hold is %+v, and was %+v", is, had)
	}
	for _, id := range []ledger.RequestID{b.kept, b.late} {
		o, err := b.poster.Submit(t.Context(), into, &ledger.CaptureHold{Common: b.common(t), Hold: id})
		if err != nil || o.Refusal != nil {
			t.Errorf("capturing hold %s: %+v, %v", id, o.Refusal, err)
		}
	}
	if _, err := b.db.Transfer(t.Context(), into, b.over); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the hold whose time is over: %v", err)
	}
}

// brokenPoster posts some requests, and half of those that come next.
type brokenPoster struct {
	carryover.Poster
	calls int
}

func (p *brokenPoster) SubmitAll(ctx context.Context, id ledger.LedgerID, requests []ledger.Request) []ledger.Result {
	if p.calls--; p.calls >= 0 {
		return p.Poster.SubmitAll(ctx, id, requests)
	}
	results := p.Poster.SubmitAll(ctx, id, requests[:len(requests)/2])
	for range requests[len(requests)/2:] {
		results = append(results, ledger.Result{Err: ledger.ErrUnavailable})
	}
	return results
}

// Wherever it stops, and whatever happens in the old ledger meanwhile, it goes on to the same end.
func TestACarryOverGoesOnWhereItStopped(t *testing.T) {
	b := newCarriedBook(t, storetest.Database(t))
	const most = 30
	for calls := range most {
		o := b.successor(t)
		poster := &brokenPoster{Poster: b.poster, calls: calls}
		o.Poster = poster
		_, err := carryover.Carry(t.Context(), o)
		if err == nil {
			if calls < 8 {
				t.Errorf("it took no more than %d calls", calls)
			}
			return
		}
		if !errors.Is(err, ledger.ErrUnavailable) || !strings.Contains(err.Error(), "run the same command again") {
			t.Fatalf("stopped at call %d: %v", calls, err)
		}
		b.pay(t, &ledger.TransferRequest{}, "bank", "clients:1", "1")
		b.openAccount(t, ledger.OpenAccount{Code: fmt.Sprintf("aaa:%02d", calls), Type: chain.Asset, Currency: "EUR"})
		o.Poster, o.From = b.poster, b.info(t, "book")
		r, err := carryover.Carry(t.Context(), o)
		if err != nil || r.Differ != 0 || r.Seq != b.seq {
			t.Fatalf("going on after call %d: %+v, %v", calls, r, err)
		}
		accounts, err := b.db.Accounts(t.Context(), o.Into.ID, store.AccountFilter{Limit: 100})
		if err != nil || len(accounts) != 13+len(r.Openings) {
			t.Fatalf("after call %d there are %d accounts, %v", calls, len(accounts), err)
		}
		for _, a := range accounts {
			was, err := b.db.AccountAt(t.Context(), b.id, a.Code, b.seq)
			if err == nil && a.Posted != was.Posted {
				t.Errorf("after call %d account %s has %s", calls, a.Code, a.Posted.Format(a.Scale))
			}
		}
	}
	t.Errorf("it took more than %d calls", most)
}

func TestWhatIsNotCarriedOver(t *testing.T) {
	b := newCarriedBook(t, storetest.Database(t))
	refused := func(what, want string, o carryover.Options) {
		t.Helper()
		size := b.info(t, o.Into.Terms.Name).Size
		if _, err := carryover.Carry(t.Context(), o); err == nil || !strings.Contains(err.Error(), want) || b.info(t, o.Into.Terms.Name).Size != size {
			t.Errorf("%s: %v", what, err)
		}
	}
	o := b.successor(t)
	back := o
	back.From, back.Into = o.Into, o.From
	refused("a ledger that succeeds nothing", carryover.ErrNotSuccessor.Error(), back)
	far := o
	far.Seq = new(o.From.Size)
	refused("an entry that is not there", "has the entries 0 to", far)

	asked := func(o carryover.Options, r ledger.Request) {
		t.Helper()
		if answer, err := b.poster.Submit(t.Context(), o.Into.ID, r); err != nil || answer.Refusal != nil {
			t.Fatalf("%T: %+v, %v", r, answer.Refusal, err)
		}
	}
	account := func(code string, kind chain.AccountType) *ledger.OpenAccount {
		return &ledger.OpenAccount{Common: b.common(t), AccountID: ledger.AccountID{UUID: uuid.New()}, Code: code, Type: kind, Currency: "EUR"}
	}
	other := b.successor(t)
	asked(other, account("clients:1", chain.Asset))
	refused("an account of another type", "has one already, of type asset", other)
	shut := b.successor(t)
	asked(shut, account("clients:1", chain.Liability))
	asked(shut, &ledger.ChangeAccount{Common: b.common(t), Code: "clients:1", Close: true})
	refused("an account that is closed there", "it is closed in ledger "+shut.Into.Terms.Name, shut)
	scaled := b.successor(t)
	asked(scaled, &ledger.DefineCurrency{Common: b.common(t), Code: "PTS", Name: "Points", Scale: 3})
	refused("a currency of another scale", "currency PTS", scaled)
	taken := b.successor(t)
	asked(taken, account("x", chain.Asset))
	asked(taken, account("y", chain.Asset))
	common := b.common(t)
	common.ID = b.kept
	asked(taken, &ledger.TransferRequest{Common: common, Hold: true, Legs: []ledger.Leg{
		{Account: "x", Direction: chain.Debit, Amount: decimal.NewFromInt(1)}, {Account: "y", Direction: chain.Credit, Amount: decimal.NewFromInt(1)}}})
	refused("a ledger that holds something", "has postings already", taken)
	rewritten := b.successor(t)
	rewritten.Root = func(context.Context, int64) (chain.Hash, error) { return chain.Hash{1}, nil }
	refused("another history than the successor binds", carryover.ErrOtherRoot.Error(), rewritten)
	used := b.successor(t)
	asked(used, account("x", chain.Asset))
	asked(used, account("y", chain.Asset))
	asked(used, &ledger.TransferRequest{Common: b.common(t), Legs: []ledger.Leg{
		{Account: "x", Direction: chain.Debit, Amount: decimal.NewFromInt(1)}, {Account: "y", Direction: chain.Credit, Amount: decimal.NewFromInt(1)}}})
	refused("a ledger that was posted to", "account x has postings already", used)

	started := b.successor(t)
	started.Poster = &brokenPoster{Poster: b.poster, calls: 4}
	if _, err := carryover.Carry(t.Context(), started); err == nil {
		t.Fatal("it did not stop")
	}
	started.Poster, started.Seq = b.poster, new(b.seq+1)
	refused("another entry than before", fmt.Sprintf("those as of entry %d were carried over before", b.seq), started)
	bank, fees := "bank", "fees"
	asked(started, &ledger.TransferRequest{Common: b.common(t), Legs: []ledger.Leg{
		{Account: bank, Direction: chain.Debit, Amount: decimal.NewFromInt(1)}, {Account: fees, Direction: chain.Credit, Amount: decimal.NewFromInt(1)}}})
	started.Seq = nil
	r, err := carryover.Carry(t.Context(), started)
	if err != nil || r.Differ != 2 || len(r.Differences) != 2 || r.Differences[0] != (carryover.Difference{Account: bank, What: "balance", Old: "1630.01", New: "1631.01"}) {
		t.Errorf("with a posting in between: %+v, %v", r, err)
	}
	if a, err := b.db.Account(t.Context(), started.Into.ID, r.Openings[0]); err != nil || a.Closed {
		t.Errorf("with a posting in between: %+v, %v", a, err)
	}
}

// stoppedAt is a poster before a step of which something happens; when that says so, the step does not take place.
type stoppedAt struct {
	carryover.Poster
	step func(ledger.Request) bool
	then func() (stop bool)
}

func (p *stoppedAt) SubmitAll(ctx context.Context, id ledger.LedgerID, requests []ledger.Request) []ledger.Result {
	if len(requests) > 0 && p.then != nil && p.step(requests[0]) {
		then := p.then
		p.then = nil
		if then() {
			results := make([]ledger.Result, len(requests))
			for i := range results {
				results[i].Err = ledger.ErrUnavailable
			}
			return results
		}
	}
	return p.Poster.SubmitAll(ctx, id, requests)
}

func isHold(r ledger.Request) bool   { t, ok := r.(*ledger.TransferRequest); return ok && t.Hold }
func isChange(r ledger.Request) bool { _, ok := r.(*ledger.ChangeAccount); return ok }

// A hold may expire whenever it likes: it is left out, or it was carried over and is released.
func TestHoldsExpireWhileTheyAreCarriedOver(t *testing.T) {
	b := newCarriedBook(t, storetest.Database(t))
	soon := b.start.Add(150 * time.Second)
	hold := b.pay(t, &ledger.TransferRequest{Hold: true, ExpiresAt: &soon}, "clients:1", "fees", "5")
	b.seq = b.info(t, "book").Size - 1
	carry := func(what string, o carryover.Options, holds, expired int64) {
		t.Helper()
		if r, err := carryover.Carry(t.Context(), o); err != nil || r.Holds != holds || r.Expired != expired || r.Differ != 0 {
			t.Errorf("%s: %+v, %v", what, r, err)
		}
	}
	pass := func() { b.set(soon.Add(time.Second)) }
	released := func(into ledger.LedgerID) {
		o, err := b.poster.Submit(t.Context(), into, &ledger.ReleaseHold{Common: ledger.Common{ID: ledger.ExpiryRequestID(into, hold), Salt: randomSalt()}, Hold: hold, OnExpiry: true})
		if err != nil || o.Refusal != nil {
			t.Fatalf("releasing: %+v, %v", o.Refusal, err)
		}
	}
	for _, c := range []struct {
		what    string
		step    func(ledger.Request) bool
		release bool
		stop    bool
		holds   int64
		expired int64
	}{
		{"before it is placed", isHold, false, false, 2, 2},
		{"after it was placed", isChange, false, false, 3, 1},
		{"after it was placed, and it is released", isChange, true, false, 2, 2},
		{"between two runs", isChange, false, true, 3, 1},
		{"between two runs, and it is released", isChange, true, true, 2, 2},
	} {
		o := b.successor(t)
		o.Poster = &stoppedAt{Poster: b.poster, step: c.step, then: func() bool {
			pass()
			if c.release {
				released(o.Into.ID)
			}
			return c.stop
		}}
		if c.stop {
			if _, err := carryover.Carry(t.Context(), o); !errors.Is(err, ledger.ErrUnavailable) {
				t.Errorf("%s: %v", c.what, err)
			}
			o.Poster, o.Now = b.poster, soon.Add(time.Minute)
		}
		carry(c.what, o, c.holds, c.expired)
	}
}

// Who placed a hold settles it in the successor, maybe before everything is carried over.
func TestHoldsAreSettledWhileTheyAreCarriedOver(t *testing.T) {
	b := newCarriedBook(t, storetest.Database(t))
	o := b.successor(t)
	o.Poster = &stoppedAt{Poster: b.poster, step: isChange, then: func() bool {
		capture := b.common(t)
		for _, r := range []ledger.Request{
			&ledger.CaptureHold{Common: capture, Hold: b.kept, Amount: new(decimal.NewFromInt(15))},
			&ledger.ReverseTransfer{Common: b.common(t), Target: b.kept},
			&ledger.CaptureHold{Common: b.common(t), Hold: b.late},
		} {
			if o, err := b.poster.Submit(t.Context(), o.Into.ID, r); err != nil || o.Refusal != nil {
				t.Fatalf("%T: %+v, %v", r, o.Refusal, err)
			}
		}
		return false
	}}
	r, err := carryover.Carry(t.Context(), o)
	if err != nil || r.Differ != 0 || r.Holds != 3 || r.Settled != 2 || r.Expired != 1 {
		t.Errorf("%+v, %v", r, err)
	}
}

// What was erased does not come back, and does not stand in the way.
func TestErasedTextIsNotCarriedOver(t *testing.T) {
	url := storetest.Database(t)
	b := newCarriedBook(t, url)
	o, started := b.successor(t), b.successor(t)
	started.Poster = &stoppedAt{Poster: b.poster, step: isChange, then: func() bool { return true }}
	if _, err := carryover.Carry(t.Context(), started); !errors.Is(err, ledger.ErrUnavailable) {
		t.Fatal(err)
	}
	b.ask(t, &ledger.EraseText{Common: b.common(t), Target: b.kept, Basis: "gdpr_17"}) // on record; the text stands there still
	if _, err := carryover.Carry(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	entries, err := b.db.Transfer(t.Context(), o.Into.ID, b.kept)
	if err != nil {
		t.Fatal(err)
	}
	if text := entries[0].Text(); text.Description != nil || text.Reference != nil || text.Metadata != nil {
		t.Errorf("the hold has the text %+v", text)
	}
	was, err := b.db.Transfer(t.Context(), b.id, b.kept)
	if err != nil {
		t.Fatal(err)
	}
	if err := eraseTexts(url)(t.Context(), b.id, []int64{was[0].Seq()}); err != nil {
		t.Fatal(err)
	}
	started.Poster = b.poster
	if r, err := carryover.Carry(t.Context(), started); err != nil || r.Differ != 0 {
		t.Errorf("after the text was erased: %+v, %v", r, err)
	}
}

// What is posted to the old ledger after the loss was declared is not carried over, though the checkpoint had more entries.
func TestOnlyWhatWasThereIsCarriedOver(t *testing.T) {
	b := newCarriedBook(t, storetest.Database(t))
	had := b.info(t, "book").Size - 1
	b.seq = had + 3
	o := b.successor(t)
	b.set(time.Now().Add(time.Minute))
	for range 5 {
		b.pay(t, &ledger.TransferRequest{}, "bank", "clients:1", "1000")
	}
	o.From = b.info(t, "book")
	r, err := carryover.Carry(t.Context(), o)
	if err != nil || r.Seq != had || r.Covered != had+3 || r.Since != 5 {
		t.Errorf("%+v, %v", r, err)
	}
}

// The opening account says as of which entry by how it was opened, whatever somebody makes of it.
func TestAMarkIsNotMovedByHand(t *testing.T) {
	b := newCarriedBook(t, storetest.Database(t))
	change := func(o carryover.Options, r *ledger.ChangeAccount) {
		t.Helper()
		r.Common, r.Code = b.common(t), carryover.OpeningAccounts+"book:eur"
		if a, err := b.poster.Submit(t.Context(), o.Into.ID, r); err != nil || a.Refusal != nil {
			t.Fatalf("%+v, %v", a.Refusal, err)
		}
	}
	tags, closed := b.successor(t), b.successor(t)
	for _, o := range []*carryover.Options{&tags, &closed} {
		step := isHold
		if o == &closed {
			step = func(r ledger.Request) bool { _, ok := r.(*ledger.TransferRequest); return ok }
		}
		o.Poster = &stoppedAt{Poster: b.poster, step: step, then: func() bool { return true }}
		if _, err := carryover.Carry(t.Context(), *o); !errors.Is(err, ledger.ErrUnavailable) {
			t.Fatal(err)
		}
		o.Poster = b.poster
	}
	change(tags, &ledger.ChangeAccount{Tags: &[]chain.Tag{{Key: "carried_over_from", Value: tags.From.Terms.Origin}, {Key: "carried_over_seq", Value: "3"}}})
	if r, err := carryover.Carry(t.Context(), tags); err != nil || r.Differ != 0 || r.Seq != b.seq {
		t.Errorf("with other tags: %+v, %v", r, err)
	}
	change(closed, &ledger.ChangeAccount{Close: true})
	if r, err := carryover.Carry(t.Context(), closed); err == nil || !strings.Contains(err.Error(), "account_closed") {
		t.Errorf("closed by somebody else: %+v, %v", r, err)
	}
}

// A successor may have lost entries itself, and amounts may be as large as they can.
func TestCarryingOverAgainAndAgain(t *testing.T) {
	b := newCarriedBook(t, storetest.Database(t))
	const most = "170141183460469231731687303715884105727"
	b.ask(t, &ledger.DefineCurrency{Common: b.common(t), Code: "BIG", Name: "Big", Scale: 0})
	for i, kind := range []chain.AccountType{chain.Asset, chain.Liability, chain.Asset, chain.Liability} {
		b.openAccount(t, ledger.OpenAccount{Code: fmt.Sprintf("big:%d", i), Type: kind, Currency: "BIG"})
	}
	b.pay(t, &ledger.TransferRequest{}, "big:0", "big:1", most)
	b.pay(t, &ledger.TransferRequest{}, "big:2", "big:3", most)
	b.seq = b.info(t, "book").Size - 1
	from := b.info(t, "book")
	for i := range 3 {
		into, err := openLedger(t.Context(), b.db, ledger.OpenLedger{
			Host: "tallystick.test", Name: fmt.Sprintf("gen.%d", i), TimeZone: "UTC", BaseCurrency: "EUR", ValueDaysBack: 10, ValueDaysAhead: 10,
			Predecessor: &ledger.Predecessor{Origin: from.Terms.Origin, Size: from.Size, LostReason: "restore"},
		})
		if err != nil {
			t.Fatal(err)
		}
		r, err := carryover.Carry(t.Context(), carryover.Options{DB: b.db, Poster: b.poster, From: from, Into: into, Salt: randomSalt, Now: b.start.Add(2 * time.Minute)})
		if err != nil || r.Differ != 0 || len(r.Sums) != 3 || r.Sums[0].Debits.String() != "340282366920938463463374607431768211454" {
			t.Fatalf("generation %d: %+v, %v", i, r, err)
		}
		from = b.info(t, into.Terms.Name)
	}
}

// The command verifies what it carries over.
func TestALedgerIsCarriedOverOnlyIfItVerifies(t *testing.T) {
	url := storetest.Database(t)
	b := newCarriedBook(t, url)
	o := b.successor(t)
	run := []string{"ledger", "carry-over", "--database-url", url, "--data-dir", t.TempDir(), "--ledger", "book", "--into", o.Into.Terms.Name}
	code, out, told := command(t, append(run, "--dry-run")...)
	if code != exitFine || !strings.Contains(out, "would be carried over, nothing was posted") || !strings.Contains(out, "EUR        7 balances, 1637.51 on each side") || strings.Contains(out, "NOT VERIFIED") ||
		!strings.Contains(out, "the 4 entries of ledger book from "+fmt.Sprint(b.seq+1)+" on") {
		t.Errorf("exit code %d, %s%s", code, out, told)
	}
	tamper(t, url, "update book.postings set posted = posted + 1 where account_id = (select account_id from book.accounts where code = 'points:1') and account_seq = 1")
	code, out, told = command(t, run...)
	if code != exitTampered || out != "" || !strings.Contains(told, "TAMPERED") || !strings.Contains(told, "this run posted nothing") || b.info(t, o.Into.Terms.Name).Size != 1 {
		t.Errorf("tampered with: exit code %d, %s%s", code, out, told)
	}
	code, out, told = command(t, append(run, "--unverified")...)
	if code != exitUsage || out != "" || !strings.Contains(told, "those in PTS sum to 10 units") {
		t.Errorf("tampered with, and unverified: exit code %d, %s%s", code, out, told)
	}
	tamper(t, url, "update book.postings set posted = posted - 1 where account_id = (select account_id from book.accounts where code = 'points:1') and account_seq = 1")
	code, out, told = command(t, run...)
	if code != exitFine || !strings.Contains(out, "is carried over into ledger "+o.Into.Terms.Name) {
		t.Errorf("exit code %d, %s%s", code, out, told)
	}
	b.check(t, o.Into.ID, 0)
	if code, _, told := command(t, append(run[:len(run)-1:len(run)-1], "nowhere")...); code != exitUsage || !strings.Contains(told, "the ledgers of this database are book, book.2") {
		t.Errorf("an unknown ledger: exit code %d, %s", code, told)
	}
	code, out, told = command(t, append(run, "--json")...)
	if code != exitFine || !strings.Contains(out, `"done_before":true`) || !strings.Contains(out, `"debits":"12.5"`) {
		t.Errorf("exit code %d, %s%s", code, out, told)
	}
}
