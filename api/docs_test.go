package api

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"
	"golang.org/x/net/html"

	"tallystick/ledger"
)

// readDocs asks a server for the page, without a key.
func readDocs(t *testing.T) (http.Header, string) {
	t.Helper()
	server := New(Config{Poster: &posterStub{}, Log: slog.New(&events{})})
	answer := httptest.NewRecorder()
	server.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), "GET", "/docs", nil))
	if answer.Code != http.StatusOK {
		t.Fatalf("answered %d %s", answer.Code, answer.Body)
	}
	if err := openDocument(t).check("GET", "/docs", answer.Code, answer.Header(), answer.Body.Bytes()); err != nil {
		t.Error(err)
	}
	return answer.Header(), answer.Body.String()
}

// elements returns every start tag of a page, whose tags must be balanced.
func elements(t *testing.T, page string) []html.Token {
	t.Helper()
	void := []string{"meta", "br", "hr", "img", "input", "link"}
	var all []html.Token
	var open []string
	z := html.NewTokenizer(strings.NewReader(page))
	for {
		switch z.Next() {
		case html.ErrorToken:
			if z.Err() != io.EOF || len(open) > 0 {
				t.Errorf("the page ends with %v open: %v", open, z.Err())
			}
			return all
		case html.StartTagToken:
			token := z.Token()
			all = append(all, token)
			if !slices.Contains(void, token.Data) {
				open = append(open, token.Data)
			}
		case html.EndTagToken:
			token := z.Token()
			if len(open) == 0 || open[len(open)-1] != token.Data {
				t.Fatalf("</%s> closes nothing; open is %v", token.Data, open)
			}
			open = open[:len(open)-1]
		}
	}
}

// words returns the text of a node without white space of its own.
func words(n *html.Node) string {
	var out strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			out.WriteString(d.Data + " ")
		}
	}
	return strings.Join(strings.Fields(out.String()), " ")
}

// parts returns the elements of the page that have an id.
func parts(t *testing.T, page string) map[string]*html.Node {
	t.Helper()
	root, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	byID := map[string]*html.Node{}
	for n := range root.Descendants() {
		for _, a := range n.Attr {
			if a.Key == "id" {
				if byID[a.Val] != nil {
					t.Errorf("two elements have the id %s", a.Val)
				}
				byID[a.Val] = n
			}
		}
	}
	return byID
}

func TestTheDocsShowEveryOperation(t *testing.T) {
	t.Parallel()
	_, page := readDocs(t)
	byID := parts(t, page)
	d := openDocument(t)
	for path, item := range d.root["paths"].(map[string]any) {
		for method, o := range item.(map[string]any) {
			if method == "parameters" {
				continue
			}
			operation := o.(map[string]any)
			id := operation["operationId"].(string)
			at := byID[id]
			if at == nil {
				t.Errorf("%s is not on the page", id)
				continue
			}
			shown := words(at)
			want := []string{strings.ToUpper(method) + " " + path, operation["summary"].(string)}
			for status := range operation["responses"].(map[string]any) {
				want = append(want, " "+status+" ")
			}
			if security, ok := operation["security"].([]any); ok {
				if scopes := scopesAt(security); scopes == "none" {
					want = append(want, "needs no key")
				} else {
					want = append(want, "Needs a key with the scope "+scopes)
				}
			}
			for _, from := range []any{item, o} {
				parameters, _ := from.(map[string]any)["parameters"].([]any)
				for _, p := range parameters {
					p := p.(map[string]any)
					if ref, ok := p["$ref"].(string); ok {
						_, p, _ = resolve(d.root, strings.Split(strings.TrimPrefix(ref, "#/"), "/"))
					}
					want = append(want, p["name"].(string)+" "+p["in"].(string))
				}
			}
			if _, ok := operation["requestBody"]; ok {
				want = append(want, "application/json: ", "-H 'Content-Type: application/json' \\ ", " -d '")
			}
			for _, w := range want {
				if !strings.Contains(shown, w) {
					t.Errorf("%s does not show %q: %s", id, w, shown)
				}
			}
			if strings.Count(page, `href="#`+id+`"`) < 2 {
				t.Errorf("%s is not in the contents", id)
			}
		}
	}
	for name := range d.root["components"].(map[string]any)["schemas"].(map[string]any) {
		if name != "Code" && byID["schema-"+name] == nil {
			t.Errorf("schema %s is not on the page", name)
		}
	}
	if shown := words(byID["postTransfer"]); !strings.Contains(shown, "Either postings , or debit, credit, amount .") {
		t.Errorf("the two forms of a transfer are not explained: %s", shown)
	}
}

