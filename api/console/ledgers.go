package console

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// ledgerInfo is a ledger as the API has it.
type ledgerInfo struct {
	ID           string `json:"id"`
	Name         string `json:"name"`
	Origin       string `json:"origin"`
	TimeZone     string `json:"time_zone"`
	DayCutoff    string `json:"day_cutoff"`
	BaseCurrency string `json:"base_currency"`
	Size         int64  `json:"size"`
	Head         string `json:"head"`
}

type ledgersPage struct {
	listOf[ledgerInfo]
	More string `json:"-"`
}

func (*ledgersPage) title() string { return "Ledgers" }

func (v *visit) ledgers() (any, error) {
	p := new(ledgersPage)
	if err := v.ask("/v1/ledgers"+v.query("cursor"), p); err != nil {
		return nil, err
	}
	p.More = v.more(p.Next)
	return p, nil
}

// newestShown is how many entries, and runs, an overview shows.
const newestShown = 10

type overviewPage struct {
	Ledger   ledgerInfo
	Signed   *checkpoint // nil: none is shown yet
	Unsealed int64       // entries that it does not cover yet; below zero, the ledger has lost some that it covers
	Totals   []balanceGroup
	AsOf     int64
	Runs     []run
	Newest   []entry // the newest first
}

func (p *overviewPage) title() string { return p.Ledger.Name }

func (v *visit) overview() (any, error) {
	p := new(overviewPage)
	if err := v.ask(v.path(), &p.Ledger); err != nil {
		return nil, err
	}
	var err error
	if p.Signed, err = v.signed(); err != nil {
		return nil, err
	}
	if p.Signed != nil {
		p.Unsealed = p.Ledger.Size - p.Signed.Size
	}
	var balances balancesAnswer
	if err := v.ask(v.path("balances")+"?depth=1&limit=1", &balances); err != nil {
		return nil, err
	}
	p.Totals, p.AsOf = balances.Totals, balances.Seq
	var runs listOf[run]
	if err := v.ask(v.path("runs")+fmt.Sprintf("?limit=%d", newestShown/2), &runs); err != nil {
		return nil, err
	}
	p.Runs = runs.Data
	var newest listOf[entry]
	if err := v.ask(v.path("entries")+fmt.Sprintf("?from=%d&limit=%d", max(p.Ledger.Size-newestShown, 0), newestShown), &newest); err != nil {
		return nil, err
	}
	p.Newest = newest.Data
	slices.Reverse(p.Newest)
	return p, nil
}

// checkpoint is a signed note as C2SP has it.
type checkpoint struct {
	Origin string
	Size   int64
	Root   string   // in hex
	Names  []string // who signed: the log first, then witnesses
	Note   string   // whole
}

// signed returns the newest checkpoint of the ledger, nil when there is none.
func (v *visit) signed() (*checkpoint, error) {
	note, err := v.text(v.path("checkpoint"))
	if err != nil || note == "" {
		return nil, err
	}
	return parseCheckpoint(note)
}

func parseCheckpoint(note string) (*checkpoint, error) {
	text, signatures, _ := strings.Cut(note, "\n\n")
	lines := strings.Split(text, "\n")
	if len(lines) < 3 {
		return nil, fmt.Errorf("reading the checkpoint: it has %d lines", len(lines))
	}
	c := &checkpoint{Origin: lines[0], Note: note}
	var err error
	if c.Size, err = strconv.ParseInt(lines[1], 10, 64); err != nil {
		return nil, fmt.Errorf("reading the size of the checkpoint: %w", err)
	}
	root, err := base64.StdEncoding.DecodeString(lines[2])
	if err != nil {
		return nil, fmt.Errorf("reading the root of the checkpoint: %w", err)
	}
	c.Root = hex.EncodeToString(root)
	for line := range strings.SplitSeq(signatures, "\n") {
		if name, ok := strings.CutPrefix(line, "— "); ok {
			name, _, _ = strings.Cut(name, " ")
			c.Names = append(c.Names, name)
		}
	}
	return c, nil
}

// signingKey is a key that is on record in a ledger.
type signingKey struct {
	KeyID     string `json:"key_id"`
	Status    string `json:"status"`
	PublicKey string `json:"public_key"`
	AddedAt   int64  `json:"added_at_seq"`
	RetiredAt *int64 `json:"retired_at_seq"`
	RevokedAt *int64 `json:"revoked_at_seq"`
}

type evidencePage struct {
	Ledger ledgerInfo
	Signed *checkpoint
	Keys   []signingKey
}

func (p *evidencePage) title() string { return p.Ledger.Name + ": evidence" }

func (v *visit) evidence() (any, error) {
	p := new(evidencePage)
	if err := v.ask(v.path(), &p.Ledger); err != nil {
		return nil, err
	}
	var err error
	if p.Signed, err = v.signed(); err != nil {
		return nil, err
	}
	var keys listOf[signingKey]
	if err := v.ask(v.path("keys")+"?role=signer&limit=1000", &keys); err != nil {
		return nil, err
	}
	p.Keys = keys.Data
	return p, nil
}
