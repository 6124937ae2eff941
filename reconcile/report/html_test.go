package report

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// elements parses a page and returns its elements.
func elements(t testing.TB, page []byte) []*html.Node {
	t.Helper()
	root, err := html.Parse(bytes.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	var all []*html.Node
	for n := range root.Descendants() {
		if n.Type == html.ElementNode {
			all = append(all, n)
		}
	}
	return all
}

func attribute(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

func TestPagesRunAndLoadNothing(t *testing.T) {
	t.Parallel()
	page := rendered(t, rich(t), HTML, Options{Href: func(l Link) string {
		if l.Account == "suspense" {
			return "javascript:alert(1)"
		}
		return href(l)
	}})
	links := 0
	for _, n := range elements(t, page) {
		if slices.Contains([]string{"script", "img", "iframe", "object", "embed", "link", "base", "form", "input", "image", "use", "foreignobject"}, n.Data) {
			t.Errorf("the page has an element %s", n.Data)
		}
		for _, a := range n.Attr {
			switch {
			case a.Key == "style", strings.HasPrefix(a.Key, "on"), a.Key == "src", a.Key == "srcset":
				t.Errorf("element %s has the attribute %s", n.Data, a.Key)
			case a.Key == "href":
				links++
				if !strings.HasPrefix(a.Val, "/accounts/") && !strings.HasPrefix(a.Val, "/transfers/") && a.Val != "#ZgotmplZ" {
					t.Errorf("a link leads to %s", a.Val)
				}
			}
		}
	}
	if links == 0 {
		t.Error("there are no links")
	}
	if bytes.Contains(page, []byte("javascript:")) || bytes.Contains(sheetOf(page), []byte("url(")) || bytes.Contains(page, []byte("@import")) {
		t.Error("the page has an address that does more than lead somewhere")
	}
	if bytes.Contains(rendered(t, rich(t), HTML, Options{}), []byte("<a ")) {
		t.Error("there are links, and nobody gave addresses")
	}
}

// sheetOf is the style sheet of a page.
func sheetOf(page []byte) []byte {
	_, after, _ := bytes.Cut(page, []byte("<style>"))
	sheet, _, _ := bytes.Cut(after, []byte("</style>"))
	return sheet
}

func TestThePagesOwnPolicyLetsItsStyleThrough(t *testing.T) {
	t.Parallel()
	page := rendered(t, small(t), HTML, Options{})
	sum := sha256.Sum256(sheetOf(page))
	if !strings.Contains(PagePolicy, "'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'") {
		t.Errorf("the policy %s does not name the page's style sheet", PagePolicy)
	}
	metas := slices.Collect(func(yield func(string) bool) {
		for _, n := range elements(t, page) {
			if n.Data == "meta" && attribute(n, "http-equiv") == "Content-Security-Policy" && !yield(attribute(n, "content")) {
				return
			}
		}
	})
	if !slices.Equal(metas, []string{PagePolicy}) {
		t.Errorf("the page asks for %q, want %q", metas, PagePolicy)
	}
}

func TestPagesAreForThoseWhoListen(t *testing.T) {
	t.Parallel()
	ids, charts, tables := map[string]bool{}, 0, 0
	all := elements(t, rendered(t, rich(t), HTML, Options{}))
	for _, n := range all {
		if id := attribute(n, "id"); id != "" {
			if ids[id] {
				t.Errorf("two elements have the id %s", id)
			}
			ids[id] = true
		}
	}
	for _, n := range all {
		switch n.Data {
		case "svg":
			charts++
			for _, id := range strings.Fields(attribute(n, "aria-labelledby")) {
				if !ids[id] {
					t.Errorf("a chart is named by %s, which is not there", id)
				}
			}
			if attribute(n, "role") != "img" || attribute(n, "aria-labelledby") == "" {
				t.Error("a chart has no role or no name")
			}
		case "table":
			tables++
			if n.FirstChild.NextSibling == nil {
				t.Error("a table is empty")
			}
		case "th":
			if scope := attribute(n, "scope"); scope == "" {
				t.Error("a heading does not say what it heads")
			}
		case "html":
			if attribute(n, "lang") != "en" {
				t.Error("the page has no language")
			}
		}
	}
	if charts != 6 || tables != 9 {
		t.Errorf("%d charts and %d tables, want 6, and 3 with those of the charts", charts, tables)
	}
}

func TestFiguresSayEverythingOnThePage(t *testing.T) {
	t.Parallel()
	page := string(rendered(t, rich(t), HTML, Options{Href: href}))
	_, figure, _ := strings.Cut(page, `id="safeguarding.excess.EUR"`)
	figure, _, _ = strings.Cut(figure, "</article>")
	for _, want := range []string{"Safeguarding excess, EUR", "120,034.56", ">EUR<", ">GREEN<", "beyond the sum of all positive", "CASS 15.8", "cass15.gross", "below 50,000.00 EUR", "below 0.00 EUR", "118,200.00 EUR", `href="/accounts/bank:safeguarding"`, "report safeguarding"} {
		if !strings.Contains(figure, want) {
			t.Errorf("a figure does not say %s:\n%s", want, figure)
		}
	}
}
