package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"tallystick/api/client"
)

// serve starts a server that answers with handle and returns a client for it.
func serve(t *testing.T, handle http.HandlerFunc) *client.Client {
	t.Helper()
	server := httptest.NewServer(handle)
	t.Cleanup(server.Close)
	c, err := client.New(server.URL, "the-key")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestURLsThatNameMoreThanAServerAreRefused(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", "127.0.0.1:8080", "ftp://a", "http://", "http://a/v1", "http://a?x=1", "http://u:p@a", "http://%zz"} {
		if _, err := client.New(bad, "k"); err == nil {
			t.Errorf("New(%q) accepted it", bad)
		}
	}
	c, err := client.New("http://127.0.0.1:8080/", "k")
	if err != nil || c.URL() != "http://127.0.0.1:8080" {
		t.Errorf("New with a final slash: %v, %v", c, err)
	}
}

func TestEveryCallCarriesTheKey(t *testing.T) {
	t.Parallel()
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer the-key" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		io.WriteString(w, `{"name":"main","size":7,"head":"ab"}`)
	})
	l, err := c.Ledger(t.Context(), "main")
	if err != nil || l.Size != 7 || l.Head != "ab" {
		t.Errorf("Ledger = %+v, %v", l, err)
	}
}

func TestARefusalIsAProblemWithItsCode(t *testing.T) {
	t.Parallel()
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusUnprocessableEntity)
		io.WriteString(w, `{"type":"about:blank","title":"T","status":422,"code":"limit_exceeded","detail":"D","available":"1.50","evaluated_at_seq":9}`)
	})
	_, err := c.Post(t.Context(), "main", client.Transfer{})
	if !client.HasCode(err, "limit_exceeded") || !client.HasStatus(err, 422) || client.HasStatus(err, 404) {
		t.Fatalf("Post = %v", err)
	}
	var p *client.Problem
	if !errors.As(err, &p) || *p.Available != "1.50" || *p.EvaluatedAtSeq != 9 {
		t.Errorf("problem = %+v", p)
	}
}

func TestAProxysErrorPageIsAProblemWithoutACode(t *testing.T) {
	t.Parallel()
	p := client.ParseProblem(502, []byte("<html>bad gateway</html>"))
	if p.Status != 502 || p.Code != "" || !strings.Contains(p.Error(), "bad gateway") {
		t.Errorf("ParseProblem = %+v", p)
	}
}

func TestListsAreReadToTheirLastPage(t *testing.T) {
	t.Parallel()
	pages := map[string]string{
		"":   `{"data":[{"code":"a"},{"code":"b"}],"next":"p2"}`,
		"p2": `{"data":[{"code":"c"}],"next":null}`,
	}
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("limit") != "1000" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		io.WriteString(w, pages[r.URL.Query().Get("cursor")])
	})
	var codes []string
	err := c.Accounts(t.Context(), "main", func(a client.Account) error {
		codes = append(codes, a.Code)
		return nil
	})
	if err != nil || strings.Join(codes, "") != "abc" {
		t.Errorf("accounts %v, %v", codes, err)
	}
}

func TestACursorThatDoesNotAdvanceEndsTheList(t *testing.T) {
	t.Parallel()
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, `{"data":[],"next":"again"}`)
	})
	err := c.Entries(t.Context(), "main", 0, func(client.Entry) error { return nil })
	if err == nil || !strings.Contains(err.Error(), "cursor") {
		t.Errorf("Entries = %v", err)
	}
}

func TestAccountsAreOpenedInBatchesAndARefusedOneIsNamed(t *testing.T) {
	t.Parallel()
	var sizes []int
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		var in struct{ Accounts []client.NewAccount }
		json.NewDecoder(r.Body).Decode(&in)
		sizes = append(sizes, len(in.Accounts))
		results := make([]any, len(in.Accounts))
		for i, a := range in.Accounts {
			results[i] = map[string]any{"status": 201}
			if a.Code == "taken" {
				results[i] = map[string]any{"status": 409, "problem": map[string]any{"code": "account_exists"}}
			}
		}
		json.NewEncoder(w).Encode(map[string]any{"results": results})
	})
	accounts := make([]client.NewAccount, 1500)
	if err := c.OpenAccounts(t.Context(), "main", accounts); err != nil || len(sizes) != 2 || sizes[0] != 1000 || sizes[1] != 500 {
		t.Errorf("OpenAccounts of 1500: batches %v, %v", sizes, err)
	}
	accounts[3].Code = "taken"
	err := c.OpenAccounts(t.Context(), "main", accounts[:10])
	if !client.HasCode(err, "account_exists") || !strings.Contains(err.Error(), "taken") {
		t.Errorf("OpenAccounts with a taken code = %v", err)
	}
}

func TestALedgerIsOpenedOnlyWhenAbsent(t *testing.T) {
	t.Parallel()
	opened := 0
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodPost:
			opened++
			w.WriteHeader(http.StatusCreated)
		case opened == 0:
			w.WriteHeader(http.StatusNotFound)
			return
		}
		io.WriteString(w, `{"name":"bench"}`)
	})
	for range 2 {
		if l, err := c.EnsureLedger(t.Context(), client.LedgerTerms{Name: "bench", BaseCurrency: "EUR"}); err != nil || l.Name != "bench" {
			t.Fatalf("EnsureLedger = %+v, %v", l, err)
		}
	}
	if opened != 1 {
		t.Errorf("opened %d times", opened)
	}
}

func TestCountersAreSummedOverTheirLabels(t *testing.T) {
	t.Parallel()
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "# HELP tallystick_collisions_total c\n"+
			"# TYPE tallystick_collisions_total counter\n"+
			"tallystick_collisions_total{ledger=\"a b}\"} 2\n"+
			"tallystick_collisions_total{ledger=\"c\"} 1.5e+06\n"+
			"tallystick_turns_total 4 1700000000000\n"+
			"tallystick_seconds 0.25\ntallystick_none NaN\n\n")
	})
	counters, err := c.Counters(t.Context())
	if err != nil || counters["tallystick_collisions_total"] != 1500002 || counters["tallystick_turns_total"] != 4 {
		t.Errorf("Counters = %v, %v", counters, err)
	}
	if len(counters) != 2 {
		t.Errorf("fractions and NaN counted too: %v", counters)
	}
}

func TestACallEndsWithItsContext(t *testing.T) {
	t.Parallel()
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Ready(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Ready = %v", err)
	}
}
