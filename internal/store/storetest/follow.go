package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/callnorm/callnorm/internal/store"
)

func testFollow(t *testing.T, h *harness) {
	const writers, appends, followers = 8, 15, 3
	var group sync.WaitGroup
	logs := make([][]store.Entry, followers)
	for f := range followers {
		group.Go(func() {
			var after store.Position
			for len(logs[f]) < writers*appends {
				if err := h.Wait(context.Background(), after); err != nil {
					t.Errorf("Wait: %v", err)
					return
				}
				page, err := h.Read(context.Background(), store.Cursor{Position: after}, store.Filter{}, 1+7*f)
				if err != nil {
					t.Errorf("Read: %v", err)
					return
				}
				if len(page.Entries) == 0 {
					t.Errorf("an empty page after Wait at %d", after)
					return
				}
				logs[f], after = append(logs[f], page.Entries...), page.Next.Position
			}
		})
	}
	each(writers, func(w int) {
		for i := range appends {
			name := fmt.Sprint("follow ", w, " ", i)
			if _, err := h.Append(context.Background(), delivery(name),
				[]store.Contribution{contribution(name, 0, name)}, join); err != nil {
				t.Error(err)
			}
		}
	})
	group.Wait()
	want := readAll(t, h, store.Filter{}, 1000)
	gapless(t, want)
	for f, log := range logs {
		same(t, fmt.Sprint("log of follower ", f), want, log)
	}
}

func testPages(t *testing.T, h *harness) {
	page := mustRead(t, h, 0, store.Filter{}, 1)
	if len(page.Entries) != 0 || !page.End || page.Next.Position != 0 {
		t.Errorf("a page of the empty log is %+v", page)
	}
	appendMany(t, h, 10)
	for _, test := range []struct {
		after store.Position
		limit int
		want  int
		end   bool
	}{{0, 1, 1, false}, {0, 9, 9, false}, {0, 10, 10, true}, {0, 100, 10, true}, {7, 2, 2, false}, {7, 3, 3, true}, {10, 5, 0, true}} {
		page := mustRead(t, h, test.after, store.Filter{}, test.limit)
		if len(page.Entries) != test.want || page.End != test.end || page.Next.Position != test.after+store.Position(test.want) {
			t.Errorf("a page of %d after %d has %d entries, next %d, end %t", test.limit, test.after, len(page.Entries),
				page.Next.Position, page.End)
		}
		if n := len(page.Entries); n > 0 && page.Next != page.Entries[n-1].Cursor {
			t.Errorf("next is %+v after %+v", page.Next, page.Entries[n-1].Cursor)
		}
	}
	same(t, "log in single entries", readAll(t, h, store.Filter{}, 100), readAll(t, h, store.Filter{}, 1))
	if _, err := h.Read(t.Context(), store.Cursor{Position: 11}, store.Filter{}, 1); !errors.Is(err, store.ErrCursorForeign) {
		t.Errorf("Read behind the end: %v", err)
	}
}

// keysOf gives the n-th of a list of outcomes one of all combinations of keys.
func keysOf(n int) store.Keys {
	return store.Keys{
		Provider:     []string{"p0", "p1", "p2"}[n%3],
		Source:       []string{"s0", "s1"}[n/3%2],
		Status:       int32(n / 6 % 3),
		Completeness: int32(n / 18 % 2),
	}
}

