package sqlite

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/callnorm/callnorm/internal/store"
)

func mustOpen(t *testing.T, dir string, settings Settings) *Store {
	t.Helper()
	s, err := Open(t.Context(), dir, settings)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return s
}

func outcome(name string) store.OutcomeID { return store.NewOutcomeID("test", name) }

func body(call store.Call) (store.Revision, error) {
	return store.Revision{
		Body: call.Contributions[len(call.Contributions)-1].Body,
		Keys: store.Keys{ProviderCallID: "call", ExternalIDs: []store.ExternalID{{System: "s", ID: "x"}}},
	}, nil
}

// keep appends a delivery with one contribution to the outcome of its name.
func keep(s *Store, name string, size int, fold store.Fold) error {
	noise := make([]byte, size)
	rand.Read(noise)
	noise[0] |= 1 // A test that sets it to 0 changes it.
	_, err := s.Append(context.Background(), store.Delivery{Key: store.NewDeliveryKey(name, "", "", "", nil)},
		[]store.Contribution{{Outcome: outcome(name), Body: noise}}, fold)
	return err
}

func mustKeep(t *testing.T, s *Store, name string) {
	t.Helper()
	if err := keep(s, name, 100, body); err != nil {
		t.Fatalf("Append: %v", err)
	}
}

// alter changes the files of a closed store.
func alter(t *testing.T, dir, query string, args ...any) {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(dir, databaseFile))
	if err != nil {
		t.Fatal(err)
	}
	result, err := db.ExecContext(t.Context(), query, args...)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := result.RowsAffected(); n == 0 && !strings.HasPrefix(query, "PRAGMA") {
		t.Fatalf("%s changed nothing: %v", query, err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestDirectoryIsLocked(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "a directory?with=all & sorts#of%20characters", "data")
	s := mustOpen(t, dir, Settings{})
	if _, err := Open(t.Context(), dir, Settings{}); !errors.Is(err, store.ErrLocked) || !strings.Contains(err.Error(), dir) {
		t.Errorf("second Open: %v", err)
	}
	mustKeep(t, s, "a")
	for name, want := range map[string]os.FileMode{
		"": 0o700, databaseFile: 0o600, databaseFile + "-wal": 0o600, databaseFile + "-shm": 0o600, lockFile: 0o600,
	} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != want {
			t.Errorf("mode of %q is %v, %v, want %v", name, info.Mode().Perm(), err, want)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, databaseFile+"-wal")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Close has left the journal: %v", err)
	}
	mustOpen(t, dir, Settings{})
}

