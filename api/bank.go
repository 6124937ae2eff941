package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"strconv"
	"time"

	"tallystick/ledger"
	"tallystick/ledger/store"
)

// Bounds of files of banks.
const (
	// MaxBankFile is the longest file that is taken over HTTP, in bytes; longer ones
	// are taken by tallystick bank import.
	MaxBankFile = 64 << 20
	// MaxBankFiles is how many are taken at a time, of all ledgers.
	MaxBankFiles = 2
	// BankFileTime bounds the sending of a file, which may take longer than other
	// bodies, and the work on it.
	BankFileTime = 5 * time.Minute
	// maxFileName is the longest name of a file.
	maxFileName = 255
)

// BankDesk is what the server does about banks beyond its store.
type BankDesk struct {
	// Take has a file judged and, if it holds, stored. What cannot be taken because
	// of the ledger's accounts is a *BankRefusal.
	Take func(ctx context.Context, id ledger.LedgerID, f BankUpload) (BankReceipt, error)
	// Breaks returns the breaks of the newest run, nil before the first.
	Breaks func(ctx context.Context, id ledger.LedgerID) (*BreakBook, error)
}

// BankUpload is a file as it came.
type BankUpload struct {
	Name    string
	Account string // code of the ledger's account for all of it; empty: as the policy or earlier statements have it
	Content io.ReadSeeker
	By      ledger.KeyID
}

// BankReceipt says what became of a file.
type BankReceipt struct {
	Outcome    string // accepted, already_there or quarantined
	File       store.BankFile
	Statements []BankStatementTaken
}

// BankStatementTaken is a statement of a file; Already says that it was there before.
type BankStatementTaken struct {
	store.BankStatement
	Already bool
}

// BankRefusal is why a file is neither taken nor in quarantine.
type BankRefusal struct{ Detail string }

// Error returns the detail.
func (r *BankRefusal) Error() string { return r.Detail }

// takeBankFile answers POST /v1/ledgers/{ledger}/bank-statements.
func (h *handlers) takeBankFile(x *exchange) error {
	if err := h.findLedger(x); err != nil {
		return err
	}
	q := x.query("account", "name")
	upload := BankUpload{Account: q.code("account"), Name: q.text("name", maxFileName), By: x.actor}
	if q.err != nil {
		return q.err
	}
	if upload.Name == "" {
		upload.Name = "upload"
	}
	file, done, err := h.receive(x)
	if err != nil {
		return err
	}
	defer done()
	upload.Content = file
	ctx, cancel := context.WithTimeout(x.req.Context(), BankFileTime)
	defer cancel()
	receipt, err := h.Bank.Take(ctx, x.ledger, upload)
	if refusal, ok := errors.AsType[*BankRefusal](err); ok {
		return newProblem(codeBankAccountUnknown, "%s", refusal.Detail)
	}
	if err != nil {
		return fmt.Errorf("taking bank file %s: %w", upload.Name, err)
	}
	return x.sendReceipt(&receipt)
}

// receive writes the body to a temporary file: it is read more than once, and
// need not fit into memory.
func (h *handlers) receive(x *exchange) (file *os.File, done func(), err error) {
	if err := checkBankMedia(x.req.Header); err != nil {
		return nil, nil, err
	}
	if x.req.ContentLength > MaxBankFile {
		drain(x.req.Body)
		return nil, nil, bankFileTooLarge()
	}
	if !h.uploads.TryAcquire(1) {
		return nil, nil, newProblem(codeOverloaded, "other bank files are being taken; nothing happened, try again later")
	}
	controls := http.NewResponseController(x.c.Response())
	deadline := time.Now().Add(BankFileTime)
	_ = controls.SetReadDeadline(deadline) // where it cannot be set, the usual one holds
	_ = controls.SetWriteDeadline(deadline.Add(WriteTimeout))
	if file, err = os.CreateTemp("", "tallystick-bank-"); err != nil {
		h.uploads.Release(1)
		return nil, nil, fmt.Errorf("making room for a bank file: %w", err)
	}
	done = func() {
		_ = file.Close()
		_ = os.Remove(file.Name())
		h.uploads.Release(1)
	}
	n, err := io.Copy(file, io.LimitReader(x.req.Body, MaxBankFile+1))
	switch {
	case err != nil:
		err = &problem{code: codeBankFileCut, detail: "the file ended before its announced length", cause: err}
	case n > MaxBankFile:
		drain(x.req.Body)
		err = bankFileTooLarge()
	default:
		_, err = file.Seek(0, io.SeekStart)
	}
	if err != nil {
		done()
		return nil, nil, err
	}
	return file, done, nil
}

func bankFileTooLarge() *problem {
	return newProblem(codeBodyTooLarge, "a bank file has at most %d bytes here; tallystick bank import takes longer ones", MaxBankFile)
}

