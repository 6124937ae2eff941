package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/labstack/echo/v4"

	"tallystick/ledger"
	"tallystick/ledger/store"
)

// This file alone knows both a code and an HTTP status.

// Codes that the API gives itself, beside those of ledger.Refusal. They are as
// stable as those: clients decide by them, so none ever changes its meaning.
const (
	// The body as a document.
	codeBodyTooLarge    ledger.Code = "body_too_large"
	codeMediaType       ledger.Code = "unsupported_media_type"
	codeMalformedJSON   ledger.Code = "malformed_json"
	codeTrailingJSON    ledger.Code = "trailing_json"
	codeDuplicateField  ledger.Code = "duplicate_field"
	codeUnknownField    ledger.Code = "unknown_field"
	codeMissingField    ledger.Code = "missing_field"
	codeConflictingForm ledger.Code = "conflicting_fields"
	codeWrongType       ledger.Code = "wrong_type"
	codeItemCount       ledger.Code = "item_count"

	// Values in it.
	codeAmountNotString ledger.Code = "amount_not_string"
	codeAmountInvalid   ledger.Code = "amount_invalid"
	codeCurrencyInvalid ledger.Code = "currency_invalid"
	codeAccountCode     ledger.Code = "account_code_invalid"
	codeAccountReserved ledger.Code = "account_code_reserved"
	codeValueInvalid    ledger.Code = "value_invalid"
	codeDateInvalid     ledger.Code = "date_invalid"
	codeTimeInvalid     ledger.Code = "time_invalid"
	codeIDInvalid       ledger.Code = "id_invalid"
	codeTextInvalid     ledger.Code = "text_invalid"
	codeTextTooLong     ledger.Code = "text_too_long"
	codeMetadataInvalid ledger.Code = "metadata_invalid"
	codeMetadataTooBig  ledger.Code = "metadata_too_large"
	codeTagsInvalid     ledger.Code = "tags_invalid"

	// The idempotency key.
	codeKeyMissing  ledger.Code = "idempotency_key_missing"
	codeKeyInvalid  ledger.Code = "idempotency_key_invalid"
	codeKeyMismatch ledger.Code = "idempotency_key_mismatch"

	// The query.
	codeUnknownParameter  ledger.Code = "unknown_parameter"
	codeRepeatedParameter ledger.Code = "parameter_repeated"
	codeInvalidParameter  ledger.Code = "parameter_invalid"
	codeLimitInvalid      ledger.Code = "limit_invalid"
	codeCursorInvalid     ledger.Code = "cursor_invalid"
	codeSeqNotReached     ledger.Code = "seq_not_reached"

	// What the path names.
	codeRouteNotFound    ledger.Code = "route_not_found"
	codeLedgerNotFound   ledger.Code = "ledger_not_found"
	codeAccountNotFound  ledger.Code = "account_not_found"
	codeTileNotFound     ledger.Code = "tile_not_found"
	codeNoCommitment     ledger.Code = "commitment_not_found"
	codeReportNotFound   ledger.Code = "report_not_found"
	codeMethodNotAllowed ledger.Code = "method_not_allowed"

	// Banks.
	codeBankStatementNotFound ledger.Code = "bank_statement_not_found"
	codeBreakNotFound         ledger.Code = "break_not_found"
	codeBankQuarantined       ledger.Code = "bank_file_quarantined"
	codeBankAccountUnknown    ledger.Code = "bank_account_unknown"
	codeBankFileCut           ledger.Code = "bank_file_cut"
	codeLineNotFound          ledger.Code = "line_not_found"
	codeLinesApart            ledger.Code = "lines_of_several_accounts"
	codeNothingOpen           ledger.Code = "nothing_open"
	codeWrittenOff            ledger.Code = "already_written_off"

	// Reports.
	codeReportTooLong  ledger.Code = "report_too_long"
	codeStatementUnfit ledger.Code = "statement_unfit"

	// Checkpoints and proofs.
	codeNoCheckpoint  ledger.Code = "no_checkpoint"
	codeNotSealed     ledger.Code = "not_sealed"
	codeEmptyBaseline ledger.Code = "empty_baseline"

	// Who asks, and whether the server can answer.
	codeUnauthenticated ledger.Code = "unauthenticated"
	codeForbidden       ledger.Code = "forbidden"
	codeInternal        ledger.Code = "internal"
	codeOverloaded      ledger.Code = "overloaded"
	codeLedgerHalted    ledger.Code = "ledger_halted"
	codeOutcomeUnknown  ledger.Code = "outcome_unknown"
	codeUnavailable     ledger.Code = "unavailable"
	codeStopping        ledger.Code = "stopping"
	codeNotReady        ledger.Code = "not_ready"
	// codeErasureUnfinished: the erasure is on record, the text still there.
	codeErasureUnfinished ledger.Code = "erasure_unfinished"
)

