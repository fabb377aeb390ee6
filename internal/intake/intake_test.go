package intake_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/callnorm/callnorm/adapters"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/callnorm/callnorm/internal/intake"
	"github.com/callnorm/callnorm/internal/rejection"
	"github.com/callnorm/callnorm/internal/store"
	"github.com/callnorm/callnorm/internal/store/sqlite"
	"google.golang.org/protobuf/proto"
)

// stub is an adapter that does what a test wants.
type stub func(adapters.Delivery) (adapters.Result, error)

func (stub) Name() string        { return "stub" }
func (stub) Version() string     { return "1" }
func (stub) Providers() []string { return []string{"stub"} }
func (stub) Example() string     { return "" }
func (stub) Scenarios() fs.FS    { return nil }

func (s stub) Normalize(d adapters.Delivery) (adapters.Result, error) { return s(d) }

// deaf is a store that never answers.
type deaf struct{ store.Store }

func (deaf) DeliveryID(store.DeliveryKey) store.DeliveryID { return store.DeliveryID{} }

func (deaf) Append(ctx context.Context, _ store.Delivery, _ []store.Contribution, _ store.Fold) (store.Receipt, error) {
	<-ctx.Done()
	return store.Receipt{}, ctx.Err()
}

type nobody struct{}

func (nobody) Delivered(string, callnormv1.DeliveryState, bool, int)    {}
func (nobody) Normalized(string, time.Duration, adapters.Result, error) {}
func (nobody) Rejected(string, callnormv1.RejectionCause)               {}
func (nobody) Settled(string)                                           {}
func (nobody) Trimmed(string, store.Removed)                            {}

func newIntake(t *testing.T, adapter stub, kept store.Store) *intake.Intake {
	t.Helper()
	set, err := adapters.NewSet(adapter)
	if err != nil {
		t.Fatal(err)
	}
	return intake.New(intake.Settings{Adapters: set, Store: kept, Rejections: book(t), Observer: nobody{}, Now: time.Now},
		[]intake.Source{{Name: "door", Adapter: adapter, Provider: "stub", MaxBody: 1 << 20}})
}

// book opens an empty book of rejections.
func book(t *testing.T) *rejection.Book {
	t.Helper()
	opened, err := rejection.Open(t.Context(), t.TempDir(), rejection.Settings{Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := opened.Close(); err != nil {
			t.Error(err)
		}
	})
	return opened
}

// says returns an adapter that tells the body as the status of one call.
func says(d adapters.Delivery) (adapters.Result, error) {
	return adapters.Result{Outcomes: []adapters.Outcome{{
		Family: adapters.FamilyCall, CallID: "c",
		Call: &callnormv1.CallOutcome{StatusRaw: string(d.Body), Event: callnormv1.EventKind_EVENT_KIND_CALL_REPORTED},
	}}}, nil
}

func deliver(t *testing.T, in *intake.Intake, body string) *callnormv1.IngestDeliveryResponse {
	t.Helper()
	answer, err := in.Deliver(t.Context(), intake.Request{
		Source: "door", Method: "POST", Path: "/v1/webhooks/door", Body: []byte(body), ReceiveTime: time.Now(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

func open(t *testing.T) store.Store {
	t.Helper()
	kept, err := sqlite.Open(t.Context(), t.TempDir(), sqlite.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := kept.Close(); err != nil {
			t.Error(err)
		}
	})
	return kept
}

func TestAProviderIsNotKeptWaiting(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		_, err := newIntake(t, says, deaf{}).Deliver(t.Context(), intake.Request{Source: "door", Body: []byte("x")})
		if !errors.Is(err, intake.ErrNotKept) {
			t.Errorf("%v", err)
		}
		if took := time.Since(start); took > 4*time.Second {
			t.Errorf("answered after %s", took)
		}
	})
}

func TestAnAdapterThatDoesNotComeBackIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		defer close(release)
		in := newIntake(t, func(adapters.Delivery) (adapters.Result, error) {
			<-release
			return adapters.Result{}, nil
		}, nil)
		start := time.Now()
		answer, err := in.Normalize(intake.Payload{Adapter: "stub", Body: []byte("x")})
		if err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("waited %s", took)
		}
		if len(answer.GetFaults()) != 1 || answer.GetFaults()[0].GetReason() != callnormv1.FaultReason_FAULT_REASON_ADAPTER_TIMEOUT {
			t.Errorf("%v", answer)
		}
	})
}

