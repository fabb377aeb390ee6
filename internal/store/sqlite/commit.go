package sqlite

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/callnorm/callnorm/internal/store"
	"github.com/callnorm/callnorm/internal/store/sqlite/vfs"
)

// Bounds of a group, the requests that share a transaction. The last request of a group may exceed the second.
const (
	maxGroup      = 256
	maxGroupBytes = 16 << 20
)

// probeEvery is how often a store looks whether its file is still there, and one that cannot write whether it can again.
const probeEvery = time.Second

// probeSize is the room that a probe takes, in bytes.
const probeSize = 1 << 16

// updateOutcome takes the values of an outcome's row.
var updateOutcome = "UPDATE outcomes SET " + strings.ReplaceAll(strings.TrimPrefix(outcomeColumns, "id, "), ", ", " = ?, ") + " = ? WHERE id = ?" //nolint:gosec // the columns are our own

// committer is all that writes: one goroutine with one connection, but for what homeward takes from the journal to its place.
type committer struct {
	store *Store
	// requests has no room: what was not taken was not begun, and nobody needs to answer it.
	requests chan *request
	// removals are requests that remove something, each in a transaction of its own: between two of them there is room for all others.
	removals chan *request
	// done is closed when run has returned.
	done chan struct{}

	// file is the database by its name, opened what was there when it was opened. gone says that it no longer is.
	file   string
	opened os.FileInfo
	gone   error

	db       *sql.DB
	conn     *sql.Conn
	homeward *homeward
	// writes are the statements below, queries has its own.
	writes statements
	*queries

	begin, commit, rollback                                  *sql.Stmt
	putDeliveryID, insertDelivery, insertContribution        *sql.Stmt
	updateDelivery, supersede                                *sql.Stmt
	insertOutcome, updateOutcome, insertEntry, updateHead    *sql.Stmt
	indexCalls                                               *sql.Stmt
	insertExternalID, deleteExternalID, putProbe, clearProbe *sql.Stmt
	insertAddress, deleteAddress, addUsage                   *sql.Stmt
	removeDelivery, removeContribution, removeOutcome        *sql.Stmt
	blankEntry, putHorizon, putSubscription                  *sql.Stmt
	journalLength, writeHome                                 *sql.Stmt
}

// openCommitter opens the connection that writes, brings the schema up to date and reads the names and keys of the store.
func openCommitter(ctx context.Context, file string, s *Store) (_ *committer, err error) {
	c := &committer{store: s, requests: make(chan *request), removals: make(chan *request), done: make(chan struct{}), file: file}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.close(ctx))
		}
	}()
	// Pages have the 4096 bytes that SQLite gives them: a delivery changes a handful of rows in places of their own, and each takes
	// its page along. The journal grows to about 16 MiB before its pages are written home, which spares most of the writes to pages
	// that many deliveries touch: see shorten. What is deleted is overwritten.
	query := access("rwc", "journal_mode(WAL)", "synchronous(FULL)",
		"wal_autocheckpoint(0)", "journal_size_limit(67108864)", "cache_size(-16384)", "temp_store(MEMORY)", "secure_delete(1)")
	if err := vfs.Register(); err != nil {
		return nil, fmt.Errorf("open for writing: %w", err)
	}
	query.Set("vfs", vfs.Name)
	if c.db, err = sql.Open("sqlite", dsn(file, query)); err != nil {
		return nil, fmt.Errorf("open for writing: %w", err)
	}
	c.db.SetMaxOpenConns(1)
	if c.conn, err = c.db.Conn(ctx); err != nil {
		return nil, fmt.Errorf("open for writing: %w", err)
	}
	if c.opened, err = os.Stat(file); err != nil {
		return nil, err
	}
	if err := migrate(ctx, c.conn, migrations(s)); err != nil {
		return nil, err
	}
	// From here on transactions are bounded, and what one writes goes to the journal when it is committed, not before.
	if _, err := c.conn.ExecContext(ctx, "PRAGMA cache_spill = OFF"); err != nil {
		return nil, fmt.Errorf("open for writing: %w", err)
	}
	if err := c.prepareWrites(ctx); err != nil {
		return nil, err
	}
	if c.homeward, err = openHomeward(ctx, file); err != nil {
		return nil, err
	}
	if s.key, err = c.meta(ctx, deliveryIDName, 32); err != nil {
		return nil, err
	}
	if s.addressKey, err = c.meta(ctx, addressName, addressKeySize); err != nil {
		return nil, err
	}
	if _, err := c.meta(ctx, logName, len(s.log)); err != nil {
		return nil, err
	}
	log, former, err := readLogs(ctx, c.conn)
	if err != nil {
		return nil, err
	}
	s.log = [8]byte(log)
	var ok bool
	if s.former, ok = formerLogs(former); !ok {
		return nil, corrupt("meta", formerName, "value has another length")
	}
	if c.queries, err = prepareQueries(ctx, c.conn, s.packer, s.log, &s.fresh); err != nil {
		return nil, err
	}
	if err := s.fresh.load(ctx, c.queries, c.conn); err != nil {
		return nil, err
	}
	if _, err := c.readHead(ctx); errors.Is(err, sql.ErrNoRows) {
		var h headRow
		_, err := c.conn.ExecContext(ctx,
			"INSERT INTO head (id, position, entry, time, delivery, contribution, checksum) VALUES (1, 0, 0, 0, 0, 0, ?)",
			int64(h.checksum()))
		if err != nil {
			return nil, fmt.Errorf("write head: %w", err)
		}
	} else if err != nil {
		return nil, err
	}
	return c, nil
}