// statusOf gives every code its HTTP status. A code that is missing here, which
// a test forbids, is answered as 500.
var statusOf = map[ledger.Code]int{
	codeMalformedJSON:     http.StatusBadRequest,
	codeTrailingJSON:      http.StatusBadRequest,
	codeDuplicateField:    http.StatusBadRequest,
	codeUnknownField:      http.StatusBadRequest,
	codeMissingField:      http.StatusBadRequest,
	codeConflictingForm:   http.StatusBadRequest,
	codeWrongType:         http.StatusBadRequest,
	codeItemCount:         http.StatusBadRequest,
	codeAmountNotString:   http.StatusBadRequest,
	codeAmountInvalid:     http.StatusBadRequest,
	codeCurrencyInvalid:   http.StatusBadRequest,
	codeAccountCode:       http.StatusBadRequest,
	codeAccountReserved:   http.StatusBadRequest,
	codeValueInvalid:      http.StatusBadRequest,
	codeDateInvalid:       http.StatusBadRequest,
	codeTimeInvalid:       http.StatusBadRequest,
	codeIDInvalid:         http.StatusBadRequest,
	codeTextInvalid:       http.StatusBadRequest,
	codeTextTooLong:       http.StatusBadRequest,
	codeMetadataInvalid:   http.StatusBadRequest,
	codeMetadataTooBig:    http.StatusBadRequest,
	codeTagsInvalid:       http.StatusBadRequest,
	codeKeyMissing:        http.StatusBadRequest,
	codeKeyInvalid:        http.StatusBadRequest,
	codeKeyMismatch:       http.StatusBadRequest,
	codeUnknownParameter:  http.StatusBadRequest,
	codeRepeatedParameter: http.StatusBadRequest,
	codeInvalidParameter:  http.StatusBadRequest,
	codeLimitInvalid:      http.StatusBadRequest,
	codeCursorInvalid:     http.StatusBadRequest,
	codeEmptyBaseline:     http.StatusBadRequest,

	codeWrittenOff:            http.StatusConflict,
	codeBankFileCut:           http.StatusBadRequest,
	codeBankStatementNotFound: http.StatusNotFound,
	codeBreakNotFound:         http.StatusNotFound,
	codeBankQuarantined:       http.StatusUnprocessableEntity,
	codeBankAccountUnknown:    http.StatusUnprocessableEntity,
	codeLineNotFound:          http.StatusUnprocessableEntity,
	codeLinesApart:            http.StatusUnprocessableEntity,
	codeNothingOpen:           http.StatusUnprocessableEntity,

	codeUnauthenticated: http.StatusUnauthorized,

	codeForbidden:               http.StatusForbidden,
	ledger.CodeApprovalRequired: http.StatusForbidden,
	ledger.CodeSecondPerson:     http.StatusForbidden,

	codeRouteNotFound:           http.StatusNotFound,
	codeLedgerNotFound:          http.StatusNotFound,
	codeAccountNotFound:         http.StatusNotFound,
	codeNoCommitment:            http.StatusNotFound,
	codeReportNotFound:          http.StatusNotFound,
	ledger.CodeEntryNotFound:    http.StatusNotFound,
	ledger.CodeRunNotFound:      http.StatusNotFound,
	codeTileNotFound:            http.StatusNotFound,
	codeNoCheckpoint:            http.StatusNotFound,
	ledger.CodeTransferNotFound: http.StatusNotFound,

	codeMethodNotAllowed: http.StatusMethodNotAllowed,

	codeNotSealed:                  http.StatusConflict,
	ledger.CodeLedgerExists:        http.StatusConflict,
	ledger.CodeAccountExists:       http.StatusConflict,
	ledger.CodeIdempotencyConflict: http.StatusConflict,
	ledger.CodeCurrencyExists:      http.StatusConflict,
	ledger.CodeKeyExists:           http.StatusConflict,
	ledger.CodeRunNotReviewed:      http.StatusConflict,
	ledger.CodeRunRejected:         http.StatusConflict,

	codeBodyTooLarge:         http.StatusRequestEntityTooLarge,
	ledger.CodeBatchTooHeavy: http.StatusRequestEntityTooLarge,
	codeMediaType:            http.StatusUnsupportedMediaType,

	codeReportTooLong:            http.StatusUnprocessableEntity,
	codeStatementUnfit:           http.StatusUnprocessableEntity,
	codeSeqNotReached:            http.StatusUnprocessableEntity,
	ledger.CodeTooLate:           http.StatusUnprocessableEntity,
	ledger.CodePostingCount:      http.StatusUnprocessableEntity,
	ledger.CodeAmountNotPositive: http.StatusUnprocessableEntity,
	ledger.CodeAccountTwice:      http.StatusUnprocessableEntity,
	ledger.CodeUnknownAccount:    http.StatusUnprocessableEntity,
	ledger.CodeUnknownCurrency:   http.StatusUnprocessableEntity,
	ledger.CodeCurrencyMismatch:  http.StatusUnprocessableEntity,
	ledger.CodeAmountPrecision:   http.StatusUnprocessableEntity,
	ledger.CodeAmountRange:       http.StatusUnprocessableEntity,
	ledger.CodeUnbalanced:        http.StatusUnprocessableEntity,
	ledger.CodeDateOutOfBounds:   http.StatusUnprocessableEntity,
	ledger.CodeAccountClosed:     http.StatusUnprocessableEntity,
	ledger.CodeAccountFrozen:     http.StatusUnprocessableEntity,
	ledger.CodeLimitExceeded:     http.StatusUnprocessableEntity,
	ledger.CodeLimitsCrossed:     http.StatusUnprocessableEntity,
	ledger.CodeAccountNotEmpty:   http.StatusUnprocessableEntity,
	ledger.CodeLedgerName:        http.StatusUnprocessableEntity,
	ledger.CodeTimeZone:          http.StatusUnprocessableEntity,
	ledger.CodeDayCutoff:         http.StatusUnprocessableEntity,
	ledger.CodeValueDays:         http.StatusUnprocessableEntity,
	ledger.CodePredecessor:       http.StatusUnprocessableEntity,

	ledger.CodeNotAHold:            http.StatusUnprocessableEntity,
	ledger.CodeHoldCaptured:        http.StatusUnprocessableEntity,
	ledger.CodeHoldReleased:        http.StatusUnprocessableEntity,
	ledger.CodeHoldExpired:         http.StatusUnprocessableEntity,
	ledger.CodeHoldNotExpired:      http.StatusUnprocessableEntity,
	ledger.CodeCaptureMismatch:     http.StatusUnprocessableEntity,
	ledger.CodeCaptureExceedsHold:  http.StatusUnprocessableEntity,
	ledger.CodeExpiryPassed:        http.StatusUnprocessableEntity,
	ledger.CodeNotReversible:       http.StatusUnprocessableEntity,
	ledger.CodeAlreadyReversed:     http.StatusUnprocessableEntity,
	ledger.CodeBatchPartlyPosted:   http.StatusUnprocessableEntity,
	ledger.CodeCurrencyReserved:    http.StatusUnprocessableEntity,
	ledger.CodePeriodClosed:        http.StatusUnprocessableEntity,
	ledger.CodePriorPeriodUnneeded: http.StatusUnprocessableEntity,

	ledger.CodePeriodNotOver:         http.StatusUnprocessableEntity,
	ledger.CodePeriodAlreadyClosed:   http.StatusUnprocessableEntity,
	ledger.CodePeriodNotClosed:       http.StatusUnprocessableEntity,
	ledger.CodeRetainAccountNeeded:   http.StatusUnprocessableEntity,
	ledger.CodeRetainAccountInvalid:  http.StatusUnprocessableEntity,
	ledger.CodeTooManyIncomeAccounts: http.StatusUnprocessableEntity,
	ledger.CodeKeyMalformed:          http.StatusUnprocessableEntity,
	ledger.CodeKeyOrigin:             http.StatusUnprocessableEntity,
	ledger.CodeKeyUnknown:            http.StatusUnprocessableEntity,
	ledger.CodeKeyRevoked:            http.StatusUnprocessableEntity,
	ledger.CodeNothingToErase:        http.StatusUnprocessableEntity,
	ledger.CodeSizeNotReached:        http.StatusUnprocessableEntity,
	ledger.CodeTooManyCurrencies:     http.StatusUnprocessableEntity,
	ledger.CodeRunInvalid:            http.StatusUnprocessableEntity,
	ledger.CodeDecisionInvalid:       http.StatusUnprocessableEntity,
	ledger.CodePolicyInvalid:         http.StatusUnprocessableEntity,

	codeInternal: http.StatusInternalServerError,

	codeOverloaded:             http.StatusServiceUnavailable,
	codeLedgerHalted:           http.StatusServiceUnavailable,
	codeOutcomeUnknown:         http.StatusServiceUnavailable,
	codeUnavailable:            http.StatusServiceUnavailable,
	codeStopping:               http.StatusServiceUnavailable,
	codeNotReady:               http.StatusServiceUnavailable,
	codeErasureUnfinished:      http.StatusServiceUnavailable,
	ledger.CodeAccountDamaged:  http.StatusServiceUnavailable,
	ledger.CodeTransferDamaged: http.StatusServiceUnavailable,
}

