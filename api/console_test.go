package api

import (
	"html"
	"io"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"tallystick/api/console"
	"tallystick/ledger/store"
	"tallystick/ledger/store/storetest"
)

// browser is somebody who reads the console.
type browser struct {
	t      *testing.T
	b      *bank
	client *http.Client
}

func (b *bank) browser(t *testing.T) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &browser{t, b, &http.Client{Jar: jar, Transport: b.client.Transport}}
}

// do sends a request and returns its answer, redirects followed.
func (w *browser) do(method, path string, form url.Values, with headers) (resp *http.Response, text string) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.b.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		w.t.Fatal(err)
	}
	if method == "POST" {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	maps.Copy(req.Header, http.Header(with))
	if resp, err = w.client.Do(req); err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return resp, string(body)
}

// page reads a page that has to be there.
func (w *browser) page(path string) string {
	w.t.Helper()
	resp, text := w.do("GET", path, nil, nil)
	if resp.StatusCode != 200 || strings.Contains(resp.Request.URL.Path, "/login") {
		w.t.Fatalf("%s: %s at %s: %s", path, resp.Status, resp.Request.URL, text)
	}
	return text
}

func (w *browser) login() *browser {
	w.t.Helper()
	if resp, text := w.do("POST", "/console/login", url.Values{"key": {testKey}}, nil); resp.Request.URL.Path != "/console/" || resp.StatusCode != 200 {
		w.t.Fatalf("logging in ends at %s: %s", resp.Request.URL, text)
	}
	return w
}

// has requires texts on a page, as they are shown.
func (w *browser) has(path string, texts ...string) {
	w.t.Helper()
	page := html.UnescapeString(w.page(path))
	for _, text := range texts {
		if !strings.Contains(page, text) {
			w.t.Errorf("%s does not show %q: %s", path, text, page)
		}
	}
}

func TestTheConsoleShowsALedger(t *testing.T) {
	withBank(t, func(t *testing.T, b *bank) {
		b.openAccounts()
		b.post("/v1/ledgers/main/accounts", `{"code":"odd","type":"asset","currency":"EUR","name":"<script>alert(1)</script>","tags":{"<b>":"\"'&"}}`).is(201, "")
		paid := b.transfer(`{"debit":"cash","credit":"customers:1","amount":"12.34","description":"<img src=x onerror=alert(1)>","reference":"R&D","metadata":{"a":"</pre>"}}`).is(201, "")
		hold := b.transfer(`{"debit":"customers:1","credit":"odd","amount":"2.34","hold":true}`).is(201, "")
		w := b.browser(t).login()
		w.has("/console/", "main", "bank.test/")
		w.has("/console/ledgers/main", "no checkpoint", "<img src=x", "pending 2.34", "none yet")
		w.has("/console/ledgers/main/accounts", "customers", "yen")
		w.has("/console/ledgers/main/accounts?prefix=customers", "customers:1", "customers:2", "12.34", "2.34", "10.00")
		w.has("/console/ledgers/main/accounts/customers:1", "12.34", "10.00", "Opening balance", "R&D")
		w.has("/console/ledgers/main/accounts/odd", "<script>alert(1)</script>", `<b>: "'&`)
		w.has("/console/ledgers/main/entries/"+paid.text("seq"), paid.text("hash"), "</pre>", "Receipt")
		w.has("/console/ledgers/main/transfers?reference=R%26D", "12.34")
		w.has("/console/ledgers/main/transfers/"+hold.text("id"), "held", "odd")
		for _, path := range []string{"/console/ledgers/main/accounts/odd", "/console/ledgers/main/entries/" + paid.text("seq"), "/console/ledgers/main/entries"} {
			if page := w.page(path); strings.Contains(page, "<script") || strings.Contains(page, "<img") || strings.Contains(page, "</pre>\"") {
				t.Errorf("%s lets markup through: %s", path, page)
			}
		}
		resp, text := w.do("GET", "/console/ledgers/main/accounts/nobody", nil, nil)
		if resp.StatusCode != 404 || !strings.Contains(text, "account_not_found") {
			t.Errorf("an account that is not there: %s %s", resp.Status, text)
		}
		resp, text = w.do("GET", "/console/ledgers/main/transfers?min_amount=x", nil, nil)
		if resp.StatusCode != 400 || !strings.Contains(text, "an amount is digits") {
			t.Errorf("a search for no amount: %s %s", resp.Status, text)
		}
	})
}

