// Package scripts holds the tests that read the project's own source: which package may import which
// (layers_test.go) and the house style (style_test.go). Both print file:line: what.
package scripts

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"sort"
	"strings"
	"testing"
	"testing/fstest"
)

// source is one parsed Go file of the project.
type source struct {
	path  string // relative to the project's root, with slashes
	pkg   string // folder
	test  bool
	lines int
	set   *token.FileSet
	file  *ast.File
}

// at names a place in the file.
func (s *source) at(pos token.Pos) string {
	return fmt.Sprintf("%s:%d", s.path, s.set.Position(pos).Line)
}

// read parses every Go file of the project in the order of paths.
func read(t *testing.T, root fs.FS) []*source {
	t.Helper()
	var all []*source
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if base := d.Name(); base == "testdata" || name == "bin" || name == "data" || name != "." && base[0] == '.' {
				return fs.SkipDir
			}
			return nil
		}
		if path.Ext(name) != ".go" {
			return nil
		}
		text, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		s := &source{path: name, pkg: path.Dir(name), test: strings.HasSuffix(name, "_test.go"), set: token.NewFileSet()}
		s.lines = bytes.Count(text, []byte("\n"))
		s.file, err = parser.ParseFile(s.set, name, text, parser.ParseComments)
		all = append(all, s)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// snippet is a project of a few lines, and what a check must say about it; nothing, if it is fine.
type snippet struct {
	name  string
	files fstest.MapFS
	want  []string
}

func one(file, text string) fstest.MapFS { return fstest.MapFS{file: {Data: []byte(text)}} }

// try runs a check over snippets: a check that cannot fail checks nothing.
func try(t *testing.T, check func([]*source) []string, snippets []snippet) {
	t.Helper()
	for _, s := range snippets {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			got := check(read(t, s.files))
			sort.Strings(got)
			if strings.Join(got, "\n") != strings.Join(s.want, "\n") {
				t.Errorf("got:\n  %s\nwant:\n  %s", strings.Join(got, "\n  "), strings.Join(s.want, "\n  "))
			}
		})
	}
}
