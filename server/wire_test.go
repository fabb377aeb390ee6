package server

import (
	"testing"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"pgregory.net/rapid"
)

// TestWhatIsPassedThroughIsWhatEncodingWouldSend compares both messages of streams with what protobuf makes of them.
func TestWhatIsPassedThroughIsWhatEncodingWouldSend(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		mark, caughtUp := rapid.StringMatching(`[A-Za-z0-9_.-]{0,300}`).Draw(t, "mark"), rapid.Bool().Draw(t, "caught up")
		sent := &wired{mark: mark, caughtUp: caughtUp}
		var outcome *callnormv1.CallOutcome
		if rapid.Bool().Draw(t, "with an outcome") {
			outcome = &callnormv1.CallOutcome{
				Name: "outcomes/" + rapid.StringMatching("[a-z]{26}").Draw(t, "name"), StatusRaw: rapid.String().Draw(t, "raw"),
				Transcript: &callnormv1.Transcript{Text: rapid.StringN(-1, -1, 1<<17).Draw(t, "text")},
			}
			var err error
			if sent.outcome, err = proto.Marshal(outcome); err != nil {
				t.Fatal(err)
			}
		}
		wire, err := newCodec().Marshal(sent)
		if err != nil {
			t.Fatal(err)
		}
		for want, got := range map[proto.Message]proto.Message{
			&callnormv1.StreamOutcomesResponse{Outcome: outcome, Cursor: mark, CaughtUp: caughtUp}:    &callnormv1.StreamOutcomesResponse{},
			&callnormv1.StreamSubscriptionResponse{Outcome: outcome, AckId: mark, CaughtUp: caughtUp}: &callnormv1.StreamSubscriptionResponse{},
		} {
			encoded, err := newCodec().Marshal(want)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(encoded.Materialize(), wire.Materialize()); diff != "" {
				t.Errorf("the bytes (-encoded +passed through):\n%s", diff)
			}
			if err := newCodec().Unmarshal(wire, got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
				t.Errorf("the message (-encoded +passed through):\n%s", diff)
			}
		}
	})
}
