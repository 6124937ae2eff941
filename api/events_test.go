package api

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"tallystick/ledger/store"
	"tallystick/ledger/store/storetest"
)

// event is what a client makes of a block of a stream.
type event struct{ id, data string }

// followed is a client that follows a ledger.
type followed struct {
	t      *testing.T
	leave  context.CancelFunc
	header http.Header
	events chan event // closed when the stream ends
	last   string     // the id that the client would send when it connects again
}

// eventPatience is how long tests wait for an event: far longer than it takes.
const eventPatience = 30 * time.Second

// follow connects; with are headers.
func (b *bank) follow(t *testing.T, query string, with headers) *followed {
	t.Helper()
	ctx, leave := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, "GET", b.url+"/v1/ledgers/main/events"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+testKey)
	for name, values := range with {
		req.Header[http.CanonicalHeaderKey(name)] = values
	}
	resp, err := b.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "text/event-stream" || resp.Header.Get("Cache-Control") != "no-store" {
		t.Fatalf("following answers %s, %v", resp.Status, resp.Header)
	}
	f := &followed{t: t, leave: leave, header: resp.Header, events: make(chan event, 10_000)}
	go func() {
		defer close(f.events)
		defer resp.Body.Close()
		var e event
		lines := bufio.NewScanner(resp.Body)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			switch name, value, _ := strings.Cut(lines.Text(), ": "); name {
			case "id":
				e.id = value
			case "data":
				e.data = value
			case "":
				if e != (event{}) {
					f.events <- e
				}
				e = event{}
			}
		}
	}()
	t.Cleanup(leave)
	return f
}

// next waits for an entry; positions are remembered and passed over, as clients do.
func (f *followed) next() event {
	f.t.Helper()
	for {
		select {
		case e, open := <-f.events:
			if !open {
				f.t.Fatal("the stream has ended")
			}
			if f.last = e.id; e.data != "" {
				return e
			}
		case <-time.After(eventPatience):
			f.t.Fatal("no event comes")
		}
	}
}

// ends waits for the end of the stream.
func (f *followed) ends() {
	f.t.Helper()
	late := time.After(eventPatience)
	for {
		select {
		case _, open := <-f.events:
			if !open {
				return
			}
		case <-late:
			f.t.Fatal("the stream does not end")
		}
	}
}

const payment = `{"debit":"cash","credit":"customers:1","amount":"1.00"}`

func TestALedgerIsFollowed(t *testing.T) {
	withBank(t, func(t *testing.T, b *bank) {
		b.openAccounts().transfer(payment).is(201, "")
		f := b.follow(t, "", nil)
		size := b.count()
		read := func(f *followed, seq int64) {
			t.Helper()
			e := f.next()
			if entry := b.get("/v1/ledgers/main/entries/" + e.id); e.id != strconv.FormatInt(seq, 10) || e.data != string(entry.body) {
				t.Errorf("event %s at %d says\n%s\nand the entry is\n%s", e.id, seq, e.data, entry.body)
			}
		}
		for seq := range size {
			read(f, seq)
		}
		b.transfer(payment).is(201, "")
		read(f, size)
		f.leave()
		f.ends()

		b.transfer(payment).is(201, "")
		b.transfer(payment).is(201, "")
		again := b.follow(t, "?from=0", headers{"Last-Event-ID": {f.last}}) // as browsers do: the URL stays
		read(again, size+1)
		read(again, size+2)
		b.transfer(payment).is(201, "")
		read(again, size+3)
		read(b.follow(t, "?from="+strconv.FormatInt(size+3, 10), nil), size+3)

		now := b.follow(t, "?from=now", nil)
		if e := <-now.events; e != (event{id: strconv.FormatInt(size+3, 10)}) {
			t.Errorf("what comes from now on begins with %+v", e)
		}
		b.transfer(payment).is(201, "")
		read(now, size+4)
	})
}

// count returns the number of entries of the ledger main.
func (b *bank) count() int64 {
	b.t.Helper()
	n, err := strconv.ParseInt(b.size(), 10, 64)
	if err != nil {
		b.t.Fatal(err)
	}
	return n
}

