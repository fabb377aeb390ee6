package sqlite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/callnorm/callnorm/internal/store"
)

// breakDevice lets all writes to a file fail that this process has open for writing, by making them go to one that is open for reading.
func breakDevice(t *testing.T, file string) {
	t.Helper()
	reading, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = reading.Close() }()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	broken := 0
	for _, entry := range list {
		fd, err := strconv.Atoi(entry.Name())
		if err != nil {
			t.Fatal(err)
		}
		if name, err := os.Readlink(filepath.Join("/proc/self/fd", entry.Name())); err != nil || name != file || fd == int(reading.Fd()) {
			continue
		}
		if err := syscall.Dup3(int(reading.Fd()), fd, syscall.O_CLOEXEC); err != nil {
			t.Fatal(err)
		}
		broken++
	}
	if broken == 0 {
		t.Fatalf("nobody has %s open", file)
	}
}

// TestFailingDevice lets writes to the journal and to the database fail. The second is noticed by nobody who waits for a commit.
func TestFailingDevice(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		file string
		// acknowledged is whether the append that meets the failure is kept.
		acknowledged bool
	}{
		"journal":  {databaseFile + journalSuffix, false},
		"database": {databaseFile, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			failures := make(chan error, 2)
			s, err := Open(t.Context(), dir, Settings{OnFailure: func(err error) { failures <- err }})
			if err != nil {
				t.Fatal(err)
			}
			mustKeep(t, s, "before")
			breakDevice(t, filepath.Join(dir, test.file))
			// More than the journal holds before it is written home.
			if err := keep(s, "large", 5000*4096, body); (err == nil) != test.acknowledged || err != nil && !errors.Is(err, store.ErrDevice) {
				t.Errorf("Append when the device fails: %v", err)
			}
			if err := <-failures; !errors.Is(err, store.ErrDevice) {
				t.Errorf("OnFailure: %v", err)
			}
			if err := keep(s, "after", 100, body); !errors.Is(err, store.ErrDevice) || !errors.Is(err, store.ErrUnavailable) {
				t.Errorf("Append afterwards: %v", err)
			}
			if err := s.Err(); !errors.Is(err, store.ErrDevice) {
				t.Errorf("Err: %v", err)
			}
			if _, err := s.Outcome(t.Context(), outcome("before")); err != nil {
				t.Errorf("Outcome: %v", err)
			}
			_ = s.Close()
			if len(failures) > 0 {
				t.Errorf("OnFailure once more: %v", <-failures)
			}
			// What was acknowledged is in the journal still, and nothing else is needed.
			if info, err := os.Stat(filepath.Join(dir, databaseFile+journalSuffix)); err != nil || info.Size() == 0 {
				t.Fatalf("the journal was not left behind: %v", err)
			}
			s = mustOpen(t, dir, Settings{})
			if err := s.Err(); err != nil {
				t.Errorf("Err after opening again: %v", err)
			}
			if _, err := s.Outcome(t.Context(), outcome("large")); (err == nil) != test.acknowledged {
				t.Errorf("Outcome of what met the failure: %v", err)
			}
			mustKeep(t, s, "again")
		})
	}
}

// TestJournalIsRenewed opens what a killed process has left behind.
func TestJournalIsRenewed(t *testing.T) {
	t.Parallel()
	dir, left := t.TempDir(), t.TempDir()
	s := mustOpen(t, dir, Settings{})
	const many = 20
	for i := range many {
		if err := keep(s, fmt.Sprint(i), 200<<10, body); err != nil { // more than one read of renew in all
			t.Fatal(err)
		}
	}
	for _, suffix := range []string{"", journalSuffix} {
		bytes, err := os.ReadFile(filepath.Join(dir, databaseFile+suffix))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(left, databaseFile+suffix), bytes, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	journal := filepath.Join(left, databaseFile+journalSuffix)
	before, err := os.ReadFile(journal)
	if err != nil || len(before) < many*200<<10 {
		t.Fatalf("the journal has %d bytes: %v", len(before), err)
	}
	if err := renew(journal); err != nil {
		t.Fatal(err)
	}
	if after, err := os.ReadFile(journal); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the journal is another: %v", err)
	}
	again := mustOpen(t, left, Settings{})
	for i := range many {
		if _, err := again.Outcome(context.Background(), outcome(fmt.Sprint(i))); err != nil {
			t.Errorf("Outcome %d: %v", i, err)
		}
	}
	if err := renew(filepath.Join(left, "no-such-file")); err != nil {
		t.Errorf("a journal that is not there: %v", err)
	}
}

// TestJournalStaysShort writes more than the journal holds.
func TestJournalStaysShort(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := mustOpen(t, dir, Settings{})
	for i := range 100 {
		if err := keep(s, fmt.Sprint(i), 1<<20, body); err != nil {
			t.Fatal(err)
		}
	}
	info, err := os.Stat(filepath.Join(dir, databaseFile+journalSuffix))
	if err != nil || info.Size() > (longestJournal+1000)*4120 {
		t.Errorf("the journal has %d bytes: %v", info.Size(), err)
	}
}
