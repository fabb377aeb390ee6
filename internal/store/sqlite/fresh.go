package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	codes "modernc.org/sqlite/lib"

	"github.com/callnorm/callnorm/internal/store"
)

// maxFresh is how many deliveries, or outcomes, are found by memory alone, until they are put into the index that finds the others. An id
// is random: put there at once, each would take a page of its own into the journal, and home again. In a batch many share one.
const maxFresh = 2048

// fresh is what indexes do not lead to yet. A process that did not end by itself leaves it behind, and the next start finds it again.
type fresh struct {
	sync.RWMutex

	// limit is from when on it is put into the indexes: maxFresh, or more when one of them is damaged.
	limit int
	// seqs are the newest deliveries, by their ids. calls are outcomes by the provider's call ids. Who looks for one of them looks here
	// first: what is not here any more is in the index by then.
	seqs  map[store.DeliveryID]int64
	calls map[string][]store.OutcomeID
}

// freshCall is an outcome with the provider's id of its call.
type freshCall struct {
	id      string
	outcome store.OutcomeID
}

// size is about how much there is of what there is more of. The committer asks, and changes it alone.
func (f *fresh) size() int { return max(len(f.seqs), len(f.calls)) }

// outcomes returns the outcomes that may have a call id, beside those that the index leads to.
func (f *fresh) outcomes(providerCallID string) []store.OutcomeID {
	f.RLock()
	defer f.RUnlock()
	return slices.Clone(f.calls[providerCallID])
}

// seq returns the number of a delivery, if it is fresh.
func (f *fresh) seq(id store.DeliveryID) (int64, bool) {
	f.RLock()
	defer f.RUnlock()
	seq, ok := f.seqs[id]
	return seq, ok
}

// publish changes what is fresh as a transaction has left it.
func (f *fresh) publish(t *transaction) {
	f.Lock()
	defer f.Unlock()
	if t.indexed {
		clear(f.seqs)
		clear(f.calls)
		return
	}
	for _, c := range t.calls {
		f.calls[c.id] = append(f.calls[c.id], c.outcome)
	}
	for id, seq := range t.fresh {
		if seq == gone {
			delete(f.seqs, id)
			continue
		}
		f.seqs[id] = seq
	}
}

// load finds what a process that did not end by itself has left behind.
func (f *fresh) load(ctx context.Context, q *queries, on querier) error {
	f.limit = maxFresh
	if err := f.loadDeliveries(ctx, q, on); err != nil {
		return fmt.Errorf("newest deliveries: %w", err)
	}
	if err := f.loadCalls(ctx, on); err != nil {
		return fmt.Errorf("newest outcomes: %w", err)
	}
	return nil
}

func (f *fresh) loadCalls(ctx context.Context, on querier) (err error) {
	rows, err := on.QueryContext(ctx, "SELECT provider_call_id, id FROM outcomes WHERE found = 0")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	f.calls = make(map[string][]store.OutcomeID, maxFresh)
	for rows.Next() {
		var call string
		var raw []byte
		if err := rows.Scan(&call, &raw); err != nil {
			return err
		}
		var id store.OutcomeID
		if set(&id, raw) {
			f.calls[call] = append(f.calls[call], id)
		}
	}
	return rows.Err()
}

func (f *fresh) loadDeliveries(ctx context.Context, q *queries, on querier) (err error) {
	rows, err := on.QueryContext(ctx, "SELECT seq, id FROM deliveries ORDER BY seq DESC")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	f.seqs = make(map[store.DeliveryID]int64, maxFresh)
	for rows.Next() {
		var raw []byte
		var seq, known int64
		if err := rows.Scan(&seq, &raw); err != nil {
			return err
		}
		var id store.DeliveryID
		if !set(&id, raw) {
			continue // It is corrupt, which whoever reads it is told.
		}
		switch err := q.deliverySeq.QueryRowContext(ctx, raw).Scan(&known); {
		case errors.Is(err, sql.ErrNoRows), errors.Is(explain(err), store.ErrCorrupt):
			f.seqs[id] = seq
		default:
			return err
		}
	}
	return rows.Err()
}

// seqOf returns the number of a delivery, gone when nothing is kept of it but its id, or sql.ErrNoRows.
func (q *queries) seqOf(ctx context.Context, id store.DeliveryID) (seq int64, err error) {
	// What is fresh no longer is in the table by then.
	if seq, ok := q.fresh.seq(id); ok {
		return seq, nil
	}
	err = q.deliverySeq.QueryRowContext(ctx, id[:]).Scan(&seq)
	return seq, err
}

// seqOf sees what the transaction has written as well.
func (t *transaction) seqOf(ctx context.Context, id store.DeliveryID) (int64, error) {
	if seq, ok := t.fresh[id]; ok {
		return seq, nil
	}
	return t.queries.seqOf(ctx, id)
}

// readDelivery sees what the transaction has written as well.
func (t *transaction) readDelivery(ctx context.Context, id store.DeliveryID) (deliveryRow, error) {
	seq, err := t.seqOf(ctx, id)
	if err != nil {
		return deliveryRow{}, err
	}
	return t.readNumbered(ctx, seq, id)
}

// remember lets a delivery be found by its id.
func (t *transaction) remember(id store.DeliveryID, seq int64) {
	if t.fresh == nil {
		t.fresh = make(map[store.DeliveryID]int64)
	}
	t.fresh[id] = seq
}

// keepID keeps nothing of a delivery but its id.
func (t *transaction) keepID(ctx context.Context, id store.DeliveryID) error {
	if err := t.exec(ctx, t.putDeliveryID, id[:], gone); err != nil {
		return fmt.Errorf("write delivery id: %w", err)
	}
	t.remember(id, gone)
	return nil
}

// indexFresh puts what is fresh into the indexes when it has become so much. It keeps nothing, so that nobody is told of its commit. Where an
// index is damaged all of it stays in memory, and what comes in is kept all the same.
func (c *committer) indexFresh(much int) {
	if c.store.fresh.size() < much {
		return
	}
	t, err := c.try(func(ctx context.Context, t *transaction) error { return t.index(ctx) })
	if code(err) == codes.SQLITE_CORRUPT {
		c.store.fresh.limit *= 2
		return
	}
	c.store.publish(t, err)
}

// index puts all that is fresh into the indexes.
func (t *transaction) index(ctx context.Context) error {
	seqs := t.store.fresh.seqs // nobody else changes it
	for _, id := range slices.SortedFunc(maps.Keys(seqs), func(a, b store.DeliveryID) int { return bytes.Compare(a[:], b[:]) }) {
		if err := t.exec(ctx, t.putDeliveryID, id[:], seqs[id]); err != nil {
			return fmt.Errorf("write delivery id: %w", err)
		}
	}
	if err := t.exec(ctx, t.indexCalls); err != nil {
		return fmt.Errorf("index call ids: %w", err)
	}
	t.indexed = true
	return nil
}
