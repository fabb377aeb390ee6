package server

import (
	"testing"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
)

// TestAnswerIsProtojson holds what the door answers against protojson, byte for byte.
func TestAnswerIsProtojson(t *testing.T) {
	t.Parallel()
	if fields := (&callnormv1.IngestDeliveryResponse{}).ProtoReflect().Descriptor().Fields().Len(); fields != 7 {
		t.Errorf("a response has %d fields: the door has to know them", fields)
	}
	s := &Server{}
	outcome := func(revision int32, duplicate bool) *callnormv1.DeliveredOutcome {
		return &callnormv1.DeliveredOutcome{Name: "outcomes/a", Revision: revision, Duplicate: &duplicate}
	}
	for state := range int32(len(callnormv1.DeliveryState_name)) + 1 { // and one that is not known
		if state == 0 {
			continue // It always has one.
		}
		for name, response := range map[string]*callnormv1.IngestDeliveryResponse{
			"no outcome":       {},
			"an outcome":       {Outcomes: []*callnormv1.DeliveredOutcome{outcome(1, false)}},
			"several outcomes": {Outcomes: []*callnormv1.DeliveredOutcome{outcome(1<<30, true), outcome(0, false), {}}},
			"a fault":          {Faults: []*callnormv1.Fault{{Detail: `"<`}}},
			"a notice":         {Notices: []*callnormv1.Notice{{EventRaw: "<"}}},
			"unlisted":         {UnlistedCount: 1},
		} {
			response.Delivery, response.Duplicate, response.State = "deliveries/b", new(state%2 == 0), callnormv1.DeliveryState(state)
			want, err := s.json.Marshal(response)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := s.answer(response); err != nil || string(got) != string(want) {
				t.Errorf("%s: %s, %v, want %s", name, got, err, want)
			}
		}
	}
}