// anchors are the links of a page.
var anchors = regexp.MustCompile(`(?:href|action)="([^"]*)"`)

// TestNoLinkOfTheConsoleIsDead follows all of them, in a ledger with all kinds of links.
func TestNoLinkOfTheConsoleIsDead(t *testing.T) {
	withBank(t, func(t *testing.T, b *bank) {
		paid := b.openAccounts().transfer(payment).is(201, "")
		hold := b.transfer(`{"debit":"cash","credit":"customers:2","amount":"3.00","hold":true}`).is(201, "")
		b.act(hold.text("id")+"/capture", "{}").is(201, "")
		b.act(paid.text("id")+"/reverse", "{}").is(201, "")
		b.post("/v1/ledgers/main/entries/"+paid.text("seq")+"/erase", `{"basis":"gdpr_17"}`)
		run := b.post(runsPath, `{"as_of":"`+b.today()+`","reading":"whole"}`).is(202, "").text("run")
		b.post(runsPath, `{"as_of":"`+b.today()+`","reading":"whole"}`)
		b.reports.Formats = append(b.reports.Formats, "html", "pdf", "xlsx")
		w := b.browser(t).login()
		w.has("/console/ledgers/main/runs/"+run, "Night of "+b.today(), "whole", "Nothing found")
		ahead, seen := []string{"/console/", "/console/ledgers/main/accounts?prefix=customers&at=" + b.today()}, map[string]bool{}
		pages := 0
		for ; len(ahead) > 0; ahead = ahead[1:] {
			path := ahead[0]
			if seen[path] || len(seen) > 1000 {
				continue
			}
			seen[path] = true
			resp, text := w.do("GET", path, nil, nil)
			expected := resp.StatusCode == 409 && strings.Contains(path, "/proof/") || // nothing is signed here
				resp.StatusCode == 404 && strings.Contains(path, "/reports/") && strings.Contains(path, "run=") // of a run, the harness makes none
			if resp.StatusCode != 200 && !expected {
				t.Errorf("%s: %s %.300s", path, resp.Status, text)
			}
			if !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html") || !strings.HasPrefix(path, "/console") {
				continue
			}
			pages++
			for _, link := range anchors.FindAllStringSubmatch(text, -1) {
				next := html.UnescapeString(link[1])
				switch {
				case strings.HasPrefix(next, "/console/log"), next == "data:,", strings.HasPrefix(next, "#"):
				case !strings.HasPrefix(next, "/console") && next != "/docs" || strings.Contains(next, "/0x"):
					t.Errorf("%s links to %s", path, next)
				default:
					ahead = append(ahead, next)
				}
			}
		}
		if pages < 20 || len(seen) < 60 {
			t.Errorf("%d pages, %d links", pages, len(seen))
		}
	})
}

