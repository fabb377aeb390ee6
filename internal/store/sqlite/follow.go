package sqlite

import (
	"context"
	"fmt"
	"time"

	"github.com/callnorm/callnorm/internal/store"
)

// bounds returns the position of the oldest entry that is kept, the end of the log, and how often something was trimmed.
func (s *Store) bounds() (oldest store.Position, head store.Cursor, trims uint64) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	head = s.head
	head.Trims = s.trims
	return s.oldest, head, s.trims
}

// expired tells whether something behind a cursor, that a reader with a filter would have seen, was trimmed since the cursor was made.
func (s *Store) expired(cursor store.Cursor, filter store.Filter) error {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	for source, h := range s.horizons {
		if h.trims > cursor.Trims && store.Position(h.position) > cursor.Position && oneOf(filter.Sources, source) {
			return &store.ExpiredError{Oldest: s.before(s.oldest, s.trims)}
		}
	}
	return nil
}

// Wait implements store.Store.
func (s *Store) Wait(ctx context.Context, after store.Position) error {
	for {
		if s.isClosed() {
			return store.ErrClosed
		}
		s.mutex.Lock()
		head, grown := s.head, s.grown
		s.mutex.Unlock()
		if head.Position > after {
			return nil
		}
		select {
		case <-grown:
		case <-s.closing:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Head implements store.Store.
func (s *Store) Head(context.Context) (store.Cursor, error) {
	if s.isClosed() {
		return store.Cursor{}, store.ErrClosed
	}
	_, head, _ := s.bounds()
	return head, nil
}

// Beginning implements store.Store.
func (s *Store) Beginning(context.Context) (store.Cursor, error) {
	if s.isClosed() {
		return store.Cursor{}, store.ErrClosed
	}
	oldest, _, trims := s.bounds()
	return s.before(oldest, trims), nil
}

// before returns a cursor before the oldest entry. The entry that its check value would be of is gone; Resume does not ask
// for it there.
func (s *Store) before(oldest store.Position, trims uint64) store.Cursor {
	return store.Cursor{Log: s.log, Position: oldest - 1, Trims: trims}
}

// CursorAt implements store.Store. It searches by halves: the times of a log never go back.
func (s *Store) CursorAt(ctx context.Context, t time.Time) (cursor store.Cursor, err error) {
	err = s.reads(func() error {
		oldest, head, trims := s.bounds()
		cursor = s.before(oldest, trims)
		// The entry before low is older than t, the one at high is not.
		low, high := oldest, head.Position+1
		for low < high {
			middle := low + (high-low)/2
			entry, err := s.read.readEntry(ctx, int64(middle))
			if err != nil {
				return err
			}
			if entry.Time.Before(t) {
				low, cursor = middle+1, entry.Cursor
				cursor.Trims = trims
			} else {
				high = middle
			}
		}
		return nil
	})
	if err != nil {
		return store.Cursor{}, err
	}
	return cursor, nil
}

// Resume implements store.Store.
func (s *Store) Resume(ctx context.Context, cursor store.Cursor, filter store.Filter) (resumed store.Cursor, err error) {
	err = s.reads(func() error {
		oldest, head, _ := s.bounds()
		until, former := s.former[cursor.Log]
		resumed = cursor
		switch position := cursor.Position; {
		case cursor.Log != s.log && !former:
			return fmt.Errorf("%w: its log is another", store.ErrCursorForeign)
		case former && position > until:
			return fmt.Errorf("%w: position %d was reached after the backup that was restored", store.ErrCursorForeign, position)
		case position < 0 || position > head.Position:
			return fmt.Errorf("%w: the log has not reached position %d", store.ErrCursorForeign, position)
		case position == 0 && cursor.Check != 0:
			return fmt.Errorf("%w: position 0 has no entry", store.ErrCursorForeign)
		case position >= oldest: // The entry that the reader saw is there. Before that it is gone, as is what may have been behind it.
			entry, err := s.read.readEntry(ctx, int64(position))
			if err != nil {
				return err
			}
			if entry.Cursor.Check != cursor.Check {
				return fmt.Errorf("%w: the entry at position %d is another", store.ErrCursorForeign, position)
			}
		}
		if former {
			// A former log counted what was trimmed by itself, so what was trimmed at all might have been trimmed since.
			resumed.Log, resumed.Trims = s.log, 0
		}
		return s.expired(resumed, filter)
	})
	if err != nil {
		return store.Cursor{}, err
	}
	return resumed, nil
}