func (c *committer) prepareWrites(ctx context.Context) error {
	return c.writes.prepare(ctx, c.conn, map[**sql.Stmt]string{
		&c.begin:         "BEGIN IMMEDIATE",
		&c.commit:        "COMMIT",
		&c.rollback:      "ROLLBACK",
		&c.journalLength: "PRAGMA wal_checkpoint(NOOP)",
		&c.writeHome:     writeHome,
		&c.putDeliveryID: "INSERT INTO delivery_ids (id, seq) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET seq = excluded.seq",
		&c.insertDelivery: "INSERT INTO deliveries (" + deliveryColumns +
			") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
		&c.updateDelivery: "UPDATE deliveries SET first_contribution = ?, contributions = ?, state = ?, checksum = ?, adapter = ?, " +
			"provider = ?, event = ?, report = ?, waiting = ? WHERE seq = ?",
		&c.insertContribution: "INSERT INTO contributions (" + contributionColumns + ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
		&c.supersede:          "UPDATE contributions SET encoding = ?, checksum = ?, body = ?, addresses = ? WHERE id = ?",
		&c.insertOutcome: "INSERT INTO outcomes (" + strings.TrimPrefix(outcomeColumns, "id, ") +
			", id, found) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?6 = '')", // without a call id there is nothing to find
		&c.indexCalls:       "UPDATE outcomes SET found = 1 WHERE found = 0",
		&c.updateOutcome:    updateOutcome,
		&c.insertEntry:      "INSERT INTO log (" + entryColumns + ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
		&c.updateHead:       "UPDATE head SET position = ?, entry = ?, time = ?, delivery = ?, contribution = ?, checksum = ? WHERE id = 1",
		&c.insertExternalID: "INSERT INTO external_ids (system, id, first_position, outcome) VALUES (?, ?, ?, ?)",
		&c.deleteExternalID: "DELETE FROM external_ids WHERE system = ? AND id = ? AND first_position = ?",
		&c.putProbe:         "INSERT INTO meta (name, value, checksum) VALUES ('probe', ?, 0) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
		&c.clearProbe:       "DELETE FROM meta WHERE name = 'probe'",
		&c.insertAddress:    "INSERT INTO addresses (address, time, first_position, outcome) VALUES (?, ?, ?, ?)",
		&c.deleteAddress:    "DELETE FROM addresses WHERE address = ? AND time = ? AND first_position = ?",
		&c.addUsage: "INSERT INTO usage (source, bytes) VALUES (?, ?) " +
			"ON CONFLICT (source) DO UPDATE SET bytes = bytes + excluded.bytes",
		&c.removeDelivery:     "DELETE FROM deliveries WHERE seq = ?",
		&c.removeContribution: "DELETE FROM contributions WHERE id = ?",
		&c.removeOutcome:      "DELETE FROM outcomes WHERE id = ?",
		&c.blankEntry: "UPDATE log SET " + strings.ReplaceAll(strings.TrimPrefix(entryColumns, "position, "), ", ", " = ?, ") +
			" = ? WHERE position = ?",
		&c.putHorizon: "INSERT INTO horizons (source, position, trims, checksum) VALUES (?, ?, ?, ?) " +
			"ON CONFLICT (source) DO UPDATE SET position = excluded.position, trims = excluded.trims, checksum = excluded.checksum",
		&c.putSubscription: "INSERT OR REPLACE INTO subscriptions (" + subscriptionColumns + ") VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
	})
}

