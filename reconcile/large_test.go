package reconcile_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"tallystick/ledger/chain"
	"tallystick/ledger/store"
	"tallystick/ledger/store/storetest"
	"tallystick/reconcile"
)

// Environment of the measurements, which are run by hand:
//
//	LARGE=2000000 go test ./reconcile -run TestMemoryDoesNotGrowWithTheLedger -v -timeout 30m
//	LARGE=1000000 go test ./reconcile -run xxx -bench Verify -benchtime 3x -timeout 30m
//	LARGE=2000000 go test ./reconcile -run xxx -bench Night -benchtime 3x -timeout 30m
//
// LARGE is the number of entries, LARGE_ACCOUNTS that of the accounts.
const (
	largeVariable         = "LARGE"
	largeAccountsVariable = "LARGE_ACCOUNTS"
	// verifyVariable makes the test binary verify a ledger, print the report and end.
	verifyVariable = "TALLYSTICK_VERIFY_URL"
)

func number(tb testing.TB, variable string, otherwise int) int {
	tb.Helper()
	s := os.Getenv(variable)
	if s == "" {
		return otherwise
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		tb.Fatalf("%s=%s: %v", variable, s, err)
	}
	return n
}

// chunk is how many entries of a large ledger are written at once.
const chunk = 20_000

// growing is a ledger of entries of two postings, all over the accounts.
type growing struct {
	*book
	names []string
	state uint64
}

func newGrowing(tb testing.TB, name string, accounts int) *growing {
	g := &growing{book: newBook(name), names: make([]string, accounts), state: 1}
	for i := range g.names {
		g.names[i] = fmt.Sprintf("customers:%d", i)
		g.open(g.names[i], chain.Liability, nil)
	}
	return g
}

// pick is a linear congruential generator: the same ledger every time.
func (g *growing) pick() int {
	g.state = g.state*6364136223846793005 + 1442695040888963407
	return int(g.state >> 33 % uint64(len(g.names)))
}

// grow writes entries until there are so many.
func (g *growing) grow(tb testing.TB, conn *pgx.Conn, to int64) {
	tb.Helper()
	for g.next < to {
		from, to := g.pick(), g.pick()
		if from == to {
			continue
		}
		g.transfer(g.names[from], g.names[to], int64(1+g.pick()))
		if g.next%chunk == 0 {
			g.write(tb, conn)
		}
	}
	g.write(tb, conn)
}

// large writes a ledger of about n entries, and vacuums it as autovacuum would in
// time.
func large(tb testing.TB, url string, n, accounts int) uuid.UUID {
	tb.Helper()
	conn := connect(tb, url)
	g := newGrowing(tb, "main", accounts)
	g.changeKey(tb, chain.KeyAdd, signingKey(tb, "signer"))
	g.grow(tb, conn, int64(n))
	g.sealEvery(tb, conn, chunk)
	vacuum(tb, conn)
	return g.ledger
}

func vacuum(tb testing.TB, conn *pgx.Conn) {
	tb.Helper()
	if conn.PgConn().ParameterStatus("crdb_version") == "" {
		mustExec(tb, conn, "vacuum analyze")
	}
}

// sealEvery signs a large ledger each time that it has grown by so many entries,
// and at its head.
func (b *book) sealEvery(tb testing.TB, conn *pgx.Conn, entries int64) {
	tb.Helper()
	key := signingKey(tb, "signer")
	var nodes, checkpoints [][]any
	var last []byte
	tree := reconcile.NewMerkle(chain.Frontier{})
	for i, leaf := range b.leaves {
		tree.Add(0, leaf, func(level int, position int64, node chain.Hash) {
			nodes = append(nodes, []any{b.ledger, int64(level), position, node[:]})
		})
		size := int64(i) + 1
		if size%entries != 0 && size < b.next {
			continue
		}
		root := tree.Root()
		signed, err := key.Sign(chain.Checkpoint{Origin: b.terms.Origin, Size: size, Root: root})
		if err != nil {
			tb.Fatal(err)
		}
		last = signed
		checkpoints = append(checkpoints, []any{b.ledger, size, root[:], string(signed), shownAt})
	}
	for table, rows := range map[string][][]any{"tiles": nodes, "checkpoints": checkpoints} {
		columns := map[string][]string{"tiles": {"ledger_id", "level", "position", "hash"}, "checkpoints": {"ledger_id", "size", "root", "note", "signed_at"}}[table]
		if _, err := conn.CopyFrom(tb.Context(), pgx.Identifier{"book", table}, columns, pgx.CopyFromRows(rows)); err != nil {
			tb.Fatal(err)
		}
	}
	b.show(tb, conn, last, b.next)
}

