package sqlite

import (
	"context"
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

// journalPages is how long the journal grows before its pages are written home, about 16 MiB.
const journalPages = 4000

// deviceFailed tells whether an error of the database says that a write or a sync has failed. A full disk is no such failure: there
// SQLite knows that nothing was written.
func deviceFailed(err error) bool {
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
	_, err := c.writeHome.ExecContext(ctx)
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