// bankMedia are the types that files of banks come under. What a file is, its
// content says.
var bankMedia = []string{"application/octet-stream", "application/xml", "text/xml", "text/plain", "text/csv"}

func checkBankMedia(h http.Header) error {
	if e := h.Get("Content-Encoding"); e != "" {
		return fieldProblem(codeMediaType, "Content-Encoding", "send the file without a content encoding")
	}
	mediaType, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	for _, known := range bankMedia {
		if err == nil && mediaType == known {
			return nil
		}
	}
	return fieldProblem(codeMediaType, "Content-Type", "send the file as it is, as application/octet-stream, application/xml or text/plain")
}

// sendReceipt answers what became of a file.
func (x *exchange) sendReceipt(r *BankReceipt) error {
	if r.Outcome == "quarantined" {
		p := newProblem(codeBankQuarantined, "nothing of the file was taken; it is in quarantine for %d reasons", len(r.File.Reasons))
		if r.File.Number > 0 {
			p.detail = fmt.Sprintf("nothing of the file was taken; as file %d it is in quarantine for %d reasons", r.File.Number, len(r.File.Reasons))
		}
		p.reasons = []string{}
		for _, reason := range r.File.Reasons {
			p.reasons = append(p.reasons, reason.Text)
		}
		return p
	}
	b := appendString(append(x.out, `{"outcome":`...), r.Outcome)
	if r.File.Number > 0 {
		b = strconv.AppendInt(append(b, `,"file":`...), r.File.Number, 10)
	}
	b = append(b, `,"sha256":"`...)
	b = append(append(b, r.File.SHA256.String()...), `","statements":[`...)
	for i := range r.Statements {
		s := &r.Statements[i]
		b = appendBankStatement(append(appendComma(b, i), `{"already_there":`+strconv.FormatBool(s.Already)+`,"statement":`...), &s.BankStatement)
		b = append(b, '}')
	}
	x.out = append(b, "]}"...)
	if r.Outcome == "accepted" {
		return x.send(201)
	}
	return x.send(200)
}

// listBankStatements answers GET /v1/ledgers/{ledger}/bank-statements.
func (h *handlers) listBankStatements(x *exchange) error {
	if err := h.findLedger(x); err != nil {
		return err
	}
	q := x.query("account", "bank_account", "limit", "cursor")
	f := store.BankStatementFilter{Account: q.code("account"), BankAccount: q.text("bank_account", maxNameParam)}
	limit, list := q.limit(), listID("bank-statements", x.ledger.String(), f.Account, f.BankAccount)
	f.After = q.from(list, 0)
	if q.err != nil {
		return q.err
	}
	f.Limit = limit + 1
	page, err := h.DB.BankStatements(x.req.Context(), x.ledger, f)
	if err != nil {
		return fmt.Errorf("listing bank statements: %w", err)
	}
	next := ""
	if len(page) > limit {
		page = page[:limit]
		next = seqCursor(list, page[limit-1].Number)
	}
	x.out = appendList(x.out, page, next, appendBankStatement)
	return x.send(200)
}

// oneBankStatement answers GET /v1/ledgers/{ledger}/bank-statements/{statement}: a
// statement with a page of its lines.
func (h *handlers) oneBankStatement(x *exchange) error {
	if err := h.findLedger(x); err != nil {
		return err
	}
	q := x.query("limit", "cursor")
	limit, list := q.limit(), listID("bank-lines", x.ledger.String(), x.param("statement"))
	after := q.from(list, 0)
	if q.err != nil {
		return q.err
	}
	number, ok := parseSeq(x.param("statement"))
	if !ok {
		return newProblem(codeBankStatementNotFound, "bank statements are named by their number, from 1 on")
	}
	s, err := h.DB.BankStatement(x.req.Context(), x.ledger, number)
	if errors.Is(err, store.ErrNotFound) {
		return newProblem(codeBankStatementNotFound, "this ledger has no bank statement %d", number)
	}
	if err != nil {
		return fmt.Errorf("reading bank statement %d: %w", number, err)
	}
	lines, err := h.DB.BankLines(x.req.Context(), x.ledger, &s, after, limit+1)
	if err != nil {
		return fmt.Errorf("reading the lines of bank statement %d: %w", number, err)
	}
	next := ""
	if len(lines) > limit {
		lines = lines[:limit]
		next = seqCursor(list, lines[limit-1].Number)
	}
	x.out = appendBankStatement(append(x.out, `{"statement":`...), &s)
	x.out = append(x.out, `,"lines":`...)
	x.out = appendList(x.out, lines, next, func(b []byte, l *store.BankLine) []byte { return appendBankLine(b, &s, l) })
	x.out = append(x.out, '}')
	return x.send(200)
}

