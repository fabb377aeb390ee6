package storetest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/callnorm/callnorm/internal/store"
)

func testReopen(t *testing.T, h *harness) {
	type state struct {
		Log           []store.Entry
		Head          store.Cursor
		Delivery      store.Delivery
		DeliveryID    store.DeliveryID
		Contributions []store.KeptContribution
	}
	look := func() (s state) {
		s.Log = readAll(t, h, store.Filter{}, 10)
		s.DeliveryID = h.DeliveryID(delivery("many 3").Key)
		var err [3]error
		s.Head, err[0] = h.Head(t.Context())
		s.Delivery, err[1] = h.Delivery(t.Context(), s.DeliveryID)
		s.Contributions, err[2] = h.Contributions(t.Context(), outcome("many 3"))
		if err := errors.Join(err[:]...); err != nil {
			t.Fatal(err)
		}
		return s
	}
	appendMany(t, h, 25)
	before := look()
	h.reopen(t)
	same(t, "state", before, look())
	receipt := mustAppend(t, h, delivery("more"), join, contribution("many 3", 0, "more"))
	same(t, "outcomes", []store.ReceiptOutcome{{Outcome: outcome("many 3"), Revision: 2, Changed: true}}, receipt.Outcomes)
	log := readAll(t, h, store.Filter{}, 10)
	gapless(t, log)
	if last := log[len(log)-1]; len(log) != 26 || last.Time.Before(log[24].Time) || string(last.Body) != "[0 many 3][0 more]" {
		t.Errorf("the entry after reopening is number %d: %+v", len(log), last)
	}
}

func testEndedContext(t *testing.T, h *harness) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	d, c := delivery("ended"), []store.Contribution{contribution("ended", 0, "body")}
	if _, err := h.Append(ended, d, c, join); !errors.Is(err, context.Canceled) {
		t.Errorf("Append: %v", err)
	}
	// What ends while the fold runs is kept all the same.
	ctx, cancel := context.WithCancel(t.Context())
	release := make(chan struct{})
	result := make(chan error)
	go func() {
		_, err := h.Append(ctx, delivery("late"), []store.Contribution{contribution("late", 0, "body")},
			func(call store.Call) (store.Revision, error) {
				cancel()
				<-release
				return join(call)
			})
		result <- err
	}()
	if err := <-result; !errors.Is(err, context.Canceled) {
		t.Errorf("Append: %v", err)
	}
	close(release)
	if err := h.Wait(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	if receipt := mustAppend(t, h, delivery("late"), join, contribution("late", 0, "body")); !receipt.Duplicate {
		t.Error("the delivery was not kept")
	}
	// The first may or may not have been kept; now it is.
	receipt := mustAppend(t, h, d, join, c...)
	same(t, "outcomes", []store.ReceiptOutcome{
		{Outcome: outcome("ended"), Revision: 1, Changed: !receipt.Duplicate},
	}, receipt.Outcomes)
}

func testClosed(t *testing.T, h *harness) {
	appendMany(t, h, 1)
	// What is being committed when Close is called is kept or refused, and answered in any case.
	const writers = 32
	refused := make([]bool, writers)
	each(writers+1, func(i int) {
		if i == writers {
			h.close(t)
			return
		}
		name := fmt.Sprint("closing ", i)
		_, err := h.Append(context.Background(), delivery(name), []store.Contribution{contribution(name, 0, "")}, join)
		if refused[i] = errors.Is(err, store.ErrClosed); !refused[i] && err != nil {
			t.Errorf("Append: %v", err)
		}
	})
	for name, call := range map[string]func() error{
		"Append": func() error { _, err := h.Append(t.Context(), delivery("after"), nil, nil); return err },
		"Renormalize": func() error {
			_, err := h.Renormalize(t.Context(), store.DeliveryID{}, store.Understanding{}, join)
			return err
		},
		"Deliveries":    func() error { _, err := h.Deliveries(t.Context(), store.DeliveryFilter{}, 0, 1); return err },
		"CountWaiting":  func() error { _, err := h.CountWaiting(t.Context()); return err },
		"Delivery":      func() error { _, err := h.Delivery(t.Context(), store.DeliveryID{}); return err },
		"Outcome":       func() error { _, err := h.Outcome(t.Context(), store.OutcomeID{}); return err },
		"Lookup":        func() error { _, err := h.Lookup(t.Context(), store.Query{ProviderCallID: "1"}, 1); return err },
		"Contributions": func() error { _, err := h.Contributions(t.Context(), store.OutcomeID{}); return err },
		"Read":          func() error { _, err := h.Read(t.Context(), store.Cursor{}, store.Filter{}, 1); return err },
		"Wait":          func() error { return h.Wait(t.Context(), 0) },
		"Head":          func() error { _, err := h.Head(t.Context()); return err },
		"CursorAt":      func() error { _, err := h.CursorAt(t.Context(), time.Time{}); return err },
		"Beginning":     func() error { _, err := h.Beginning(t.Context()); return err },
		"Resume":        func() error { _, err := h.Resume(t.Context(), store.Cursor{}, store.Filter{}); return err },
	} {
		if err := call(); !errors.Is(err, store.ErrClosed) {
			t.Errorf("%s after Close: %v", name, err)
		}
	}
	h.reopen(t)
	for i := range writers {
		_, err := h.Delivery(t.Context(), h.DeliveryID(delivery(fmt.Sprint("closing ", i)).Key))
		if kept := err == nil; kept == refused[i] {
			t.Errorf("delivery %d: refused %t, kept %t", i, refused[i], kept)
		}
	}
}
