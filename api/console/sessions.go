package console

import (
	"crypto/rand"
	"crypto/sha256"
	"net/http"
	"net/url"
	"path"
	"strings"
	"sync"
	"time"
)

// Bounds of sessions.
const (
	// SessionIdle ends a session that nobody uses.
	SessionIdle = 30 * time.Minute
	// SessionLength ends any.
	SessionLength = 12 * time.Hour
	// MaxSessions is how many there are, and MaxKeySessions how many with one key; the one that was used longest ago makes
	// room for another.
	MaxSessions    = 1000
	MaxKeySessions = 20
	// maxNext is the longest address to come back to after logging in, in bytes.
	maxNext = 1 << 10
	// maxKey is the longest key that is looked at, in bytes, and maxLogin the longest form.
	maxKey   = 256
	maxLogin = 4 << 10
)

// cookie is the name of the cookie. It holds a random token.
const cookie = "tallystick_console"

// session is somebody who logged in.
type session struct {
	key         string // of the API
	began, used time.Time
}

// sessions are those of this process, by the SHA-256 of their tokens.
type sessions struct {
	now  func() time.Time
	mu   sync.Mutex
	open map[[sha256.Size]byte]*session
}

func newSessions(now func() time.Time) *sessions {
	return &sessions{now: now, open: make(map[[sha256.Size]byte]*session)}
}

// begin opens a session and returns its token.
func (s *sessions) begin(key string) string {
	token, now := rand.Text(), s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	var oldest, oldestOfKey *[sha256.Size]byte
	ofKey := 0
	for id, open := range s.open {
		if open.over(now) {
			delete(s.open, id)
			continue
		}
		if oldest == nil || open.used.Before(s.open[*oldest].used) {
			oldest = &id
		}
		if open.key != key {
			continue
		}
		if ofKey++; oldestOfKey == nil || open.used.Before(s.open[*oldestOfKey].used) {
			oldestOfKey = &id
		}
	}
	switch {
	case ofKey >= MaxKeySessions:
		delete(s.open, *oldestOfKey)
	case len(s.open) >= MaxSessions:
		delete(s.open, *oldest)
	}
	s.open[sha256.Sum256([]byte(token))] = &session{key: key, began: now, used: now}
	return token
}

func (s *session) over(now time.Time) bool {
	return now.Sub(s.used) >= SessionIdle || now.Sub(s.began) >= SessionLength
}

// key returns the key of the session that a request belongs to, "" when there is none.
func (s *sessions) key(r *http.Request) string {
	for _, c := range r.CookiesNamed(cookie) { // somebody else of this host may have set one of this name
		if key := s.find(c.Value); key != "" {
			return key
		}
	}
	return ""
}

// find returns the key of the session of a token, "" when there is none.
func (s *sessions) find(token string) string {
	id, now := sha256.Sum256([]byte(token)), s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	open := s.open[id]
	switch {
	case open == nil:
		return ""
	case open.over(now):
		delete(s.open, id)
		return ""
	}
	open.used = now
	return open.key
}

// end ends the session that a request belongs to.
func (s *sessions) end(r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range r.CookiesNamed(cookie) {
		delete(s.open, sha256.Sum256([]byte(c.Value)))
	}
}

// enter returns the visit of whoever is logged in, or sends them to log in.
func (k *console) enter(w http.ResponseWriter, r *http.Request) (*visit, bool) {
	key := k.sessions.key(r)
	if key == "" {
		k.toLogin(w, r)
		return nil, false
	}
	return &visit{k: k, r: r, key: key}, true
}

// toLogin asks to log in, and to come back to this page.
func (k *console) toLogin(w http.ResponseWriter, r *http.Request) {
	to := Path + "/login"
	if r.Method == http.MethodGet && r.URL.Path != Path+"/" && len(r.URL.RequestURI()) <= maxNext {
		to += "?next=" + url.QueryEscape(r.URL.RequestURI())
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
}

// loginPage is the form.
type loginPage struct {
	Next   string
	Failed string // why the last attempt did
}

func (*loginPage) title() string { return "Log in" }

func (k *console) askLogin(w http.ResponseWriter, r *http.Request) {
	k.render(w, &visit{k: k, r: r}, http.StatusOK, "login.html", &loginPage{Next: local(r.URL.Query().Get("next"))}, nil)
}

// local returns a page of the console to go to, and nothing else.
func local(next string) string {
	u, err := url.Parse(next)
	if err != nil || len(next) > maxNext || path.Clean(u.Path) != strings.TrimSuffix(u.Path, "/") || u.Scheme != "" || u.Host != "" || u.Opaque != "" || !strings.HasPrefix(u.Path, Path+"/") || strings.HasPrefix(next, "//") || strings.Contains(next, `\`) {
		return ""
	}
	return u.RequestURI()
}

// login begins a session with a key that the API takes.
func (k *console) login(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxLogin)
	key, next := strings.TrimSpace(r.PostFormValue("key")), local(r.PostFormValue("next"))
	v := &visit{k: k, r: r}
	if key == "" || len(key) > maxKey || strings.ContainsFunc(key, func(c rune) bool { return c <= ' ' || c > '~' }) {
		k.render(w, v, http.StatusUnauthorized, "login.html", &loginPage{next, "Enter an API key, as tallystick keys create printed it; one with the scope read is enough."}, nil)
		return
	}
	asking := &visit{k: k, r: r, key: key}
	if err := asking.ask("/v1/ledgers?limit=1", nil); err != nil {
		p := problemOf(err)
		k.render(w, v, p.Status, "login.html", &loginPage{next, p.Detail}, nil)
		return
	}
	k.sessions.end(r)
	http.SetCookie(w, &http.Cookie{Name: cookie, Value: k.sessions.begin(key), Path: Path, HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: secure(r)})
	if next == "" {
		next = Path + "/"
	}
	http.Redirect(w, r, next, http.StatusSeeOther)
}

// secure reports whether the browser came over TLS, here or at a proxy.
func secure(r *http.Request) bool {
	first, _, _ := strings.Cut(r.Header.Get("X-Forwarded-Proto"), ",") // what the browser spoke to the first of several
	return r.TLS != nil || strings.EqualFold(strings.TrimSpace(first), "https")
}

func (k *console) logout(w http.ResponseWriter, r *http.Request) {
	k.sessions.end(r)
	http.SetCookie(w, &http.Cookie{Name: cookie, Path: Path, MaxAge: -1, HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: secure(r)})
	http.Redirect(w, r, Path+"/login", http.StatusSeeOther)
}
