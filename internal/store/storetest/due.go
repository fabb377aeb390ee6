package storetest

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/callnorm/callnorm/internal/store"
)

func testDue(t *testing.T, h *harness) {
	base := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	due := func(name string, at time.Time) {
		t.Helper()
		mustAppend(t, h, delivery("due "+name), with(store.Revision{Body: []byte(name), Keys: store.Keys{Source: "door", Due: at}}),
			contribution(name, 0, name))
	}
	due("later", base.Add(2*time.Hour))
	due("sooner", base.Add(time.Hour))
	due("never", time.Time{})
	for range 2 {
		for what, test := range map[string]struct {
			now   time.Time
			limit int
			want  []store.Deadline
		}{
			"before all": {base, 10, nil},
			"in between": {base.Add(time.Hour), 10, []store.Deadline{{Outcome: outcome("sooner"), Time: base.Add(time.Hour), Source: "door"}}},
			"after all": {base.Add(9 * time.Hour), 10, []store.Deadline{
				{Outcome: outcome("sooner"), Time: base.Add(time.Hour), Source: "door"},
				{Outcome: outcome("later"), Time: base.Add(2 * time.Hour), Source: "door"},
			}},
			"but one": {base.Add(9 * time.Hour), 1, []store.Deadline{{Outcome: outcome("sooner"), Time: base.Add(time.Hour), Source: "door"}}},
		} {
			got, err := h.Due(t.Context(), test.now, test.limit)
			if err != nil {
				t.Fatal(err)
			}
			same(t, "what is due "+what, test.want, got)
		}
		h.reopen(t)
	}
}

func testFire(t *testing.T, h *harness) {
	at := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	mustAppend(t, h, delivery("1"), with(store.Revision{Body: []byte("open"), Keys: store.Keys{Due: at}}), contribution("a", 0, "told"))
	deadline := store.Deadline{Outcome: outcome("a"), Time: at, Source: "door"}
	// Many who saw the deadline fire it once.
	var fired atomic.Int64
	each(20, func(int) {
		changed, err := h.Fire(t.Context(), deadline, []byte("time"), join)
		if err != nil {
			t.Errorf("Fire: %v", err)
		}
		if changed {
			fired.Add(1)
		}
	})
	if fired.Load() != 1 {
		t.Errorf("fired %d times", fired.Load())
	}
	h.reopen(t)
	if changed, err := h.Fire(t.Context(), deadline, []byte("time"), join); err != nil || changed {
		t.Errorf("fired again: %t, %v", changed, err)
	}
	same(t, "contributions", []string{"told", "time"}, contributed(t, h, "a"))
	same(t, "log", []string{"open", "[0 told][0 time]"}, bodies(readAll(t, h, store.Filter{}, 10)))
	kept, err := h.Contributions(t.Context(), outcome("a"))
	if err != nil || kept[1].Delivery != (store.DeliveryID{}) {
		t.Errorf("the deadline is a contribution of %+v, %v", kept, err)
	}
	mustDelete(t, h)
	for what, d := range map[string]store.Deadline{
		"what is not kept":    {Outcome: outcome("never"), Time: at},
		"what was deleted":    deadline,
		"what has none":       {Outcome: outcome("b"), Time: at},
		"what has none at 0":  {Outcome: outcome("b"), Time: time.Unix(0, 0)},
		"what is no outcome":  {},
		"another time of one": {Outcome: outcome("a"), Time: at.Add(time.Second)},
	} {
		if changed, err := h.Fire(t.Context(), d, []byte("time"), join); err != nil || changed {
			t.Errorf("%s: %t, %v", what, changed, err)
		}
	}
}

func testFireFailing(t *testing.T, h *harness) {
	at := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	mustAppend(t, h, delivery("1"), with(store.Revision{Body: []byte("open"), Keys: store.Keys{Due: at}}), contribution("a", 0, "told"))
	deadline := store.Deadline{Outcome: outcome("a"), Time: at}
	if _, err := h.Fire(t.Context(), deadline, nil, func(store.Call) (store.Revision, error) { return store.Revision{}, errors.New("no") }); !errors.Is(err, store.ErrFold) {
		t.Errorf("a failing fold: %v", err)
	}
	if due, err := h.Due(t.Context(), at, 10); err != nil || len(due) != 1 {
		t.Errorf("it is still due: %v, %v", due, err)
	}
	// One that changes nothing is due no more.
	if changed, err := h.Fire(t.Context(), deadline, nil, with(store.Revision{})); err != nil || changed {
		t.Errorf("nothing changes: %t, %v", changed, err)
	}
	if due, err := h.Due(t.Context(), at, 10); err != nil || len(due) != 0 {
		t.Errorf("it is due for ever: %v, %v", due, err)
	}
	same(t, "contributions", []string{"told"}, contributed(t, h, "a"))
}

func testRedundant(t *testing.T, h *harness) {
	told(t, h, "door", "a", 1)
	for n := range 3 {
		d := delivery(fmt.Sprint("copy ", n))
		receipt := mustAppend(t, h, d, with(store.Revision{Redundant: true}), contribution("a", 0, "copy"), contribution("new", 1, "copy"))
		same(t, "receipt", store.Receipt{Delivery: h.DeliveryID(d.Key), State: d.State, Report: d.Report, Outcomes: []store.ReceiptOutcome{
			{Outcome: outcome("a"), Revision: 1}, {Outcome: outcome("new")},
		}}, receipt)
		if _, err := h.Delivery(t.Context(), h.DeliveryID(d.Key)); err != nil {
			t.Errorf("the delivery is not kept: %v", err)
		}
	}
	same(t, "contributions", []string{"a 1"}, contributed(t, h, "a"))
	same(t, "log", 1, len(readAll(t, h, store.Filter{}, 10)))
}
