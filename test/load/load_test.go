package main

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/callnorm/callnorm/adapters"
	"github.com/callnorm/callnorm/adapters/synthflow"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"google.golang.org/protobuf/proto"
)

// What a webhook says is what the tool expects back: one call each, with the id that leads to its number.
func TestWebhook(t *testing.T) {
	t.Parallel()
	g, err := newGenerator("../../adapters")
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		body     []byte
		contacts int
	}{"plain": {g.plain, 0}, "dialed": {g.dialed, 2}} {
		w := g.webhook(test.body, "127.0.0.1")
		seen := map[string]bool{}
		for range 3 {
			n := g.next.Add(1)
			w.number(n)
			result, err := adapters.Normalize(synthflow.New(), adapters.Delivery{Body: w.body(), ReceiveTime: time.Now()})
			if err != nil || len(result.Outcomes) != 1 || len(result.Faults) != 0 {
				t.Fatalf("%s: %v, %v", name, result, err)
			}
			id := result.Outcomes[0].CallID
			if got, ok := g.numberOf([]byte(id)); !ok || got != n {
				t.Errorf("%s: call %q is webhook %d, want %d", name, id, got, n)
			}
			if seen[id] || len(w.contacts) != test.contacts || bytes.Contains(w.body(), []byte(contactMark)) {
				t.Errorf("%s: webhook %d is like another one, or like the sample", name, n)
			}
			seen[id] = true
		}
	}
	if _, ok := g.numberOf([]byte(idMark)); ok {
		t.Error("a call of another run has a number")
	}
}

func TestMessageIsReadWithoutDecoding(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		message *callnormv1.StreamOutcomesResponse
		want    message
	}{
		"position": {&callnormv1.StreamOutcomesResponse{Cursor: "c"}, message{}},
		"end":      {&callnormv1.StreamOutcomesResponse{Cursor: "c", CaughtUp: true}, message{caughtUp: true}},
		"outcome": {
			&callnormv1.StreamOutcomesResponse{Outcome: &callnormv1.CallOutcome{Name: "outcomes/a", ProviderCallId: "call"}, Cursor: "c", CaughtUp: true},
			message{call: []byte("call"), outcome: true, caughtUp: true},
		},
	} {
		text, err := proto.Marshal(test.message)
		if err != nil {
			t.Fatal(err)
		}
		var got message
		if err := got.read(text); err != nil || !bytes.Equal(got.call, test.want.call) || got.outcome != test.want.outcome || got.caughtUp != test.want.caughtUp {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
		if err := got.read(append(text, 0x0a, 0xff)); err == nil {
			t.Errorf("%s: half a field is no error", name)
		}
	}
}

func TestFiguresOfRounds(t *testing.T) {
	t.Parallel()
	one := func(count int, took ...time.Duration) turn {
		return turn{count: count, elapsed: time.Second, took: took}
	}
	a := measured{turns: []turn{one(10, 1, 2, 3), one(20, 4, 5, 6), one(30, 7, 8, 9)}}
	b := measured{turns: []turn{one(10, 2, 2, 2), one(10, 5, 5, 5), one(10, 8, 8, 8)}}
	if got := a.ratio(b, turn.perSecond); got != 2 {
		t.Errorf("ratio %v", got)
	}
	if got := a.ratio(b, atQuantile(0.5)); got != 1 {
		t.Errorf("ratio of medians %v", got)
	}
	if got := a.quantile(0.99); got != 9 {
		t.Errorf("quantile %v", got)
	}
	if got := quantile([]int(nil), 0.5); got != 0 {
		t.Errorf("quantile of nothing %v", got)
	}
}

func TestSizes(t *testing.T) {
	t.Parallel()
	for calls, want := range map[int][]int{
		0: nil, 5_000: {5_000}, 10_000: {10_000}, 50_000: {10_000, 50_000}, 1_000_000: {10_000, 100_000, 1_000_000},
	} {
		if got := sizes(calls); !slices.Equal(got, want) {
			t.Errorf("%d calls: %v, want %v", calls, got, want)
		}
	}
}
