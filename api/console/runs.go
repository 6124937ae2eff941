package console

// run is a reconciliation run as the API has it.
type run struct {
	Run       string   `json:"run"`
	AsOf      string   `json:"as_of"`
	Size      int64    `json:"size"`
	Head      string   `json:"head"`
	Status    string   `json:"status"`
	Phase     string   `json:"phase"`
	Result    *string  `json:"result"`
	Critical  int64    `json:"critical"`
	Warnings  int64    `json:"warnings"`
	NotReRead int64    `json:"not_re_read"`
	Digest    *string  `json:"reports_sha256"`
	EntrySeq  *int64   `json:"entry_seq"`
	StartedAt string   `json:"started_at"`
	EndedAt   *string  `json:"ended_at"`
	Pins      pins     `json:"pins"`
	Phases    []phase  `json:"phases"`
	Disputed  []find   `json:"disputed"`
	Outputs   []output `json:"outputs"`
}

// pins are what a run looked at beside the ledger.
type pins struct {
	Scope  string            `json:"scope"`
	Why    string            `json:"why"`
	Inputs map[string]string `json:"inputs"` // SHA-256 by name
}

type phase struct {
	Phase      string   `json:"phase"`
	Findings   []find   `json:"findings"`
	Critical   int64    `json:"critical"`
	Warnings   int64    `json:"warnings"`
	NotChecked []string `json:"not_checked"`
}

// find is a finding.
type find struct {
	Code       string  `json:"code"`
	Severity   string  `json:"severity"`
	Seq        *int64  `json:"seq"`
	Account    *string `json:"account"`
	Column     *string `json:"column"`
	Stored     *string `json:"stored"`
	Recomputed *string `json:"recomputed"`
	NextStep   string  `json:"next_step"`
}

type output struct {
	Kind   string `json:"kind"`
	Name   string `json:"name"`
	SHA256 string `json:"sha256"`
}

type runsPage struct {
	Ledger string
	Runs   []run
	More   string
}

func (p *runsPage) title() string { return p.Ledger + ": runs" }

func (v *visit) runs() (any, error) {
	var list listOf[run]
	if err := v.ask(v.path("runs")+v.query("cursor"), &list); err != nil {
		return nil, err
	}
	return &runsPage{v.r.PathValue("ledger"), list.Data, v.more(list.Next)}, nil
}

type runPage struct {
	Ledger  string
	Run     run
	Reports []output
}

func (p *runPage) title() string { return "Run of " + p.Run.AsOf }

func (v *visit) run() (any, error) {
	p := &runPage{Ledger: v.r.PathValue("ledger")}
	if err := v.ask(v.path("runs", v.r.PathValue("run")), &p.Run); err != nil {
		return nil, err
	}
	for _, o := range p.Run.Outputs {
		if o.Kind == "report" {
			p.Reports = append(p.Reports, o)
		}
	}
	return p, nil
}

// bankBreak is a break between the bank and the ledger.
type bankBreak struct {
	ID      string `json:"id"`
	Account string `json:"account"`
	Status  string `json:"status"`
	Lines   []struct {
		ID       string `json:"id"`
		Booked   string `json:"booked"`
		Amount   string `json:"amount"`
		Currency string `json:"currency"`
	} `json:"lines"`
	MoreLines int64 `json:"more_lines"`
	Amounts   []struct {
		Currency   string `json:"currency"`
		Bank       string `json:"bank"`
		Ledger     string `json:"ledger"`
		Difference string `json:"difference"`
	} `json:"amounts"`
	FirstSeen string `json:"first_seen"`
	New       bool   `json:"new"`
	Age       int64  `json:"age"`
	Bucket    string `json:"bucket"`
	Owner     string `json:"owner"`
	Cause     string `json:"cause"`
	Overdue   bool   `json:"overdue"`
	Resolved  *int64 `json:"resolved"`
}

type breaksPage struct {
	Ledger string
	Run    *string `json:"run"`
	AsOf   *string `json:"as_of"`
	listOf[bankBreak]
	More  string `json:"-"`
	Asked map[string]string
}

func (p *breaksPage) title() string { return p.Ledger + ": breaks" }

func (v *visit) breaks() (any, error) {
	p := &breaksPage{Ledger: v.r.PathValue("ledger"), Asked: map[string]string{"status": v.given("status"), "account": v.given("account"), "bucket": v.given("bucket")}}
	if err := v.ask(v.path("breaks")+v.query("status", "account", "bucket", "cursor"), p); err != nil {
		return p, err
	}
	p.More = v.more(p.Next)
	return p, nil
}

// reportKind is a report that there is.
type reportKind struct {
	Name    string   `json:"name"`
	Title   string   `json:"title"`
	Meaning string   `json:"meaning"`
	Formats []string `json:"formats"`
}

type reportsPage struct {
	Ledger  string
	Reports []reportKind `json:"data"`
	From    string
	AsOf    string
}

func (p *reportsPage) title() string { return p.Ledger + ": reports" }

func (v *visit) reports() (any, error) {
	p := &reportsPage{Ledger: v.r.PathValue("ledger"), From: v.given("from"), AsOf: v.given("as_of")}
	return p, v.ask(v.path("reports"), p)
}
