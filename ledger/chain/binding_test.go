package chain_test

import (
	"bytes"
	"fmt"
	"reflect"
	"testing"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"tallystick/ledger/chain"
	"tallystick/ledger/money"
)

var int128Type = reflect.TypeFor[money.Int128]()

// fill sets every field below v to something drawn, with every optional field
// present and every list holding two elements, by reflection: a field that is
// added to Entry is in it without a change here.
func fill(t *rapid.T, v reflect.Value) {
	if v.Type() == int128Type {
		v.Set(reflect.ValueOf(drawUnits(t)))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(t, v.Field(i))
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(t, v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(t, v.Index(0))
		fill(t, v.Index(1))
	case reflect.Array: // a hash or a UUID
		b := rapid.SliceOfN(rapid.Byte(), v.Len(), v.Len()).Draw(t, v.Type().String())
		reflect.Copy(v, reflect.ValueOf(b))
	case reflect.String:
		v.SetString(rapid.StringMatching(`[a-zA-Z0-9:._-]{1,12}`).Draw(t, "text"))
	case reflect.Bool:
		v.SetBool(rapid.Bool().Draw(t, "bool"))
	case reflect.Int32, reflect.Int64:
		v.SetInt(rapid.Int64().Draw(t, "int"))
	case reflect.Uint8, reflect.Uint16:
		v.SetUint(rapid.Uint64().Draw(t, "uint"))
	default:
		t.Fatalf("an Entry has a field of type %s; teach this test to change it", v.Type())
	}
}

func drawUnits(t *rapid.T) money.Int128 {
	var b [16]byte
	copy(b[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "units"))
	return money.FromBytes(b)
}

// eachChange walks v and, one at a time, makes every change that a forger could
// make to one place, calls check, and takes it back.
func eachChange(t *rapid.T, v reflect.Value, path string, check func(path string)) {
	old := reflect.New(v.Type()).Elem()
	old.Set(v)
	try := func(what string, changed reflect.Value) {
		v.Set(changed)
		check(path + what)
		v.Set(old)
	}
	if v.Type() == int128Type {
		one := money.FromInt64(1)
		changed, _ := old.Interface().(money.Int128).Add(one)
		try(" + 1", reflect.ValueOf(changed))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			eachChange(t, v.Field(i), path+"."+v.Type().Field(i).Name, check)
		}
	case reflect.Pointer:
		try(" made absent", reflect.Zero(v.Type()))
		eachChange(t, v.Elem(), path, check)
	case reflect.Slice:
		try(" without the last", v.Slice(0, 1))
		try(" with the last twice", reflect.Append(v.Slice(0, 2), v.Index(1)))
		swapped := reflect.MakeSlice(v.Type(), 2, 2)
		swapped.Index(0).Set(v.Index(1))
		swapped.Index(1).Set(v.Index(0))
		if !reflect.DeepEqual(swapped.Interface(), v.Interface()) {
			try(" exchanged", swapped)
		}
		for i := range v.Len() {
			eachChange(t, v.Index(i), fmt.Sprintf("%s[%d]", path, i), check)
		}
	case reflect.Array:
		changed := reflect.New(v.Type()).Elem()
		changed.Set(v)
		at := rapid.IntRange(0, v.Len()-1).Draw(t, "byte")
		changed.Index(at).SetUint(changed.Index(at).Uint() ^ 1<<rapid.IntRange(0, 7).Draw(t, "bit"))
		try(" one bit", changed)
	case reflect.String:
		try(" longer", reflect.ValueOf(old.String()+"x").Convert(v.Type()))
		try(" shorter", reflect.ValueOf(old.String()[1:]).Convert(v.Type()))
	case reflect.Bool:
		try(" flipped", reflect.ValueOf(!old.Bool()))
	case reflect.Int32, reflect.Int64:
		changed := reflect.New(v.Type()).Elem()
		changed.SetInt(old.Int() ^ 1<<rapid.IntRange(0, v.Type().Bits()-1).Draw(t, "bit"))
		try(" one bit", changed)
	case reflect.Uint8, reflect.Uint16:
		changed := reflect.New(v.Type()).Elem()
		changed.SetUint(old.Uint() ^ 1<<rapid.IntRange(0, v.Type().Bits()-1).Draw(t, "bit"))
		try(" one bit", changed)
	default:
		t.Fatalf("an Entry has a field of type %s; teach this test to change it", v.Type())
	}
}

// TestEveryFieldIsBound changes each field of arbitrary entries, those that
// Check would refuse included, and wants another hash (I6).
func TestEveryFieldIsBound(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var e chain.Entry
		fill(t, reflect.ValueOf(&e).Elem())
		original, originalBytes := e.Hash(), e.AppendCanonical(nil)
		changes := 0
		eachChange(t, reflect.ValueOf(&e).Elem(), "entry", func(path string) {
			changes++
			h := e.Hash()
			if h == original {
				t.Fatalf("%s: the hash is the same", path)
			}
		})
		if !bytes.Equal(e.AppendCanonical(nil), originalBytes) {
			t.Fatal("the changes were not taken back")
		}
		if changes < 80 {
			t.Fatalf("only %d changes were tried", changes)
		}
	})
}

