package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	codes "modernc.org/sqlite/lib"

	"github.com/callnorm/callnorm/internal/store"
)

// After a failed sync, Linux takes what could not be written for written: the next sync succeeds, and proves nothing about it. What
// is in memory is still right and what is on the disk may not be, until the machine restarts. So the store keeps nothing more once a
// write or a sync has failed. The process has to end without writing the journal home, and who opens the store next writes the journal
// once more, from memory as it is, before he believes a line of it: what was acknowledged is in it, or was synced in the database
// before the journal began anew.

// journalSuffix is what SQLite appends to the name of a database for its journal.
const journalSuffix = "-wal"

// How many pages the journal has, each of 4 KiB.
const (
	// journalPages is from when on they are written home, beside the commits.
	journalPages = 4000
	// journalRest is what may be left after that, so that commits can wait for it. Then the journal begins anew.
	journalRest = 500
	// longestJournal is when commits wait for all of it.
	longestJournal = 2 * journalPages
)

// writeHome takes what no reader needs.
const writeHome = "PRAGMA wal_checkpoint(PASSIVE)"

// deviceFailed tells whether an error of the database says that a write or a sync has failed. A full disk is no such failure: there
// SQLite knows that nothing was written.
func deviceFailed(err error) bool {
	if errors.Is(err, store.ErrDevice) {
		return true
	}
	switch extendedCode(err) {
	case codes.SQLITE_IOERR_WRITE, codes.SQLITE_IOERR_FSYNC, codes.SQLITE_IOERR_DIR_FSYNC, codes.SQLITE_IOERR_TRUNCATE:
		return true
	}
	return false
}

// failed returns an error as it is, unless the device has failed: then the store keeps nothing from here on, and says so.
func (c *committer) failed(err error) error {
	if c.gone != nil || !deviceFailed(err) {
		return err
	}
	c.gone = fmt.Errorf("%w: %w: nothing is kept until the process starts again: %w", store.ErrUnavailable, store.ErrDevice, err)
	c.store.publish(&transaction{}, c.gone)
	if report := c.store.settings.OnFailure; report != nil {
		report(c.gone)
	}
	return c.gone
}

// homeward writes the journal home beside the committer, which goes on meanwhile: most of it takes as long as twenty commits.
type homeward struct {
	db    *sql.DB
	write *sql.Stmt
	// file is the database once more. SQLite does not sync what it has written home as long as the journal grows, and would leave that to
	// the end, which the committer waits for. It stays open as long as the store: closing it would take SQLite's locks along.
	file *os.File
	// done tells how it ended, when it is under way. Otherwise it is nil.
	done chan error
}

func openHomeward(ctx context.Context, file string) (_ *homeward, err error) {
	h := &homeward{}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("open for writing the journal home: %w", err), h.close())
		}
	}()
	if h.file, err = os.Open(file); err != nil {
		return nil, err
	}
	if h.db, err = sql.Open("sqlite", dsn(file, access("rw", "synchronous(FULL)"))); err != nil {
		return nil, err
	}
	h.db.SetMaxOpenConns(1)
	if h.write, err = h.db.PrepareContext(ctx, writeHome); err != nil {
		return nil, err
	}
	return h, nil
}

// begin begins, and returns at once.
func (h *homeward) begin() {
	done := make(chan error, 1)
	h.done = done
	go func() { done <- h.run() }()
}

func (h *homeward) run() error {
	if _, err := h.write.ExecContext(context.Background()); err != nil {
		return err
	}
	if err := h.file.Sync(); err != nil {
		return fmt.Errorf("%w: %w", store.ErrDevice, err)
	}
	return nil
}

// close closes the file last, when nobody in this process has the database open to write any more.
func (h *homeward) close() error {
	var errs []error
	if h.write != nil {
		errs = append(errs, h.write.Close())
	}
	if h.db != nil {
		errs = append(errs, h.db.Close())
	}
	if h.file != nil {
		errs = append(errs, h.file.Close())
	}
	return errors.Join(errs...)
}

// shorten writes the journal home when it is long. SQLite would do that by itself, and keep it to itself when it fails.
func (c *committer) shorten() {
	if c.gone != nil {
		return
	}
	ctx := context.Background()
	// What readers need cannot be written home yet, and a full disk takes nothing: it is tried again after the next commit.
	var busy, pages, written int64
	if err := c.journalLength.QueryRowContext(ctx).Scan(&busy, &pages, &written); err != nil || pages < journalPages || written == pages {
		return
	}
	underWay := c.homeward.done != nil
	switch {
	case pages >= longestJournal, !underWay && pages-written <= journalRest:
		c.arrive()
		_, err := c.writeHome.ExecContext(ctx)
		_ = c.failed(err) // It is published.
	case !underWay:
		c.homeward.begin()
	}
}

// arrive waits for what is on its way home.
func (c *committer) arrive() {
	if c.homeward.done != nil {
		c.arrived(<-c.homeward.done)
	}
}

// arrived takes note of how it ended.
func (c *committer) arrived(err error) {
	c.homeward.done = nil
	_ = c.failed(err) // It is published.
}

// renew writes the journal that was left behind once more, as it is, and syncs it. Nothing may write to the store meanwhile; it does
// not matter who reads.
func renew(journal string) (err error) {
	f, err := os.OpenFile(journal, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	buffer := make([]byte, 1<<20)
	for at := int64(0); ; {
		n, err := f.ReadAt(buffer, at)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if n == 0 {
			break
		}
		if _, err := f.WriteAt(buffer[:n], at); err != nil {
			return fmt.Errorf("%w: %w", store.ErrDevice, err)
		}
		at += int64(n)
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("%w: %w", store.ErrDevice, err)
	}
	return nil
}
