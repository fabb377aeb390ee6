package storetest

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/callnorm/callnorm/internal/store"
)

func testList(t *testing.T, h *harness) {
	base := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	yes, no := true, false
	type row struct {
		name      string
		keys      store.Keys
		addresses []string
	}
	rows := []row{
		{"a", store.Keys{Time: base.Add(3 * time.Hour), Provider: "p", Source: "s", Status: 1, Disposition: 5, DoNotCall: true}, []string{"+1", "x@y"}},
		{"b", store.Keys{Time: base.Add(time.Hour), Provider: "q", Source: "s", Status: 2, ProviderCallID: "call"}, []string{"+1"}},
		{"c", store.Keys{Time: base.Add(2 * time.Hour), Provider: "p", Source: "t", Completeness: 3, ProviderCallID: "call"}, []string{"+2"}},
		{"d", store.Keys{Time: base.Add(2 * time.Hour), Provider: "p", Source: "s", ExternalIDs: []store.ExternalID{{System: "e", ID: "1"}}}, nil},
	}
	for _, r := range rows {
		c := contribution(r.name, 0, r.name)
		c.Addresses = r.addresses
		mustAppend(t, h, delivery("list "+r.name), with(store.Revision{Body: []byte(r.name), Keys: r.keys}), c)
	}
	tests := map[string]struct {
		filter store.ListFilter
		want   []string
	}{
		"all, by their times":         {store.ListFilter{}, []string{"a", "d", "c", "b"}},
		"a provider":                  {store.ListFilter{Filter: store.Filter{Providers: []string{"q", "r"}}}, []string{"b"}},
		"a source":                    {store.ListFilter{Filter: store.Filter{Sources: []string{"s"}}}, []string{"a", "d", "b"}},
		"a status":                    {store.ListFilter{Filter: store.Filter{Statuses: []int32{1, 2}}}, []string{"a", "b"}},
		"a completeness":              {store.ListFilter{Filter: store.Filter{Completeness: []int32{3}}}, []string{"c"}},
		"some outcomes":               {store.ListFilter{Filter: store.Filter{Outcomes: []store.OutcomeID{outcome("b"), outcome("a")}}}, []string{"a", "b"}},
		"a disposition":               {store.ListFilter{Dispositions: []int32{5}}, []string{"a"}},
		"not to be called":            {store.ListFilter{DoNotCall: &yes}, []string{"a"}},
		"to be called":                {store.ListFilter{DoNotCall: &no}, []string{"d", "c", "b"}},
		"from a time":                 {store.ListFilter{Begin: base.Add(2 * time.Hour)}, []string{"a", "d", "c"}},
		"before a time":               {store.ListFilter{End: base.Add(2 * time.Hour)}, []string{"b"}},
		"a range":                     {store.ListFilter{Begin: base, End: base.Add(2*time.Hour + 1000)}, []string{"d", "c", "b"}},
		"an address":                  {store.ListFilter{Address: "+1"}, []string{"a", "b"}},
		"an address and a status":     {store.ListFilter{Address: "+1", Filter: store.Filter{Statuses: []int32{2}}}, []string{"b"}},
		"another address":             {store.ListFilter{Address: "x@y"}, []string{"a"}},
		"no one's address":            {store.ListFilter{Address: "+3"}, nil},
		"a call id":                   {store.ListFilter{ProviderCallID: "call"}, []string{"c", "b"}},
		"a call id and a provider":    {store.ListFilter{ProviderCallID: "call", Filter: store.Filter{Providers: []string{"q"}}}, []string{"b"}},
		"an external id":              {store.ListFilter{ExternalID: store.ExternalID{System: "e", ID: "1"}}, []string{"d"}},
		"an external id in no range":  {store.ListFilter{ExternalID: store.ExternalID{System: "e", ID: "1"}, End: base}, nil},
		"the do-not-calls of a range": {store.ListFilter{DoNotCall: &yes, End: base.Add(time.Hour)}, nil},
	}
	for range 2 {
		for name, test := range tests {
			same(t, name, test.want, listed(t, h, test.filter))
		}
		h.reopen(t)
	}
	// A later revision changes what an outcome is found by.
	c := contribution("b", 0, "b2")
	c.Addresses = []string{"+2"}
	mustAppend(t, h, delivery("list b2"), with(store.Revision{Body: []byte("b2"), Keys: store.Keys{Time: base.Add(4 * time.Hour)}}), c)
	same(t, "all after it", []string{"b2", "a", "d", "c"}, listed(t, h, store.ListFilter{}))
	same(t, "its new address", []string{"b2", "c"}, listed(t, h, store.ListFilter{Address: "+2"}))
	same(t, "its old address", []string{"b2", "a"}, listed(t, h, store.ListFilter{Address: "+1"}))
	same(t, "its old call id", []string{"c"}, listed(t, h, store.ListFilter{ProviderCallID: "call"}))
	// One that is understood anew loses what it was found by.
	u := understanding("list b2", contribution("b", 0, "b3"))
	mustRenormalize(t, h, "list b2", u, with(store.Revision{Body: []byte("b3"), Keys: store.Keys{Time: base}}))
	same(t, "its lost address", []string{"c"}, listed(t, h, store.ListFilter{Address: "+2"}))
	same(t, "all at the end", []string{"a", "d", "c", "b3"}, listed(t, h, store.ListFilter{}))
}

