package bankfile

import (
	"encoding/xml"
	"fmt"
	"regexp"
	"strconv"

	"tallystick/ledger/money"
)

// camt reads the bank-to-customer messages of ISO 20022: statements (camt.053) and notifications of debits
// and credits (camt.054). The elements and their meaning are those of the Message Definition Reports "Bank-
// to-Customer Cash Management" of versions 02 to 13. What changed between them is read in either way:
//
//   - an entry's status is text to version 07 and <Cd> or <Prtry> from 08 on (EntryStatus1Choice);
//   - a party stands in <Dbtr> itself to version 07, and in <Dbtr><Pty> or <Agt> from 08 on (Party40Choice);
//   - a detail's amount is <AmtDtls><TxAmt><Amt> in version 02, and <Amt> beside <CdtDbtInd> later;
//   - the net of all entries is <TtlNetNtryAmt> in version 02, and <TtlNetNtry><Amt> later.
type camt struct {
	*xmlCursor
	statement *Statement
	entries   int
	declared  money.Currency // of the account, when it is stated
	totals    entryTotals
}

var (
	camtNamespace = regexp.MustCompile(`camt\.0\d\d\.001\.(\d\d)`)
	camtMessages  = map[string]Format{"BkToCstmrStmt": Camt053, "BkToCstmrDbtCdtNtfctn": Camt054}
)

// Versions of the messages that are read.
const (
	firstCamtVersion = 2
	lastCamtVersion  = 13
)

func readCamt(in *intake) error {
	c := &camt{xmlCursor: newXMLCursor(in)}
	c.in.file.Format = "" // until the elements say it
	found := false
	err := c.root(func() error {
		return c.search(&found)
	})
	if err == nil && !found {
		return c.fault("", "no bank statement: neither BkToCstmrStmt (camt.053) nor BkToCstmrDbtCdtNtfctn (camt.054)")
	}
	return err
}

// root opens the element that the document consists of, and lets read close it.
func (c *camt) root(read func() error) error {
	for len(c.path) == 0 {
		t, err := c.token()
		if err != nil {
			return err
		}
		if start, ok := t.(xml.StartElement); ok {
			if err := c.enter(start); err != nil {
				return err
			}
		}
	}
	return read()
}

// search looks for messages in the open element, below the envelope that some banks put around them.
func (c *camt) search(found *bool) error {
	name := c.path[len(c.path)-1]
	if name == "BkToCstmrAcctRpt" {
		return c.fault("", "an intraday report (camt.052) is not a statement: use the camt.053 of the day")
	}
	format, isMessage := camtMessages[name]
	if !isMessage {
		return c.children(func(string) error { return c.search(found) })
	}
	if *found {
		return c.fault("", "a second message in the file")
	}
	*found = true
	c.in.file.Format = format
	if err := c.version(); err != nil {
		return err
	}
	return c.children(func(name string) error {
		switch name {
		case "GrpHdr":
			return c.children(func(name string) error {
				if name == "MsgId" {
					return c.into(&c.in.file.Message)
				}
				return nil
			})
		case "Stmt", "Ntfctn":
			return c.readStatement()
		}
		return nil
	})
}

// version reads the version from the namespace. Without one, as some banks send it, every version is tried.
func (c *camt) version() error {
	match := camtNamespace.FindStringSubmatch(c.start.Name.Space)
	if match == nil {
		return nil
	}
	c.in.file.Version = match[0]
	if n, err := strconv.Atoi(match[1]); err != nil || n < firstCamtVersion || n > lastCamtVersion {
		return c.fault(match[0], fmt.Sprintf("versions %02d to %02d are read", firstCamtVersion, lastCamtVersion))
	}
	return nil
}

// readStatement reads <Stmt> or <Ntfctn>.
func (c *camt) readStatement() error {
	s, err := c.in.begin()
	if err != nil {
		return err
	}
	c.statement, c.entries, c.declared, c.totals = s, 0, money.Currency{}, entryTotals{}
	if err := c.children(c.statementElement); err != nil {
		return err
	}
	s.settle()
	if err := c.controls(); err != nil {
		return err
	}
	return c.in.end()
}

func (c *camt) statementElement(name string) error {
	s := c.statement
	switch name {
	case "Id":
		return c.into(&s.ID)
	case "ElctrncSeqNb":
		return c.number(&s.Sequence.Number)
	case "LglSeqNb":
		if s.Sequence.Number == 0 {
			return c.number(&s.Sequence.Number)
		}
	case "StmtPgntn", "NtfctnPgntn":
		return c.children(func(name string) error {
			if name == "PgNb" {
				return c.number(&s.Sequence.Page)
			}
			return nil
		})
	case "CpyDplctInd":
		s.Copy = true
	case "FrToDt":
		return c.children(func(name string) error {
			switch name {
			case "FrDtTm", "FrDt":
				return c.date(&s.From)
			case "ToDtTm", "ToDt":
				return c.date(&s.To)
			}
			return nil
		})
	case "Acct":
		return c.account()
	case "Bal":
		return c.balance()
	case "TxsSummry":
		return c.summary()
	case "Ntry":
		return c.entry()
	}
	return nil
}