func TestEveryTagIsExplained(t *testing.T) {
	t.Parallel()
	for _, g := range contentOf(documentTree(t)).Groups {
		if g.About == "" || len(g.Operations) == 0 {
			t.Errorf("tag %s of openapi.yaml has no description, or no operation", g.Name)
		}
	}
}

func TestTheDocsExplainEveryCode(t *testing.T) {
	t.Parallel()
	_, page := readDocs(t)
	byID := parts(t, page)
	_, code, err := openDocument(t).at("components", "schemas", "Code")
	if err != nil {
		t.Fatal(err)
	}
	meanings := code["x-meanings"].(map[string]any)
	for _, c := range code["enum"].([]any) {
		at := byID["code-"+c.(string)]
		meaning, _ := meanings[c.(string)].(string)
		if at == nil || meaning == "" || !strings.Contains(words(at), c.(string)+" "+meaning) {
			t.Errorf("code %s has no meaning under x-meanings of openapi.yaml, or is not on the page", c)
		}
		if byID[fmt.Sprintf("status-%d", statusOf[ledger.Code(c.(string))])] == nil {
			t.Errorf("the status of code %s is not on the page", c)
		}
	}
	declared := declaredCodes(t, "../ledger", ".")
	for c := range meanings {
		if !slices.Contains(declared, ledger.Code(c)) {
			t.Errorf("x-meanings explains %s, which is no code", c)
		}
	}
}

// TestTheDocsNeedNothingElse: no script, no other host, no style that the
// policy does not name.
func TestTheDocsNeedNothingElse(t *testing.T) {
	t.Parallel()
	header, page := readDocs(t)
	for _, foreign := range []string{"http://", "https://", "//www.", "@import", "url(", "javascript:"} {
		if strings.Contains(strings.ToLower(page), foreign) {
			t.Errorf("the page has %s", foreign)
		}
	}
	byID := parts(t, page)
	for _, e := range elements(t, page) {
		if slices.Contains([]string{"script", "link", "img", "iframe", "object", "embed", "form", "base", "audio", "video"}, e.Data) {
			t.Errorf("the page has %s", e)
		}
		for _, a := range e.Attr {
			if a.Key == "style" || a.Key == "src" || strings.HasPrefix(a.Key, "on") {
				t.Errorf("the page has %s", e)
			}
			if target, within := strings.CutPrefix(a.Val, "#"); a.Key == "href" && within && byID[target] == nil {
				t.Errorf("%s goes nowhere", e)
			} else if a.Key == "href" && !within && a.Val != "/openapi.yaml" {
				t.Errorf("%s leaves the page", e)
			}
		}
	}
	_, style, _ := strings.Cut(page, "<style>")
	style, _, _ = strings.Cut(style, "</style>")
	sum := sha256.Sum256([]byte(style))
	policy := header.Get("Content-Security-Policy")
	if !strings.HasPrefix(policy, "default-src 'none'; style-src 'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"';") || len(style) < 1000 {
		t.Errorf("policy %s", policy)
	}
}

// TestExamplesFitTheirSchemas holds those of the document, and those made of
// its schemas, against the schemas.
func TestExamplesFitTheirSchemas(t *testing.T) {
	t.Parallel()
	d := openDocument(t)
	root := documentTree(t)
	checked := 0
	fits := func(example branch, keys ...string) {
		t.Helper()
		where, _, err := d.at(keys...)
		if err != nil {
			t.Error(err)
			return
		}
		schema, err := d.schema(where)
		if err != nil {
			t.Error(err)
			return
		}
		value, err := jsonschema.UnmarshalJSON(strings.NewReader(example.json()))
		if err == nil {
			err = schema.Validate(value)
		}
		if err != nil {
			t.Errorf("the example %s of %v: %v", example.json(), keys, err)
		}
		checked++
	}
	for path, item := range root.at("paths").members() {
		for method, operation := range item.members() {
			at := []string{"paths", path, method, "requestBody", "content", "application/json"}
			content := operation.at(at[3:]...)
			for _, given := range content.at("examples").members() {
				fits(given.at("value"), append(at, "schema")...)
			}
			if content.there() && !content.at("examples").there() {
				fits(sample(content.at("schema"), 0), append(at, "schema")...)
			}
			for status, answer := range operation.at("responses").members() {
				content := answer.at("content", "application/json")
				at := []string{"paths", path, method, "responses", status, "content", "application/json", "schema"}
				for _, given := range content.at("examples").members() {
					fits(given.at("value"), at...)
				}
				if schema := content.at("schema"); schema.there() {
					fits(sample(schema, 0), at...)
				}
			}
		}
	}
	for name, schema := range root.at("components", "schemas").members() {
		if name != "NewTransfer" { // its members depend on each other: above
			fits(sample(schema, 0), "components", "schemas", name)
		}
	}
	if checked < 40 {
		t.Errorf("only %d examples were found", checked)
	}
}