// TestTextCannotMoveBetweenNeighbours shifts a byte from the end of each text
// to the front of the next one: what joining without lengths would not notice.
func TestTextCannotMoveBetweenNeighbours(t *testing.T) {
	t.Parallel()
	e := chain.Entry{
		Ledger:  &chain.LedgerTerms{Name: "ab", Origin: "cd", TimeZone: "ef"},
		Account: &chain.Account{Tags: []chain.Tag{{Key: "ab", Value: "cd"}, {Key: "ef", Value: "gh"}}},
		Details: []chain.Detail{{Name: "ab", Value: "cd"}, {Name: "ef", Value: "gh"}},
	}
	original := e.Hash()
	for _, pair := range [][2]*string{
		{&e.Ledger.Name, &e.Ledger.Origin},
		{&e.Ledger.Origin, &e.Ledger.TimeZone},
		{&e.Account.Tags[0].Key, &e.Account.Tags[0].Value},
		{&e.Account.Tags[0].Value, &e.Account.Tags[1].Key},
		{&e.Details[0].Name, &e.Details[0].Value},
		{&e.Details[0].Value, &e.Details[1].Name},
	} {
		left, right := *pair[0], *pair[1]
		*pair[0], *pair[1] = left[:1], left[1:]+right
		if e.Hash() == original {
			t.Errorf("%q, %q hashes like %q, %q", *pair[0], *pair[1], left, right)
		}
		*pair[0], *pair[1] = left, right
	}
}

// TestValidEntriesSurviveTheRoundTrip draws entries that pass Check.
func TestValidEntriesSurviveTheRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, roundTrip)
}

// roundTrip draws a valid entry, encodes and decodes it.
func roundTrip(t *rapid.T) {
	e := drawEntry(t)
	if err := e.Check(); err != nil {
		t.Fatalf("drew an invalid entry: %v", err)
	}
	canonical := e.AppendCanonical(nil)
	decoded, err := chain.Decode(canonical)
	if err != nil {
		t.Fatalf("decoding %+v: %v", e, err)
	}
	if !reflect.DeepEqual(decoded, e) {
		t.Fatalf("decoded\n%+v, want\n%+v", decoded, e)
	}
	if again := decoded.AppendCanonical([]byte("before")); !bytes.Equal(again, append([]byte("before"), canonical...)) {
		t.Fatal("encoded again it differs")
	}
	if chain.HashCanonical(canonical) != e.Hash() {
		t.Fatal("HashCanonical and Hash differ")
	}
}

// drawEntry draws a sample of any kind and then every field that may vary.
func drawEntry(t *rapid.T) chain.Entry {
	e := rapid.SampledFrom(samples()).Draw(t, "sample").entry
	e.LedgerID, e.RequestID, e.Actor = drawUUID(t), drawUUID(t), drawUUID(t)
	if e.Seq > 0 {
		e.Seq = rapid.Int64Range(10_000, 1<<62).Draw(t, "seq")
		e.PrevHash = drawHash(t)
	}
	e.RecordedAt = rapid.Int64Range(0, 253402300799999999).Draw(t, "recorded_at")
	e.BookingDate, e.EffectiveDate = drawDate(t), drawDate(t)
	for _, commitment := range []**chain.Hash{&e.Description, &e.Reference, &e.Metadata} {
		*commitment = presentIf(rapid.Bool().Draw(t, "committed"), drawHash(t))
	}
	if n := len(e.Postings); n > 0 {
		e.PriorPeriod = rapid.Bool().Draw(t, "prior_period")
		e.Postings = rapid.SliceOfN(rapid.Custom(drawPosting), 2, 8).Draw(t, "postings")
	}
	if e.Account != nil {
		e.Account = ptr(*e.Account)
		e.Account.MinBalance = presentIf(rapid.Bool().Draw(t, "min"), drawBalance(t))
		e.Account.MaxBalance = presentIf(rapid.Bool().Draw(t, "max"), drawBalance(t))
		e.Account.Closed = rapid.Bool().Draw(t, "closed")
		e.Account.Frozen = chain.Frozen(rapid.IntRange(0, 3).Draw(t, "frozen"))
		tags := rapid.MapOfN(rapid.StringMatching(`[a-zé€]{1,8}`), rapid.StringMatching(`[ -~é€😀]{0,20}`), 0, chain.MaxTags).Draw(t, "tags")
		e.Account.Tags = nil
		for key, value := range tags {
			e.Account.Tags = append(e.Account.Tags, chain.Tag{Key: key, Value: value})
		}
		chain.SortTags(e.Account.Tags)
	}
	return e
}

func drawPosting(t *rapid.T) chain.Posting {
	return chain.Posting{
		AccountID:     drawUUID(t),
		Direction:     rapid.SampledFrom([]chain.Direction{chain.Debit, chain.Credit}).Draw(t, "direction"),
		Currency:      rapid.StringMatching(`[A-Z0-9]{1,16}`).Draw(t, "currency"),
		Scale:         rapid.Uint8Range(0, money.MaxScale).Draw(t, "scale"),
		Amount:        notNegative(drawBalance(t)),
		PendingChange: drawBalance(t),
		EffectiveDate: drawDate(t),
		AccountSeq:    rapid.Int64Min(1).Draw(t, "account_seq"),
		Posted:        drawBalance(t),
		PendingDebit:  notNegative(drawBalance(t)),
		PendingCredit: notNegative(drawBalance(t)),
	}
}

func drawBalance(t *rapid.T) money.Int128 {
	if v := drawUnits(t); v.InRange() {
		return v
	}
	return money.Max()
}

func notNegative(v money.Int128) money.Int128 {
	if v.Sign() < 0 {
		v, _ = v.Neg()
	}
	return v
}

func drawUUID(t *rapid.T) (u uuid.UUID) {
	copy(u[:], rapid.SliceOfN(rapid.Byte(), len(u), len(u)).Draw(t, "uuid"))
	return u
}

func drawHash(t *rapid.T) (h chain.Hash) {
	copy(h[:], rapid.SliceOfN(rapid.Byte(), len(h), len(h)).Draw(t, "hash"))
	return h
}

func drawDate(t *rapid.T) chain.Date {
	return chain.Date(rapid.Int32Range(int32(mustDate("0001-01-01")), int32(mustDate("9999-12-31"))).Draw(t, "date"))
}
