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
	if s.key(token) != "key" || s.key("") != "" || s.key(token+"x") != "" {
		t.Error("a session is not found by its token alone")
	}
	now = now.Add(SessionIdle - time.Second)
	if s.key(token) != "key" {
		t.Error("a session ends before it is idle")
	}
	now = now.Add(SessionIdle)
	if s.key(token) != "" {
		t.Error("an idle session does not end")
	}
	token = s.begin("key")
	for used := time.Duration(0); used < SessionLength; used += SessionIdle / 2 {
		if s.key(token) != "key" {
			t.Fatalf("a session in use ends after %s", used)
		}
		now = now.Add(SessionIdle / 2)
	}
	if s.key(token) != "" {
		t.Error("a session lasts for ever")
	}
	token = s.begin("key")
	s.end(token)
	if s.key(token) != "" || len(s.open) != 0 {
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
			s.key(tokens[0]) // in use, though the oldest
		}
		tokens = append(tokens, s.begin(fmt.Sprint(i)))
	}
	if s.key(tokens[0]) != "0" || s.key(tokens[1]) != "" || s.key(tokens[MaxSessions]) != fmt.Sprint(MaxSessions) || len(s.open) != MaxSessions {
		t.Errorf("%d sessions, and not the one that was used longest ago made room", len(s.open))
	}
}

func TestOnlyPagesOfTheConsoleComeNext(t *testing.T) {
	for next, want := range map[string]string{
		"/console/ledgers/main?x=1": "/console/ledgers/main?x=1", "/console/": "/console/",
		"": "", "/": "", "/v1/ledgers": "", "//evil.example/console/": "", "https://evil.example/console/": "", "/console": "",
		`/console/\evil`: "", `\\evil.example/console/`: "", "javascript:/console/": "", "/console/%zz": "", "\t//evil.example": "",
	} {
		if got := local(next); got != want {
			t.Errorf("after %q comes %q, want %q", next, got, want)
		}
	}
}

func TestAmountsStandOnTheirSide(t *testing.T) {
	for _, c := range []struct{ signed, debit, credit string }{
		{"12.30", "12.30", ""}, {"-12.30", "", "12.30"}, {"0.00", "0.00", ""},
		{"-170141183460469231731687303715884105727", "", "170141183460469231731687303715884105727"},
	} {
		if d, r := side(c.signed, false), side(c.signed, true); d != c.debit || r != c.credit {
			t.Errorf("%s: debit %q, credit %q", c.signed, d, r)
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
