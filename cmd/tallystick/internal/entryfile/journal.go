package entryfile

import (
	"fmt"
	"strings"
)

// hledgerTypes are the types of accounts, as hledger calls them.
var hledgerTypes = map[string]string{"asset": "A", "liability": "L", "equity": "E", "revenue": "R", "expense": "X"}

// writeJournal writes an entry as a block of lines that an empty line ends. A
// transaction has the booking date, and the value date as its second date where
// it is another one.
func (w *Writer) writeJournal(e *entry) error {
	b := &w.line
	b.Reset()
	moves := false
	for i := range e.Postings {
		w.declare(e.Postings[i].Currency, e.Postings[i].Balance)
		moves = moves || strings.Trim(e.Postings[i].Amount, "-0.") != ""
	}
	tags := fmt.Sprintf("; seq:%d, kind:%s, id:%s, effective:%s, hash:%s\n", e.Seq, e.Kind, e.ID, e.EffectiveDate, e.Hash)
	if !moves {
		b.WriteString(tags)
		w.comment(e)
	} else {
		b.WriteString(e.BookingDate)
		if e.EffectiveDate != e.BookingDate {
			b.WriteString("=" + e.EffectiveDate)
		}
		fmt.Fprintf(b, " (%d)", e.Seq)
		if e.Description != "" {
			b.WriteString(" " + inJournal(e.Description))
		}
		b.WriteString("\n    " + tags)
		for i := range e.Postings {
			p := &e.Postings[i]
			if strings.Trim(p.Amount, "-0.") == "" {
				continue // of a hold's capture, not captured
			}
			amount := p.Amount
			if p.Direction == "credit" {
				amount = "-" + amount
			}
			fmt.Fprintf(b, "    %s  %s %s\n", p.Account, amount, symbol(p.Currency))
		}
	}
	if e.Account != nil && e.Kind == "account_opened" {
		tag, err := w.typeTag(e.Account.Code, e.Account.Type)
		if err != nil {
			return err
		}
		fmt.Fprintf(b, "account %s  ; %scurrency:%s\n", e.Account.Code, tag, e.Account.Currency)
	}
	b.WriteByte('\n')
	_, err := w.out.Write(b.Bytes())
	return err
}

// typeTag returns what the directive of an account says of its type: nothing where
// it takes it from an account above, which is declared first if it is not yet.
func (w *Writer) typeTag(code, accountType string) (string, error) {
	letter := hledgerTypes[accountType]
	if !w.declared.may(code, letter) {
		return "", fmt.Errorf("declaring account %s, of type %s: %w", code, letter, ErrRetyped)
	}
	above, ok := w.shared.highest(code, accountType)
	switch {
	case w.declared.types[code] != "":
		return "", nil
	case !ok || !w.declared.may(above, letter):
		w.declared.types[code] = letter
		return "type:" + letter + ", ", nil
	case w.declared.types[above] == "":
		w.declared.types[above] = letter
		fmt.Fprintf(&w.line, "account %s  ; type:%s\n", above, letter)
	}
	w.declared.inherit(code, above, letter)
	return "", nil
}

// comment says what an entry that moves no money did.
func (w *Writer) comment(e *entry) {
	for i := range e.Postings {
		p := &e.Postings[i]
		fmt.Fprintf(&w.line, ";   %s  %s  pending %s %s\n", p.Account, p.Direction, p.PendingChange, p.Currency)
	}
	for _, d := range e.Details {
		fmt.Fprintf(&w.line, ";   %s %s\n", d.Name, d.Value)
	}
}

// declare writes the directive of a currency that was not met before. A balance
// has exactly its decimals.
func (w *Writer) declare(currency, balance string) {
	if w.commodities[currency] {
		return
	}
	w.commodities[currency] = true
	_, decimals, _ := strings.Cut(balance, ".")
	fmt.Fprintf(&w.line, "commodity 1000.%s %s\n", strings.Repeat("0", len(decimals)), symbol(currency))
}

// symbol returns a currency as hledger reads it: one with digits needs quotes.
func symbol(currency string) string {
	if strings.ContainsAny(currency, "0123456789") {
		return `"` + currency + `"`
	}
	return currency
}

// inJournal returns free text as far as a journal can hold it: a semicolon would
// begin a comment.
func inJournal(text string) string { return strings.ReplaceAll(text, ";", ",") }