func TestACallTakesABoundedNumberOfContributions(t *testing.T) {
	t.Parallel()
	in := newIntake(t, says, open(t))
	var last *callnormv1.IngestDeliveryResponse
	for i := range 202 {
		last = deliver(t, in, fmt.Sprint("status-", i))
		if i == 199 && last.GetState() != callnormv1.DeliveryState_DELIVERY_STATE_NORMALIZED {
			t.Errorf("contribution 200: %v", last)
		}
	}
	if last.GetState() != callnormv1.DeliveryState_DELIVERY_STATE_QUARANTINED || len(last.GetFaults()) != 1 ||
		last.GetFaults()[0].GetReason() != callnormv1.FaultReason_FAULT_REASON_TOO_MANY_CONTRIBUTIONS {
		t.Errorf("contribution 202: %v", last)
	}
	if again := deliver(t, in, "status-201"); !again.GetDuplicate() || len(again.GetFaults()) != 1 {
		t.Errorf("repeated: %v", again)
	}
}

func TestOneFullCallDoesNotSinkItsBatch(t *testing.T) {
	t.Parallel()
	in := newIntake(t, func(d adapters.Delivery) (adapters.Result, error) {
		var result adapters.Result
		for i, id := range strings.Split(string(d.Body), " ") {
			result.Outcomes = append(result.Outcomes, adapters.Outcome{
				Item: i, Family: adapters.FamilyCall, CallID: strings.Trim(id, "0123456789"), Call: &callnormv1.CallOutcome{StatusRaw: id},
			})
		}
		result.Faults = []*callnormv1.Fault{{Item: proto.Int32(9), Reason: callnormv1.FaultReason_FAULT_REASON_UNEXPECTED_SHAPE}}
		return result, nil
	}, open(t))
	for i := range 200 {
		deliver(t, in, fmt.Sprint("full", i))
	}
	answer := deliver(t, in, "a full b")
	if len(answer.GetOutcomes()) != 2 || answer.GetState() != callnormv1.DeliveryState_DELIVERY_STATE_PARTLY_QUARANTINED {
		t.Errorf("%v", answer)
	}
	if faults := answer.GetFaults(); len(faults) != 2 || faults[1].GetItem() != 1 ||
		faults[1].GetReason() != callnormv1.FaultReason_FAULT_REASON_TOO_MANY_CONTRIBUTIONS {
		t.Errorf("%v", faults)
	}
}

func TestAnOutcomeThatIsNoValidMessageDoesNotRefuseItsDelivery(t *testing.T) {
	t.Parallel()
	in := newIntake(t, func(d adapters.Delivery) (adapters.Result, error) {
		result, _ := says(d)
		bad, _ := says(d)
		bad.Outcomes[0].Item, bad.Outcomes[0].Call.StatusRaw = 1, "\xff"
		return adapters.Result{Outcomes: append(result.Outcomes, bad.Outcomes...)}, nil
	}, open(t))
	answer := deliver(t, in, "two")
	if answer.GetState() != callnormv1.DeliveryState_DELIVERY_STATE_PARTLY_QUARANTINED || len(answer.GetOutcomes()) != 1 ||
		len(answer.GetFaults()) != 1 || answer.GetFaults()[0].GetItem() != 1 {
		t.Errorf("%v", answer)
	}
}

func TestAnAnswerListsABoundedNumberOfFaults(t *testing.T) {
	t.Parallel()
	in := newIntake(t, func(adapters.Delivery) (adapters.Result, error) {
		return adapters.Result{Faults: make([]*callnormv1.Fault, 100_000)}, nil
	}, open(t))
	if answer := deliver(t, in, "bad"); len(answer.GetFaults()) != 100 || answer.GetUnlistedCount() != 99_900 {
		t.Errorf("%d faults are listed, %d are not", len(answer.GetFaults()), answer.GetUnlistedCount())
	}
}

func TestAnOutcomeStaysBelowWhatASubscriberCanTake(t *testing.T) {
	t.Parallel()
	in := newIntake(t, func(d adapters.Delivery) (adapters.Result, error) {
		result, _ := says(d)
		result.Outcomes[0].Call.Transcript = &callnormv1.Transcript{Text: strings.Repeat("x", 3<<20)}
		return result, nil
	}, open(t))
	answer := deliver(t, in, "long")
	normalized, err := in.Normalize(intake.Payload{Source: "door", Body: []byte("long")})
	if err != nil {
		t.Fatal(err)
	}
	if answer.GetState() != callnormv1.DeliveryState_DELIVERY_STATE_NORMALIZED || len(normalized.GetOutcomes()[0].GetTranscript().GetText()) > 1<<20 {
		t.Errorf("%v", answer)
	}
}

func TestSeveralItemsAboutOneCallAreOneRevision(t *testing.T) {
	t.Parallel()
	in := newIntake(t, func(d adapters.Delivery) (adapters.Result, error) {
		first, _ := says(d)
		second, _ := says(d)
		second.Outcomes[0].Item = 1
		second.Outcomes[0].Call.TimeZone = "Europe/Berlin"
		return adapters.Result{Outcomes: append(first.Outcomes, second.Outcomes...)}, nil
	}, open(t))
	if got := deliver(t, in, "both").GetOutcomes(); len(got) != 1 || got[0].GetRevision() != 1 {
		t.Errorf("%v", got)
	}
}