// account reads <Acct>: the IBAN, or the bank's own number, and the currency.
func (c *camt) account() error {
	return c.children(func(name string) error {
		switch name {
		case "Id":
			id, err := c.accountID()
			c.statement.Account = id
			return err
		case "Ccy":
			code, err := c.text()
			if err != nil || code == "" {
				return err
			}
			c.declared, err = c.in.currency(c.in.source.position(), "Acct Ccy", code)
			c.statement.Currency = code
			return err
		}
		return nil
	})
}

// accountID reads an <Id> of an account: <IBAN> or <Othr><Id>.
func (c *camt) accountID() (Account, error) {
	var a Account
	err := c.children(func(name string) error {
		switch name {
		case "IBAN":
			return c.into(&a.IBAN)
		case "Othr":
			return c.children(func(name string) error {
				if name == "Id" {
					return c.into(&a.Other)
				}
				return nil
			})
		}
		return nil
	})
	a.IBAN = compactIBAN(a.IBAN)
	return a, err
}

// balance reads <Bal>. Its sign is in CdtDbtInd and nowhere else.
func (c *camt) balance() error {
	c.in.source.markEntry()
	b := Balance{Position: c.in.source.position()}
	var direction Direction
	err := c.children(func(name string) (err error) {
		switch name {
		case "Tp":
			return c.children(func(name string) error {
				if name != "CdOrPrtry" {
					return nil // <SubTp> says of an interim balance whether it opens or closes a page: order says it too
				}
				return c.into((*string)(&b.Kind))
			})
		case "Amt":
			b.Amount, err = c.amount()
		case "CdtDbtInd":
			direction, err = c.direction()
		case "Dt":
			return c.date(&b.Date)
		}
		return err
	})
	switch {
	case err != nil:
		return err
	case b.Amount.Currency.Code == "":
		return c.in.fault(b.Position, c.where("Bal"), "", "a balance without an amount")
	case direction == "" && !b.Amount.Units.IsZero():
		return c.in.fault(b.Position, c.where("Bal"), "", "a balance without CdtDbtInd has no sign")
	}
	b.Amount.Units = signed(b.Amount.Units, direction)
	return c.in.balance(b)
}

func (c *camt) where(element string) string {
	return fmt.Sprintf("statement %d, %s", c.statement.Index+1, element)
}

func (c *camt) at() string {
	element := c.path[len(c.path)-1]
	if c.entries > 0 {
		return c.where(fmt.Sprintf("Ntry %d %s", c.entries, element))
	}
	return c.where(element)
}

// number reads a count. Lenient: what is none stays zero, with a note.
func (c *camt) number(n *int64) error {
	where := c.at()
	s, err := c.text()
	if err != nil {
		return err
	}
	v, err := strconv.ParseInt(s, 10, 64)
	if err != nil || v < 0 {
		c.statement.note(where + ": " + strconv.Quote(shorten(s)) + " is not a count")
		return nil
	}
	*n = v
	return nil
}

// date reads a day.
func (c *camt) date(d *Date) error {
	where := c.at()
	s, err := c.text()
	if err != nil || s == "" {
		return err
	}
	read, ok := isoDate(s)
	if !ok {
		return c.in.fault(c.in.source.position(), where, s, "not a date: YYYY-MM-DD expected")
	}
	*d = read
	return nil
}

// amount reads an amount and the currency in its attribute Ccy, for which the account's stands in.
func (c *camt) amount() (Amount, error) {
	where, code := c.at(), c.attribute("Ccy")
	digits, err := c.text()
	if err != nil {
		return Amount{}, err
	}
	at := c.in.source.position()
	currency := c.declared
	if code != "" {
		if currency, err = c.in.currency(at, where, code); err != nil {
			return Amount{}, err
		}
	}
	if currency.Code == "" {
		return Amount{}, c.in.fault(at, where, digits, "an amount without a currency, on an account without one")
	}
	return c.in.amount(at, where, digits, '.', currency)
}

// direction reads CdtDbtInd.
func (c *camt) direction() (Direction, error) {
	where := c.at()
	s, err := c.text()
	switch {
	case err != nil:
		return "", err
	case s == "CRDT":
		return Credit, nil
	case s == "DBIT":
		return Debit, nil
	}
	return "", c.in.fault(c.in.source.position(), where, s, "neither CRDT nor DBIT")
}
