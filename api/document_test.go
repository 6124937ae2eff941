package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"tallystick/api/console"
	"tallystick/ledger"
	"tallystick/ledger/chain"
	"tallystick/ledger/money"
)

// document is openapi.yaml, with the compiled schema of every answer.
type document struct {
	root     map[string]any
	compiler *jsonschema.Compiler
	mu       sync.Mutex // of compiler and schemas
	schemas  map[string]*jsonschema.Schema
}

const documentURL = "https://tallystick.test/openapi.json"

// theDocument is read once.
var theDocument = sync.OnceValues(func() (*document, error) {
	var tree any
	if err := yaml.Unmarshal(openAPI, &tree); err != nil {
		return nil, err
	}
	text, err := json.Marshal(tree)
	if err != nil {
		return nil, err
	}
	root, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.AssertFormat()
	if err := c.AddResource(documentURL, root); err != nil {
		return nil, err
	}
	return &document{root: root.(map[string]any), compiler: c, schemas: map[string]*jsonschema.Schema{}}, nil
})

func openDocument(t testing.TB) *document {
	t.Helper()
	d, err := theDocument()
	if err != nil {
		t.Fatalf("reading openapi.yaml: %v", err)
	}
	return d
}

// at follows a pointer of keys, and references on its way. It returns the
// pointer with references resolved, and what stands there.
func (d *document) at(keys ...string) ([]string, map[string]any, error) {
	var path []string
	here := d.root
	for _, key := range keys {
		next, ok := here[key].(map[string]any)
		if !ok {
			return nil, nil, fmt.Errorf("openapi.yaml has no %s", strings.Join(keys, " › "))
		}
		path, here = append(path, key), next
		if ref, ok := here["$ref"].(string); ok {
			path = strings.Split(strings.TrimPrefix(ref, "#/"), "/")
			if _, here, ok = resolve(d.root, path); !ok {
				return nil, nil, fmt.Errorf("openapi.yaml has no %s", ref)
			}
		}
	}
	return path, here, nil
}

func resolve(root map[string]any, path []string) ([]string, map[string]any, bool) {
	here := root
	for _, key := range path {
		next, ok := here[key].(map[string]any)
		if !ok {
			return nil, nil, false
		}
		here = next
	}
	return path, here, true
}

// schema compiles the schema at a resolved pointer.
func (d *document) schema(path []string) (*jsonschema.Schema, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	escaped := make([]string, len(path))
	for i, key := range path {
		escaped[i] = url.PathEscape(strings.NewReplacer("~", "~0", "/", "~1").Replace(key))
	}
	where := documentURL + "#/" + strings.Join(escaped, "/")
	if s, ok := d.schemas[where]; ok {
		return s, nil
	}
	s, err := d.compiler.Compile(where)
	if err == nil {
		d.schemas[where] = s
	}
	return s, err
}

// operation returns the path of openapi.yaml that a request goes to, "" when
// there is none: of several that match, the one with fewest parameters, and then
// the longest.
func (d *document) operation(method, path string) string {
	best := ""
	for template, item := range d.root["paths"].(map[string]any) {
		if _, ok := item.(map[string]any)[strings.ToLower(method)]; ok && matches(template, path) {
			fewer := strings.Count(best, "{") - strings.Count(template, "{")
			if best == "" || fewer > 0 || fewer == 0 && len(template) > len(best) {
				best = template
			}
		}
	}
	return best
}

// rest are the parameters that take the rest of a path, slashes included.
var rest = []string{"{tile}", "{bundle}"}

func matches(template, path string) bool {
	want, got := strings.Split(template, "/"), strings.Split(path, "/")
	if last := len(want) - 1; slices.Contains(rest, want[last]) && len(got) > last {
		got = append(got[:last:last], strings.Join(got[last:], "/"))
	}
	if len(want) != len(got) {
		return false
	}
	for i := range want {
		if want[i] != got[i] && (!strings.HasPrefix(want[i], "{") || got[i] == "") {
			return false
		}
	}
	return true
}

// undescribed maps the statuses of answers to requests that no operation
// describes.
var undescribed = map[int]string{
	http.StatusUnauthorized:        "Unauthorized",
	http.StatusForbidden:           "Forbidden",
	http.StatusNotFound:            "NotFound",
	http.StatusMethodNotAllowed:    "MethodNotAllowed",
	http.StatusInternalServerError: "InternalError",
}

// told are the headers that say something about an answer; one that is there
// must be described.
var told = []string{"Content-Disposition", "Location", "Idempotent-Replayed", "Retry-After", "Www-Authenticate", "Allow"}