func testFilter(t *testing.T, h *harness) {
	const kept = 72
	for n := range kept {
		name := fmt.Sprint("filter ", n)
		mustAppend(t, h, delivery(name), with(store.Revision{Body: []byte(name), Keys: keysOf(n)}), contribution(name, 0, ""))
	}
	for name, test := range map[string]struct {
		filter store.Filter
		passes func(store.Keys) bool
	}{
		"everything": {store.Filter{}, func(store.Keys) bool { return true }},
		"empty lists": {
			store.Filter{Providers: []string{}, Sources: []string{}, Statuses: []int32{}, Completeness: []int32{}},
			func(store.Keys) bool { return true },
		},
		"provider":      {store.Filter{Providers: []string{"p1"}}, func(k store.Keys) bool { return k.Provider == "p1" }},
		"two providers": {store.Filter{Providers: []string{"p0", "p2"}}, func(k store.Keys) bool { return k.Provider != "p1" }},
		"source":        {store.Filter{Sources: []string{"s1"}}, func(k store.Keys) bool { return k.Source == "s1" }},
		"status zero":   {store.Filter{Statuses: []int32{0}}, func(k store.Keys) bool { return k.Status == 0 }},
		"two statuses":  {store.Filter{Statuses: []int32{1, 2}}, func(k store.Keys) bool { return k.Status != 0 }},
		"completeness":  {store.Filter{Completeness: []int32{1}}, func(k store.Keys) bool { return k.Completeness == 1 }},
		"provider and source": {
			store.Filter{Providers: []string{"p1", "p2"}, Sources: []string{"s0"}},
			func(k store.Keys) bool { return k.Provider != "p0" && k.Source == "s0" },
		},
		"all of them": {
			store.Filter{Providers: []string{"p0"}, Sources: []string{"s0"}, Statuses: []int32{2}, Completeness: []int32{0}},
			func(k store.Keys) bool {
				return k.Provider == "p0" && k.Source == "s0" && k.Status == 2 && k.Completeness == 0
			},
		},
		"nothing": {store.Filter{Providers: []string{"p3"}}, func(store.Keys) bool { return false }},
		"no text": {store.Filter{Sources: []string{"' OR 1=1 --"}}, func(store.Keys) bool { return false }},
	} {
		t.Run(name, func(t *testing.T) {
			var want []string
			for n := range kept {
				if test.passes(keysOf(n)) {
					want = append(want, fmt.Sprint("filter ", n))
				}
			}
			for _, limit := range []int{1, 5, 100} {
				var got []string
				for _, e := range readAll(t, h, test.filter, limit) {
					got = append(got, string(e.Body))
				}
				same(t, "bodies", want, got)
			}
		})
	}
	// The keys of an entry are those of its revision, not the newest.
	mustAppend(t, h, delivery("moved"), with(store.Revision{Body: []byte("moved"), Keys: store.Keys{Provider: "p4"}}),
		contribution("filter 0", 0, ""))
	if got := readAll(t, h, store.Filter{Providers: []string{"p4"}}, 10); len(got) != 1 || got[0].Revision != 2 {
		t.Errorf("entries of the new provider: %+v", got)
	}
	if got := readAll(t, h, store.Filter{Providers: []string{"p0"}}, 100); len(got) != kept/3 {
		t.Errorf("%d entries of the old provider, want %d", len(got), kept/3)
	}
}

func testFilterProgress(t *testing.T, h *harness) {
	const kept = 5000
	each(32, func(w int) {
		for i := w; i < kept; i += 32 * 100 {
			var contributions []store.Contribution
			for j := i; j < min(kept, i+32*100); j += 32 {
				contributions = append(contributions, contribution(fmt.Sprint("progress ", j), j, ""))
			}
			if _, err := h.Append(context.Background(), delivery(fmt.Sprint("progress ", i)), contributions,
				with(store.Revision{Body: []byte{}})); err != nil {
				t.Error(err)
			}
		}
	})
	nothing := store.Filter{Providers: []string{"nobody"}}
	if got := readAll(t, h, nothing, 10); len(got) != 0 {
		t.Errorf("%d entries", len(got))
	}
	var after store.Position
	for {
		page := mustRead(t, h, after, nothing, 10)
		resumed, err := h.Resume(t.Context(), page.Next, nothing)
		if err != nil || resumed != page.Next || resumed.Position <= after {
			t.Fatalf("Resume of a page's next %+v: %+v, %v", page.Next, resumed, err)
		}
		if after = resumed.Position; page.End {
			break
		}
	}
	if after != kept {
		t.Errorf("the end is at %d, want %d", after, kept)
	}
	mustAppend(t, h, delivery("found"), with(store.Revision{Body: []byte("found"), Keys: store.Keys{Provider: "nobody"}}),
		contribution("found", 0, ""))
	if page := mustRead(t, h, after, nothing, 10); len(page.Entries) != 1 || !page.End {
		t.Errorf("the page after the end is %+v", page)
	}
}

