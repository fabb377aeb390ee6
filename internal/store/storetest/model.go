package storetest

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/callnorm/callnorm/internal/store"
)

// model is what a store does, without durability, concurrency and time.
type model struct {
	receipts      map[string]store.Receipt
	contributions map[string][]string
	log           []modelEntry
}

type modelEntry struct {
	Outcome  string
	Revision int32
	Body     string
	Keys     store.Keys
}

func (m *model) newest(outcome string) (newest modelEntry) {
	for _, e := range m.log {
		if e.Outcome == outcome {
			newest = e
		}
	}
	return newest
}

// find returns what is found under an id that has tells of, in the order of the first revisions.
func (m *model) find(has func(store.Keys) bool) (bodies []string) {
	for _, e := range m.log {
		if newest := m.newest(e.Outcome); e.Revision == 1 && has(newest.Keys) {
			bodies = append(bodies, newest.Body)
		}
	}
	return bodies
}

// item is one item of a random delivery, which makes a revision with these keys, or none.
type item struct {
	outcome, body string
	keys          store.Keys
	silent        bool
}

func testModel(t *testing.T, h *harness) {
	names := []string{"a", "b", "c", "d"}
	externalID := func(id string) store.ExternalID { return store.ExternalID{System: "s", ID: id} }
	items := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) item {
		var ids []store.ExternalID
		for _, id := range rapid.SliceOfN(rapid.SampledFrom(names), 0, 3).Draw(t, "external ids") {
			ids = append(ids, externalID(id))
		}
		return item{
			outcome: rapid.SampledFrom(names).Draw(t, "outcome"),
			body:    rapid.StringN(0, 8, 400).Draw(t, "body"),
			silent:  rapid.IntRange(0, 4).Draw(t, "silent") == 0,
			keys: store.Keys{
				Provider:       rapid.SampledFrom(names).Draw(t, "provider"),
				ProviderCallID: rapid.SampledFrom(append(names, "")).Draw(t, "call"),
				ExternalIDs:    ids,
			},
		}
	}), 0, 4)
	// All histories run in the one store, each in outcomes and with ids of its own. Opening a store for each would take
	// all the time.
	history := 0
	rapid.Check(t, func(t *rapid.T) {
		history++
		own := func(name string) string { return fmt.Sprint(history, " ", name) }
		begin, err := h.Head(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		m := &model{receipts: map[string]store.Receipt{}, contributions: map[string][]string{}}
		for range rapid.IntRange(1, 20).Draw(t, "steps") {
			switch step := rapid.IntRange(0, 59).Draw(t, "step"); {
			case step < 40:
				m.append(t, h.Store, own, rapid.IntRange(0, 15).Draw(t, "delivery"), items.Draw(t, "items"))
			case step < 59:
				m.check(t, h.Store, begin.Position, own, names)
			default:
				h.reopen(t)
			}
		}
		m.check(t, h.Store, begin.Position, own, names)
	})
}

// append keeps a random delivery in the store and in the model.
func (m *model) append(t *rapid.T, s store.Store, own func(string) string, n int, items []item) {
	name := own(fmt.Sprint("delivery ", n))
	d := delivery(name)
	want, duplicate := m.receipts[name]
	var contributions []store.Contribution
	last := map[string]item{}
	var order []string
	for i, it := range items {
		contributions = append(contributions, contribution(own(it.outcome), i, it.body))
		if _, ok := last[it.outcome]; !ok {
			order = append(order, it.outcome)
		}
		last[it.outcome] = it
	}
	revisions := map[store.OutcomeID]store.Revision{}
	if duplicate {
		want.Duplicate = true
		want.Outcomes = slices.Clone(want.Outcomes)
		for i, o := range want.Outcomes {
			for _, name := range []string{"a", "b", "c", "d"} {
				if o.Outcome == outcome(own(name)) {
					want.Outcomes[i] = store.ReceiptOutcome{Outcome: o.Outcome, Revision: m.newest(name).Revision}
				}
			}
		}
	} else {
		want = store.Receipt{Delivery: s.DeliveryID(d.Key), State: d.State, Report: d.Report}
		for _, it := range items {
			m.contributions[it.outcome] = append(m.contributions[it.outcome], it.body)
		}
		for _, name := range order {
			it, revision := last[name], m.newest(name).Revision
			if !it.silent {
				revision++
				keys := it.keys
				if keys.ProviderCallID != "" {
					keys.ProviderCallID = own(keys.ProviderCallID)
				}
				keys.ExternalIDs = nil
				for _, id := range it.keys.ExternalIDs {
					keys.ExternalIDs = append(keys.ExternalIDs, store.ExternalID{System: id.System, ID: own(id.ID)})
				}
				body := fmt.Sprintf("%q", m.contributions[name])
				m.log = append(m.log, modelEntry{name, revision, body, keys})
				revisions[outcome(own(name))] = store.Revision{Body: []byte(body), Keys: keys}
			}
			want.Outcomes = append(want.Outcomes, store.ReceiptOutcome{
				Outcome: outcome(own(name)), Revision: revision, Changed: !it.silent,
			})
		}
		m.receipts[name] = want
	}
	same(t, "receipt", want, mustAppend(t, s, d, func(call store.Call) (store.Revision, error) {
		return revisions[call.Outcome], nil
	}, contributions...))
}

// check compares the store with the model.
func (m *model) check(t *rapid.T, s store.Store, begin store.Position, own func(string) string, names []string) {
	providers := rapid.SliceOfN(rapid.SampledFrom(names), 0, 2).Draw(t, "providers")
	limit := rapid.IntRange(1, 20).Draw(t, "limit")
	var want, got []modelEntry
	for _, e := range m.log {
		if len(providers) == 0 || slices.Contains(providers, e.Keys.Provider) {
			want = append(want, modelEntry{own(e.Outcome), e.Revision, e.Body, store.Keys{}})
		}
	}
	for after, end := begin, false; !end; {
		page := mustRead(t, s, after, store.Filter{Providers: providers}, limit)
		for _, e := range page.Entries {
			for _, name := range names {
				if e.Outcome == outcome(own(name)) {
					got = append(got, modelEntry{own(name), e.Revision, string(e.Body), store.Keys{}})
				}
			}
		}
		after, end = page.Next.Position, page.End
	}
	same(t, "log", want, got)
	name := rapid.SampledFrom(names).Draw(t, "name")
	kept, err := s.Contributions(t.Context(), outcome(own(name)))
	if err != nil {
		t.Fatalf("Contributions: %v", err)
	}
	var bodies []string
	for _, c := range kept {
		bodies = append(bodies, string(c.Body))
	}
	same(t, "contributions", m.contributions[name], bodies)
	entry, err := s.Outcome(t.Context(), outcome(own(name)))
	newest := m.newest(name)
	if newest.Revision == 0 != errors.Is(err, store.ErrNotFound) || string(entry.Body) != newest.Body {
		t.Errorf("outcome is %+v, %v, want %+v", entry, err, newest)
	}
	id := store.ExternalID{System: "s", ID: own(name)}
	same(t, "found by call id", m.find(func(k store.Keys) bool { return k.ProviderCallID == own(name) }),
		found(t, s, store.Query{ProviderCallID: own(name)}, 10))
	same(t, "found by external id", m.find(func(k store.Keys) bool { return slices.Contains(k.ExternalIDs, id) }),
		found(t, s, store.Query{ExternalID: id}, 10))
}
