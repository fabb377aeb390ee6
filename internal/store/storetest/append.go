package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/callnorm/callnorm/internal/store"
)

func testDelivery(t *testing.T, h *harness) {
	noise := make([]byte, 5<<20)
	source := rand.NewChaCha8([32]byte{})
	if _, err := source.Read(noise); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*store.Delivery){
		"all fields":    func(*store.Delivery) {},
		"nothing":       func(d *store.Delivery) { *d = store.Delivery{Key: d.Key, ReceiveTime: d.ReceiveTime} },
		"empty body":    func(d *store.Delivery) { d.Body = []byte{} },
		"noise of 5 MB": func(d *store.Delivery) { d.Body = noise },
		"text of 5 MB":  func(d *store.Delivery) { d.Body = bytes.Repeat([]byte("text "), 1<<20) },
		"no text":       func(d *store.Delivery) { d.Body, d.Path, d.Query = []byte("\x00\xff"), "/\xff", "a=\xfe&b=" },
		"header": func(d *store.Delivery) {
			d.Header = []store.HeaderLine{{Name: "B", Value: "2"}, {Name: "A", Value: ""}, {Name: "B", Value: "1\xff: \n"}, {}}
		},
		"a proof": func(d *store.Delivery) {
			d.VerifiedBy, d.Signed = "scheme", []string{"timestamp", "", "body \xff"}
		},
		"signed nothing":    func(d *store.Delivery) { d.VerifiedBy, d.Signed = "scheme", nil },
		"signed by nobody":  func(d *store.Delivery) { d.Signed = []string{""} },
		"waiting":           func(d *store.Delivery) { d.Waiting = true },
		"negative state":    func(d *store.Delivery) { d.State = -1 },
		"a time before all": func(d *store.Delivery) { d.ReceiveTime = time.Time{} },
	} {
		t.Run(name, func(t *testing.T) {
			d := delivery(name)
			change(&d)
			receipt := mustAppend(t, h, d, nil)
			same(t, "receipt", store.Receipt{Delivery: h.DeliveryID(d.Key), State: d.State, Report: d.Report}, receipt)
			got, err := h.Delivery(t.Context(), receipt.Delivery)
			if err != nil {
				t.Fatal(err)
			}
			same(t, "delivery", d, got)
		})
	}
}

func testEntries(t *testing.T, h *harness) {
	large := bytes.Repeat([]byte("large \x00"), 1<<17)
	var want []store.Entry
	for i, body := range [][]byte{{}, []byte("\x00\xff"), large} {
		name := fmt.Sprint("entry ", i)
		d := delivery(name)
		mustAppend(t, h, d, with(store.Revision{Body: body}), store.Contribution{Outcome: outcome(name), Item: 3, Body: body})
		got, err := h.Contributions(t.Context(), outcome(name))
		if err != nil {
			t.Fatal(err)
		}
		same(t, "contributions", []store.KeptContribution{{
			Delivery:     h.DeliveryID(d.Key),
			Contribution: store.Contribution{Outcome: outcome(name), Item: 3, Body: body},
		}}, got)
		entry, err := h.Outcome(t.Context(), outcome(name))
		if err != nil {
			t.Fatal(err)
		}
		if entry.Position != store.Position(i+1) || entry.Revision != 1 || entry.Outcome != outcome(name) || !bytes.Equal(entry.Body, body) {
			t.Errorf("entry of %s is %+v", name, entry)
		}
		want = append(want, entry)
	}
	same(t, "log", want, readAll(t, h, store.Filter{}, 10))
}

func testDuplicate(t *testing.T, h *harness) {
	first := delivery("duplicate")
	var c count
	mustAppend(t, h, first, c.fold, contribution("b", 0, "1"), contribution("a", 1, "2"), contribution("b", 2, "3"))
	mustAppend(t, h, delivery("later"), c.fold, contribution("a", 0, "4"))
	calls := c.calls.Load()
	again := first
	again.State, again.Report = 9, []byte("another report")
	want := store.Receipt{
		Delivery:  h.DeliveryID(first.Key),
		Duplicate: true,
		State:     first.State,
		Report:    first.Report,
		Outcomes:  []store.ReceiptOutcome{{Outcome: outcome("b"), Revision: 1}, {Outcome: outcome("a"), Revision: 2}},
	}
	for range 2 {
		same(t, "receipt", want, mustAppend(t, h, again, c.fold, contribution("c", 0, "5")))
		h.reopen(t)
	}
	if got := c.calls.Load(); got != calls {
		t.Errorf("fold was called %d times for duplicates", got-calls)
	}
	kept, err := h.Delivery(t.Context(), want.Delivery)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "delivery", first, kept)
	if log := readAll(t, h, store.Filter{}, 10); len(log) != 3 {
		t.Errorf("the log has %d entries", len(log))
	}
}

