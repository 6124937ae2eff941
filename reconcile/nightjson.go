package reconcile

import (
	"encoding/json"

	"tallystick/ledger/chain"
	"tallystick/ledger/store"
)

// shownTime is how times of runs are shown: RFC 3339 with microseconds.
const shownTime = "2006-01-02T15:04:05.000000Z"

// ShownRun is a run as commands and the API show it.
type ShownRun struct {
	Run       string          `json:"run"`
	AsOf      string          `json:"as_of"`
	Size      int64           `json:"size"`
	Head      string          `json:"head"`
	Status    string          `json:"status"` // running, or done
	Phase     string          `json:"phase"`  // that is to be done next; done at the end
	Result    *string         `json:"result"` // null before the end
	Critical  int64           `json:"critical"`
	Warnings  int64           `json:"warnings"`
	ReadFrom  int64           `json:"read_from"`
	NotReRead int64           `json:"not_re_read"`
	Reports   *string         `json:"reports_sha256"`
	EntrySeq  *int64          `json:"entry_seq"`
	StartedAt string          `json:"started_at"`
	EndedAt   *string         `json:"ended_at"`
	Pins      json.RawMessage `json:"pins"`
}

// ShowRun returns a run as it is shown.
func ShowRun(r *store.Run) ShownRun {
	s := ShownRun{
		Run: r.ID.String(), AsOf: r.AsOf.String(), Size: r.Size, Head: r.Head.String(), Status: "running", Phase: r.Phase,
		Critical: r.Critical, Warnings: r.Warnings, ReadFrom: r.ReadFrom, NotReRead: r.NotReRead, EntrySeq: r.EntrySeq,
		StartedAt: r.StartedAt.UTC().Format(shownTime), Pins: r.Pins,
	}
	if r.Phase == store.PhaseDone {
		s.Status, s.Result = "done", &r.Result
	}
	if r.Reports != nil {
		digest := r.Reports.String()
		s.Reports = &digest
	}
	if r.EndedAt != nil {
		ended := r.EndedAt.UTC().Format(shownTime)
		s.EndedAt = &ended
	}
	return s
}

// ShownNight is a run with what it found and put out.
type ShownNight struct {
	ShownRun
	Phases   []PhaseFindings `json:"phases"`
	Disputed []chain.Finding `json:"disputed"` // about the run itself
	Outputs  []ShownOutput   `json:"outputs"`
}

// ShownOutput is something that a run put out.
type ShownOutput struct {
	Kind   string `json:"kind"`
	Name   string `json:"name"`
	SHA256 string `json:"sha256"`
	Bytes  int64  `json:"bytes"`
}

// ShowNight returns a run as it is shown, with what it found and put out.
func ShowNight(r *NightResult) ShownNight {
	s := ShownNight{ShownRun: ShowRun(&r.Run), Phases: append([]PhaseFindings{}, r.Phases...),
		Disputed: append([]chain.Finding{}, r.Disputed...), Outputs: []ShownOutput{}}
	for i := range r.Outputs {
		o := &r.Outputs[i]
		s.Outputs = append(s.Outputs, ShownOutput{o.Kind, o.Name, o.SHA256.String(), o.Size})
	}
	return s
}
