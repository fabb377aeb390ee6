package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/callnorm/callnorm/internal/store"
)

// Bounds of one step of a trim: it is one transaction, which others wait for.
const (
	trimOutcomes   = 32
	trimDeliveries = 256
	trimBlanks     = 4096
)

// horizon is up to where a source was trimmed.
type horizon struct {
	// position is that of the newest entry that was trimmed.
	position int64
	// trims counts all trims up to the one that moved it there.
	trims uint64
}

// noSource has the horizon of the log itself: what is before it is gone.
const noSource = ""

func horizonChecksum(source string, h horizon) checksum {
	return newChecksum("horizons").text(source).number(h.position).number(int64(h.trims))
}

const horizonColumns = "source, position, trims, checksum"

func scanHorizon(row scanner) (source string, h horizon, err error) {
	var trims, stored int64
	if err := row.Scan(&source, &h.position, &trims, &stored); err != nil {
		return "", horizon{}, err
	}
	h.trims = uint64(trims)
	return source, h, horizonChecksum(source, h).verify(stored, "horizons", source)
}

func (s *Store) loadHorizons(ctx context.Context) (err error) {
	rows, err := s.readers.QueryContext(ctx, "SELECT "+horizonColumns+" FROM horizons")
	if err != nil {
		return fmt.Errorf("horizons: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		source, h, err := scanHorizon(rows)
		if err != nil {
			return err
		}
		s.horizons[source] = h
		s.trims = max(s.trims, h.trims)
	}
	return rows.Err()
}

// remove does work that removes something, while nobody reads.
func (s *Store) remove(ctx context.Context, do func(context.Context, *transaction) (store.Removed, error)) (store.Removed, error) {
	if err := s.mayBegin(ctx); err != nil {
		return store.Removed{}, err
	}
	s.removing.Lock()
	type result struct {
		removed store.Removed
		err     error
	}
	done := make(chan result, 1)
	// Readers wait until the committer is done, also when the caller does not.
	go func() {
		defer s.removing.Unlock()
		removed, err := submitFor(context.WithoutCancel(ctx), s, s.commits.removals, 0, do)
		done <- result{removed, err}
	}()
	select {
	case r := <-done:
		return r.removed, r.err
	case <-ctx.Done():
		return store.Removed{}, ctx.Err()
	}
}

// Delete implements store.Store.
func (s *Store) Delete(ctx context.Context, id store.OutcomeID, fold store.Fold) (store.Removed, error) {
	return s.remove(ctx, func(ctx context.Context, t *transaction) (store.Removed, error) {
		row, err := t.readOutcome(ctx, id)
		switch {
		case errors.Is(err, sql.ErrNoRows) || err == nil && row.position == 0 && !row.deleted:
			return store.Removed{}, requestError{store.ErrNotFound}
		case err != nil:
			return store.Removed{}, ownReadError(err)
		case row.deleted:
			return store.Removed{}, nil
		}
		current, err := t.readNewest(ctx, row)
		if err != nil {
			return store.Removed{}, ownReadError(err)
		}
		revision, err := t.guard(fold, store.Call{Outcome: id, Current: &current})
		if err != nil {
			return store.Removed{}, err
		}
		if revision.Body == nil {
			return store.Removed{}, requestError{fmt.Errorf("%w: outcome %s: nothing says that it was deleted", store.ErrFold, id)}
		}
		is, removed, err := t.clear(ctx, row)
		if err != nil {
			return store.Removed{}, err
		}
		is.deleted = true
		revision.Keys = store.Keys{Provider: revision.Provider, Source: revision.Source}
		if err := t.revise(ctx, &is, revision, deleted); err != nil {
			return store.Removed{}, err
		}
		return removed, t.putOutcome(ctx, true, &row, &is)
	})
}

// clear removes all that was said about an outcome, and returns what is left of its row. It changes neither the row nor what that
// is found by.
func (t *transaction) clear(ctx context.Context, row outcomeRow) (outcomeRow, store.Removed, error) {
	removed := store.Removed{Outcomes: 1}
	chain, err := t.readChain(ctx, row.id, row.contribution)
	if err != nil {
		return row, removed, ownReadError(err)
	}
	var entries []entryRow
	var sums []checksum
	if err := t.readRevisions(ctx, row, func(e entryRow, sum checksum) (bool, error) {
		entries, sums = append(entries, e), append(sums, sum)
		return true, nil
	}); err != nil {
		return row, removed, ownReadError(err)
	}
	for _, c := range chain {
		if err := t.exec(ctx, t.removeContribution, c.id); err != nil {
			return row, removed, fmt.Errorf("remove contribution: %w", err)
		}
		t.use(c.source, -int64(len(c.body)))
		forgotten, err := t.forgetID(ctx, c.delivery)
		if err != nil {
			return row, removed, err
		}
		removed.Deliveries += forgotten
	}
	for i, e := range entries {
		if err := t.erase(ctx, e, sums[i]); err != nil {
			return row, removed, err
		}
		removed.Revisions++
	}
	return outcomeRow{id: row.id, revision: row.revision}, removed, nil
}

// erase leaves nothing of an entry but its place.
func (t *transaction) erase(ctx context.Context, e entryRow, sum checksum) error {
	left := e.blanked(sum)
	values := left.values(left.checksum())
	if err := t.exec(ctx, t.blankEntry, append(values[1:], left.position)...); err != nil {
		return fmt.Errorf("remove entry: %w", err)
	}
	t.use(e.source, -int64(len(e.body)))
	return nil
}

// forgetID removes a delivery, and returns 1 when there was one: zero is no delivery's, and another contribution may have been first.
func (t *transaction) forgetID(ctx context.Context, id store.DeliveryID) (int64, error) {
	if id == (store.DeliveryID{}) {
		return 0, nil
	}
	removed, known, err := t.forgetKnown(ctx, id)
	if err == nil && !known {
		err = corrupt("delivery_ids", id, "row is missing")
	}
	return removed, err
}

// forgetKnown removes a delivery, unless it is gone already. It returns 1 when it was there, and whether its id is known.
func (t *transaction) forgetKnown(ctx context.Context, id store.DeliveryID) (removed int64, known bool, err error) {
	seq, err := t.seqOf(ctx, id)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return 0, false, nil
	case err != nil:
		return 0, false, err
	case seq == gone:
		return 0, true, nil
	}
	removed, err = t.forget(ctx, seq, id)
	return removed, true, err
}

