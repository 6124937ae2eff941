package store_test

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/shopspring/decimal"

	"tallystick/ledger"
	"tallystick/ledger/chain"
	"tallystick/ledger/store"
)

// statements collects what a pool is asked.
type statements struct {
	mu   sync.Mutex
	said []statement
}

type statement struct {
	sql  string
	args []any
}

func (s *statements) note(sql string, args []any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if word, _, _ := strings.Cut(strings.TrimLeft(sql, "\n ("), " "); word == "select" && strings.Contains(sql, " from ") {
		s.said = append(s.said, statement{sql, args})
	}
}

func (s *statements) TraceQueryStart(ctx context.Context, _ *pgx.Conn, q pgx.TraceQueryStartData) context.Context {
	s.note(q.SQL, q.Args)
	return ctx
}

func (s *statements) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

func (s *statements) TraceBatchStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	return ctx
}

func (s *statements) TraceBatchQuery(_ context.Context, _ *pgx.Conn, q pgx.TraceBatchQueryData) {
	s.note(q.SQL, q.Args)
}

func (s *statements) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData) {}

func (s *statements) take() []statement {
	s.mu.Lock()
	defer s.mu.Unlock()
	taken := s.said
	s.said = nil
	return taken
}

var (
	postgresScan  = regexp.MustCompile(`(Seq Scan|Index Scan|Index Only Scan|Bitmap Index Scan|Bitmap Heap Scan)(?: Backward)?(?: using (\w+))? on (\w+).*\(actual rows=(\d+) loops=(\d+)\)`)
	postgresMore  = regexp.MustCompile(`Rows Removed by (?:Filter|Index Recheck): (\d+)`)
	postgresIndex = regexp.MustCompile(`Index (?:Only )?Scan(?: Backward)? (?:using|on) (\w+)`)
	cockroachHas  = regexp.MustCompile(`table: (\w+)@(\w+)`)
)

// plan is what an engine says about reading for some statements.
type plan struct {
	indexes map[string]bool
	full    []string // tables read as a whole
	rows    int      // read; PostgreSQL only
	text    string
}

// plan explains statements, with the settings that they have run with.
func (d *desk) plan(pool *pgxpool.Pool, said []statement) plan {
	d.t.Helper()
	p := plan{indexes: map[string]bool{}}
	for _, s := range said {
		explain := `explain (analyze, costs off, timing off, summary off) `
		if d.db.Cockroach() {
			explain = `explain `
		}
		rows, err := pool.Query(d.t.Context(), explain+s.sql, s.args...)
		if err != nil {
			d.t.Fatalf("explaining %s: %v", s.sql, err)
		}
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			d.t.Fatalf("explaining %s: %v", s.sql, err)
		}
		p.text += s.sql + "\n" + strings.Join(lines, "\n") + "\n"
		if d.db.Cockroach() {
			p.addCockroach(lines)
		} else {
			p.addPostgres(lines)
		}
	}
	return p
}

func (p *plan) addPostgres(lines []string) {
	loops := 1
	for _, line := range lines {
		if found := postgresScan.FindStringSubmatch(line); found != nil {
			rows, _ := strconv.Atoi(found[4])
			loops, _ = strconv.Atoi(found[5])
			p.rows += rows * loops
			switch found[1] {
			case "Seq Scan":
				p.full = append(p.full, found[3])
			case "Bitmap Index Scan":
				p.indexes[found[3]] = true
			default:
				p.indexes[found[2]] = true
			}
		}
		if found := postgresMore.FindStringSubmatch(line); found != nil {
			rows, _ := strconv.Atoi(found[1])
			p.rows += rows * loops
		}
	}
}

func (p *plan) addCockroach(lines []string) {
	table := ""
	for _, line := range lines {
		if found := cockroachHas.FindStringSubmatch(line); found != nil {
			table = found[1]
			p.indexes[found[2]] = true
		}
		if strings.Contains(line, "FULL SCAN") {
			p.full = append(p.full, table)
		}
	}
}

// Every read of clients uses the index made for it and reads a bounded number of
// rows, also on tables that were not analyzed yet.
func TestReadsUseTheirIndexes(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, d *desk) {
		if !d.db.Cockroach() {
			for _, table := range []string{"book.accounts", "book.account_versions", "book.entries", "book.postings", "book.details", "ops.payloads", "ops.metadata_terms"} {
				d.owner("alter table " + table + " set (autovacuum_enabled = false)")
			}
		}
		p := d.payments(400)
		p.fund()
		p.pay(20_000, 60)
		now := time.Now()
		for i := range 1200 {
			h := p.s.hold(p.customers[0], p.customers[1], int64(i+1), now.Add(time.Duration(i-1100)*time.Minute))
			if i != 1000 {
				p.s.settle(h, chain.Release, 0)
			}
		}
		p.s.commit()
		for _, state := range []string{"not analyzed", "analyzed"} {
			if state == "analyzed" {
				for _, table := range []string{"book.entries", "book.postings", "book.accounts", "book.account_versions", "book.details", "ops.payloads", "ops.metadata_terms"} {
					d.owner("analyze " + table)
				}
			}
			d.checkPlans(t, p, state, now)
		}
	})
}

