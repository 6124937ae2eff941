package console

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Path is where the console is.
const Path = "/console"

//go:embed pages
var files embed.FS

// Config is what the console works with.
type Config struct {
	API     http.Handler // everything that is shown comes from it
	Version string
	Log     *slog.Logger // one event per page, at debug level
}

// Bounds of pages, so that who reads does not keep others from posting.
const (
	// maxPages is how many are made at once; the others wait for their turn, as long as pagePatience.
	maxPages     = 4
	pagePatience = 10 * time.Second
)

// console serves the pages.
type console struct {
	Config
	sessions *sessions
	turns    chan struct{} // of pages at work
	pages    map[string]*template.Template
	style    []byte
}

// page is one page: what it is asked by, and what makes its content.
type page struct {
	pattern string // of http.ServeMux, below Path
	file    string // its template
	show    func(*visit) (any, error)
}

// surface is all pages of ledgers.
var surface = []page{
	{"GET /{$}", "ledgers.html", (*visit).ledgers},
	{"GET /ledgers/{ledger}", "overview.html", (*visit).overview},
	{"GET /ledgers/{ledger}/accounts", "accounts.html", (*visit).accounts},
	{"GET /ledgers/{ledger}/accounts/{account}", "account.html", (*visit).account},
	{"GET /ledgers/{ledger}/entries", "entries.html", (*visit).entries},
	{"GET /ledgers/{ledger}/entries/{seq}", "entry.html", (*visit).entry},
	{"GET /ledgers/{ledger}/transfers", "transfers.html", (*visit).transfers},
	{"GET /ledgers/{ledger}/transfers/{id}", "transfer.html", (*visit).transfer},
	{"GET /ledgers/{ledger}/runs", "runs.html", (*visit).runs},
	{"GET /ledgers/{ledger}/runs/{run}", "run.html", (*visit).run},
	{"GET /ledgers/{ledger}/breaks", "breaks.html", (*visit).breaks},
	{"GET /ledgers/{ledger}/reports", "reports.html", (*visit).reports},
	{"GET /ledgers/{ledger}/evidence", "evidence.html", (*visit).evidence},
}

// New returns the handler of everything under Path.
func New(c Config) http.Handler {
	k := &console{Config: c, sessions: newSessions(time.Now), turns: make(chan struct{}, maxPages), pages: make(map[string]*template.Template)}
	k.style = must(files.ReadFile("pages/style.css"))
	mux := http.NewServeMux()
	for i := range surface {
		p := &surface[i]
		k.pages[p.file] = k.parse(p.file)
		mux.HandleFunc(strings.Replace(p.pattern, " ", " "+Path, 1), func(w http.ResponseWriter, r *http.Request) { k.serve(w, r, p) })
	}
	k.pages["login.html"], k.pages["problem.html"] = k.parse("login.html"), k.parse("problem.html")
	mux.HandleFunc("GET "+Path+"/ledgers/{ledger}/files/{path...}", k.file)
	mux.HandleFunc("GET "+Path+"/ledgers/{ledger}/{$}", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, Path+"/ledgers/"+url.PathEscape(r.PathValue("ledger")), http.StatusSeeOther)
	})
	mux.HandleFunc("GET "+Path+"/login", k.askLogin)
	mux.HandleFunc("POST "+Path+"/login", k.login)
	mux.HandleFunc("POST "+Path+"/logout", k.logout)
	mux.HandleFunc("GET "+Path+"/style.css", k.sendStyle)
	mux.HandleFunc("GET "+Path, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, Path+"/", http.StatusSeeOther) })
	mux.HandleFunc(Path+"/", func(w http.ResponseWriter, r *http.Request) {
		k.problem(w, r, &visit{k: k, r: r, key: k.sessions.key(r)}, &Problem{Status: http.StatusNotFound, Title: "There is no such page", Detail: "Nothing is shown under this address."})
	})
	return k.guarded(http.NewCrossOriginProtection().Handler(mux))
}

// must is for what is part of the program.
func must[T any](v T, err error) T {
	if err != nil {
		panic(fmt.Sprintf("console: what is built in cannot be read: %v", err))
	}
	return v
}

func (k *console) parse(file string) *template.Template {
	return must(template.New("layout.html").Funcs(functions).ParseFS(files, "pages/layout.html", "pages/parts.html", "pages/"+file))
}

// policy lets a page load its style sheet and send its forms, and nothing else.
const policy = "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// guarded sets what every answer comes with, and writes the one event about it.
func (k *console) guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start, h := time.Now(), w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
		k.Log.Debug("page", "method", r.Method, "path", r.URL.Path, "took", time.Since(start))
	})
}

// frame is what all pages show, and what the page does.
type frame struct {
	Version string
	In      bool   // somebody is logged in
	Ledger  string // empty on pages about none
	At      string // the part of the ledger that is shown, such as accounts
	Title   string
	Problem *Problem // why the content is not what was asked for
	Content any
}

// titled is content that names its page.
type titled interface{ title() string }

// serve shows a page to whoever is logged in.
func (k *console) serve(w http.ResponseWriter, r *http.Request, p *page) {
	v, ok := k.enter(w, r)
	if !ok {
		return
	}
	select {
	case k.turns <- struct{}{}:
		defer func() { <-k.turns }()
	case <-time.After(pagePatience):
		k.problem(w, r, v, &Problem{Status: http.StatusServiceUnavailable, Title: "Too many pages are being made", Detail: "Nothing is wrong; try again later."})
		return
	case <-r.Context().Done():
		return
	}
	content, err := p.show(v)
	if err == nil {
		k.render(w, v, http.StatusOK, p.file, content, nil)
		return
	}
	switch wrong := problemOf(err); {
	case content != nil && (wrong.Status == http.StatusBadRequest || wrong.Status == http.StatusUnprocessableEntity):
		k.render(w, v, wrong.Status, p.file, content, wrong) // with what was typed
	default:
		k.problem(w, r, v, wrong)
	}
}

// render writes a page, once it is whole.
func (k *console) render(w http.ResponseWriter, v *visit, status int, file string, content any, wrong *Problem) {
	f := frame{Version: k.Version, In: v.key != "", Ledger: v.r.PathValue("ledger"), Title: "Tallystick", Problem: wrong, Content: content}
	if t, ok := content.(titled); ok {
		f.Title = t.title()
	}
	if rest, ok := strings.CutPrefix(v.r.URL.Path, Path+"/ledgers/"+f.Ledger); ok {
		f.At, _, _ = strings.Cut(strings.TrimPrefix(rest, "/"), "/")
	}
	var out bytes.Buffer
	if err := k.pages[file].Execute(&out, &f); err != nil {
		k.Log.Error("page", "file", file, "error", err)
		http.Error(w, "This page cannot be shown; the server's log says why.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(out.Bytes()) // an error means that nobody reads it any more
}

// problem shows why a page cannot be shown; who is not known is asked to log in.
func (k *console) problem(w http.ResponseWriter, r *http.Request, v *visit, p *Problem) {
	if p.Status == http.StatusUnauthorized {
		k.sessions.end(r)
		k.toLogin(w, r)
		return
	}
	k.render(w, v, p.Status, "problem.html", p, nil)
}

func (k *console) sendStyle(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	w.Header().Set("Cache-Control", "no-cache")
	_, _ = w.Write(k.style)
}