// check holds an answer against openapi.yaml: status, headers, content type
// and every byte of the body.
func (d *document) check(method, path string, status int, header http.Header, body []byte) error {
	keys := []string{"components", "responses", undescribed[status]}
	if template := d.operation(method, path); template != "" {
		keys = []string{"paths", template, strings.ToLower(method), "responses", fmt.Sprint(status)}
	}
	where, response, err := d.at(keys...)
	if err != nil {
		return err
	}
	if err := d.checkHeaders(where, response, header); err != nil {
		return err
	}
	mediaType, _, err := mime.ParseMediaType(header.Get("Content-Type"))
	if err != nil {
		return fmt.Errorf("content type %q: %w", header.Get("Content-Type"), err)
	}
	where, _, err = d.at(append(where, "content", mediaType, "schema")...)
	if err != nil {
		return err
	}
	var value any = string(body)
	if strings.HasSuffix(mediaType, "json") {
		if value, err = jsonschema.UnmarshalJSON(bytes.NewReader(body)); err != nil {
			return fmt.Errorf("body %s: %w", body, err)
		}
		if want := fmt.Sprint(status); mediaType == "application/problem+json" && fmt.Sprint(value.(map[string]any)["status"]) != want {
			return fmt.Errorf("the problem says status %v in an answer of status %s", value.(map[string]any)["status"], want)
		}
	}
	schema, err := d.schema(where)
	if err != nil {
		return err
	}
	return schema.Validate(value)
}

func (d *document) checkHeaders(where []string, response map[string]any, header http.Header) error {
	described, _ := response["headers"].(map[string]any)
	for _, name := range told {
		has := slices.ContainsFunc(slices.Collect(maps.Keys(described)), func(k string) bool {
			return http.CanonicalHeaderKey(k) == name
		})
		if header.Get(name) != "" && !has {
			return fmt.Errorf("header %s: %q is not described", name, header.Get(name))
		}
	}
	for name := range described {
		at, h, err := d.at(slices.Concat(where, []string{"headers", name})...)
		if err != nil {
			return err
		}
		value := header.Get(name)
		if value == "" {
			if h["required"] == true {
				return fmt.Errorf("header %s is missing", name)
			}
			continue
		}
		schema, err := d.schema(append(at, "schema"))
		if err != nil {
			return err
		}
		if err := schema.Validate(value); err != nil {
			return fmt.Errorf("header %s: %w", name, err)
		}
	}
	return nil
}

// scopesAt returns what the security of an operation asks for, as store.Scopes
// prints it.
func scopesAt(security []any) string {
	words := []string{}
	for _, choice := range security {
		scopes, _ := choice.(map[string]any)["apiKey"].([]any)
		for _, scope := range scopes {
			words = append(words, scope.(string))
		}
	}
	if len(words) == 0 {
		return "none"
	}
	return strings.Join(words, " ")
}

func TestRoutesAndDocumentAreEqual(t *testing.T) {
	t.Parallel()
	d := openDocument(t)
	var described, registered []string
	for path, item := range d.root["paths"].(map[string]any) {
		for method, operation := range item.(map[string]any) {
			if method == "parameters" {
				continue
			}
			security := "key"
			if own, ok := operation.(map[string]any)["security"].([]any); ok {
				security = scopesAt(own)
			}
			described = append(described, strings.ToUpper(method)+" "+path+" "+security)
		}
	}
	for _, r := range routes {
		registered = append(registered, r.method+" "+r.path+" "+r.needs.String())
	}
	slices.Sort(described)
	slices.Sort(registered)
	if !slices.Equal(described, registered) {
		t.Errorf("openapi.yaml describes\n%s\nroutes.go has\n%s", strings.Join(described, "\n"), strings.Join(registered, "\n"))
	}
	handler := New(Config{Poster: &posterStub{}})
	var echoed []string
	for _, r := range handler.Routes() {
		if !strings.HasPrefix(r.Path, console.Path) { // which routes by itself
			echoed = append(echoed, r.Method+" "+r.Path)
		}
	}
	if len(echoed) != len(routes) {
		t.Errorf("Echo serves %d routes, routes.go has %d: %v", len(echoed), len(routes), echoed)
	}
}

