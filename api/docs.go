package api

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"errors"
	"fmt"
	"html/template"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"

	"go.yaml.in/yaml/v3"

	"tallystick/ledger"
)

// docsHTML is the page of GET /docs without its content, which is openapi.yaml.
//
//go:embed docs.html
var docsHTML string

// docsPage is the page as it is sent, with the policy that lets a browser load
// nothing for it.
type docsPage struct {
	html   []byte
	policy []string
}

// theDocs is made when it is first asked for.
var theDocs = sync.OnceValues(func() (*docsPage, error) { return newDocsPage(openAPI) })

var htmlType = []string{"text/html; charset=utf-8"}

// docs answers GET /docs.
func (h *handlers) docs(x *exchange) error {
	page, err := theDocs()
	if err != nil {
		return err
	}
	x.header["Content-Security-Policy"] = page.policy
	x.out = append(x.out, page.html...)
	return x.sendAs(200, htmlType)
}

// Bounds of what a document may nest, and how wide an example is.
const (
	docsDepth = 8
	docsWidth = 64
)

// newDocsPage renders the document.
func newDocsPage(document []byte) (*docsPage, error) {
	var root yaml.Node
	if err := yaml.Unmarshal(document, &root); err != nil {
		return nil, fmt.Errorf("reading openapi.yaml: %w", err)
	}
	if len(root.Content) != 1 {
		return nil, errors.New("reading openapi.yaml: it is empty")
	}
	page, err := template.New("docs").Funcs(template.FuncMap{"prose": prose, "lower": strings.ToLower}).Parse(docsHTML)
	if err != nil {
		return nil, fmt.Errorf("reading docs.html: %w", err)
	}
	var out bytes.Buffer
	if err := page.Execute(&out, contentOf(branch{root.Content[0], root.Content[0]})); err != nil {
		return nil, fmt.Errorf("rendering docs.html: %w", err)
	}
	return &docsPage{out.Bytes(), []string{docsPolicy(out.String())}}, nil
}

// docsPolicy allows the one style sheet inside the page, by its hash.
func docsPolicy(page string) string {
	_, style, _ := strings.Cut(page, "<style>")
	style, _, _ = strings.Cut(style, "</style>")
	sum := sha256.Sum256([]byte(style))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}

// What the page shows.
type (
	docsContent struct {
		Title, Version, Summary, About string
		Scopes                         string
		Groups                         []*docsGroup
		Schemas                        []docsSchema
		Refusal                        string // an example
		Statuses                       []*docsStatus
	}
	docsGroup struct {
		Name, About string
		Operations  []docsOperation
	}
	docsOperation struct {
		ID, Method, Path, Summary, About string
		Scopes                           []string // none: open to all
		Parameters                       []docsRow
		Body                             *docsBody
		Call                             string // as a command
		Answers                          []docsAnswer
		Samples                          []docsSample // of the body, from the second on
	}
	docsBody struct {
		MediaType string
		Required  bool
		Schema    docsSchema
	}
	docsAnswer struct {
		Status, About, MediaType string
		Headers                  []docsRow
		Schema                   docsSchema
		Samples                  []docsSample
	}
	docsSample struct{ Title, Text string }
	// docsSchema is what a value may be; Rows are the members of an object.
	docsSchema struct {
		Name, About string
		Type        []docsWord
		Notes       []string
		Choices     []string // sets of members of which there is one
		Rows        []docsRow
	}
	docsRow struct {
		Name, In string
		Depth    int
		Required bool
		Type     []docsWord
		Notes    []string
		About    string
	}
	// docsWord is part of a type, perhaps with the schema that it links to.
	docsWord struct{ Text, Schema string }
	// docsStatus is the codes that are answered with one status.
	docsStatus struct {
		Status int
		Text   string
		Codes  []docsCode
	}
	docsCode struct{ Code, Meaning, RetryAfter string }
)

// methods are the members of a path that are operations.
var methods = []string{"get", "put", "post", "delete", "options", "head", "patch", "trace"}

func contentOf(root branch) *docsContent {
	c := &docsContent{
		Title:   root.text("info", "title"),
		Version: root.text("info", "version"),
		Summary: root.text("info", "summary"),
		About:   root.text("info", "description"),
		Scopes:  root.text("components", "securitySchemes", "apiKey", "description"),
	}
	groups := map[string]*docsGroup{}
	for _, tag := range root.at("tags").items() {
		g := &docsGroup{Name: tag.text("name"), About: tag.text("description")}
		groups[g.Name] = g
		c.Groups = append(c.Groups, g)
	}
	for path, item := range root.at("paths").members() {
		for method, operation := range item.members() {
			if !slices.Contains(methods, method) {
				continue
			}
			tag := operation.at("tags").first().value()
			if groups[tag] == nil {
				groups[tag] = &docsGroup{Name: tag}
				c.Groups = append(c.Groups, groups[tag])
			}
			groups[tag].Operations = append(groups[tag].Operations, operationOf(method, path, item, operation))
		}
	}
	for name, schema := range root.at("components", "schemas").members() {
		if name != "Code" { // has a chapter of its own
			s := schemaOf(schema)
			s.Name = name
			c.Schemas = append(c.Schemas, s)
		}
	}
	c.Refusal = sample(root.at("components", "schemas", "Problem"), 0).json()
	c.Statuses = statusesOf(root.at("components", "schemas", "Code"))
	return c
}

