package main

import (
	"testing"
	"time"

	"github.com/callnorm/callnorm/test/internal/report"
	"github.com/google/go-cmp/cmp"
)

// Calls of the logs below.
const (
	first int32 = iota
	two
	erased
	other
)

// everything is the choice that passes all, some one that passes what the log below says.
const (
	everything = iota
	some
)

// written is a log of seven revisions, of which five were there when the readers were told to end. A call was deleted in its midst, and
// what was said of it before was removed.
func written() *truth {
	t := &truth{deleted: make(map[int32]bool)}
	const all, both = 1 << everything, 1<<everything | 1<<some
	t.add(revision{first, 1}, all, false)
	t.add(revision{two, 1}, both, false)
	t.add(revision{first, 2}, all, false)
	t.add(revision{erased, 3}, both, true)
	t.add(revision{two, 2}, both, false)
	t.add(revision{first, 3}, all, false)
	t.add(revision{other, 1}, both, false)
	return t
}

const ended = 5

// whole is the log as a reader sees it who was there all the time.
var whole = []revision{{first, 1}, {erased, 1}, {two, 1}, {erased, 2}, {first, 2}, {erased, 3}, {two, 2}, {first, 3}, {other, 1}}

func known() *names {
	n := newNames()
	for _, name := range []string{"one", "two", "erased", "other"} {
		n.number(name)
	}
	return n
}

// sees makes a reader open a stream in which it sees revisions, and be done with the first so many.
func (j *journal) sees(done int, answered bool, seen ...revision) *journal {
	p := j.open()
	p.seen = append(p.seen, seen[:done]...)
	j.acknowledge(p, answered)
	p.seen = append(p.seen, seen[done:]...)
	return j
}

func TestReadersAreJudged(t *testing.T) {
	tests := map[string]struct {
		journal *journal
		want    verdict
	}{
		"one stream that sees all": {
			new(journal).sees(9, true, whole...), verdict{due: 5, came: 5, gone: 2},
		},
		"one stream that ends where the log ended": {
			new(journal).sees(7, true, whole[:7]...), verdict{due: 5, came: 5, gone: 2},
		},
		"one that came when the call had been deleted": {
			new(journal).sees(5, true, whole[0], whole[2], whole[4], whole[5], whole[6]), verdict{due: 5, came: 5},
		},
		"one that saw some of what is removed": {
			new(journal).sees(1, true, whole[0], whole[2], whole[3], whole[4]).sees(0, true, whole[2], whole[4], whole[5], whole[6]),
			verdict{due: 5, came: 5, gone: 1, unprocessed: 2},
		},
		"one that misses what says that a call was deleted": {
			new(journal).sees(6, true, whole[0], whole[1], whole[2], whole[3], whole[4], whole[6]),
			verdict{due: 5, came: 4, gone: 2, skipped: 1},
		},
		"one that passes over a revision": {
			new(journal).sees(4, true, whole[0], whole[4], whole[5], whole[6]), verdict{due: 5, came: 4, skipped: 1},
		},
		"one that stops too early": {
			new(journal).sees(3, true, whole[0], whole[2], whole[4]), verdict{due: 5, came: 3},
		},
		"one that sees nothing": {
			new(journal).sees(0, true), verdict{due: 5},
		},
		"one that goes on one too far": {
			new(journal).sees(2, true, whole[0], whole[2]).sees(2, true, whole[5], whole[6]), verdict{due: 5, came: 4, skipped: 1},
		},
		"one that goes on after what it was done with": {
			new(journal).sees(1, true, whole[0], whole[2]).sees(4, true, whole[2], whole[4], whole[5], whole[6]),
			verdict{due: 5, came: 5, unprocessed: 1},
		},
		"one that sees again what it was done with": {
			new(journal).sees(2, true, whole[0], whole[2]).sees(4, true, whole[2], whole[4], whole[5], whole[6]),
			verdict{due: 5, came: 5, again: 1},
		},
		"one that sees again what it was done with, and what is removed": {
			new(journal).sees(2, true, whole[0], whole[1]).sees(5, true, whole[1], whole[2], whole[4], whole[5], whole[6]),
			verdict{due: 5, came: 5, gone: 2, again: 1},
		},
		"one whose last acknowledgement was lost": {
			new(journal).sees(2, false, whole[0], whole[2]).sees(5, true, whole[0], whole[2], whole[4], whole[5], whole[6]),
			verdict{due: 5, came: 5, unprocessed: 2},
		},
		"one whose last acknowledgement counted without an answer": {
			new(journal).sees(2, false, whole[0], whole[2]).sees(3, true, whole[4], whole[5], whole[6]), verdict{due: 5, came: 5},
		},
		"one that counted, and not any more": {
			new(journal).sees(2, false, whole[0], whole[2]).sees(0, true, whole[4]).sees(5, true, whole[0], whole[2], whole[4], whole[5], whole[6]),
			verdict{due: 5, came: 5, again: 2, unprocessed: 1},
		},
		"one that goes on at a place that was never acknowledged": {
			new(journal).sees(2, false, whole[0], whole[2], whole[4]).sees(2, true, whole[5], whole[6]),
			verdict{due: 5, came: 5, skipped: 3},
		},
		"one that sees a revision twice in a stream": {
			new(journal).sees(6, true, whole[0], whole[2], whole[2], whole[4], whole[5], whole[6]),
			verdict{due: 5, came: 5, again: 1, disordered: 1},
		},
		"one that sees revisions in another order": {
			new(journal).sees(5, true, whole[4], whole[0], whole[2], whole[5], whole[6]),
			verdict{due: 5, came: 3, skipped: 2, again: 2, disordered: 1},
		},
		"one that sees what is nowhere": {
			new(journal).sees(6, true, whole[0], revision{other, 7}, whole[2], whole[4], whole[5], whole[6]),
			verdict{due: 5, came: 5, strange: 1},
		},
		"one with a filter": {
			(&journal{choice: some}).sees(3, true, whole[2], whole[5], whole[6]), verdict{due: 3, came: 3},
		},
		"one with a filter that loses something": {
			(&journal{choice: some}).sees(2, true, whole[2], whole[6]), verdict{due: 3, came: 2, skipped: 1},
		},
		"one with a filter that lets too much through": {
			(&journal{choice: some, unwanted: 1}).sees(3, true, whole[2], whole[4], whole[5], whole[6]), verdict{due: 3, came: 3, unwanted: 1},
		},
		"one that begins with what comes then": {
			(&journal{now: true, began: 3 * time.Second}).sees(3, true, whole[4], whole[5], whole[6]), verdict{due: 3, came: 3},
		},
		"one that begins later than that": {
			(&journal{now: true, began: 3 * time.Second}).sees(1, true, whole[6]), verdict{due: 3, came: 1, skipped: 2},
		},
		"one that begins with what comes then, and sees nothing of it": {
			(&journal{now: true, began: 3 * time.Second}).sees(0, true), verdict{due: 3},
		},
		"one that begins when nothing comes any more": {
			(&journal{now: true, began: 9 * time.Second}).sees(0, true), verdict{},
		},
		"one that gave up": {
			(&journal{refused: "no"}).sees(7, true, whole[:7]...), verdict{due: 5, came: 5, gone: 2, refused: []string{" gave up: no"}},
		},
	}
	book := []acknowledged{{revision{first, 1}, time.Second}, {revision{two, 1}, 2 * time.Second}, {revision{first, 2}, 4 * time.Second}}
	for what, test := range tests {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			court := newCourt(written(), ended, book, known())
			court.judge(test.journal)
			got := *court.verdict
			got.examples = nil
			if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(verdict{})); diff != "" {
				t.Errorf("(-want +got):\n%s%v", diff, court.examples)
			}
			m := &report.Report{}
			court.report(m)
			want := got.came == got.due && got.skipped+got.disordered+got.again+got.unwanted+got.strange+len(got.refused) == 0
			if m.Kept() != want {
				t.Errorf("broken in the table: %v", m.Broken())
			}
		})
	}
}

