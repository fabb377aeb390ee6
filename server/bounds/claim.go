package bounds

import (
	"container/list"
	"context"
	"time"
)

// claim is what one body holds of a budget.
type claim struct {
	budget *Budget
	held   int64

	began     time.Time     // to be received
	place     *list.Element // among those who are being received, or nil
	end       func() error  // ends the wait for the sender; nil while there is none
	slowSince time.Time     // when that wait would have begun, had it been the only one
	thrown    bool          // out; it has to give everything back
}

// grow reserves more bytes. Failing with ErrOverloaded or with the context's error, it releases all that it held.
func (c *claim) grow(ctx context.Context, bytes int64) error {
	b := c.budget
	if b == nil || bytes <= 0 {
		return nil
	}
	until := time.Now().Add(b.wait)
	before, after := share(c.held), share(c.held+bytes)
	for i := range b.pools {
		if err := c.take(ctx, i, after[i]-before[i], until); err != nil {
			return err
		}
	}
	return nil
}

// take reserves more bytes of one pool.
func (c *claim) take(ctx context.Context, which int, bytes int64, until time.Time) error {
	if bytes == 0 {
		return nil
	}
	b := c.budget
	p := &b.pools[which]
	b.mu.Lock()
	holds := share(c.held)[which]
	if c.thrown || holds+bytes > p.total { // which waiting does not change
		b.freeLocked(c, c.held)
		b.mu.Unlock()
		return ErrOverloaded
	}
	queue := &p.others
	if holds > 0 {
		queue = &p.holders
	}
	w := &waiter{claim: c, bytes: bytes, granted: make(chan struct{})}
	place := queue.PushBack(w)
	p.wanted += bytes
	p.grant()
	if w.isGranted() {
		b.mu.Unlock()
		return nil
	}
	b.clearLocked(which)
	b.mu.Unlock()

	err := b.await(ctx, which, w, until)
	if err == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if w.isGranted() { // just in time
		return nil
	}
	queue.Remove(place)
	p.wanted -= bytes
	b.freeLocked(c, c.held) // even if nothing was held: who stood behind may fit in
	return err
}

// await waits until there is room, or tells why there was none in time. Who comes next looks for those who have become slow.
func (b *Budget) await(ctx context.Context, which int, w *waiter, until time.Time) error {
	timer, look := time.NewTimer(time.Until(until)), time.NewTicker(lookEvery)
	defer timer.Stop()
	defer look.Stop()
	for {
		select {
		case <-w.granted:
			return nil
		case <-timer.C:
			return ErrOverloaded
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-look.C:
			b.mu.Lock()
			if next, _ := b.pools[which].next(); next == w {
				b.clearLocked(which)
			}
			b.mu.Unlock()
		}
	}
}

// listen says that the sender is waited for, as it was for that long before. Until heard is called, the body may be thrown out:
// then end is called once, and has to end that wait.
func (c *claim) listen(before time.Duration, end func() error) {
	b := c.budget
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	if c.place == nil {
		c.began, c.place = now, b.receiving.PushBack(c)
	}
	c.slowSince, c.end = now.Add(-before), end
}

// heard says that the sender is not waited for any more, or ever again, and tells whether the body was thrown out.
func (c *claim) heard(last bool) (thrown bool) {
	b := c.budget
	if b == nil {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	c.end = nil
	if last {
		b.receivedLocked(c)
	}
	return c.thrown
}

// shrink releases some of what is held, if it still is.
func (c *claim) shrink(bytes int64) {
	if b := c.budget; b != nil {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.freeLocked(c, min(bytes, c.held))
	}
}

// release releases all that is held. Nothing is received afterwards.
func (c *claim) release() {
	if b := c.budget; b != nil {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.receivedLocked(c)
		b.freeLocked(c, c.held)
	}
}

// receivedLocked takes a body from those that are being received, if it is there.
func (b *Budget) receivedLocked(c *claim) {
	if c.place != nil {
		b.receiving.Remove(c.place)
		c.place = nil
	}
}

func (b *Budget) freeLocked(c *claim, bytes int64) {
	before, after := share(c.held), share(c.held-bytes)
	c.held -= bytes
	for i := range b.pools {
		p := &b.pools[i]
		p.used -= before[i] - after[i]
		if c.thrown {
			p.leaving -= before[i] - after[i]
		}
		p.grant()
	}
}