// forget removes a delivery. Its id stays, so that a repetition is known.
func (t *transaction) forget(ctx context.Context, seq int64, id store.DeliveryID) (int64, error) {
	row, err := scanDelivery(t.delivery.QueryRowContext(ctx, seq))
	if err != nil && !errors.Is(err, store.ErrCorrupt) { // What is corrupt can be removed as well.
		return 0, fmt.Errorf("delivery: %w", err)
	}
	if err == nil {
		t.use(row.delivery.Source, -row.size())
	}
	if err := t.exec(ctx, t.removeDelivery, seq); err != nil {
		return 0, fmt.Errorf("remove delivery: %w", err)
	}
	return 1, t.keepID(ctx, id)
}

// Forget implements store.Store.
func (s *Store) Forget(ctx context.Context, ids ...store.DeliveryID) (store.Removed, error) {
	if len(ids) == 0 {
		return store.Removed{}, nil
	}
	return s.remove(ctx, func(ctx context.Context, t *transaction) (removed store.Removed, err error) {
		for _, id := range ids {
			n, _, err := t.forgetKnown(ctx, id)
			if err != nil {
				return store.Removed{}, err
			}
			removed.Deliveries += n
		}
		return removed, nil
	})
}

// Trim implements store.Store.
func (s *Store) Trim(ctx context.Context, source string, retention store.Retention) (store.Removed, error) {
	// Most of the time there is nothing to do: readers and the committer need not hear of it.
	due := false
	if err := s.reads(func() (err error) {
		due, err = s.trimDue(ctx, source, retention)
		return err
	}); err != nil || !due {
		return store.Removed{}, err
	}
	return s.remove(ctx, func(ctx context.Context, t *transaction) (store.Removed, error) {
		return t.trim(ctx, source, retention)
	})
}

