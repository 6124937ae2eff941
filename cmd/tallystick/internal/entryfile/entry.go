package entryfile

import (
	"encoding/json"
	"fmt"
)

// entry is what the files say of an entry.
type entry struct {
	ID            string          `json:"id"`
	Kind          string          `json:"kind"`
	Seq           int64           `json:"seq"`
	Hash          string          `json:"hash"`
	PrevHash      string          `json:"prev_hash"`
	RecordedAt    string          `json:"recorded_at"`
	BookingDate   string          `json:"booking_date"`
	EffectiveDate string          `json:"effective_date"`
	Actor         string          `json:"actor"`
	Description   string          `json:"description"`
	Reference     string          `json:"reference"`
	Metadata      json.RawMessage `json:"metadata"`
	RefSeq        *int64          `json:"ref_seq"`
	RelatedTo     string          `json:"related_to"`
	ExpiresAt     string          `json:"expires_at"`
	PriorPeriod   bool            `json:"prior_period"`
	Postings      []posting       `json:"postings"`
	Account       *account        `json:"account"`
	Details       []detail        `json:"details"`
}

type posting struct {
	Account       string `json:"account"`
	Direction     string `json:"direction"`
	Amount        string `json:"amount"`
	PendingChange string `json:"pending_change"`
	Currency      string `json:"currency"`
	AccountSeq    int64  `json:"account_seq"`
	Balance       string `json:"balance"`
}

type account struct {
	Code     string `json:"code"`
	Type     string `json:"type"`
	Currency string `json:"currency"`
}

type detail struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

func parse(raw []byte) (*entry, error) {
	e := &entry{}
	if err := json.Unmarshal(raw, e); err != nil {
		return nil, fmt.Errorf("reading an entry: %w", err)
	}
	return e, nil
}
