package adaptertest

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/callnorm/callnorm/adapters"
	"github.com/callnorm/callnorm/adapters/scenario"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"
)

// checkPure checks that the same delivery means the same again and side by side, and that nobody touches it.
func checkPure(t *testing.T, adapter adapters.Adapter, cases []scenario.Scenario) {
	for _, c := range cases {
		before := slices.Clone(c.Delivery.Body)
		first := outcomeOf(adapter, c.Delivery)
		var side [4]any
		var wait sync.WaitGroup
		for i := range side {
			wait.Go(func() { side[i] = outcomeOf(adapter, c.Delivery) })
		}
		wait.Wait()
		for _, again := range side {
			if diff := cmp.Diff(first, again, protocmp.Transform()); diff != "" {
				t.Errorf("%s means something else the next time (-first +next):\n%s", c.Name, diff)
			}
		}
		if !bytes.Equal(before, c.Delivery.Body) {
			t.Errorf("%s: the adapter changed the body", c.Name)
		}
	}
}

func outcomeOf(adapter adapters.Adapter, d adapters.Delivery) any {
	result, err := adapters.Normalize(adapter, d)
	if err != nil {
		return err.Error()
	}
	return Response(result)
}

// The work is bounded, so that many and large cases stay a matter of seconds.
const (
	maxCuts   = 1500 // over all cases
	maxLeaves = 300  // per case
)

// checkHostile checks that damaged and odd variants of each case are either understood or refused with a reason. Leaves that
// lie under one path in several cases are replaced in the first of them.
func checkHostile(t *testing.T, adapter adapters.Adapter, cases []scenario.Scenario) {
	seen := make(map[string]bool)
	for _, c := range cases {
		document := documentOf(c.Delivery)
		var fresh []leaf
		for _, leaf := range spread(document.leaves(), maxLeaves) {
			if path := strings.Join(leaf.path, "."); !seen[path] {
				seen[path] = true
				fresh = append(fresh, leaf)
			}
		}
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			sent, resend := c.Delivery.Body, withBody
			if len(sent) == 0 {
				sent, resend = []byte(c.Delivery.Query), withQuery
			}
			for _, at := range places(len(sent), max(10, min(200, maxCuts/len(cases)))) {
				Check(t, adapter, resend(c.Delivery, sent[:at]))
				flipped := slices.Clone(sent)
				flipped[at] ^= 1 << (at % 8)
				Check(t, adapter, resend(c.Delivery, flipped))
			}
			for _, leaf := range fresh {
				for _, delivery := range document.odd(leaf) {
					Check(t, adapter, delivery)
				}
			}
		})
	}
}

// Check checks what must hold for every delivery, however odd: the adapter does not fail, and what it says is consistent.
func Check(tb testing.TB, adapter adapters.Adapter, d adapters.Delivery) {
	tb.Helper()
	result, err := adapters.Normalize(adapter, d)
	if err == nil {
		checkResult(tb, result)
	} else {
		known := (*adapters.Error)(nil)
		if !errors.As(err, &known) || known.Reason == callnormv1.FaultReason_FAULT_REASON_UNSPECIFIED ||
			known.Reason == callnormv1.FaultReason_FAULT_REASON_ADAPTER_FAILED {
			tb.Errorf("the adapter failed: %v", err)
		}
	}
	if tb.Failed() {
		tb.Fatalf("%d bytes of body: %.400q, of query: %.400q", len(d.Body), d.Body, d.Query)
	}
}

// Fuzz is the body of an adapter's fuzz target. The cases are its seeds.
func Fuzz(f *testing.F, adapter adapters.Adapter) {
	for _, c := range Cases(f, adapter) {
		if len(c.Delivery.Body) == 0 {
			f.Add(c.Delivery.Event, []byte(c.Delivery.Query)) // whoever reads a query reads it as a body, too
		} else {
			f.Add(c.Delivery.Event, c.Delivery.Body)
		}
	}
	f.Fuzz(func(t *testing.T, event string, body []byte) {
		Check(t, adapter, adapters.Delivery{Provider: adapter.Providers()[0], Event: event, Body: body})
	})
}

func withBody(d adapters.Delivery, body []byte) adapters.Delivery {
	d.Body = body
	return d
}

func withQuery(d adapters.Delivery, query []byte) adapters.Delivery {
	d.Query = string(query)
	return d
}

// spread returns at most n elements that are spread over a list.
func spread[E any](list []E, n int) []E {
	var chosen []E
	for _, at := range places(len(list), n) {
		chosen = append(chosen, list[at])
	}
	return chosen
}

// places returns at most n places that are spread over a body.
func places(size, n int) []int {
	var list []int
	for i := range min(size, n) {
		list = append(list, i*size/min(size, n))
	}
	return list
}