// What was typed stays, and what is wrong with it stands above.
func TestTheConsoleKeepsWhatWasTyped(t *testing.T) {
	withBank(t, func(t *testing.T, b *bank) {
		b.openAccounts()
		w := b.browser(t).login()
		for path, want := range map[string][]string{
			"transfers?reference=Miete&min_amount=1,50":       {`value="Miete"`, `value="1,50"`, "an amount is digits"},
			"accounts?prefix=Customers":                       {`value="Customers"`, "an account code or a prefix"},
			"accounts?prefix=cash&at=yesterday":               {`value="yesterday"`, "a time is an RFC 3339 date-time"},
			"accounts/cash?from=2026-12-31&to=2026-01-01":     {`value="2026-12-31"`, `value="2026-01-01"`, "after"},
			"entries?from=x":                                  {"An entry is named by its number"},
			"breaks?account=Foo":                              {`value="Foo"`, "an account code"},
			"transfers?from=2026-12-31&to=2026-01-01&amount=": {`value="2026-12-31"`, "from is after to"},
		} {
			resp, text := w.do("GET", "/console/ledgers/main/"+path, nil, nil)
			for _, s := range want {
				if resp.StatusCode != 400 || !strings.Contains(html.UnescapeString(text), s) || !strings.Contains(text, "<form") {
					t.Errorf("%s: %s, without %q: %s", path, resp.Status, s, text)
				}
			}
		}
	})
}

// Sums are those of the day that was asked for, all the way down, and statements go on from page to page.
func TestFiguresOfTheConsole(t *testing.T) {
	withBank(t, func(t *testing.T, b *bank) {
		b.openAccounts()
		for range 3 {
			b.transfer(`{"debit":"cash","credit":"customers:1","amount":"100.00"}`).is(201, "")
		}
		b.transfer(`{"debit":"customers:1","credit":"cash","amount":"0.01"}`).is(201, "")
		w := b.browser(t).login()
		row := func(path, want string) {
			t.Helper()
			if page := flat(w.page(path)); !strings.Contains(page, want) {
				t.Errorf("%s has no row %q: %s", path, want, page)
			}
		}
		row("/console/ledgers/main/accounts", "|cash|EUR|1|299.99|0.00|")
		row("/console/ledgers/main/accounts", "|customers|EUR|2|0.00|299.99|")
		row("/console/ledgers/main/accounts", "|Sum|EUR||299.99|299.99|")
		row("/console/ledgers/main", "|EUR|299.99|299.99|0.00|")
		row("/console/ledgers/main/accounts/customers:1", "|transfer|0.01|||299.99|")
		row("/console/ledgers/main/accounts/customers:1", "4 lines|0.01|300.00||299.99|")
		row("/console/ledgers/main/accounts/cash", "|transfer||0.01||299.99|")
		past := "?at=2001-01-01"
		if resp, text := w.do("GET", "/console/ledgers/main/accounts"+past, nil, nil); resp.StatusCode != 422 || !strings.Contains(text, "the ledger was opened later") {
			t.Errorf("sums before the ledger: %s %s", resp.Status, text)
		}
		page := w.page("/console/ledgers/main/accounts?at=" + b.today())
		if !strings.Contains(page, "?prefix=customers&amp;at="+b.today()) || strings.Contains(page, "as it is now") {
			t.Errorf("the day is lost: %s", page)
		}
	})
}

// flat writes the cells of a page's tables with strokes between them.
func flat(page string) string {
	page = regexp.MustCompile(`</t[dh]>\s*<t[dh][^>]*>`).ReplaceAllString(page, "|")
	page = regexp.MustCompile(`<t[dh][^>]*>|</t[dh]>`).ReplaceAllString(page, "|")
	page = regexp.MustCompile(`<[^>]*>`).ReplaceAllString(page, "")
	return html.UnescapeString(regexp.MustCompile(`\s*\|\s*`).ReplaceAllString(page, "|"))
}

