package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/callnorm/callnorm/internal/store"
)

func mustRenormalize(t check, s store.Store, name string, u store.Understanding, fold store.Fold) store.Receipt {
	t.Helper()
	receipt, err := s.Renormalize(context.Background(), s.DeliveryID(delivery(name).Key), u, fold)
	if err != nil {
		t.Fatalf("Renormalize: %v", err)
	}
	return receipt
}

// understanding returns what delivery says, so that contributions alone differ.
func understanding(name string, contributions ...store.Contribution) store.Understanding {
	d := delivery(name)
	return store.Understanding{
		Adapter: d.Adapter, Provider: d.Provider, Event: d.Event, State: d.State, Waiting: d.Waiting, Report: d.Report,
		Contributions: contributions,
	}
}

// contributed returns the bodies of the contributions to an outcome.
func contributed(t check, s store.Store, name string) (bodies []string) {
	t.Helper()
	kept, err := s.Contributions(context.Background(), outcome(name))
	if err != nil {
		t.Fatalf("Contributions: %v", err)
	}
	for _, c := range kept {
		bodies = append(bodies, string(c.Body))
	}
	return bodies
}

func testRenormalize(t *testing.T, h *harness) {
	first, second := delivery("first"), delivery("second")
	first.VerifiedBy, first.Signed = "scheme", []string{"body"}
	mustAppend(t, h, first, join, contribution("a", 0, "1"), contribution("a", 1, "2"))
	mustAppend(t, h, second, join, contribution("a", 0, "3"))
	before, err := h.Outcome(t.Context(), outcome("a"))
	if err != nil {
		t.Fatal(err)
	}
	u := store.Understanding{
		Adapter: "new format", Provider: "new provider", Event: "new event", State: 7, Waiting: true, Report: []byte("new report"),
		Contributions: []store.Contribution{contribution("a", 2, "c"), contribution("a", 1, "b")},
	}
	receipt := mustRenormalize(t, h, "first", u, func(call store.Call) (store.Revision, error) {
		same(t, "contributions in fold", []store.KeptContribution{
			{Delivery: h.DeliveryID(second.Key), Contribution: contribution("a", 0, "3")},
			{Delivery: h.DeliveryID(first.Key), Contribution: contribution("a", 1, "b")},
			{Delivery: h.DeliveryID(first.Key), Contribution: contribution("a", 2, "c")},
		}, call.Contributions)
		same(t, "current", &before, call.Current)
		return join(call)
	})
	want := store.Receipt{
		Delivery: h.DeliveryID(first.Key), State: 7, Report: u.Report,
		Outcomes: []store.ReceiptOutcome{{Outcome: outcome("a"), Revision: 3, Changed: true}},
	}
	same(t, "receipt", want, receipt)
	entry, err := h.Outcome(t.Context(), outcome("a"))
	if err != nil || string(entry.Body) != "[0 3][1 b][2 c]" || entry.Position != 3 || entry.Time.Before(before.Time) {
		t.Errorf("outcome is %+v: %v", entry, err)
	}
	first.Adapter, first.Provider, first.Event, first.State, first.Waiting, first.Report =
		u.Adapter, u.Provider, u.Event, u.State, u.Waiting, u.Report
	want.Duplicate, want.Outcomes[0].Changed = true, false
	for range 2 {
		same(t, "contributions", []string{"3", "b", "c"}, contributed(t, h, "a"))
		kept, err := h.Delivery(t.Context(), h.DeliveryID(first.Key))
		if err != nil {
			t.Fatal(err)
		}
		same(t, "delivery", first, kept)
		same(t, "receipt of a repetition", want, mustAppend(t, h, delivery("first"), join, contribution("other", 0, "1")))
		h.reopen(t)
	}
	mustAppend(t, h, delivery("third"), join, contribution("a", 0, "4"))
	log := readAll(t, h, store.Filter{}, 10)
	gapless(t, log)
	if last := log[len(log)-1]; len(log) != 4 || string(last.Body) != "[0 3][1 b][2 c][0 4]" {
		t.Errorf("the log ends with %q at %d", last.Body, last.Position)
	}
}