func (d *desk) checkPlans(t *testing.T, p *payments, state string, now time.Time) {
	tracer := &statements{}
	db, err := d.db.Traced(t.Context(), tracer)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	day := p.s.day(0)
	customer := p.customers[7]
	amount := decimal.RequireFromString("123.45")
	high := amount.Add(decimal.New(5, 0))
	search := func(f store.EntryFilter) func() error {
		return func() error {
			f.Kinds, f.Limit = []chain.Kind{chain.Transfer, chain.Hold}, 20
			_, err := db.Entries(t.Context(), d.id, f)
			return err
		}
	}
	from := day - 10
	for _, read := range []struct {
		name  string
		index []string
		rows  int // at most
		do    func() error
	}{
		{"reference", []string{"payloads_reference"}, 600, search(store.EntryFilter{Reference: "INV-33"})},
		{"related", []string{"entries_related"}, 600, search(store.EntryFilter{RelatedTo: &p.ids[0]})},
		{"metadata", []string{"metadata_terms_term"}, 800, search(store.EntryFilter{MetadataKey: "batch", MetadataValue: "b7"})},
		{"metadata of many", []string{"metadata_terms_term"}, 800, search(store.EntryFilter{MetadataKey: "channel", MetadataValue: "web"})},
		{"amount", []string{"postings_amount", "postings_held"}, 800, search(store.EntryFilter{MinAmount: &amount, MaxAmount: &amount})},
		{"narrow amounts", []string{"postings_amount", "postings_held"}, 1500, search(store.EntryFilter{MinAmount: &amount, MaxAmount: &high})},
		{"wide amounts", []string{"postings_amount", "postings_held", "i4_postings"}, 5000, search(store.EntryFilter{MinAmount: &amount})},
		{"account", []string{"i9_postings_account_seq"}, 1000, search(store.EntryFilter{Account: customer})},
		{"account and metadata", []string{"i9_postings_account_seq", "metadata_terms_term"}, 2000, search(store.EntryFilter{Account: customer, MetadataKey: "channel", MetadataValue: "web"})},
		{"dates", []string{"i5_entries_seq"}, 1500, search(store.EntryFilter{FromDate: &from, ToDate: &from})},
		{"currency", []string{"i4_postings"}, 800, search(store.EntryFilter{Currency: "EUR", FromSeq: 9000})},
		{"statement", []string{"i9_postings_account_seq", "i5_entries_seq"}, 1500, func() error {
			_, err := db.Statement(t.Context(), d.id, store.StatementFilter{Code: customer, From: from, To: day, AsOf: store.Newest, Limit: 50})
			return err
		}},
		{"balance", []string{"i9_postings_account_seq"}, 30, func() error { _, err := db.Account(t.Context(), d.id, customer); return err }},
		{"balance long ago", []string{"i9_postings_account_seq"}, 300, func() error { _, err := db.AccountAt(t.Context(), d.id, customer, 9000); return err }},
		{"balance by value date", []string{"i9_postings_account_seq", "postings_back_valued"}, 800, func() error {
			_, err := db.BalanceEffective(t.Context(), d.id, customer, from, store.Newest)
			return err
		}},
		{"balances of a prefix", []string{"i10_accounts_code", "i9_postings_account_seq"}, 30, func() error {
			_, err := db.Balances(t.Context(), d.id, store.BalanceFilter{Prefix: "customers:7", AsOf: store.Newest, Limit: 10})
			return err
		}},
		{"balances of all", []string{"i9_postings_account_seq"}, 2000, func() error {
			_, err := db.Balances(t.Context(), d.id, store.BalanceFilter{Depth: 1, AsOf: store.Newest, Limit: 10})
			return err
		}},
		{"incomes", []string{"accounts_income"}, 300, func() error { _, err := db.Incomes(t.Context(), d.id, from, p.s.head.Seq, 10); return err }},
		{"targets", []string{"i8_entries_request", "i12_entries_settled", "i12_entries_reversed"}, 60, func() error {
			_, err := db.Targets(t.Context(), d.id, p.ids[5:8])
			return err
		}},
		{"opening", []string{"entries_rules", "entries_keys"}, 20, func() error { _, err := db.Opening(t.Context(), d.id); return err }},
		{"erasures", []string{"i12_entries_erased"}, 10, func() error { _, err := db.Erasures(t.Context(), d.id, []int64{5, 6, 7}); return err }},
		{"unfinished erasures", []string{"i12_entries_erased"}, 10, func() error { _, err := db.UnfinishedErasures(t.Context(), nil); return err }},
		{"commitments", []string{"entries_commitments"}, 10, func() error { _, err := db.Commitments(t.Context(), d.id, 1000, 10); return err }},
		{"balance tree", []string{"i9_postings_account_seq"}, 20_000, func() error {
			_, err := db.BalanceTree(t.Context(), d.id, p.s.head.Seq/2, nil)
			return err
		}},
		{"replays", []string{"i8_entries_request"}, 100, func() error { _, _, err := db.Requests(t.Context(), d.id, p.ids[5:8]); return err }},
		{"first sweep", []string{"entries_expiring", "i12_entries_settled"}, 6000, func() error { return d.sweepNothing(db, now) }},
		{"second sweep", []string{"entries_expiring", "i12_entries_settled"}, 300, func() error { return d.sweepNothing(db, now.Add(2*time.Minute)) }},
	} {
		if read.name == "first sweep" { // begin at the beginning
			d.owner(`update ops.sweeps set watermark = '1970-01-01', looked_back_at = $1`, now)
		}
		tracer.take()
		if err := read.do(); err != nil {
			t.Fatalf("%s, %s: %v", read.name, state, err)
		}
		got := d.plan(db.Pool(), tracer.take())
		for _, index := range read.index {
			if !got.indexes[index] {
				t.Errorf("%s, %s: the index %s is not used:\n%s", read.name, state, index, got.text)
			}
		}
		if len(got.full) > 0 && fmt.Sprint(got.full) != "[sweeps]" && fmt.Sprint(got.full) != "[ledgers]" {
			t.Errorf("%s, %s: the tables %v are read as a whole:\n%s", read.name, state, got.full, got.text)
		}
		if got.rows > read.rows {
			t.Errorf("%s, %s: %d rows are read, at most %d should be:\n%s", read.name, state, got.rows, read.rows, got.text)
		}
	}
}

