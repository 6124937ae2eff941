package risk

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"

	"tallystick/ledger/chain"
	"tallystick/ledger/money"
	"tallystick/reconcile/policy"
)

// The state of a History is what the next night begins with, so that it reads no more than what has come since:
//
//	header    version, SHA-256 of the policy, accounts with a digest of what the policy takes them for
//	watchers  each its own part, in the order of History
//
// A History that resumed gives the same figures, and the same state, as one that began with the first entry: nothing in it
// depends on where it was cut. A state of another policy, or of accounts that the policy now takes for something else, is
// refused, and the ledger is read from its beginning.

// stateVersion changes with the layout.
const stateVersion = 2

// ErrState: the state does not belong to this policy and book, or cannot be read.
var ErrState = errors.New("the state is not one to go on from")

// codec writes a state, or reads one: each part says once what it consists of.
type codec struct {
	data    []byte
	reading bool
	err     error
	moved   []int32 // while reading: where the state's accounts stand now
}

func (c *codec) fail(what string) {
	if c.err == nil {
		c.err = fmt.Errorf("%w: %s", ErrState, what)
	}
}

// number is a whole number.
func number[T ~int | ~int8 | ~int16 | ~int32 | ~int64](c *codec, v *T) {
	if !c.reading {
		c.data = binary.AppendVarint(c.data, int64(*v))
		return
	}
	n, size := binary.Varint(c.data)
	if size <= 0 || int64(T(n)) != n {
		c.fail("a number is damaged")
		*v = 0
		return
	}
	*v, c.data = T(n), c.data[size:]
}

// units is an amount: its last bytes, as many as it has.
func (c *codec) units(v *money.Int128) {
	if !c.reading {
		b := v.Bytes()
		n := 0
		for n < 15 && (b[n] == 0 && b[n+1] < 0x80 || b[n] == 0xff && b[n+1] >= 0x80) {
			n++
		}
		c.data = append(append(c.data, byte(16-n)), b[n:]...)
		return
	}
	if len(c.data) == 0 || c.data[0] == 0 || c.data[0] > 16 || len(c.data) <= int(c.data[0]) {
		c.fail("an amount is damaged")
		return
	}
	n := int(c.data[0])
	var b [16]byte
	if c.data[1] >= 0x80 {
		for i := range b {
			b[i] = 0xff
		}
	}
	copy(b[16-n:], c.data[1:1+n])
	*v, c.data = money.FromBytes(b), c.data[1+n:]
}

func (c *codec) flag(v *bool) {
	n := 0
	if *v {
		n = 1
	}
	number(c, &n)
	*v = n == 1
}

func (c *codec) text(v *string) {
	n := len(*v)
	number(c, &n)
	if !c.reading {
		c.data = append(c.data, *v...)
		return
	}
	if n < 0 || n > len(c.data) {
		c.fail("a text is damaged")
		return
	}
	*v, c.data = string(c.data[:n]), c.data[n:]
}

// day is a date.
func (c *codec) day(v *chain.Date) { number(c, v) }

// account is the place of an account, which another book may have elsewhere; −1 is none.
func (c *codec) account(v *int32) {
	number(c, v)
	if c.reading && *v >= 0 {
		if int(*v) >= len(c.moved) {
			c.fail("an account is damaged")
			return
		}
		*v = c.moved[*v]
	}
}

// list is a list of things.
func list[T any](c *codec, v *[]T, each func(*T)) {
	n := len(*v)
	number(c, &n)
	if c.reading {
		if n < 0 || n > len(c.data) { // each takes a byte at least
			c.fail("a list is damaged")
			return
		}
		*v = make([]T, n)
	}
	for i := range *v {
		if c.err != nil {
			return
		}
		each(&(*v)[i])
	}
}

// counted is a list of numbers whose length is known.
func counted(c *codec, v []int64) {
	for i := range v {
		number(c, &v[i])
	}
}

// identity digests what the policy takes an account for.
func (a *Account) identity() [sha256.Size]byte {
	h := sha256.New()
	fmt.Fprintf(h, "%q %q %q %d %v %q %q %q %q", a.Code, a.Type, a.Currency, a.Scale, a.classed, a.class.Class, a.class.Pool, a.class.Group, a.client)
	return [sha256.Size]byte(h.Sum(nil))
}

// Save returns the state after the last movement. It is called before Close.
func (h *History) Save() ([]byte, error) {
	if h.err != nil {
		return nil, h.err
	}
	c := &codec{}
	version := stateVersion
	number(c, &version)
	c.data = append(c.data, h.Policy.SHA256[:]...)
	codes := make([]string, len(h.Book.Accounts))
	sum := sha256.New()
	for i := range h.Book.Accounts {
		codes[i] = h.Book.Accounts[i].Code
		id := h.Book.Accounts[i].identity()
		sum.Write(id[:])
	}
	list(c, &codes, c.text)
	c.data = sum.Sum(c.data)
	h.parts(c)
	return c.data, c.err
}

