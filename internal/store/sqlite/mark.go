package sqlite

import (
	"context"
	"database/sql"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"

	"github.com/callnorm/callnorm/internal/store"
)

// markFile tells how far the log has come, beside the database. A database that loses its journal, or is replaced by an older copy, is
// as good as new: nothing in it tells that there was more. Cursors do, and so does this, where nobody reads.
//
// It is written after each commit that moves the log, and never synced: after a power cut it may be of an older time, but it speaks of
// nothing that was not on the disk before it. So it is never ahead of a store that has lost nothing.
const markFile = "callnorm.mark"

// LossError says that the end of a log is missing, which was acknowledged.
type LossError struct {
	// Marked is how far the log had come, Kept how far it goes now.
	Marked, Kept store.Position
	// Another tells that the database is another one than the one that was there.
	Another bool
}

// Error tells what is lost, and what that means.
func (l *LossError) Error() string {
	if l.Another {
		return fmt.Sprintf("%s is another one than the one that was here, whose log had come to position %d: all that was in that one is missing",
			databaseFile, l.Marked)
	}
	return fmt.Sprintf("the end of what was kept is missing: the log had come to position %d and ends at %d", l.Marked, l.Kept)
}

const markSize = 8 + 8 + 4 + 4

// marker writes the file.
type marker struct{ file *os.File }

func openMarker(dir string) (marker, error) {
	file, err := os.OpenFile(filepath.Join(dir, markFile), os.O_CREATE|os.O_RDWR, 0o600)
	return marker{file}, err
}

// write marks the end of a log that is on the disk. A mark that cannot be written keeps nobody from anything.
func (m marker) write(head store.Cursor) {
	raw := make([]byte, 0, markSize)
	raw = append(raw, head.Log[:]...)
	raw = binary.BigEndian.AppendUint64(raw, uint64(head.Position))
	raw = binary.BigEndian.AppendUint32(raw, head.Check)
	raw = binary.BigEndian.AppendUint32(raw, uint32(newChecksum(markFile).bytes(raw)))
	_, _ = m.file.WriteAt(raw, 0)
}

func (m marker) close() error {
	if m.file == nil {
		return nil
	}
	return m.file.Close()
}

// readMark returns the mark in a directory, if there is one that is whole.
func readMark(dir string) (mark store.Cursor, ok bool) {
	raw, err := os.ReadFile(filepath.Join(dir, markFile))
	if err != nil || len(raw) != markSize {
		return store.Cursor{}, false
	}
	said := raw[:markSize-4]
	if binary.BigEndian.Uint32(raw[markSize-4:]) != uint32(newChecksum(markFile).bytes(said)) {
		return store.Cursor{}, false
	}
	return store.Cursor{
		Log: [8]byte(said), Position: store.Position(binary.BigEndian.Uint64(said[8:])), Check: binary.BigEndian.Uint32(said[16:]),
	}, true
}

// FindLoss compares the log in a directory with its mark. It returns nil when nothing is missing, or nobody can tell.
func FindLoss(ctx context.Context, dir string) *LossError {
	// The log may grow meanwhile: read first, the mark is not ahead of it.
	mark, ok := readMark(dir)
	if !ok {
		return nil
	}
	loss := &LossError{Marked: mark.Position}
	err := withConnection(ctx, filepath.Join(dir, databaseFile), access("ro"), func(conn *sql.Conn) error {
		switch version, err := schemaVersion(ctx, conn, newestVersion()); {
		case err != nil:
			return err
		case version == 0:
			loss.Another = true
			return nil
		}
		log, former, err := readLogs(ctx, conn)
		if err != nil {
			return err
		}
		logs, _ := formerLogs(former)
		if _, restored := logs[mark.Log]; restored {
			loss = nil // It was replaced on purpose, by what goes on with its log.
			return nil
		}
		var h headRow
		var stored int64
		if err := conn.QueryRowContext(ctx, "SELECT position, entry, time, delivery, contribution, checksum FROM head WHERE id = 1").
			Scan(&h.position, &h.entry, &h.time, &h.delivery, &h.contribution, &stored); err != nil {
			return err
		}
		switch loss.Kept = store.Position(h.position); {
		case string(log) != string(mark.Log[:]):
			loss.Another = true
		case loss.Kept > loss.Marked, loss.Kept == loss.Marked && uint32(h.entry) == mark.Check:
			loss = nil
		}
		return nil
	})
	// Whoever opens what cannot be read is told why.
	if told := err == nil && loss != nil && loss.Marked > 0; told {
		return loss
	}
	return nil
}

// noticeLoss finds out whether the end of the log is missing. Then the log goes on as another one, as after a restored backup: what was
// handed out behind its end is refused, whatever comes to stand there.
func noticeLoss(ctx context.Context, dir string) (*LossError, error) {
	loss := FindLoss(ctx, dir)
	if loss == nil || loss.Another {
		return loss, nil
	}
	return loss, withConnection(ctx, filepath.Join(dir, databaseFile), access("rw", "synchronous(FULL)"),
		func(conn *sql.Conn) error { return continueLog(ctx, conn) })
}

// Lost returns what was missing when the store was opened, or nil.
func (s *Store) Lost() error {
	if s.lost == nil {
		return nil
	}
	return s.lost
}
