package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/callnorm/callnorm/internal/store"
)

// gravestone is a fold that says that an outcome was deleted.
func gravestone(call store.Call) (store.Revision, error) {
	if len(call.Contributions) > 0 || call.Current == nil {
		return store.Revision{}, errors.New("a deletion has contributions, or nothing to delete")
	}
	return store.Revision{Body: []byte("deleted"), Keys: store.Keys{Provider: "provider", Source: "door", ProviderCallID: "left out"}}, nil
}

// mustDelete deletes the outcome a.
func mustDelete(t check, s store.Store) store.Removed {
	t.Helper()
	removed, err := s.Delete(context.Background(), outcome("a"), gravestone)
	if err != nil {
		t.Fatalf("Delete: %v", err)
	}
	return removed
}

// told appends a delivery about one outcome, which is found by its name and an address.
func told(t check, s store.Store, source, name string, n int) store.Receipt {
	t.Helper()
	d := delivery(fmt.Sprint(source, " ", name, " ", n))
	d.Source = source
	c := contribution(name, 0, fmt.Sprint(name, " ", n))
	c.Addresses = []string{"address of " + name}
	return mustAppend(t, s, d, func(call store.Call) (store.Revision, error) {
		revision, err := join(call)
		revision.Keys = store.Keys{
			Provider: "provider", Source: source, ProviderCallID: "call " + name, ExternalIDs: []store.ExternalID{{System: "s", ID: name}},
			Status: 1, Completeness: 1,
		}
		return revision, err
	}, c)
}

func listed(t check, s store.Store, filter store.ListFilter) []string {
	t.Helper()
	var bodies []string
	for place, end := (store.Place{}), false; !end; {
		page, err := s.List(context.Background(), filter, place, 2)
		if err != nil {
			t.Fatalf("List: %v", err)
		}
		for _, e := range page.Entries {
			bodies = append(bodies, string(e.Body))
		}
		place, end = page.Next, page.End
	}
	return bodies
}

func testDelete(t *testing.T, h *harness) {
	first := told(t, h, "door", "a", 1)
	told(t, h, "door", "a", 2)
	told(t, h, "door", "b", 1)
	both := mustAppend(t, h, delivery("both"), join, contribution("a", 0, "a of both"), contribution("b", 1, "b of both"))
	same(t, "removed", store.Removed{Outcomes: 1, Revisions: 3, Deliveries: 3}, mustDelete(t, h))
	same(t, "removed again", store.Removed{}, mustDelete(t, h))
	if _, err := h.Delete(t.Context(), outcome("never"), gravestone); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("deleting what is not kept: %v", err)
	}
	for range 2 {
		var bodies []string
		for _, e := range readAll(t, h, store.Filter{}, 3) {
			bodies = append(bodies, string(e.Body))
			if e.Deleted != (string(e.Body) == "deleted") {
				t.Errorf("%s is deleted: %t", e.Body, e.Deleted)
			}
		}
		same(t, "log", []string{"[0 b 1]", "[0 b 1][1 b of both]", "deleted"}, bodies)
		entry, err := h.Outcome(t.Context(), outcome("a"))
		if err != nil || !entry.Deleted || entry.Revision != 4 || entry.Position != 6 {
			t.Errorf("what is left is %+v: %v", entry, err)
		}
		same(t, "contributions", nil, contributed(t, h, "a"))
		for what, query := range map[string]store.Query{
			"call id":     {ProviderCallID: "call a"},
			"external id": {ExternalID: store.ExternalID{System: "s", ID: "a"}},
			"new call id": {ProviderCallID: "left out"},
		} {
			same(t, "found by its "+what, nil, found(t, h, query, 10))
		}
		same(t, "found by its address", nil, listed(t, h, store.ListFilter{Address: "address of a"}))
		same(t, "found by another's address", []string{"[0 b 1][1 b of both]"}, listed(t, h, store.ListFilter{Address: "address of b"}))
		revisions, err := h.Revisions(t.Context(), outcome("a"), 0, 10)
		if err != nil || len(revisions) != 1 || !revisions[0].Deleted {
			t.Errorf("history: %+v, %v", revisions, err)
		}
		// Neither deliveries nor what they said comes back, also of the one that spoke of another outcome as well.
		for _, id := range []store.DeliveryID{first.Delivery, both.Delivery} {
			if _, err := h.Delivery(t.Context(), id); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("a deleted delivery: %v", err)
			}
		}
		same(t, "a repetition", store.Receipt{Delivery: first.Delivery, Duplicate: true, Gone: true}, told(t, h, "door", "a", 1))
		h.reopen(t)
	}
	late := told(t, h, "door", "a", 3)
	if !late.Gone || late.Duplicate || len(late.Outcomes) != 0 {
		t.Errorf("a late delivery: %+v", late)
	}
	half := mustAppend(t, h, delivery("half"), join, contribution("a", 0, "a of half"), contribution("b", 1, "b of half"))
	if !half.Gone || len(half.Outcomes) != 1 || half.Outcomes[0].Outcome != outcome("b") || !half.Outcomes[0].Changed {
		t.Errorf("a late delivery that speaks of another outcome as well: %+v", half)
	}
	same(t, "contributions to the other", []string{"b 1", "b of both", "b of half"}, contributed(t, h, "b"))
	if page, err := h.Deliveries(t.Context(), store.DeliveryFilter{}, 0, 10); err != nil || len(page.Deliveries) != 1 {
		t.Errorf("deliveries are %+v, %v", page, err)
	}
	if err := h.Scrub(t.Context()); err != nil {
		t.Errorf("Scrub: %v", err)
	}
}

