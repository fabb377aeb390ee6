package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/callnorm/callnorm/internal/store"
)

// named makes the outcome's name its call id.
func named(name string) store.Fold {
	return func(call store.Call) (store.Revision, error) {
		return store.Revision{Body: call.Contributions[len(call.Contributions)-1].Body, Keys: store.Keys{ProviderCallID: name}}, nil
	}
}

// TestFresh keeps more than is fresh at a time, and looks for all of it: in memory and in the indexes, after an end that nobody prepared, and
// after one that somebody did.
func TestFresh(t *testing.T) {
	t.Parallel()
	const limit, deleted, more = 64, 64 + 5, 40
	dir := t.TempDir()
	s := mustOpen(t, dir, Settings{})
	s.fresh.limit = limit
	name := func(i int) string { return fmt.Sprint("call ", i) }
	keepAll := func(s *Store, from, to int) {
		t.Helper()
		var group sync.WaitGroup
		const writers = 8
		for w := range writers {
			group.Go(func() {
				for i := from + w; i < to; i += writers {
					if err := keep(s, name(i), 10, named(name(i))); err != nil {
						t.Errorf("Append of %s: %v", name(i), err)
					}
				}
			})
		}
		group.Wait()
	}
	look := func(when string, s *Store, known int) {
		t.Helper()
		for i := deleted % 7; i < known; i += 7 {
			found, err := s.Lookup(t.Context(), store.Query{ProviderCallID: name(i)}, 10)
			if i == deleted {
				if err != nil || len(found) > 0 {
					t.Errorf("%s: Lookup of what was deleted: %d, %v", when, len(found), err)
				}
				continue
			}
			if err != nil || len(found) != 1 || found[0].Outcome != outcome(name(i)) {
				t.Fatalf("%s: Lookup of %s: %d, %v", when, name(i), len(found), err)
			}
			listed, err := s.List(t.Context(), store.ListFilter{ProviderCallID: name(i)}, store.Place{}, 10)
			if err != nil || len(listed.Entries) != 1 || listed.Entries[0].Outcome != outcome(name(i)) {
				t.Fatalf("%s: List of %s: %d, %v", when, name(i), len(listed.Entries), err)
			}
			if _, err := s.Delivery(t.Context(), s.DeliveryID(store.NewDeliveryKey(name(i), "", "", "", nil))); err != nil {
				t.Fatalf("%s: Delivery of %s: %v", when, name(i), err)
			}
		}
		before := s.commits.count(t)
		for _, i := range []int{0, limit - 1, limit, deleted, known - 1} {
			receipt, err := s.Append(context.Background(), store.Delivery{Key: store.NewDeliveryKey(name(i), "", "", "", nil)},
				[]store.Contribution{{Outcome: outcome(name(i)), Body: []byte("again")}}, named(name(i)))
			if err != nil || !receipt.Duplicate || receipt.Gone != (i == deleted) {
				t.Errorf("%s: Append of %s again: %+v, %v", when, name(i), receipt, err)
			}
		}
		if after := s.commits.count(t); after != before {
			t.Errorf("%s: %d deliveries, %d after what was known", when, before, after)
		}
	}

	keepAll(s, 0, limit+more)
	if n := s.fresh.size(); n == 0 || n >= limit {
		t.Errorf("%d are fresh", n)
	}
	if _, err := s.Delete(t.Context(), outcome(name(deleted)), func(store.Call) (store.Revision, error) {
		return store.Revision{Body: []byte("deleted")}, nil
	}); err != nil {
		t.Fatal(err)
	}
	look("while it runs", s, limit+more)

	crashed := t.TempDir()
	copyFiles(t, dir, crashed, "", "-wal")
	if checked, err := Check(t.Context(), crashed, nil); err != nil || checked.Deliveries != limit+more-1 {
		t.Errorf("Check of what a crash leaves: %+v, %v", checked, err)
	}
	damaged := t.TempDir()
	copyFiles(t, dir, damaged, "", "-wal")
	alter(t, damaged, "DELETE FROM deliveries WHERE seq = (SELECT MAX(seq) FROM deliveries)")
	if salvaged, err := Salvage(t.Context(), damaged, filepath.Join(t.TempDir(), "new"), Salvaging{}); err != nil || salvaged.Deliveries != 1 {
		t.Errorf("Salvage of what a crash leaves, without the newest delivery: %+v, %v", salvaged, err)
	}
	again := mustOpen(t, crashed, Settings{})
	again.fresh.limit = limit
	if n, want := again.fresh.size(), s.fresh.size(); n != want {
		t.Errorf("%d are fresh after a crash, not %d", n, want)
	}
	look("after a crash", again, limit+more)
	keepAll(again, limit+more, 2*limit+2*more)
	look("after more", again, 2*limit+2*more)

	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
	if checked, err := Check(t.Context(), crashed, nil); err != nil || checked.Deliveries != 2*limit+2*more-1 {
		t.Errorf("Check of what was closed: %+v, %v", checked, err)
	}
	closed := mustOpen(t, crashed, Settings{})
	if n := closed.fresh.size(); n != 0 {
		t.Errorf("%d are fresh after the end", n)
	}
	look("after the end", closed, 2*limit+2*more)
}

// TestFreshBesideDamage keeps more than is fresh at a time in a store whose index of call ids is damaged.
func TestFreshBesideDamage(t *testing.T) {
	t.Parallel()
	const limit = 8
	dir := t.TempDir()
	s := mustOpen(t, dir, Settings{})
	mustKeep(t, s, "before")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	var root int64
	file := filepath.Join(dir, databaseFile)
	if err := withConnection(t.Context(), file, access("ro"), func(conn *sql.Conn) error {
		return conn.QueryRowContext(t.Context(), "SELECT rootpage FROM sqlite_master WHERE name = 'outcomes_by_provider_call_id'").Scan(&root)
	}); err != nil {
		t.Fatal(err)
	}
	damaged, err := os.OpenFile(file, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := damaged.WriteAt(bytes.Repeat([]byte{0xff}, usualPage), (root-1)*usualPage); err != nil {
		t.Fatal(err)
	}
	if err := damaged.Close(); err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, dir, Settings{})
	s.fresh.limit = limit
	const many = 5 * limit
	for i := range many {
		mustKeep(t, s, fmt.Sprint(i))
	}
	if n := s.fresh.size(); n != many {
		t.Errorf("%d are fresh of %d", n, many)
	}
	for i := range many {
		if err := keep(s, fmt.Sprint(i), 100, body); err != nil {
			t.Fatal(err)
		}
	}
	if n := s.commits.count(t); n != 1+many {
		t.Errorf("%d deliveries are kept of %d, and one before", n, many)
	}
}

// count counts the deliveries that are kept.
func (c *committer) count(t *testing.T) (n int) {
	t.Helper()
	if err := c.conn.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM deliveries").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}
