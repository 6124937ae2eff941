package api

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"tallystick/ledger"
)

// declaredCodes returns the values of all constants of type Code in the Go
// files of folders.
func declaredCodes(t *testing.T, folders ...string) []ledger.Code {
	t.Helper()
	var codes []ledger.Code
	for _, folder := range folders {
		files, err := filepath.Glob(filepath.Join(folder, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("listing %s: %v, %v", folder, files, err)
		}
		found := 0
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			tree, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(tree, func(n ast.Node) bool {
				if code, ok := codeOf(n); ok {
					codes = append(codes, code)
					found++
				}
				return true
			})
		}
		if found == 0 {
			t.Fatalf("%s declares no codes", folder)
		}
	}
	return codes
}

func codeOf(n ast.Node) (ledger.Code, bool) {
	spec, ok := n.(*ast.ValueSpec)
	if !ok || len(spec.Values) != 1 {
		return "", false
	}
	name := ""
	switch t := spec.Type.(type) {
	case *ast.Ident:
		name = t.Name
	case *ast.SelectorExpr:
		name = t.Sel.Name
	}
	text, ok := spec.Values[0].(*ast.BasicLit)
	if name != "Code" || !ok {
		return "", false
	}
	value, err := strconv.Unquote(text.Value)
	return ledger.Code(value), err == nil
}

// TestOnlyProblemKnowsRefusalStatuses holds that one file alone knows both a
// code and an HTTP status: no other file names a status of a refusal.
func TestOnlyProblemKnowsRefusalStatuses(t *testing.T) {
	t.Parallel()
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() && path != "." {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || path == "problem.go" || path == "log.go" {
			return nil
		}
		files := token.NewFileSet()
		tree, err := parser.ParseFile(files, path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(tree, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.SelectorExpr:
				if of, ok := n.X.(*ast.Ident); ok && of.Name == "http" && strings.HasPrefix(n.Sel.Name, "Status") && n.Sel.Name != "StatusText" {
					t.Errorf("%s: %s", files.Position(n.Pos()), n.Sel.Name)
				}
			case *ast.BasicLit:
				if status, err := strconv.Atoi(n.Value); err == nil && n.Kind == token.INT && status >= 400 && status < 600 {
					t.Errorf("%s: %d", files.Position(n.Pos()), status)
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func mustAtoi(t testing.TB, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
