package console

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// visit is one request of somebody who is logged in.
type visit struct {
	k   *console
	r   *http.Request
	key string
}

// Problem is why a page cannot be shown, as the API says it.
type Problem struct {
	Status int    `json:"status"`
	Title  string `json:"title"`
	Detail string `json:"detail"`
	Code   string `json:"code"`
}

// Error returns title, detail and code.
func (p *Problem) Error() string { return fmt.Sprintf("%s: %s (%s)", p.Title, p.Detail, p.Code) }

func (p *Problem) title() string { return p.Title }

// problemOf returns the problem in an error.
func problemOf(err error) *Problem {
	var p *Problem
	if errors.As(err, &p) {
		return p
	}
	return &Problem{Status: http.StatusInternalServerError, Title: "Internal Server Error", Detail: err.Error()}
}

// answer is what the API answers, in memory.
type answer struct {
	status int
	header http.Header
	body   bytes.Buffer
}

// Header implements http.ResponseWriter.
func (a *answer) Header() http.Header { return a.header }

// WriteHeader implements http.ResponseWriter.
func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

// Write implements http.ResponseWriter.
func (a *answer) Write(b []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(b)
}

// linksKey is the key of what links of a page that the API makes begin with.
type linksKey struct{}

// Links returns what the links of a page begin with that the API makes for the console; ok is false for all other requests.
func Links(ctx context.Context) (prefix string, ok bool) {
	prefix, ok = ctx.Value(linksKey{}).(string)
	return prefix, ok
}

// send asks the API, in this process.
func (v *visit) send(path string) (*answer, error) {
	ctx := v.r.Context()
	if ledger := v.r.PathValue("ledger"); ledger != "" {
		ctx = context.WithValue(ctx, linksKey{}, Path+"/ledgers/"+url.PathEscape(ledger))
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, path, http.NoBody)
	if err != nil {
		return nil, &Problem{Status: http.StatusNotFound, Title: "There is no such page", Detail: "Nothing is shown under this address."}
	}
	r.Header.Set("Authorization", "Bearer "+v.key)
	r.RemoteAddr, r.RequestURI = v.r.RemoteAddr, r.URL.RequestURI()
	a := &answer{header: make(http.Header)}
	v.k.API.ServeHTTP(a, r)
	if a.status < 400 {
		return a, nil
	}
	p := new(Problem)
	if err := json.Unmarshal(a.body.Bytes(), p); err != nil || p.Status == 0 {
		p = &Problem{Status: a.status, Title: http.StatusText(a.status)}
	}
	return nil, p
}

// listOf is a page of a list of the API.
type listOf[T any] struct {
	Data []T     `json:"data"`
	Next *string `json:"next"`
}

// ask asks the API and decodes its answer into out, which may be nil.
func (v *visit) ask(path string, out any) error {
	a, err := v.send(path)
	if err != nil || out == nil {
		return err
	}
	if err := json.Unmarshal(a.body.Bytes(), out); err != nil {
		return fmt.Errorf("reading the answer to %s: %w", path, err)
	}
	return nil
}

// text returns an answer that is text; "" and no error where there is nothing yet.
func (v *visit) text(path string) (string, error) {
	a, err := v.send(path)
	if p := new(Problem); errors.As(err, &p) && p.Status == http.StatusNotFound {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return a.body.String(), nil
}

// path returns a path of the API about the ledger of the page.
func (v *visit) path(segments ...string) string {
	return "/v1/ledgers/" + escaped(append([]string{v.r.PathValue("ledger")}, segments...)...)
}

func escaped(segments ...string) string {
	for i := range segments {
		segments[i] = url.PathEscape(segments[i])
	}
	return strings.Join(segments, "/")
}

// query returns those of the page's parameters that are named and not empty, as a query.
func (v *visit) query(names ...string) string {
	return v.queryWith(make(url.Values), names...)
}

// queryWith adds them to others.
func (v *visit) queryWith(q url.Values, names ...string) string {
	given := v.r.URL.Query()
	for _, name := range names {
		if value := strings.TrimSpace(given.Get(name)); value != "" {
			q.Set(name, value)
		}
	}
	if len(q) == 0 {
		return ""
	}
	return "?" + q.Encode()
}

// given returns a parameter of the page.
func (v *visit) given(name string) string { return strings.TrimSpace(v.r.URL.Query().Get(name)) }

// more returns the address of the next page of a list, "" when there is none.
func (v *visit) more(next *string) string {
	if next == nil {
		return ""
	}
	q := v.r.URL.Query()
	q.Set("cursor", *next)
	return v.r.URL.EscapedPath() + "?" + q.Encode()
}

// downloads are the parts of the API whose files the console hands on.
var downloads = []string{"reports", "accounts", "proof", "checkpoint"}

// file hands on a file that the API makes: a report, a statement, a receipt, a checkpoint.
func (k *console) file(w http.ResponseWriter, r *http.Request) {
	v, ok := k.enter(w, r)
	if !ok {
		return
	}
	parts := strings.Split(r.PathValue("path"), "/")
	if !slices.Contains(downloads, parts[0]) {
		k.problem(w, r, v, &Problem{Status: http.StatusNotFound, Title: "There is no such file", Detail: "Nothing is kept under this address."})
		return
	}
	path := v.path(parts...)
	if r.URL.RawQuery != "" {
		path += "?" + r.URL.RawQuery
	}
	a, err := v.send(path)
	if err != nil {
		k.problem(w, r, v, problemOf(err))
		return
	}
	for _, name := range []string{"Content-Type", "Content-Disposition", "Content-Security-Policy"} {
		if value := a.header.Get(name); value != "" {
			w.Header().Set(name, value)
		}
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body.Bytes())
}
