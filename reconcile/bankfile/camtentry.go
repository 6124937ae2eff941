package bankfile

import "fmt"

// entry reads <Ntry>. RvslInd only says why the line is there: CdtDbtInd of a reversal is already that of
// the reversal itself (MDR, ReversalIndicator: "if the CreditDebitIndicator is CRDT and ReversalIndicator is
// Yes, the original entry was a debit entry").
func (c *camt) entry() error {
	c.in.source.markEntry()
	c.entries++
	l := &Line{Position: c.in.source.position()}
	var status string
	err := c.children(func(name string) (err error) {
		switch name {
		case "NtryRef":
			return c.into(&l.References.Entry)
		case "Amt":
			l.Amount, err = c.amount()
		case "CdtDbtInd":
			l.Direction, err = c.direction()
		case "RvslInd":
			var said string
			said, err = c.text()
			l.Reversal = said == "true" || said == "1"
		case "Sts":
			return c.into(&status)
		case "BookgDt":
			return c.date(&l.BookingDate)
		case "ValDt":
			return c.date(&l.ValueDate)
		case "AcctSvcrRef":
			return c.into(&l.References.Servicer)
		case "BkTxCd":
			return c.code(&l.Code)
		case "NtryDtls":
			return c.entryDetails(l)
		case "AddtlNtryInf":
			return c.into(&l.Info)
		}
		return err
	})
	if err != nil {
		return err
	}
	if err := c.complete(l, status); err != nil {
		return err
	}
	c.totals.add(l)
	return c.in.line(l)
}

// complete checks what an entry cannot do without, and fills in what its details say of it.
func (c *camt) complete(l *Line, status string) error {
	where := c.where(fmt.Sprintf("Ntry %d", c.entries))
	switch {
	case l.Amount.Currency.Code == "":
		return c.in.fault(l.Position, where, "", "an entry without an amount")
	case l.Direction == "":
		return c.in.fault(l.Position, where, "", "an entry without CdtDbtInd has no sign")
	}
	switch status {
	case "BOOK":
		l.Status = Booked
	case "":
		l.Status = Booked
		c.statement.note(where + " has no status: taken as booked")
	case "PDNG", "FUTR":
		l.Status = Pending
	case "INFO":
		l.Status = Info
	default:
		return c.in.fault(l.Position, where, status, "an entry's status is BOOK, PDNG, FUTR or INFO")
	}
	for i := range l.Details {
		if l.Details[i].Direction == "" {
			l.Details[i].Direction = l.Direction
		}
	}
	if l.BookingDate == "" && l.Status == Booked && l.ValueDate == "" {
		c.statement.note(where + " has neither a booking nor a value date")
	}
	if len(l.Details) == 1 {
		l.lift(l.Details[0])
	}
	if l.Batch != nil {
		fill(&l.References.Message, l.Batch.Message)
		fill(&l.References.Batch, l.Batch.Payment)
	}
	return nil
}

// lift gives a line what its only detail says.
func (l *Line) lift(d Detail) {
	own := l.References
	l.References = d.References
	fill(&l.References.Servicer, own.Servicer)
	l.References.Entry = own.Entry
	l.Counterparty, l.Remittance = d.Counterparty, d.Remittance
	fill(&l.Code, d.Code)
	fill(&l.Info, d.Info)
}

func fill(field *string, value string) {
	if *field == "" {
		*field = value
	}
}

// entryDetails reads <NtryDtls>: a batch, or its payments, or both.
func (c *camt) entryDetails(l *Line) error {
	return c.children(func(name string) error {
		switch name {
		case "Btch":
			return c.batch(l)
		case "TxDtls":
			if len(l.Details) >= MaxDetails {
				return c.fault("", fmt.Sprintf("more than %d details of one entry", MaxDetails))
			}
			c.in.source.markEntry()
			d, err := c.detail(l)
			l.Details = append(l.Details, d)
			return err
		}
		return nil
	})
}

func (c *camt) batch(l *Line) error {
	b := &Batch{}
	l.Batch = b
	return c.children(func(name string) error {
		switch name {
		case "MsgId":
			return c.into(&b.Message)
		case "PmtInfId":
			return c.into(&b.Payment)
		case "NbOfTxs":
			return c.number(&b.Count)
		case "TtlAmt":
			total, err := c.amount()
			b.Total = &total
			return err
		}
		return nil
	})
}

