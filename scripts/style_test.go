package scripts

import (
	"fmt"
	"go/ast"
	"go/token"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Bounds of the house style; tests may be longer.
const (
	maxFunctionLines = 70
	maxFileLines     = 500
)

// noFloats are the layers near money; floatsAllowed are the files in them where a float is no money.
var (
	noFloats      = []string{"ledger/...", "api", "reconcile/...", "migrations"}
	floatsAllowed = map[string]string{
		"api/metrics.go":       "the metrics client takes every value as float64",
		"api/signermetrics.go": "likewise",
		"api/nightmetrics.go":  "likewise",

		"reconcile/risk/varmath.go":     "statistics of returns",
		"reconcile/risk/var.go":         "likewise",
		"reconcile/risk/benford.go":     "statistics of digits",
		"reconcile/risk/outliers.go":    "statistics of logarithms",
		"reconcile/risk/signals.go":     "scores and deviations",
		"reconcile/report/pdfcanvas.go": "fpdf takes coordinates as float64; all others count hundredths of points",
		"reconcile/report/xlsxsheet.go": "excelize takes widths of columns and margins as float64",
	}
)

// Where a context may begin: in main and in tests, whose helpers live in storetest.
var contextsBegin = []string{"cmd/tallystick/main.go", "scripts/..."}

// Names that say nothing.
var (
	emptyWords    = regexp.MustCompile(`(?:^[msiu]|[MSIU])(?:anager|ervice|mpl|til)s?(?:[^a-z]|$)`)
	emptyPackages = []string{"util", "utils", "common", "types", "models", "helpers", "misc"}
)

// A check looks at one file and returns its findings, each file:line: what.
type check struct {
	name string
	find func(*source) []string
}

var checks = []check{
	{"file length", longFiles},
	{"function length", longFunctions},
	{"documentation", undocumented},
	{"names", emptyNames},
	{"floats near money", floats},
	{"error texts", errorTexts},
	{"where contexts begin", contexts},
	{"sleeping tests", sleeps},
	{"SQL in lower case", upperSQL},
}

func styleBreaks(sources []*source) []string {
	var found []string
	for _, s := range sources {
		for _, c := range checks {
			found = append(found, c.find(s)...)
		}
	}
	found = append(found, undocumentedPackages(sources)...)
	return append(found, retriesElsewhere(sources)...)
}

func TestStyle(t *testing.T) {
	t.Parallel()
	for _, found := range styleBreaks(read(t, os.DirFS(".."))) {
		t.Error(found)
	}
}

func longFiles(s *source) []string {
	if s.test || s.lines <= maxFileLines {
		return nil
	}
	return []string{fmt.Sprintf("%s:%d: file of %d lines, at most %d", s.path, s.lines, s.lines, maxFileLines)}
}

func longFunctions(s *source) []string {
	var found []string
	if s.test {
		return nil
	}
	for _, d := range s.file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok {
			continue
		}
		lines := s.set.Position(f.End()).Line - s.set.Position(f.Pos()).Line + 1
		if lines > maxFunctionLines {
			found = append(found, fmt.Sprintf("%s: function %s of %d lines, at most %d", s.at(f.Pos()), f.Name.Name, lines, maxFunctionLines))
		}
	}
	return found
}

// undocumented finds exported names without a comment of their own or of their group.
func undocumented(s *source) []string {
	if s.test {
		return nil
	}
	var found []string
	missing := func(name *ast.Ident, docs ...*ast.CommentGroup) {
		if name.IsExported() && !slices.ContainsFunc(docs, func(d *ast.CommentGroup) bool { return d != nil }) {
			found = append(found, s.at(name.Pos())+": "+name.Name+" is exported and has no comment")
		}
	}
	for _, d := range s.file.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if receiver := receiverName(d); receiver == "" || ast.IsExported(receiver) {
				missing(d.Name, d.Doc)
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch spec := spec.(type) {
				case *ast.TypeSpec:
					missing(spec.Name, d.Doc, spec.Doc, spec.Comment)
				case *ast.ValueSpec:
					for _, name := range spec.Names {
						missing(name, d.Doc, spec.Doc, spec.Comment)
					}
				}
			}
		}
	}
	return found
}

func receiverName(f *ast.FuncDecl) string {
	if f.Recv == nil || len(f.Recv.List) == 0 {
		return ""
	}
	t := f.Recv.List[0].Type
	if star, ok := t.(*ast.StarExpr); ok {
		t = star.X
	}
	if index, ok := t.(*ast.IndexExpr); ok {
		t = index.X
	}
	if name, ok := t.(*ast.Ident); ok {
		return name.Name
	}
	return ""
}

// undocumentedPackages finds packages none of whose files has a package comment.
func undocumentedPackages(sources []*source) []string {
	first, documented := map[string]*source{}, map[string]bool{}
	for _, s := range sources {
		if first[s.pkg] == nil && !s.test {
			first[s.pkg] = s
		}
		documented[s.pkg] = documented[s.pkg] || s.file.Doc != nil
	}
	var found []string
	for pkg, s := range first {
		if !documented[pkg] {
			found = append(found, s.at(s.file.Package)+": package "+pkg+" has no comment")
		}
	}
	slices.Sort(found)
	return found
}

