package sqlite

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"

	"github.com/callnorm/callnorm/internal/store"
)

// Backup writes the store in a directory into one file, which must not exist. The store may be in use: what was acknowledged
// before Backup began is in the file, and appends go on meanwhile. Only the journal grows until it is done, since what it
// holds cannot be forgotten before. After a crash, the store need not have been opened again.
//
// The file gets its name when it is complete and on the disk.
func Backup(ctx context.Context, dir, file string) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("back up the store in %s: %w", dir, err)
		}
	}()
	if file, err = filepath.Abs(file); err != nil {
		return err
	}
	if err := absent(file); err != nil {
		return err
	}
	partial, err := newPartial(file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, partial.discard()) }()
	if err := copyStore(ctx, filepath.Join(dir, databaseFile), partial.name); err != nil {
		return explain(err)
	}
	return partial.publish(file)
}

// copyStore writes a database into an empty file. It opens it for reading only, and leaves its journal to those who write.
func copyStore(ctx context.Context, from, to string) error {
	return withConnection(ctx, from, access("ro"),
		func(conn *sql.Conn) error {
			switch version, err := schemaVersion(ctx, conn, newestVersion()); {
			case err != nil:
				return err
			case version == 0:
				return errors.New("there is no store in it")
			}
			_, err := conn.ExecContext(ctx, "VACUUM INTO ?", to)
			return err
		})
}

// Restore makes a store of what Backup wrote, in a directory that has none. It copies the file and checks every row of the
// copy before it gets its name; what is broken keeps it from being restored.
//
// The store goes on with another log: positions up to the end of the backup mean the same in both, so cursors of the old log
// are good up to there and are refused after it, whatever the new log comes to hold at the same position.
func Restore(ctx context.Context, file, dir string) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("restore %s to %s: %w", file, dir, err)
		}
	}()
	lock, path, err := lockDirectory(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Unlock()) }()
	target := filepath.Join(path, databaseFile)
	// A journal without its database would be taken for the restored one's.
	for _, suffix := range []string{"", "-wal", "-shm", "-journal"} {
		if err := absent(target + suffix); err != nil {
			return err
		}
	}
	partial, err := newPartial(target)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, partial.discard()) }()
	if err := copyFile(ctx, file, partial.name); err != nil {
		return err
	}
	// Nobody else has the copy: it needs no locks and no files beside it.
	alone := access("ro")
	alone.Set("immutable", "1")
	if _, err := check(ctx, partial.name, alone, nil); err != nil {
		return err
	}
	if err := beginLog(ctx, partial.name); err != nil {
		return explain(err)
	}
	return partial.publish(target)
}

// beginLog gives a restored store another log, which continues the one it had.
func beginLog(ctx context.Context, file string) error {
	return withConnection(ctx, file, access("rw", "journal_mode(DELETE)", "synchronous(FULL)"),
		func(conn *sql.Conn) error { return continueLog(ctx, conn) })
}

// continueLog gives a store another log, which goes on where the one it had ends.
func continueLog(ctx context.Context, conn *sql.Conn) error {
	log, former, err := readLogs(ctx, conn)
	if err != nil {
		return err
	}
	var position int64
	if err := conn.QueryRowContext(ctx, "SELECT position FROM head WHERE id = 1").Scan(&position); err != nil {
		return err
	}
	former = binary.BigEndian.AppendUint64(append(former, log...), uint64(position))
	log = make([]byte, len(log))
	rand.Read(log) // never fails
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	for name, value := range map[string][]byte{logName: log, formerName: former} {
		if err := writeMeta(ctx, tx, name, value); err != nil {
			return errors.Join(err, tx.Rollback())
		}
	}
	return tx.Commit()
}

// formerLogs reads up to which position the cursors of former logs are good.
func formerLogs(value []byte) (map[[8]byte]store.Position, bool) {
	logs := map[[8]byte]store.Position{}
	for ; len(value) >= 16; value = value[16:] {
		logs[[8]byte(value)] = store.Position(binary.BigEndian.Uint64(value[8:]))
	}
	return logs, len(value) == 0
}

// withConnection opens a database for the time of a call.
func withConnection(ctx context.Context, file string, query url.Values, do func(*sql.Conn) error) (err error) {
	db, err := sql.Open("sqlite", dsn(file, query))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	return do(conn)
}

func absent(file string) error {
	switch _, err := os.Lstat(file); {
	case err == nil:
		return fmt.Errorf("%s exists already", file)
	case !errors.Is(err, os.ErrNotExist):
		return err
	}
	return nil
}

// partial is a file that gets its name when it is complete.
type partial struct{ name string }

// newPartial creates it beside the file that it is to become. Only the owner may read it.
func newPartial(file string) (partial, error) {
	f, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+".partial-*")
	if err != nil {
		return partial{}, err
	}
	return partial{f.Name()}, f.Close()
}

// publish names the file, which is on the disk then, and its name too.
func (p partial) publish(file string) error {
	if err := syncFile(p.name); err != nil {
		return err
	}
	if err := absent(file); err != nil {
		return err
	}
	if err := os.Rename(p.name, file); err != nil {
		return err
	}
	dir := filepath.Dir(file)
	return errors.Join(syncDirectory(dir), syncDirectory(filepath.Dir(dir)))
}

// discard removes what was not published.
func (p partial) discard() error {
	var errs []error
	for _, suffix := range []string{"", "-journal", "-wal", "-shm"} {
		if err := os.Remove(p.name + suffix); !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func syncFile(file string) error {
	f, err := os.OpenFile(file, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// copyFile fills a file that exists.
func copyFile(ctx context.Context, from, to string) (err error) {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	target, err := os.OpenFile(to, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, target.Close()) }()
	const chunk = 16 << 20
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		if _, err := io.CopyN(target, source, chunk); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}
