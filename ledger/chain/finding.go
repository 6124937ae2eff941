package chain

// Severity ranks a finding.
type Severity string

// The severities. Only a critical finding makes a ledger "tampered".
const (
	Info     Severity = "info"
	Warning  Severity = "warning"
	Critical Severity = "critical"
)

// Finding is what a check reports. Account and Column are set only where a
// second rule proves them: one hash covers a whole entry and cannot say which
// of its columns was changed.
type Finding struct {
	Code       string   `json:"code"`
	Severity   Severity `json:"severity"`
	Seq        *int64   `json:"seq"`
	TransferID *string  `json:"transfer_id"`
	Account    *string  `json:"account"`
	Column     *string  `json:"column"`
	Stored     *string  `json:"stored"`
	Recomputed *string  `json:"recomputed"`
	NextStep   string   `json:"next_step"`
}
