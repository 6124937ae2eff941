package reconcile_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"tallystick/ledger/chain"
	"tallystick/ledger/store/storetest"
	"tallystick/reconcile"
	"tallystick/reconcile/policy"
)

// In seven nights in a row every entry of the history is read, and every new one
// each night; the blocks stay where they are while the history grows.
func TestSevenNightsReadTheWholeHistory(t *testing.T) {
	t.Parallel()
	for _, size := range []int64{1, 300, 5000, 70_000, 2_000_000, 61_234_567} {
		const nights, added = 7, 13
		history := size
		var read []reconcile.Span
		for night := range int64(nights) {
			p := reconcile.Plan{ReadFrom: history}
			spans := p.Spans(history+added, night+3)
			next := int64(0)
			total := int64(0)
			for i, s := range spans {
				if s.From < next || s.Entries() <= 0 || i > 0 && s.From == next {
					t.Fatalf("of %d, night %d: %v", size, night, spans)
				}
				next, total = s.To, total+s.Entries()
			}
			if next != history+added || !spans[len(spans)-1].Has(history) {
				t.Errorf("of %d, night %d: %v leaves new entries out", size, night, spans)
			}
			if most := history/nights + history/nights/7 + 4096 + added; total > most || len(spans) > 20 {
				t.Errorf("of %d, night %d: %d entries in %d spans, at most %d", size, night, total, len(spans), most)
			}
			read = append(read, spans...)
			history += added
		}
		slices.SortFunc(read, func(a, b reconcile.Span) int { return int(min(max(a.From-b.From, -1), 1)) })
		next := int64(0)
		for _, s := range read {
			if s.From > next {
				t.Fatalf("of %d: entries %d to %d are not read", size, next, s.From-1)
			}
			next = max(next, s.To)
		}
	}
	if whole := (&reconcile.Plan{Whole: true}).Spans(9, 4); len(whole) != 1 || whole[0] != (reconcile.Span{From: 0, To: 9}) {
		t.Errorf("a whole night reads %v", whole)
	}
}

// anIncrement is the night after the one that m has had.
func anIncrement(n *reconcile.Night) { n.Plan = reconcile.Plan{ReadFrom: n.Previous.Size} }

// A night that reads what is new finds in it what a night finds that reads all,
// and goes on to report holds that were open before.
func TestAnIncrementalNightFindsWhatIsNew(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		conn := connect(t, url)
		deps := nightDeps(t, url)
		rules, err := policy.Decode([]byte(nightPolicy))
		if err != nil {
			t.Fatal(err)
		}
		signer := signingKey(t, "signer")
		b := bankBook(t, "main", signer)
		b.hold("cash", "capital", 70, time.Minute) // 28: nobody releases it
		b.write(t, conn)
		b.seal(t, conn, signer, b.next)
		before := runNight(t, deps, b, reconcile.NightOptions{Policy: rules}) // 29
		if got := nightCodes(before); !slices.Equal(got, []string{"HOLD_EXPIRED_OPEN@28"}) {
			t.Fatalf("the night before: %v", got)
		}
		b.nextDay(t, conn)
		b.transfer("cash", "capital", 31)                                                                                                       // 30
		b.transfer("cash", "capital", 31)                                                                                                       // 31
		late := b.append(chain.Entry{Kind: chain.Transfer, EffectiveDate: before.Run.AsOf, Postings: b.move("cash", "capital", 9, 0)}, words{}) // 32
		b.write(t, conn)
		deps.Now = func() time.Time { return time.Now().AddDate(0, 0, 10) }
		o := reconcile.NightOptions{Ledger: b.ledger, Policy: rules, Workers: 2, AsOf: &late.BookingDate}
		for name, plan := range map[string]func(*reconcile.Night){"an increment": anIncrement, "all": func(n *reconcile.Night) { n.Plan = reconcile.Plan{Whole: true} }} {
			found, _, err := reconcile.DoPhases(t.Context(), deps, o, plan, "chain", "books")
			if err != nil {
				t.Fatal(err)
			}
			want := "[] [HOLD_EXPIRED_OPEN@28 SUSPECTED_DUPLICATE@31 LATE_ENTRIES@32]"
			if got := fmt.Sprintf("%v %v", codes(found[0].Findings), codes(found[1].Findings)); got != want || len(found[0].NotChecked)+len(found[1].NotChecked) > 0 {
				t.Errorf("%s: found %s, want %s; %v %v", name, got, want, found[0].NotChecked, found[1].NotChecked)
			}
		}
		(&mutated{crime: &crime{t: t, conn: conn, b: b}, before: before}).editSnapshot()
		found, _, err := reconcile.DoPhases(t.Context(), deps, o, anIncrement, "chain", "books")
		if err != nil {
			t.Fatal(err)
		}
		if got := codes(found[1].Findings); !slices.Equal(got, []string{"PROJECTION_MISMATCH@28", "HOLD_EXPIRED_OPEN@28", "SUSPECTED_DUPLICATE@31", "LATE_ENTRIES@32"}) {
			t.Errorf("with an edited snapshot: found %v", got)
		}
	})
}

