package intake

import (
	"testing"
	"time"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/callnorm/callnorm/internal/callstate"
	"github.com/callnorm/callnorm/internal/store"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

func TestARevisionOfOneContributionIsEncodedAsAnyOther(t *testing.T) {
	t.Parallel()
	id := store.NewOutcomeID("call", "c")
	said := &callnormv1.CallOutcome{
		Name: outcomeName(id), StatusRaw: "done", Completeness: callnormv1.Completeness_COMPLETENESS_SETTLING,
		ExpectedParts: []callnormv1.Part{callnormv1.Part_PART_TRANSCRIPT},
		Provenance:    &callnormv1.Provenance{Deliveries: []*callnormv1.DeliveryRef{{Delivery: "deliveries/d"}}},
	}
	renamed := proto.CloneOf(said)
	renamed.Name = "outcomes/another"
	deadline := callstate.Deadline(time.Unix(1, 0))
	for name, parts := range map[string][]*callnormv1.CallOutcome{
		"one": {said}, "under another name": {renamed}, "after its deadline": {said, deadline}, "a deadline alone": {deadline}, "none": {},
	} {
		for revision := range int32(3) {
			outcome := callstate.Fold(parts)
			outcome.Name, outcome.Revision, outcome.AfterFinal = outcomeName(id), revision, revision == 2
			outcome.RevisionCause = callnormv1.RevisionCause_REVISION_CAUSE_DELIVERY
			outcome.RevisionTime, outcome.SettleTime = timestamppb.New(time.Unix(2, 3)), timestamppb.New(time.Unix(4, 0))
			contributions := make([]store.KeptContribution, len(parts))
			before := make([]string, len(parts))
			for i, part := range parts {
				var err error
				if contributions[i].Body, err = proto.Marshal(part); err != nil {
					t.Fatal(err)
				}
				before[i] = string(contributions[i].Body)
			}
			body, err := encode(outcome, contributions, parts)
			if err != nil {
				t.Fatal(err)
			}
			got := &callnormv1.CallOutcome{}
			if err := proto.Unmarshal(body, got); err != nil || !proto.Equal(got, outcome) {
				t.Errorf("%s, revision %d: %v, %v; want %v", name, revision, got, err, outcome)
			}
			for i, c := range contributions {
				if string(c.Body) != before[i] {
					t.Errorf("%s: a contribution was changed", name)
				}
			}
		}
	}
}
