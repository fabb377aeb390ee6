package sqlite

import (
	"context"
	"fmt"
	"time"

	"github.com/callnorm/callnorm/internal/store"
)

// bounds returns the position of the oldest entry that is kept, and the end of the log.
func (s *Store) bounds() (oldest store.Position, head store.Cursor) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.oldest, s.head
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
	_, head := s.bounds()
	return head, nil
}

// Beginning implements store.Store.
func (s *Store) Beginning(context.Context) (store.Cursor, error) {
	if s.isClosed() {
		return store.Cursor{}, store.ErrClosed
	}
	oldest, _ := s.bounds()
	return s.before(oldest), nil
}

// before returns a cursor before the oldest entry. The entry that its check value would be of is gone; Resume does not ask
// for it there.
func (s *Store) before(oldest store.Position) store.Cursor {
	return store.Cursor{Log: s.log, Position: oldest - 1}
}

// CursorAt implements store.Store. It searches by halves: the times of a log never go back.
func (s *Store) CursorAt(ctx context.Context, t time.Time) (cursor store.Cursor, err error) {
	err = s.reads(func() error {
		oldest, head := s.bounds()
		cursor = s.before(oldest)
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
func (s *Store) Resume(ctx context.Context, cursor store.Cursor) (store.Position, error) {
	err := s.reads(func() error {
		oldest, head := s.bounds()
		until, former := s.former[cursor.Log]
		switch position := cursor.Position; {
		case cursor.Log != s.log && !former:
			return fmt.Errorf("%w: its log is another", store.ErrCursorForeign)
		case former && position > until:
			return fmt.Errorf("%w: position %d was reached after the backup that was restored", store.ErrCursorForeign, position)
		case position < 0 || position > head.Position:
			return fmt.Errorf("%w: the log has not reached position %d", store.ErrCursorForeign, position)
		case position < oldest-1:
			return fmt.Errorf("%w: position %d", store.ErrCursorExpired, position)
		case position == 0 && cursor.Check != 0:
			return fmt.Errorf("%w: position 0 has no entry", store.ErrCursorForeign)
		case position == oldest-1:
			return nil // The entry that the reader saw is gone, the next one is there.
		default:
			entry, err := s.read.readEntry(ctx, int64(position))
			if err != nil {
				return err
			}
			if entry.Cursor.Check != cursor.Check {
				return fmt.Errorf("%w: the entry at position %d is another", store.ErrCursorForeign, position)
			}
			return nil
		}
	})
	if err != nil {
		return 0, err
	}
	return cursor.Position, nil
}
