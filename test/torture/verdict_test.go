package main

import (
	"encoding/binary"
	"slices"
	"testing"

	"github.com/callnorm/callnorm/test/internal/report"
	"github.com/google/go-cmp/cmp"
)

// begin is the cursor before the first entry.
const begin = 1000

// one returns the n-th entry of a log: every outcome has two revisions, and is made of one delivery.
func one(n int) entry {
	e := entry{revision: revision{number: int32(n%2 + 1)}, body: uint64(5000 + n), cursor: uint64(begin + 1 + n)}
	binary.BigEndian.PutUint64(e.outcome[:], uint64(n/2))
	return e
}

func entries(from, to int) (list []entry) {
	for n := from; n < to; n++ {
		list = append(list, one(n))
	}
	return list
}

func delivery(n int) (name id) {
	binary.BigEndian.PutUint64(name[8:], uint64(n))
	return name
}

func receipts(numbers ...int) (list []receipt) {
	for _, n := range numbers {
		list = append(list, receipt{delivery(n), one(n).revision})
	}
	return list
}

func there(numbers ...int) map[id]struct{} {
	list := make(map[id]struct{})
	for _, n := range numbers {
		list[delivery(n)] = struct{}{}
	}
	return list
}

// other returns an entry with the cursor of another.
func other(n, cursor int) entry {
	e := one(n)
	e.cursor = one(cursor).cursor
	return e
}

// written is a court that knows a log of six entries.
func written() *court {
	c := newCourt()
	c.begin(begin)
	for _, e := range entries(0, 6) {
		c.extend(e)
	}
	return c
}

func TestJudging(t *testing.T) {
	t.Parallel()
	after := func(n int) uint64 { return one(n).cursor }
	tests := map[string]struct {
		told func(*court)
		want verdict
	}{
		"all is there": {func(c *court) {
			c.acknowledged(receipts(0, 1, 2, 3, 4, 5))
			c.judge(passage{after: begin, seen: entries(0, 3)})
			c.judge(passage{after: after(2), seen: entries(3, 6)})
			c.judge(passage{after: after(5)})
			c.replace(begin, entries(0, 6))
			c.delivered(there(0, 1, 2, 3, 4, 5, 6), receipts(0, 1, 2, 3, 4, 5)) // the last was kept, and its answer lost
		}, verdict{}},
		"what nobody was told may be gone": {func(c *court) {
			c.acknowledged(receipts(0, 1))
			c.delivered(there(0, 1), receipts(0, 1))
		}, verdict{}},
		"an acknowledged revision is missing": {func(c *court) { c.acknowledged(receipts(4, 5, 6)) }, verdict{lost: 1}},
		"an acknowledged delivery is missing": {func(c *court) { c.delivered(there(0, 2), receipts(0, 1, 2)) }, verdict{lost: 1}},
		"it counts once": {func(c *court) {
			c.acknowledged(receipts(6))
			c.acknowledged(receipts(6))
			c.delivered(there(), receipts(6))
		}, verdict{lost: 1}},
		"an outcome without its delivery": {func(c *court) {
			c.named[delivery(1)], c.named[delivery(2)] = struct{}{}, struct{}{}
			c.delivered(there(1), nil)
		}, verdict{orphans: 1}},
		"a cursor leads to another entry": {func(c *court) {
			c.judge(passage{after: begin, seen: []entry{one(0), other(9, 1), one(2)}})
		}, verdict{reused: 1}},
		"an outcome says something else": {func(c *court) {
			e := one(1)
			e.body++
			c.judge(passage{after: begin, seen: []entry{one(0), e}})
		}, verdict{reused: 1}},
		"a lost tail is written anew": {func(c *court) {
			c.replace(begin, append(entries(0, 4), other(8, 4), one(9)))
			c.acknowledged(receipts(3, 4, 5))
		}, verdict{reused: 1, vanished: 1, lost: 2}},
		"a lost tail": {func(c *court) {
			c.judge(passage{after: after(3), seen: entries(4, 8)})
			c.judge(passage{after: after(7)})
		}, verdict{vanished: 3}},
		"a log that repeats a cursor": {func(c *court) { c.extend(other(7, 2)) }, verdict{reused: 1}},
		"a stream that skips": {func(c *court) {
			c.judge(passage{after: after(1), seen: entries(3, 6)})
		}, verdict{skipped: 1}},
		"a stream that skips in the midst of it": {func(c *court) {
			c.judge(passage{after: begin, seen: slices.Concat(entries(0, 2), entries(4, 6))})
		}, verdict{skipped: 1}},
		"a stream that repeats": {func(c *court) {
			c.judge(passage{after: after(1), seen: entries(1, 4)})
		}, verdict{skipped: 1}},
		"a reader that is refused": {func(c *court) { c.judge(passage{after: after(1), refused: "no"}) }, verdict{refused: 1}},
	}
	for what, test := range tests {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			c := written()
			test.told(c)
			got := c.verdict
			got.examples = nil
			if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(verdict{})); diff != "" {
				t.Errorf("(-want +got):\n%s%v", diff, c.examples)
			}
			want := cmp.Equal(test.want, verdict{}, cmp.AllowUnexported(verdict{}))
			for _, rows := range []func(*report.Report){c.report, c.brief} {
				r := &report.Report{}
				rows(r)
				if r.Kept() != want {
					t.Errorf("broken in the table: %v", r.Broken())
				}
			}
			if (len(c.examples) == 0) != want {
				t.Errorf("examples: %v", c.examples)
			}
		})
	}
}

func TestNamesAreReadBack(t *testing.T) {
	t.Parallel()
	want := delivery(12345)
	if got, err := parseID(deliveries, deliveries+want.String()); err != nil || got != want {
		t.Errorf("%v, %v", got, err)
	}
	for _, name := range []string{"", "deliveries/", "outcomes/" + want.String(), "deliveries/" + want.String()[1:], "deliveries/0" + want.String()[1:]} {
		if got, err := parseID(deliveries, name); err == nil {
			t.Errorf("%q is read as %v", name, got)
		}
	}
}