// retryAfter says, in seconds, when a refusal may have passed by itself. The
// codes of 503 that are not here need an operator first.
var retryAfter = map[ledger.Code]string{
	codeNotSealed:      "1",
	codeOverloaded:     "1",
	codeOutcomeUnknown: "1",
	codeUnavailable:    "1",
	codeStopping:       "5",
	codeNotReady:       "5",

	codeErasureUnfinished: "5",
}

// problem is an answer that refuses, in the terms of RFC 9457. It is an error,
// so that handlers return it.
type problem struct {
	code   ledger.Code
	detail string // one sentence for the client: what is wrong, what to do
	// field is a JSON Pointer into the body, or the name of a query parameter or
	// header.
	field   string
	reasons []string // of not_ready: the checks that fail; of bank_file_quarantined: what speaks against it
	item    *int     // of an atomic batch: the item that is refused

	refusal *ledger.Refusal // when the ledger refused
	cause   error           // for the log, never sent
}

// newProblem returns a problem about the whole request.
func newProblem(code ledger.Code, format string, args ...any) *problem {
	return &problem{code: code, detail: fmt.Sprintf(format, args...)}
}

// fieldProblem returns a problem about one parameter or header.
func fieldProblem(code ledger.Code, field, format string, args ...any) *problem {
	return &problem{code: code, field: field, detail: fmt.Sprintf(format, args...)}
}