func testConcurrentDuplicates(t *testing.T, h *harness) {
	const copies = 1000
	d := delivery("copies")
	var c count
	var fresh atomic.Int64
	each(copies, func(int) {
		receipt, err := h.Append(context.Background(), d, []store.Contribution{contribution("copies", 0, "body")}, c.fold)
		if err != nil {
			t.Error(err)
		}
		if !receipt.Duplicate {
			fresh.Add(1)
		}
		same(t, "outcomes", []store.ReceiptOutcome{
			{Outcome: outcome("copies"), Revision: 1, Changed: !receipt.Duplicate},
		}, receipt.Outcomes)
	})
	if fresh.Load() != 1 || c.calls.Load() != 1 {
		t.Errorf("%d copies were new, fold was called %d times", fresh.Load(), c.calls.Load())
	}
	if log := readAll(t, h, store.Filter{}, 10); len(log) != 1 {
		t.Errorf("the log has %d entries", len(log))
	}
}

func testFoldOrder(t *testing.T, h *harness) {
	var last *store.Entry
	var kept []store.KeptContribution
	for i := range 5 {
		d := delivery(fmt.Sprint("order ", i))
		added := []store.Contribution{contribution("order", 2*i, fmt.Sprint(i, "a")), contribution("order", 2*i+1, fmt.Sprint(i, "b"))}
		for _, c := range added {
			kept = append(kept, store.KeptContribution{Delivery: h.DeliveryID(d.Key), Contribution: c})
		}
		calls := 0
		receipt := mustAppend(t, h, d, func(call store.Call) (store.Revision, error) {
			calls++
			same(t, "contributions in fold", kept, call.Contributions)
			same(t, "current", last, call.Current)
			if call.Outcome != outcome("order") {
				t.Errorf("fold was called for %s", call.Outcome)
			}
			return join(call)
		}, added...)
		if calls != 1 {
			t.Errorf("fold was called %d times", calls)
		}
		same(t, "outcomes", []store.ReceiptOutcome{
			{Outcome: outcome("order"), Revision: int32(i + 1), Changed: true},
		}, receipt.Outcomes)
		entry, err := h.Outcome(t.Context(), outcome("order"))
		if err != nil {
			t.Fatal(err)
		}
		last = &entry
	}
	got, err := h.Contributions(t.Context(), outcome("order"))
	if err != nil {
		t.Fatal(err)
	}
	same(t, "contributions", kept, got)
}

func testFoldsExclusive(t *testing.T, h *harness) {
	const writers = 64
	var inside atomic.Int64
	var c count
	each(writers, func(i int) {
		_, err := h.Append(context.Background(), delivery(fmt.Sprint("exclusive ", i)),
			[]store.Contribution{contribution("exclusive", 0, fmt.Sprint(i))},
			func(call store.Call) (store.Revision, error) {
				if inside.Add(1) != 1 {
					t.Error("two folds of one outcome overlap")
				}
				defer inside.Add(-1)
				if revision := int64(len(call.Contributions)); call.Current != nil && int64(call.Current.Revision) != revision-1 {
					t.Errorf("revision %d was folded from %d contributions", call.Current.Revision, revision-1)
				}
				return c.fold(call)
			})
		if err != nil {
			t.Error(err)
		}
	})
	entry, err := h.Outcome(t.Context(), outcome("exclusive"))
	if err != nil {
		t.Fatal(err)
	}
	if entry.Revision != writers || c.calls.Load() != writers {
		t.Errorf("%d revisions and %d folds, want %d", entry.Revision, c.calls.Load(), writers)
	}
}