func TestCorruptRowIsNotServed(t *testing.T) {
	t.Parallel()
	readDelivery := func(s *Store) error {
		_, err := s.Delivery(context.Background(), s.DeliveryID(store.NewDeliveryKey("a", "", "", "", nil)))
		return err
	}
	readOutcome := func(s *Store) error { _, err := s.Outcome(context.Background(), outcome("a")); return err }
	lookup := func(q store.Query) func(*Store) error {
		return func(s *Store) error { _, err := s.Lookup(context.Background(), q, 10); return err }
	}
	readLog := func(s *Store) error {
		_, err := s.Read(context.Background(), store.Cursor{}, store.Filter{}, 10)
		return err
	}
	contributions := func(s *Store) error { _, err := s.Contributions(context.Background(), outcome("a")); return err }
	repeat := func(s *Store) error { return keep(s, "a", 100, body) }
	for name, test := range map[string]struct {
		change string
		read   []func(*Store) error
	}{
		"delivery": {"UPDATE deliveries SET state = state + 1", []func(*Store) error{readDelivery, repeat}},
		"delivery of another id": {
			"UPDATE delivery_ids SET seq = 3 - seq", []func(*Store) error{readDelivery, repeat},
		},
		"missing delivery":     {"DELETE FROM deliveries WHERE seq = 1", []func(*Store) error{readDelivery, repeat}},
		"contribution":         {"UPDATE contributions SET body = x'00' || substr(body, 2)", []func(*Store) error{contributions, repeat}},
		"missing contribution": {"DELETE FROM contributions WHERE id = 1", []func(*Store) error{contributions, repeat}},
		"outcome": {
			"UPDATE outcomes SET revision = revision + 1",
			[]func(*Store) error{readOutcome, contributions, repeat, lookup(store.Query{ProviderCallID: "call"})},
		},
		"entry":         {"UPDATE log SET body = x'00' || substr(body, 2)", []func(*Store) error{readOutcome, readLog}},
		"key of entry":  {"UPDATE log SET provider = 'another'", []func(*Store) error{readOutcome, readLog}},
		"missing entry": {"DELETE FROM log WHERE position = 2", []func(*Store) error{readLog}},
		"external id": {
			"UPDATE external_ids SET id = 'y'",
			[]func(*Store) error{lookup(store.Query{ExternalID: store.ExternalID{System: "s", ID: "y"}})},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			s := mustOpen(t, dir, Settings{})
			for _, name := range []string{"a", "b", "c"} {
				mustKeep(t, s, name)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			alter(t, dir, test.change)
			s = mustOpen(t, dir, Settings{})
			for i, read := range test.read {
				if err := read(s); !errors.Is(err, store.ErrCorrupt) {
					t.Errorf("read %d: %v", i, err)
				}
			}
			// What is corrupt is one row: others are kept all the same.
			mustKeep(t, s, "d")
			if err := s.Err(); err != nil {
				t.Errorf("Err: %v", err)
			}
		})
	}
	for name, change := range map[string]string{
		"head":        "UPDATE head SET position = position - 1",
		"key":         "UPDATE meta SET value = x'00' || substr(value, 2) WHERE name = 'delivery_id_key'",
		"lost tail":   "DELETE FROM log WHERE position = 3",
		"key of text": "UPDATE meta SET value = 'short' WHERE name = 'log_id'",
	} {
		t.Run("open with corrupt "+name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			s := mustOpen(t, dir, Settings{})
			for _, name := range []string{"a", "b", "c"} {
				mustKeep(t, s, name)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			alter(t, dir, change)
			if _, err := Open(t.Context(), dir, Settings{}); !errors.Is(err, store.ErrCorrupt) {
				t.Errorf("Open: %v", err)
			}
		})
	}
}

func TestSchemaVersions(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := mustOpen(t, dir, Settings{})
	mustKeep(t, s, "a")
	// A later step sees what the earlier ones have left, and is taken back whole when it fails.
	newest := len(migrations(nil))
	steps := append(migrations(nil),
		step{sql: "CREATE TABLE later (id INTEGER); INSERT INTO later SELECT position FROM log"}, step{sql: "nonsense"})
	if err := migrate(t.Context(), s.commits.conn, steps); err == nil {
		t.Error("a failing migration is no error")
	}
	mustKeep(t, s, "b")
	if err := migrate(t.Context(), s.commits.conn, steps[:newest+1]); err != nil {
		t.Error(err)
	}
	var rows int
	if err := s.commits.conn.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM later").Scan(&rows); err != nil || rows != 2 {
		t.Errorf("the migration has made %d rows: %v", rows, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), dir, Settings{}); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("schema version %d", newest+1)) {
		t.Errorf("Open of a newer schema: %v", err)
	}
	alter(t, dir, fmt.Sprintf("PRAGMA user_version = %d", newest))
	mustOpen(t, dir, Settings{})
}

