package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/callnorm/callnorm/adapters"
	"github.com/callnorm/callnorm/adapters/adaptertest"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/callnorm/callnorm/internal/callstate"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"
)

// TestFoldIsIndependentOfOrderAndRepetition takes whatever an adapter's fixtures say as told about one call, in any order and
// any number of times. A new adapter is in it by being registered.
func TestFoldIsIndependentOfOrderAndRepetition(t *testing.T) {
	set, err := registered()
	if err != nil {
		t.Fatal(err)
	}
	for _, adapter := range set.All() {
		t.Run(adapter.Name(), func(t *testing.T) {
			told := contributions(t, adapter)
			rapid.Check(t, func(t *rapid.T) {
				some := rapid.SliceOfNDistinct(rapid.SampledFrom(told), 1, 6, func(c *callnormv1.CallOutcome) string {
					return c.GetProvenance().GetDeliveries()[0].GetDelivery()
				}).Draw(t, "contributions")
				want := callstate.Fold(copies(some))
				again := append(rapid.Permutation(some).Draw(t, "order"), rapid.SliceOfN(rapid.SampledFrom(some), 0, 3).Draw(t, "repetitions")...)
				got := callstate.Fold(copies(again))
				if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
					t.Fatalf("(-one order +another):\n%s", diff)
				}
				for _, one := range some {
					if one.GetCompleteness() > got.GetCompleteness() {
						t.Fatalf("the whole is %s, a part of it %s", got.GetCompleteness(), one.GetCompleteness())
					}
				}
			})
		})
	}
}

// contributions returns what an adapter's fixtures say, each as told by a delivery of its own.
func contributions(t *testing.T, adapter adapters.Adapter) []*callnormv1.CallOutcome {
	t.Helper()
	t.Chdir(filepath.Join("..", "..", "adapters", strings.ReplaceAll(adapter.Name(), "-", "")))
	var told []*callnormv1.CallOutcome
	for i, c := range adaptertest.Cases(t, adapter) {
		result, err := adapters.Normalize(adapter, c.Delivery)
		if err != nil {
			continue // nothing is told
		}
		for _, outcome := range result.Outcomes {
			outcome.Call.Provenance.Deliveries = []*callnormv1.DeliveryRef{{
				Delivery: fmt.Sprintf("deliveries/%d-%d", i, outcome.Item), ReceiveTime: timestamppb.New(time.Unix(int64(i), 0)),
			}}
			told = append(told, outcome.Call)
		}
	}
	if len(told) < 6 {
		t.Fatalf("the fixtures tell only %d outcomes", len(told))
	}
	return told
}

func copies(list []*callnormv1.CallOutcome) []*callnormv1.CallOutcome {
	copied := make([]*callnormv1.CallOutcome, len(list))
	for i, call := range list {
		copied[i], _ = proto.Clone(call).(*callnormv1.CallOutcome)
	}
	return copied
}
