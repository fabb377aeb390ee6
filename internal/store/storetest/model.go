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
	receipts map[string]store.Receipt
	// said is what each delivery says now, contributions what is said about each outcome.
	said          map[string][]item
	contributions map[string][]modelContribution
	log           []modelEntry
}

type modelContribution struct{ Delivery, Body string }

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
		m := &model{
			receipts: map[string]store.Receipt{}, said: map[string][]item{}, contributions: map[string][]modelContribution{},
		}
		for range rapid.IntRange(1, 20).Draw(t, "steps") {
			switch step := rapid.IntRange(0, 59).Draw(t, "step"); {
			case step < 30:
				m.append(t, h.Store, own, rapid.IntRange(0, 15).Draw(t, "delivery"), items.Draw(t, "items"))
			case step < 40:
				m.renormalize(t, h.Store, own, rapid.IntRange(0, 15).Draw(t, "delivery"), items.Draw(t, "items"))
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
	revisions := map[store.OutcomeID]store.Revision{}
	var want store.Receipt
	if _, duplicate := m.receipts[name]; duplicate {
		want = m.repeated(own, name)
	} else {
		want = store.Receipt{Delivery: s.DeliveryID(d.Key), State: d.State, Report: d.Report}
		want.Outcomes, revisions = m.say(own, name, items)
		m.receipts[name] = want
	}
	same(t, "receipt", want, mustAppend(t, s, d, fixed(revisions), contributionsOf(own, items)...))
}

// renormalize understands a delivery anew in the store and in the model, or one that was never kept.
func (m *model) renormalize(t *rapid.T, s store.Store, own func(string) string, n int, items []item) {
	name := own(fmt.Sprint("delivery ", n))
	want, known := m.receipts[name]
	if !known {
		_, err := s.Renormalize(t.Context(), s.DeliveryID(delivery(name).Key), store.Understanding{}, join)
		if !errors.Is(err, store.ErrNotFound) {
			t.Errorf("Renormalize of what was not kept: %v", err)
		}
		return
	}
	revisions := map[store.OutcomeID]store.Revision{}
	if slices.EqualFunc(m.said[name], items, func(a, b item) bool { return a.outcome == b.outcome && a.body == b.body }) {
		want = m.repeated(own, name)
	} else {
		want.Outcomes, revisions = m.say(own, name, items)
	}
	same(t, "receipt", want, mustRenormalize(t, s, name, understanding(name, contributionsOf(own, items)...), fixed(revisions)))
}

// repeated returns the receipt of a delivery that is kept.
func (m *model) repeated(own func(string) string, name string) store.Receipt {
	receipt := m.receipts[name]
	receipt.Duplicate, receipt.Outcomes = true, nil
	for _, outcomeName := range outcomesOf(m.said[name]) {
		receipt.Outcomes = append(receipt.Outcomes, store.ReceiptOutcome{
			Outcome: outcome(own(outcomeName)), Revision: m.newest(outcomeName).Revision,
		})
	}
	return receipt
}

// say replaces what a delivery says, and returns what becomes of the outcomes that it speaks of now or spoke of before.
func (m *model) say(own func(string) string, name string, items []item) ([]store.ReceiptOutcome, map[store.OutcomeID]store.Revision) {
	order := outcomesOf(append(slices.Clone(items), m.said[name]...))
	last := map[string]item{}
	for outcome, said := range m.contributions {
		m.contributions[outcome] = slices.DeleteFunc(said, func(c modelContribution) bool { return c.Delivery == name })
	}
	for _, it := range items {
		m.contributions[it.outcome] = append(m.contributions[it.outcome], modelContribution{name, it.body})
		last[it.outcome] = it
	}
	m.said[name] = items
	var outcomes []store.ReceiptOutcome
	revisions := map[store.OutcomeID]store.Revision{}
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
		outcomes = append(outcomes, store.ReceiptOutcome{Outcome: outcome(own(name)), Revision: revision, Changed: !it.silent})
	}
	return outcomes, revisions
}

// outcomesOf returns the outcomes of items, each once.
func outcomesOf(items []item) (outcomes []string) {
	for _, it := range items {
		if !slices.Contains(outcomes, it.outcome) {
			outcomes = append(outcomes, it.outcome)
		}
	}
	return outcomes
}

func contributionsOf(own func(string) string, items []item) (contributions []store.Contribution) {
	for i, it := range items {
		contributions = append(contributions, contribution(own(it.outcome), i, it.body))
	}
	return contributions
}

// fixed is a fold that returns one revision for each outcome.
func fixed(revisions map[store.OutcomeID]store.Revision) store.Fold {
	return func(call store.Call) (store.Revision, error) { return revisions[call.Outcome], nil }
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
	var bodies []string
	for _, c := range m.contributions[name] {
		bodies = append(bodies, c.Body)
	}
	same(t, "contributions", bodies, contributed(t, s, own(name)))
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