// sweepNothing sweeps and leaves the one hold open that is due.
func (d *desk) sweepNothing(db *store.DB, now time.Time) error {
	due, err := db.SweepHolds(d.t.Context(), now, func(context.Context, []ledger.DueHold) error { return nil })
	if err == nil && due != 1 {
		err = fmt.Errorf("%d holds are due, want 1", due)
	}
	return err
}

// The plans that lookups keep are made when the tables have grown, and use the
// right index for all conditions.
func TestLookupsKeepGoodPlans(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, d *desk) {
		if d.db.Cockroach() {
			t.Skip("plans are kept on PostgreSQL only")
		}
		for _, table := range []string{"book.entries", "book.postings", "book.details", "ops.payloads"} {
			d.owner("alter table " + table + " set (autovacuum_enabled = false)")
		}
		db, err := d.db.Alone(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		low := decimal.RequireFromString("123.45")
		high := low.Add(decimal.New(20, 0))
		read := func() {
			t.Helper()
			if _, err := db.Entries(t.Context(), d.id, store.EntryFilter{MinAmount: &low, MaxAmount: &high, Limit: 20}); err != nil {
				t.Fatal(err)
			}
			if _, err := db.Entry(t.Context(), d.id, 1); err != nil {
				t.Fatal(err)
			}
		}
		read()
		p := d.payments(400)
		p.fund()
		p.pay(20_000, 60)
		read()
		var early int
		if err := db.Pool().QueryRow(t.Context(), `select count(*) from pg_prepared_statements where generic_plans > 0 and parameter_types <> '{}'`).Scan(&early); err != nil || early > 0 {
			t.Errorf("%d plans are kept of tables that were not analyzed yet; %v", early, err)
		}
		d.owner("analyze")
		read() // sees that they have grown
		read()
		rows, err := db.Pool().Query(t.Context(), `select name, array_length(parameter_types, 1) from pg_prepared_statements
where generic_plans > 0 and parameter_types <> '{}'`)
		if err != nil {
			t.Fatal(err)
		}
		kept := map[string]int{}
		var name string
		var parameters int
		if _, err := pgx.ForEachRow(rows, []any{&name, &parameters}, func() error { kept[name] = parameters; return nil }); err != nil {
			t.Fatal(err)
		}
		if _, err := db.Pool().Exec(t.Context(), "set plan_cache_mode = force_generic_plan"); err != nil {
			t.Fatal(err)
		}
		used := map[string]bool{}
		for name, parameters := range kept { // what is kept is explained whatever the parameters are
			explain := "explain (costs off) execute " + name + "(null" + strings.Repeat(", null", parameters-1) + ")"
			rows, err := db.Pool().Query(t.Context(), explain)
			if err != nil {
				t.Fatal(err)
			}
			lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
			if err != nil {
				t.Fatal(err)
			}
			text := strings.Join(lines, "\n")
			if strings.Contains(text, "Seq Scan") || strings.Contains(text, "Filter:") {
				t.Errorf("rows are read to be dropped:\n%s", text)
			}
			for _, found := range postgresIndex.FindAllStringSubmatch(text, -1) {
				used[found[1]] = true
			}
		}
		for _, index := range []string{"i5_entries_seq", "i4_postings", "i11_payloads", "i4_details", "postings_amount", "postings_held"} {
			if !used[index] {
				t.Errorf("no plan that is kept uses %s; those of %d statements use %v", index, len(kept), used)
			}
		}
	})
}