func testSeveralOutcomes(t *testing.T, h *harness) {
	receipt := mustAppend(t, h, delivery("batch"), join,
		contribution("y", 0, "0"), contribution("x", 0, "0"), contribution("y", 1, "1"), contribution("z", 2, "2"))
	same(t, "outcomes", []store.ReceiptOutcome{
		{Outcome: outcome("y"), Revision: 1, Changed: true},
		{Outcome: outcome("x"), Revision: 1, Changed: true},
		{Outcome: outcome("z"), Revision: 1, Changed: true},
	}, receipt.Outcomes)
	log := readAll(t, h, store.Filter{}, 10)
	var bodies []string
	for _, e := range log {
		bodies = append(bodies, string(e.Body))
	}
	same(t, "bodies", []string{"[0 0][1 1]", "[0 0]", "[2 2]"}, bodies)
}

func testNoContributions(t *testing.T, h *harness) {
	d := delivery("alone")
	for _, duplicate := range []bool{false, true} {
		same(t, "receipt", store.Receipt{
			Delivery: h.DeliveryID(d.Key), Duplicate: duplicate, State: d.State, Report: d.Report,
		}, mustAppend(t, h, d, nil))
	}
	if log := readAll(t, h, store.Filter{}, 10); len(log) != 0 {
		t.Errorf("the log has %d entries", len(log))
	}
}

func testRepeatedItem(t *testing.T, h *harness) {
	_, err := h.Append(t.Context(), delivery("twice"),
		[]store.Contribution{contribution("twice", 1, "a"), contribution("twice", 1, "b")}, join)
	if err == nil {
		t.Error("one item has contributed twice to one outcome")
	}
	nothingKept(t, h, "twice")
}

// nothingKept checks that a delivery that was refused has left nothing, and can be kept after all.
func nothingKept(t *testing.T, h *harness, name string) {
	t.Helper()
	if _, err := h.Delivery(t.Context(), h.DeliveryID(delivery(name).Key)); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the delivery was kept: %v", err)
	}
	if _, err := h.Outcome(t.Context(), outcome(name)); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the outcome was kept: %v", err)
	}
	if kept, err := h.Contributions(t.Context(), outcome(name)); err != nil || len(kept) != 0 {
		t.Errorf("%d contributions were kept: %v", len(kept), err)
	}
	receipt := mustAppend(t, h, delivery(name), join, contribution(name, 0, "again"))
	same(t, "outcomes", []store.ReceiptOutcome{{Outcome: outcome(name), Revision: 1, Changed: true}}, receipt.Outcomes)
	if receipt.Duplicate {
		t.Error("the receipt says that it was kept before")
	}
}

var errTest = errors.New("reason")

