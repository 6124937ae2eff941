package store

import (
	"sync"

	"github.com/google/uuid"

	"tallystick/ledger"
	"tallystick/ledger/chain"
	"tallystick/ledger/money"
)

// Bounds of facts: twice as many are kept at the most.
const (
	keptAccounts  = 25_000
	keptDays      = 5_000
	keptTurnovers = 1_000
	// turnoverKept is the least number of postings whose sum is kept.
	turnoverKept = 500
)

// facts remembers what never changes once it is true, so that clients' reads
// need not ask for it again:
//
//   - which account a code stands for, and its type, currency and scale;
//   - which lower limit an account had from one entry to another;
//   - after which entry a day ended, once a later day has entries: booking dates
//     never go back;
//   - what an account turned over between two of its postings.
//
// What limits and names are now, and what is frozen, changes and is never kept,
// and nor is that there is no such account. The sequencers do not use facts.
//
// Entries can be deleted behind the server's back, from the newest on. A read
// begins with the head: one that is behind, or another than, what an earlier read
// has seen makes all facts be forgotten.
type facts struct {
	mu        sync.Mutex
	heads     map[ledger.LedgerID]ledger.Head // the newest seen
	codes     kept[accountKey, accountRow]
	accounts  kept[uuid.UUID, assembledAccount]
	days      kept[dayKey, int64]
	turnovers kept[turnoverKey, turnover]
}

type accountKey struct {
	id   ledger.LedgerID
	code string
}

// accountRow is a row of accounts.
type accountRow struct {
	id        uuid.UUID
	code      string
	kind      chain.AccountType
	currency  string
	scale     uint8
	openedSeq int64
}

// account returns an account of its own, without state.
func (r *accountRow) account() *ledger.Account {
	a := new(ledger.Account)
	a.AccountID, a.Code, a.Type, a.Currency, a.Scale, a.OpenedSeq = r.id, r.code, r.kind, r.currency, r.scale, r.openedSeq
	return a
}

type dayKey struct {
	id  ledger.LedgerID
	day chain.Date
}

// turnoverKey says after which posting of an account a sum begins.
type turnoverKey struct {
	account uuid.UUID
	after   int64
}

// turnover is what an account booked up to a posting.
type turnover struct {
	upTo            int64
	debits, credits money.Int128
}

// kept is a map that forgets what was not used for long: when recent is full it
// takes the place of older.
type kept[K comparable, V any] struct{ recent, older map[K]V }

func (k *kept[K, V]) get(key K, most int) (V, bool) {
	v, ok := k.recent[key]
	if !ok {
		if v, ok = k.older[key]; ok {
			k.put(key, v, most)
		}
	}
	return v, ok
}

func (k *kept[K, V]) put(key K, v V, most int) {
	if k.recent == nil || len(k.recent) >= most {
		k.older, k.recent = k.recent, make(map[K]V)
	}
	k.recent[key] = v
}

// newest returns the newest head seen. f may be nil, here and below: then nothing
// is remembered.
func (f *facts) newest(id ledger.LedgerID) ledger.Head {
	if f == nil {
		return ledger.Head{}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if h, ok := f.heads[id]; ok {
		return h
	}
	return ledger.Head{Seq: -1}
}

// saw notes the head that a read found, which began when before was the newest
// seen.
func (f *facts) saw(id ledger.LedgerID, before, head ledger.Head) {
	if f == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case head.Seq < before.Seq || head.Seq == before.Seq && head.Hash != before.Hash:
		f.codes, f.accounts = kept[accountKey, accountRow]{}, kept[uuid.UUID, assembledAccount]{}
		f.days, f.turnovers = kept[dayKey, int64]{}, kept[turnoverKey, turnover]{}
	case head.Seq <= f.heads[id].Seq:
		return
	}
	if f.heads == nil {
		f.heads = make(map[ledger.LedgerID]ledger.Head)
	}
	f.heads[id] = head
}

// accountNamed returns an account without state, nil when it is not known.
func (f *facts) accountNamed(id ledger.LedgerID, code string) *ledger.Account {
	if f == nil {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	row, ok := f.codes.get(accountKey{id, code}, keptAccounts)
	if !ok {
		return nil
	}
	return row.account()
}

// keepNamed remembers accounts of a ledger.
func (f *facts) keepNamed(id ledger.LedgerID, accounts []*ledger.Account) {
	if f == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, a := range accounts {
		f.codes.put(accountKey{id, a.Code}, accountRow{a.AccountID, a.Code, a.Type, a.Currency, a.Scale, a.OpenedSeq}, keptAccounts)
	}
}

// known sets the accounts that are known and returns the ids of the others.
func (f *facts) known(accounts map[uuid.UUID]*assembledAccount) uuids {
	ids := make(uuids, 0, len(accounts))
	if f != nil {
		f.mu.Lock()
		defer f.mu.Unlock()
	}
	for id := range accounts {
		if f != nil {
			if a, ok := f.accounts.get(id, keptAccounts); ok {
				accounts[id] = &a
				continue
			}
		}
		ids = append(ids, uuidOf(&id))
	}
	return ids
}

// keep remembers what entries need of accounts.
func (f *facts) keep(accounts map[uuid.UUID]*assembledAccount) {
	if f == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for id, a := range accounts {
		if a != nil && a.read {
			f.accounts.put(id, assembledAccount{code: a.code, kind: a.kind, currency: a.currency, scale: a.scale, remembered: a.remembered}, keptAccounts)
		}
	}
}

// dayEnd returns the last seq booked on or before a day that is over.
func (f *facts) dayEnd(id ledger.LedgerID, day chain.Date) (int64, bool) {
	if f == nil {
		return 0, false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.days.get(dayKey{id, day}, keptDays)
}

// keepDayEnd remembers it.
func (f *facts) keepDayEnd(id ledger.LedgerID, day chain.Date, seq int64) {
	if f == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.days.put(dayKey{id, day}, seq, keptDays)
}

// turnover returns what an account turned over from one posting, exclusively, up
// to some posting that is not beyond last; nothing when it is not known.
func (f *facts) turnover(account uuid.UUID, after, last int64) turnover {
	if f != nil {
		f.mu.Lock()
		defer f.mu.Unlock()
		if t, ok := f.turnovers.get(turnoverKey{account, after}, keptTurnovers); ok && t.upTo <= last {
			return t
		}
	}
	return turnover{upTo: after}
}

// keepTurnover remembers it, when adding it up again would take long.
func (f *facts) keepTurnover(account uuid.UUID, after int64, t turnover) {
	if f == nil || t.upTo-after < turnoverKept {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	key := turnoverKey{account, after}
	if had, ok := f.turnovers.get(key, keptTurnovers); !ok || had.upTo < t.upTo {
		f.turnovers.put(key, t, keptTurnovers)
	}
}