// listBankFiles answers GET /v1/ledgers/{ledger}/bank-files: those in quarantine
// too, with why.
func (h *handlers) listBankFiles(x *exchange) error {
	if err := h.findLedger(x); err != nil {
		return err
	}
	q := x.query("limit", "cursor")
	limit, list := q.limit(), listID("bank-files", x.ledger.String())
	after := q.from(list, 0)
	if q.err != nil {
		return q.err
	}
	page, err := h.DB.BankFiles(x.req.Context(), x.ledger, after, limit+1)
	if err != nil {
		return fmt.Errorf("listing bank files: %w", err)
	}
	next := ""
	if len(page) > limit {
		page = page[:limit]
		next = seqCursor(list, page[limit-1].Number)
	}
	x.out = appendList(x.out, page, next, appendBankFile)
	return x.send(200)
}

func appendBankFile(b []byte, f *store.BankFile) []byte {
	b = strconv.AppendInt(append(b, `{"file":`...), f.Number, 10)
	b = appendString(append(b, `,"name":`...), f.Name)
	b = appendString(append(b, `,"format":`...), f.Format)
	b = append(append(append(b, `,"sha256":"`...), f.SHA256.String()...), '"')
	b = strconv.AppendInt(append(b, `,"bytes":`...), f.Bytes, 10)
	verdict := "quarantined"
	if f.Accepted {
		verdict = "accepted"
	}
	b = appendString(append(b, `,"verdict":`...), verdict)
	b = appendTime(append(b, `,"imported_at":`...), f.ImportedAt.UnixMicro())
	b = appendString(append(b, `,"imported_by":`...), f.ImportedBy)
	b = append(b, `,"reasons":[`...)
	for i := range f.Reasons {
		r := &f.Reasons[i]
		b = appendString(append(appendComma(b, i), `{"code":`...), r.Code)
		b = appendString(append(b, `,"text":`...), r.Text)
		if r.Line > 0 {
			b = strconv.AppendInt(append(b, `,"line":`...), r.Line, 10)
			b = strconv.AppendInt(append(b, `,"byte":`...), r.Byte, 10)
		}
		if r.Difference != "" {
			b = appendString(append(b, `,"difference":`...), r.Difference)
			b = appendString(append(b, `,"currency":`...), r.Currency)
		}
		b = append(b, '}')
	}
	return append(b, "]}"...)
}

func appendBankStatement(b []byte, s *store.BankStatement) []byte {
	b = strconv.AppendInt(append(b, `{"number":`...), s.Number, 10)
	b = strconv.AppendInt(append(b, `,"file":`...), s.File, 10)
	b = appendString(append(b, `,"account":`...), s.Account)
	b = appendString(append(b, `,"bank_account":`...), s.BankAccount)
	b = appendString(append(b, `,"currency":`...), s.Currency)
	b = appendString(append(b, `,"format":`...), s.Format)
	b = appendString(append(b, `,"bank_id":`...), s.BankID)
	if s.Sequence > 0 {
		b = strconv.AppendInt(append(b, `,"sequence":`...), s.Sequence, 10)
	}
	if s.From != nil {
		b = appendString(append(b, `,"from":`...), s.From.String())
	}
	b = appendString(append(b, `,"to":`...), s.To.String())
	if s.Opening != nil {
		b = appendUnits(append(b, `,"opening":`...), *s.Opening, s.Scale)
	}
	if s.Closing != nil {
		b = appendUnits(append(b, `,"closing":`...), *s.Closing, s.Scale)
	}
	b = appendUnits(append(b, `,"credits":`...), s.Credits, s.Scale)
	b = appendUnits(append(b, `,"debits":`...), s.Debits, s.Scale)
	b = strconv.AppendInt(append(b, `,"lines":`...), s.Lines, 10)
	b = append(b, `,"notes":[`...)
	for i, note := range s.Notes {
		b = appendString(appendComma(b, i), note)
	}
	return append(b, "]}"...)
}

func appendBankLine(b []byte, s *store.BankStatement, l *store.BankLine) []byte {
	b = append(b, `{"id":"bank:`...)
	b = strconv.AppendInt(append(strconv.AppendInt(b, s.Number, 10), '/'), l.Number, 10)
	b = appendString(append(b, `","booked":`...), l.Booked.String())
	if l.Valued != nil {
		b = appendString(append(b, `,"valued":`...), l.Valued.String())
	}
	b = appendUnits(append(b, `,"amount":`...), l.Units, s.Scale)
	b = appendString(append(b, `,"status":`...), l.Status)
	b = append(b, `,"reversal":`+strconv.FormatBool(l.Reversal)...)
	b = appendString(append(b, `,"code":`...), l.Code)
	b = appendString(append(b, `,"party":`...), l.Party)
	b = appendString(append(b, `,"description":`...), l.Description)
	refs, _ := json.Marshal(l.References) // of texts: sorted by name, never fails
	return append(append(append(b, `,"references":`...), refs...), '}')
}
