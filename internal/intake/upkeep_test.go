package intake_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/callnorm/callnorm/adapters"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/callnorm/callnorm/internal/intake"
	"github.com/callnorm/callnorm/internal/redaction"
	"github.com/callnorm/callnorm/internal/store"
	"github.com/callnorm/callnorm/internal/store/sqlite"
	"google.golang.org/protobuf/proto"
)

// script is an adapter that reads a body like "call word word": the event of that call, and what it tells.
func script(d adapters.Delivery) (adapters.Result, error) {
	words := strings.Fields(string(d.Body))
	if words[0] == "nothing" {
		return adapters.Result{Notices: []*callnormv1.Notice{{EventRaw: "nothing"}}}, nil
	}
	call := &callnormv1.CallOutcome{ProviderCallId: words[0], Completeness: callnormv1.Completeness_COMPLETENESS_PARTIAL}
	for _, word := range words[1:] {
		switch {
		case word == "ended":
			call.Completeness, call.Event = callnormv1.Completeness_COMPLETENESS_SETTLING, callnormv1.EventKind_EVENT_KIND_CALL_ENDED
			call.PresentParts = []callnormv1.Part{callnormv1.Part_PART_RESULT}
			call.ExpectedParts = []callnormv1.Part{callnormv1.Part_PART_ANALYSIS}
		case word == "analysed":
			call.Event = callnormv1.EventKind_EVENT_KIND_CALL_PROGRESS
			call.PresentParts = []callnormv1.Part{callnormv1.Part_PART_ANALYSIS}
		case word == "dnc":
			call.Disposition = &callnormv1.Disposition{DoNotCall: new(true)}
		case strings.HasPrefix(word, "+"):
			call.Contact = &callnormv1.Contact{Phones: []*callnormv1.PhoneNumber{{AsReceived: word, E164: word}}}
		default:
			call.Analysis = &callnormv1.Analysis{Summary: word}
		}
	}
	return adapters.Result{Outcomes: []adapters.Outcome{{Family: adapters.FamilyCall, CallID: words[0], Call: call}}}, nil
}

// house is an intake with a store, and a clock that a test sets.
type house struct {
	*intake.Intake

	kept store.Store
	now  time.Time
	dir  string
}

func newHouse(t *testing.T, source intake.Source) *house {
	t.Helper()
	h := &house{now: time.Date(2026, 4, 1, 12, 0, 0, 0, time.UTC), dir: t.TempDir()}
	h.open(t, source)
	return h
}

// open opens the store and the intake as a process does that starts.
func (h *house) open(t *testing.T, source intake.Source) {
	t.Helper()
	set, err := adapters.NewSet(stub(script))
	if err != nil {
		t.Fatal(err)
	}
	kept, err := sqlite.Open(t.Context(), h.dir, sqlite.Settings{Now: func() time.Time { return h.now }, Describe: intake.Describe})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = kept.Close() }) // It may be closed already.
	h.kept = kept
	source.Name, source.Adapter, source.Provider, source.MaxBody = "door", stub(script), "stub", 1<<20
	h.Intake = intake.New(intake.Settings{
		Adapters: set, Store: kept, Rejections: book(t), Observer: nobody{}, Now: func() time.Time { return h.now },
	}, []intake.Source{source})
}

