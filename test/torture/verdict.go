package main

import (
	"fmt"

	"github.com/callnorm/callnorm/test/internal/report"
)

// entry is one message of a stream: a revision, and hashes of all that the outcome says and of the cursor behind it.
type entry struct {
	revision

	body, cursor uint64
}

// passage is what one reader got in one stream.
type passage struct {
	// after is the hash of the cursor that it began behind.
	after uint64
	seen  []entry
	// refused says why the service did not let it go on behind the cursor that it had got.
	refused string
}

// court holds what was acknowledged and what was streamed against the log, as it is after each fault.
type court struct {
	log []entry
	at  map[uint64]int   // by cursor
	has map[revision]int // the places in the log
	// named are the deliveries that outcomes say they are made of.
	named map[id]struct{}
	// missing are the deliveries that are counted as lost, each once.
	missing map[id]struct{}

	verdict
}

// verdict counts what must not be.
type verdict struct {
	// lost are acknowledged deliveries that are not there, or whose revisions are not.
	lost int
	// orphans are deliveries that an outcome says it is made of, and that are not there.
	orphans int
	// reused are cursors that lead to another entry than before.
	reused int
	// vanished are entries that a reader got, or cursors, that the log does not have.
	vanished int
	// skipped are entries that did not follow the one before in a stream.
	skipped int
	// refused are readers who were not let in with a cursor that they had got.
	refused int

	examples []string
}

func newCourt() *court {
	return &court{at: make(map[uint64]int), has: make(map[revision]int), named: make(map[id]struct{}), missing: make(map[id]struct{})}
}

// miss counts a delivery that was acknowledged and is lost.
func (c *court) miss(r receipt, why string) {
	if _, ok := c.missing[r.delivery]; ok {
		return
	}
	c.missing[r.delivery] = struct{}{}
	c.lost++
	c.examplef("delivery %s was acknowledged as %v: %s", r.delivery, r.revision, why)
}

func (v *verdict) examplef(format string, args ...any) {
	const most = 10
	if len(v.examples) < most {
		v.examples = append(v.examples, fmt.Sprintf(format, args...))
	}
}

// begin takes the cursor before the first entry.
func (c *court) begin(cursor uint64) { c.at[cursor] = -1 }

// extend takes the next entry of the log.
func (c *court) extend(e entry) {
	if before, ok := c.at[e.cursor]; ok {
		c.reused++
		c.examplef("the cursor of entry %d leads to entry %d, %v", before, len(c.log), e.revision)
	}
	c.at[e.cursor], c.has[e.revision] = len(c.log), len(c.log)
	c.log = append(c.log, e)
}

// replace takes the whole log once more. What was there before has to be there still, at the same cursors.
func (c *court) replace(begin uint64, log []entry) {
	before := c.log
	c.log, c.at, c.has = nil, make(map[uint64]int, len(log)), make(map[revision]int, len(log))
	c.begin(begin)
	for _, e := range log {
		c.extend(e)
	}
	for n, e := range before {
		switch at, ok := c.at[e.cursor]; {
		case !ok:
			c.vanished++
			c.examplef("entry %d, %v, is not in the log any more", n, e.revision)
		case c.log[at] != e:
			c.reused++
			c.examplef("the cursor of entry %d, %v, leads to %v", n, e.revision, c.log[at].revision)
		}
	}
}

// acknowledged holds answers of 2xx against the log.
func (c *court) acknowledged(list []receipt) {
	for _, r := range list {
		if _, ok := c.has[r.revision]; !ok {
			c.miss(r, "which is not in the log")
		}
	}
}

// delivered holds the deliveries that are there against those that were acknowledged, and those that outcomes name.
func (c *court) delivered(there map[id]struct{}, list []receipt) {
	for _, r := range list {
		if _, ok := there[r.delivery]; !ok {
			c.miss(r, "and is not there")
		}
	}
	for name := range c.named {
		if _, ok := there[name]; !ok {
			c.orphans++
			c.examplef("delivery %s is not there, and an outcome is made of it", name)
		}
	}
}

// judge holds what a reader got against the log.
func (c *court) judge(p passage) {
	if p.refused != "" {
		c.refused++
		c.examplef("a reader was refused with the cursor that it had got: %s", p.refused)
		return
	}
	last, ok := c.at[p.after]
	if !ok {
		c.vanished++
		c.examplef("a cursor that was handed out is not in the log")
	}
	for _, e := range p.seen {
		at, known := c.at[e.cursor]
		switch {
		case !known:
			c.vanished++
			c.examplef("%v was streamed and is not in the log", e.revision)
			ok = false
			continue
		case c.log[at] != e:
			c.reused++
			c.examplef("%v was streamed, and its cursor now leads to %v", e.revision, c.log[at].revision)
		case ok && at != last+1:
			c.skipped++
			c.examplef("%v followed entry %d in a stream, and is entry %d", e.revision, last, at)
		}
		last, ok = at, true
	}
}

// brief adds what must not be, in one row.
func (v *verdict) brief(r *report.Report) {
	r.Checkf(v.kept(), "  lost, without delivery, cursors reused, streams broken", "0, 0, 0, 0", "%d, %d, %d, %d",
		v.lost, v.orphans, v.reused, v.vanished+v.skipped+v.refused)
	v.show(r)
}

func (v *verdict) kept() bool { return v.lost+v.orphans+v.reused+v.vanished+v.skipped+v.refused == 0 }

func (v *verdict) show(r *report.Report) {
	for _, text := range v.examples {
		r.Examplef("%s", text)
	}
}

// report adds what must not be, row by row.
func (v *verdict) report(r *report.Report) {
	r.Checkf(v.lost == 0, "  acknowledged deliveries lost", "0", "%s", report.Grouped(v.lost))
	r.Checkf(v.orphans == 0, "  outcomes without their delivery", "0", "%s", report.Grouped(v.orphans))
	r.Checkf(v.reused == 0, "  cursors that lead to another entry than before", "0", "%s", report.Grouped(v.reused))
	r.Checkf(v.vanished+v.skipped+v.refused == 0, "  entries streamed and gone, streams gone on elsewhere, cursors refused", "0, 0, 0",
		"%s, %s, %s", report.Grouped(v.vanished), report.Grouped(v.skipped), report.Grouped(v.refused))
	v.show(r)
}
