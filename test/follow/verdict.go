package main

import (
	"fmt"
	"slices"
)

// verdict is what is wrong with what readers got, over all of them.
type verdict struct {
	due, came   int // revisions that a reader had to get, and that it got
	skipped     int // that a stream passed over, whether or not they came later
	disordered  int // that came after the same or a later revision of the call, in one stream
	again       int // that came again after they had been acknowledged, or twice in one stream
	unprocessed int // that came again, as they had not been acknowledged
	gone        int // that came, and that a deletion has removed since
	strange     int // that came, and are neither in the log nor removed by a deletion
	unwanted    int
	refused     []string // readers
	examples    []string
}

// court holds journals against the log.
type court struct {
	*verdict

	log    *truth
	first  int // entries of the log that were there when the readers were told to end
	at     map[revision]int
	ranks  [][]int32 // for each choice: the place of each entry among those that pass, or -1
	counts []int     // for each choice: how many of the first pass
	book   []acknowledged
	names  *names
}

func newCourt(log *truth, first int, book []acknowledged, known *names) *court {
	c := &court{verdict: &verdict{}, log: log, first: first, at: make(map[revision]int, len(log.log)), book: book, names: known}
	for i, r := range log.log {
		c.at[r] = i
	}
	for choice := range choices {
		ranks, next := make([]int32, len(log.log)), int32(0)
		count := 0
		for i, passes := range log.passes {
			if i == first {
				count = int(next)
			}
			ranks[i] = -1
			if passes&(1<<choice) != 0 {
				ranks[i] = next
				next++
			}
		}
		if first == len(log.log) {
			count = int(next)
		}
		c.ranks, c.counts = append(c.ranks, ranks), append(c.counts, count)
	}
	return c
}

// hearing is what is known of a reader at a moment.
type hearing struct {
	*court

	journal *journal
	// place is how many of what passes the reader is done with for sure: it is to go on with the one of this number. It is unknown as
	// long as a reader who began with what came then has seen nothing.
	place int
	known bool
	// asked are places that were acknowledged without an answer.
	asked []int
	// done are removed revisions that were acknowledged.
	done map[revision]bool
	seen []bool
	// after are the places after each revision of a stream, or unknown.
	after map[*passage][]int
}

const unknown = -1

// judge hears one reader.
func (c *court) judge(j *journal) {
	h := &hearing{
		court: c, journal: j, known: !j.now, done: make(map[revision]bool), seen: make([]bool, len(c.log.log)), after: make(map[*passage][]int),
	}
	for _, m := range j.moments() {
		if m.ack == nil {
			h.follow(m.passage)
		} else {
			h.acknowledge(m.passage, m.ack)
		}
	}
	from := 0
	if j.now {
		from = min(h.latest(), slices.Index(append(h.seen, true), true))
	}
	for rank := from; rank < c.counts[j.choice]; rank++ {
		c.due++
		if h.seen[rank] {
			c.came++
		} else {
			h.showf("never got the %d. of what passes", rank+1)
		}
	}
	c.unwanted += j.unwanted
	if j.refused != "" {
		c.refused = append(c.refused, j.who+" gave up: "+j.refused)
	}
}

// latest returns the place with which a reader who began with what came then has to begin at the latest.
func (h *hearing) latest() int {
	place := h.counts[h.journal.choice]
	for _, a := range h.book {
		if at, ok := h.at[a.revision]; ok && a.sent > h.journal.began {
			if rank := h.ranks[h.journal.choice][at]; rank >= 0 {
				place = min(place, int(rank))
			}
		}
	}
	return place
}

// follow walks along a stream. From its first revision on, each has to be the one after the one before.
func (h *hearing) follow(p *passage) {
	next := unknown
	last := make(map[int32]int32)
	after := make([]int, len(p.seen))
	for i, r := range p.seen {
		if r.number <= last[r.call] {
			h.disordered++
			h.showf("got revision %d of %s after %d", r.number, h.names.name(r.call), last[r.call])
		}
		last[r.call] = max(last[r.call], r.number)
		at, ok := h.at[r]
		switch {
		case !ok && !h.log.deleted[r.call]:
			h.strange++
			h.showf("got revision %d of %s, which is not in the log", r.number, h.names.name(r.call))
		case !ok:
			h.gone++
			if h.done[r] {
				h.again++
				h.showf("got revision %d of %s again, which was acknowledged and removed", r.number, h.names.name(r.call))
			}
		default:
			if rank := h.ranks[h.journal.choice][at]; rank >= 0 { // what does not pass is counted where it is taken
				next = h.step(next, int(rank))
			}
		}
		after[i] = next
	}
	h.after[p] = after
}

// step takes the next revision of a stream and returns the place after it.
func (h *hearing) step(next, rank int) int {
	if next == unknown {
		next = h.begin(rank)
	}
	switch {
	case rank > next:
		h.skipped += rank - next
		h.showf("passed over %d, from the %d. of what passes on", rank-next, next+1)
	case rank < next:
		h.again++
		h.showf("got the %d. of what passes again, behind the %d.", rank+1, next)
		return next
	case h.seen[rank]:
		h.unprocessed++
	}
	h.seen[rank] = true
	return rank + 1
}

// begin returns the place with which a stream has to begin whose first revision has this rank. An acknowledgement without an answer
// counts if the stream begins behind it.
func (h *hearing) begin(rank int) int {
	if !h.known {
		h.known, h.place = true, min(rank, h.latest())
		return h.place
	}
	if slices.Contains(h.asked, rank) && rank > h.place {
		h.place = rank
	}
	h.asked = slices.DeleteFunc(h.asked, func(place int) bool { return place <= h.place })
	return h.place
}

// acknowledge takes what a reader is done with.
func (h *hearing) acknowledge(p *passage, a *ack) {
	place := unknown
	if a.count > 0 {
		place = h.after[p][a.count-1]
	}
	switch {
	case !a.answered:
		if place != unknown {
			h.asked = append(h.asked, place)
		}
		return
	case place > h.place:
		h.place = place
	}
	for _, r := range p.seen[:a.count] {
		if _, ok := h.at[r]; !ok {
			h.done[r] = true
		}
	}
}

// showf keeps an example, if there are not enough already.
func (h *hearing) showf(format string, args ...any) {
	const most = 20
	if len(h.examples) < most {
		h.examples = append(h.examples, h.journal.who+" "+fmt.Sprintf(format, args...))
	}
}
