package sqlite

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/callnorm/callnorm/internal/store"
)

// written is a store that was killed, with a journal that holds its end.
func written(t *testing.T) (dir string, before, end store.Cursor) {
	t.Helper()
	dir = t.TempDir()
	s := mustOpen(t, dir, Settings{})
	head := func() store.Cursor {
		cursor, err := s.Head(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return cursor
	}
	for n := range 10 {
		mustKeep(t, s, fmt.Sprint("before ", n))
	}
	before = head()
	if err := s.Scrub(t.Context()); err != nil { // which empties the journal
		t.Fatal(err)
	}
	for n := range 10 {
		mustKeep(t, s, fmt.Sprint("after ", n))
	}
	killed := t.TempDir()
	copyFiles(t, dir, killed, "", "-wal")
	mark, err := os.ReadFile(filepath.Join(dir, markFile))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(killed, markFile), mark, 0o600); err != nil {
		t.Fatal(err)
	}
	return killed, before, head()
}

func TestALostTailIsNoticed(t *testing.T) {
	t.Parallel()
	dir, before, end := written(t)
	if err := os.Remove(filepath.Join(dir, databaseFile+"-wal")); err != nil {
		t.Fatal(err)
	}
	want := LossError{Marked: end.Position, Kept: before.Position}
	if loss := FindLoss(t.Context(), dir); loss == nil || *loss != want {
		t.Errorf("FindLoss: %+v, want %+v", loss, want)
	}
	s := mustOpen(t, dir, Settings{})
	if loss, ok := errors.AsType[*LossError](s.Lost()); !ok || *loss != want {
		t.Errorf("Lost: %v, want %+v", s.Lost(), want)
	}
	for n := range 20 {
		mustKeep(t, s, fmt.Sprint("anew ", n)) // It takes more, and comes past where it was.
	}
	for cursor, foreign := range map[store.Cursor]bool{before: false, end: true} {
		if _, err := s.Resume(t.Context(), cursor, store.Filter{}); errors.Is(err, store.ErrCursorForeign) != foreign || err != nil && !foreign {
			t.Errorf("Resume at %d: %v", cursor.Position, err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s = mustOpen(t, dir, Settings{}); s.Lost() != nil {
		t.Errorf("the next time: %v", s.Lost())
	}
}

func TestWhatIsWholeHasLostNothing(t *testing.T) {
	t.Parallel()
	dir, _, end := written(t)
	for range 2 {
		s := mustOpen(t, dir, Settings{})
		if _, err := s.Resume(t.Context(), end, store.Filter{}); err != nil || s.Lost() != nil || s.log != end.Log {
			t.Errorf("%v, %v", err, s.Lost())
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	// A mark that is older, damaged or not there tells nothing.
	for _, mark := range []func(store.Cursor) store.Cursor{
		func(c store.Cursor) store.Cursor { c.Position--; return c },
		func(store.Cursor) store.Cursor { return store.Cursor{} },
	} {
		m, err := openMarker(dir)
		if err != nil {
			t.Fatal(err)
		}
		m.write(mark(end))
		if err := m.close(); err != nil {
			t.Fatal(err)
		}
		if loss := FindLoss(t.Context(), dir); loss != nil {
			t.Errorf("an older mark: %v", loss)
		}
	}
	for _, raw := range [][]byte{nil, make([]byte, markSize), make([]byte, 7)} {
		if err := os.WriteFile(filepath.Join(dir, markFile), raw, 0o600); err != nil {
			t.Fatal(err)
		}
		if loss := FindLoss(t.Context(), dir); loss != nil {
			t.Errorf("no mark: %v", loss)
		}
	}
}

func TestAnotherDatabaseIsNoticedUnlessItWasRestored(t *testing.T) {
	t.Parallel()
	dir, _, end := written(t)
	backup := filepath.Join(t.TempDir(), "backup")
	if err := Backup(t.Context(), dir, backup); err != nil {
		t.Fatal(err)
	}
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(filepath.Join(dir, databaseFile+suffix)); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
	}
	fresh := t.TempDir()
	if err := os.CopyFS(fresh, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	if loss, ok := errors.AsType[*LossError](mustOpen(t, fresh, Settings{}).Lost()); !ok || !loss.Another || loss.Marked != end.Position {
		t.Errorf("a new database: %+v", loss)
	}
	if err := Restore(t.Context(), backup, dir); err != nil {
		t.Fatal(err)
	}
	if s := mustOpen(t, dir, Settings{}); s.Lost() != nil {
		t.Errorf("a restored one: %v", s.Lost())
	}
}
