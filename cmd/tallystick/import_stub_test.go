package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/shopspring/decimal"
)

// importStub is a small ledger behind the routes that import calls: accounts
// with lower limits, transfers in the short form, ids, dry runs. It exists for
// what a real server rarely does: break off at a certain batch. The scripts run
// import against the real one.
type importStub struct {
	mu       sync.Mutex
	url      string
	open     bool
	accounts map[string]string // code → body
	balances map[string]decimal.Decimal
	minima   map[string]string
	entries  []string          // ids in their order
	bodies   map[string]string // id → body

	// before is called with each batch of transfers that is not a rehearsal,
	// numbered from 1, and may answer in its place; after is called when it has
	// been stored, and may break the connection.
	before  func(n int, w http.ResponseWriter) (answered bool)
	after   func(n int) (breakOff bool)
	item    func(id string) (status int) // a status other than 0 answers an item without storing it
	batches int
	lookups int
	runs    int // rehearsals
}

func newImportStub(t *testing.T) *importStub {
	t.Helper()
	s := &importStub{accounts: map[string]string{}, balances: map[string]decimal.Decimal{}, minima: map[string]string{}, bodies: map[string]string{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/ledgers/{ledger}", func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.ledger(w, http.StatusOK)
	})
	mux.HandleFunc("POST /v1/ledgers", func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.open = true
		s.ledger(w, http.StatusCreated)
	})
	mux.HandleFunc("POST /v1/ledgers/{ledger}/accounts/batch", s.openAccounts)
	mux.HandleFunc("POST /v1/ledgers/{ledger}/transfers/batch", s.batch)
	mux.HandleFunc("GET /v1/ledgers/{ledger}/transfers/{id}", func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.lookups++
		if _, there := s.bodies[r.PathValue("id")]; !there {
			stubProblem(w, http.StatusNotFound, "transfer_not_found", "")
			return
		}
		fmt.Fprint(w, `{"entries":[{"seq":1}]}`)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

func stubProblem(w http.ResponseWriter, status int, code, field string) {
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"code":%q,"detail":"stub","field":%q}`, code, field)
}

func (s *importStub) ledger(w http.ResponseWriter, status int) {
	if !s.open {
		stubProblem(w, http.StatusNotFound, "ledger_not_found", "")
		return
	}
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"id":"01890a5d-ac96-774b-bcce-b302099a8057","name":"book","size":%d,"head":"%x"}`, 1+len(s.accounts)+len(s.entries), len(s.entries))
}

func (s *importStub) openAccounts(w http.ResponseWriter, r *http.Request) {
	var in struct{ Accounts []json.RawMessage }
	json.NewDecoder(r.Body).Decode(&in)
	s.mu.Lock()
	defer s.mu.Unlock()
	results := make([]string, len(in.Accounts))
	for i, raw := range in.Accounts {
		var a struct {
			Code       string
			MinBalance string `json:"min_balance"`
		}
		json.Unmarshal(raw, &a)
		switch body, there := s.accounts[a.Code]; {
		case strings.Contains(a.Code, " "):
			stubProblem(w, http.StatusBadRequest, "account_code_invalid", fmt.Sprintf("/accounts/%d/code", i))
			return
		case there && body != string(raw):
			results[i] = `{"status":409,"problem":{"code":"account_exists","detail":"otherwise"}}`
		case there:
			results[i] = `{"status":200}`
		default:
			s.accounts[a.Code], s.minima[a.Code] = string(raw), a.MinBalance
			results[i] = `{"status":201}`
		}
	}
	fmt.Fprintf(w, `{"results":[%s]}`, strings.Join(results, ","))
}

func (s *importStub) batch(w http.ResponseWriter, r *http.Request) {
	var in struct{ Transfers []json.RawMessage }
	json.NewDecoder(r.Body).Decode(&in)
	rehearsal := r.URL.Query().Get("dry_run") == "true"
	s.mu.Lock()
	defer s.mu.Unlock()
	if rehearsal {
		s.runs++
	} else {
		s.batches++
		if s.before != nil && s.before(s.batches, w) {
			return
		}
	}
	kept := map[string]decimal.Decimal{}
	for code, balance := range s.balances {
		kept[code] = balance
	}
	results := make([]string, len(in.Transfers))
	asked := make([]stubTransfer, len(in.Transfers))
	for i, raw := range in.Transfers {
		json.Unmarshal(raw, &asked[i])
		if strings.Contains(asked[i].Debit, " ") {
			stubProblem(w, http.StatusBadRequest, "account_code_invalid", fmt.Sprintf("/transfers/%d/debit", i))
			return
		}
	}
	for i, t := range asked {
		raw := in.Transfers[i]
		results[i] = s.decide(t, string(raw), rehearsal)
	}
	if rehearsal {
		s.balances = kept
	} else if s.after != nil && s.after(s.batches) {
		panic(http.ErrAbortHandler)
	}
	fmt.Fprintf(w, `{"results":[%s]}`, strings.Join(results, ","))
}

type stubTransfer struct {
	ID, Debit, Credit string
	Amount            decimal.Decimal
	EffectiveDate     string `json:"effective_date"`
}

// decide answers one transfer of a batch.
func (s *importStub) decide(t stubTransfer, raw string, rehearsal bool) string {
	refuse := func(status int, code string) string {
		return fmt.Sprintf(`{"status":%d,"problem":{"code":%q,"detail":"stub says %s"}}`, status, code, code)
	}
	body, there := s.bodies[t.ID]
	after := s.balances[t.Debit].Sub(t.Amount)
	switch {
	case there && body != raw:
		return refuse(409, "idempotency_conflict")
	case there:
		return `{"status":201,"replayed":true,"entry":{"seq":1}}`
	case !rehearsal && s.item != nil && s.item(t.ID) != 0:
		return refuse(s.item(t.ID), "overloaded")
	case s.accounts[t.Debit] == "" || s.accounts[t.Credit] == "":
		return refuse(422, "account_unknown")
	case t.Debit == t.Credit:
		return refuse(422, "same_account_twice")
	case s.minima[t.Debit] != "" && after.LessThan(decimal.RequireFromString(s.minima[t.Debit])):
		return refuse(422, "limit_exceeded")
	}
	s.balances[t.Debit], s.balances[t.Credit] = after, s.balances[t.Credit].Add(t.Amount)
	if !rehearsal {
		s.bodies[t.ID] = raw
		s.entries = append(s.entries, t.ID)
	}
	return `{"status":201,"entry":{"seq":1}}`
}

// state is everything that the stub holds.
func (s *importStub) state() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return fmt.Sprint(s.entries, s.balances)
}