func TestOnlyWhoHasAKeyReadsTheConsole(t *testing.T) {
	withBank(t, func(t *testing.T, b *bank) {
		w := b.browser(t)
		for _, path := range []string{"/console", "/console/", "/console/ledgers/main", "/console/ledgers/main/accounts?prefix=x", "/console/ledgers/main/files/checkpoint"} {
			if resp, text := w.do("GET", path, nil, nil); resp.Request.URL.Path != "/console/login" || !strings.Contains(text, "API key") {
				t.Errorf("%s ends at %s: %s", path, resp.Request.URL, text)
			}
		}
		for key, want := range map[string]int{"": 401, "nobody": 401, strings.Repeat("x", 300): 401} {
			if resp, _ := w.do("POST", "/console/login", url.Values{"key": {key}}, nil); resp.StatusCode != want || len(w.client.Jar.Cookies(resp.Request.URL)) > 0 {
				t.Errorf("logging in with %q: %s", key, resp.Status)
			}
		}
		if resp, _ := w.do("POST", "/console/login", url.Values{"key": {testKey}}, headers{"Sec-Fetch-Site": {"cross-site"}}); resp.StatusCode != 403 {
			t.Errorf("logging in from another site: %s", resp.Status)
		}
		resp, text := w.do("POST", "/console/login", url.Values{"key": {testKey}, "next": {"/console/ledgers/main/entries?from=0"}}, nil)
		if resp.Request.URL.RequestURI() != "/console/ledgers/main/entries?from=0" || !strings.Contains(text, "ledger_opened") {
			t.Errorf("after logging in: %s %s", resp.Request.URL, text)
		}
		for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Referrer-Policy": "same-origin"} {
			if got := resp.Header.Get(name); got != want {
				t.Errorf("%s is %q", name, got)
			}
		}
		if policy := resp.Header.Get("Content-Security-Policy"); !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "script") || strings.Contains(policy, "unsafe") {
			t.Errorf("the policy is %s", policy)
		}
		for _, path := range []string{"keys", "entries", "accounts/../keys", "%2e%2e/keys", "runs"} {
			if resp, text := w.do("GET", "/console/ledgers/main/files/"+path, nil, nil); resp.StatusCode != 404 || strings.Contains(text, "key_id") {
				t.Errorf("files/%s: %s %s", path, resp.Status, text)
			}
		}
		w.do("POST", "/console/logout", nil, nil)
		if resp, _ := w.do("GET", "/console/", nil, nil); resp.Request.URL.Path != "/console/login" {
			t.Errorf("after logging out: %s", resp.Request.URL)
		}
	})
}

// The cookie is out of reach of scripts and of other sites, and is no key.
func TestTheCookieOfTheConsole(t *testing.T) {
	withBank(t, func(t *testing.T, b *bank) {
		w := b.browser(t)
		w.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		for forwarded, secure := range map[string]bool{"": false, "http, https": false, "https": true, "https, http": true} {
			with := headers{}
			if forwarded != "" {
				with["X-Forwarded-Proto"] = []string{forwarded}
			}
			resp, _ := w.do("POST", "/console/login", url.Values{"key": {testKey}}, with)
			cookies := resp.Cookies()
			if len(cookies) != 1 || !cookies[0].HttpOnly || cookies[0].SameSite != http.SameSiteLaxMode || cookies[0].Path != console.Path || cookies[0].Secure != secure ||
				strings.Contains(cookies[0].Value, testKey) || len(cookies[0].Value) < 26 {
				t.Errorf("the cookie is %v", cookies)
			}
		}
	})
}

// A key that is revoked ends the session.
func TestARevokedKeyReadsNoConsole(t *testing.T) {
	b := newBank(t, storetest.Database(t), nil)
	w := b.browser(t)
	key := strings.TrimPrefix(b.keyWith(scopeRead)["Authorization"][0], "Bearer ")
	if resp, _ := w.do("POST", "/console/login", url.Values{"key": {key}}, nil); resp.Request.URL.Path != "/console/" {
		t.Fatalf("logging in ends at %s", resp.Request.URL)
	}
	keys, err := b.db.Keys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.db.RevokeKey(t.Context(), func([]store.APIKey) (store.APIKey, error) { return keys[len(keys)-1], nil }); err != nil {
		t.Fatal(err)
	}
	for {
		resp, _ := w.do("GET", "/console/ledgers/main", nil, nil)
		if resp.Request.URL.Path == "/console/login" {
			break
		}
		if resp.StatusCode != 200 {
			t.Fatalf("%s", resp.Status)
		}
	}
}
