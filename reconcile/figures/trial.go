package figures

import (
	"fmt"
	"math/big"

	"tallystick/ledger/chain"
	"tallystick/ledger/money"
	"tallystick/reconcile/report"
)

// The names of the reports of a period, which are part of the outward contract.
const (
	NameTrialBalance    = "trial-balance"
	NameBalanceSheet    = "balance-sheet"
	NameIncomeStatement = "income-statement"
	NameRollForward     = "roll-forward"
	NameDailyPosition   = "daily-position"
	NameGeneralLedger   = "general-ledger"
	NameStatement       = "account-statement"
	NameAgeing          = "suspense-and-break-ageing"
	NameIntegrity       = "integrity"
)

// pairs adds up pairs of debit and credit columns.
type pairs [][2]*big.Int

func newPairs(n int) pairs {
	p := make(pairs, n)
	for i := range p {
		p[i] = [2]*big.Int{new(big.Int), new(big.Int)}
	}
	return p
}

// balance adds a balance to its side of pair i.
func (p pairs) balance(i int, v *big.Int) {
	if v.Sign() >= 0 {
		p[i][0].Add(p[i][0], v)
	} else {
		p[i][1].Sub(p[i][1], v)
	}
}

// both adds to both sides of pair i.
func (p pairs) both(i int, debit, credit *big.Int) {
	p[i][0].Add(p[i][0], debit)
	p[i][1].Add(p[i][1], credit)
}

// balanceColumns are the columns of opening, period and closing.
func balanceColumns(first ...report.Column) []report.Column {
	return append(first,
		column("opening_debit", "Opening debit", report.Amount), column("opening_credit", "Opening credit", report.Amount),
		column("debit", "Debits", report.Amount), column("credit", "Credits", report.Amount),
		column("closing_debit", "Closing debit", report.Amount), column("closing_credit", "Closing credit", report.Amount))
}

// totals appends the line of sums and the line of differences behind n cells of text.
func (s *sheet) totals(p pairs, n int, more ...report.Cell) {
	sums, differences := make([]report.Cell, n), make([]report.Cell, n)
	sums[0], differences[0] = text("Total "+s.currency.Code), text("Difference")
	for _, pair := range p {
		total, apart := s.both(pair[0], pair[1]), s.apart(pair[0], pair[1])
		sums, differences = append(sums, total[:]...), append(differences, apart[:]...)
	}
	s.row(report.Total, 0, append(sums, more...)...)
	s.row(report.Difference, 0, differences...)
}

// TrialBalance lists opening balance, movements and closing balance of every account, each on its side.
func TrialBalance(b *Books) (report.Document, error) {
	d := b.document(NameTrialBalance, "Trial balance")
	blanks := 0
	for _, c := range b.Currencies() {
		s := newSheet(NameTrialBalance, c, balanceColumns(column("account", "Account", report.Code), column("type", "Type", report.Text))...)
		sums := newPairs(3)
		for _, a := range b.in(c.Code) {
			if a.blank() {
				blanks++
				continue
			}
			side, closing := normal(a.Type), a.Closing()
			opening, moved, closed := s.sides(a.Opening.Big(), side), s.both(a.Debits.Big(), a.Credits.Big()), s.sides(closing, side)
			sums.balance(0, a.Opening.Big())
			sums.both(1, a.Debits.Big(), a.Credits.Big())
			sums.balance(2, closing)
			s.row(report.Record, 0, accountCell(a.Code), text(a.Type.String()), opening[0], opening[1], moved[0], moved[1], closed[0], closed[1])
		}
		s.totals(sums, 2)
		d.Blocks = append(d.Blocks, report.Block{Heading: c.Code, Table: &s.table})
	}
	b.nothing(&d)
	b.late(&d, nil)
	d.Notes = append(d.Notes, conventions)
	b.noteBlanks(&d, blanks)
	return finish(d)
}

// noteBlanks says how many accounts are left out.
func (b *Books) noteBlanks(d *report.Document, blanks int) {
	if blanks > 0 {
		d.Notes = append(d.Notes, fmt.Sprintf("%d of %d accounts had neither a balance nor a movement and are not listed.", blanks, len(b.Accounts)))
	}
}

// RollForward proves for every account that opening balance, debits and credits give the closing balance: the balances
// are those that its own postings state, and the movements are added up from the amounts.
func RollForward(b *Books) (report.Document, error) {
	d := b.document(NameRollForward, "Roll-forward")
	blanks := 0
	for _, c := range b.Currencies() {
		columns := append(balanceColumns(column("account", "Account", report.Code)),
			column("proof", "Proof", report.Amount), column("postings", "Postings", report.Count))
		s := newSheet(NameRollForward, c, columns...)
		sums, proof, postings := newPairs(3), new(big.Int), int64(0)
		for _, a := range b.in(c.Code) {
			if a.blank() {
				blanks++
				continue
			}
			off := a.proof()
			side, from, to := normal(a.Type), a.Opening.Big(), a.StatedClosing.Big()
			opening, moved, closed := s.sides(from, side), s.both(a.Debits.Big(), a.Credits.Big()), s.sides(to, side)
			sums.balance(0, from)
			sums.both(1, a.Debits.Big(), a.Credits.Big())
			sums.balance(2, to)
			proof.Add(proof, new(big.Int).Abs(off))
			postings += a.Postings
			s.row(report.Record, 0, accountCell(a.Code), opening[0], opening[1], moved[0], moved[1], closed[0], closed[1], s.amount(off), count(a.Postings))
		}
		s.totals(sums, 1, s.amount(proof), count(postings))
		d.Blocks = append(d.Blocks, report.Block{Heading: c.Code, Table: &s.table})
	}
	b.nothing(&d)
	b.late(&d, nil)
	d.Notes = append(d.Notes, conventions,
		"Opening and closing balances are those stated by the last posting of each account before, and at the end of, the period. "+
			"Proof is opening balance + debits − credits − closing balance; its total adds up the differences without their signs.")
	b.noteBlanks(&d, blanks)
	return finish(d)
}