// Snapshots are made once as many postings have come as there are lines in one,
// and not of books with something critical in them.
func TestSnapshotsCostNoMoreThanPostings(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		conn := connect(t, url)
		deps := nightDeps(t, url)
		deps.Now = func() time.Time { return time.Now().AddDate(0, 0, 40) }
		b := newBook("main")
		for i := range 6 {
			b.open(fmt.Sprintf("a:%d", i), 1, nil)
		}
		for i := range 5 {
			b.transfer("a:0", fmt.Sprintf("a:%d", 1+i), 1)
		}
		b.write(t, conn)
		night := func(transfers int) (snapshots []int64) {
			for range transfers {
				b.transfer("a:1", "a:2", int64(2+b.next))
			}
			b.write(t, conn)
			result := runNight(t, deps, b, reconcile.NightOptions{})
			b.nextDay(t, conn)
			rows, err := conn.Query(t.Context(), "select size from ops.snapshots order by size")
			if err != nil {
				t.Fatal(err)
			}
			for rows.Next() {
				var size int64
				if err := rows.Scan(&size); err != nil {
					t.Fatal(err)
				}
				snapshots = append(snapshots, size-result.Run.Size)
			}
			return snapshots
		}
		for _, c := range []struct {
			transfers int
			want      string
		}{{0, "[0]"}, {2, "[-3]"}, {1, "[-5 0]"}, {3, "[-9 -4 0]"}} {
			if got := fmt.Sprint(night(c.transfers)); got != c.want {
				t.Fatalf("after %d more transfers: snapshots at %s of the run's size, want %s", c.transfers, got, c.want)
			}
		}
		mustExec(t, conn, "update book.entries set actor = request_id where seq = 9")
		if got := fmt.Sprint(night(20)); got != "[-30 -25 -21]" {
			t.Errorf("of a damaged book: snapshots at %s of the run's size", got)
		}
	})
}

// What is checked against a signer's state is more than what is checked without: a
// run that had none does not answer for one that has.
func TestARunWithASignersStateIsAnotherRun(t *testing.T) {
	t.Parallel()
	url := storetest.Database(t)
	conn := connect(t, url)
	deps := nightDeps(t, url)
	key := signingKey(t, "signer")
	b := bankBook(t, "main", key)
	b.write(t, conn)
	without := runNight(t, deps, b, reconcile.NightOptions{})
	state := (&crime{t: t, conn: conn, b: b, key: key}).state(b, 28)
	with := runNight(t, deps, b, reconcile.NightOptions{SignerState: state})
	if with.Came != reconcile.RunComputed || with.Run.ID == without.Run.ID {
		t.Errorf("with a signer's state the run is %s, %s; without %s", with.Run.ID, with.Came, without.Run.ID)
	}
	for _, o := range []reconcile.NightOptions{{}, {SignerState: state}} {
		if again := runNight(t, deps, b, o); again.Came != reconcile.RunStored {
			t.Errorf("the same run once more is %s", again.Came)
		}
	}
}

