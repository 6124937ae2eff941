package scripts

import (
	"strings"
	"testing"
	"testing/fstest"
)

func TestStyleCheckFindsBreaks(t *testing.T) {
	t.Parallel()
	const head = "// Package p is tried.\npackage p\n"
	statements := func(n int) string { return strings.Repeat("\t_ = 0\n", n) }
	imports := func(path string) *fstest.MapFile {
		return &fstest.MapFile{Data: []byte(head + "import _ \"" + path + "\"\n")}
	}
	try(t, styleBreaks, []snippet{
		{"nothing wrong", one("ledger/a.go", head), nil},

		{"file of 500 lines", one("ledger/a.go", head+strings.Repeat("\n", 498)), nil},
		{"file of 501 lines", one("ledger/a.go", head+strings.Repeat("\n", 499)), []string{"ledger/a.go:501: file of 501 lines, at most 500"}},
		{"long test file", one("ledger/a_test.go", head+strings.Repeat("\n", 600)), nil},
		{"function of 70 lines", one("ledger/a.go", head+"func f() {\n"+statements(68)+"}\n"), nil},
		{"function of 71 lines", one("ledger/a.go", head+"func f() {\n"+statements(69)+"}\n"), []string{"ledger/a.go:3: function f of 71 lines, at most 70"}},
		{"long method", one("ledger/a.go", head+"type t int\nfunc (t) f() {\n"+statements(69)+"}\n"), []string{"ledger/a.go:4: function f of 71 lines, at most 70"}},

		{"undocumented function", one("ledger/a.go", head+"func F() {}\n"), []string{"ledger/a.go:3: F is exported and has no comment"}},
		{"documented function", one("ledger/a.go", head+"// F is tried.\nfunc F() {}\n"), nil},
		{"undocumented type", one("ledger/a.go", head+"type T int\n"), []string{"ledger/a.go:3: T is exported and has no comment"}},
		{"undocumented method", one("ledger/a.go", head+"// T is tried.\ntype T[K any] int\nfunc (t *T[K]) F() {}\n"), []string{"ledger/a.go:5: F is exported and has no comment"}},
		{"method of a hidden type", one("ledger/a.go", head+"type t int\nfunc (t) String() string { return \"\" }\n"), nil},
		{"undocumented constant", one("ledger/a.go", head+"const (\n\tA = 1 // the first\n\tB = 2\n)\n"), []string{"ledger/a.go:5: B is exported and has no comment"}},
		{"documented group", one("ledger/a.go", head+"// Both.\nconst (\n\tA = 1\n\tB = 2\n)\n"), nil},
		{"undocumented package", one("ledger/a.go", "package p\n"), []string{"ledger/a.go:1: package ledger has no comment"}},
		{"package documented in another file", fstest.MapFS{"ledger/a.go": {Data: []byte("package p\n")}, "ledger/doc.go": {Data: []byte(head)}}, nil},

		{"empty type name", one("ledger/a.go", head+"type accountManager int\n"), []string{"ledger/a.go:3: the name accountManager does not say what it is or does"}},
		{"empty function name", one("ledger/a.go", head+"func newServiceImpl() {}\n"), []string{"ledger/a.go:3: the name newServiceImpl does not say what it is or does"}},
		{"empty name after capitals", one("ledger/a.go", head+"type HTTPService int // t\n"), []string{"ledger/a.go:3: the name HTTPService does not say what it is or does"}},
		{"words that only contain one", one("ledger/a.go", head+"func implied() {}\nfunc serviced() {}\nfunc simpl() {}\ntype utility int\n"), nil},
		{"getter", one("ledger/a.go", head+"type t int\nfunc (t) GetBalance() {}\n"), []string{"ledger/a.go:4: the name GetBalance has a Get too many"}},
		{"no getter", one("ledger/a.go", head+"type t int\nfunc (t) Get() {}\nfunc (t) Getty() {}\n"), nil},
		{"empty package name", one("ledger/a.go", "// Package util is tried.\npackage util\n"), []string{"ledger/a.go:2: the name util says nothing about a package"}},

		{"float in the ledger", one("ledger/a.go", head+"var x float64\n"), []string{"ledger/a.go:3: float64 near money"}},
		{"float from a decimal", one("reconcile/risk/a.go", head+"var x = d.InexactFloat64()\n"), []string{"reconcile/risk/a.go:3: InexactFloat64 near money"}},
		{"float of a percentile", one("cmd/tallystick/a.go", head+"var x float64\n"), nil},
		{"float in a file that may", one("api/metrics.go", head+"var x float64\n"), nil},

		{"empty error text", one("ledger/a.go", head+"var e = fmt.Errorf(\"Failed to load: %w\", x)\n"), []string{"ledger/a.go:3: error text begins with \"failed to\""}},
		{"empty sentinel", one("ledger/a_test.go", head+"var e = errors.New(`could not`)\n"), []string{"ledger/a_test.go:3: error text begins with \"could not\""}},
		{"gerund", one("ledger/a.go", head+"var e = fmt.Errorf(\"loading account %s: %w\", id, x)\n"), nil},

		{"context from nowhere", one("ledger/a.go", head+"var c = context.Background()\n"), []string{"ledger/a.go:3: context.Background outside main: take the caller's context"}},
		{"context to do", one("cmd/tallystick/verify.go", head+"var c = context.TODO()\n"), []string{"cmd/tallystick/verify.go:3: context.TODO outside main: take the caller's context"}},
		{"context in main", one("cmd/tallystick/main.go", head+"var c = context.Background()\n"), nil},
		{"context in a test", one("ledger/a_test.go", head+"var c = context.Background()\n"), nil},

		{"sleeping test", one("api/a_test.go", head+"func f() { time.Sleep(1) }\n"), []string{"api/a_test.go:3: time.Sleep in a test: wait for the condition itself"}},
		{"sleeping script", one("scripts/crash/a.go", head+"func f() { time.Sleep(1) }\n"), nil},

		{"shouted SQL", one("ledger/store/a.go", head+"const q = `SELECT 1`\n"), []string{"ledger/store/a.go:3: SQL is written in lower case"}},
		{"quiet SQL", one("ledger/store/a.go", head+"const q = `select 'UPDATED'`\n"), nil},

		{"one retry helper", fstest.MapFS{"ledger/store/tx.go": imports("github.com/cockroachdb/cockroach-go/v2/crdb/crdbpgxv5")}, nil},
		{"two retry helpers", fstest.MapFS{
			"ledger/store/a.go": imports("github.com/cockroachdb/cockroach-go/v2/crdb"),
			"ledger/store/b.go": imports("github.com/cockroachdb/cockroach-go/v2/crdb/crdbpgxv5"),
		}, []string{"ledger/store/b.go:3: cockroach-go is used by ledger/store/a.go already: call that"}},
	})
}