// refused turns the ledger's answer into a problem.
func refused(r *ledger.Refusal) *problem {
	p := &problem{code: r.Code, detail: r.Detail, refusal: r}
	if r.Item >= 0 {
		p.item = &r.Item
	}
	return p
}

// Error serves the log.
func (p *problem) Error() string {
	if p.cause != nil {
		return string(p.code) + ": " + p.cause.Error()
	}
	return string(p.code) + ": " + p.detail
}

// Unwrap returns what lies behind the problem, if anything.
func (p *problem) Unwrap() error { return p.cause }

// status returns the HTTP status of the problem's code.
func (p *problem) status() int {
	if s, ok := statusOf[p.code]; ok {
		return s
	}
	return http.StatusInternalServerError
}

// failures maps the ledger's sentinels, in the order in which they are looked
// for.
var failures = []struct {
	is     error
	code   ledger.Code
	detail string
}{
	{ledger.ErrOverloaded, codeOverloaded, "the queue of this ledger is full; nothing happened, try again later"},
	{ledger.ErrHalted, codeLedgerHalted, "this ledger stopped posting because of a finding; nothing happened, an operator has to look at it"},
	{ledger.ErrUnknownOutcome, codeOutcomeUnknown, "the outcome is not known yet; sending the same request with the same id or key again is safe"},
	{ledger.ErrStopped, codeStopping, "this server is shutting down; nothing happened, try again"},
	{store.ErrDamaged, ledger.CodeAccountDamaged, "what is stored here was changed outside this server; nothing can be said about it until an operator has run tallystick verify"},
	{store.ErrBeyondRange, ledger.CodeAmountRange, "the balance asked for needs more than 128 bits; ask for fewer accounts, or for another day"},
	{ledger.ErrUnavailable, codeUnavailable, "the database does not answer or a clock is off; nothing happened, try again"},
}

