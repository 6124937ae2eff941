package camt

import (
	"bufio"
	"encoding/xml"
	"fmt"
	"io"
	"math/big"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"tallystick/ledger/chain"
)

// issuer names whose codes those of the lines are.
const issuer = "TALLYSTICK"

// Write writes a statement. Nothing is written of one that does not fit: the error is then ErrUnfit.
func Write(w io.Writer, v Version, s *Statement) error {
	if !slices.Contains(Versions, v) {
		return fmt.Errorf("writing a statement: there is no version %q, only %s and %s", v, V8, V2)
	}
	total, err := s.check()
	if err != nil {
		return fmt.Errorf("writing the statement of account %s: %w", s.IBAN+s.Number, err)
	}
	m := &message{out: bufio.NewWriter(w), version: v, s: s}
	m.write(&total)
	if err := m.out.Flush(); err != nil {
		return fmt.Errorf("writing the statement of account %s: %w", s.IBAN+s.Number, err)
	}
	return nil
}

// message writes one message, whose statement was checked. What goes wrong with the writer is kept by it until the end.
type message struct {
	out     *bufio.Writer
	version Version
	s       *Statement
	depth   int
}

func (m *message) raw(text string) { _, _ = m.out.WriteString(text) }

func (m *message) indent() {
	for range m.depth {
		m.raw("  ")
	}
}

// within writes an element with others inside.
func (m *message) within(name string, inside func()) {
	m.indent()
	m.raw("<" + name + ">\n")
	m.depth++
	inside()
	m.depth--
	m.indent()
	m.raw("</" + name + ">\n")
}

// put writes an element with a text, unless the text is empty.
func (m *message) put(name, text string) { m.attributed(name, "", text) }

func (m *message) attributed(name, attribute, text string) {
	if text == "" {
		return
	}
	m.indent()
	m.raw("<" + name + attribute + ">")
	_ = xml.EscapeText(m.out, []byte(text))
	m.raw("</" + name + ">\n")
}

// money writes the size of an amount; the schema's bounds were checked.
func (m *message) money(v *big.Int) string {
	text, _ := m.s.amount("", v)
	return text
}

func (m *message) amount(v *big.Int) {
	m.attributed("Amt", ` Ccy="`+m.s.Currency.Code+`"`, m.money(v))
}

func indicator(credit bool) string {
	if credit {
		return "CRDT"
	}
	return "DBIT"
}

func (m *message) write(total *sums) {
	m.raw(`<?xml version="1.0" encoding="UTF-8"?>` + "\n")
	m.raw(`<Document xmlns="urn:iso:std:iso:20022:tech:xsd:` + string(m.version) + `">` + "\n")
	m.depth++
	created := m.s.Created.UTC().Truncate(time.Second).Format(time.RFC3339)
	m.within("BkToCstmrStmt", func() {
		m.within("GrpHdr", func() {
			m.put("MsgId", m.s.ID)
			m.put("CreDtTm", created)
		})
		m.within("Stmt", func() {
			m.put("Id", m.s.ID)
			if m.version == V8 {
				m.within("StmtPgntn", func() {
					m.put("PgNb", "1")
					m.put("LastPgInd", "true")
				})
			}
			m.put("CreDtTm", created)
			m.within("FrToDt", func() {
				m.put("FrDtTm", m.s.From.String()+"T00:00:00")
				m.put("ToDtTm", m.s.To.String()+"T23:59:59")
			})
			m.account()
			m.balance("OPBD", m.s.Opening.Big(), m.s.From)
			m.balance("CLBD", m.s.Closing.Big(), m.s.To)
			m.summary(total)
			for i := range m.s.Lines {
				m.line(&m.s.Lines[i])
			}
		})
	})
	m.raw("</Document>\n")
}

func (m *message) account() {
	m.within("Acct", func() {
		m.within("Id", func() {
			if m.s.IBAN != "" {
				m.put("IBAN", m.s.IBAN)
				return
			}
			m.within("Othr", func() { m.put("Id", m.s.Number) })
		})
		m.put("Ccy", m.s.Currency.Code)
	})
}

func (m *message) balance(code string, v *big.Int, day chain.Date) {
	m.within("Bal", func() {
		m.within("Tp", func() {
			m.within("CdOrPrtry", func() { m.put("Cd", code) })
		})
		m.amount(v)
		m.put("CdtDbtInd", indicator(v.Sign() >= 0))
		m.within("Dt", func() { m.put("Dt", day.String()) })
	})
}

func (m *message) summary(total *sums) {
	net := new(big.Int).Sub(total.credits, total.debits)
	m.within("TxsSummry", func() {
		m.within("TtlNtries", func() {
			m.put("NbOfNtries", strconv.FormatInt(total.creditLines+total.debitedLines, 10))
			m.put("Sum", m.money(new(big.Int).Add(total.credits, total.debits)))
			if m.version == V2 {
				m.put("TtlNetNtryAmt", m.money(net))
				m.put("CdtDbtInd", indicator(net.Sign() >= 0))
				return
			}
			m.within("TtlNetNtry", func() {
				m.put("Amt", m.money(net))
				m.put("CdtDbtInd", indicator(net.Sign() >= 0))
			})
		})
		m.within("TtlCdtNtries", func() {
			m.put("NbOfNtries", strconv.FormatInt(total.creditLines, 10))
			m.put("Sum", m.money(total.credits))
		})
		m.within("TtlDbtNtries", func() {
			m.put("NbOfNtries", strconv.FormatInt(total.debitedLines, 10))
			m.put("Sum", m.money(total.debits))
		})
	})
}

func (m *message) line(l *Line) {
	m.within("Ntry", func() {
		m.put("NtryRef", l.Ref)
		m.amount(l.Amount.Big())
		m.put("CdtDbtInd", indicator(l.Credit))
		if l.Reversal {
			m.put("RvslInd", "true")
		}
		if m.version == V2 {
			m.put("Sts", "BOOK")
		} else {
			m.within("Sts", func() { m.put("Cd", "BOOK") })
		}
		m.within("BookgDt", func() { m.put("Dt", l.Booked.String()) })
		m.within("ValDt", func() { m.put("Dt", l.Valued.String()) })
		m.put("AcctSvcrRef", l.Servicer)
		m.within("BkTxCd", func() {
			m.within("Prtry", func() {
				m.put("Cd", l.Kind)
				m.put("Issr", issuer)
			})
		})
		if l.Reference != "" || l.Description != "" {
			m.within("NtryDtls", func() { m.within("TxDtls", func() { m.detail(l) }) })
		}
	})
}

func (m *message) detail(l *Line) {
	long := utf8.RuneCountInString(l.Reference) > maxID
	if !long && l.Reference != "" {
		m.within("Refs", func() { m.put("EndToEndId", l.Reference) })
	}
	if l.Description != "" {
		m.within("RmtInf", func() {
			for rest := []rune(l.Description); len(rest) > 0; rest = rest[min(maxLine, len(rest)):] {
				m.put("Ustrd", string(rest[:min(maxLine, len(rest))]))
			}
		})
	}
	if long {
		m.put("AddtlTxInf", l.Reference)
	}
}
