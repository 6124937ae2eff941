package scripts

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
)

// layer says what the packages of a folder may import. Arrows only point down this list, and api and
// reconcile do not know each other. Tests are free: they may look at the system from all sides.
type layer struct {
	pkg     string   // folder; with /... also all folders below it
	project []string // packages of ours, in the same notation
	modules []string // modules of others, without github.com/
	never   []string // packages of the standard library, with all below them
}

// outside is what a package does not import that only computes: the same input, the same output.
var outside = []string{"os", "net", "database", "syscall", "log", "plugin", "embed", "io/fs", "io/ioutil", "path/filepath", "math/rand", "unsafe"}

var layers = []layer{
	{"cmd/tallystick", []string{"cmd/tallystick/internal/...", "scripts", "api/...", "reconcile/...", "ledger/...", "migrations"}, []string{"alecthomas/kong", "schollz/progressbar/v3", "google/uuid", "shopspring/decimal"}, nil},
	{"cmd/tallystick/internal/mapping", []string{"cmd/tallystick/internal/tabular", "ledger/money"}, []string{"go.yaml.in/yaml/v3"}, outside},
	{"cmd/tallystick/internal/tabular", nil, []string{"go-json-experiment/json", "golang.org/x/text"}, outside},
	{"cmd/tallystick/internal/entryfile", nil, nil, outside},
	{"cmd/tallystick/internal/schedule", nil, []string{"robfig/cron/v3"}, outside},
	{"cmd/tallystick/internal/simulate", []string{"ledger/chain"}, nil,
		slices.DeleteFunc(slices.Clone(outside), func(pkg string) bool { return pkg == "math/rand" })}, // seeded
	{"cmd/tallystick/internal/carryover", []string{"ledger", "ledger/chain", "ledger/money", "ledger/store"}, []string{"shopspring/decimal"}, outside},
	{"cmd/tallystick/internal/demo", []string{"ledger", "ledger/chain"}, []string{"google/uuid", "shopspring/decimal"},
		slices.DeleteFunc(slices.Clone(outside), func(pkg string) bool { return pkg == "math/rand" })}, // seeded
	{"scripts/receipt", nil, []string{"golang.org/x/mod", "transparency-dev/formats", "transparency-dev/merkle"}, nil}, // nothing of ours
	{"scripts/...", []string{"api/client", "ledger/...", "scripts/..."}, []string{"alecthomas/kong", "schollz/progressbar/v3", "google/uuid", "jackc/pgx/v5", "shopspring/decimal"}, nil},

	{"api/client", nil, []string{"google/uuid", "shopspring/decimal", "valyala/fasthttp"}, []string{"log"}},
	{"api", []string{"api/console", "ledger", "ledger/chain", "ledger/money", "ledger/store"},
		[]string{"labstack/echo/v4", "google/uuid", "shopspring/decimal", "prometheus/client_golang", "prometheus/common", "go-json-experiment/json", "go.yaml.in/yaml/v3", "golang.org/x/sync"}, []string{"database", "os/exec"}},
	{"api/console", nil, nil, []string{"database", "os", "syscall"}}, // a client of the API: it knows nothing else

	{"reconcile", []string{"ledger/chain", "ledger/money", "ledger/store", "reconcile/..."}, // not ledger: an audit that shares the audited code shares its bugs
		[]string{"google/uuid", "shopspring/decimal"}, []string{"database", "os/exec", "net"}},
	{"reconcile/risk", []string{"reconcile/report", "reconcile/policy", "reconcile/calendar", "ledger/chain", "ledger/money"}, []string{"shopspring/decimal", "gonum.org/v1/gonum"}, outside},
	{"reconcile/bankbook", []string{"reconcile/match", "reconcile/report", "reconcile/policy", "reconcile/calendar", "ledger/chain", "ledger/money"}, []string{"shopspring/decimal"}, outside},
	{"reconcile/intake", []string{"reconcile/bankfile", "ledger", "ledger/chain", "ledger/money", "ledger/store"}, []string{"go.yaml.in/yaml/v3"}, []string{"database", "os", "net"}},
	{"reconcile/bankbook", []string{"reconcile/match", "reconcile/report", "reconcile/policy", "reconcile/calendar", "ledger/chain", "ledger/money"}, []string{"shopspring/decimal"}, outside},
	{"reconcile/figures", []string{"reconcile/report", "reconcile/policy", "reconcile/calendar", "ledger/chain", "ledger/money"}, []string{"shopspring/decimal", "google/uuid"}, outside},
	{"reconcile/camt", []string{"ledger/chain", "ledger/money"}, nil, outside},
	{"reconcile/report", []string{"reconcile/report/...", "ledger/money"},
		[]string{"shopspring/decimal", "rivo/uniseg", "xuri/excelize/v2", "codeberg.org/go-pdf/fpdf", "go-fonts/dejavu", "golang.org/x/image", "golang.org/x/text"},
		slices.DeleteFunc(slices.Clone(outside), func(pkg string) bool { return pkg == "embed" })}, // the page's template
	{"reconcile/match", []string{"reconcile/policy", "reconcile/calendar", "ledger/chain", "ledger/money"}, []string{"shopspring/decimal"}, outside},
	{"reconcile/policy", []string{"reconcile/calendar", "ledger/chain", "ledger/money"}, []string{"shopspring/decimal", "go.yaml.in/yaml/v3"},
		slices.DeleteFunc(slices.Clone(outside), func(pkg string) bool { return pkg == "embed" })}, // the example
	{"reconcile/calendar", []string{"ledger/chain"}, nil, outside},
	{"reconcile/bankfile", []string{"ledger/money"}, []string{"golang.org/x/text"}, outside},

	{"ledger/store/storetest", []string{"ledger/chain", "ledger/store", "ledger/store/engine"}, []string{"jackc/pgx/v5", "google/uuid"}, []string{"log"}},
	{"ledger/store/engine", nil, nil, []string{"log", "net/http", "database"}},
	{"ledger/store", []string{"ledger", "ledger/chain", "ledger/money", "migrations"}, // the only one with SQL
		[]string{"jackc/pgx/v5", "jackc/pgx-shopspring-decimal", "cockroachdb/cockroach-go/v2", "pressly/goose/v3", "google/uuid", "shopspring/decimal", "go-json-experiment/json"},
		[]string{"log", "os", "net/http"}},
	{"migrations", nil, nil, []string{"os", "net", "database", "log"}},

	{"ledger/witness", []string{"ledger/chain"}, nil, []string{"log", "database", "os/exec"}},
	{"ledger/signer", []string{"ledger/chain"}, []string{"google/uuid"}, []string{"net", "database", "log", "os/exec"}}, // the database is handed to it

	{"ledger", []string{"ledger/chain", "ledger/money"}, []string{"google/uuid", "shopspring/decimal"}, outside},
	{"ledger/chain/bundle", []string{"ledger/chain", "ledger/money"}, []string{"google/uuid", "golang.org/x/mod"}, outside},
	{"ledger/chain", []string{"ledger/money"}, []string{"google/uuid", "golang.org/x/mod", "transparency-dev/formats"},
		slices.DeleteFunc(slices.Clone(outside), func(pkg string) bool { return pkg == "embed" })}, // FORMAT.md, which bundles hold
	{"ledger/money", nil, []string{"shopspring/decimal"}, outside},
}