func (h *house) deliver(t *testing.T, body string) *callnormv1.IngestDeliveryResponse {
	t.Helper()
	answer, err := h.Deliver(t.Context(), intake.Request{
		Source: "door", Method: "POST", Path: "/v1/webhooks/door", Body: []byte(body), ReceiveTime: h.now,
	})
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

func (h *house) read(t *testing.T, id string) *callnormv1.CallOutcome {
	t.Helper()
	outcome, found := read(t, h.kept, id)
	if !found {
		t.Fatalf("call %s is not found", id)
	}
	return outcome
}

func (h *house) settle(t *testing.T) {
	t.Helper()
	if err := h.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestACallSettlesByItself(t *testing.T) {
	t.Parallel()
	source := intake.Source{SettleAfter: 10 * time.Minute}
	h := newHouse(t, source)
	h.deliver(t, "c ended")
	first := h.read(t, "c")
	if first.GetCompleteness() != callnormv1.Completeness_COMPLETENESS_SETTLING || !first.GetSettleTime().AsTime().Equal(h.now.Add(10*time.Minute)) {
		t.Fatalf("%v", first)
	}
	h.now = h.now.Add(9 * time.Minute)
	h.settle(t)
	if got := h.read(t, "c"); got.GetRevision() != 1 {
		t.Errorf("it did not wait: %v", got)
	}
	// The process is away when the time comes.
	if err := h.kept.Close(); err != nil {
		t.Fatal(err)
	}
	h.now = h.now.Add(time.Hour)
	h.open(t, source)
	for range 3 {
		h.settle(t)
	}
	final := h.read(t, "c")
	if final.GetRevision() != 2 || final.GetCompleteness() != callnormv1.Completeness_COMPLETENESS_FINAL || final.GetAfterFinal() ||
		final.GetRevisionCause() != callnormv1.RevisionCause_REVISION_CAUSE_SETTLED || final.GetSettleTime() != nil || len(final.GetExpectedParts()) > 0 {
		t.Errorf("%v", final)
	}
	// What comes later changes it, and says so.
	h.deliver(t, "c analysed late")
	late := h.read(t, "c")
	if late.GetRevision() != 3 || !late.GetAfterFinal() || late.GetCompleteness() != callnormv1.Completeness_COMPLETENESS_FINAL ||
		late.GetAnalysis().GetSummary() != "late" || late.GetRevisionCause() != callnormv1.RevisionCause_REVISION_CAUSE_DELIVERY {
		t.Errorf("%v", late)
	}
	h.now = h.now.Add(time.Hour)
	h.settle(t)
	if got := h.read(t, "c"); got.GetRevision() != 3 {
		t.Errorf("it settled twice: %v", got)
	}
}

func TestACallThatIsCompleteDoesNotSettle(t *testing.T) {
	t.Parallel()
	h := newHouse(t, intake.Source{})
	h.deliver(t, "c ended")
	h.now = h.now.Add(time.Minute)
	h.deliver(t, "c analysed well")
	complete := h.read(t, "c")
	if complete.GetCompleteness() != callnormv1.Completeness_COMPLETENESS_FINAL || complete.GetSettleTime() != nil {
		t.Errorf("%v", complete)
	}
	h.now = h.now.Add(24 * time.Hour)
	h.settle(t)
	if got := h.read(t, "c"); got.GetRevision() != 2 {
		t.Errorf("%v", got)
	}
}

func TestEachWordPutsTheDeadlineOff(t *testing.T) {
	t.Parallel()
	h := newHouse(t, intake.Source{SettleAfter: 10 * time.Minute})
	h.deliver(t, "c ended")
	h.now = h.now.Add(8 * time.Minute)
	h.deliver(t, "c more")
	want := h.now.Add(10 * time.Minute)
	if got := h.read(t, "c").GetSettleTime().AsTime(); !got.Equal(want) {
		t.Errorf("it settles at %s, want %s", got, want)
	}
	h.now = h.now.Add(8 * time.Minute)
	h.settle(t)
	if got := h.read(t, "c"); got.GetRevision() != 2 {
		t.Errorf("%v", got)
	}
}

func TestUpkeepSettlesAndEnds(t *testing.T) {
	t.Parallel()
	var fired int
	kept := &due{fired: &fired}
	synctest.Test(t, func(t *testing.T) {
		set, err := adapters.NewSet(stub(script))
		if err != nil {
			t.Fatal(err)
		}
		in := intake.New(intake.Settings{Adapters: set, Store: kept, Observer: nobody{}, Now: time.Now}, nil)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		in.Upkeep(ctx, func(err error) {
			if !errors.Is(err, store.ErrUnavailable) {
				t.Errorf("%v", err)
			}
		})
	})
	if fired != 1 {
		t.Errorf("%d deadlines were fired, want the one, after a failure", fired)
	}
}

// due is a store that has one deadline and fails at first.
type due struct {
	store.Store

	asked int
	fired *int
}

func (d *due) Due(context.Context, time.Time, int) ([]store.Deadline, error) {
	if d.asked++; d.asked == 1 {
		return nil, store.ErrUnavailable
	}
	if *d.fired > 0 {
		return nil, nil
	}
	return []store.Deadline{{Source: "gone"}}, nil
}

func (d *due) Fire(context.Context, store.Deadline, []byte, store.Fold) (bool, error) {
	*d.fired++
	return true, nil
}

func TestACopyOfABodyAddsNothing(t *testing.T) {
	t.Parallel()
	h := newHouse(t, intake.Source{})
	h.deliver(t, "c ended")
	for _, query := range []string{"a=1", "a=2", "a=3"} {
		answer, err := h.Deliver(t.Context(), intake.Request{
			Source: "door", Method: "POST", Path: "/v1/webhooks/door", Query: query, Body: []byte("c ended"), ReceiveTime: h.now,
		})
		if err != nil {
			t.Fatal(err)
		}
		if answer.GetDuplicate() || len(answer.GetOutcomes()) != 1 || answer.GetOutcomes()[0].GetRevision() != 1 {
			t.Errorf("%v", answer)
		}
	}
	if got := h.read(t, "c"); got.GetRevision() != 1 || len(got.GetProvenance().GetDeliveries()) != 1 {
		t.Errorf("%v", got)
	}
}

func TestRetention(t *testing.T) {
	t.Parallel()
	h := newHouse(t, intake.Source{Retention: intake.Retention{Age: 30 * 24 * time.Hour, Deliveries: 24 * time.Hour}})
	old := h.deliver(t, "old ended")
	h.deliver(t, "nothing at all")
	h.now = h.now.Add(2 * 24 * time.Hour)
	h.deliver(t, "young ended")
	trim := func() {
		t.Helper()
		if err := h.Trim(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	trim()
	id, err := store.ParseDeliveryID(strings.TrimPrefix(old.GetDelivery(), "deliveries/"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.kept.Delivery(t.Context(), id); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("what was sent is still there: %v", err)
	}
	if got := h.read(t, "old"); got.GetStatusRaw() != "" || got.GetCompleteness() != callnormv1.Completeness_COMPLETENESS_SETTLING {
		t.Errorf("%v", got)
	}
	if again := h.deliver(t, "old ended"); !again.GetDuplicate() || again.GetState() != callnormv1.DeliveryState_DELIVERY_STATE_DELETED {
		t.Errorf("a repetition: %v", again)
	}
	h.now = h.now.Add(29 * 24 * time.Hour)
	trim()
	if _, found := read(t, h.kept, "old"); found {
		t.Error("the old call is still there")
	}
	h.read(t, "young")
}

func TestDeletingAContact(t *testing.T) {
	t.Parallel()
	h := newHouse(t, intake.Source{})
	const number = "+12025550143"
	h.deliver(t, "a ended "+number)
	h.deliver(t, "a analysed")
	h.deliver(t, "b ended "+number)
	h.deliver(t, "other ended +12025550199")
	h.deliver(t, "nothing about "+number)
	h.deliver(t, "nothing about +12025550199")
	would, err := h.DeleteContact(t.Context(), number, true)
	if err != nil {
		t.Fatal(err)
	}
	did, err := h.DeleteContact(t.Context(), number, false)
	if err != nil {
		t.Fatal(err)
	}
	if want := (store.Removed{Outcomes: 2, Revisions: 3, Deliveries: 4}); would != want || did != want {
		t.Errorf("would delete %+v, did delete %+v, want %+v", would, did, want)
	}
	if again, err := h.DeleteContact(t.Context(), number, false); err != nil || again != (store.Removed{}) {
		t.Errorf("again: %+v, %v", again, err)
	}
	for _, id := range []string{"a", "b"} {
		if _, found := read(t, h.kept, id); found {
			t.Errorf("call %s is found", id)
		}
	}
	h.read(t, "other")
	for _, late := range []string{"a ended " + number, "a later"} {
		if answer := h.deliver(t, late); answer.GetState() != callnormv1.DeliveryState_DELIVERY_STATE_DELETED || len(answer.GetOutcomes()) > 0 {
			t.Errorf("%v", answer)
		}
	}
	// Who calls again is somebody new.
	h.deliver(t, "new ended "+number)
	h.read(t, "new")
}

func TestDeletingACall(t *testing.T) {
	t.Parallel()
	h := newHouse(t, intake.Source{})
	answer := h.deliver(t, "a ended")
	id, err := store.ParseOutcomeID(strings.TrimPrefix(answer.GetOutcomes()[0].GetName(), "outcomes/"))
	if err != nil {
		t.Fatal(err)
	}
	want := store.Removed{Outcomes: 1, Revisions: 1, Deliveries: 1}
	if would, err := h.DeleteCall(t.Context(), id, true); err != nil || would != want {
		t.Errorf("would delete %+v, %v", would, err)
	}
	if did, err := h.DeleteCall(t.Context(), id, false); err != nil || did != want {
		t.Errorf("did delete %+v, %v", did, err)
	}
	for _, validateOnly := range []bool{true, false} {
		if again, err := h.DeleteCall(t.Context(), id, validateOnly); err != nil || again != (store.Removed{}) {
			t.Errorf("again: %+v, %v", again, err)
		}
		if _, err := h.DeleteCall(t.Context(), store.OutcomeID{}, validateOnly); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("what is not there: %v", err)
		}
	}
	entry, err := h.kept.Outcome(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	left := decode(t, entry.Body)
	left.RevisionTime = nil
	if wanted := (&callnormv1.CallOutcome{
		Name: answer.GetOutcomes()[0].GetName(), Provider: "stub", Source: "door", Revision: 2,
		RevisionCause: callnormv1.RevisionCause_REVISION_CAUSE_DELETED,
	}); !proto.Equal(left, wanted) {
		t.Errorf("what is left is %v, want %v", left, wanted)
	}
}

func TestRedactionComesBeforeTheStore(t *testing.T) {
	t.Parallel()
	policy, err := redaction.NewPolicy("numbers", "extracted_fields")
	if err != nil {
		t.Fatal(err)
	}
	h := newHouse(t, intake.Source{Redaction: policy})
	const number = "+12025550143"
	h.deliver(t, "a ended "+number)
	h.deliver(t, "a secret-summary")
	log, err := h.kept.Read(t.Context(), store.Cursor{}, store.Filter{}, 10)
	if err != nil {
		t.Fatal(err)
	}
	bodies := [][]byte{}
	for _, entry := range log.Entries {
		bodies = append(bodies, entry.Body)
		contributions, err := h.kept.Contributions(t.Context(), entry.Outcome)
		if err != nil {
			t.Fatal(err)
		}
		for _, contribution := range contributions {
			bodies = append(bodies, contribution.Body)
		}
	}
	for _, body := range bodies {
		if strings.Contains(string(body), number) || strings.Contains(string(body), "secret-summary") {
			t.Errorf("%v", decode(t, body))
		}
	}
	got := h.read(t, "a")
	if got.GetAnalysis().GetSummary() != redaction.Mark || len(got.GetProvenance().GetRedactedClasses()) != 2 {
		t.Errorf("%v", got)
	}
	// It is found, and deleted, all the same.
	if did, err := h.DeleteContact(t.Context(), number, false); err != nil || did.Outcomes != 1 || did.Deliveries != 2 {
		t.Errorf("%+v, %v", did, err)
	}
}