func testRenormalizeMoved(t *testing.T, h *harness) {
	mustAppend(t, h, delivery("first"), join, contribution("a", 0, "1"), contribution("b", 1, "2"), contribution("c", 2, "3"))
	mustAppend(t, h, delivery("second"), join, contribution("b", 0, "4"))
	var folded []string
	receipt := mustRenormalize(t, h, "first", understanding("first", contribution("d", 0, "5"), contribution("c", 1, "6")),
		func(call store.Call) (store.Revision, error) {
			for _, name := range []string{"a", "b", "c", "d"} {
				if call.Outcome == outcome(name) {
					folded = append(folded, name)
				}
			}
			if len(call.Contributions) > 0 {
				return join(call)
			}
			if call.Current == nil || string(call.Current.Body) != "[0 1]" {
				t.Errorf("the current revision of what nobody speaks of is %+v", call.Current)
			}
			return store.Revision{Body: []byte("withdrawn")}, nil
		})
	same(t, "folded", []string{"d", "c", "a", "b"}, folded)
	same(t, "outcomes", []store.ReceiptOutcome{
		{Outcome: outcome("d"), Revision: 1, Changed: true},
		{Outcome: outcome("c"), Revision: 2, Changed: true},
		{Outcome: outcome("a"), Revision: 2, Changed: true},
		{Outcome: outcome("b"), Revision: 3, Changed: true},
	}, receipt.Outcomes)
	for name, want := range map[string][]string{"a": nil, "b": {"4"}, "c": {"6"}, "d": {"5"}} {
		same(t, "contributions to "+name, want, contributed(t, h, name))
	}
	var bodies []string
	for _, e := range readAll(t, h, store.Filter{}, 10)[4:] {
		bodies = append(bodies, string(e.Body))
	}
	same(t, "new revisions", []string{"[0 5]", "[1 6]", "withdrawn", "[0 4]"}, bodies)

	// And back: what had no contributions has some again. A fold may keep silent about what nobody speaks of.
	receipt = mustRenormalize(t, h, "first", understanding("first", contribution("a", 0, "7")),
		func(call store.Call) (store.Revision, error) {
			if len(call.Contributions) == 0 {
				return store.Revision{}, nil
			}
			return join(call)
		})
	same(t, "outcomes", []store.ReceiptOutcome{
		{Outcome: outcome("a"), Revision: 3, Changed: true},
		{Outcome: outcome("d"), Revision: 1},
		{Outcome: outcome("c"), Revision: 2},
	}, receipt.Outcomes)
	same(t, "outcomes of a repetition", []store.ReceiptOutcome{{Outcome: outcome("a"), Revision: 3}},
		mustAppend(t, h, delivery("first"), join).Outcomes)
	mustRenormalize(t, h, "first", understanding("first"), join)
	mustAppend(t, h, delivery("third"), join, contribution("a", 0, "8"), contribution("c", 1, "9"))
	for name, want := range map[string][]string{"a": {"8"}, "c": {"9"}, "d": nil} {
		same(t, "contributions to "+name, want, contributed(t, h, name))
	}
}

func testRenormalizeSame(t *testing.T, h *harness) {
	var c count
	contributions := []store.Contribution{contribution("a", 0, "1"), contribution("b", 1, ""), contribution("a", 2, "3")}
	mustAppend(t, h, delivery("same"), c.fold, contributions...)
	calls := c.calls.Load()
	before := readAll(t, h, store.Filter{}, 10)
	d := delivery("same")
	same(t, "receipt", store.Receipt{
		Delivery: h.DeliveryID(d.Key), Duplicate: true, State: d.State, Report: d.Report,
		Outcomes: []store.ReceiptOutcome{{Outcome: outcome("a"), Revision: 1}, {Outcome: outcome("b"), Revision: 1}},
	}, mustRenormalize(t, h, "same", understanding("same", contributions[2], contributions[0], contributions[1]), c.fold))
	same(t, "log", before, readAll(t, h, store.Filter{}, 10))
	if got := c.calls.Load(); got != calls {
		t.Errorf("fold was called %d times", got-calls)
	}
}