// Resume begins where a state was saved, on a book of the same ledger later on.
func Resume(b *Book, p *policy.Policy, state []byte) (*History, error) {
	c := &codec{data: state, reading: true}
	var version int
	if number(c, &version); version != stateVersion {
		return nil, fmt.Errorf("%w: it is of version %d", ErrState, version)
	}
	if len(c.data) < sha256.Size || chain.Hash(c.data[:sha256.Size]) != p.SHA256 {
		return nil, fmt.Errorf("%w: it was made under another policy", ErrState)
	}
	c.data = c.data[sha256.Size:]
	var codes []string
	list(c, &codes, c.text)
	sum := sha256.New()
	at := 0
	for _, code := range codes {
		for at < len(b.Accounts) && b.Accounts[at].Code < code {
			at++
		}
		if at == len(b.Accounts) || b.Accounts[at].Code != code {
			return nil, fmt.Errorf("%w: the account %s is not in the book", ErrState, code)
		}
		c.moved = append(c.moved, int32(at))
		id := b.Accounts[at].identity()
		sum.Write(id[:])
	}
	if len(c.data) < sha256.Size || [sha256.Size]byte(c.data[:sha256.Size]) != [sha256.Size]byte(sum.Sum(nil)) {
		return nil, fmt.Errorf("%w: the policy takes some accounts for something else now", ErrState)
	}
	c.data = c.data[sha256.Size:]
	h := NewHistory(b, p)
	if h.parts(c); c.err == nil && len(c.data) > 0 {
		c.fail("there is more than belongs to it")
	}
	return h, c.err
}

// parts are the watchers, in their order.
func (h *History) parts(c *codec) {
	c.flag(&h.begun)
	c.day(&h.first)
	c.day(&h.day)
	if h.pools != nil {
		h.pools.state(c)
	}
	if h.limits != nil {
		h.limits.state(c)
	}
	if h.funds != nil {
		h.funds.state(c)
	}
	h.open.state(c)
	if h.signals != nil {
		h.signals.state(c)
	}
}

// some walks over the accounts that a condition holds for: writing, over those of the book; reading, over those of the state.
func some(c *codec, n int, holds func(int32) bool, each func(int32)) {
	var at []int32
	if !c.reading {
		for i := range int32(n) {
			if holds(i) {
				at = append(at, i)
			}
		}
	}
	list(c, &at, c.account)
	for _, i := range at {
		if c.err != nil {
			return
		}
		if c.reading && (int(i) >= n || !holds(i)) {
			c.fail("an account has another part than it had")
			return
		}
		each(i)
	}
}

func (h *poolHistory) state(c *codec) {
	at := map[pool]int{}
	for i, p := range h.pools {
		at[p] = i
	}
	pools := slices.Clone(h.pools)
	list(c, &pools, func(p *pool) { c.text(&p.name); c.text(&p.currency) })
	for _, p := range pools {
		i, ok := at[p]
		if !ok {
			c.fail("a pool is gone")
			return
		}
		now := &h.now[i]
		c.units(&now.requirement)
		c.units(&now.negative)
		c.units(&now.resource)
		list(c, &h.days[i], func(p *point[safeguarded]) {
			c.day(&p.day)
			c.units(&p.value.requirement)
			c.units(&p.value.negative)
			c.units(&p.value.resource)
		})
	}
	some(c, len(h.role), func(i int32) bool { return h.role[i].client >= 0 }, func(i int32) { c.units(&h.clients[h.role[i].client]) })
}

func (h *limitHistory) state(c *codec) {
	some(c, len(h.limited), func(i int32) bool { return h.limited[i] }, func(i int32) {
		c.units(&h.now[i])
		c.units(&h.lowest[i])
		c.day(&h.on[i])
		c.day(&h.since[i])
		c.flag(&h.over[i])
	})
	list(c, &h.touched, c.account)
}

func (h *fundsHistory) state(c *codec) {
	at := slices.Clone(h.currencies)
	list(c, &at, c.text)
	for _, currency := range at {
		i := slices.Index(h.currencies, currency)
		if i < 0 {
			c.fail("a currency is gone")
			return
		}
		c.units(&h.outstanding[i])
		list(c, &h.days[i], func(p *point[money.Int128]) { c.day(&p.day); c.units(&p.value) })
		var paid []point[money.Int128]
		for _, day := range slices.Sorted(maps.Keys(h.paid[i])) {
			paid = append(paid, point[money.Int128]{day, h.paid[i][day]})
		}
		list(c, &paid, func(p *point[money.Int128]) { c.day(&p.day); c.units(&p.value) })
		for _, p := range paid {
			h.paid[i][p.day] = p.value
		}
	}
}

func (h *openHistory) state(c *codec) {
	some(c, len(h.lots), func(i int32) bool { return h.role[i] != "" }, func(i int32) {
		list(c, &h.lots[i], func(p *point[money.Int128]) { c.day(&p.day); c.units(&p.value) })
	})
}
