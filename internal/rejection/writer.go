package rejection

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

const (
	// pace is how long the writer waits for more before it writes.
	pace = time.Second
	// restFactor is how many times as long as it wrote it waits at least, so that a flood leaves the disk and the processor to
	// the honest.
	restFactor = 4
	// maxQueue and maxQueueBytes bound what waits for the writer: records, and bytes of the requests that are to be held.
	maxQueue      = 2048
	maxQueueBytes = 16 << 20
)

// share is what one source may take of a bound: the others always find room.
func share(bound int64) int64 { return bound - bound/4 }

// record is one refusal on its way to the disk.
type record struct {
	tally     *tally
	rejection Rejection
	time      int64
	// request is nil when nothing is to be held.
	request *Request
	bytes   int64
	limits  Limits
}

// writer owns the database: all that reads or writes it runs in its goroutine.
type writer struct {
	book *Book
	db   *database
	// failing says that the last write did not succeed.
	failing bool
	// replaced says that a damaged database was replaced while running. It happens once: what damages two is not the file.
	replaced bool
}

// run writes what was told, about once a second while something is told, and answers who asks.
func (w *writer) run(ctx context.Context) {
	b := w.book
	defer close(b.done)
	rest := pace
	var due <-chan time.Time
	for {
		select {
		case <-b.wake:
			if due == nil {
				due = time.After(rest)
			}
		case <-due:
			due = nil
			begin := time.Now()
			_ = w.write(ctx) // It is logged, and what was lost is counted.
			rest = max(pace, restFactor*time.Since(begin))
		case answer := <-b.asks:
			answer(w)
		case <-b.closing:
			b.closeErr = errors.Join(w.write(ctx), w.db.close(ctx))
			return
		}
	}
}

// write writes all that was told before it was called. What it cannot write is lost and counted; the counts stay in memory
// until they can be written.
func (w *writer) write(ctx context.Context) error {
	b := w.book
	b.dirty.Store(false) // first: who tells something from now on wakes the writer again
	batch := make([]record, 0, len(b.queue))
	changes := map[*tally]*usage{}
	for range cap(batch) {
		r := <-b.queue
		batch = append(batch, r)
		if changes[r.tally] == nil {
			changes[r.tally] = new(*r.tally.usage.Load())
		}
	}
	for _, t := range b.tallies.Range {
		t := t.(*tally) //nolint:forcetypeassert // nothing else is put in
		if t.dirty.Swap(false) && changes[t] == nil {
			changes[t] = new(*t.usage.Load())
		}
	}
	if len(changes) == 0 {
		return nil
	}
	err := w.db.transact(ctx, func(tx *sql.Tx) error { return w.keep(ctx, tx, batch, changes) })
	if err == nil {
		for t, u := range changes {
			t.usage.Store(u)
		}
		err = w.db.shrink(ctx)
	} else {
		for _, r := range batch {
			r.tally.dropped.Add(1)
			if r.request != nil {
				r.tally.unheld.Add(1)
			}
		}
		for t := range changes {
			b.touch(t)
		}
	}
	for _, r := range batch {
		b.leave(r)
	}
	w.report(ctx, err)
	w.heal(ctx, err)
	return err
}

// report says when writing begins to fail and when it succeeds again, and nothing between.
func (w *writer) report(ctx context.Context, err error) {
	switch {
	case err != nil && !w.failing:
		w.book.settings.Log.ErrorContext(ctx, "rejections cannot be written: they are counted and not kept", "error", err)
	case err == nil && w.failing:
		w.book.settings.Log.InfoContext(ctx, "rejections are written again")
	}
	w.failing = err != nil
}

// heal replaces a damaged database by an empty one. Summaries are in memory, and go into the new one.
func (w *writer) heal(ctx context.Context, err error) {
	if w.replaced || !damaged(err) {
		return
	}
	w.replaced = true
	b := w.book
	log := b.settings.Log
	_ = w.db.Close() // It is damaged.
	aside, err := moveAside(w.db.file, b.settings.Now())
	if err != nil {
		log.ErrorContext(ctx, "damaged rejections cannot be moved aside", "error", err)
		return
	}
	log.ErrorContext(ctx, "rejections are damaged: they were moved aside, new ones are begun", "file", aside)
	db, err := openDatabase(ctx, w.db.file, b.fingerprints, b.settings.Now(), log)
	if err != nil {
		log.ErrorContext(ctx, "no new rejections can be begun", "error", err)
		return
	}
	db.last = w.db.last
	w.db = db
	for _, t := range b.tallies.Range {
		t := t.(*tally) //nolint:forcetypeassert // nothing else is put in
		t.usage.Store(&usage{evicted: t.usage.Load().evicted})
		b.touch(t)
	}
}

