// Package storetest proves that an implementation keeps the contract of package store.
package storetest

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/callnorm/callnorm/internal/store"
)

// Run runs the suite. open opens the store in a directory, which the suite closes; it is called again with the same
// directory to see what has outlived Close.
func Run(t *testing.T, open func(t *testing.T, dir string) store.Store) {
	tests := []struct {
		name string
		test func(*testing.T, *harness)
	}{
		{"a delivery comes back byte for byte", testDelivery},
		{"contributions and revisions come back byte for byte", testEntries},
		{"a repeated delivery changes nothing", testDuplicate},
		{"a thousand copies at once are kept once", testConcurrentDuplicates},
		{"a fold gets all contributions in order", testFoldOrder},
		{"folds of one outcome never overlap", testFoldsExclusive},
		{"one delivery contributes to several outcomes", testSeveralOutcomes},
		{"a delivery needs no contributions", testNoContributions},
		{"an item contributes once to an outcome", testRepeatedItem},
		{"a failing fold leaves nothing behind", testFailingFold},
		{"a failing fold does not sink its neighbours", testFailingNeighbour},
		{"a nil body makes no revision", testNilRevision},
		{"a delivery is understood anew", testRenormalize},
		{"a delivery comes to speak of another call", testRenormalizeMoved},
		{"the same understanding changes nothing", testRenormalizeSame},
		{"every difference is kept", testRenormalizeDifferences},
		{"a failing fold leaves the old understanding", testRenormalizeFailing},
		{"what was never kept is not understood anew", testRenormalizeUnknown},
		{"understandings and appends take turns", testRenormalizeConcurrent},
		{"positions have no gaps", testPositions},
		{"times never go back", testTimes},
		{"a follower sees all in order", testFollow},
		{"a page has at most limit entries", testPages},
		{"a filter passes what it names", testFilter},
		{"a filter that passes nothing makes progress", testFilterProgress},
		{"a cursor finds its way back", testCursors},
		{"a cursor of elsewhere is refused", testForeignCursors},
		{"a cursor at a time is before its entries", testCursorAt},
		{"outcomes are found by their newest ids", testLookup},
		{"lookups are narrowed and limited", testLookupNarrowed},
		{"lookups need exactly one id", testLookupQuery},
		{"what is not kept is not found", testNotFound},
		{"deliveries are listed in order", testDeliveries},
		{"deliveries are filtered", testDeliveriesFiltered},
		{"a list that passes nothing makes progress", testDeliveriesProgress},
		{"what waits is found until it waits no more", testWaiting},
		{"a deleted outcome leaves nothing", testDelete},
		{"a deletion passes filters of what was deleted", testDeletedPassesFilters},
		{"a failing fold deletes nothing", testDeleteFailing},
		{"a forgotten delivery has still spoken", testForget},
		{"deliveries that no outcome leads to are found", testSilent},
		{"what is too old is trimmed", testTrimByAge},
		{"what is too much is trimmed", testTrimByBytes},
		{"deliveries are trimmed by themselves", testTrimDeliveries},
		{"readers get all that is kept, or are told", testReadersAreTold},
		{"what is due is found", testDue},
		{"a deadline fires once", testFire},
		{"a deadline that fails can fire again", testFireFailing},
		{"what is redundant is not kept", testRedundant},
		{"outcomes are listed", testList},
		{"pages of a list are stable", testListIsStable},
		{"an outcome has a history", testRevisions},
		{"subscriptions keep their place", testSubscriptions},
		{"the furthest acknowledgement counts", testAdvanceConcurrent},
		{"a wait ends with an append", testWaitAppend},
		{"a wait ends with its context", testWaitContext},
		{"a wait ends with the store", testWaitClose},
		{"everything outlives the process", testReopen},
		{"an ended context keeps an append from waiting", testEndedContext},
		{"a closed store says so", testClosed},
		{"any history is what a simple model makes of it", testModel},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			test.test(t, newHarness(t, t.TempDir(), open))
		})
	}
}

// harness is a store in a directory.
type harness struct {
	store.Store
	t      *testing.T
	dir    string
	opener func(*testing.T, string) store.Store
	closed bool
}

func newHarness(t *testing.T, dir string, open func(*testing.T, string) store.Store) *harness {
	h := &harness{Store: open(t, dir), t: t, dir: dir, opener: open}
	t.Cleanup(func() { h.close(t) })
	return h
}