func testDeletedPassesFilters(t *testing.T, h *harness) {
	told(t, h, "door", "a", 1)
	mustDelete(t, h)
	for what, test := range map[string]struct {
		filter store.Filter
		passes bool
	}{
		"all":               {store.Filter{}, true},
		"another status":    {store.Filter{Statuses: []int32{7}}, true},
		"a completeness":    {store.Filter{Completeness: []int32{7}}, true},
		"its provider":      {store.Filter{Providers: []string{"provider"}, Statuses: []int32{7}}, true},
		"another provider":  {store.Filter{Providers: []string{"other"}}, false},
		"another source":    {store.Filter{Sources: []string{"other"}}, false},
		"its own outcome":   {store.Filter{Outcomes: []store.OutcomeID{outcome("b"), outcome("a")}}, true},
		"another's outcome": {store.Filter{Outcomes: []store.OutcomeID{outcome("b")}}, false},
	} {
		if got := readAll(t, h, test.filter, 10); (len(got) == 1) != test.passes {
			t.Errorf("%s: %+v", what, got)
		}
	}
}

func testDeleteFailing(t *testing.T, h *harness) {
	told(t, h, "door", "a", 1)
	for what, fold := range map[string]store.Fold{
		"an error":  func(store.Call) (store.Revision, error) { return store.Revision{}, errors.New("no") },
		"a panic":   func(store.Call) (store.Revision, error) { panic("no") },
		"no body":   func(store.Call) (store.Revision, error) { return store.Revision{}, nil },
		"no luck":   func(store.Call) (store.Revision, error) { return store.Revision{Redundant: true}, nil },
		"a runtime": func(c store.Call) (store.Revision, error) { return store.Revision{Body: c.Contributions[7].Body}, nil },
	} {
		if _, err := h.Delete(t.Context(), outcome("a"), fold); !errors.Is(err, store.ErrFold) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := h.Err(); err != nil {
		t.Errorf("the store is not well: %v", err)
	}
	same(t, "log", 1, len(readAll(t, h, store.Filter{}, 10)))
}

func testForget(t *testing.T, h *harness) {
	first, second := told(t, h, "door", "a", 1), told(t, h, "door", "a", 2)
	removed, err := h.Forget(t.Context(), first.Delivery, store.DeliveryID{1}, first.Delivery)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "removed", store.Removed{Deliveries: 1}, removed)
	if _, err := h.Delivery(t.Context(), first.Delivery); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a forgotten delivery: %v", err)
	}
	same(t, "what it said", []string{"a 1", "a 2"}, contributed(t, h, "a"))
	same(t, "a repetition", store.Receipt{Delivery: first.Delivery, Duplicate: true, Gone: true}, told(t, h, "door", "a", 1))
	if _, err := h.Renormalize(t.Context(), first.Delivery, store.Understanding{}, join); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("understanding it anew: %v", err)
	}
	page, err := h.Deliveries(t.Context(), store.DeliveryFilter{}, 0, 10)
	if err != nil || len(page.Deliveries) != 1 || page.Deliveries[0].ID != second.Delivery {
		t.Errorf("deliveries are %+v, %v", page, err)
	}
}

