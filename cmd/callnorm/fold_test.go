package main

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/callnorm/callnorm/adapters"
	"github.com/callnorm/callnorm/adapters/adaptertest"
	"github.com/callnorm/callnorm/adapters/catalog"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/callnorm/callnorm/internal/callstate"
	gocmp "github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"
)

// exhaustive is how many deliveries a call may have for every order of them to be tried.
const exhaustive = 6

// TestEveryHistoryOfACallEndsInTheSameOutcome takes what an adapter's fixtures say as told about one call, as the deliveries of it
// arrive: in any order, any number of times, and with deadlines that pass whenever the call is waiting for more. A new adapter is
// in it by being registered.
func TestEveryHistoryOfACallEndsInTheSameOutcome(t *testing.T) {
	set, err := catalog.Set()
	if err != nil {
		t.Fatal(err)
	}
	// All orders of six take as long as hundreds of other calls, so few have six.
	size := rapid.SampledFrom(slices.Concat(slices.Repeat([]int{2, 3, 4, 7, 9, 12, 15}, 8), []int{5, exhaustive, exhaustive}))
	for _, adapter := range set.All() {
		t.Run(adapter.Name(), func(t *testing.T) {
			pools := calls(t, adapter)
			rapid.Check(t, func(t *rapid.T) {
				pool := pools[rapid.IntRange(0, len(pools)-1).Draw(t, "call")]
				n := min(size.Draw(t, "size"), len(pool))
				some := drawn(pool, rapid.Permutation(numbers(len(pool))).Draw(t, "deliveries")[:n])
				before := copies(some)
				deadlines := rapid.SliceOfN(rapid.Bool(), n, n).Draw(t, "a deadline passes after")
				want := plain((&history{}).all(t, some))
				if n <= exhaustive {
					everyOrder(t, &history{}, some, deadlines, want)
				}
				repeated := rapid.SliceOfN(rapid.IntRange(0, n-1), 0, 3).Draw(t, "repeated")
				order := rapid.Permutation(append(numbers(n), repeated...)).Draw(t, "order")
				compare(t, want, asReceived(drawn(some, order), deadlines).all(t, nil))
				for i := range some {
					if !proto.Equal(before[i], some[i]) {
						t.Fatal("a contribution was changed")
					}
				}
			})
		})
	}
}

func numbers(n int) []int {
	list := make([]int, n)
	for i := range list {
		list[i] = i
	}
	return list
}

// drawn returns what stands at some places of a list.
func drawn(list []*callnormv1.CallOutcome, places []int) []*callnormv1.CallOutcome {
	some := make([]*callnormv1.CallOutcome, len(places))
	for i, at := range places {
		some[i] = list[at]
	}
	return some
}

// asReceived returns the history of deliveries that arrive a second apart.
func asReceived(order []*callnormv1.CallOutcome, deadlines []bool) *history {
	return &history{coming: order, deadlines: deadlines, dated: true}
}

// history is one call as the service comes to know it.
type history struct {
	heard     []*callnormv1.CallOutcome
	outcome   *callnormv1.CallOutcome
	coming    []*callnormv1.CallOutcome
	deadlines []bool // after how many deliveries one passes, if the call is waiting
	dated     bool   // times of receipt follow the order
}

// all goes on to the end: all deliveries have come, and all deadlines have passed.
func (h *history) all(t *rapid.T, more []*callnormv1.CallOutcome) *callnormv1.CallOutcome {
	for i, call := range append(h.coming, more...) {
		if h.dated {
			call = proto.CloneOf(call)
			call.Provenance.Deliveries[0].ReceiveTime = timestamppb.New(time.Unix(int64(i), 0))
		}
		h.hear(t, call)
		if len(h.deadlines) > 0 && h.deadlines[i%len(h.deadlines)] {
			h.wait(t)
		}
	}
	h.wait(t)
	return h.outcome
}

// hear puts one more contribution to the others.
func (h *history) hear(t *rapid.T, call *callnormv1.CallOutcome) {
	before := h.outcome
	h.heard = append(h.heard, call)
	h.outcome = callstate.Fold(h.heard)
	if h.outcome.GetCompleteness() < before.GetCompleteness() {
		t.Fatalf("%s went back to %s", before.GetCompleteness(), h.outcome.GetCompleteness())
	}
	told := before.GetStatus() > callnormv1.CallStatus_CALL_STATUS_OTHER
	if told && !open(before.GetStatus()) && open(h.outcome.GetStatus()) {
		t.Fatalf("a call that was %s is %s", before.GetStatus(), h.outcome.GetStatus())
	}
}

