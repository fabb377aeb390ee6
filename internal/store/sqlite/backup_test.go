package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/callnorm/callnorm/internal/store"
)

// TestBackup backs a store up under load. Its clock stands still, so that entries which the restored log makes again are the
// same to the last bit.
func TestBackup(t *testing.T) {
	t.Parallel()
	settings := Settings{Now: func() time.Time { return time.Unix(1, 0) }}
	original := mustOpen(t, t.TempDir(), settings)
	const before, writers = 100, 8
	name := func(n int) string { return fmt.Sprint("delivery ", n) }
	again := func(s *Store, n int) error {
		_, err := s.Append(context.Background(), store.Delivery{Key: store.NewDeliveryKey(name(n), "", "", "", nil)},
			[]store.Contribution{{Outcome: outcome(name(n)), Body: []byte(name(n))}}, body)
		return err
	}
	for n := range before {
		if err := again(original, n); err != nil {
			t.Fatal(err)
		}
	}
	stop := make(chan struct{})
	var load sync.WaitGroup
	for w := range writers {
		load.Go(func() {
			for n := before + w; ; n += writers {
				if err := again(original, n); err != nil {
					t.Error(err)
				}
				select {
				case <-stop:
					return
				default:
				}
			}
		})
	}
	file := filepath.Join(t.TempDir(), "backup")
	if err := Backup(t.Context(), filepath.Dir(original.lock.Path()), file); err != nil {
		t.Error(err)
	}
	close(stop)
	load.Wait()
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode of the backup: %v, %v", info, err)
	}
	if checked, err := Check(t.Context(), file, nil); err != nil || checked.Deliveries < before {
		t.Errorf("Check: %+v, %v", checked, err)
	}

	dir := filepath.Join(t.TempDir(), "new", "directory")
	if err := Restore(t.Context(), file, dir); err != nil {
		t.Fatal(err)
	}
	restored := mustOpen(t, dir, settings)
	for n := range before {
		if _, err := restored.Delivery(t.Context(), restored.DeliveryID(store.NewDeliveryKey(name(n), "", "", "", nil))); err != nil {
			t.Errorf("delivery %d: %v", n, err)
		}
	}
	cursors := readLog(t, original)
	end, err := restored.Head(t.Context())
	if err != nil || end.Position < before {
		t.Fatalf("the restored log ends at %d: %v", end.Position, err)
	}
	// The restored log makes the same entries, and others behind them.
	same := 0
	for round := range 2 {
		for _, cursor := range cursors {
			resumed, err := restored.Resume(t.Context(), cursor, store.Filter{})
			if known := cursor.Position <= end.Position; known != (err == nil) || !known && !errors.Is(err, store.ErrCursorForeign) ||
				known && resumed.Position != cursor.Position {
				t.Fatalf("round %d, cursor of %d, the backup ends at %d: %+v, %v", round, cursor.Position, end.Position, resumed, err)
			}
		}
		if round == 1 {
			break
		}
		all, err := original.Read(t.Context(), end, store.Filter{}, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range all.Entries {
			var n int
			if _, err := fmt.Sscanf(string(e.Body), "delivery %d", &n); err != nil {
				t.Fatal(err)
			}
			if err := again(restored, n); err != nil {
				t.Fatal(err)
			}
		}
		for n := range 10 {
			mustKeep(t, restored, fmt.Sprint("other ", n))
		}
		for i, cursor := range readLog(t, restored) {
			if i < len(cursors) && cursor.Check == cursors[i].Check {
				same++
			}
			if _, err := restored.Resume(t.Context(), cursor, store.Filter{}); err != nil {
				t.Errorf("Resume of the restored log's own cursor: %v", err)
			}
		}
	}
	if same != len(cursors) {
		t.Errorf("%d of %d entries have the same check value: the test proves nothing about the others", same, len(cursors))
	}
	// A backup of what was restored knows the cursors of both.
	second := filepath.Join(t.TempDir(), "second")
	if err := Backup(t.Context(), dir, second); err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	if err := Restore(t.Context(), second, dir); err != nil {
		t.Fatal(err)
	}
	third := mustOpen(t, dir, settings)
	if resumed, err := third.Resume(t.Context(), cursors[before-1], store.Filter{}); err != nil || resumed.Position != before {
		t.Errorf("Resume of a cursor of the first log: %+v, %v", resumed, err)
	}
	own := readLog(t, restored)
	if resumed, err := third.Resume(t.Context(), own[len(own)-1], store.Filter{}); err != nil || int(resumed.Position) != len(own) {
		t.Errorf("Resume of a cursor of the second log: %+v, %v", resumed, err)
	}
}