func testSilent(t *testing.T, h *harness) {
	told(t, h, "door", "a", 1)
	mustAppend(t, h, delivery("silent"), nil)
	waiting := delivery("waiting")
	waiting.Waiting = true
	mustAppend(t, h, waiting, join, contribution("b", 0, "b"))
	page, err := h.Deliveries(t.Context(), store.DeliveryFilter{Silent: true}, 0, 10)
	if err != nil {
		t.Fatal(err)
	}
	var reports []string
	for _, d := range page.Deliveries {
		reports = append(reports, string(d.Report))
	}
	same(t, "silent deliveries", []string{"report of silent", "report of waiting"}, reports)
}

func mustTrim(t check, s store.Store, source string, retention store.Retention) (total store.Removed) {
	t.Helper()
	for range 1000 {
		removed, err := s.Trim(context.Background(), source, retention)
		if err != nil {
			t.Fatalf("Trim: %v", err)
		}
		total.Outcomes += removed.Outcomes
		total.Revisions += removed.Revisions
		total.Deliveries += removed.Deliveries
		if !removed.More {
			return total
		}
	}
	t.Fatalf("Trim comes to no end")
	return total
}

// bodies returns the bodies of entries.
func bodies(entries []store.Entry) (list []string) {
	for _, e := range entries {
		list = append(list, string(e.Body))
	}
	return list
}

func testTrimByAge(t *testing.T, h *harness) {
	told(t, h, "door", "a", 1)
	told(t, h, "other", "b", 1)
	told(t, h, "door", "c", 1)
	told(t, h, "door", "a", 2)
	told(t, h, "door", "d", 1)
	mustAppend(t, h, delivery("silent"), nil)
	log := readAll(t, h, store.Filter{}, 10)
	// Everything up to the second revision of a is older: but where times are equal, nothing tells.
	before := log[4].Time
	want := store.Removed{}
	if log[2].Time.Before(before) {
		want.Outcomes, want.Revisions, want.Deliveries = 1, 1, 1
	}
	if log[3].Time.Before(before) {
		want.Outcomes, want.Revisions, want.Deliveries = want.Outcomes+1, want.Revisions+2, want.Deliveries+2
	}
	want.Deliveries++ // the silent one, which was received long ago
	same(t, "removed", want, mustTrim(t, h, "door", store.Retention{Before: before}))
	same(t, "removed with nothing left", store.Removed{}, mustTrim(t, h, "door", store.Retention{Before: before}))
	same(t, "log of the other", []string{"[0 b 1]"}, bodies(readAll(t, h, store.Filter{Sources: []string{"other"}}, 10)))
	same(t, "what became of the newest", []string{"[0 d 1]"}, listed(t, h, store.ListFilter{ProviderCallID: "call d"}))
	everything := store.Retention{Before: time.Now().Add(time.Hour)}
	mustTrim(t, h, "door", everything)
	mustTrim(t, h, "other", everything)
	h.reopen(t)
	same(t, "log", nil, readAll(t, h, store.Filter{}, 10))
	usage, err := h.Usage(t.Context())
	if err != nil || usage["door"] != 0 || usage["other"] != 0 {
		t.Errorf("usage is %v, %v", usage, err)
	}
	again := told(t, h, "door", "a", 3)
	if again.Gone || len(again.Outcomes) != 1 || again.Outcomes[0].Revision != 1 {
		t.Errorf("an outcome that was trimmed begins anew with %+v", again)
	}
	if repeated := told(t, h, "door", "a", 1); !repeated.Gone || !repeated.Duplicate {
		t.Errorf("a repetition of what was trimmed: %+v", repeated)
	}
	same(t, "log after it", []string{"[0 a 3]"}, bodies(readAll(t, h, store.Filter{}, 10)))
}