// BenchmarkVerify reports entries per second, the database's work included: of a
// ledger with checkpoints, and of the same without.
func BenchmarkVerify(b *testing.B) {
	url := storetest.Database(b)
	id := large(b, url, number(b, largeVariable, 100_000), number(b, largeAccountsVariable, 20_000))
	db := auditor(b, url, reconcile.DefaultWorkers()+1)
	for _, name := range []string{"sealed", "unsealed"} {
		status := reconcile.Verified
		if name == "unsealed" {
			status = reconcile.Incomplete // its chain names a key that signs
			conn := connect(b, url)
			for _, table := range []string{"book.tiles", "book.checkpoints", "ops.heads"} {
				mustExec(b, conn, "delete from "+table)
			}
		}
		b.Run(name, func(b *testing.B) {
			var entries int64
			b.ReportAllocs()
			for b.Loop() {
				report, err := reconcile.Verify(b.Context(), db, id, reconcile.Options{})
				if err != nil || report.Status != status {
					b.Fatal(report.Status, codes(report.Findings), report.NotChecked, err)
				}
				entries += report.EntriesChecked
			}
			b.ReportMetric(float64(entries)/b.Elapsed().Seconds(), "entries/s")
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(entries), "ns/entry")
		})
	}
}

// TestMemoryDoesNotGrowWithTheLedger compares the largest resident size of two
// processes, one of which verifies four times as many entries as the other. (With a
// tenth, a process is done before its heap has got to its size.)
func TestMemoryDoesNotGrowWithTheLedger(t *testing.T) {
	t.Parallel()
	n := number(t, largeVariable, 0)
	if n == 0 {
		t.Skipf("set %s=2000000 to measure", largeVariable)
	}
	accounts := number(t, largeAccountsVariable, 20_000)
	small, _ := verifyElsewhere(t, n/4, accounts)
	big, report := verifyElsewhere(t, n, accounts)
	t.Logf("%d entries: %d KiB; %d entries: %d KiB; ratio %d %%; %d entries/s", n/4, small, n, big, 100*big/small, report.EntriesPerSecond)
	if 100*big > 120*small {
		t.Errorf("memory grew from %d to %d KiB, more than 20 %%", small, big)
	}
}

// verifyElsewhere verifies a large ledger in a process of its own, and returns
// that process's largest resident size in KiB.
func verifyElsewhere(t *testing.T, n, accounts int) (int64, reconcile.Report) {
	t.Helper()
	url := storetest.Database(t)
	id := large(t, url, n, accounts)
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), verifyVariable+"="+url, verifyVariable+"_LEDGER="+id.String())
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("verifying in another process: %v\n%s", err, out)
	}
	var outcome elsewhere
	if err := json.Unmarshal(out, &outcome); err != nil {
		t.Fatal(err)
	}
	report := outcome.Report
	if report.Status != reconcile.Verified || report.EntriesChecked < int64(n) || outcome.PeakKiB == 0 {
		t.Fatalf("%s, %d entries, %d KiB, %v", report.Status, report.EntriesChecked, outcome.PeakKiB, codes(report.Findings))
	}
	return outcome.PeakKiB, report
}

// elsewhere is what the other process prints.
type elsewhere struct {
	Report  reconcile.Report
	PeakKiB int64
}

// peak returns the largest resident size of this process so far. (What the
// parent is told after its end would include its own size at the fork.)
func peak() (int64, error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			return strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
		}
	}
	return 0, errors.New("no VmHWM in /proc/self/status")
}

// verifyAndExit is the other process.
func verifyAndExit(ctx context.Context, url, ledger string) {
	db, err := store.Open(ctx, url, store.RoleAuditor, reconcile.DefaultWorkers()+1)
	if err == nil {
		var outcome elsewhere
		if outcome.Report, err = reconcile.Verify(ctx, db, uuid.MustParse(ledger), reconcile.Options{}); err == nil {
			outcome.PeakKiB, err = peak()
		}
		if err == nil {
			err = json.NewEncoder(os.Stdout).Encode(outcome)
		}
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	os.Exit(0)
}