// wait lets the deadline pass of a call that is waiting for more.
func (h *history) wait(t *rapid.T) {
	if h.outcome.GetCompleteness() != callnormv1.Completeness_COMPLETENESS_SETTLING {
		return
	}
	h.hear(t, callstate.Deadline(time.Unix(int64(len(h.heard)), 0)))
	if h.outcome.GetCompleteness() != callnormv1.Completeness_COMPLETENESS_FINAL || len(h.outcome.GetExpectedParts()) > 0 {
		t.Fatalf("after the deadline it is %s and expects %s", h.outcome.GetCompleteness(), h.outcome.GetExpectedParts())
	}
}

// everyOrder goes through all orders of what is still to come, and reaches what several begin with only once.
func everyOrder(t *rapid.T, h *history, coming []*callnormv1.CallOutcome, deadlines []bool, want *callnormv1.CallOutcome) {
	if len(coming) == 0 {
		h.wait(t)
		compare(t, want, h.outcome)
		return
	}
	for i := range coming {
		next := &history{heard: slices.Clone(h.heard), outcome: h.outcome}
		next.hear(t, coming[i])
		if deadlines[len(coming)-1] {
			next.wait(t)
		}
		everyOrder(t, next, slices.Delete(slices.Clone(coming), i, i+1), deadlines, want)
	}
}

// open tells whether a status is that of a call that goes on.
func open(status callnormv1.CallStatus) bool {
	switch status {
	case callnormv1.CallStatus_CALL_STATUS_QUEUED, callnormv1.CallStatus_CALL_STATUS_INITIATED,
		callnormv1.CallStatus_CALL_STATUS_RINGING, callnormv1.CallStatus_CALL_STATUS_IN_PROGRESS,
		callnormv1.CallStatus_CALL_STATUS_PAUSED:
		return true
	default:
		return false
	}
}

func compare(t *rapid.T, want, got *callnormv1.CallOutcome) {
	if got = plain(got); !proto.Equal(want, got) {
		t.Fatalf("(-one history +another):\n%s", gocmp.Diff(want, got, protocmp.Transform()))
	}
}

// plain returns an outcome without what may differ between histories: when its deliveries were received, and so their order.
func plain(call *callnormv1.CallOutcome) *callnormv1.CallOutcome {
	call = proto.CloneOf(call)
	for _, ref := range call.GetProvenance().GetDeliveries() {
		ref.ReceiveTime = nil
	}
	slices.SortFunc(call.GetProvenance().GetDeliveries(), func(a, b *callnormv1.DeliveryRef) int {
		return cmp.Or(strings.Compare(a.GetDelivery(), b.GetDelivery()), cmp.Compare(a.GetItem(), b.GetItem()))
	})
	return call
}

// calls returns what an adapter's fixtures say, each as told by a delivery of its own: first all of it, as if it were about one
// call, and then what is about one call indeed.
func calls(t *testing.T, adapter adapters.Adapter) [][]*callnormv1.CallOutcome {
	t.Helper()
	t.Chdir(filepath.Join("..", "..", "adapters", strings.ReplaceAll(adapter.Name(), "-", "")))
	var told []*callnormv1.CallOutcome
	type identity struct {
		family adapters.Family
		id     string
	}
	about, order := make(map[identity][]*callnormv1.CallOutcome), []identity(nil)
	for i, c := range adaptertest.Cases(t, adapter) {
		result, err := adapters.Normalize(adapter, c.Delivery)
		if err != nil {
			continue // nothing is told
		}
		sum := sha256.Sum256(c.Delivery.Body)
		for _, outcome := range result.Outcomes {
			outcome.Call.Provenance.Deliveries = []*callnormv1.DeliveryRef{{
				Delivery: fmt.Sprintf("deliveries/%d", i), Item: int32(outcome.Item), ReceiveTime: timestamppb.New(time.Unix(int64(i), 0)),
				BodySha256: hex.EncodeToString(sum[:]),
			}}
			told = append(told, outcome.Call)
			id := identity{outcome.Family, outcome.CallID}
			if about[id] == nil {
				order = append(order, id)
			}
			about[id] = append(about[id], outcome.Call)
		}
	}
	if len(told) < exhaustive {
		t.Fatalf("the fixtures tell only %d outcomes", len(told))
	}
	pools := [][]*callnormv1.CallOutcome{told}
	for _, id := range order {
		if id.id != "" && len(about[id]) > 1 {
			pools = append(pools, about[id])
		}
	}
	return pools
}

func copies(list []*callnormv1.CallOutcome) []*callnormv1.CallOutcome {
	copied := make([]*callnormv1.CallOutcome, len(list))
	for i, call := range list {
		copied[i] = proto.CloneOf(call)
	}
	return copied
}