func TestOnlySomeEntriesAreFollowed(t *testing.T) {
	withBank(t, func(t *testing.T, b *bank) {
		b.openAccounts().transfer(payment).is(201, "")
		account, kinds, prefix := b.follow(t, "?account=customers:2", nil), b.follow(t, "?kind=hold,release", nil), b.follow(t, "?account_prefix=yen", nil)
		last := b.count() - 1
		for name, f := range map[string]*followed{"account": account, "kinds": kinds, "prefix": prefix} {
			if e := <-f.events; e != (event{id: strconv.FormatInt(last, 10)}) {
				t.Errorf("with nothing selected by %s so far, the stream begins with %+v", name, e)
			}
		}
		seq := func(a *answer) string { return a.is(201, "").text("seq") }
		other := seq(b.transfer(`{"debit":"cash","credit":"customers:2","amount":"5.00"}`))
		hold := b.transfer(`{"debit":"customers:2","credit":"cash","amount":"2.00","hold":true}`)
		yen := seq(b.transfer(`{"debit":"yen","credit":"yen:out","amount":"7"}`))
		release := seq(b.act(hold.text("id")+"/release", "{}"))
		for f, want := range map[*followed][]string{account: {other, seq(hold), release}, kinds: {seq(hold), release}, prefix: {yen}} {
			for _, id := range want {
				if e := f.next(); e.id != id {
					t.Errorf("event %s comes, want %s", e.id, id)
				}
			}
		}
	})
}

// However many post, every entry comes once and in order.
func TestEventsComeInOrderUnderLoad(t *testing.T) {
	withBank(t, func(t *testing.T, b *bank) {
		b.openAccounts()
		first := b.count()
		followers := []*followed{b.follow(t, "?from=now", nil), b.follow(t, "", nil)}
		const clients, each = 8, 40
		var posting sync.WaitGroup
		for range clients {
			posting.Go(func() {
				for range each {
					b.transfer(payment).is(201, "")
				}
			})
		}
		for i, f := range followers {
			for seq := first * int64(1-i); seq < first+clients*each; seq++ {
				if e := f.next(); e.id != strconv.FormatInt(seq, 10) || !strings.Contains(e.data, fmt.Sprintf(`"seq":%d,`, seq)) {
					t.Fatalf("follower %d: event %s comes, want %d: %s", i, e.id, seq, e.data)
				}
			}
		}
		posting.Wait()
	})
}

func TestWhatCannotBeFollowed(t *testing.T) {
	withBank(t, func(t *testing.T, b *bank) {
		path := "/v1/ledgers/main/events"
		size := b.size()
		b.do("GET", path+"?from="+size+"1", "", nil).is(422, codeSeqNotReached)
		b.do("GET", path, "", headers{"Last-Event-ID": {size}}).is(422, codeSeqNotReached)
		b.do("GET", path+"?from=now", "", headers{"Last-Event-ID": {"x"}}).is(400, codeInvalidParameter)
		b.do("GET", path, "", headers{"Last-Event-ID": {"0", "0"}}).is(400, codeInvalidParameter)
		b.do("GET", path, "", headers{"Last-Event-ID": {"", "0"}}).is(400, codeInvalidParameter)
		b.do("GET", path, "", headers{"Last-Event-ID": {"9223372036854775808"}}).is(400, codeInvalidParameter)
		b.do("GET", path+"?kind=transfer,payment", "", nil).is(400, codeInvalidParameter)
		b.do("GET", path+"?kind=hold,hold", "", nil).is(400, codeInvalidParameter)
		b.do("GET", path+"?from=-1", "", nil).is(400, codeInvalidParameter)
		b.do("GET", path+"?account=A", "", nil).is(400, codeAccountCode)
		b.do("GET", path+"?limit=1", "", nil).is(400, codeUnknownParameter)
		b.do("GET", "/v1/ledgers/other/events", "", nil).is(404, codeLedgerNotFound)
		b.do("GET", path, "", headers{"Authorization": {"Bearer nobody"}}).is(401, codeUnauthenticated)
	})
}

// A stream ends when the key is withdrawn, and when the server stops; both leave no
// goroutine that asks.
func TestStreamsEnd(t *testing.T) {
	b := newBank(t, storetest.Database(t), nil)
	b.openAccounts()
	key := b.keyWith(scopeRead)
	f := b.follow(t, "?from=now", key)
	keys, err := b.db.Keys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, err = b.db.RevokeKey(t.Context(), func([]store.APIKey) (store.APIKey, error) { return keys[len(keys)-1], nil })
	if err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	go func() {
		defer close(stop)
		f.ends()
	}()
	for ended := false; !ended; {
		b.transfer(payment).is(201, "")
		select {
		case <-stop:
			ended = true
		case <-time.After(100 * time.Millisecond):
		}
	}

	last := b.follow(t, "?from=now", nil)
	close(b.ending)
	last.ends()
	late := time.Now().Add(eventPatience)
	for {
		text := string(b.get("/metrics").body)
		if strings.Contains(text, "tallystick_event_streams 0\n") {
			break
		}
		if time.Now().After(late) {
			t.Fatal("streams stay open")
		}
	}
}

func TestThereIsRoomForSoManyStreams(t *testing.T) {
	b := newBank(t, storetest.Database(t), nil)
	for range MaxEventStreams {
		b.follow(t, "?from=now", nil)
	}
	b.get("/v1/ledgers/main/events").is(503, codeOverloaded)
	b.get("/v1/ledgers/main").is(200, "")
}

