package storetest

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/callnorm/callnorm/internal/store"
)

// found returns the bodies of what a query finds.
func found(t check, s store.Store, query store.Query, limit int) []string {
	t.Helper()
	entries, err := s.Lookup(context.Background(), query, limit)
	if err != nil {
		t.Fatalf("Lookup: %v", err)
	}
	var bodies []string
	for _, e := range entries {
		bodies = append(bodies, string(e.Body))
	}
	return bodies
}

// revise makes the next revision of an outcome.
func revise(t check, s store.Store, n int, name, body string, keys store.Keys) {
	t.Helper()
	mustAppend(t, s, delivery(fmt.Sprint("revise ", n, " ", name)), with(store.Revision{Body: []byte(body), Keys: keys}),
		contribution(name, 0, ""))
}

func testLookup(t *testing.T, h *harness) {
	ids := func(list ...string) (ids []store.ExternalID) {
		for _, id := range list {
			ids = append(ids, store.ExternalID{System: "crm", ID: id})
		}
		return ids
	}
	external := func(id string) store.Query { return store.Query{ExternalID: store.ExternalID{System: "crm", ID: id}} }
	call := func(id string) store.Query { return store.Query{ProviderCallID: id} }
	check := func(query store.Query, want ...string) {
		t.Helper()
		same(t, fmt.Sprintf("what %+v finds", query), want, found(t, h, query, 10))
	}

	revise(t, h, 1, "a", "a1", store.Keys{ProviderCallID: "1", ExternalIDs: ids("x", "y", "x")})
	revise(t, h, 2, "b", "b1", store.Keys{ProviderCallID: "1", ExternalIDs: ids("y")})
	revise(t, h, 3, "c", "c1", store.Keys{})
	check(call("1"), "a1", "b1")
	check(call("2"))
	check(external("x"), "a1")
	check(external("y"), "a1", "b1")
	check(store.Query{ExternalID: store.ExternalID{System: "other", ID: "x"}})

	// The order stays that of the first revisions, the ids are those of the newest.
	revise(t, h, 4, "c", "c2", store.Keys{ProviderCallID: "1", ExternalIDs: ids("y")})
	revise(t, h, 5, "a", "a2", store.Keys{ProviderCallID: "1", ExternalIDs: ids("y", "z")})
	check(call("1"), "a2", "b1", "c2")
	check(external("x"))
	check(external("y"), "a2", "b1", "c2")
	check(external("z"), "a2")

	revise(t, h, 6, "b", "b2", store.Keys{ProviderCallID: "2"})
	check(call("1"), "a2", "c2")
	check(call("2"), "b2")
	check(external("y"), "a2", "c2")
	h.reopen(t)
	check(call("1"), "a2", "c2")
	check(external("y"), "a2", "c2")
}

func testLookupNarrowed(t *testing.T, h *harness) {
	id := store.ExternalID{System: "crm", ID: "contact"}
	for n := range 12 {
		keys := keysOf(n)
		keys.ProviderCallID, keys.ExternalIDs = "call", []store.ExternalID{id}
		name := fmt.Sprint(n)
		revise(t, h, n, name, name, keys)
	}
	for _, query := range []store.Query{{ProviderCallID: "call"}, {ExternalID: id}} {
		narrowed := func(provider, source string) store.Query {
			q := query
			q.Provider, q.Source = provider, source
			return q
		}
		same(t, "three", []string{"0", "1", "2"}, found(t, h, query, 3))
		same(t, "by provider", []string{"1", "4", "7", "10"}, found(t, h, narrowed("p1", ""), 10))
		same(t, "by source", []string{"3", "4", "5", "9", "10", "11"}, found(t, h, narrowed("", "s1"), 10))
		same(t, "by both", []string{"4", "10"}, found(t, h, narrowed("p1", "s1"), 10))
		same(t, "by both, one", []string{"4"}, found(t, h, narrowed("p1", "s1"), 1))
		same(t, "by another", nil, found(t, h, narrowed("p9", ""), 10))
	}
}

func testLookupQuery(t *testing.T, h *harness) {
	for _, query := range []store.Query{
		{},
		{Provider: "p0"},
		{ProviderCallID: "1", ExternalID: store.ExternalID{System: "crm", ID: "x"}},
	} {
		if _, err := h.Lookup(t.Context(), query, 10); err == nil {
			t.Errorf("%+v was accepted", query)
		}
	}
}

func testNotFound(t *testing.T, h *harness) {
	appendMany(t, h, 3)
	if _, err := h.Outcome(t.Context(), outcome("nobody")); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Outcome: %v", err)
	}
	if _, err := h.Delivery(t.Context(), h.DeliveryID(delivery("nobody").Key)); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Delivery: %v", err)
	}
	if kept, err := h.Contributions(t.Context(), outcome("nobody")); err != nil || len(kept) != 0 {
		t.Errorf("Contributions: %v, %v", kept, err)
	}
	same(t, "lookup", nil, found(t, h, store.Query{ProviderCallID: "nobody"}, 10))
}