// trimDue tells whether there is something to trim.
func (s *Store) trimDue(ctx context.Context, source string, retention store.Retention) (bool, error) {
	oldest, head, _ := s.bounds()
	if oldest < head.Position {
		first, _, err := s.read.readEntryRow(ctx, int64(oldest))
		if err != nil || first.kind == blank {
			return err == nil, err
		}
	}
	t := trimming{source: source, retention: retention, on: s.readers}
	var err error
	if t.usage, err = t.readUsage(ctx); err != nil {
		return false, err
	}
	if t.tooMuch() {
		return true, nil
	}
	if rows, err := t.outcomes(ctx, 1); err != nil || len(rows) > 0 && t.old(rows[0].time) {
		return err == nil, err
	}
	if rows, err := t.deliveries(ctx, 1, true); err != nil || len(rows) > 0 && t.old(rows[0].time) {
		return err == nil, err
	}
	if retention.DeliveriesBefore.IsZero() {
		return false, nil
	}
	rows, err := t.deliveries(ctx, 1, false)
	return err == nil && len(rows) > 0 && rows[0].time < retention.DeliveriesBefore.UnixMicro(), err
}

// querier is what *sql.DB and *sql.Conn have in common.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// trimming is one trim of a source, while it goes on.
type trimming struct {
	source    string
	retention store.Retention
	on        querier
	usage     int64
}

func (t *trimming) readUsage(ctx context.Context) (bytes int64, err error) {
	err = t.on.QueryRowContext(ctx, "SELECT COALESCE(SUM(bytes), 0) FROM usage WHERE source = ?", t.source).Scan(&bytes)
	return bytes, err
}

func (t *trimming) tooMuch() bool { return t.retention.Bytes > 0 && t.usage > t.retention.Bytes }

// old tells whether what was last told or received at a time has to go for its age.
func (t *trimming) old(at int64) bool {
	return !t.retention.Before.IsZero() && at < t.retention.Before.UnixMicro()
}

// candidate is an outcome or a delivery that may have to go.
type candidate struct {
	id []byte
	// at is the position of the outcome's newest revision, or the number of the delivery; time is when that was made, or this
	// was received.
	at, time int64
}

// outcomes returns the outcomes of the source with the oldest newest revisions.
func (t *trimming) outcomes(ctx context.Context, limit int) ([]candidate, error) {
	return t.candidates(ctx, "SELECT o.id, o.position, l.time FROM outcomes o JOIN log l ON l.position = o.position "+
		"WHERE o.source = ? AND o.position > 0 ORDER BY o.position LIMIT ?", limit)
}

// deliveries returns the oldest deliveries of the source, or only of those that contribute nothing.
func (t *trimming) deliveries(ctx context.Context, limit int, silent bool) ([]candidate, error) {
	if silent {
		return t.candidates(ctx, "SELECT id, seq, receive_time FROM deliveries INDEXED BY deliveries_silent_by_source "+
			"WHERE contributions = 0 AND source = ? ORDER BY seq LIMIT ?", limit)
	}
	return t.candidates(ctx, "SELECT id, seq, receive_time FROM deliveries WHERE source = ? ORDER BY seq LIMIT ?", limit)
}

func (t *trimming) candidates(ctx context.Context, query string, limit int) (found []candidate, err error) {
	rows, err := t.on.QueryContext(ctx, query, t.source, limit)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var c candidate
		if err := rows.Scan(&c.id, &c.at, &c.time); err != nil {
			return nil, err
		}
		found = append(found, c)
	}
	return found, rows.Err()
}

