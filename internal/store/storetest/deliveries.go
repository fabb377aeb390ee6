package storetest

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	"github.com/callnorm/callnorm/internal/store"
)

// list lists all deliveries that pass, and checks what holds for every page.
func list(t check, s store.Store, filter store.DeliveryFilter, limit int) (all []store.KeptDelivery) {
	t.Helper()
	for after := int64(0); ; {
		page, err := s.Deliveries(context.Background(), filter, after, limit)
		if err != nil {
			t.Fatalf("Deliveries after %d: %v", after, err)
		}
		if len(page.Deliveries) > limit {
			t.Fatalf("%d deliveries on a page of %d", len(page.Deliveries), limit)
		}
		for _, d := range page.Deliveries {
			if d.Seq <= after || d.Seq > page.Next {
				t.Fatalf("delivery %d on a page from %d to %d", d.Seq, after, page.Next)
			}
		}
		all = append(all, page.Deliveries...)
		if page.End {
			return all
		}
		if page.Next <= after {
			t.Fatalf("Deliveries after %d made no progress", after)
		}
		after = page.Next
	}
}

// paths returns the paths of deliveries, which the tests name them by.
func paths(deliveries []store.KeptDelivery) (paths []string) {
	for _, d := range deliveries {
		paths = append(paths, d.Path)
	}
	return paths
}

func testDeliveries(t *testing.T, h *harness) {
	if page, err := h.Deliveries(t.Context(), store.DeliveryFilter{}, 0, 1); err != nil || len(page.Deliveries) > 0 || !page.End {
		t.Errorf("the list of an empty store is %+v: %v", page, err)
	}
	var want []store.KeptDelivery
	for i, size := range []int{0, 10, 1000, 1 << 20} {
		d := delivery(fmt.Sprint("listed ", i))
		d.Body = bytes.Repeat([]byte("b"), size)
		d.VerifiedBy, d.Signed, d.Waiting = "scheme", []string{"body"}, i%2 == 0
		mustAppend(t, h, d, join, contribution("listed", i, "body"))
		kept := store.KeptDelivery{ID: h.DeliveryID(d.Key), Seq: int64(i + 1), Delivery: d, BodySize: size}
		kept.Header, kept.Body = nil, nil
		want = append(want, kept)
		mustAppend(t, h, d, join) // A repetition is no other delivery.
	}
	for limit := range 5 {
		same(t, "list", want, list(t, h, store.DeliveryFilter{}, limit+1))
	}
	h.reopen(t)
	same(t, "list after reopening", want, list(t, h, store.DeliveryFilter{}, 10))
	page, err := h.Deliveries(t.Context(), store.DeliveryFilter{}, 4, 10)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "page at the end", store.DeliveryPage{Next: 4, End: true}, page)
	if _, err := h.Deliveries(t.Context(), store.DeliveryFilter{}, 0, 0); err == nil {
		t.Error("a limit of 0 was accepted")
	}
}

func testDeliveriesFiltered(t *testing.T, h *harness) {
	for i := range 12 {
		d := delivery(fmt.Sprint("filtered ", i))
		d.Path = fmt.Sprint(i)
		d.Source, d.Adapter = fmt.Sprint("s", i%2), fmt.Sprint("a", i%3)
		d.State, d.Waiting = int32(i%4), i%4 == 3
		mustAppend(t, h, d, nil)
	}
	for name, test := range map[string]struct {
		filter store.DeliveryFilter
		want   []string
	}{
		"a source":        {store.DeliveryFilter{Sources: []string{"s1"}}, []string{"1", "3", "5", "7", "9", "11"}},
		"adapters":        {store.DeliveryFilter{Adapters: []string{"a0", "a2", "a9"}}, []string{"0", "2", "3", "5", "6", "8", "9", "11"}},
		"a state":         {store.DeliveryFilter{States: []int32{2}}, []string{"2", "6", "10"}},
		"what waits":      {store.DeliveryFilter{Waiting: true}, []string{"3", "7", "11"}},
		"source and more": {store.DeliveryFilter{Sources: []string{"s1"}, Adapters: []string{"a1"}, States: []int32{1, 3}}, []string{"1", "7"}},
		"waiting and":     {store.DeliveryFilter{Waiting: true, Adapters: []string{"a2"}, States: []int32{3}}, []string{"11"}},
		"nobody":          {store.DeliveryFilter{Sources: []string{"s9"}}, nil},
	} {
		for _, limit := range []int{1, 2, 100} {
			same(t, fmt.Sprintf("%s, at most %d", name, limit), test.want, paths(list(t, h, test.filter, limit)))
		}
	}
	counts, err := h.CountWaiting(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	same(t, "counts", map[string]int{"s1": 3}, counts)
}

func testDeliveriesProgress(t *testing.T, h *harness) {
	const kept = 5000
	each(64, func(w int) {
		for i := w; i < kept; i += 64 {
			d := delivery(fmt.Sprint("progress ", i))
			d.Waiting = true
			if _, err := h.Append(context.Background(), d, nil, nil); err != nil {
				t.Error(err)
			}
		}
	})
	for _, waiting := range []bool{false, true} {
		filter := store.DeliveryFilter{Waiting: waiting, Sources: []string{"nobody"}}
		if got := list(t, h, filter, 10); len(got) != 0 {
			t.Errorf("%d deliveries", len(got))
		}
		if page, err := h.Deliveries(t.Context(), filter, 0, 10); err != nil || page.End || page.Next == 0 {
			t.Errorf("the first of %d was looked at up to %d, end %t: %v", kept, page.Next, page.End, err)
		}
	}
}

func testWaiting(t *testing.T, h *harness) {
	counts := func(want map[string]int) {
		t.Helper()
		got, err := h.CountWaiting(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		same(t, "counts", want, got)
	}
	understand := func(name string, waiting bool) {
		t.Helper()
		d := delivery(name)
		mustRenormalize(t, h, name, store.Understanding{Adapter: d.Adapter, Waiting: waiting}, join)
		kept, err := h.Delivery(t.Context(), h.DeliveryID(d.Key))
		if err != nil {
			t.Fatal(err)
		}
		if kept.Waiting != waiting {
			t.Errorf("%s waits: %t", name, kept.Waiting)
		}
	}
	counts(nil)
	for i := range 4 {
		d := delivery(fmt.Sprint(i))
		d.Path, d.Source, d.Waiting = fmt.Sprint(i), fmt.Sprint("s", i%2), i > 0
		mustAppend(t, h, d, nil)
	}
	counts(map[string]int{"s0": 1, "s1": 2})
	understand("2", false)
	understand("0", true)
	same(t, "what waits", []string{"0", "1", "3"}, paths(list(t, h, store.DeliveryFilter{Waiting: true}, 2)))
	counts(map[string]int{"s0": 1, "s1": 2})
	understand("0", false)
	counts(map[string]int{"s1": 2})
	h.reopen(t)
	same(t, "what waits", []string{"1", "3"}, paths(list(t, h, store.DeliveryFilter{Waiting: true}, 2)))
}
