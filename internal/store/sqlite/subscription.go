package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/callnorm/callnorm/internal/store"
)

const subscriptionColumns = "name, owner, filter, cursor, generation, create_time, move_time, checksum"

func subscriptionChecksum(s store.Subscription) checksum {
	return newChecksum("subscriptions").text(s.Name).text(s.Owner).bytes(s.Filter).text(s.Cursor.String()).number(s.Generation).
		number(s.CreateTime.UnixMicro()).number(s.MoveTime.UnixMicro())
}

func scanSubscription(row scanner) (store.Subscription, error) {
	var s store.Subscription
	var cursor string
	var created, moved, stored int64
	if err := row.Scan(&s.Name, &s.Owner, &s.Filter, &cursor, &s.Generation, &created, &moved, &stored); err != nil {
		return store.Subscription{}, err
	}
	s.CreateTime, s.MoveTime = time.UnixMicro(created).UTC(), time.UnixMicro(moved).UTC()
	var err error
	if s.Cursor, err = store.ParseCursor(cursor); err != nil {
		return store.Subscription{}, corrupt("subscriptions", s.Name, "cursor is malformed")
	}
	return s, subscriptionChecksum(s).verify(stored, "subscriptions", s.Name)
}

func (q *queries) readSubscription(ctx context.Context, name string) (store.Subscription, error) {
	return scanSubscription(q.subscription.QueryRowContext(ctx, name))
}

// Subscription implements store.Store.
func (s *Store) Subscription(ctx context.Context, name string) (subscription store.Subscription, err error) {
	err = s.reads(func() (err error) {
		subscription, err = s.read.readSubscription(ctx, name)
		return err
	})
	if err != nil {
		return store.Subscription{}, err
	}
	return subscription, nil
}

// Subscriptions implements store.Store.
func (s *Store) Subscriptions(ctx context.Context) (subscriptions []store.Subscription, err error) {
	err = s.reads(func() (err error) {
		rows, err := s.readers.QueryContext(ctx, "SELECT "+subscriptionColumns+" FROM subscriptions ORDER BY name")
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, rows.Close()) }()
		for rows.Next() {
			subscription, err := scanSubscription(rows)
			if err != nil {
				return err
			}
			subscriptions = append(subscriptions, subscription)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, err
	}
	return subscriptions, nil
}

// CreateSubscription implements store.Store.
func (s *Store) CreateSubscription(ctx context.Context, subscription store.Subscription, limit int) (store.Subscription, bool, error) {
	created := false
	kept, err := submitFor(ctx, s, s.commits.requests, len(subscription.Filter), func(ctx context.Context, t *transaction) (store.Subscription, error) {
		created = false
		switch kept, err := t.readSubscription(ctx, subscription.Name); {
		case err == nil:
			return kept, nil
		case !errors.Is(err, sql.ErrNoRows):
			return store.Subscription{}, ownReadError(err)
		}
		count := 0
		if err := t.conn.QueryRowContext(ctx, "SELECT COUNT(*) FROM subscriptions").Scan(&count); err != nil {
			return store.Subscription{}, err
		}
		if count >= limit {
			return store.Subscription{}, requestError{store.ErrTooMany}
		}
		created = true
		subscription.Generation, subscription.CreateTime = 1, time.UnixMicro(t.head.time).UTC()
		return t.putAt(ctx, subscription, subscription.Cursor)
	})
	if err != nil {
		return store.Subscription{}, false, err
	}
	return kept, created, nil
}

// Advance implements store.Store.
func (s *Store) Advance(ctx context.Context, name string, generation int64, cursor store.Cursor) (store.Subscription, error) {
	return s.changeSubscription(ctx, name, func(ctx context.Context, t *transaction, kept store.Subscription) (store.Subscription, error) {
		if kept.Generation != generation {
			return store.Subscription{}, requestError{store.ErrOutdated}
		}
		if cursor.Position < kept.Cursor.Position || cursor == kept.Cursor {
			return kept, nil
		}
		return t.putAt(ctx, kept, cursor)
	})
}

// Reset implements store.Store.
func (s *Store) Reset(ctx context.Context, name string, cursor store.Cursor) (store.Subscription, error) {
	return s.changeSubscription(ctx, name, func(ctx context.Context, t *transaction, kept store.Subscription) (store.Subscription, error) {
		kept.Generation++
		return t.putAt(ctx, kept, cursor)
	})
}

// changeSubscription does something with a subscription that is kept.
func (s *Store) changeSubscription(
	ctx context.Context, name string, change func(context.Context, *transaction, store.Subscription) (store.Subscription, error),
) (store.Subscription, error) {
	return submitFor(ctx, s, s.commits.requests, 0, func(ctx context.Context, t *transaction) (store.Subscription, error) {
		kept, err := t.readSubscription(ctx, name)
		if errors.Is(err, sql.ErrNoRows) {
			return store.Subscription{}, requestError{store.ErrNotFound}
		}
		if err != nil {
			return store.Subscription{}, ownReadError(err)
		}
		return change(ctx, t, kept)
	})
}

// putAt writes a subscription that has moved to a cursor.
func (t *transaction) putAt(ctx context.Context, s store.Subscription, cursor store.Cursor) (store.Subscription, error) {
	s.Cursor, s.MoveTime, s.Filter = cursor, time.UnixMicro(t.head.time).UTC(), present(s.Filter)
	if err := t.exec(ctx, t.putSubscription, s.Name, s.Owner, s.Filter, s.Cursor.String(), s.Generation, s.CreateTime.UnixMicro(),
		s.MoveTime.UnixMicro(), int64(subscriptionChecksum(s))); err != nil {
		return store.Subscription{}, fmt.Errorf("write subscription: %w", err)
	}
	return s, nil
}

// DeleteSubscription implements store.Store.
func (s *Store) DeleteSubscription(ctx context.Context, name string) error {
	_, err := s.changeSubscription(ctx, name, func(ctx context.Context, t *transaction, kept store.Subscription) (store.Subscription, error) {
		t.wrote = true
		_, err := t.conn.ExecContext(ctx, "DELETE FROM subscriptions WHERE name = ?", name)
		return kept, err
	})
	return err
}