func testTrimByBytes(t *testing.T, h *harness) {
	for n := range 40 {
		told(t, h, "door", fmt.Sprint("n", n), n)
		told(t, h, "other", fmt.Sprint("o", n), n)
	}
	before, err := h.Usage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	const most = 2000
	removed := mustTrim(t, h, "door", store.Retention{Bytes: most})
	after, err := h.Usage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if before["door"] <= most || after["door"] > most || after["door"] < most/2 || after["other"] != before["other"] || removed.Outcomes == 0 {
		t.Errorf("usage went from %v to %v, removed %+v", before, after, removed)
	}
	left := readAll(t, h, store.Filter{Sources: []string{"door"}}, 100)
	if len(left) != 40-int(removed.Outcomes) || string(left[len(left)-1].Body) != "[0 n39 39]" {
		t.Errorf("what is left is %q", bodies(left))
	}
	same(t, "log of the other", 40, len(readAll(t, h, store.Filter{Sources: []string{"other"}}, 100)))
}

func testTrimDeliveries(t *testing.T, h *harness) {
	first, second := delivery("first"), delivery("second")
	second.ReceiveTime = first.ReceiveTime.Add(time.Hour)
	mustAppend(t, h, first, join, contribution("a", 0, "1"))
	mustAppend(t, h, second, join, contribution("a", 0, "2"))
	same(t, "removed", store.Removed{Deliveries: 1}, mustTrim(t, h, "door", store.Retention{DeliveriesBefore: second.ReceiveTime}))
	same(t, "what they said", []string{"1", "2"}, contributed(t, h, "a"))
	if _, err := h.Delivery(t.Context(), h.DeliveryID(first.Key)); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the older one: %v", err)
	}
	if _, err := h.Delivery(t.Context(), h.DeliveryID(second.Key)); err != nil {
		t.Errorf("the younger one: %v", err)
	}
	if receipt := mustAppend(t, h, first, join, contribution("a", 0, "1")); !receipt.Duplicate || !receipt.Gone {
		t.Errorf("the older one again: %+v", receipt)
	}
	same(t, "log", 2, len(readAll(t, h, store.Filter{}, 10)))
}

// reader is somebody who reads on, with what he has to see or to be told.
type reader struct {
	sources []string
	// all are the sources of his history: others are none of his.
	all    []string
	cursor store.Cursor
	// owed are the positions that he would see.
	owed map[store.Position]bool
	// lost tells that one of those was trimmed.
	lost bool
}