func testRenormalizeDifferences(t *testing.T, h *harness) {
	for name, change := range map[string]func(*store.Understanding){
		"adapter":  func(u *store.Understanding) { u.Adapter = "other" },
		"provider": func(u *store.Understanding) { u.Provider = "other" },
		"event":    func(u *store.Understanding) { u.Event = "" },
		"state":    func(u *store.Understanding) { u.State = -1 },
		"waiting":  func(u *store.Understanding) { u.Waiting = true },
		"report":   func(u *store.Understanding) { u.Report = nil },
		"item":     func(u *store.Understanding) { u.Contributions[0].Item++ },
		"body":     func(u *store.Understanding) { u.Contributions[0].Body = []byte("other") },
		"outcome":  func(u *store.Understanding) { u.Contributions[0].Outcome = outcome("difference other") },
		"fewer":    func(u *store.Understanding) { u.Contributions = nil },
		"more": func(u *store.Understanding) {
			u.Contributions = append(u.Contributions, contribution("difference", 9, "more"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := contribution("difference "+name, 0, "body")
			mustAppend(t, h, delivery(name), join, c)
			u := understanding(name, c)
			change(&u)
			if receipt := mustRenormalize(t, h, name, u, join); receipt.Duplicate {
				t.Error("nothing was written")
			}
			if receipt := mustRenormalize(t, h, name, u, join); !receipt.Duplicate {
				t.Error("the same was written again")
			}
			kept, err := h.Delivery(t.Context(), h.DeliveryID(delivery(name).Key))
			if err != nil {
				t.Fatal(err)
			}
			want := delivery(name)
			want.Adapter, want.Provider, want.Event, want.State, want.Waiting, want.Report =
				u.Adapter, u.Provider, u.Event, u.State, u.Waiting, u.Report
			same(t, "delivery", want, kept)
		})
	}
}

func testRenormalizeFailing(t *testing.T, h *harness) {
	mustAppend(t, h, delivery("failing"), join, contribution("a", 0, "1"))
	mustAppend(t, h, delivery("other"), join, contribution("b", 0, "2"))
	before := readAll(t, h, store.Filter{}, 10)
	for name, fold := range map[string]store.Fold{
		"error": func(store.Call) (store.Revision, error) { return store.Revision{}, errTest },
		"panic": func(store.Call) (store.Revision, error) { panic("secret") },
		"at what it says no more": func(call store.Call) (store.Revision, error) {
			if len(call.Contributions) == 0 {
				return store.Revision{}, errTest
			}
			return join(call)
		},
	} {
		t.Run(name, func(t *testing.T) {
			u := understanding("failing", contribution("b", 0, "3"))
			u.State = 9
			_, err := h.Renormalize(t.Context(), h.DeliveryID(delivery("failing").Key), u, fold)
			if !errors.Is(err, store.ErrFold) {
				t.Errorf("Renormalize: %v", err)
			}
			if err := h.Err(); err != nil {
				t.Errorf("Err: %v", err)
			}
			same(t, "log", before, readAll(t, h, store.Filter{}, 10))
			same(t, "contributions", []string{"1"}, contributed(t, h, "a"))
			kept, err := h.Delivery(t.Context(), h.DeliveryID(delivery("failing").Key))
			if err != nil {
				t.Fatal(err)
			}
			same(t, "delivery", delivery("failing"), kept)
		})
	}
	_, err := h.Renormalize(t.Context(), h.DeliveryID(delivery("failing").Key),
		understanding("failing", contribution("a", 1, "x"), contribution("a", 1, "y")), join)
	if err == nil {
		t.Error("one item has contributed twice to one outcome")
	}
}

func testRenormalizeUnknown(t *testing.T, h *harness) {
	_, err := h.Renormalize(t.Context(), h.DeliveryID(delivery("nobody").Key),
		understanding("nobody", contribution("nobody", 0, "1")), join)
	if !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Renormalize: %v", err)
	}
	nothingKept(t, h, "nobody")
}

func testRenormalizeConcurrent(t *testing.T, h *harness) {
	const writers, rounds = 16, 10
	var inside atomic.Int64
	exclusive := func(call store.Call) (store.Revision, error) {
		if inside.Add(1) != 1 {
			t.Error("two folds of one outcome overlap")
		}
		defer inside.Add(-1)
		return join(call)
	}
	keep := func(name string, w int) {
		_, err := h.Append(context.Background(), delivery(name), []store.Contribution{contribution("shared", w, name)}, exclusive)
		if err != nil {
			t.Error(err)
		}
	}
	each(2*writers, func(w int) {
		name := fmt.Sprint("writer ", w)
		keep(name, w)
		for i := range rounds {
			if w >= writers {
				keep(fmt.Sprint(name, " ", i), w)
				continue
			}
			_, err := h.Renormalize(context.Background(), h.DeliveryID(delivery(name).Key),
				understanding(name, contribution("shared", w, fmt.Sprint(name, " ", i))), exclusive)
			if err != nil {
				t.Error(err)
			}
			// Whoever reads meanwhile finds each delivery once.
			kept, err := h.Contributions(context.Background(), outcome("shared"))
			if err != nil {
				t.Error(err)
			}
			found := map[int]int{}
			for _, c := range kept {
				found[c.Item]++
			}
			for item, n := range found {
				if item < writers && n != 1 || found[w] != 1 {
					t.Errorf("%d contributions of writer %d count, %d of writer %d", n, item, found[w], w)
				}
			}
		}
	})
	if got, want := len(contributed(t, h, "shared")), writers+writers*(rounds+1); got != want {
		t.Errorf("%d contributions count, want %d", got, want)
	}
	log := readAll(t, h, store.Filter{}, 100)
	gapless(t, log)
	if want := 2 * writers * (rounds + 1); len(log) != want {
		t.Errorf("the log has %d entries, want %d", len(log), want)
	}
}
