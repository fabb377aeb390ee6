package rejection

import (
	"context"
	"crypto/rand"
	"database/sql"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"time"

	driver "modernc.org/sqlite"
	codes "modernc.org/sqlite/lib"
)

//go:embed schema.sql
var schema string

// schemaVersion is the one that schema makes.
const schemaVersion = 1

// errUnreadable says that a file is no database of this program, or not any more.
var errUnreadable = errors.New("cannot be read as rejections")

// database is the file, with what was in it when it was opened.
type database struct {
	*sql.DB
	file    string
	tallies []*tally
	// fingerprints is the key of fingerprints.
	fingerprints []byte
	// last is the greatest number that was given.
	last int64
}

// openDatabase opens or creates the database. One that cannot be read is moved aside. The key is that of a database which is
// begun; a random one when nil.
func openDatabase(ctx context.Context, file string, key []byte, now time.Time, log *slog.Logger) (*database, error) {
	d, err := loadDatabase(ctx, file, key)
	if ctx.Err() != nil || !errors.Is(err, errUnreadable) && !damaged(err) {
		return d, err
	}
	aside, moveErr := moveAside(file, now)
	if moveErr != nil {
		return nil, errors.Join(err, moveErr)
	}
	log.ErrorContext(ctx, "rejections cannot be read: they were moved aside, new ones are begun", "file", aside, "error", err)
	return loadDatabase(ctx, file, key)
}

// damaged tells whether an error of the database says that the file is broken, and not that it cannot be used just now.
func damaged(err error) bool {
	failure, ok := errors.AsType[*driver.Error](err)
	if !ok {
		return false
	}
	switch failure.Code() {
	case codes.SQLITE_IOERR_READ, codes.SQLITE_IOERR_SHORT_READ, codes.SQLITE_IOERR_CORRUPTFS, codes.SQLITE_IOERR_DATA:
		return true
	}
	primary := failure.Code() & 0xff
	return primary == codes.SQLITE_CORRUPT || primary == codes.SQLITE_NOTADB
}

// moveAside renames the database and what SQLite has put beside it, so that any tool of SQLite still finds them together.
func moveAside(file string, now time.Time) (string, error) {
	aside := file + ".corrupt-" + now.UTC().Format("20060102T150405.000000Z")
	for _, suffix := range []string{"-shm", "-wal", ""} {
		if err := os.Rename(file+suffix, aside+suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("move aside: %w", err)
		}
	}
	return aside, nil
}

func loadDatabase(ctx context.Context, file string, key []byte) (_ *database, err error) {
	if err := create(file); err != nil {
		return nil, err
	}
	// Free pages can only be given back when that is said before the first page is written. One connection serves all:
	// one goroutine asks.
	dsn := url.URL{Scheme: "file", OmitHost: true, Path: filepath.ToSlash(file), RawQuery: url.Values{"_pragma": {
		"auto_vacuum(INCREMENTAL)", "journal_mode(WAL)", "synchronous(NORMAL)", "secure_delete(ON)", "busy_timeout(10000)",
		"journal_size_limit(4194304)", "cache_size(-8192)", "temp_store(MEMORY)",
	}, "_txlock": {"immediate"}}.Encode()}
	db, err := sql.Open("sqlite", dsn.String())
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	db.SetMaxOpenConns(1)
	defer func() {
		if err != nil {
			err = errors.Join(err, db.Close())
		}
	}()
	d := &database{DB: db, file: file}
	if err := d.load(ctx, key); err != nil {
		if failure, ok := errors.AsType[*driver.Error](err); ok && failure.Code()&0xff == codes.SQLITE_ERROR {
			err = fmt.Errorf("%w: %w", errUnreadable, err) // tables or columns are missing
		}
		return nil, err
	}
	return d, nil
}

// create makes sure that there is a file which its owner may read and nobody else.
func create(file string) error {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		if info, statErr := os.Lstat(file); errors.Is(err, fs.ErrPermission) || statErr == nil && info.IsDir() {
			return fmt.Errorf("%w: %w", errUnreadable, err)
		}
		return err
	}
	return errors.Join(f.Chmod(0o600), f.Close())
}

func (d *database) load(ctx context.Context, key []byte) error {
	var version int
	if err := d.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return fmt.Errorf("read schema version: %w", err)
	}
	switch version {
	case 0:
		if err := d.begin(ctx, key); err != nil {
			return err
		}
	case schemaVersion:
	default:
		return fmt.Errorf("%w: schema version %d, this program knows %d", errUnreadable, version, schemaVersion)
	}
	if err := d.QueryRowContext(ctx, "SELECT value FROM meta WHERE name = 'fingerprints'").Scan(&d.fingerprints); err != nil {
		if errors.Is(err, sql.ErrNoRows) {
			err = errUnreadable
		}
		return fmt.Errorf("read key of fingerprints: %w", err)
	}
	return d.loadTallies(ctx)
}