// A page without entries is a position, or a sign of life.
func TestAStreamLives(t *testing.T) {
	t.Parallel()
	recorder := httptest.NewRecorder()
	c := echo.New().NewContext(httptest.NewRequest("GET", "/", nil), recorder)
	x := newExchange(c)
	s := &stream{h: &handlers{metrics: newMetrics(nil, nil)}, x: x, rc: http.NewResponseController(c.Response()), next: 8, told: -1}
	s.open()
	for range 3 {
		if err := s.write(&eventBlocks{}); err != nil {
			t.Fatal(err)
		}
	}
	s.next = 9
	if err := s.write(&eventBlocks{}); err != nil {
		t.Fatal(err)
	}
	if got, want := recorder.Body.String(), "retry: 2000\n\nid: 7\n\n:\n\n:\n\nid: 8\n\n"; got != want || x.size != len(want) {
		t.Errorf("written: %q, want %q", got, want)
	}
}

// What was restored, cut out or rewritten is not passed over: the stream ends, and who
// connects again is told.
func TestNobodyFollowsADamagedLedger(t *testing.T) {
	t.Parallel()
	b := newBank(t, storetest.Database(t), nil)
	b.openAccounts()
	for range 5 {
		b.transfer(payment).is(201, "")
	}
	last := b.count() - 1
	remove := func(seq int64) string {
		return fmt.Sprintf(`create table if not exists kept as select * from book.entries where seq = %[1]d;
			delete from book.entries where seq = %[1]d`, seq)
	}
	const put = `insert into book.entries select * from kept; drop table kept`
	path := "/v1/ledgers/main/events"

	b.sql(remove(last - 2))
	b.do("GET", path, "", nil).is(503, "account_damaged")
	b.do("GET", path, "", headers{"Last-Event-ID": {strconv.FormatInt(last-2, 10)}}).is(503, "account_damaged")
	b.sql(put)

	b.sql(fmt.Sprintf(`update ops.payloads set metadata = E'{\n\nid: 999\ndata: "k":1}' where seq = %d`, last))
	b.do("GET", path+"?from="+strconv.FormatInt(last, 10), "", nil).is(503, "account_damaged")
	b.sql(fmt.Sprintf(`update ops.payloads set metadata = null where seq = %d`, last))

	all, some := b.follow(t, "?from=now", nil), b.follow(t, "?from=now&kind=hold", nil)
	<-all.events
	<-some.events
	b.sql(remove(last))
	all.ends()
	some.ends()
	b.do("GET", path, "", headers{"Last-Event-ID": {strconv.FormatInt(last, 10)}}).is(422, codeSeqNotReached)
	calm := b.follow(t, "?from=now", nil) // nothing is remembered of the size that was
	<-calm.events
	b.sql(put)
	if e := calm.next(); e.id != strconv.FormatInt(last, 10) {
		t.Errorf("event %s comes", e.id)
	}

	rewritten := b.follow(t, "?from=now", nil)
	<-rewritten.events
	b.sql(fmt.Sprintf(`update book.entries set entry_hash = decode(repeat('00', 32), 'hex') where seq = %d`, last))
	rewritten.ends()
}

// A body that is announced and does not come holds nobody's place.
func TestAStreamDoesNotWaitForABody(t *testing.T) {
	t.Parallel()
	b := newBank(t, storetest.Database(t), nil)
	conn, err := net.Dial("tcp", strings.TrimPrefix(b.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(ReadTimeout + eventPatience)); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "GET /v1/ledgers/main/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: 10\r\n\r\n", testKey)
	if _, err := io.ReadAll(conn); err != nil {
		t.Errorf("after %s the connection stands: %v", ReadTimeout+eventPatience, err)
	}
}

// A ledger that has become smaller is another one to who waits, and what was known of
// its size before counts for nothing.
func TestHeadsAreAskedForAnew(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var size, asked atomic.Int64
		size.Store(10)
		heads := newHeads(func(context.Context, uuid.UUID) (int64, error) { asked.Add(1); return size.Load(), nil })
		if n, err := heads.await(t.Context(), uuid.Nil, 9); n != 10 || err != nil {
			t.Errorf("waiting at 9: %d, %v", n, err)
		}
		size.Store(5)
		if n, err := heads.await(t.Context(), uuid.Nil, 5); !errors.Is(err, context.DeadlineExceeded) || asked.Load() > int64(EventHeartbeat/watchEvery)+2 {
			t.Errorf("waiting at 5: %d, %v, asked %d times", n, err, asked.Load())
		}
		go func() {
			<-time.After(time.Second)
			size.Store(4)
		}()
		if n, err := heads.await(t.Context(), uuid.Nil, 5); n != 4 || err != nil {
			t.Errorf("a ledger that has lost an entry: %d, %v", n, err)
		}
	})
}