// testReadersAreTold lets readers follow at their own pace while outcomes of two sources are told, deleted and trimmed. A reader gets
// exactly what is kept behind his cursor, in order, and is refused exactly when something that he would have seen was trimmed.
func testReadersAreTold(t *testing.T, h *harness) {
	sources := []string{"east", "west"}
	history := 0
	rapid.Check(t, func(t *rapid.T) {
		history++
		own := func(name string) string { return fmt.Sprint(history, " ", name) }
		mine := func(source string) string { return fmt.Sprint(source, history) }
		head, err := h.Head(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		kept := map[store.Position]string{} // position to source
		readers := []*reader{{sources: nil}, {sources: []string{mine("east")}}, {sources: []string{mine("west")}}}
		for _, r := range readers {
			r.cursor, r.owed = head, map[store.Position]bool{}
			r.all = []string{mine("east"), mine("west")}
		}
		passes := func(r *reader, source string) bool { return len(r.sources) == 0 || slices.Contains(r.sources, source) }
		// sync tells the model what is kept now.
		sync := func(trimmed bool) {
			now := map[store.Position]string{}
			for _, source := range sources {
				for _, e := range readAllAfter(t, h, head, store.Filter{Sources: []string{mine(source)}}) {
					now[e.Position] = mine(source)
				}
			}
			for _, r := range readers {
				for position, source := range now {
					if _, known := kept[position]; !known && passes(r, source) {
						r.owed[position] = true
					}
				}
				for position := range r.owed {
					if _, still := now[position]; !still {
						r.lost = r.lost || trimmed
						delete(r.owed, position)
					}
				}
			}
			kept = now
		}
		n := 0
		for range rapid.IntRange(5, 40).Draw(t, "steps") {
			name := own(rapid.SampledFrom([]string{"a", "b", "c", "d", "e"}).Draw(t, "name"))
			source := mine(sources[int(name[len(name)-1])%2])
			switch rapid.IntRange(0, 9).Draw(t, "step") {
			case 0, 1, 2, 3:
				n++
				told(t, h, source, name, n)
				sync(false)
			case 4:
				if _, err := h.Delete(t.Context(), outcome(name), func(store.Call) (store.Revision, error) {
					return store.Revision{Body: []byte("deleted"), Keys: store.Keys{Source: source}}, nil
				}); err != nil && !errors.Is(err, store.ErrNotFound) {
					t.Fatal(err)
				}
				sync(false)
			case 5:
				// Up to any of the entries that are kept.
				var all []store.Position
				for position, s := range kept {
					if s == source {
						all = append(all, position)
					}
				}
				if len(all) == 0 {
					continue
				}
				slices.Sort(all)
				entry := readAllAfter(t, h, store.Cursor{Position: rapid.SampledFrom(all).Draw(t, "up to") - 1}, store.Filter{Sources: []string{source}})[0]
				mustTrim(t, h, source, store.Retention{Before: entry.Time.Add(time.Microsecond)})
				sync(true)
			case 6:
				h.reopen(t)
			default:
				rapid.SampledFrom(readers).Draw(t, "reader").read(t, h, rapid.IntRange(1, 4).Draw(t, "limit"))
			}
		}
		for _, r := range readers {
			for !r.read(t, h, 100) {
				continue
			}
			if len(r.owed) > 0 {
				t.Fatalf("a reader of %v never saw %v", r.sources, r.owed)
			}
		}
	})
}

// readAllAfter reads what is kept after a cursor.
func readAllAfter(t check, s store.Store, after store.Cursor, filter store.Filter) (entries []store.Entry) {
	t.Helper()
	for at, end := after.Position, false; !end; {
		page := mustRead(t, s, at, filter, 100)
		entries = append(entries, page.Entries...)
		at, end = page.Next.Position, page.End
	}
	return entries
}

// read reads a page as one who comes back with his cursor, and checks it. It tells whether that was the end.
func (r *reader) read(t *rapid.T, h *harness, limit int) bool {
	filter := store.Filter{Sources: r.sources}
	parsed, err := store.ParseCursor(r.cursor.String())
	if err != nil {
		t.Fatal(err)
	}
	resumed, err := h.Resume(t.Context(), parsed, filter)
	page := store.Page{}
	if err == nil {
		page, err = h.Read(t.Context(), resumed, filter, limit)
	}
	if expired, ok := errors.AsType[*store.ExpiredError](err); ok {
		if !r.lost {
			t.Fatalf("a reader of %v at %+v is refused, and has lost nothing", r.sources, r.cursor)
		}
		r.cursor, r.lost = expired.Oldest, false
		// From where what is kept begins, he sees all of it: also what he saw before.
		if len(filter.Sources) == 0 {
			filter.Sources = r.all
		}
		for _, e := range readAllAfter(t, h, r.cursor, filter) {
			r.owed[e.Position] = true
		}
		return false
	}
	if err != nil {
		t.Fatalf("a reader of %v at %+v: %v", r.sources, r.cursor, err)
	}
	if r.lost {
		t.Fatalf("a reader of %v at %+v is not told that something was trimmed", r.sources, r.cursor)
	}
	for _, e := range page.Entries {
		for position := range r.owed {
			if position < e.Position {
				t.Fatalf("position %d comes before %d, which is kept", e.Position, position)
			}
		}
		if strings.HasPrefix(string(e.Body), "[") && !r.owed[e.Position] && len(r.sources) > 0 {
			t.Fatalf("position %d is not kept", e.Position)
		}
		delete(r.owed, e.Position)
	}
	r.cursor = page.Next
	return page.End
}