// meta returns a value that was chosen at random when the store was created.
func (c *committer) meta(ctx context.Context, name string, size int) ([]byte, error) {
	value, err := readMeta(ctx, c.conn, name)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		value = make([]byte, size)
		rand.Read(value) // never fails
		return value, writeMeta(ctx, c.conn, name, value)
	case err == nil && len(value) != size:
		return nil, corrupt("meta", name, "value has another length")
	}
	return value, err
}

// run commits until the store is closed. It answers every request that it has taken.
func (c *committer) run() {
	defer close(c.done)
	defer c.arrive()
	defer c.indexFresh(1) // so that what was closed needs no memory
	look := time.NewTicker(probeEvery)
	defer look.Stop()
	for {
		select {
		case r := <-c.requests:
			c.serve(c.gather(r))
			runtime.Gosched() // Those who were answered go first; what follows nobody waits for.
			c.indexFresh(c.store.fresh.limit)
			c.shorten()
		case r := <-c.removals:
			c.serve([]*request{r})
			c.shorten()
		case err := <-c.homeward.done:
			c.arrived(err)
			c.shorten()
		case <-look.C:
			if err := c.present(); err != nil {
				c.store.publish(&transaction{}, err)
			} else if c.store.Err() != nil {
				c.probe()
			}
		case <-c.store.closing:
			return
		}
	}
}

// present tells whether the file that is open is the one that its name leads to. SQLite would go on writing to one that was
// deleted, and all of that would be lost. Once it is gone it stays so: what would come back has not seen what was written.
func (c *committer) present() error {
	if c.gone != nil {
		return c.gone
	}
	// Any other error says nothing about the file.
	if now, err := os.Stat(c.file); errors.Is(err, os.ErrNotExist) || err == nil && !os.SameFile(c.opened, now) {
		c.gone = fmt.Errorf("%w: %s was deleted, moved or replaced while it was open: nothing is kept until the process starts again",
			store.ErrUnavailable, databaseFile)
	}
	return c.gone
}

// gather takes what is waiting beside the first request, and what the goroutines that could run now are about to hand over:
// it lets them run before it, as long as that brings more. Alone, it waits for nobody.
func (c *committer) gather(first *request) []*request {
	group, size, before := []*request{first}, first.size, 0
	for len(group) < maxGroup && size < maxGroupBytes {
		select {
		case r := <-c.requests:
			group, size = append(group, r), size+r.size
		default:
			if len(group) == before {
				return group
			}
			before = len(group)
			runtime.Gosched()
		}
	}
	return group
}

// serve commits a group and answers its requests. When it fails for what may be the fault of one of them, each gets a
// transaction of its own.
func (c *committer) serve(group []*request) {
	errs, err := c.transact(group)
	if err != nil && len(group) > 1 && perhapsOwn(err) {
		for i := range group {
			c.serve(group[i : i+1])
		}
		return
	}
	for i, r := range group {
		if err == nil {
			r.answer <- errs[i]
			continue
		}
		r.answer <- err
	}
}

