package condition_test

import (
	"testing"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/callnorm/callnorm/internal/condition"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
)

// TestAConditionHoldsForItsPartAsForTheWhole compares what is told of outcomes in part with what is told of them whole.
func TestAConditionHoldsForItsPartAsForTheWhole(t *testing.T) {
	t.Parallel()
	outcomes := []*callnormv1.CallOutcome{
		{},
		{Name: "outcomes/a", Status: callnormv1.CallStatus_CALL_STATUS_BUSY, TalkDuration: &durationpb.Duration{Seconds: 70}},
		{
			Status: callnormv1.CallStatus_CALL_STATUS_COMPLETED, Disposition: &callnormv1.Disposition{DoNotCall: new(true)},
			Transcript:  &callnormv1.Transcript{Turns: []*callnormv1.TranscriptTurn{{Text: "call me back"}, {Text: "status"}}},
			ExternalIds: []*callnormv1.ExternalId{{System: "crm", Id: "1"}},
		},
	}
	for expression, reads := range map[string]int{
		"true":                                0,
		"outcome.status == CALL_STATUS_BUSY":  1,
		".outcome.status == CALL_STATUS_BUSY": 1,
		"has(outcome.talk_duration) && outcome.talk_duration > duration('60s')":                       1,
		"outcome.transcript.turns.exists(t, t.text.contains('back')) || outcome.name == 'outcomes/a'": 2,
		"outcome.transcript.turns.exists(outcome, outcome.text == 'status')":                          -1,
		"outcome.external_ids.exists(e, e.system == 'crm') && outcome.disposition.do_not_call":        2,
		"[outcome].exists(o, o.status == CALL_STATUS_BUSY)":                                           -1,
		"outcome.external_ids[0].id == '1'":                                                           1,
	} {
		t.Run(expression, func(t *testing.T) {
			t.Parallel()
			compiled, err := condition.Compile(expression)
			if err != nil {
				t.Fatal(err)
			}
			for _, outcome := range outcomes {
				encoded, err := proto.Marshal(outcome)
				if err != nil {
					t.Fatal(err)
				}
				part := &callnormv1.CallOutcome{}
				if err := proto.Unmarshal(compiled.Partly(encoded), part); err != nil {
					t.Fatal(err)
				}
				want, wantErr := compiled.Holds(outcome)
				got, gotErr := compiled.Holds(part)
				if got != want || (gotErr == nil) != (wantErr == nil) {
					t.Errorf("of its part %t, %v, of the whole %t, %v: %v", got, gotErr, want, wantErr, outcome)
				}
				if fields := proto.Size(part); reads == 0 && fields > 0 || reads < 0 && fields != proto.Size(outcome) {
					t.Errorf("of %v, %v is read", outcome, part)
				}
			}
		})
	}
	if compiled, err := condition.Compile("outcome.status == CALL_STATUS_BUSY"); err != nil || string(compiled.Partly([]byte{0xff})) != "\xff" {
		t.Error("what cannot be read is not left as it is")
	}
}
