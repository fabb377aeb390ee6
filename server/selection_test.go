package server

import (
	"errors"
	"slices"
	"testing"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/callnorm/callnorm/internal/store"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
)

// outcomeWith returns an entry of an outcome.
func outcomeWith(t *testing.T, value callnormv1.ContactDisposition, doNotCall *bool) store.Entry {
	t.Helper()
	body, err := proto.Marshal(&callnormv1.CallOutcome{Disposition: &callnormv1.Disposition{Value: value, DoNotCall: doNotCall}})
	if err != nil {
		t.Fatal(err)
	}
	return store.Entry{Body: body}
}

func TestSelections(t *testing.T) {
	t.Parallel()
	const interested, callback = callnormv1.ContactDisposition_CONTACT_DISPOSITION_INTERESTED, callnormv1.ContactDisposition_CONTACT_DISPOSITION_CALLBACK_REQUESTED
	id := store.NewOutcomeID("a")
	tests := map[string]struct {
		filter *callnormv1.OutcomeFilter
		entry  store.Entry
		passes bool
		whole  bool
	}{
		"no filter":                           {nil, store.Entry{Body: []byte("is not looked at")}, true, true},
		"columns alone":                       {&callnormv1.OutcomeFilter{Providers: []string{"a"}, Names: []string{"outcomes/" + id.String()}}, store.Entry{Body: []byte("neither")}, true, true},
		"one of the dispositions":             {&callnormv1.OutcomeFilter{Dispositions: []callnormv1.ContactDisposition{callback, interested}}, outcomeWith(t, interested, nil), true, false},
		"none of the dispositions":            {&callnormv1.OutcomeFilter{Dispositions: []callnormv1.ContactDisposition{callback}}, outcomeWith(t, interested, nil), false, false},
		"asked never to be called":            {&callnormv1.OutcomeFilter{DoNotCall: new(true)}, outcomeWith(t, 0, new(true)), true, false},
		"did not ask, and those who did":      {&callnormv1.OutcomeFilter{DoNotCall: new(true)}, outcomeWith(t, 0, nil), false, false},
		"did not ask, and those who did not":  {&callnormv1.OutcomeFilter{DoNotCall: new(false)}, outcomeWith(t, 0, nil), true, false},
		"deleted":                             {&callnormv1.OutcomeFilter{DoNotCall: new(true)}, store.Entry{Deleted: true}, true, false},
		"both have to hold":                   {&callnormv1.OutcomeFilter{DoNotCall: new(true), Dispositions: []callnormv1.ContactDisposition{callback}}, outcomeWith(t, interested, new(true)), false, false},
		"a condition that holds":              {&callnormv1.OutcomeFilter{Condition: "outcome.disposition.do_not_call"}, outcomeWith(t, 0, new(true)), true, false},
		"a condition that does not":           {&callnormv1.OutcomeFilter{Condition: "outcome.disposition.do_not_call"}, outcomeWith(t, 0, nil), false, false},
		"a condition that cannot be told":     {&callnormv1.OutcomeFilter{Condition: "outcome.external_ids[3].id == 'x'"}, outcomeWith(t, 0, nil), true, false},
		"a condition of what is deleted":      {&callnormv1.OutcomeFilter{Condition: "false"}, store.Entry{Deleted: true}, true, false},
		"a condition beside what passes here": {&callnormv1.OutcomeFilter{DoNotCall: new(false), Condition: "false"}, outcomeWith(t, 0, nil), false, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			chosen, err := newSelection(test.filter)
			if err != nil {
				t.Fatal(err)
			}
			passes, err := chosen.passes(test.entry)
			if err != nil || passes != test.passes || chosen.whole() != test.whole {
				t.Errorf("passes: %v (%v), whole: %v", passes, err, chosen.whole())
			}
		})
	}
	chosen, err := newSelection(&callnormv1.OutcomeFilter{
		Providers: []string{"p"}, Sources: []string{"s"}, Statuses: []callnormv1.CallStatus{callnormv1.CallStatus_CALL_STATUS_BUSY},
		Completenesses: []callnormv1.Completeness{callnormv1.Completeness_COMPLETENESS_FINAL}, Names: []string{"outcomes/" + id.String()},
	})
	want := store.Filter{
		Providers: []string{"p"}, Sources: []string{"s"}, Statuses: []int32{int32(callnormv1.CallStatus_CALL_STATUS_BUSY)},
		Completeness: []int32{int32(callnormv1.Completeness_COMPLETENESS_FINAL)}, Outcomes: []store.OutcomeID{id},
	}
	if diff := cmp.Diff(want, chosen.store); diff != "" || err != nil {
		t.Errorf("%v, what the store looks at (-want +got):\n%s", err, diff)
	}
	if _, err := chosen.passes(store.Entry{Body: slices.Repeat([]byte{0xff}, 3)}); err != nil {
		t.Errorf("what passes as a whole was decoded: %v", err)
	}
	if _, err := newSelection(&callnormv1.OutcomeFilter{Names: []string{"outcomes/x"}}); !errors.Is(err, errRequest) {
		t.Errorf("a name that is none: %v", err)
	}
}
