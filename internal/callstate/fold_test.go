package callstate_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/callnorm/callnorm/internal/callstate"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// said is a contribution of the n-th delivery.
func said(n int, call *callnormv1.CallOutcome) *callnormv1.CallOutcome {
	if call.GetProvenance() == nil {
		call.Provenance = &callnormv1.Provenance{}
	}
	call.Provenance.Deliveries = []*callnormv1.DeliveryRef{{
		Delivery: fmt.Sprintf("deliveries/%d", n), ReceiveTime: timestamppb.New(time.Unix(int64(n), 0)),
	}}
	return call
}

func interim(call *callnormv1.CallOutcome) *callnormv1.CallOutcome {
	call.Completeness, call.Event = callnormv1.Completeness_COMPLETENESS_PARTIAL, callnormv1.EventKind_EVENT_KIND_CALL_STARTED
	return call
}

func final(call *callnormv1.CallOutcome) *callnormv1.CallOutcome {
	call.Completeness, call.Event = callnormv1.Completeness_COMPLETENESS_FINAL, callnormv1.EventKind_EVENT_KIND_CALL_REPORTED
	return call
}

func yes() *bool { b := true; return &b }

func TestFold(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		contributions []*callnormv1.CallOutcome
		want          *callnormv1.CallOutcome // provenance apart
	}{
		"a finished call does not go back to ringing": {
			contributions: []*callnormv1.CallOutcome{
				final(&callnormv1.CallOutcome{Status: callnormv1.CallStatus_CALL_STATUS_BUSY, StatusRaw: "BUSY", StatusMapping: callnormv1.Mapping_MAPPING_EXACT}),
				interim(&callnormv1.CallOutcome{Status: callnormv1.CallStatus_CALL_STATUS_RINGING, StatusRaw: "RINGING", StatusMapping: callnormv1.Mapping_MAPPING_EXACT}),
			},
			want: final(&callnormv1.CallOutcome{Status: callnormv1.CallStatus_CALL_STATUS_BUSY, StatusRaw: "BUSY", StatusMapping: callnormv1.Mapping_MAPPING_EXACT}),
		},
		"a value, its word and its mapping move as one": {
			contributions: []*callnormv1.CallOutcome{
				interim(&callnormv1.CallOutcome{Status: callnormv1.CallStatus_CALL_STATUS_RINGING, StatusRaw: "ringing", StatusMapping: callnormv1.Mapping_MAPPING_EXACT}),
				final(&callnormv1.CallOutcome{StatusRaw: "gone"}),
			},
			want: final(&callnormv1.CallOutcome{StatusRaw: "gone"}),
		},
		"what only an interim notice told stays": {
			contributions: []*callnormv1.CallOutcome{
				interim(&callnormv1.CallOutcome{
					StartTime: timestamppb.New(time.Unix(100, 0)), Disposition: &callnormv1.Disposition{DoNotCall: yes()},
					ExternalIds: []*callnormv1.ExternalId{{System: "a", Id: "1"}},
				}),
				final(&callnormv1.CallOutcome{
					Disposition: &callnormv1.Disposition{Value: callnormv1.ContactDisposition_CONTACT_DISPOSITION_NOT_INTERESTED, Raw: "NO"},
					ExternalIds: []*callnormv1.ExternalId{{System: "b", Id: "2"}},
				}),
			},
			want: final(&callnormv1.CallOutcome{
				StartTime:   timestamppb.New(time.Unix(100, 0)),
				Disposition: &callnormv1.Disposition{Value: callnormv1.ContactDisposition_CONTACT_DISPOSITION_NOT_INTERESTED, Raw: "NO", DoNotCall: yes()},
				ExternalIds: []*callnormv1.ExternalId{{System: "b", Id: "2"}, {System: "a", Id: "1"}},
			}),
		},
		"the later event time counts within one stage": {
			contributions: []*callnormv1.CallOutcome{
				final(&callnormv1.CallOutcome{EventTime: timestamppb.New(time.Unix(20, 0)), StatusRaw: "new"}),
				final(&callnormv1.CallOutcome{EventTime: timestamppb.New(time.Unix(10, 0)), StatusRaw: "old"}),
			},
			want: final(&callnormv1.CallOutcome{EventTime: timestamppb.New(time.Unix(20, 0)), StatusRaw: "new"}),
		},
		"what was read counts more than what was derived": {
			contributions: []*callnormv1.CallOutcome{
				final(&callnormv1.CallOutcome{
					EventTime: timestamppb.New(time.Unix(20, 0)), TalkDuration: durationpb.New(9 * time.Second),
					Provenance: &callnormv1.Provenance{DerivedFields: []string{"talk_duration"}},
				}),
				final(&callnormv1.CallOutcome{EventTime: timestamppb.New(time.Unix(10, 0)), TalkDuration: durationpb.New(8 * time.Second)}),
			},
			want: final(&callnormv1.CallOutcome{EventTime: timestamppb.New(time.Unix(20, 0)), TalkDuration: durationpb.New(8 * time.Second)}),
		},
		"without event times the better mapping counts": {
			contributions: []*callnormv1.CallOutcome{
				final(&callnormv1.CallOutcome{AnsweredBy: &callnormv1.AnsweredBy{
					Value: callnormv1.AnsweredByKind_ANSWERED_BY_KIND_HUMAN, Raw: "true", Mapping: callnormv1.Mapping_MAPPING_LLM,
				}, Status: callnormv1.CallStatus_CALL_STATUS_OTHER, StatusRaw: "hm", StatusMapping: callnormv1.Mapping_MAPPING_NONE}),
				final(&callnormv1.CallOutcome{Status: callnormv1.CallStatus_CALL_STATUS_COMPLETED, StatusRaw: "done", StatusMapping: callnormv1.Mapping_MAPPING_EXACT}),
			},
			want: final(&callnormv1.CallOutcome{AnsweredBy: &callnormv1.AnsweredBy{
				Value: callnormv1.AnsweredByKind_ANSWERED_BY_KIND_HUMAN, Raw: "true", Mapping: callnormv1.Mapping_MAPPING_LLM,
			}, Status: callnormv1.CallStatus_CALL_STATUS_COMPLETED, StatusRaw: "done", StatusMapping: callnormv1.Mapping_MAPPING_EXACT}),
		},
		"lists unite by identity, and equal elements of one notice stay": {
			contributions: []*callnormv1.CallOutcome{
				final(&callnormv1.CallOutcome{
					ExtractedFields: []*callnormv1.ExtractedField{{Name: "zip", Source: "s", Rationale: "later"}},
					KeyPresses:      []*callnormv1.KeyPress{{Digits: "1"}, {Digits: "1"}},
				}),
				interim(&callnormv1.CallOutcome{
					ExtractedFields: []*callnormv1.ExtractedField{{Name: "zip", Source: "s", Rationale: "earlier"}, {Name: "city", Source: "s"}},
					KeyPresses:      []*callnormv1.KeyPress{{Digits: "1"}, {Digits: "2"}},
				}),
			},
			want: final(&callnormv1.CallOutcome{
				ExtractedFields: []*callnormv1.ExtractedField{{Name: "zip", Source: "s", Rationale: "later"}, {Name: "city", Source: "s"}},
				KeyPresses:      []*callnormv1.KeyPress{{Digits: "1"}, {Digits: "1"}, {Digits: "2"}},
			}),
		},
		"what a transfer's end tells completes the transfer": {
			contributions: []*callnormv1.CallOutcome{
				final(&callnormv1.CallOutcome{
					TotalDuration: durationpb.New(128 * time.Second),
					Transfers:     []*callnormv1.Transfer{{KindRaw: "FORWARD", Target: &callnormv1.Endpoint{SipUri: "sip:a"}}},
				}),
				{
					Completeness: callnormv1.Completeness_COMPLETENESS_FINAL, Event: callnormv1.EventKind_EVENT_KIND_TRANSFER_ENDED,
					TotalDuration: durationpb.New(300 * time.Second),
					Transfers:     []*callnormv1.Transfer{{Duration: durationpb.New(172 * time.Second)}},
				},
			},
			want: final(&callnormv1.CallOutcome{
				TotalDuration: durationpb.New(300 * time.Second),
				Transfers: []*callnormv1.Transfer{{
					KindRaw: "FORWARD", Target: &callnormv1.Endpoint{SipUri: "sip:a"}, Duration: durationpb.New(172 * time.Second),
				}},
			}),
		},
		"a call that goes on is not final": {
			contributions: []*callnormv1.CallOutcome{
				{
					Completeness: callnormv1.Completeness_COMPLETENESS_SETTLING, Event: callnormv1.EventKind_EVENT_KIND_CALL_ENDED,
					Status: callnormv1.CallStatus_CALL_STATUS_IN_PROGRESS, ExpectedParts: []callnormv1.Part{callnormv1.Part_PART_ANALYSIS},
				},
				interim(&callnormv1.CallOutcome{PresentParts: []callnormv1.Part{callnormv1.Part_PART_ANALYSIS}}),
			},
			want: &callnormv1.CallOutcome{
				Completeness: callnormv1.Completeness_COMPLETENESS_SETTLING, Event: callnormv1.EventKind_EVENT_KIND_CALL_ENDED,
				Status: callnormv1.CallStatus_CALL_STATUS_IN_PROGRESS, PresentParts: []callnormv1.Part{callnormv1.Part_PART_ANALYSIS},
			},
		},
		"a call is final when all expected parts have come": {
			contributions: []*callnormv1.CallOutcome{
				{
					Completeness: callnormv1.Completeness_COMPLETENESS_SETTLING, Event: callnormv1.EventKind_EVENT_KIND_CALL_ENDED,
					PresentParts:  []callnormv1.Part{callnormv1.Part_PART_RESULT},
					ExpectedParts: []callnormv1.Part{callnormv1.Part_PART_ANALYSIS},
				},
				interim(&callnormv1.CallOutcome{PresentParts: []callnormv1.Part{callnormv1.Part_PART_ANALYSIS}}),
			},
			want: &callnormv1.CallOutcome{
				Completeness: callnormv1.Completeness_COMPLETENESS_FINAL, Event: callnormv1.EventKind_EVENT_KIND_CALL_ENDED,
				PresentParts: []callnormv1.Part{callnormv1.Part_PART_RESULT, callnormv1.Part_PART_ANALYSIS},
			},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for i, call := range test.contributions {
				said(i, call)
			}
			forward := callstate.Fold(test.contributions)
			backward := callstate.Fold([]*callnormv1.CallOutcome{test.contributions[1], test.contributions[0], test.contributions[1]})
			if diff := cmp.Diff(test.want, forward, protocmp.Transform(), protocmp.IgnoreFields(&callnormv1.CallOutcome{}, "provenance")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(forward, backward, protocmp.Transform()); diff != "" {
				t.Errorf("another order or a repetition changes the outcome (-forward +backward):\n%s", diff)
			}
		})
	}
}

