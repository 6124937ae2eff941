package reconcile

import (
	"hash/maphash"
	"math/bits"

	"github.com/google/uuid"

	"tallystick/ledger/chain"
)

// accountCache holds the accounts a worker has met, at most limit. The
// one dropped is one not used lately (a clock), and never one that the segment
// at hand needs.
//
// It is a hash table of places with linear probing and not a map, because a place
// is looked up for every posting: four bytes a slot stay in the processor's cache,
// where the keys of a map beside the states would not, as long as there are no more
// slots than the accounts need.
type accountCache struct {
	seed    maphash.Seed
	slots   []int32 // one more than the place, 0 when free; at most half are taken
	states  []accountState
	uses    []use // same index
	hand    int
	epoch   uint32
	limit   int
	expect  int   // how many there are likely to be: room for these is made at once
	forgot  bool  // an account was dropped since begin
	touched int64 // see fetch
}

// minSlots is how many slots a table has at least.
const minSlots = 1024

// use is when an account was used.
type use struct {
	epoch uint32 // the segment that needed it last
	again bool   // it has been used since the cache last looked
}

// newAccountCache makes a cache in which so many accounts are expected.
func newAccountCache(limit int, expect int64) *accountCache {
	return &accountCache{seed: maphash.MakeSeed(), limit: limit, expect: int(min(expect, int64(limit)))}
}

// begin forgets everything: the worker goes on elsewhere.
func (c *accountCache) begin() {
	c.clear()
	c.forgot = false
}

// clear drops all accounts.
func (c *accountCache) clear() {
	clear(c.slots)
	c.states, c.uses, c.hand, c.forgot = c.states[:0], c.uses[:0], 0, true
}

// ideal is the slot where an account stands if that was free.
func (c *accountCache) ideal(id *uuid.UUID) int {
	return int(maphash.Bytes(c.seed, id[:])) & (len(c.slots) - 1)
}

// slot returns where an account stands, or else the free slot where it would.
func (c *accountCache) slot(id *uuid.UUID) int {
	if c.slots == nil {
		c.slots = make([]int32, slotsFor(c.expect))
	}
	i := c.ideal(id)
	for c.slots[i] != 0 && c.states[c.slots[i]-1].id != *id {
		i = (i + 1) & (len(c.slots) - 1)
	}
	return i
}

// find returns the state of an account, nil when it is not held.
func (c *accountCache) find(id uuid.UUID) *accountState {
	if at := c.slot(&id); c.slots[at] != 0 {
		return &c.states[c.slots[at]-1]
	}
	return nil
}

// fetch guesses the places of the accounts of some postings, and adds one: 0 is
// none. It reads a little of each: states lie all over the memory, and are then
// fetched at the same time and not one after the other.
func (c *accountCache) fetch(postings []chain.Posting, guesses []int32) {
	if c.slots == nil {
		return
	}
	for i := range postings {
		guesses[i] = c.slots[c.ideal(&postings[i].AccountID)]
	}
	for _, at := range guesses[:len(postings)] {
		if at > 0 {
			a := &c.states[at-1]
			c.touched += a.seq + a.accountSeq + int64(c.uses[at-1].epoch)
		}
	}
}

// hold returns the place in states of an account that this segment needs, given a
// guess, and whether its state has yet to be loaded. The place is good until the
// next segment.
func (c *accountCache) hold(id *uuid.UUID, guess int32) (at int32, strange bool) {
	if guess >= 0 && int(guess) < len(c.states) && c.states[guess].id == *id {
		c.uses[guess] = use{epoch: c.epoch, again: true}
		return guess, false
	}
	slot := c.slot(id)
	if at = c.slots[slot] - 1; at >= 0 {
		c.uses[at] = use{epoch: c.epoch, again: true}
		return at, false
	}
	at = c.room()
	c.states[at], c.uses[at] = accountState{id: *id}, use{epoch: c.epoch, again: true}
	c.slots[c.slot(id)] = at + 1 // room may have moved slots
	return at, true
}

// room returns a free place.
func (c *accountCache) room() int32 {
	if len(c.states) < c.limit {
		if c.states == nil {
			c.states, c.uses = make([]accountState, 0, c.expect), make([]use, 0, c.expect)
		}
		c.states, c.uses = append(c.states, accountState{}), append(c.uses, use{})
		if 2*len(c.states) > len(c.slots) {
			c.grow()
		}
		return int32(len(c.states) - 1)
	}
	for {
		c.hand = (c.hand + 1) % len(c.states)
		u := &c.uses[c.hand]
		if u.epoch == c.epoch {
			continue
		}
		if u.again {
			u.again = false
			continue
		}
		c.free(c.slot(&c.states[c.hand].id))
		c.forgot = true
		return int32(c.hand)
	}
}

// slotsFor is how many slots there are for so many accounts.
func slotsFor(accounts int) int { return 1 << bits.Len(uint(max(2*accounts, minSlots)-1)) }

// grow makes slots for twice as many accounts. The newest place is not in one yet.
func (c *accountCache) grow() {
	c.slots = make([]int32, slotsFor(2*len(c.states)))
	for at := range c.states[:len(c.states)-1] {
		c.slots[c.slot(&c.states[at].id)] = int32(at) + 1
	}
}

// free empties a slot, and moves those behind it up that would not be found
// across the gap.
func (c *accountCache) free(gap int) {
	mask := len(c.slots) - 1
	for i := (gap + 1) & mask; c.slots[i] != 0; i = (i + 1) & mask {
		ideal := c.ideal(&c.states[c.slots[i]-1].id)
		if (i-ideal)&mask >= (i-gap)&mask {
			c.slots[gap] = c.slots[i]
			gap = i
		}
	}
	c.slots[gap] = 0
}
