package bounds

import (
	"container/list"
	"context"
	"sync"
	"time"
)

const (
	// ownRoom is how many bytes of each body are reserved where large bodies take no more than that either. Most webhooks need none
	// but these.
	ownRoom = 32 << 10
	// patience is how long a sender may be waited for while others wait for room.
	patience = time.Second
	// lookEvery is how often somebody who waits looks for senders who have become slow.
	lookEvery = 50 * time.Millisecond
)

// Budget bounds the bytes that all bodies hold in memory at a time. Bodies reserve room in steps, as their bytes arrive: the first
// 32 KiB of each in a pool of their own, so that large bodies and small ones do not wait for each other, and the rest in another.
//
// When a pool is full, those who hold some of it already come first, so that they end and give it back; who gets none in time gives
// back all that it holds in the same moment, so that of bodies that wait for each other at least one gets through. Nobody who holds
// some of the second pool waits for the first, so that none wait in a circle.
//
// While somebody waits for a pool, the slow give way: bodies that hold some of it and have spent a second in all on waiting for their
// senders, and still wait, are thrown out with ErrOverloaded, those that began first at first, and as many as make room for all who
// wait. Who has been received as a whole, or waits for room itself, is never thrown out; nor is anybody while there is room.
//
// A nil Budget is unlimited. Its methods may be called at the same time.
//
// A body holds up to twice its size while its pieces are put together, and one that comes inflated up to twice both of its sizes:
// a budget under four times the largest body may refuse it always.
type Budget struct {
	wait time.Duration

	mu        sync.Mutex
	pools     [2]pool   // for what share tells
	receiving list.List // of *claim, in the order in which they began
}

// NewBudget returns a budget for which a body waits that long at most each time that it needs more. Total is how many bytes there
// are for what is beyond the first 32 KiB of each body. For these there are as many again, so that up to twice the total is held: it
// takes a body that is being received, and so mostly a connection, for each 32 KiB to fill that pool.
func NewBudget(total int64, wait time.Duration) *Budget {
	return &Budget{wait: wait, pools: [2]pool{{total: total}, {total: total}}}
}

// InFlight returns how many bytes are reserved, in both pools.
func (b *Budget) InFlight() int64 {
	if b == nil {
		return 0
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.pools[0].used + b.pools[1].used
}

// Reserve takes room for something that is in memory already, until release is called. It waits as a body does.
func (b *Budget) Reserve(ctx context.Context, size int64) (release func(), err error) {
	c := &claim{budget: b}
	if err := c.grow(ctx, size); err != nil {
		return nil, err
	}
	return c.release, nil
}

// share returns how much of what a body holds is in which pool. The first is filled at first, and emptied last.
func share(held int64) [2]int64 {
	own := min(held, ownRoom)
	return [2]int64{own, held - own}
}

// pool is one part of a budget, which locks it.
type pool struct {
	total   int64
	used    int64
	wanted  int64     // by all who wait
	leaving int64     // of what is used: held by who was thrown out and has not noticed yet
	holders list.List // of *waiter; in the order in which they came, like
	others  list.List // those who hold nothing of this pool yet
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

// grant gives room to those who wait, in their order. Nobody overtakes one who does not fit in: a large body would wait for ever
// behind small ones.
func (p *pool) grant() {
	for w, queue := p.next(); w != nil && p.used+w.bytes <= p.total; w, queue = p.next() {
		p.used += w.bytes
		w.claim.held += w.bytes
		p.wanted -= w.bytes
		queue.Remove(queue.Front())
		close(w.granted)
	}
}

// next returns who is the next to be given room, or nil, and where it waits.
func (p *pool) next() (*waiter, *list.List) {
	for _, queue := range []*list.List{&p.holders, &p.others} {
		if place := queue.Front(); place != nil {
			return place.Value.(*waiter), queue //nolint:forcetypeassert // the list holds nothing else
		}
	}
	return nil, nil
}

// missing returns how much room those who wait lack, if everybody leaves who was told to.
func (p *pool) missing() int64 { return p.wanted - (p.total - p.used) - p.leaving }

// clearLocked throws slow bodies out until there is room for all who wait for a pool, or nobody is slow.
func (b *Budget) clearLocked(which int) {
	now := time.Now()
	var next *list.Element
	for place := b.receiving.Front(); place != nil && b.pools[which].missing() > 0; place = next {
		next = place.Next()
		c := place.Value.(*claim) //nolint:forcetypeassert // the list holds nothing else
		if now.Sub(c.began) < patience {
			return // like all behind it
		}
		if c.end == nil || now.Sub(c.slowSince) < patience || share(c.held)[which] == 0 || c.end() != nil {
			continue
		}
		c.thrown = true
		b.receiving.Remove(place)
		c.place, c.end = nil, nil
		for i, bytes := range share(c.held) {
			b.pools[i].leaving += bytes
		}
	}
}
