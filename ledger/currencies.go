package ledger

import (
	"strconv"

	"tallystick/ledger/chain"
	"tallystick/ledger/money"
)

// DefineCurrency asks for a currency of the ledger's own: points, shares, a
// crypto-asset. Defining one again with the same scale changes nothing.
type DefineCurrency struct {
	Common
	standalone
	Code  string // see money.ValidCurrencyCode; none of ISO 4217
	Name  string // 1 to MaxCurrencyName bytes; no personal data: it stands in the book
	Scale uint8  // decimals, at most money.MaxScale
}

// MaxCurrencyName is the longest name of a currency, in bytes.
const MaxCurrencyName = 64

func (*DefineCurrency) operation() string                  { return OperationDefineCurrency }
func (*DefineCurrency) accountCodes(dst []string) []string { return dst }
func (r *DefineCurrency) weight() int                      { return perPosting + 2*len(r.Name) }
func (r *DefineCurrency) fingerprintTo(b []byte) []byte {
	return append(appendText(appendText(b, r.Code), r.Name), r.Scale)
}

// apply defines a currency whose code is free.
func (r *DefineCurrency) apply(o *overlay) (*draft, *Refusal) {
	if _, iso := money.ISO(r.Code); iso {
		return nil, refusal(CodeCurrencyReserved, "%s is a currency of ISO 4217 and is there already; choose another code", r.Code)
	}
	if c, ok := o.rules.currencies[r.Code]; ok {
		if c.Scale == r.Scale {
			return nil, nil
		}
		return nil, refusal(CodeCurrencyExists, "%s is defined with %d decimals; choose another code", r.Code, c.Scale)
	}
	return &draft{kind: chain.CurrencyDefined, effective: o.bookingDate, details: []chain.Detail{
		{Name: "code", Value: r.Code},
		{Name: "name", Value: r.Name},
		{Name: "scale", Value: strconv.Itoa(int(r.Scale))},
	}}, nil
}