// proof returns by how much opening balance and movements miss the closing balance.
func (a *Account) proof() *big.Int {
	off := a.Closing()
	return off.Sub(off, a.StatedClosing.Big())
}

// BrokenProofs returns the accounts whose roll-forward does not hold.
func (b *Books) BrokenProofs() []*Account {
	var broken []*Account
	for i := range b.Accounts {
		if a := &b.Accounts[i]; a.proof().Sign() != 0 {
			broken = append(broken, a)
		}
	}
	return broken
}

// DailyPosition lists what the accounts of each currency add up to at the close of every day of the period.
func DailyPosition(b *Books) (report.Document, error) {
	d := b.document(NameDailyPosition, "Daily position")
	for n, c := range b.Currencies() {
		s := newSheet(NameDailyPosition, c, append([]report.Column{column("day", "Day", report.Date)}, b.positionColumns()...)...)
		chart := &report.Chart{Kind: report.Lines, Title: "Balances at the close of each day", Unit: c.Code}
		chart.Series = []report.Series{{Name: "Assets"}, {Name: "Liabilities"}, {Name: "Equity and result"}}
		for i := range b.Days {
			b.positionRow(s, &b.Days[i], &b.Days[i].Positions[n], chart)
		}
		if len(b.Days) < 2 || len(b.Days) > report.MaxCategories {
			chart = nil
		}
		d.Blocks = append(d.Blocks, report.Block{Heading: c.Code, Chart: chart, Table: &s.table})
	}
	b.nothing(&d)
	b.late(&d, nil)
	d.Notes = append(d.Notes, "Balances are positive on the normal side of the accounts: debit for assets, credit for liabilities, equity and the result, which is revenue less expense. "+
		"Difference is assets less the others, and is zero. Accounts with a role by the policy are in their type as well; their column is debit-positive.",
		"Every day of the calendar is listed, also those without postings.")
	return finish(d)
}

func (b *Books) positionColumns() []report.Column {
	columns := []report.Column{column("assets", "Assets", report.Amount), column("liabilities", "Liabilities", report.Amount),
		column("equity", "Equity", report.Amount), column("result", "Result", report.Amount), column("difference", "Difference", report.Amount)}
	for i, role := range Roles {
		if b.hasRole(i) {
			columns = append(columns, column(role, "of it "+role, report.Amount))
		}
	}
	return columns
}

func (b *Books) hasRole(i int) bool {
	for n := range b.Accounts {
		if b.Accounts[n].Role == Roles[i] {
			return true
		}
	}
	return false
}

func (b *Books) positionRow(s *sheet, at *Day, p *Position, chart *report.Chart) {
	of := func(t chain.AccountType) *big.Int { return onNormal(t, p.ByType[t].Big()) }
	assets, liabilities, equity := of(chain.Asset), of(chain.Liability), of(chain.Equity)
	result := new(big.Int).Sub(of(chain.Revenue), of(chain.Expense))
	others := new(big.Int).Add(liabilities, equity)
	others.Add(others, result)
	cells := []report.Cell{day(at.Date), s.amount(assets), s.amount(liabilities), s.amount(equity), s.amount(result), s.amount(new(big.Int).Sub(assets, others))}
	for i := range Roles {
		if b.hasRole(i) {
			cells = append(cells, s.amount(p.ByRole[i].Big()))
		}
	}
	s.row(report.Record, 0, cells...)
	chart.Categories = append(chart.Categories, at.Date.String())
	for i, v := range []*big.Int{assets, liabilities, new(big.Int).Add(equity, result)} {
		chart.Series[i].Values = append(chart.Series[i].Values, money.FormatBig(v, s.currency.Scale))
	}
}

// roleOf returns the place of a role in Roles, or −1.
func roleOf(role string) int {
	for i, r := range Roles {
		if r == role {
			return i
		}
	}
	return -1
}

// Add adds debit-positive units of an account to a position. It is false when that is out of range.
func (p *Position) Add(a *Account, v money.Int128) bool {
	var ok bool
	if p.ByType[a.Type], ok = p.ByType[a.Type].Add(v); !ok {
		return false
	}
	if i := roleOf(a.Role); i >= 0 {
		p.ByRole[i], ok = p.ByRole[i].Add(v)
	}
	return ok
}