// keep writes a batch, and the summaries of the sources that have changed. It brings changes up to what it has written.
func (w *writer) keep(ctx context.Context, tx *sql.Tx, batch []record, changes map[*tally]*usage) error {
	if len(batch) > 0 {
		if err := w.keepRecords(ctx, tx, batch, changes); err != nil {
			return err
		}
	}
	upsert, err := tx.PrepareContext(ctx, "INSERT OR REPLACE INTO sources (name, accepted, refused, dropped, unheld, evicted, "+
		"last_accept, last_refusal, streak_begin, streak_count, causes, matches) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
	if err != nil {
		return fmt.Errorf("prepare: %w", err)
	}
	defer func() { _ = upsert.Close() }()
	for t, u := range changes {
		if over := u.rejections - maxRejections; over > 0 {
			if _, err := tx.ExecContext(ctx, "DELETE FROM rejections WHERE source = ? AND seq IN "+
				"(SELECT seq FROM rejections WHERE source = ? ORDER BY seq LIMIT ?)", t.source, t.source, over); err != nil {
				return fmt.Errorf("delete rejections: %w", err)
			}
			u.rejections = maxRejections
		}
		s := t.snapshot()
		causes, err := json.Marshal(s.causes)
		if err != nil {
			return fmt.Errorf("marshal causes: %w", err)
		}
		matches, err := json.Marshal(s.matches)
		if err != nil {
			return fmt.Errorf("marshal matches: %w", err)
		}
		if _, err := upsert.ExecContext(ctx, t.source, s.accepted, s.refused, s.dropped, s.unheld, u.evicted, s.lastAccept,
			s.lastRefusal, s.streakBegin, s.streakCount, string(causes), string(matches)); err != nil {
			return fmt.Errorf("write summary: %w", err)
		}
	}
	return nil
}

func (w *writer) keepRecords(ctx context.Context, tx *sql.Tx, batch []record, changes map[*tally]*usage) error {
	insert, err := tx.PrepareContext(ctx, "INSERT INTO rejections (source, seq, time, cause, address, forwarded, body_bytes, "+
		"header_bytes) VALUES (?, ?, ?, ?, ?, ?, ?, ?)")
	if err != nil {
		return fmt.Errorf("prepare: %w", err)
	}
	defer func() { _ = insert.Close() }()
	evict, err := tx.PrepareContext(ctx, "DELETE FROM held WHERE seq = (SELECT MIN(seq) FROM held WHERE source = ?) RETURNING bytes")
	if err != nil {
		return fmt.Errorf("prepare: %w", err)
	}
	defer func() { _ = evict.Close() }()
	hold, err := tx.PrepareContext(ctx, "INSERT INTO held (seq, source, time, cause, bytes, sealed) VALUES (?, ?, ?, ?, ?, ?)")
	if err != nil {
		return fmt.Errorf("prepare: %w", err)
	}
	defer func() { _ = hold.Close() }()
	for _, r := range batch {
		u := changes[r.tally]
		// Numbers begin at the time, so that those of a database that was lost are not given again.
		w.db.last = max(w.db.last+1, w.book.settings.Now().UnixMicro())
		l := label{seq: w.db.last, time: r.time, source: r.tally.source, cause: r.rejection.Cause}
		if _, err := insert.ExecContext(ctx, l.source, l.seq, l.time, l.cause, string(r.rejection.Address),
			r.rejection.Forwarded, r.rejection.BodyBytes, r.rejection.HeaderBytes); err != nil {
			return fmt.Errorf("write rejection: %w", err)
		}
		u.rejections++
		if r.request == nil {
			continue
		}
		// Room is made before, because pages that are free are used again within the transaction.
		for u.requests+1 > int64(r.limits.Requests) || u.bytes+r.bytes > r.limits.Bytes {
			var bytes int64
			if err := evict.QueryRowContext(ctx, l.source).Scan(&bytes); err != nil {
				return fmt.Errorf("evict held request: %w", err)
			}
			u.requests--
			u.bytes -= bytes
			u.evicted++
		}
		sealed, err := w.book.vault.seal(l, r.request)
		if err != nil {
			return err
		}
		if _, err := hold.ExecContext(ctx, l.seq, l.source, l.time, l.cause, r.bytes, sealed); err != nil {
			return fmt.Errorf("write held request: %w", err)
		}
		u.requests++
		u.bytes += r.bytes
	}
	return nil
}

// forget deletes a held request.
func (w *writer) forget(ctx context.Context, seq int64) error {
	var source string
	var bytes int64
	err := w.db.transact(ctx, func(tx *sql.Tx) error {
		row := tx.QueryRowContext(ctx, "DELETE FROM held WHERE seq = ? RETURNING source, bytes", seq)
		if err := row.Scan(&source, &bytes); errors.Is(err, sql.ErrNoRows) {
			return ErrNotFound
		} else if err != nil {
			return fmt.Errorf("delete held request: %w", err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if t := w.book.tally(source); t != nil {
		u := *t.usage.Load()
		u.requests--
		u.bytes -= bytes
		t.usage.Store(&u)
	}
	return w.db.shrink(ctx)
}
