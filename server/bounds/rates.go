package bounds

import (
	"container/list"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Rates is a token bucket for each address, for a bounded number of them: the one that has not been seen for longest is forgotten
// first, and starts with a full bucket when it comes back. IPv6 counts by /64. A nil Rates allows everything. Its methods may be
// called at the same time.
type Rates struct {
	perSecond rate.Limit
	burst     int
	most      int

	mu      sync.Mutex
	buckets map[netip.Addr]*list.Element
	order   list.List // of *bucket; the newest comes first
}

type bucket struct {
	addr    netip.Addr
	limiter *rate.Limiter
}

// NewRates returns buckets that hold burst requests and refill with perSecond of them, for at most that many addresses. Each takes
// about 300 bytes.
func NewRates(perSecond float64, burst, addresses int) *Rates {
	return &Rates{
		perSecond: rate.Limit(perSecond), burst: burst, most: max(1, addresses), buckets: map[netip.Addr]*list.Element{},
	}
}

// Allow takes one request of an address's bucket, or says when there will be one. A refused request takes nothing.
func (r *Rates) Allow(addr netip.Addr, now time.Time) (ok bool, retryAfter time.Duration) {
	if r == nil {
		return true, 0
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	reservation := r.limiter(subscriber(addr)).ReserveN(now, 1)
	wait := reservation.DelayFrom(now)
	if wait == 0 {
		return true, 0
	}
	reservation.CancelAt(now)
	return false, wait
}

func (r *Rates) limiter(addr netip.Addr) *rate.Limiter {
	if known, ok := r.buckets[addr]; ok {
		r.order.MoveToFront(known)
		return known.Value.(*bucket).limiter //nolint:forcetypeassert // the list holds nothing else
	}
	if len(r.buckets) >= r.most {
		oldest := r.order.Remove(r.order.Back()).(*bucket) //nolint:forcetypeassert // as above
		delete(r.buckets, oldest.addr)
	}
	fresh := &bucket{addr: addr, limiter: rate.NewLimiter(r.perSecond, r.burst)}
	r.buckets[addr] = r.order.PushFront(fresh)
	return fresh.limiter
}