func operationOf(method, path string, item, operation branch) docsOperation {
	o := docsOperation{
		ID: operation.text("operationId"), Method: strings.ToUpper(method), Path: path,
		Summary: operation.text("summary"), About: operation.text("description"),
	}
	security := operation.at("security")
	if !security.there() {
		security = branch{operation.root, operation.root}.at("security")
	}
	for _, choice := range security.items() {
		for _, scopes := range choice.members() {
			for _, scope := range scopes.items() {
				o.Scopes = append(o.Scopes, scope.value())
			}
		}
	}
	parameters := slices.Concat(item.at("parameters").items(), operation.at("parameters").items())
	for _, p := range parameters {
		row := rowOf(p.text("name"), p.at("schema"), 0)
		row.In, row.Required = p.text("in"), p.text("required") == "true"
		if about := p.text("description"); about != "" {
			row.About = about
		}
		o.Parameters = append(o.Parameters, row)
	}
	samples := []docsSample{{}}
	for mediaType, content := range operation.at("requestBody", "content").members() {
		o.Body = &docsBody{mediaType, operation.text("requestBody", "required") == "true", whole(content.at("schema"))}
		if given := samplesOf(content); len(given) > 0 {
			samples = given
		}
	}
	o.Call = callOf(&o, parameters, operation.at("requestBody", "content", "application/json"), samples[0].Text)
	o.Samples = samples[1:]
	for status, answer := range operation.at("responses").members() {
		a := answerOf(status, answer)
		if slices.ContainsFunc(o.Answers, func(other docsAnswer) bool { return slices.Equal(other.Samples, a.Samples) }) {
			a.Samples = nil // shown already
		}
		o.Answers = append(o.Answers, a)
	}
	return o
}

// samplesOf returns the examples of a content, or one made of its schema.
func samplesOf(content branch) []docsSample {
	var samples []docsSample
	for _, e := range content.at("examples").members() {
		samples = append(samples, docsSample{e.text("summary"), e.at("value").json()})
	}
	if len(samples) == 0 {
		samples = append(samples, docsSample{"", sample(content.at("schema"), 0).json()})
	}
	return samples
}

func answerOf(status string, answer branch) docsAnswer {
	a := docsAnswer{Status: status, About: answer.text("description")}
	for name, header := range answer.at("headers").members() {
		row := rowOf(name, header.at("schema"), 0)
		row.About = header.text("description")
		a.Headers = append(a.Headers, row)
	}
	for mediaType, content := range answer.at("content").members() {
		a.MediaType, a.Schema = mediaType, schemaOf(content.at("schema"))
		if strings.HasPrefix(status, "2") && strings.HasSuffix(mediaType, "json") {
			a.Samples = samplesOf(content)
		}
	}
	return a
}

// callOf writes the operation as a command for curl.
func callOf(o *docsOperation, parameters []branch, content branch, body string) string {
	var words, query []string
	path := o.Path
	if o.Method != "GET" && (o.Method != "POST" || body == "") {
		words = append(words, "-X "+o.Method)
	}
	if len(o.Scopes) > 0 {
		words = append(words, `-H "Authorization: Bearer $key"`)
	}
	for _, p := range parameters {
		name, value := p.text("name"), exampleOf(p)
		switch p.text("in") {
		case "path":
			path = strings.ReplaceAll(path, "{"+name+"}", value)
		case "query":
			if p.text("required") == "true" {
				query = append(query, name+"="+value)
			}
		case "header": // an id in the body does as well as the key
			if content.at("schema", "properties", "id").there() && !strings.Contains(body, `"id":`) {
				words = append(words, "-H '"+name+": "+value+"'")
			}
		}
	}
	if body != "" {
		words = append(words, "-H 'Content-Type: application/json'")
	}
	if len(query) > 0 {
		path += "?" + strings.Join(query, "&")
	}
	words = append(words, `"$tallystick`+path+`"`)
	if body != "" {
		words = append(words, "-d '"+strings.ReplaceAll(body, "'", `'\''`)+"'")
	}
	return "curl " + strings.Join(words, " \\\n  ")
}

// exampleOf returns what a parameter is in an example.
func exampleOf(parameter branch) string {
	if e := parameter.at("example"); e.there() {
		return e.value()
	}
	return sample(parameter.at("schema"), 0).value()
}

// statusesOf orders the codes by the status that they are answered with.
func statusesOf(code branch) []*docsStatus {
	byStatus := map[int]*docsStatus{}
	for _, c := range code.at("enum").items() {
		status := statusOf[ledger.Code(c.value())]
		if byStatus[status] == nil {
			byStatus[status] = &docsStatus{Status: status, Text: http.StatusText(status)}
		}
		byStatus[status].Codes = append(byStatus[status].Codes,
			docsCode{c.value(), code.text("x-meanings", c.value()), retryAfter[ledger.Code(c.value())]})
	}
	var statuses []*docsStatus
	for _, status := range slices.Sorted(maps.Keys(byStatus)) {
		statuses = append(statuses, byStatus[status])
	}
	return statuses
}

var (
	codeSpan   = regexp.MustCompile("`([^`]+)`")
	strongSpan = regexp.MustCompile(`\*\*([^*]+)\*\*`)
	blankLines = regexp.MustCompile(`\n\s*\n`)
)

// prose renders what descriptions use of Markdown: paragraphs, `code` and
// **strong**.
func prose(text string) template.HTML {
	var out strings.Builder
	for _, paragraph := range blankLines.Split(strings.TrimSpace(text), -1) {
		safe := template.HTMLEscapeString(paragraph)
		safe = codeSpan.ReplaceAllString(safe, "<code>$1</code>")
		safe = strongSpan.ReplaceAllString(safe, "<strong>$1</strong>")
		out.WriteString("<p>" + safe + "</p>\n")
	}
	return template.HTML(out.String())
}

// Anchor returns where the answer's codes stand.
func (a docsAnswer) Anchor() string {
	if a.Status >= "4" {
		return "status-" + a.Status
	}
	return ""
}