// readLog returns the cursors of all entries.
func readLog(t *testing.T, s *Store) (cursors []store.Cursor) {
	t.Helper()
	for after := (store.Cursor{}); ; {
		page, err := s.Read(t.Context(), after, store.Filter{}, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range page.Entries {
			cursors = append(cursors, e.Cursor)
		}
		if after = page.Next; page.End {
			return cursors
		}
	}
}

// copyFiles copies a database and what is beside it.
func copyFiles(t *testing.T, from, to string, suffixes ...string) {
	t.Helper()
	for _, suffix := range suffixes {
		data, err := os.ReadFile(filepath.Join(from, databaseFile+suffix))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(to, databaseFile+suffix), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestBackupAfterCrash backs up what a process leaves that had no time to close: nothing but the journal holds what was kept.
func TestBackupAfterCrash(t *testing.T) {
	t.Parallel()
	for name, left := range map[string][]string{
		"of the process": {"", "-wal", "-shm"}, "of the machine": {"", "-wal"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			running, crashed := t.TempDir(), t.TempDir()
			s := mustOpen(t, running, Settings{})
			for i := range 10 {
				mustKeep(t, s, fmt.Sprint(i))
			}
			copyFiles(t, running, crashed, left...)
			if checked, err := Check(t.Context(), crashed, nil); err != nil || checked.Deliveries != 10 {
				t.Errorf("Check: %+v, %v", checked, err)
			}
			file, restored := filepath.Join(t.TempDir(), "backup"), t.TempDir()
			if err := Backup(t.Context(), crashed, file); err != nil {
				t.Fatal(err)
			}
			if err := Restore(t.Context(), file, restored); err != nil {
				t.Fatal(err)
			}
			if got := len(readLog(t, mustOpen(t, restored, Settings{}))); got != 10 {
				t.Errorf("the backup has %d entries", got)
			}
			// It has left the journal to the store.
			if got := len(readLog(t, mustOpen(t, crashed, Settings{}))); got != 10 {
				t.Errorf("the store has %d entries", got)
			}
		})
	}
}

func TestBackupRefused(t *testing.T) {
	t.Parallel()
	source := t.TempDir()
	mustKeep(t, mustOpen(t, source, Settings{}), "a")
	for name, test := range map[string]struct {
		prepare func(dir string) error
		from    string
		want    string
	}{
		"the file exists": {
			func(dir string) error { return os.WriteFile(filepath.Join(dir, "backup"), []byte("other"), 0o600) },
			source, "exists already",
		},
		"no such directory": {func(string) error { return nil }, filepath.Join(source, "nothing"), "unable to open"},
		"no store":          {func(string) error { return nil }, t.TempDir(), "unable to open"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if err := test.prepare(dir); err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(dir, "backup")
			was, _ := os.ReadFile(file)
			if err := Backup(t.Context(), test.from, file); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("Backup: %v", err)
			}
			if is, _ := os.ReadFile(file); string(is) != string(was) {
				t.Error("the file was changed")
			}
			if entries, _ := os.ReadDir(dir); len(entries) > 1 || len(was) == 0 && len(entries) > 0 {
				t.Errorf("left behind: %v", entries)
			}
		})
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	dir := t.TempDir()
	if err := Backup(ended, source, filepath.Join(dir, "backup")); !errors.Is(err, context.Canceled) {
		t.Errorf("Backup with an ended context: %v", err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) > 0 {
		t.Errorf("left behind: %v", entries)
	}
}

func TestRestoreRefused(t *testing.T) {
	t.Parallel()
	source := t.TempDir()
	s := mustOpen(t, source, Settings{})
	for i := range 50 {
		mustKeep(t, s, fmt.Sprint(i))
	}
	file := filepath.Join(t.TempDir(), "backup")
	if err := Backup(t.Context(), source, file); err != nil {
		t.Fatal(err)
	}
	backup, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	in := func(name string) func(*testing.T, string, string) {
		return func(t *testing.T, _, dir string) {
			t.Helper()
			if err := os.WriteFile(filepath.Join(dir, name), []byte("something"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	becomes := func(backup []byte) func(*testing.T, string, string) {
		return func(t *testing.T, file, _ string) {
			t.Helper()
			if err := os.WriteFile(file, backup, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	altered := func(query string) func(*testing.T, string, string) {
		return func(t *testing.T, file, _ string) {
			t.Helper()
			dir := t.TempDir()
			if err := errors.Join(os.Rename(file, filepath.Join(dir, databaseFile))); err != nil {
				t.Fatal(err)
			}
			alter(t, dir, query)
			if err := os.Rename(filepath.Join(dir, databaseFile), file); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, test := range map[string]struct {
		prepare func(t *testing.T, file, dir string)
		want    string
	}{
		"a store":           {in(databaseFile), "exists already"},
		"a journal":         {in(databaseFile + "-wal"), "exists already"},
		"an old journal":    {in(databaseFile + "-journal"), "exists already"},
		"no backup":         {func(t *testing.T, file, _ string) { t.Helper(); _ = os.Remove(file) }, "no such file"},
		"an empty backup":   {becomes(nil), "no store"},
		"another file":      {becomes([]byte(strings.Repeat("text ", 10000))), "not a database"},
		"half of a backup":  {becomes(backup[:len(backup)/2/8192*8192]), store.ErrCorrupt.Error()},
		"a changed row":     {altered("UPDATE deliveries SET body = x'00' WHERE seq = 7"), "deliveries 7"},
		"a missing row":     {altered("DELETE FROM log WHERE position = 7"), "log 7"},
		"a missing head":    {altered("DELETE FROM head"), "head 1"},
		"a missing key":     {altered("DELETE FROM meta WHERE name = 'delivery_id_key'"), "delivery_id_key"},
		"a newer program's": {altered("PRAGMA user_version = 99"), "schema version 99"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file, dir := filepath.Join(t.TempDir(), "backup"), t.TempDir()
			if err := os.WriteFile(file, backup, 0o600); err != nil {
				t.Fatal(err)
			}
			test.prepare(t, file, dir)
			if err := Restore(t.Context(), file, dir); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("Restore: %v", err)
			}
			entries, err := os.ReadDir(dir)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range entries {
				if strings.Contains(e.Name(), "partial") {
					t.Errorf("left behind: %v", e)
				}
			}
		})
	}
	if err := Restore(t.Context(), file, source); !errors.Is(err, store.ErrLocked) {
		t.Errorf("Restore to a store in use: %v", err)
	}
	// A copy of the closed file is as good as a backup.
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := Restore(t.Context(), filepath.Join(source, databaseFile), dir); err != nil {
		t.Fatal(err)
	}
	if got := len(readLog(t, mustOpen(t, dir, Settings{}))); got != 50 {
		t.Errorf("the restored log has %d entries", got)
	}
}

// TestCheck breaks one thing at a time.
func TestCheck(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change string
		want   []string // what the errors begin with
	}{
		"nothing":                      {"", nil},
		"delivery":                     {"UPDATE deliveries SET state = 9 WHERE seq = 2", []string{"deliveries 2"}},
		"delivery that waits no more":  {"UPDATE deliveries SET waiting = 0 WHERE seq = 2", []string{"deliveries 2"}},
		"missing delivery":             {"DELETE FROM deliveries WHERE seq = 2", []string{"deliveries 2"}},
		"missing last delivery":        {"DELETE FROM deliveries WHERE seq = 4", []string{"deliveries 4"}},
		"delivery that is not found":   {"DELETE FROM delivery_ids WHERE seq = 2", []string{"deliveries 2", "contributions 2"}},
		"deliveries exchanged":         {"UPDATE delivery_ids SET seq = 3 - seq WHERE seq < 3", []string{"deliveries 1", "deliveries 2"}},
		"contribution":                 {"UPDATE contributions SET body = x'00' WHERE id = 2", []string{"contributions 2"}},
		"contribution of another type": {"UPDATE contributions SET item = 'secret' WHERE id = 2", []string{"contributions: a row"}},
		"missing contribution":         {"DELETE FROM contributions WHERE id = 2", []string{"deliveries 2", "contributions 2"}},
		"contribution that counts":     {"UPDATE contributions SET encoding = 0 WHERE encoding = 2", []string{"contributions 4"}},
		"outcome":                      {"UPDATE outcomes SET position = 0 WHERE position = 2", []string{"outcomes"}},
		"missing outcome":              {"DELETE FROM outcomes WHERE position = 2", []string{"log 2", "external_ids 2"}},
		"entry":                        {"UPDATE log SET source = 'x' WHERE position = 2", []string{"log 2"}},
		"missing entry":                {"DELETE FROM log WHERE position = 2", []string{"log 2", "outcomes"}},
		"missing last entry":           {"DELETE FROM log WHERE position = 5", []string{"head 1", "outcomes"}},
		"external id":                  {"UPDATE external_ids SET id = 'y' WHERE first_position = 2", []string{"outcomes", "external_ids 2"}},
		"head":                         {"UPDATE head SET time = time + 1", []string{"head 1"}},
		"log's name":                   {"UPDATE meta SET value = x'00' WHERE name = 'log_id'", []string{"meta log_id"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			s := mustOpen(t, dir, Settings{})
			for _, name := range []string{"a", "b", "c"} {
				_, err := s.Append(t.Context(), store.Delivery{Key: store.NewDeliveryKey(name, "", "", "", nil), Waiting: true},
					[]store.Contribution{{Outcome: outcome(name), Body: []byte(name)}}, body)
				if err != nil {
					t.Fatal(err)
				}
			}
			mustKeep(t, s, "d")
			id := s.DeliveryID(store.NewDeliveryKey("d", "", "", "", nil))
			if _, err := s.Renormalize(t.Context(), id, store.Understanding{
				Contributions: []store.Contribution{{Outcome: outcome("d"), Body: []byte("anew")}},
			}, body); err != nil {
				t.Fatal(err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if test.change != "" {
				alter(t, dir, test.change)
			}
			var got []string
			checked, err := Check(t.Context(), dir, func(err error) {
				if !errors.Is(err, store.ErrCorrupt) || strings.Contains(err.Error(), "secret") {
					t.Errorf("report: %v", err)
				}
				got = append(got, strings.TrimPrefix(err.Error(), store.ErrCorrupt.Error()+": "))
			})
			if errors.Is(err, store.ErrCorrupt) != (len(test.want) > 0) || int(checked.Broken) != len(got) {
				t.Errorf("Check: %+v, %v", checked, err)
			}
			if test.change == "" && checked != (Checked{Deliveries: 4, Contributions: 5, Outcomes: 4, Entries: 5}) {
				t.Errorf("Check has looked at %+v", checked)
			}
			for i := range max(len(got), len(test.want)) {
				if i >= len(got) || i >= len(test.want) || !strings.HasPrefix(got[i], test.want[i]) {
					t.Errorf("reported: %q, want %q", got, test.want)
					break
				}
			}
		})
	}
}