func TestASecondStreamTakesOver(t *testing.T) {
	t.Parallel()
	j := &journal{}
	old := j.open()
	old.seen = append(old.seen, whole[0])
	j.acknowledge(old, true)
	second := j.open() // it goes on behind the acknowledgement, whatever the old one says later
	old.seen = append(old.seen, whole[2], whole[4])
	second.seen = append(second.seen, whole[2], whole[4])
	j.acknowledge(old, true)
	second.seen = append(second.seen, whole[5])
	third := j.open() // behind the late acknowledgement
	third.seen = append(third.seen, whole[5], whole[6])
	court := newCourt(written(), ended, nil, known())
	court.judge(j)
	want := &verdict{due: 5, came: 5, unprocessed: 3}
	if diff := cmp.Diff(want, court.verdict, cmp.AllowUnexported(verdict{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestWritersAreJudged(t *testing.T) {
	tests := map[string]struct {
		book book
		log  func(*truth)
		want []string // that are broken
	}{
		"all is there": {book: book{acknowledged: []acknowledged{{revision: whole[0]}, {revision: whole[1]}, {revision: whole[2]}}, deleted: []int32{erased}}},
		"an acknowledged revision is missing": {
			book: book{acknowledged: []acknowledged{{revision: revision{other, 2}}}}, want: []string{"  of the others missing in the log"},
		},
		"a deletion is missing":  {book: book{deleted: []int32{two}}, want: []string{"  of which the log does not say so"}},
		"a deletion was refused": {book: book{refused: []string{"no"}}, want: []string{"  deletions refused"}},
		"a revision was overlooked": {
			log: func(t *truth) { t.overlook() }, want: []string{"  calls whose revisions are not 1, 2, 3 ... or only the one of a deletion"},
		},
		"a revision of a deleted call is there still": {
			log:  func(t *truth) { t.add(revision{erased, 4}, 1, false) },
			want: []string{"  calls whose revisions are not 1, 2, 3 ... or only the one of a deletion"},
		},
	}
	for what, test := range tests {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			log := written()
			if test.log != nil {
				test.log(log)
			}
			m := &report.Report{}
			test.book.report(m, newCourt(log, ended, nil, known()))
			if diff := cmp.Diff(test.want, m.Broken()); diff != "" {
				t.Errorf("broken (-want +got):\n%s", diff)
			}
		})
	}
}
