package console

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestSessionsEnd(t *testing.T) {
	now := time.Unix(0, 0)
	s := newSessions(func() time.Time { return now })
	token := s.begin("key")
	if s.find(token) != "key" || s.find("") != "" || s.find(token+"x") != "" {
		t.Error("a session is not found by its token alone")
	}
	now = now.Add(SessionIdle - time.Second)
	if s.find(token) != "key" {
		t.Error("a session ends before it is idle")
	}
	now = now.Add(SessionIdle)
	if s.find(token) != "" {
		t.Error("an idle session does not end")
	}
	token = s.begin("key")
	for used := time.Duration(0); used < SessionLength; used += SessionIdle / 2 {
		if s.find(token) != "key" {
			t.Fatalf("a session in use ends after %s", used)
		}
		now = now.Add(SessionIdle / 2)
	}
	if s.find(token) != "" {
		t.Error("a session lasts for ever")
	}
	token = s.begin("key")
	ending := httptest.NewRequest("POST", Path+"/logout", nil)
	ending.AddCookie(&http.Cookie{Name: cookie, Value: token})
	s.end(ending)
	if s.find(token) != "" || len(s.open) != 0 {
		t.Error("a session that was ended goes on")
	}
}

func TestThereIsRoomForSoManySessions(t *testing.T) {
	now := time.Unix(0, 0)
	s := newSessions(func() time.Time { return now })
	var tokens []string
	for i := range MaxSessions + 1 {
		now = now.Add(time.Second)
		if i > 1 {
			s.find(tokens[0]) // in use, though the oldest
		}
		tokens = append(tokens, s.begin(fmt.Sprint(i)))
	}
	if s.find(tokens[0]) != "0" || s.find(tokens[1]) != "" || s.find(tokens[MaxSessions]) != fmt.Sprint(MaxSessions) || len(s.open) != MaxSessions {
		t.Errorf("%d sessions, and not the one that was used longest ago made room", len(s.open))
	}
}

// Who has one key ends no sessions but those with it.
func TestOneKeyHasSoManySessions(t *testing.T) {
	now := time.Unix(0, 0)
	s := newSessions(func() time.Time { return now })
	admin := s.begin("admin")
	var tokens []string
	for range 2 * MaxKeySessions {
		now = now.Add(time.Second)
		tokens = append(tokens, s.begin("reader"))
	}
	if s.find(admin) != "admin" || len(s.open) != 1+MaxKeySessions || s.find(tokens[MaxKeySessions-1]) != "" || s.find(tokens[MaxKeySessions]) != "reader" {
		t.Errorf("%d sessions", len(s.open))
	}
}

// A cookie of this name that somebody else of the host has set keeps nobody out.
func TestAnotherCookieOfTheNameIsPassedOver(t *testing.T) {
	s := newSessions(time.Now)
	r := httptest.NewRequest("GET", Path+"/", nil)
	r.AddCookie(&http.Cookie{Name: cookie, Value: "bad"})
	r.AddCookie(&http.Cookie{Name: cookie, Value: s.begin("key")})
	if s.key(r) != "key" {
		t.Error("the second cookie does not count")
	}
}

func TestOnlyPagesOfTheConsoleComeNext(t *testing.T) {
	for next, want := range map[string]string{
		"/console/ledgers/main?x=1": "/console/ledgers/main?x=1", "/console/": "/console/",
		"": "", "/": "", "/v1/ledgers": "", "//evil.example/console/": "", "https://evil.example/console/": "", "/console": "",
		`/console/\evil`: "", `\\evil.example/console/`: "", "javascript:/console/": "", "/console/../v1/ledgers": "", "/console/..//evil.example": "", "/console/./x": "", "/console/" + strings.Repeat("x", maxNext): "", "/console/%zz": "", "\t//evil.example": "",
	} {
		if got := local(next); got != want {
			t.Errorf("after %q comes %q, want %q", next, got, want)
		}
	}
}

// What no page is named by is an error, and no address of memory.
func TestLinksAreMadeOfTextsAndNumbers(t *testing.T) {
	seq, code := int64(7), "a:b/c"
	if link, err := at("main", "entries", &seq, seq, &code); err != nil || link != "/console/ledgers/main/entries/7/7/a:b%2Fc" {
		t.Errorf("%s, %v", link, err)
	}
	for _, p := range []any{7, new(7), nil, []string{"a"}} {
		if link, err := at("main", p); err == nil {
			t.Errorf("%T gives %s", p, link)
		}
	}
}

func TestCheckpointsAreRead(t *testing.T) {
	c, err := parseCheckpoint("bank.example/1\n7\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n\n— bank.example/1 abc=\n— witness.example/w def=\n")
	if err != nil || c.Size != 7 || c.Root != "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f" || strings.Join(c.Names, " ") != "bank.example/1 witness.example/w" {
		t.Errorf("%+v, %v", c, err)
	}
	for _, bad := range []string{"", "a\nb\n", "a\nx\nAA==\n\n", "a\n1\n!\n\n"} {
		if c, err := parseCheckpoint(bad); err == nil {
			t.Errorf("%q is read as %+v", bad, c)
		}
	}
}

// What the API says in no form that is known is told as well.
func TestWhateverTheAPIAnswersIsShown(t *testing.T) {
	for _, c := range []struct {
		status int
		body   string
		shown  string
		code   int
	}{
		{503, `{"status":503,"title":"Service Unavailable","detail":"the <database> is away","code":"unavailable"}`, "the &lt;database&gt; is away", 503},
		{502, "<h1>proxy</h1>", "Bad Gateway", 502},
		{200, "no JSON", "reading the answer to", 500},
	} {
		k := New(Config{API: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.RawQuery == "limit=1" { // of the login
				_, _ = w.Write([]byte("{}"))
				return
			}
			w.WriteHeader(c.status)
			_, _ = w.Write([]byte(c.body))
		}), Log: slog.New(slog.DiscardHandler)})
		login := httptest.NewRequest("POST", Path+"/login", strings.NewReader("key=k"))
		login.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		in := httptest.NewRecorder()
		k.ServeHTTP(in, login)
		r := httptest.NewRequest("GET", Path+"/", nil)
		for _, cookie := range in.Result().Cookies() {
			r.AddCookie(cookie)
		}
		w := httptest.NewRecorder()
		k.ServeHTTP(w, r)
		if w.Code != c.code || !strings.Contains(w.Body.String(), c.shown) {
			t.Errorf("the API answers %d %s: the page is %d %s", c.status, c.body, w.Code, w.Body)
		}
	}
}