func TestFoldNamesWhereEachFieldComesFrom(t *testing.T) {
	t.Parallel()
	got := callstate.Fold([]*callnormv1.CallOutcome{
		said(1, interim(&callnormv1.CallOutcome{Attempt: proto.Int32(2)})),
		said(2, final(&callnormv1.CallOutcome{StatusRaw: "done"})),
	}).GetProvenance().GetFieldSources()
	if got["attempt"] != "deliveries/1" || got["status"] != "deliveries/2" {
		t.Errorf("field sources: %v", got)
	}
}

func TestBound(t *testing.T) {
	t.Parallel()
	turns := make([]*callnormv1.TranscriptTurn, 3000)
	for i := range turns {
		turns[i] = &callnormv1.TranscriptTurn{Text: strings.Repeat("é", 500)}
	}
	tests := map[string]*callnormv1.CallOutcome{
		"many turns":          {Transcript: &callnormv1.Transcript{Turns: turns}},
		"one long turn":       {Transcript: &callnormv1.Transcript{Turns: []*callnormv1.TranscriptTurn{{Text: strings.Repeat("é", 3<<20)}}}},
		"one long result":     {ToolCalls: []*callnormv1.ToolCall{{Tool: "t", ResultJson: `"` + strings.Repeat("x", 5<<20) + `"`}}},
		"one long id":         {ProviderCallId: strings.Repeat("x", 9<<20)},
		"long in many places": {ProviderCallId: strings.Repeat("x", 2<<20), StatusRaw: strings.Repeat("y", 2<<20), Variables: []*callnormv1.NamedValue{{Name: strings.Repeat("z", 2<<20)}}},
	}
	for name, call := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			before, _ := proto.Clone(call).(*callnormv1.CallOutcome)
			got := callstate.Bound(call)
			if size := proto.Size(got); size > callstate.MaxSize {
				t.Errorf("%d bytes are left", size)
			}
			if len(got.GetProvenance().GetWarnings()) == 0 {
				t.Error("nothing says that something was left out")
			}
			if !proto.Equal(before, call) {
				t.Error("the original was changed")
			}
		})
	}
	if small := (&callnormv1.CallOutcome{Name: "outcomes/a"}); callstate.Bound(small) != small {
		t.Error("a small outcome is not itself any more")
	}
}
