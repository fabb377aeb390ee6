package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/callnorm/callnorm/internal/store"
)

// Due implements store.Store.
func (s *Store) Due(ctx context.Context, now time.Time, limit int) (deadlines []store.Deadline, err error) {
	if limit <= 0 {
		return nil, fmt.Errorf("due: limit is %d", limit)
	}
	err = s.reads(func() (err error) {
		rows, err := s.readers.QueryContext(ctx,
			"SELECT "+outcomeColumns+" FROM outcomes WHERE due > 0 AND due <= ? ORDER BY due LIMIT ?", now.UnixMicro(), limit)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, rows.Close()) }()
		for rows.Next() {
			row, err := scanOutcome(rows)
			if errors.Is(err, store.ErrCorrupt) {
				continue // It is never served, and keeps the others from nothing.
			}
			if err != nil {
				return err
			}
			deadlines = append(deadlines, store.Deadline{
				Outcome: row.id, Time: time.UnixMicro(row.due).UTC(), Source: row.listed.source,
			})
		}
		return rows.Err()
	})
	if err != nil {
		return nil, err
	}
	return deadlines, nil
}

// Fire implements store.Store.
func (s *Store) Fire(ctx context.Context, deadline store.Deadline, body []byte, fold store.Fold) (bool, error) {
	contribution := store.Contribution{Outcome: deadline.Outcome, Body: body}
	said, err := s.newSaying(store.DeliveryID{}, deadline.Source, []store.Contribution{contribution}, fold)
	if err != nil {
		return false, fmt.Errorf("fire: %w", err)
	}
	return submitFor(ctx, s, s.commits.requests, said.size, func(ctx context.Context, t *transaction) (bool, error) {
		row, err := t.readOutcome(ctx, deadline.Outcome)
		if errors.Is(err, sql.ErrNoRows) || err == nil && (row.deleted || row.due != deadline.Time.UnixMicro()) {
			return false, nil
		}
		if err != nil {
			return false, ownReadError(err)
		}
		changes, err := t.foldAll(ctx, said, said.outcomes)
		if err != nil {
			return false, ownReadError(err)
		}
		if changes[0].revision.Body == nil {
			// It would be due for ever.
			is := changes[0].row
			is.due = 0
			return false, t.putOutcome(ctx, true, &changes[0].row, &is)
		}
		_, err = t.contribute(ctx, said.rows, changes)
		return err == nil, err
	})
}
