package main

import (
	"slices"

	"github.com/callnorm/callnorm/test/internal/report"
)

// overlook forgets a revision in the midst of the log.
func (t *truth) overlook() {
	at := len(t.log) / 4
	t.log = append(t.log[:at:at], t.log[at+1:]...)
	t.passes = append(t.passes[:at:at], t.passes[at+1:]...)
}

func sum(books []*book) *book {
	all := &book{}
	for _, b := range books {
		all.answers += b.answers
		all.repeated += b.repeated
		all.traces += b.traces
		all.acknowledged = append(all.acknowledged, b.acknowledged...)
		all.deleted = append(all.deleted, b.deleted...)
		all.refused = append(all.refused, b.refused...)
	}
	return all
}

// report holds what writers were told against the log.
func (b *book) report(m *report.Report, c *court) {
	m.Note("webhooks answered 2xx", report.Grouped(b.answers))
	m.Note("  sent again after 503 or a lost connection", report.Grouped(b.repeated))
	distinct, removed, missing := make(map[revision]bool), 0, 0
	for _, a := range b.acknowledged {
		if distinct[a.revision] {
			continue
		}
		distinct[a.revision] = true
		_, kept := c.at[a.revision]
		switch {
		case kept:
		case c.log.deleted[a.revision.call]:
			removed++
		default:
			missing++
			m.Examplef("revision %d of %s was acknowledged and is not in the log", a.revision.number, c.names.name(a.revision.call))
		}
	}
	m.Note("revisions that these answers named", report.Grouped(len(distinct)))
	m.Note("  removed with their calls since", report.Grouped(removed))
	m.Checkf(missing == 0, "  of the others missing in the log", "0", "%s", report.Grouped(missing))

	m.Note("calls deleted", report.Grouped(len(b.deleted)))
	untold := 0
	for _, call := range b.deleted {
		if !c.log.deleted[call] {
			untold++
			m.Examplef("%s was deleted, and the log does not say so", c.names.name(call))
		}
	}
	m.Note("  told that the journal kept traces for the time being", report.Grouped(b.traces))
	m.Checkf(untold == 0, "  of which the log does not say so", "0", "%d", untold)
	m.Checkf(len(b.refused) == 0, "  deletions refused", "0", "%d", len(b.refused))
	for _, text := range b.refused {
		m.Examplef("%s", text)
	}
	m.Note("revisions in the log", report.Grouped(len(c.log.log)))
	broken := c.log.broken()
	m.Checkf(broken == 0, "  calls whose revisions are not 1, 2, 3 ... or only the one of a deletion", "0", "%s", report.Grouped(broken))
}

// broken counts calls whose revisions do not follow each other.
func (t *truth) broken() int {
	last, bad := make(map[int32]int32), make(map[int32]bool)
	for _, r := range t.log {
		before, seen := last[r.call]
		if t.deleted[r.call] && seen || !t.deleted[r.call] && r.number != before+1 {
			bad[r.call] = true
		}
		last[r.call] = r.number
	}
	return len(bad)
}

// report says what was done to readers.
func (c *counts) report(m *report.Report) {
	m.Note("streams that readers opened", report.Grouped(c.streams.Load()))
	m.Note("  cut off by the reader's end", report.Grouped(c.cut.Load()))
	m.Note("    while an acknowledgement was under way", report.Grouped(c.interrupted.Load()))
	m.Note("  left by the reader", report.Grouped(c.closed.Load()))
	m.Note("  broken or refused by the service's end", report.Grouped(c.crashed.Load()))
	m.Note("  taken over by another stream", report.Grouped(c.takenOver.Load()))
	m.Note("  stalls", report.Grouped(c.stalled.Load()))
}

// report says what readers got.
func (v *verdict) report(m *report.Report) {
	m.Checkf(v.came == v.due, "revisions that readers had to get, and got", report.Grouped(v.due), "%s", report.Grouped(v.came))
	m.Note("  came again, as they had not been acknowledged", report.Grouped(v.unprocessed))
	m.Note("  came before their calls were deleted, and were removed", report.Grouped(v.gone))
	m.Checkf(v.skipped == 0, "  passed over by a stream", "0", "%s", report.Grouped(v.skipped))
	m.Checkf(v.disordered == 0, "  out of order within a call and a stream", "0", "%s", report.Grouped(v.disordered))
	m.Checkf(v.again == 0, "  came again although they had been acknowledged", "0", "%s", report.Grouped(v.again))
	m.Checkf(v.unwanted == 0, "  did not pass the filter", "0", "%s", report.Grouped(v.unwanted))
	m.Checkf(v.strange == 0, "  are not in the log, and their calls not deleted", "0", "%s", report.Grouped(v.strange))
	m.Checkf(len(v.refused) == 0, "readers that gave up", "0", "%d", len(v.refused))
	for _, text := range slices.Concat(v.refused, v.examples) {
		m.Examplef("%s", text)
	}
}