// problemOf turns whatever a handler returned into an answer. What it does not
// know becomes "internal": the text of an unknown error stays in the log.
func problemOf(err error) *problem {
	if p, ok := errors.AsType[*problem](err); ok {
		return p
	}
	for _, f := range failures {
		if errors.Is(err, f.is) {
			return &problem{code: f.code, detail: f.detail, cause: err}
		}
	}
	if he, ok := errors.AsType[*echo.HTTPError](err); ok {
		switch he.Code {
		case http.StatusNotFound:
			return newProblem(codeRouteNotFound, "there is nothing at this path; see /openapi.yaml")
		case http.StatusMethodNotAllowed:
			return newProblem(codeMethodNotAllowed, "this path does not take this method; the Allow header lists those it takes")
		}
	}
	if databaseAway(err) {
		return &problem{code: codeUnavailable, detail: "the database does not answer now; try again", cause: err}
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return &problem{code: codeUnavailable, detail: "the request ended before its answer was there", cause: err}
	}
	return &problem{code: codeInternal, detail: "an unforeseen error happened; the server's log has it", cause: err}
}

// databaseAway reports whether a read failed because the database could not be
// reached, is starting or stopping, has no room, took too long, or wants it asked
// again (CockroachDB, when some of the rows are on their way already, or when its
// nodes do not reach each other).
func databaseAway(err error) bool {
	if _, ok := errors.AsType[net.Error](err); ok {
		return true
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return true
	}
	state, ok := errors.AsType[interface {
		error
		SQLState() string
	}](err)
	return ok && len(state.SQLState()) == sqlStateBytes && store.PassingState(state.SQLState())
}

// sqlStateBytes is the length of an SQLSTATE.
const sqlStateBytes = 5

// appendProblem appends the problem document.
func appendProblem(b []byte, p *problem) []byte {
	status := p.status()
	b = append(b, `{"type":"about:blank","title":`...)
	b = appendString(b, http.StatusText(status))
	b = append(b, `,"status":`...)
	b = strconv.AppendInt(b, int64(status), 10)
	b = append(b, `,"detail":`...)
	b = appendString(b, p.detail)
	b = append(b, `,"code":`...)
	b = appendString(b, string(p.code))
	if p.field != "" {
		b = append(b, `,"field":`...)
		b = appendString(b, p.field)
	}
	if p.reasons != nil {
		b = append(b, `,"reasons":[`...)
		for i, reason := range p.reasons {
			b = appendString(appendComma(b, i), reason)
		}
		b = append(b, ']')
	}
	if p.item != nil {
		b = strconv.AppendInt(append(b, `,"index":`...), int64(*p.item), 10)
	}
	if p.refusal != nil {
		b = appendRefusal(b, p.refusal)
	}
	return append(b, '}')
}

// appendRefusal appends the extension members of the ledger's refusals.
func appendRefusal(b []byte, r *ledger.Refusal) []byte {
	if r.Account != "" {
		b = append(b, `,"account":`...)
		b = appendString(b, r.Account)
	}
	if r.Posting >= 0 {
		b = append(b, `,"posting":`...)
		b = strconv.AppendInt(b, int64(r.Posting), 10)
	}
	if r.Available != nil {
		b = append(b, `,"available":"`...)
		b = r.Available.AppendFormat(b, r.Scale)
		b = append(b, `","currency":`...)
		b = appendString(b, r.Currency)
	}
	b = append(b, `,"evaluated_at_seq":`...)
	return strconv.AppendInt(b, r.EvaluatedAtSeq, 10)
}

// appendString appends s as a JSON string.
func appendString[T ~string | ~[]byte](b []byte, s T) []byte {
	// The only error is invalid UTF-8, which every way in refuses; were there
	// any, it would be replaced, and the document would stay valid JSON.
	b, _ = jsontext.AppendQuote(b, s)
	return b
}

// appendComma separates the elements of an array.
func appendComma(b []byte, i int) []byte {
	if i > 0 {
		return append(b, ',')
	}
	return b
}