func TestGroupCommit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const waiting = 50
		var commits []Commit
		s, err := Open(t.Context(), t.TempDir(), Settings{OnCommit: func(c Commit) { commits = append(commits, c) }})
		if err != nil {
			t.Fatal(err)
		}
		release := make(chan struct{})
		var group sync.WaitGroup
		start := func(name string, size int, fold store.Fold) {
			group.Go(func() {
				if err := keep(s, name, size, fold); err != nil {
					t.Errorf("Append of %s: %v", name, err)
				}
			})
		}
		start("first", 10, func(call store.Call) (store.Revision, error) {
			<-release
			return body(call)
		})
		synctest.Wait()
		for i := range waiting {
			start(fmt.Sprint(i), 10, body)
		}
		synctest.Wait()
		close(release)
		group.Wait()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if len(commits) != 2 || commits[0].Deliveries != 1 || commits[1].Deliveries != waiting || commits[1].Revisions != waiting {
			t.Errorf("commits: %+v", commits)
		}
	})
}

// limitPages makes a disk that is full when the database has grown by a number of pages.
func limitPages(t *testing.T, s *Store, more int) {
	t.Helper()
	var pages int
	if err := s.commits.conn.QueryRowContext(t.Context(), "PRAGMA page_count").Scan(&pages); err != nil {
		t.Fatal(err)
	}
	if _, err := s.commits.conn.ExecContext(t.Context(), fmt.Sprintf("PRAGMA max_page_count = %d", pages+more)); err != nil {
		t.Fatal(err)
	}
}