// covers says whether a pattern of layer notation names the package.
func covers(pattern, pkg string) bool {
	if top, open := strings.CutSuffix(pattern, "/..."); open {
		return pkg == top || strings.HasPrefix(pkg, top+"/")
	}
	return pattern == pkg
}

// within says whether an import path is a module, or a standard package of the list, or below one.
func within(list []string, importPath string) bool {
	return slices.ContainsFunc(list, func(top string) bool { return covers(top+"/...", importPath) })
}

// layerBreaks returns the imports that the policy does not allow.
func layerBreaks(sources []*source) []string {
	var found []string
	for _, s := range sources {
		if s.test {
			continue
		}
		i := slices.IndexFunc(layers, func(l layer) bool { return covers(l.pkg, s.pkg) })
		if i < 0 {
			found = append(found, s.at(s.file.Package)+": package "+s.pkg+" has no layer: give it one in scripts/layers_test.go")
			continue
		}
		for _, spec := range s.file.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				found = append(found, s.at(spec.Pos())+": "+err.Error())
				continue
			}
			if why := layers[i].refuses(imported); why != "" {
				found = append(found, s.at(spec.Pos())+": "+s.pkg+" must not import "+imported+why)
			}
		}
	}
	return found
}

// refuses returns why a layer may not import a package, or nothing.
func (l layer) refuses(imported string) string {
	if pkg, ours := strings.CutPrefix(imported, "tallystick/"); ours {
		if !slices.ContainsFunc(l.project, func(allowed string) bool { return covers(allowed, pkg) }) {
			return ": not below it"
		}
		return ""
	}
	first, _, _ := strings.Cut(imported, "/")
	if !strings.Contains(first, ".") {
		if within(l.never, imported) {
			return "" + ": not in this layer"
		}
		return ""
	}
	module := strings.TrimPrefix(imported, "github.com/")
	if !within(l.modules, module) {
		return ": that module is not this layer's"
	}
	return ""
}