// trim does one step.
func (t *transaction) trim(ctx context.Context, source string, retention store.Retention) (removed store.Removed, err error) {
	trim := trimming{source: source, retention: retention, on: t.conn}
	before, err := trim.readUsage(ctx)
	if err != nil {
		return store.Removed{}, err
	}
	trim.usage = before
	left := func() { trim.usage = before + t.usage[source] }
	if removed, err = t.trimOutcomes(ctx, &trim, left); err != nil {
		return store.Removed{}, err
	}
	silent, err := trim.deliveries(ctx, trimDeliveries, true)
	if err != nil {
		return store.Removed{}, err
	}
	// What is older than the oldest outcome goes first, when there is too much.
	oldest := time.UnixMicro(1 << 62)
	if next, err := trim.outcomes(ctx, 1); err != nil {
		return store.Removed{}, err
	} else if len(next) > 0 {
		oldest = time.UnixMicro(next[0].time)
	}
	dropped, err := t.trimDeliveries(ctx, silent, func(c candidate) bool {
		left()
		return trim.old(c.time) || trim.tooMuch() && c.time <= oldest.UnixMicro()
	})
	if err != nil {
		return store.Removed{}, err
	}
	raw := int64(0)
	if !retention.DeliveriesBefore.IsZero() {
		all, err := trim.deliveries(ctx, trimDeliveries, false)
		if err != nil {
			return store.Removed{}, err
		}
		raw, err = t.trimDeliveries(ctx, all, func(c candidate) bool { return c.time < retention.DeliveriesBefore.UnixMicro() })
		if err != nil {
			return store.Removed{}, err
		}
	}
	removed.Deliveries += dropped + raw
	blanks, err := t.trimBlanks(ctx)
	if err != nil {
		return store.Removed{}, err
	}
	removed.More = removed.Outcomes+removed.Deliveries > 0 || blanks
	return removed, nil
}

// trimOutcomes removes the oldest outcomes as long as they have to go, and moves the horizon of the source.
func (t *transaction) trimOutcomes(ctx context.Context, trim *trimming, left func()) (removed store.Removed, err error) {
	found, err := trim.outcomes(ctx, trimOutcomes)
	if err != nil {
		return store.Removed{}, err
	}
	last := int64(0)
	for _, c := range found {
		if left(); !trim.old(c.time) && !trim.tooMuch() {
			break
		}
		one, err := t.drop(ctx, store.OutcomeID(c.id))
		if _, own := errors.AsType[requestError](err); own {
			continue // What is corrupt stays, so that it can be looked into.
		}
		if err != nil {
			return store.Removed{}, err
		}
		removed.Add(one)
		last = c.at
	}
	left()
	if last == 0 {
		return removed, nil
	}
	moved := horizon{position: last, trims: t.store.nextTrim()}
	t.trimmed = map[string]horizon{trim.source: moved}
	if err := t.exec(ctx, t.putHorizon, trim.source, moved.position, int64(moved.trims),
		int64(horizonChecksum(trim.source, moved))); err != nil {
		return store.Removed{}, fmt.Errorf("write horizon: %w", err)
	}
	return removed, nil
}

// nextTrim numbers a trim.
func (s *Store) nextTrim() uint64 {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.trims + 1
}

// drop removes an outcome without a word. Of one that was deleted, the row stays: what is still said about it is dropped.
func (t *transaction) drop(ctx context.Context, id store.OutcomeID) (store.Removed, error) {
	row, err := t.readOutcome(ctx, id)
	if err != nil {
		return store.Removed{}, ownReadError(err)
	}
	is, removed, err := t.clear(ctx, row)
	if err != nil {
		return store.Removed{}, err
	}
	if row.deleted {
		is.deleted = true
		return removed, t.putOutcome(ctx, true, &row, &is)
	}
	if err := t.replaceExternalIDs(ctx, &row, &is); err != nil {
		return store.Removed{}, err
	}
	if err := t.replaceAddresses(ctx, &row, &is); err != nil {
		return store.Removed{}, err
	}
	if err := t.exec(ctx, t.removeOutcome, id[:]); err != nil {
		return store.Removed{}, fmt.Errorf("remove outcome: %w", err)
	}
	return removed, nil
}