// transact does the work of a group in one transaction. The error is the transaction's; those of single requests, which have left
// nothing behind, are listed.
func (c *committer) transact(group []*request) ([]error, error) {
	errs := make([]error, len(group))
	var after func(context.Context) error // of one who is alone in his group
	err := c.inTransaction(func(ctx context.Context, t *transaction) error {
		for i, r := range group {
			err := r.do(ctx, t)
			if own, ok := errors.AsType[requestError](err); ok {
				errs[i] = own.error
				continue
			}
			if err != nil {
				return err
			}
		}
		after = t.after
		return t.writeHead(ctx)
	})
	if err == nil && after != nil {
		errs[0] = after(context.Background())
	}
	return errs, err
}

// probe finds out whether the store can write again: it takes some room as a delivery would, and gives it back to those
// that come.
func (c *committer) probe() {
	// The result is in Err.
	_ = c.inTransaction(func(ctx context.Context, t *transaction) error {
		return t.exec(ctx, c.putProbe, make([]byte, probeSize))
	})
	if c.store.Err() == nil {
		_ = c.inTransaction(func(ctx context.Context, t *transaction) error { return t.exec(ctx, c.clearProbe) })
	}
}

// inTransaction runs one transaction and publishes what it has changed. Its error is one for callers of the store.
func (c *committer) inTransaction(body func(context.Context, *transaction) error) error {
	begin := c.store.settings.Now()
	t, err := c.try(body)
	if err == nil && !t.wrote {
		return nil
	}
	c.store.publish(t, err)
	if report := c.store.settings.OnCommit; report != nil {
		done := Commit{Duration: c.store.settings.Now().Sub(begin), Err: err}
		if err == nil {
			done.Deliveries, done.Revisions = t.deliveries, t.revisions
		}
		report(done)
	}
	return err
}

// try runs one transaction.
func (c *committer) try(body func(context.Context, *transaction) error) (*transaction, error) {
	// A caller that gives up does not end the commit, which is also others'.
	ctx := context.Background()
	t := &transaction{committer: c, now: c.store.settings.Now().UnixMicro()}
	if c.gone != nil {
		return t, c.gone
	}
	if err := t.run(ctx, body); err != nil {
		// SQLite has already rolled back after some errors; then this one says so, and there is nothing to do.
		_, _ = c.rollback.ExecContext(ctx)
		return t, c.failed(fmt.Errorf("%w: %w", store.ErrUnavailable, err))
	}
	if t.wrote {
		return t, c.present()
	}
	return t, nil
}

// publish tells the readers what was committed, or that it failed.
func (s *Store) publish(t *transaction, err error) {
	if err == nil {
		s.fresh.publish(t) // before readers hear of it
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.failure = err
	if err != nil {
		return
	}
	for source, h := range t.trimmed {
		s.horizons[source] = h
		s.trims = max(s.trims, h.trims)
	}
	s.oldest = max(s.oldest, store.Position(t.oldest))
	if head := s.cursor(t.head); head.Position > s.head.Position {
		s.head = head
		s.marker.write(head)
		close(s.grown)
		s.grown = make(chan struct{})
	}
}

// close ends the connection, when run has returned or was never called. The journal is written home first, so that the
// database is one file again.
func (c *committer) close(ctx context.Context) error {
	errs := []error{c.writes.close()}
	if c.queries != nil {
		errs = append(errs, c.queries.close())
	}
	if c.conn != nil {
		// Not waiting for a backup: what it reads stays in the journal until the next time.
		if c.gone == nil {
			if _, err := c.conn.ExecContext(ctx, "PRAGMA busy_timeout = 0; PRAGMA wal_checkpoint(TRUNCATE)"); err != nil {
				errs = append(errs, fmt.Errorf("checkpoint: %w", err))
			}
		}
		errs = append(errs, c.conn.Close())
	}
	if c.db != nil {
		errs = append(errs, c.db.Close())
	}
	if c.homeward != nil {
		errs = append(errs, c.homeward.close())
	}
	return errors.Join(errs...)
}