// detail reads <TxDtls>.
func (c *camt) detail(l *Line) (Detail, error) {
	var d Detail
	var p parties
	err := c.children(func(name string) (err error) {
		switch name {
		case "Refs":
			return c.references(&d.References)
		case "Amt":
			var a Amount
			a, err = c.amount()
			d.Amount = &a
		case "CdtDbtInd":
			d.Direction, err = c.direction()
		case "AmtDtls":
			return c.amountDetails(&d)
		case "BkTxCd":
			return c.code(&d.Code)
		case "RltdPties":
			return c.relatedParties(&p)
		case "RmtInf":
			return c.remittance(&d)
		case "AddtlTxInf":
			return c.into(&d.Info)
		}
		return err
	})
	direction := d.Direction
	if direction == "" {
		direction = l.Direction
	}
	d.Counterparty = p.opposite(c.statement.Account, direction, l.Reversal)
	return d, err
}

// amountDetails reads the amount of the transaction itself from <AmtDtls>, in case <Amt> is absent; what was
// instructed, and counter values, are in other currencies.
func (c *camt) amountDetails(d *Detail) error {
	return c.children(func(name string) error {
		if name != "TxAmt" {
			return nil
		}
		return c.children(func(name string) error {
			if name != "Amt" || d.Amount != nil {
				return nil
			}
			a, err := c.amount()
			d.Amount = &a
			return err
		})
	})
}

// notProvided is what EPC rules have a bank write where the payer gave no reference.
const notProvided = "NOTPROVIDED"

func (c *camt) references(r *References) error {
	fields := map[string]*string{
		"MsgId": &r.Message, "AcctSvcrRef": &r.Servicer, "PmtInfId": &r.Batch, "InstrId": &r.Instruction, "EndToEndId": &r.EndToEnd,
		"UETR": &r.UETR, "TxId": &r.Transaction, "MndtId": &r.Mandate, "ChqNb": &r.Cheque,
	}
	return c.children(func(name string) error {
		field := fields[name]
		if field == nil {
			return nil
		}
		err := c.into(field)
		if *field == notProvided {
			*field = ""
		}
		return err
	})
}

// code reads <BkTxCd>: domain, family and sub-family joined by slashes, or the bank's own code.
func (c *camt) code(into *string) error {
	var domain, family, sub, own string
	err := c.children(func(name string) error {
		switch name {
		case "Domn":
			return c.children(func(name string) error {
				switch name {
				case "Cd":
					return c.into(&domain)
				case "Fmly":
					return c.children(func(name string) error {
						switch name {
						case "Cd":
							return c.into(&family)
						case "SubFmlyCd":
							return c.into(&sub)
						}
						return nil
					})
				}
				return nil
			})
		case "Prtry":
			return c.children(func(name string) error {
				if name == "Cd" {
					return c.into(&own)
				}
				return nil
			})
		}
		return nil
	})
	if *into = own; domain != "" {
		*into = domain + "/" + family + "/" + sub
	}
	return err
}

// remittance reads <RmtInf>: free text, the creditor's reference, document numbers.
func (c *camt) remittance(d *Detail) error {
	return c.children(func(name string) error {
		switch name {
		case "Ustrd":
			return c.addTo(&d.Remittance)
		case "Strd":
			return c.children(func(name string) error {
				switch name {
				case "CdtrRefInf":
					return c.children(func(name string) error {
						if name == "Ref" {
							return c.addTo(&d.Remittance)
						}
						return nil
					})
				case "RfrdDocInf":
					return c.children(func(name string) error {
						if name == "Nb" {
							return c.addTo(&d.Remittance)
						}
						return nil
					})
				case "AddtlRmtInf":
					return c.addTo(&d.Remittance)
				}
				return nil
			})
		}
		return nil
	})
}

// summary reads <TxsSummry>; what it states is compared once the entries are read.
func (c *camt) summary() error {
	return c.children(func(name string) error {
		switch name {
		case "TtlNtries", "TtlCdtNtries", "TtlDbtNtries":
		default:
			return nil
		}
		stated := statedTotal{name: name, position: c.in.source.position()}
		err := c.children(func(name string) error {
			switch name {
			case "NbOfNtries":
				return c.into(&stated.count)
			case "Sum":
				return c.into(&stated.sum)
			}
			return nil
		})
		c.totals.stated = append(c.totals.stated, stated)
		return err
	})
}