// emptyNames finds declared names that hide what a thing is.
func emptyNames(s *source) []string {
	var found []string
	say := func(pos token.Pos, name, why string) {
		found = append(found, s.at(pos)+": the name "+name+" "+why)
	}
	if slices.Contains(emptyPackages, s.file.Name.Name) {
		say(s.file.Name.Pos(), s.file.Name.Name, "says nothing about a package")
	}
	declared := func(name *ast.Ident) {
		if emptyWords.MatchString(name.Name) {
			say(name.Pos(), name.Name, "does not say what it is or does")
		}
	}
	for _, d := range s.file.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			declared(d.Name)
			if after, got := strings.CutPrefix(d.Name.Name, "Get"); got && after != "" && ast.IsExported(after) {
				say(d.Name.Pos(), d.Name.Name, "has a Get too many")
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				if spec, ok := spec.(*ast.TypeSpec); ok {
					declared(spec.Name)
				}
			}
		}
	}
	return found
}

// floats finds the types, and the ways of package decimal into them and out of them.
func floats(s *source) []string {
	if s.test || floatsAllowed[s.path] != "" || !slices.ContainsFunc(noFloats, func(p string) bool { return covers(p, s.pkg) }) {
		return nil
	}
	var found []string
	ast.Inspect(s.file, func(n ast.Node) bool {
		if name, ok := n.(*ast.Ident); ok {
			switch name.Name {
			case "float32", "float64", "Float64", "InexactFloat64", "NewFromFloat", "NewFromFloat32", "ParseFloat":
				found = append(found, s.at(name.Pos())+": "+name.Name+" near money")
			}
		}
		return true
	})
	return found
}

// errorTexts finds errors that begin with what every error says: a gerund and the identifying value say more.
func errorTexts(s *source) []string {
	var found []string
	ast.Inspect(s.file, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || len(call.Args) == 0 {
			return true
		}
		if made := selected(call.Fun); made != "errors.New" && made != "fmt.Errorf" {
			return true
		}
		text, ok := call.Args[0].(*ast.BasicLit)
		if !ok || text.Kind != token.STRING {
			return true
		}
		for _, empty := range []string{"failed to", "unable to", "could not", "error "} {
			if said, err := strconv.Unquote(text.Value); err == nil && strings.HasPrefix(strings.ToLower(said), empty) {
				found = append(found, s.at(text.Pos())+": error text begins with "+strconv.Quote(strings.TrimSpace(empty)))
			}
		}
		return true
	})
	return found
}

// selected returns "fmt.Errorf" for such an expression.
func selected(e ast.Expr) string {
	if sel, ok := e.(*ast.SelectorExpr); ok {
		if x, ok := sel.X.(*ast.Ident); ok {
			return x.Name + "." + sel.Sel.Name
		}
	}
	return ""
}

// uses returns where a package's function is named.
func uses(s *source, what, say string) []string {
	var found []string
	ast.Inspect(s.file, func(n ast.Node) bool {
		if e, ok := n.(*ast.SelectorExpr); ok && selected(e) == what {
			found = append(found, s.at(e.Pos())+": "+what+" "+say)
		}
		return true
	})
	return found
}

func contexts(s *source) []string {
	if s.test || slices.ContainsFunc(contextsBegin, func(p string) bool { return p == s.path || covers(p, s.pkg) }) {
		return nil
	}
	const say = "outside main: take the caller's context"
	return append(uses(s, "context.Background", say), uses(s, "context.TODO", say)...)
}

func sleeps(s *source) []string {
	if !s.test {
		return nil
	}
	return uses(s, "time.Sleep", "in a test: wait for the condition itself")
}

var shouted = regexp.MustCompile(`\b(SELECT|INSERT INTO|UPDATE|DELETE FROM|CREATE TABLE)\b`)

func upperSQL(s *source) []string {
	if s.test || !covers("ledger/store/...", s.pkg) && !covers("reconcile/...", s.pkg) {
		return nil
	}
	var found []string
	ast.Inspect(s.file, func(n ast.Node) bool {
		if text, ok := n.(*ast.BasicLit); ok && text.Kind == token.STRING && shouted.MatchString(text.Value) {
			found = append(found, s.at(text.Pos())+": SQL is written in lower case")
		}
		return true
	})
	return found
}

// retriesElsewhere finds a second file that runs transactions through cockroach-go: on PostgreSQL its
// ExecuteTx can report success for a transaction that was rolled back, so one helper decides where it is used.
func retriesElsewhere(sources []*source) []string {
	var found []string
	helper := ""
	for _, s := range sources {
		for _, spec := range s.file.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil || s.test || !strings.HasPrefix(imported, "github.com/cockroachdb/cockroach-go/") {
				continue
			}
			if helper == "" {
				helper = s.path
			} else if helper != s.path {
				found = append(found, s.at(spec.Pos())+": cockroach-go is used by "+helper+" already: call that")
			}
		}
	}
	return found
}
