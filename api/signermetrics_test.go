package api

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"tallystick/ledger"
)

func TestTheSignersFiguresAreShown(t *testing.T) {
	t.Parallel()
	id := ledger.LedgerID{UUID: uuid.New()}
	stats := map[ledger.LedgerID]SignerStats{
		id: {Size: 120, Published: 100, ShownAt: time.Now().Add(-time.Hour), SignedAt: time.UnixMilli(1_700_000_000_000), Refusals: 2,
			Refused: true, Waiting: true, Findings: map[string]int64{"LOG_ROLLBACK": 3}},
		{}: {Size: 7, Published: -1, Ended: true},
	}
	signs := true
	m := newMetrics((&posterStub{}).Stats, func() (map[ledger.LedgerID]SignerStats, bool) {
		if !signs {
			return nil, false
		}
		return stats, true
	})
	shown := func() map[string]string {
		families, err := m.registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		all := make(map[string]string)
		for _, f := range families {
			for _, x := range f.GetMetric() {
				name := strings.TrimPrefix(f.GetName(), "tallystick_")
				for _, l := range x.GetLabel() {
					name += " " + l.GetValue()
				}
				all[name] = x.String()
			}
		}
		return all
	}
	all := shown()
	for name, figure := range map[string]string{
		"signer_signs":                               "value:1",
		"unsealed_entries " + id.String():            "value:20",
		"signer_refusals_total " + id.String():       "value:2",
		"signer_refuses " + id.String():              "value:1",
		"signer_refuses super-log":                   "value:0",
		"signer_waits_for_quorum " + id.String():     "value:1",
		"signer_unchecked " + id.String():            "value:0",
		"signer_ended " + id.String():                "value:0",
		"signer_ended super-log":                     "value:1",
		"signed_at_milliseconds " + id.String():      "value:1.7e+12",
		"checkpoint_age_milliseconds " + id.String(): "value:3.6",
		"findings_total LOG_ROLLBACK " + id.String(): "value:3",
	} {
		if !strings.Contains(strings.ReplaceAll(all[name], " ", ""), figure) {
			t.Errorf("%s is %q, want %s", name, all[name], figure)
		}
	}
	for _, unknown := range []string{"unsealed_entries super-log", "checkpoint_age_milliseconds super-log", "signed_at_milliseconds super-log"} {
		if _, known := all[unknown]; known {
			t.Errorf("%s is shown, and not known", unknown)
		}
	}
	signs = false
	if all := shown(); !strings.Contains(all["signer_signs"], "value:0") || all["signer_refuses super-log"] != "" {
		t.Errorf("while nothing is signed: %v", all)
	}
}