func TestProseIsEscaped(t *testing.T) {
	t.Parallel()
	const want = "<p>a &lt;b&gt; <strong>c</strong> &amp; <code>&lt;d&gt;</code></p>\n<p>next</p>\n"
	if got := prose("a <b> **c** & `<d>`\n  \nnext\n"); string(got) != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestADocumentThatCannotBeRead(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "a: [", "a: b: c"} {
		if page, err := newDocsPage([]byte(text)); err == nil {
			t.Errorf("%q became %s", text, page.html)
		}
	}
}

func TestLongSamplesAreBroken(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", docsWidth)
	b := treeOf(t, `{a: 1, b: [true, null, "1", 2026-01-01], c: {d: `+long+`, e: []}}`)
	want := "{\n  \"a\": 1,\n  \"b\": [true, null, \"1\", \"2026-01-01\"],\n  \"c\": {\n    \"d\": \"" + long + "\",\n    \"e\": []\n  }\n}"
	if got := b.json(); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	if got := (branch{}).json(); got != "null" {
		t.Errorf("nothing is %s", got)
	}
}

// TestCircularReferencesEnd: the document has none, and one that had would be
// no reason to hang.
func TestCircularReferencesEnd(t *testing.T) {
	t.Parallel()
	document := `{info: {title: T}, tags: [{name: x}], paths: {/p: {get: {operationId: o, tags: [x], responses: {"200": {description: d,
		content: {application/json: {schema: {$ref: "#/components/schemas/A"}}}}}}}},
		components: {schemas: {A: {type: object, required: [a], properties: {a: {$ref: "#/components/schemas/A"}}}, B: {$ref: "#/components/schemas/B"}}}}`
	page, err := newDocsPage([]byte(document))
	if err != nil || !bytes.Contains(page.html, []byte(`id="schema-B"`)) {
		t.Errorf("%v", err)
	}
}

func treeOf(t *testing.T, text string) branch {
	t.Helper()
	var root yaml.Node
	if err := yaml.Unmarshal([]byte(text), &root); err != nil {
		t.Fatal(err)
	}
	return branch{root.Content[0], root.Content[0]}
}

func documentTree(t *testing.T) branch { t.Helper(); return treeOf(t, string(openAPI)) }

// TestCallsAreOnesThatWork holds the commands against what the routes need.
func TestCallsAreOnesThatWork(t *testing.T) {
	t.Parallel()
	calls := map[string]string{}
	for _, g := range contentOf(documentTree(t)).Groups {
		for _, o := range g.Operations {
			calls[o.ID] = o.Call
			if strings.Contains(o.Call, "{ledger}") || strings.Contains(o.Call, `""`) {
				t.Errorf("%s: a parameter has no example: %s", o.ID, o.Call)
			}
		}
	}
	for id, want := range map[string]string{
		"readHealth":  `curl "$tallystick/healthz"`,
		"readAccount": "curl -H \"Authorization: Bearer $key\" \\\n  \"$tallystick/v1/ledgers/main/accounts/customers:42\"",
		"postTransfer": "curl -H \"Authorization: Bearer $key\" \\\n  -H 'Idempotency-Key: payment-2' \\\n  -H 'Content-Type: application/json' \\\n" +
			"  \"$tallystick/v1/ledgers/main/transfers\" \\\n  -d '{",
		"changeAccount": "curl -X PATCH \\\n  -H \"Authorization: Bearer $key\" \\\n  -H 'Content-Type: application/json' \\\n" +
			"  \"$tallystick/v1/ledgers/main/accounts/customers:42\" \\\n  -d '{",
	} {
		if got := calls[id]; !strings.HasPrefix(got, want) {
			t.Errorf("%s\nwant\n%s", got, want)
		}
	}
}