func testListIsStable(t *testing.T, h *harness) {
	base := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	put := func(n int, at time.Time) {
		name := fmt.Sprint("stable ", n)
		mustAppend(t, h, delivery(name), with(store.Revision{Body: []byte(name), Keys: store.Keys{Time: at}}), contribution(name, 0, name))
	}
	const before = 20
	for n := range before {
		put(n, base.Add(time.Duration(n%7)*time.Minute))
	}
	var seen []string
	place := store.Place{}
	for n, end := before, false; !end; n += 2 {
		page, err := h.List(t.Context(), store.ListFilter{}, place, 3)
		if err != nil {
			t.Fatal(err)
		}
		seen = append(seen, bodies(page.Entries)...)
		place, end = page.Next, page.End
		if n < before+10 {
			put(n, base.Add(time.Hour)) // before all that is still to come
			put(n+1, base.Add(-time.Hour))
		}
	}
	count := map[string]int{}
	for _, body := range seen {
		count[body]++
	}
	for n := range before {
		if name := fmt.Sprint("stable ", n); count[name] != 1 {
			t.Errorf("%s was listed %d times", name, count[name])
		}
	}
}

func testRevisions(t *testing.T, h *harness) {
	for n := range 5 {
		told(t, h, "door", "a", n)
		told(t, h, "door", "b", n)
	}
	numbers := func(before int32, limit int) (numbers []int32) {
		t.Helper()
		entries, err := h.Revisions(t.Context(), outcome("a"), before, limit)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if e.Outcome != outcome("a") || e.Cursor.Position != e.Position {
				t.Errorf("%+v", e)
			}
			numbers = append(numbers, e.Revision)
		}
		return numbers
	}
	for range 2 {
		same(t, "all", []int32{5, 4, 3, 2, 1}, numbers(0, 10))
		same(t, "the first page", []int32{5, 4}, numbers(0, 2))
		same(t, "the second page", []int32{3, 2}, numbers(4, 2))
		same(t, "the last page", []int32{1}, numbers(2, 2))
		same(t, "behind it", nil, numbers(1, 2))
		h.reopen(t)
	}
	if _, err := h.Revisions(t.Context(), outcome("never"), 0, 1); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("of what is not kept: %v", err)
	}
}