func TestEveryPathParameterIsDescribed(t *testing.T) {
	t.Parallel()
	d := openDocument(t)
	for path, item := range d.root["paths"].(map[string]any) {
		described := map[string]bool{}
		parameters, _ := item.(map[string]any)["parameters"].([]any)
		for _, p := range parameters {
			p := p.(map[string]any)
			if ref, ok := p["$ref"].(string); ok {
				_, p, _ = resolve(d.root, strings.Split(strings.TrimPrefix(ref, "#/"), "/"))
			}
			if p["in"] == "path" {
				described["{"+p["name"].(string)+"}"] = true
			}
		}
		for segment := range strings.SplitSeq(path, "/") {
			if strings.HasPrefix(segment, "{") && !described[segment] {
				t.Errorf("%s: the parameter %s is not described", path, segment)
			}
			delete(described, segment)
		}
		if len(described) > 0 {
			t.Errorf("%s: described but not in the path: %v", path, described)
		}
	}
}

func TestEveryCodeHasAStatusAndIsDocumented(t *testing.T) {
	t.Parallel()
	_, code, err := openDocument(t).at("components", "schemas", "Code")
	if err != nil {
		t.Fatal(err)
	}
	documented := map[ledger.Code]bool{}
	for _, c := range code["enum"].([]any) {
		documented[ledger.Code(c.(string))] = true
	}
	for c := range statusOf {
		if !documented[c] {
			t.Errorf("code %s is not in openapi.yaml", c)
		}
		delete(documented, c)
	}
	for c := range documented {
		t.Errorf("code %s of openapi.yaml is in no table", c)
	}
	for _, c := range declaredCodes(t, "../ledger", ".") {
		if _, ok := statusOf[c]; !ok {
			t.Errorf("code %s has no status", c)
		}
	}
	for c := range retryAfter {
		if s := statusOf[c]; s != http.StatusServiceUnavailable && s != http.StatusConflict {
			t.Errorf("code %s asks to try again with status %d", c, statusOf[c])
		}
	}
}

// TestSchemasAreClosed makes sure that validating an answer means something: an
// object schema lists its members or says why not.
func TestSchemasAreClosed(t *testing.T) {
	t.Parallel()
	free := map[string]bool{"Metadata": true, "Tags": true}
	var walk func(where string, v any)
	walk = func(where string, v any) {
		switch v := v.(type) {
		case map[string]any:
			name := where[strings.LastIndexByte(where, '/')+1:]
			if v["type"] == "object" && v["additionalProperties"] != false && !free[name] {
				t.Errorf("%s lets anything in", where)
			}
			for key, inner := range v {
				walk(where+"/"+key, inner)
			}
		case []any:
			for i, inner := range v {
				walk(fmt.Sprintf("%s/%d", where, i), inner)
			}
		}
	}
	walk("#", openDocument(t).root)
}

// TestBoundsInTheDocumentAreThoseOfTheCode compares every bound that both know.
func TestBoundsInTheDocumentAreThoseOfTheCode(t *testing.T) {
	t.Parallel()
	d := openDocument(t)
	for _, c := range []struct {
		path []string
		key  string
		want int
	}{
		{[]string{"schemas", "Description"}, "maxLength", ledger.MaxDescription},
		{[]string{"schemas", "Reference"}, "maxLength", ledger.MaxReference},
		{[]string{"schemas", "Name"}, "maxLength", ledger.MaxAccountName},
		{[]string{"schemas", "Metadata"}, "maxProperties", maxMetadataMembers},
		{[]string{"schemas", "Tags"}, "maxProperties", ledger.MaxTags},
		{[]string{"schemas", "Tags", "propertyNames"}, "maxLength", ledger.MaxTagKey},
		{[]string{"schemas", "Tags", "additionalProperties"}, "maxLength", ledger.MaxTagValue},
		{[]string{"schemas", "AccountCode"}, "maxLength", chain.MaxAccountCode},
		{[]string{"schemas", "CurrencyCode"}, "maxLength", money.MaxCurrencyCode},
		{[]string{"schemas", "Amount"}, "maxLength", money.MaxAmountText},
		{[]string{"schemas", "NewLedger", "properties", "name"}, "maxLength", ledger.MaxLedgerName},
		{[]string{"schemas", "NewLedger", "properties", "value_days_back"}, "maximum", ledger.MaxValueDays},
		{[]string{"schemas", "NewLedger", "properties", "value_days_ahead"}, "maximum", ledger.MaxValueDays},
		{[]string{"schemas", "NewLedger", "properties", "value_days_back"}, "default", ledger.DefaultValueDaysBack},
		{[]string{"schemas", "NewLedger", "properties", "value_days_ahead"}, "default", ledger.DefaultValueDaysAhead},
		{[]string{"schemas", "Entry", "properties", "postings"}, "maxItems", ledger.MaxPostings},
		{[]string{"schemas", "EntryList", "properties", "data"}, "maxItems", MaxLimit},
		{[]string{"schemas", "Rate"}, "maxLength", ledger.MaxRate},
		{[]string{"schemas", "NewCurrency", "properties", "name"}, "maxLength", ledger.MaxCurrencyName},
		{[]string{"schemas", "NewCurrency", "properties", "scale"}, "maximum", money.MaxScale},
		{[]string{"schemas", "NewClosing", "properties", "retain"}, "maxItems", ledger.MaxRetainAccounts},
		{[]string{"schemas", "NewTransferBatch", "properties", "transfers"}, "maxItems", MaxTransferBatch},
		{[]string{"schemas", "TransferResults", "properties", "results"}, "maxItems", MaxTransferBatch},
		{[]string{"schemas", "Statement", "properties", "lines"}, "maxItems", MaxLimit},
		{[]string{"schemas", "Balances", "properties", "data"}, "maxItems", MaxLimit},
		{[]string{"parameters", "depth", "schema"}, "maximum", maxDepth},
		{[]string{"parameters", "limit", "schema"}, "maximum", MaxLimit},
		{[]string{"parameters", "limit", "schema"}, "default", DefaultLimit},
		{[]string{"parameters", "cursor", "schema"}, "maxLength", maxCursorText},
		{[]string{"parameters", "idempotencyKey", "schema"}, "maxLength", maxKeyHeader},
		{[]string{"parameters", "ledger", "schema"}, "maxLength", maxNameParam},
	} {
		_, at, err := d.at(append([]string{"components"}, c.path...)...)
		if err != nil {
			t.Error(err)
			continue
		}
		if got := fmt.Sprint(at[c.key]); got != fmt.Sprint(c.want) {
			t.Errorf("%s of %v is %s, the code has %d", c.key, c.path, got, c.want)
		}
	}
}

