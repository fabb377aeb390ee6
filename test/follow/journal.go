package main

import (
	"slices"
	"sync"
	"time"
)

// revision is one revision of one call.
type revision struct {
	call   int32 // its number among names
	number int32
}

// names are the names of outcomes, each with a number that is shorter.
type names struct {
	mu      sync.Mutex
	numbers map[string]int32
	list    []string
}

func newNames() *names { return &names{numbers: make(map[string]int32)} }

func (n *names) number(name string) int32 {
	n.mu.Lock()
	defer n.mu.Unlock()
	number, ok := n.numbers[name]
	if !ok {
		number = int32(len(n.list))
		n.numbers[name] = number
		n.list = append(n.list, name)
	}
	return number
}

func (n *names) name(number int32) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.list[number]
}

// journal is what one reader has done and seen, in its order.
type journal struct {
	who    string
	choice int // of choices
	// now tells that the reader began with what came then, which is what was sent after began at the latest.
	now   bool
	began time.Duration
	// streams are in the order in which they were opened, and steps count openings and acknowledgements.
	streams []*passage
	steps   int
	// unwanted counts what the filter should not have let through, and refused why the reader gave up.
	unwanted int
	refused  string
}

// passage is one stream of a reader.
type passage struct {
	step int
	seen []revision
	acks []ack
}

// ack says that a reader has processed the first so many revisions of a stream. One that was not answered may count, now or later, or
// may be lost.
type ack struct {
	step     int
	count    int
	answered bool
}

func (j *journal) open() *passage {
	j.steps++
	opened := &passage{step: j.steps}
	j.streams = append(j.streams, opened)
	return opened
}

// acknowledge notes that all that was seen in a stream up to now is processed.
func (j *journal) acknowledge(p *passage, answered bool) {
	j.steps++
	p.acks = append(p.acks, ack{j.steps, len(p.seen), answered})
}

// moment is a stream that was opened, or an acknowledgement.
type moment struct {
	step    int
	passage *passage
	ack     *ack // nil when it was opened
}

// moments returns what happened, in its order.
func (j *journal) moments() []moment {
	var list []moment
	for _, p := range j.streams {
		list = append(list, moment{p.step, p, nil})
		for i := range p.acks {
			list = append(list, moment{p.acks[i].step, p, &p.acks[i]})
		}
	}
	slices.SortFunc(list, func(a, b moment) int { return a.step - b.step })
	return list
}
