package risk

import (
	"slices"

	"tallystick/ledger/chain"
	"tallystick/ledger/money"
)

// stream is what passed one side of an account within the window, with what the patterns ask of it added up: a payment costs
// the same however many came before it, since an account may have a million of them in a day.
type stream struct {
	list    []payment // in order
	sum     money.Int128
	beyond  bool              // the sum is beyond 128 bits
	reach   int               // counterparties, counted with each payment
	others  map[int32]int32   // payments by counterparty, from as many as fan asks for on
	several map[int64][]int32 // the counterparties of payments with more than one, by seq
	fan     int
}

// add takes a payment with its counterparties. They are told apart once there could be as many as fan; 0 is never.
func (f *stream) add(p payment, others []leg, fan int) {
	f.fan = fan
	f.list = append(f.list, p)
	if sum, ok := f.sum.Add(p.units); ok && !f.beyond {
		f.sum = sum
	} else {
		f.beyond = true
	}
	if fan == 0 {
		return
	}
	if len(others) > 1 {
		if f.several == nil {
			f.several = map[int64][]int32{}
		}
		accounts := make([]int32, len(others))
		for i, l := range others {
			accounts[i] = l.account
		}
		f.several[p.seq] = accounts
	}
	f.reach += len(others)
	if f.others != nil {
		f.count(&p, 1)
	} else if f.reach >= fan {
		f.others = map[int32]int32{}
		for i := range f.list {
			f.count(&f.list[i], 1)
		}
	}
}

// with returns the counterparties of a payment of the window.
func (f *stream) with(p *payment) []int32 {
	if p.other >= 0 {
		return []int32{p.other}
	}
	return f.several[p.seq]
}

func (f *stream) count(p *payment, by int32) {
	for _, other := range f.with(p) {
		if f.others[other] += by; f.others[other] == 0 {
			delete(f.others, other)
		}
	}
}

// since drops what was before a day, and says whether anything was.
func (f *stream) since(day chain.Date) bool {
	n := 0
	for n < len(f.list) && f.list[n].day < day {
		p := &f.list[n]
		f.reach -= len(f.with(p))
		if f.others != nil {
			f.count(p, -1)
		}
		delete(f.several, p.seq)
		f.sum, _ = f.sum.Sub(p.units)
		n++
	}
	if n == 0 {
		return false
	}
	f.list = slices.Delete(f.list, 0, n)
	if f.reach < f.fan {
		f.others = nil
	}
	if f.beyond {
		f.sum, f.beyond = money.Int128{}, false
		for i := range f.list {
			sum, ok := f.sum.Add(f.list[i].units)
			if !ok {
				f.beyond = true
				break
			}
			f.sum = sum
		}
	}
	return true
}

// state keeps the payments; the rest follows from them.
func (f *stream) state(c *codec, fan int) {
	kept := f.list
	list(c, &kept, c.payment)
	several := make([][]int32, len(kept))
	for i := range kept {
		if c.err != nil {
			return
		}
		if kept[i].other < 0 {
			several[i] = f.several[kept[i].seq]
			list(c, &several[i], c.account)
		}
	}
	if !c.reading {
		return
	}
	*f = stream{}
	for i := range kept {
		var others []leg
		if kept[i].other >= 0 {
			others = append(others, leg{account: kept[i].other})
		}
		for _, account := range several[i] {
			others = append(others, leg{account: account})
		}
		f.add(kept[i], others, fan)
	}
}
