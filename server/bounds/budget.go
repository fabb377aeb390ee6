package bounds

import (
	"container/list"
	"context"
	"sync"
	"time"
)

// Budget bounds the bytes that all bodies hold in memory at a time. Bodies reserve room in steps, as their bytes arrive. When
// there is none, those who hold some already come first, so that they end and give it back; who gets none in time gives back all
// that it holds in the same moment, so that of bodies that wait for each other at least one gets through. A nil Budget is
// unlimited. Its methods may be called at the same time.
//
// A body holds up to twice its size while its pieces are put together, and one that comes inflated up to twice both of its sizes:
// a budget under four times the largest body may refuse it always.
type Budget struct {
	total int64
	wait  time.Duration

	mu      sync.Mutex
	used    int64
	holders list.List // of *waiter; in the order in which they came, like
	others  list.List // those who hold nothing yet
}

// NewBudget returns a budget of that many bytes, for which a body waits that long at most each time that it needs more.
func NewBudget(total int64, wait time.Duration) *Budget { return &Budget{total: total, wait: wait} }

// InFlight returns how many bytes are reserved.
func (b *Budget) InFlight() int64 {
	if b == nil {
		return 0
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.used
}

// waiter is a claim that waits for room.
type waiter struct {
	claim   *claim
	bytes   int64
	granted chan struct{} // closed
}

func (w *waiter) isGranted() bool {
	select {
	case <-w.granted:
		return true
	default:
		return false
	}
}

// claim is what one body holds of a budget.
type claim struct {
	budget *Budget
	held   int64
}

// grow reserves more bytes. Failing with ErrOverloaded or with the context's error, it releases all that it held.
func (c *claim) grow(ctx context.Context, bytes int64) error {
	b := c.budget
	if b == nil || bytes <= 0 {
		return nil
	}
	b.mu.Lock()
	if c.held+bytes > b.total { // which waiting does not change
		b.freeLocked(c, c.held)
		b.mu.Unlock()
		return ErrOverloaded
	}
	queue := &b.others
	if c.held > 0 {
		queue = &b.holders
	}
	w := &waiter{claim: c, bytes: bytes, granted: make(chan struct{})}
	place := queue.PushBack(w)
	b.grantLocked()
	b.mu.Unlock()
	if w.isGranted() {
		return nil
	}

	timer := time.NewTimer(b.wait)
	defer timer.Stop()
	var err error
	select {
	case <-w.granted:
		return nil
	case <-timer.C:
		err = ErrOverloaded
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if w.isGranted() { // just in time
		return nil
	}
	queue.Remove(place)
	b.freeLocked(c, c.held)
	b.grantLocked() // even if nothing was held: who stood behind may fit in
	return err
}

// shrink releases some of what is held, if it still is.
func (c *claim) shrink(bytes int64) {
	if b := c.budget; b != nil {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.freeLocked(c, min(bytes, c.held))
	}
}

// release releases all that is held.
func (c *claim) release() {
	if b := c.budget; b != nil {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.freeLocked(c, c.held)
	}
}

func (b *Budget) freeLocked(c *claim, bytes int64) {
	b.used -= bytes
	c.held -= bytes
	b.grantLocked()
}

// grantLocked gives room to those who wait, in their order. Nobody overtakes one who does not fit in: a large body would wait for
// ever behind small ones.
func (b *Budget) grantLocked() {
	for _, queue := range []*list.List{&b.holders, &b.others} {
		for place := queue.Front(); place != nil; place = queue.Front() {
			w := place.Value.(*waiter) //nolint:forcetypeassert // the list holds nothing else
			if b.used+w.bytes > b.total {
				return
			}
			b.used += w.bytes
			w.claim.held += w.bytes
			queue.Remove(place)
			close(w.granted)
		}
	}
}

// Reserve takes room for something that is in memory already, until release is called. It waits as a body does.
func (b *Budget) Reserve(ctx context.Context, size int64) (release func(), err error) {
	c := &claim{budget: b}
	if err := c.grow(ctx, size); err != nil {
		return nil, err
	}
	return c.release, nil
}