// BenchmarkNight compares the chain and books phases of a ledger of LARGE entries
// that has grown by 20,000 with those of a ledger that has no more than those: the
// new entries alone, and with a seventh of the history.
func BenchmarkNight(b *testing.B) {
	const grown = 20_000
	accounts := number(b, largeAccountsVariable, 1000)
	url := storetest.Database(b)
	deps := nightDeps(b, url)
	deps.Now = func() time.Time { return time.Now().AddDate(1, 0, 0) }
	conn := connect(b, url)
	night := func(name string, before int64) reconcile.NightOptions {
		g := newGrowing(b, name, accounts)
		g.grow(b, conn, before)
		if before > 0 {
			runNight(b, deps, g.book, reconcile.NightOptions{})
			g.nextDay(b, conn)
		}
		g.grow(b, conn, g.next+grown)
		day := chain.DateOf(g.now)
		return reconcile.NightOptions{Ledger: g.ledger, AsOf: &day, Workers: reconcile.DefaultWorkers()}
	}
	few, many := night("few", 0), night("many", int64(number(b, largeVariable, 200_000)))
	vacuum(b, conn)
	phases := func(o reconcile.NightOptions, plan func(*reconcile.Night)) []time.Duration {
		found, took, err := reconcile.DoPhases(b.Context(), deps, o, plan, "chain", "books")
		if err != nil || len(found[0].NotChecked)+len(found[1].NotChecked) > 0 || found[0].Critical+found[1].Critical > 0 {
			b.Fatal(found, err)
		}
		return took
	}
	all, alone, both := time.Hour, time.Hour, time.Hour // the least of each: what else the machine does only adds
	for b.Loop() {
		took := phases(few, func(n *reconcile.Night) { n.Plan = reconcile.Plan{Whole: true} })
		all = min(all, took[0]+took[1])
		var at reconcile.Night
		took = phases(many, func(n *reconcile.Night) { anIncrement(n); at = *n })
		both = min(both, took[0]+took[1])
		begun := time.Now()
		size := at.Snapshot.Size
		report, err := reconcile.Verify(b.Context(), deps.DB, at.LedgerID, reconcile.Options{Workers: many.Workers,
			At: &reconcile.Cut{Size: size, Head: at.Snapshot.Head}, Spans: []reconcile.Span{{From: at.Plan.ReadFrom, To: size}}})
		if err != nil || report.Status != reconcile.Verified {
			b.Fatal(report.Status, report.NotChecked, err)
		}
		alone = min(alone, time.Since(begun)+took[1])
	}
	for name, least := range map[string]time.Duration{"ms/20000-in-all": all, "ms/20000-new": alone, "ms/20000-new-and-a-seventh": both} {
		b.ReportMetric(float64(least.Milliseconds()), name)
	}
	b.ReportMetric(float64(alone)/float64(all), "new-to-all")
}

// BenchmarkNightInAll compares all phases of an incremental night of 20,000 new
// entries on a ledger of LARGE entries with those of one on a ledger of 20,000.
func BenchmarkNightInAll(b *testing.B) {
	const grown = 20_000
	url := storetest.Database(b)
	deps := nightDeps(b, url)
	deps.Now = func() time.Time { return time.Now().AddDate(1, 0, 0) }
	conn := connect(b, url)
	roles := testPolicy(b)
	sizes := map[string]int64{"small": grown, "large": int64(number(b, largeVariable, 200_000))}
	nights, least := map[string]reconcile.NightOptions{}, map[string]time.Duration{}
	for name, before := range sizes {
		g := newGrowing(b, name, number(b, largeAccountsVariable, 1000))
		g.grow(b, conn, before)
		runNight(b, deps, g.book, reconcile.NightOptions{Policy: roles})
		g.nextDay(b, conn)
		g.grow(b, conn, g.next+grown)
		day := chain.DateOf(g.now)
		nights[name] = reconcile.NightOptions{Ledger: g.ledger, AsOf: &day, Policy: roles, Workers: reconcile.DefaultWorkers()}
		least[name] = time.Hour
	}
	vacuum(b, conn)
	for b.Loop() {
		for name, o := range nights {
			begun := time.Now()
			outputs, _, err := reconcile.NightOutputs(b.Context(), deps, o, anIncrement)
			if err != nil || outputs[reconcile.ReportOutput+"\x00trial-balance"] == nil {
				b.Fatal(err)
			}
			least[name] = min(least[name], time.Since(begun))
		}
	}
	for name, took := range least {
		b.ReportMetric(float64(took.Milliseconds()), "ms/20000-on-"+name)
	}
}