func (h *harness) close(t check) {
	t.Helper()
	if h.closed {
		return
	}
	h.closed = true
	if err := h.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

func (h *harness) reopen(t check) {
	t.Helper()
	h.close(t)
	h.Store, h.closed = h.opener(h.t, h.dir), false
}

// check is what the helpers need of *testing.T and *rapid.T.
type check interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// delivery returns a delivery that differs from those with other names.
func delivery(name string) store.Delivery {
	body := []byte(`{"name":"` + name + `"}`)
	return store.Delivery{
		Key:         store.NewDeliveryKey("door", "POST", "/v1/webhooks/door", "", body),
		Source:      "door",
		Adapter:     "format",
		Provider:    "provider",
		Event:       "event",
		Method:      "POST",
		Path:        "/v1/webhooks/door",
		Header:      []store.HeaderLine{{Name: "Content-Type", Value: "application/json"}},
		Body:        body,
		ReceiveTime: time.Date(2026, 2, 3, 4, 5, 6, 789000, time.UTC),
		State:       1,
		Report:      []byte("report of " + name),
	}
}

func outcome(name string) store.OutcomeID { return store.NewOutcomeID("storetest", name) }

func contribution(name string, item int, body string) store.Contribution {
	return store.Contribution{Outcome: outcome(name), Item: item, Body: []byte(body)}
}

// join is a fold whose revisions list all contributions.
func join(call store.Call) (store.Revision, error) {
	var body bytes.Buffer
	for _, c := range call.Contributions {
		fmt.Fprintf(&body, "[%d %s]", c.Item, c.Body)
	}
	return store.Revision{Body: body.Bytes()}, nil
}

// with is a fold that returns a fixed revision.
func with(revision store.Revision) store.Fold {
	return func(store.Call) (store.Revision, error) { return revision, nil }
}

func mustAppend(t check, s store.Store, d store.Delivery, fold store.Fold, contributions ...store.Contribution) store.Receipt {
	t.Helper()
	receipt, err := s.Append(context.Background(), d, contributions, fold)
	if err != nil {
		t.Fatalf("Append: %v", err)
	}
	return receipt
}

// appendMany keeps n revisions of as many outcomes.
func appendMany(t check, s store.Store, n int) {
	t.Helper()
	for i := range n {
		name := fmt.Sprint("many ", i)
		mustAppend(t, s, delivery(name), join, contribution(name, 0, name))
	}
}

func mustRead(t check, s store.Store, after store.Position, filter store.Filter, limit int) store.Page {
	t.Helper()
	// Whoever looks what is kept has lost nothing of it.
	page, err := s.Read(context.Background(), store.Cursor{Position: after, Trims: math.MaxUint64}, filter, limit)
	if err != nil {
		t.Fatalf("Read after %d: %v", after, err)
	}
	return page
}

// readAll reads the log from its beginning, and checks what holds for every page.
func readAll(t check, s store.Store, filter store.Filter, limit int) []store.Entry {
	t.Helper()
	var all []store.Entry
	var after store.Position
	for {
		page := mustRead(t, s, after, filter, limit)
		for _, e := range page.Entries {
			if e.Position <= after || e.Position > page.Next.Position {
				t.Fatalf("entry %d on a page from %d to %d", e.Position, after, page.Next.Position)
			}
			if e.Cursor.Position != e.Position {
				t.Fatalf("entry %d has the cursor of %d", e.Position, e.Cursor.Position)
			}
		}
		all = append(all, page.Entries...)
		if page.End {
			return all
		}
		if page.Next.Position <= after {
			t.Fatalf("Read after %d made no progress", after)
		}
		after = page.Next.Position
	}
}

// same compares, and takes nil and empty lists for the same.
func same[T any](t check, what string, want, got T) {
	t.Helper()
	// Comparing large bodies byte by byte, as cmp does to show what differs, takes seconds.
	bodies := cmp.FilterValues(func(a, b []byte) bool { return len(a)+len(b) > 0 }, cmp.Comparer(bytes.Equal))
	if diff := cmp.Diff(want, got, bodies, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("%s differs (-want +got):\n%s", what, diff)
	}
}

// each runs a function n times at the same time.
func each(n int, do func(i int)) {
	var group sync.WaitGroup
	for i := range n {
		group.Go(func() { do(i) })
	}
	group.Wait()
}

// count is a fold that counts its calls, and writes how many there were of this outcome.
type count struct{ calls atomic.Int64 }

func (c *count) fold(call store.Call) (store.Revision, error) {
	c.calls.Add(1)
	return store.Revision{Body: binary.BigEndian.AppendUint64(nil, uint64(len(call.Contributions)))}, nil
}