// begin makes an empty database, in one transaction.
func (d *database) begin(ctx context.Context, key []byte) error {
	if key == nil {
		key = make([]byte, 32)
		rand.Read(key) // never fails
	}
	return d.transact(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, schema); err != nil {
			return fmt.Errorf("create tables: %w", err)
		}
		if _, err := tx.ExecContext(ctx, "INSERT INTO meta (name, value) VALUES ('fingerprints', ?)", key); err != nil {
			return fmt.Errorf("write key of fingerprints: %w", err)
		}
		_, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", schemaVersion))
		return err
	})
}

// loadTallies reads the summaries, and counts what is kept beside them.
func (d *database) loadTallies(ctx context.Context) error {
	found := map[string]*tally{}
	usages := map[string]*usage{}
	err := d.each(ctx, "SELECT name, accepted, refused, dropped, unheld, evicted, last_accept, last_refusal, streak_begin, "+
		"streak_count, causes, matches FROM sources", func(scan func(...any) error) error {
		var source string
		var s snapshot
		var u usage
		var causes, matches []byte
		if err := scan(&source, &s.accepted, &s.refused, &s.dropped, &s.unheld, &u.evicted, &s.lastAccept, &s.lastRefusal,
			&s.streakBegin, &s.streakCount, &causes, &matches); err != nil {
			return err
		}
		if err := errors.Join(json.Unmarshal(causes, &s.causes), json.Unmarshal(matches, &s.matches)); err != nil ||
			s.causes == nil {
			return errUnreadable
		}
		found[source], usages[source] = s.restore(source), &u
		return nil
	})
	if err != nil {
		return fmt.Errorf("read summaries: %w", err)
	}
	err = d.each(ctx, "SELECT source, COUNT(*), MAX(seq) FROM rejections GROUP BY source", func(scan func(...any) error) error {
		var source string
		var count, last int64
		if err := scan(&source, &count, &last); err != nil {
			return err
		}
		if usages[source] == nil {
			return errUnreadable
		}
		usages[source].rejections, d.last = count, max(d.last, last)
		return nil
	})
	if err != nil {
		return fmt.Errorf("count rejections: %w", err)
	}
	err = d.each(ctx, "SELECT source, COUNT(*), SUM(bytes), MAX(seq) FROM held GROUP BY source",
		func(scan func(...any) error) error {
			var source string
			var count, bytes, last int64
			if err := scan(&source, &count, &bytes, &last); err != nil {
				return err
			}
			if usages[source] == nil {
				return errUnreadable
			}
			usages[source].requests, usages[source].bytes, d.last = count, bytes, max(d.last, last)
			return nil
		})
	if err != nil {
		return fmt.Errorf("count held requests: %w", err)
	}
	for source, t := range found {
		t.usage.Store(usages[source])
		d.tallies = append(d.tallies, t)
	}
	return nil
}

// each calls row for each row of a query. What cannot be scanned was not written by this program.
func (d *database) each(ctx context.Context, query string, row func(scan func(...any) error) error, args ...any) (err error) {
	rows, err := d.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		if err := row(rows.Scan); err != nil {
			return fmt.Errorf("%w: %w", errUnreadable, err)
		}
	}
	return rows.Err()
}

// transact runs a transaction.
func (d *database) transact(ctx context.Context, body func(*sql.Tx) error) error {
	tx, err := d.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	if err := body(tx); err != nil {
		_ = tx.Rollback() // The reason is the error that led here.
		return err
	}
	if err := tx.Commit(); err != nil {
		_ = tx.Rollback()
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// spare is how many free pages, of 4 KiB, are left to be used again. giveBack is how many of the others go back at once, which
// bounds how long that takes.
const (
	spare    = 1024
	giveBack = 4096
)

// shrink gives free pages back to the file system.
func (d *database) shrink(ctx context.Context) error {
	var free int
	if err := d.QueryRowContext(ctx, "PRAGMA freelist_count").Scan(&free); err != nil {
		return fmt.Errorf("count free pages: %w", err)
	}
	if free <= spare {
		return nil
	}
	_, err := d.ExecContext(ctx, fmt.Sprintf("PRAGMA incremental_vacuum(%d)", min(free-spare, giveBack)))
	return err
}

// close ends the connection. The journal is written home first, so that nothing that was deleted is left in it.
func (d *database) close(ctx context.Context) error {
	_, err := d.ExecContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)")
	return errors.Join(err, d.Close())
}