func testSubscriptions(t *testing.T, h *harness) {
	appendMany(t, h, 5)
	log := readAll(t, h, store.Filter{}, 10)
	create := func(name string, limit int) (store.Subscription, bool, error) {
		return h.CreateSubscription(t.Context(), store.Subscription{Name: name, Owner: "crm", Filter: []byte("filter " + name), Cursor: log[1].Cursor}, limit)
	}
	kept, created, err := create("a", 2)
	if err != nil || !created || kept.Generation == 0 || kept.CreateTime.IsZero() || kept.MoveTime != kept.CreateTime || kept.Cursor != log[1].Cursor {
		t.Fatalf("created %+v, %t, %v", kept, created, err)
	}
	if again, created, err := h.CreateSubscription(t.Context(), store.Subscription{Name: "a", Owner: "other"}, 2); err != nil || created {
		t.Errorf("created again: %t, %v", created, err)
	} else {
		same(t, "what is there", kept, again)
	}
	if _, _, err := create("b", 2); err != nil {
		t.Errorf("the second: %v", err)
	}
	if _, _, err := create("c", 2); !errors.Is(err, store.ErrTooMany) {
		t.Errorf("the third of two: %v", err)
	}
	h.reopen(t)
	advance := func(generation int64, cursor store.Cursor, want store.Cursor) {
		t.Helper()
		moved, err := h.Advance(t.Context(), "a", generation, cursor)
		if err != nil || moved.Cursor != want {
			t.Errorf("advanced to %+v, %v, want %+v", moved, err, want)
		}
	}
	advance(kept.Generation, log[3].Cursor, log[3].Cursor)
	advance(kept.Generation, log[2].Cursor, log[3].Cursor) // not back
	advance(kept.Generation, log[3].Cursor, log[3].Cursor)
	reset, err := h.Reset(t.Context(), "a", log[0].Cursor)
	if err != nil || reset.Generation == kept.Generation || reset.Cursor != log[0].Cursor || string(reset.Filter) != "filter a" {
		t.Errorf("reset to %+v, %v", reset, err)
	}
	if _, err := h.Advance(t.Context(), "a", kept.Generation, log[4].Cursor); !errors.Is(err, store.ErrOutdated) {
		t.Errorf("advancing from before the reset: %v", err)
	}
	advance(reset.Generation, log[4].Cursor, log[4].Cursor)
	h.reopen(t)
	all, err := h.Subscriptions(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	names := []string{}
	for _, s := range all {
		names = append(names, s.Name)
	}
	same(t, "names", []string{"a", "b"}, names)
	one, err := h.Subscription(t.Context(), "a")
	if err != nil || one.Cursor != log[4].Cursor {
		t.Errorf("%+v, %v", one, err)
	}
	same(t, "the one", all[0], one)
	if err := h.DeleteSubscription(t.Context(), "a"); err != nil {
		t.Errorf("delete: %v", err)
	}
	for what, call := range map[string]func() error{
		"Subscription":       func() error { _, err := h.Subscription(t.Context(), "a"); return err },
		"Advance":            func() error { _, err := h.Advance(t.Context(), "a", 1, log[0].Cursor); return err },
		"Reset":              func() error { _, err := h.Reset(t.Context(), "a", log[0].Cursor); return err },
		"DeleteSubscription": func() error { return h.DeleteSubscription(t.Context(), "a") },
	} {
		if err := call(); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s of what was deleted: %v", what, err)
		}
	}
}

// testAdvanceConcurrent has many acknowledge at the same time: the furthest counts.
func testAdvanceConcurrent(t *testing.T, h *harness) {
	appendMany(t, h, 30)
	log := readAll(t, h, store.Filter{}, 100)
	begin, err := h.Beginning(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	kept, _, err := h.CreateSubscription(t.Context(), store.Subscription{Name: "many", Cursor: begin}, 10)
	if err != nil {
		t.Fatal(err)
	}
	each(len(log), func(i int) {
		if _, err := h.Advance(t.Context(), "many", kept.Generation, log[i].Cursor); err != nil {
			t.Errorf("Advance: %v", err)
		}
	})
	furthest := slices.MaxFunc(log, func(a, b store.Entry) int { return cmp.Compare(a.Position, b.Position) })
	if s, err := h.Subscription(t.Context(), "many"); err != nil || s.Cursor != furthest.Cursor {
		t.Errorf("%+v, %v", s, err)
	}
}