// trimDeliveries removes the first of some deliveries, as long as they have to go.
func (t *transaction) trimDeliveries(ctx context.Context, found []candidate, goes func(candidate) bool) (removed int64, err error) {
	for _, c := range found {
		if !goes(c) {
			break
		}
		n, err := t.forgetID(ctx, store.DeliveryID(c.id)) // The other list may have had it as well.
		if err != nil {
			return 0, err
		}
		removed += n
	}
	return removed, nil
}

// trimBlanks removes the entries at the beginning of the log of which nothing is left. The newest entry stays: the log ends there.
func (t *transaction) trimBlanks(ctx context.Context) (more bool, err error) {
	var oldest, first int64
	if err := t.conn.QueryRowContext(ctx, "SELECT COALESCE(MIN(position), 0) FROM log").Scan(&oldest); err != nil {
		return false, err
	}
	if err := t.conn.QueryRowContext(ctx, "SELECT COALESCE(MIN(position), ?) FROM log WHERE position < ? AND kind <> ?",
		min(oldest+trimBlanks, t.head.position), oldest+trimBlanks, blank).Scan(&first); err != nil {
		return false, err
	}
	first = min(first, t.head.position)
	if first <= oldest {
		return false, nil
	}
	if _, err := t.conn.ExecContext(ctx, "DELETE FROM log WHERE position < ?", first); err != nil {
		return false, fmt.Errorf("remove blank entries: %w", err)
	}
	// It is no source's, and keeps no reader from anything: it tells where the log begins.
	begin := horizon{position: first - 1}
	if err := t.exec(ctx, t.putHorizon, noSource, begin.position, 0, int64(horizonChecksum(noSource, begin))); err != nil {
		return false, fmt.Errorf("write horizon: %w", err)
	}
	t.oldest = first
	return first == oldest+trimBlanks, nil
}

// Scrub implements store.Store. What was removed is overwritten in the database already; the journal that led there is emptied.
// Those who wait for one another share the next time.
func (s *Store) Scrub(ctx context.Context) error {
	ticket := s.scrubs.asked.Add(1)
	s.scrubs.Lock()
	defer s.scrubs.Unlock()
	if s.scrubs.done >= ticket {
		return nil
	}
	asked := s.scrubs.asked.Load()
	if _, err := s.remove(ctx, func(_ context.Context, t *transaction) (store.Removed, error) {
		t.after = s.commits.emptyJournal
		return store.Removed{}, nil
	}); err != nil {
		return err
	}
	s.scrubs.done = asked
	return nil
}

// scrubs are how often somebody has asked for a scrub, and up to which of those it is done.
type scrubs struct {
	sync.Mutex

	asked atomic.Int64
	done  int64
}

// emptyJournal writes the journal home and leaves nothing of it. It waits for no reader.
func (c *committer) emptyJournal(ctx context.Context) (err error) {
	if c.arrive(); c.gone != nil {
		return c.gone
	}
	const patience = "PRAGMA busy_timeout = 10000"
	if _, err := c.conn.ExecContext(ctx, "PRAGMA busy_timeout = 100"); err != nil {
		return err
	}
	defer func() {
		_, back := c.conn.ExecContext(ctx, patience)
		err = errors.Join(err, back)
	}()
	var busy, pages, written int64
	if err := c.conn.QueryRowContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &pages, &written); err != nil {
		return c.failed(err)
	}
	if busy != 0 {
		return store.ErrTracesLeft
	}
	return nil
}

// Usage implements store.Store.
func (s *Store) Usage(ctx context.Context) (usage map[string]int64, err error) {
	err = s.reads(func() (err error) {
		rows, err := s.readers.QueryContext(ctx, "SELECT source, bytes FROM usage")
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, rows.Close()) }()
		usage = map[string]int64{}
		for rows.Next() {
			var source string
			var bytes int64
			if err := rows.Scan(&source, &bytes); err != nil {
				return err
			}
			usage[source] = bytes
		}
		return rows.Err()
	})
	if err != nil {
		return nil, err
	}
	return usage, nil
}
