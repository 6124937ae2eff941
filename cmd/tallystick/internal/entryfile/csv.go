package entryfile

import (
	"strconv"
)

// csvColumns are the columns of a CSV file.
var csvColumns = []string{
	"seq", "kind", "id", "recorded_at", "booking_date", "effective_date", "account", "type", "account_seq", "direction", "amount",
	"pending_change", "currency", "balance", "description", "reference", "metadata", "ref_seq", "related_to", "expires_at", "prior_period",
	"details", "actor", "hash", "prev_hash",
}

const (
	seqColumn  = 0
	hashColumn = 23
)

func (w *Writer) writeCSV(e *entry) error {
	row := make([]string, len(csvColumns))
	row[seqColumn], row[1], row[2] = strconv.FormatInt(e.Seq, 10), e.Kind, e.ID
	row[3], row[4], row[5] = e.RecordedAt, e.BookingDate, e.EffectiveDate
	row[14], row[15], row[16] = e.Description, e.Reference, string(e.Metadata)
	if e.RefSeq != nil {
		row[17] = strconv.FormatInt(*e.RefSeq, 10)
	}
	row[18], row[19] = e.RelatedTo, e.ExpiresAt
	if e.PriorPeriod {
		row[20] = "true"
	}
	for i, d := range e.Details {
		if i > 0 {
			row[21] += "; "
		}
		row[21] += d.Name + "=" + d.Value
	}
	row[22], row[hashColumn], row[24] = e.Actor, e.Hash, e.PrevHash
	if e.Account != nil {
		row[6], row[7], row[12] = e.Account.Code, e.Account.Type, e.Account.Currency
	}
	if len(e.Postings) == 0 {
		if err := w.rows.Write(row); err != nil {
			return err
		}
	}
	for i := range e.Postings {
		p := &e.Postings[i]
		row[6], row[8], row[9] = p.Account, strconv.FormatInt(p.AccountSeq, 10), p.Direction
		row[10], row[11], row[12], row[13] = p.Amount, p.PendingChange, p.Currency, p.Balance
		if err := w.rows.Write(row); err != nil {
			return err
		}
	}
	w.rows.Flush()
	return w.rows.Error()
}