func testFailingFold(t *testing.T, h *harness) {
	for name, fold := range map[string]store.Fold{
		"error":         func(store.Call) (store.Revision, error) { return store.Revision{}, errTest },
		"panic":         func(store.Call) (store.Revision, error) { panic("secret") },
		"runtime error": func(call store.Call) (store.Revision, error) { return store.Revision{Body: call.Current.Body}, nil },
		"second outcome": func(call store.Call) (store.Revision, error) {
			if call.Outcome == outcome("other") {
				return store.Revision{}, errTest
			}
			return join(call)
		},
	} {
		t.Run(name, func(t *testing.T) {
			before, err := h.Head(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			_, err = h.Append(t.Context(), delivery(name),
				[]store.Contribution{contribution(name, 0, "body"), contribution("other", 1, "body")}, fold)
			if !errors.Is(err, store.ErrFold) {
				t.Errorf("Append: %v", err)
			}
			if err := h.Err(); err != nil {
				t.Errorf("Err: %v", err)
			}
			after, err := h.Head(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			same(t, "head", before, after)
			nothingKept(t, h, name)
		})
	}
	if _, err := h.Outcome(t.Context(), outcome("other")); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the other outcome was kept: %v", err)
	}
}

func testFailingNeighbour(t *testing.T, h *harness) {
	const writers = 60
	each(writers, func(i int) {
		fold := store.Fold(join)
		switch i % 3 {
		case 1:
			fold = func(store.Call) (store.Revision, error) { return store.Revision{}, errTest }
		case 2:
			fold = func(store.Call) (store.Revision, error) { panic(errTest) }
		}
		name := fmt.Sprint("neighbour ", i)
		_, err := h.Append(context.Background(), delivery(name),
			[]store.Contribution{contribution(name, 0, "own"), contribution("shared", 1, name)}, fold)
		if failed := errors.Is(err, store.ErrFold); failed != (i%3 != 0) || !failed && err != nil {
			t.Errorf("Append %d: %v", i, err)
		}
	})
	shared, err := h.Outcome(t.Context(), outcome("shared"))
	if err != nil {
		t.Fatal(err)
	}
	if shared.Revision != writers/3 {
		t.Errorf("%d revisions, want %d", shared.Revision, writers/3)
	}
	log := readAll(t, h, store.Filter{}, 7)
	if len(log) != 2*writers/3 {
		t.Errorf("the log has %d entries, want %d", len(log), 2*writers/3)
	}
	gapless(t, log)
}

func testNilRevision(t *testing.T, h *harness) {
	nothing := with(store.Revision{Keys: store.Keys{ProviderCallID: "ignored"}})
	receipt := mustAppend(t, h, delivery("1"), nothing, contribution("quiet", 0, "a"))
	same(t, "outcomes", []store.ReceiptOutcome{{Outcome: outcome("quiet")}}, receipt.Outcomes)
	if _, err := h.Outcome(t.Context(), outcome("quiet")); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Outcome without a revision: %v", err)
	}
	same(t, "duplicate's outcomes", receipt.Outcomes, mustAppend(t, h, delivery("1"), nothing).Outcomes)
	mustAppend(t, h, delivery("2"), join, contribution("quiet", 0, "b"))
	before, err := h.Outcome(t.Context(), outcome("quiet"))
	if err != nil {
		t.Fatal(err)
	}
	receipt = mustAppend(t, h, delivery("3"), nothing, contribution("quiet", 0, "c"))
	same(t, "outcomes", []store.ReceiptOutcome{{Outcome: outcome("quiet"), Revision: 1}}, receipt.Outcomes)
	after, err := h.Outcome(t.Context(), outcome("quiet"))
	if err != nil {
		t.Fatal(err)
	}
	same(t, "outcome", before, after)
	mustAppend(t, h, delivery("4"), join, contribution("quiet", 0, "d"))
	log := readAll(t, h, store.Filter{}, 10)
	if len(log) != 2 || string(log[1].Body) != "[0 a][0 b][0 c][0 d]" || log[1].Revision != 2 {
		t.Errorf("the log is %+v", log)
	}
}

func gapless(t check, log []store.Entry) {
	t.Helper()
	for i, e := range log {
		if e.Position != store.Position(i+1) {
			t.Fatalf("entry %d is at position %d", i+1, e.Position)
		}
	}
}

func testPositions(t *testing.T, h *harness) {
	const writers, appends = 64, 5
	each(writers, func(w int) {
		for i := range appends {
			name := fmt.Sprint("positions ", w, " ", i)
			receipt, err := h.Append(context.Background(), delivery(name),
				[]store.Contribution{contribution(fmt.Sprint("own ", w), 0, name), contribution(fmt.Sprint("shared ", i), 1, name)}, join)
			if err != nil {
				t.Error(err)
				return
			}
			if got := receipt.Outcomes[0].Revision; got != int32(i+1) {
				t.Errorf("revision %d of a writer's own outcome is %d", i+1, got)
			}
		}
	})
	log := readAll(t, h, store.Filter{}, 100)
	if want := 2 * writers * appends; len(log) != want {
		t.Errorf("the log has %d entries, want %d", len(log), want)
	}
	gapless(t, log)
	revisions := map[store.OutcomeID]int32{}
	for _, e := range log {
		if revisions[e.Outcome]++; e.Revision != revisions[e.Outcome] {
			t.Fatalf("revision %d of %s comes as number %d", e.Revision, e.Outcome, revisions[e.Outcome])
		}
	}
}

func testTimes(t *testing.T, h *harness) {
	var last time.Time
	for i := range 20 {
		var folded time.Time
		mustAppend(t, h, delivery(fmt.Sprint("time ", i)), func(call store.Call) (store.Revision, error) {
			folded = call.Time
			return join(call)
		}, contribution("time", 0, "body"))
		entry, err := h.Outcome(t.Context(), outcome("time"))
		if err != nil {
			t.Fatal(err)
		}
		if !entry.Time.Equal(folded) || entry.Time.Before(last) || entry.Time.Location() != time.UTC ||
			!entry.Time.Equal(entry.Time.Truncate(time.Microsecond)) {
			t.Errorf("entry %d of %v was folded at %v after %v", i, entry.Time, folded, last)
		}
		last = entry.Time
	}
}