func TestImportsPointDown(t *testing.T) {
	t.Parallel()
	sources := read(t, os.DirFS(".."))
	if len(sources) < 20 {
		t.Fatalf("only %d files found: is this the project?", len(sources))
	}
	for _, found := range layerBreaks(sources) {
		t.Error(found)
	}
}

// The list itself could allow a circle; its order forbids that.
func TestLayersStandInOrder(t *testing.T) {
	t.Parallel()
	for i, l := range layers {
		for _, allowed := range l.project {
			for _, above := range layers[:i] {
				if covers(l.pkg, above.pkg) {
					continue // a folder that the pattern of this layer would cover, with rules of its own
				}
				if covers(allowed, strings.TrimSuffix(above.pkg, "/...")) {
					t.Errorf("%s may import %s, which stands above it", l.pkg, above.pkg)
				}
			}
		}
	}
}

func TestLayerCheckFindsBreaks(t *testing.T) {
	t.Parallel()
	imports := func(file, path string) fstest.MapFS { return one(file, "package p\n\nimport _ \""+path+"\"\n") }
	try(t, layerBreaks, []snippet{
		{"api knows reconcile", imports("api/a.go", "tallystick/reconcile"), []string{"api/a.go:3: api must not import tallystick/reconcile: not below it"}},
		{"reconcile knows api", imports("reconcile/a.go", "tallystick/api"), []string{"reconcile/a.go:3: reconcile must not import tallystick/api: not below it"}},
		{"the audit uses the domain", imports("reconcile/a.go", "tallystick/ledger"), []string{"reconcile/a.go:3: reconcile must not import tallystick/ledger: not below it"}},
		{"the domain knows the store", imports("ledger/a.go", "tallystick/ledger/store"), []string{"ledger/a.go:3: ledger must not import tallystick/ledger/store: not below it"}},
		{"pgx outside the store", imports("api/a.go", "github.com/jackc/pgx/v5/pgconn"), []string{"api/a.go:3: api must not import github.com/jackc/pgx/v5/pgconn: that module is not this layer's"}},
		{"pgx in the store", imports("ledger/store/a.go", "github.com/jackc/pgx/v5/pgconn"), nil},
		{"a module with the same beginning", imports("ledger/store/a.go", "github.com/jackc/pgx/v5x"), []string{"ledger/store/a.go:3: ledger/store must not import github.com/jackc/pgx/v5x: that module is not this layer's"}},
		{"network in the chain", imports("ledger/chain/a.go", "net/http"), []string{"ledger/chain/a.go:3: ledger/chain must not import net/http: not in this layer"}},
		{"the library in the proof that it is not needed", imports("scripts/receipt/a.go", "tallystick/ledger/chain"), []string{"scripts/receipt/a.go:3: scripts/receipt must not import tallystick/ledger/chain: not below it"}},
		{"SQL in money", imports("ledger/money/a.go", "database/sql/driver"), []string{"ledger/money/a.go:3: ledger/money must not import database/sql/driver: not in this layer"}},
		{"files in the domain", imports("ledger/a.go", "os"), []string{"ledger/a.go:3: ledger must not import os: not in this layer"}},
		{"logging in the store", imports("ledger/store/a.go", "log/slog"), []string{"ledger/store/a.go:3: ledger/store must not import log/slog: not in this layer"}},
		{"a new package", imports("payments/a.go", "fmt"), []string{"payments/a.go:1: package payments has no layer: give it one in scripts/layers_test.go"}},
		{"tests are free", imports("ledger/a_test.go", "tallystick/api"), nil},
		{"downwards", imports("cmd/tallystick/a.go", "tallystick/ledger/store/engine"), nil},
	})
}