// TestTheCheckOfAnswersCatches makes sure that the check behind all API tests
// can fail.
func TestTheCheckOfAnswersCatches(t *testing.T) {
	t.Parallel()
	d := openDocument(t)
	good := `{"name":"PostgreSQL 15","version":"1","settings":{"fsync":"on","synchronous_commit":"on","full_page_writes":"on"}}`
	refusal := `{"type":"about:blank","title":"Unauthorized","status":401,"detail":"d","code":"unauthenticated"}`
	jsonHeader := func(more ...string) http.Header {
		h := http.Header{"Content-Type": {"application/json"}}
		for i := 0; i < len(more); i += 2 {
			h.Set(more[i], more[i+1])
		}
		return h
	}
	problemHeader := http.Header{"Content-Type": {"application/problem+json"}, "Www-Authenticate": {`Bearer realm="x"`}}
	for _, c := range []struct {
		name, method, path string
		status             int
		header             http.Header
		body               string
		fits               bool
	}{
		{"as described", "GET", "/v1/engine", 200, jsonHeader(), good, true},
		{"a member more", "GET", "/v1/engine", 200, jsonHeader(), strings.Replace(good, `"version"`, `"x":1,"version"`, 1), false},
		{"a member less", "GET", "/v1/engine", 200, jsonHeader(), strings.Replace(good, `"version":"1",`, "", 1), false},
		{"a member of another type", "GET", "/v1/engine", 200, jsonHeader(), strings.Replace(good, `"1"`, "1", 1), false},
		{"another content type", "GET", "/v1/engine", 200, http.Header{"Content-Type": {"text/html"}}, good, false},
		{"no content type", "GET", "/v1/engine", 200, http.Header{}, good, false},
		{"a status that is not described", "GET", "/v1/engine", 204, jsonHeader(), good, false},
		{"a header that is not described", "GET", "/v1/engine", 200, jsonHeader("Location", "/v1/ledgers/x"), good, false},
		{"no Location", "POST", "/v1/ledgers", 201, jsonHeader(), `{}`, false},
		{"no JSON", "GET", "/v1/engine", 200, jsonHeader(), good + "}", false},
		{"a refusal", "GET", "/v1/engine", 401, problemHeader, refusal, true},
		{"a refusal without challenge", "GET", "/v1/engine", 401, http.Header{"Content-Type": problemType}, refusal, false},
		{"a refusal that names another status", "GET", "/v1/engine", 401, problemHeader, strings.Replace(refusal, "401", "403", 1), false},
		{"a refusal with a code that is not documented", "GET", "/v1/engine", 401, problemHeader, strings.Replace(refusal, "unauthenticated", "who", 1), false},
		{"no route", "GET", "/v1/nothing", 200, jsonHeader(), good, false},
	} {
		if err := d.check(c.method, c.path, c.status, c.header, []byte(c.body)); (err == nil) != c.fits {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
