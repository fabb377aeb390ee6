package rejection

import (
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Bounds of what is remembered in memory.
const (
	// maxSources is how many sources are told apart.
	maxSources = 10_000
	// maxSecrets is how many secrets of one source are. Beyond it, the one that matched longest ago is forgotten.
	maxSecrets = 64
	// maxCauses is how many causes are; the list is closed and shorter. Others are counted under otherCause.
	maxCauses  = 64
	otherCause = "other"
)

// tally counts what happens to one source. Times are microseconds since 1970; 0 is never.
type tally struct {
	source string
	// dirty says that the summary on disk is older. It is set after what it tells of.
	dirty atomic.Bool

	accepted, refused, dropped, unheld atomic.Int64
	lastAccept, lastRefusal            atomic.Int64
	// streak holds the refusals since the last acceptance, or nil. Accepting takes it away, which needs no lock; who is
	// about to add to one that was taken away has refused before that.
	streak atomic.Pointer[streak]
	// matches tells when secrets last matched. What is written once and read often is in a map that reading does not lock.
	matches  sync.Map // Fingerprint to *atomic.Int64
	learning sync.Mutex
	secrets  int // guarded by learning

	// queued and queuedBytes are this source's share of the queue.
	queued, queuedBytes atomic.Int64
	// usage is replaced by the writer when a transaction has changed it.
	usage atomic.Pointer[usage]
}

// usage is what the database holds of a source, and the count of what it had to give up for that.
type usage struct{ rejections, requests, bytes, evicted int64 }

func newTally(source string) *tally {
	t := &tally{source: strings.Clone(source)} // it may be a part of a path
	t.usage.Store(&usage{})
	return t
}

type streak struct {
	mutex  sync.Mutex
	begin  int64
	count  int64
	causes map[string]int64
}

func (t *tally) accept(now int64, secret Fingerprint) {
	t.accepted.Add(1)
	t.lastAccept.Store(now)
	if secret != "" {
		if at, ok := t.matches.Load(secret); ok {
			at.(*atomic.Int64).Store(now) //nolint:forcetypeassert // nothing else is put in
		} else {
			t.learn(secret, now)
		}
	}
	if t.streak.Load() != nil {
		t.streak.Store(nil)
	}
}

// learn remembers a secret that matches for the first time.
func (t *tally) learn(secret Fingerprint, now int64) {
	t.learning.Lock()
	defer t.learning.Unlock()
	at := new(atomic.Int64)
	at.Store(now)
	if _, known := t.matches.LoadOrStore(secret, at); known {
		return
	}
	if t.secrets++; t.secrets <= maxSecrets {
		return
	}
	oldest, when := Fingerprint(""), int64(0)
	for other, at := range t.matchTimes() {
		if other != secret && (oldest == "" || at < when) {
			oldest, when = other, at
		}
	}
	t.matches.Delete(oldest)
	t.secrets--
}

func (t *tally) matchTimes() map[Fingerprint]int64 {
	times := map[Fingerprint]int64{}
	for secret, at := range t.matches.Range {
		times[secret.(Fingerprint)] = at.(*atomic.Int64).Load() //nolint:forcetypeassert // nothing else is put in
	}
	return times
}

func (t *tally) refuse(now int64, cause string) {
	t.refused.Add(1)
	t.lastRefusal.Store(now)
	for {
		if s := t.streak.Load(); s != nil {
			s.add(cause)
			return
		}
		t.streak.CompareAndSwap(nil, &streak{begin: now, causes: map[string]int64{}})
	}
}

func (s *streak) add(cause string) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.count++
	if _, known := s.causes[cause]; !known && len(s.causes) >= maxCauses {
		cause = otherCause
	}
	s.causes[cause]++
}

// snapshot is a tally at one moment, as it is stored.
type snapshot struct {
	accepted, refused, dropped, unheld int64
	lastAccept, lastRefusal            int64
	streakBegin, streakCount           int64
	causes                             map[string]int64
	matches                            map[Fingerprint]int64
}

func (t *tally) snapshot() snapshot {
	s := snapshot{
		accepted: t.accepted.Load(), refused: t.refused.Load(), dropped: t.dropped.Load(), unheld: t.unheld.Load(),
		lastAccept: t.lastAccept.Load(), lastRefusal: t.lastRefusal.Load(),
		causes: map[string]int64{}, matches: t.matchTimes(),
	}
	if streak := t.streak.Load(); streak != nil {
		streak.mutex.Lock()
		defer streak.mutex.Unlock()
		s.streakBegin, s.streakCount, s.causes = streak.begin, streak.count, maps.Clone(streak.causes)
	}
	return s
}

// restore returns the tally that a snapshot was taken of.
func (s snapshot) restore(source string) *tally {
	t := newTally(source)
	t.accepted.Store(s.accepted)
	t.refused.Store(s.refused)
	t.dropped.Store(s.dropped)
	t.unheld.Store(s.unheld)
	t.lastAccept.Store(s.lastAccept)
	t.lastRefusal.Store(s.lastRefusal)
	if s.streakCount > 0 {
		t.streak.Store(&streak{begin: s.streakBegin, count: s.streakCount, causes: s.causes})
	}
	for secret, at := range s.matches {
		t.learn(secret, at)
	}
	return t
}

func (t *tally) summary() Summary {
	s, u := t.snapshot(), t.usage.Load()
	summary := Summary{
		Accepted: s.accepted, Refused: s.refused,
		LastAcceptTime: timeOf(s.lastAccept), LastRefusalTime: timeOf(s.lastRefusal),
		RefusedSinceAccept: s.streakCount, FirstRefusalSinceAccept: timeOf(s.streakBegin), ByCause: s.causes,
		MatchTimes:   make(map[Fingerprint]time.Time, len(s.matches)),
		HeldRequests: u.requests, HeldBytes: u.bytes,
		Dropped: s.dropped, Unheld: s.unheld, Evicted: u.evicted,
	}
	for secret, at := range s.matches {
		summary.MatchTimes[secret] = timeOf(at)
	}
	return summary
}

func timeOf(micros int64) time.Time {
	if micros == 0 {
		return time.Time{}
	}
	return time.UnixMicro(micros).UTC()
}