func testCursors(t *testing.T, h *harness) {
	resumes := func(cursor store.Cursor, want store.Position) {
		t.Helper()
		parsed, err := store.ParseCursor(cursor.String())
		if err != nil {
			t.Fatal(err)
		}
		if got, err := h.Resume(t.Context(), parsed, store.Filter{}); err != nil || got.Position != want {
			t.Errorf("Resume(%+v) is %+v, %v, want %d", cursor, got, err, want)
		}
	}
	cursorOf := func(get func(context.Context) (store.Cursor, error)) store.Cursor {
		t.Helper()
		cursor, err := get(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return cursor
	}
	resumes(cursorOf(h.Head), 0)
	resumes(cursorOf(h.Beginning), 0)
	resumes(mustRead(t, h, 0, store.Filter{}, 1).Next, 0)
	appendMany(t, h, 20)
	resumes(cursorOf(h.Head), 20)
	resumes(cursorOf(h.Beginning), 0)
	for _, e := range readAll(t, h, store.Filter{}, 7) {
		resumes(e.Cursor, e.Position)
	}
	entry, err := h.Outcome(t.Context(), outcome("many 4"))
	if err != nil {
		t.Fatal(err)
	}
	resumes(entry.Cursor, 5)
	same(t, "head", mustRead(t, h, 0, store.Filter{}, 100).Next, cursorOf(h.Head))
	h.reopen(t)
	resumes(entry.Cursor, 5)
}

func testForeignCursors(t *testing.T, h *harness) {
	appendMany(t, h, 5)
	good, err := h.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	other := newHarness(t, t.TempDir(), h.opener)
	appendMany(t, other, 5)
	foreign, err := other.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if foreign.Log == good.Log {
		t.Error("two logs have the same id")
	}
	for name, cursor := range map[string]store.Cursor{
		"zero":                 {},
		"another log":          foreign,
		"future position":      {Log: good.Log, Position: 6, Check: good.Check},
		"negative position":    {Log: good.Log, Position: -1},
		"wrong check":          {Log: good.Log, Position: 5, Check: good.Check + 1},
		"check of another":     {Log: good.Log, Position: 4, Check: good.Check},
		"check before entry 1": {Log: good.Log, Position: 0, Check: 1},
	} {
		if _, err := h.Resume(t.Context(), cursor, store.Filter{}); !errors.Is(err, store.ErrCursorForeign) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func testCursorAt(t *testing.T, h *harness) {
	at := func(when time.Time, want store.Position) {
		t.Helper()
		cursor, err := h.CursorAt(t.Context(), when)
		if err != nil {
			t.Fatal(err)
		}
		if cursor.Position != want {
			t.Errorf("CursorAt(%v) is at %d, want %d", when, cursor.Position, want)
		}
		if _, err := h.Resume(t.Context(), cursor, store.Filter{}); err != nil {
			t.Errorf("Resume: %v", err)
		}
	}
	at(time.Unix(0, 0), 0)
	appendMany(t, h, 37)
	log := readAll(t, h, store.Filter{}, 100)
	for _, e := range log {
		// Entries may share a time: the cursor is before the first of them.
		first := e.Position
		for first > 1 && log[first-2].Time.Equal(e.Time) {
			first--
		}
		at(e.Time, first-1)
	}
	at(time.Unix(0, 0), 0)
	at(log[36].Time.Add(time.Microsecond), 37)
	at(log[36].Time.Add(time.Hour), 37)
}

func testWaitAppend(t *testing.T, h *harness) {
	const waiters = 10
	var ready, done sync.WaitGroup
	for range waiters {
		ready.Add(1)
		done.Go(func() {
			ready.Done()
			if err := h.Wait(context.Background(), 0); err != nil {
				t.Errorf("Wait: %v", err)
			}
		})
	}
	ready.Wait()
	// A delivery without a revision wakes nobody for good.
	mustAppend(t, h, delivery("quiet"), nil)
	mustAppend(t, h, delivery("wake"), join, contribution("wake", 0, ""))
	done.Wait()
	if err := h.Wait(t.Context(), 0); err != nil {
		t.Errorf("Wait for what is there: %v", err)
	}
}

func testWaitContext(t *testing.T, h *harness) {
	appendMany(t, h, 1)
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error)
	go func() { result <- h.Wait(ctx, 1) }()
	cancel()
	if err := <-result; !errors.Is(err, context.Canceled) {
		t.Errorf("Wait: %v", err)
	}
	if err := h.Wait(ctx, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("Wait with an ended context: %v", err)
	}
}

func testWaitClose(t *testing.T, h *harness) {
	var waits sync.WaitGroup
	for range 10 {
		waits.Go(func() {
			if err := h.Wait(context.Background(), 0); !errors.Is(err, store.ErrClosed) {
				t.Errorf("Wait: %v", err)
			}
		})
	}
	h.close(t)
	waits.Wait()
}
