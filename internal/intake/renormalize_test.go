package intake_test

import (
	"errors"
	"testing"
	"time"

	"github.com/callnorm/callnorm/adapters"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/callnorm/callnorm/internal/intake"
	"github.com/callnorm/callnorm/internal/store"
	"google.golang.org/protobuf/proto"
)

// versioned is an adapter that a test corrects.
type versioned struct {
	stub

	version string
}

func (v *versioned) Version() string { return v.version }

func (v *versioned) Normalize(d adapters.Delivery) (adapters.Result, error) { return v.stub(d) }

// about says one status of one call.
func about(id, status string) stub {
	return func(adapters.Delivery) (adapters.Result, error) {
		return adapters.Result{Outcomes: []adapters.Outcome{{
			Family: adapters.FamilyCall, CallID: id, Call: &callnormv1.CallOutcome{
				ProviderCallId: id, StatusRaw: status, Event: callnormv1.EventKind_EVENT_KIND_CALL_REPORTED,
			},
		}}}, nil
	}
}

func unreadable(adapters.Delivery) (adapters.Result, error) {
	return adapters.Result{}, &adapters.Error{Reason: callnormv1.FaultReason_FAULT_REASON_UNEXPECTED_SHAPE, Detail: "not understood yet"}
}

// read returns the newest revision of what is kept under a provider's call id.
func read(t *testing.T, kept store.Store, id string) (*callnormv1.CallOutcome, bool) {
	t.Helper()
	found, err := kept.Lookup(t.Context(), store.Query{ProviderCallID: id}, 2)
	if err != nil || len(found) > 1 {
		t.Fatal(err, len(found))
	}
	if len(found) == 0 {
		return nil, false
	}
	return decode(t, found[0].Body), true
}

func decode(t *testing.T, body []byte) *callnormv1.CallOutcome {
	t.Helper()
	outcome := &callnormv1.CallOutcome{}
	if err := proto.Unmarshal(body, outcome); err != nil {
		t.Fatal(err)
	}
	return outcome
}

func TestRenormalizing(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		before, after stub
		changed       []bool
		revision      int32
		state         callnormv1.DeliveryState
	}{
		"what waited becomes an outcome":                {unreadable, about("c", "busy"), []bool{true}, 1, callnormv1.DeliveryState_DELIVERY_STATE_NORMALIZED},
		"what still cannot be read goes on waiting":     {unreadable, unreadable, nil, 0, callnormv1.DeliveryState_DELIVERY_STATE_QUARANTINED},
		"a corrected word is a new revision":            {about("c", "bussy"), about("c", "busy"), []bool{true}, 2, callnormv1.DeliveryState_DELIVERY_STATE_NORMALIZED},
		"another version that says the same is no news": {about("c", "busy"), about("c", "busy"), []bool{false}, 1, callnormv1.DeliveryState_DELIVERY_STATE_NORMALIZED},
		"another call takes the facts along":            {about("wrong", "busy"), about("c", "busy"), []bool{true, true}, 1, callnormv1.DeliveryState_DELIVERY_STATE_NORMALIZED},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			adapter, kept := &versioned{test.before, "1"}, open(t)
			set, err := adapters.NewSet(adapter)
			if err != nil {
				t.Fatal(err)
			}
			in := intake.New(intake.Settings{Adapters: set, Store: kept, Rejections: book(t), Observer: nobody{}, Now: time.Now},
				[]intake.Source{{Name: "door", Adapter: adapter, Provider: "stub", MaxBody: 1 << 20}})
			first := deliver(t, in, "body")
			adapter.stub, adapter.version = test.after, "2"
			id := kept.DeliveryID(store.NewDeliveryKey("door", "POST", "/v1/webhooks/door", "", []byte("body")))
			receipt, err := in.Renormalize(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			if got := callnormv1.DeliveryState(receipt.State); got != test.state {
				t.Errorf("state %s, want %s", got, test.state)
			}
			if len(receipt.Outcomes) != len(test.changed) {
				t.Fatalf("%+v", receipt.Outcomes)
			}
			for i, changed := range test.changed {
				if receipt.Outcomes[i].Changed != changed {
					t.Errorf("%+v", receipt.Outcomes[i])
				}
			}
			outcome, found := read(t, kept, "c")
			if found != (test.revision > 0) || outcome.GetRevision() != test.revision {
				t.Errorf("revision %d, want %d", outcome.GetRevision(), test.revision)
			}
			if test.changed != nil && test.changed[0] {
				if outcome.GetRevisionCause() != callnormv1.RevisionCause_REVISION_CAUSE_RENORMALIZED {
					t.Errorf("cause %s", outcome.GetRevisionCause())
				}
				if refs := outcome.GetProvenance().GetDeliveries(); len(refs) != 1 || refs[0].GetAdapterVersion() != "2" {
					t.Errorf("%v", refs)
				}
			}
			if _, found := read(t, kept, "wrong"); found {
				t.Error("the wrong call is still found")
			}
			// Once more makes no revision, and a repeat is a duplicate that tells what is known now.
			again, err := in.Renormalize(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			for _, outcome := range again.Outcomes {
				if outcome.Changed {
					t.Errorf("renormalized twice: %+v", outcome)
				}
			}
			if repeat := deliver(t, in, "body"); !repeat.GetDuplicate() || repeat.GetDelivery() != first.GetDelivery() || repeat.GetState() != test.state {
				t.Errorf("%v", repeat)
			}
		})
	}
}

// TestRenormalizingTakesNothingBack has callnorm fail on what it could read before.
func TestRenormalizingTakesNothingBack(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		after stub
		gone  bool
		err   error
	}{
		"an adapter that panics": {func(adapters.Delivery) (adapters.Result, error) { panic("personal") }, false, intake.ErrFailsNow},
		"an outcome that is no valid message": {func(d adapters.Delivery) (adapters.Result, error) {
			result, err := about("c", "busy")(d)
			result.Outcomes[0].Call.StatusRaw = "\xff"
			return result, err
		}, false, intake.ErrFailsNow},
		"a source that is gone": {about("c", "busy"), true, intake.ErrSourceGone},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			adapter, kept := &versioned{about("c", "bussy"), "1"}, open(t)
			set, err := adapters.NewSet(adapter)
			if err != nil {
				t.Fatal(err)
			}
			in := intake.New(intake.Settings{Adapters: set, Store: kept, Rejections: book(t), Observer: nobody{}, Now: time.Now},
				[]intake.Source{{Name: "door", Adapter: adapter, Provider: "stub", Group: "calls", MaxBody: 1 << 20}})
			deliver(t, in, "body")
			before, _ := read(t, kept, "c")
			adapter.stub = test.after
			if test.gone {
				in.Reload(nil)
			}
			id := kept.DeliveryID(store.NewDeliveryKey("door", "POST", "/v1/webhooks/door", "", []byte("body")))
			if _, err := in.Renormalize(t.Context(), id); !errors.Is(err, test.err) {
				t.Errorf("%v", err)
			}
			if after, _ := read(t, kept, "c"); !proto.Equal(before, after) {
				t.Errorf("%v became %v", before, after)
			}
		})
	}
}

func TestRenormalizingWhatIsNotThere(t *testing.T) {
	t.Parallel()
	if _, err := newIntake(t, says, open(t)).Renormalize(t.Context(), store.DeliveryID{}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("%v", err)
	}
}