func TestFullDisk(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		commits := make(chan Commit, 100)
		s, err := Open(t.Context(), t.TempDir(), Settings{OnCommit: func(c Commit) { commits <- c }})
		if err != nil {
			t.Fatal(err)
		}
		mustKeep(t, s, "before")
		<-commits
		limitPages(t, s, 0)
		if err := keep(s, "large", 1<<20, body); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("Append to a full disk: %v", err)
		}
		if err := s.Err(); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("Err: %v", err)
		}
		if _, err := s.Outcome(t.Context(), outcome("before")); err != nil {
			t.Errorf("Outcome: %v", err)
		}
		if _, err := s.Outcome(t.Context(), outcome("large")); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("Outcome of what was not kept: %v", err)
		}
		// The append, and the probes of some seconds.
		for range 4 {
			if c := <-commits; c.Err == nil || c.Deliveries != 0 {
				t.Errorf("commit: %+v", c)
			}
		}
		synctest.Wait()
		limitPages(t, s, 1<<20)
		for c := range commits {
			if c.Err == nil {
				break
			}
		}
		synctest.Wait()
		if err := s.Err(); err != nil {
			t.Errorf("Err after a probe: %v", err)
		}
		// An append is as good as a probe.
		limitPages(t, s, 0)
		if err := keep(s, "large", 1<<20, body); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("Append to a full disk: %v", err)
		}
		limitPages(t, s, 1<<20)
		if err := keep(s, "large", 1<<20, body); err != nil {
			t.Errorf("Append: %v", err)
		}
		if err := s.Err(); err != nil {
			t.Errorf("Err after an append: %v", err)
		}
		page, err := s.Read(t.Context(), store.Cursor{}, store.Filter{}, 10)
		if err != nil || len(page.Entries) != 2 || page.Entries[1].Position != 2 {
			t.Errorf("the log has %d entries: %v", len(page.Entries), err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

func TestOversizedNeighbour(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, err := Open(t.Context(), t.TempDir(), Settings{})
		if err != nil {
			t.Fatal(err)
		}
		limitPages(t, s, 60)
		release := make(chan struct{})
		results := map[string]chan error{}
		start := func(name string, size int, fold store.Fold) {
			result := make(chan error, 1)
			results[name] = result
			go func() { result <- keep(s, name, size, fold) }()
		}
		start("first", 10, func(call store.Call) (store.Revision, error) {
			<-release
			return body(call)
		})
		synctest.Wait()
		for i := range 5 {
			start(fmt.Sprint(i), 10, body)
		}
		start("large", 1<<20, body)
		synctest.Wait()
		close(release)
		for name, result := range results {
			if err := <-result; (name == "large") != errors.Is(err, store.ErrUnavailable) || name != "large" && err != nil {
				t.Errorf("Append of %s: %v", name, err)
			}
		}
		page, err := s.Read(t.Context(), store.Cursor{}, store.Filter{}, 10)
		if err != nil || len(page.Entries) != 6 {
			t.Errorf("the log has %d entries: %v", len(page.Entries), err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

func TestClockGoesBack(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	now := time.Date(2026, 5, 6, 7, 8, 9, 123456789, time.FixedZone("", 3600))
	want := now.Truncate(time.Microsecond).UTC()
	for i := range 4 {
		s := mustOpen(t, dir, Settings{Now: func() time.Time { return now }})
		name := fmt.Sprint(i)
		mustKeep(t, s, name)
		entry, err := s.Outcome(t.Context(), outcome(name))
		if err != nil || !entry.Time.Equal(want) {
			t.Errorf("entry %d is of %v, want %v: %v", i, entry.Time, want, err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		now = now.Add(-time.Hour)
	}
}

// TestLostBeginning deletes the oldest entries behind the store's back.
func TestLostBeginning(t *testing.T) {
	t.Parallel()
	for _, deleted := range []int64{3, 6} {
		dir := t.TempDir()
		s := mustOpen(t, dir, Settings{})
		for i := range 6 {
			mustKeep(t, s, fmt.Sprint(i))
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		alter(t, dir, "DELETE FROM log WHERE position <= ?", deleted)
		if s, err := Open(t.Context(), dir, Settings{}); !errors.Is(err, store.ErrCorrupt) {
			t.Errorf("a log that lost its first %d entries: %v", deleted, err)
			_ = s.Close()
		}
		if _, err := Check(t.Context(), dir, nil); !errors.Is(err, store.ErrCorrupt) {
			t.Errorf("Check: %v", err)
		}
	}
}

// TestVanishedFile takes the files away from under a store.
func TestVanishedFile(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		vanish func(dir string) error
		notice func(s *Store)
	}{
		"deleted, noticed by an append": {os.RemoveAll, func(s *Store) { _ = keep(s, "b", 10, body) }},
		"deleted, noticed in idleness":  {os.RemoveAll, func(*Store) { time.Sleep(2 * probeEvery) }},
		"moved": {
			func(dir string) error { return os.Rename(dir, dir+".old") },
			func(s *Store) { _ = keep(s, "b", 10, body) },
		},
		"replaced": {
			func(dir string) error {
				file := filepath.Join(dir, databaseFile)
				return errors.Join(os.Rename(file, file+".old"), os.WriteFile(file, nil, 0o600))
			},
			func(*Store) { time.Sleep(2 * probeEvery) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				dir := filepath.Join(t.TempDir(), "data")
				s, err := Open(t.Context(), dir, Settings{})
				if err != nil {
					t.Fatal(err)
				}
				mustKeep(t, s, "a")
				if err := test.vanish(dir); err != nil {
					t.Fatal(err)
				}
				test.notice(s)
				for range 2 {
					if err := s.Err(); !errors.Is(err, store.ErrUnavailable) {
						t.Errorf("Err: %v", err)
					}
					if err := keep(s, "c", 10, body); !errors.Is(err, store.ErrUnavailable) {
						t.Errorf("Append: %v", err)
					}
					time.Sleep(2 * probeEvery)
				}
				_ = s.Close() // It may or may not find its files.
			})
		})
	}
}

// TestNoRoomAtOpen lets the probe of Open fail, and the one a second later succeed.
func TestNoRoomAtOpen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		if err := os.MkdirAll(filepath.Join(dir, probeFile, "in the way"), 0o700); err != nil {
			t.Fatal(err)
		}
		s, err := Open(t.Context(), dir, Settings{})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Err(); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("Err: %v", err)
		}
		time.Sleep(2 * probeEvery)
		if err := s.Err(); err != nil {
			t.Errorf("Err after a probe: %v", err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	})
}
