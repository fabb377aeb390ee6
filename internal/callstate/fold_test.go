package callstate_test

import (
	"fmt"
	"slices"
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

func settling(call *callnormv1.CallOutcome) *callnormv1.CallOutcome {
	call.Completeness, call.Event = callnormv1.Completeness_COMPLETENESS_SETTLING, callnormv1.EventKind_EVENT_KIND_CALL_ENDED
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
		"a corrected transcript that comes by itself": {
			contributions: []*callnormv1.CallOutcome{
				settling(&callnormv1.CallOutcome{Transcript: &callnormv1.Transcript{Text: "as it was said", Corrected: true}}),
				final(&callnormv1.CallOutcome{Transcript: &callnormv1.Transcript{Text: "as it was heard"}}),
			},
			want: final(&callnormv1.CallOutcome{Transcript: &callnormv1.Transcript{Text: "as it was said", Corrected: true}}),
		},
		"a report with a corrected transcript replaces the one without": {
			contributions: []*callnormv1.CallOutcome{
				final(&callnormv1.CallOutcome{
					Transcript: &callnormv1.Transcript{Text: "as it was said", Corrected: true}, TotalDuration: durationpb.New(31 * time.Second),
					Disposition: &callnormv1.Disposition{Raw: "NOT_INTERESTED", Mapping: callnormv1.Mapping_MAPPING_LLM},
				}),
				final(&callnormv1.CallOutcome{
					Transcript: &callnormv1.Transcript{Text: "as it was heard"}, TotalDuration: durationpb.New(30 * time.Second),
					Disposition: &callnormv1.Disposition{Raw: "INTERESTED", Mapping: callnormv1.Mapping_MAPPING_EXACT},
				}),
			},
			want: final(&callnormv1.CallOutcome{
				Transcript: &callnormv1.Transcript{Text: "as it was said", Corrected: true}, TotalDuration: durationpb.New(31 * time.Second),
				Disposition: &callnormv1.Disposition{Raw: "NOT_INTERESTED", Mapping: callnormv1.Mapping_MAPPING_LLM},
			}),
		},
		"what was said after a transfer, told by itself": {
			contributions: []*callnormv1.CallOutcome{
				settling(&callnormv1.CallOutcome{Transcript: &callnormv1.Transcript{
					Source: "after", Continuation: true, Turns: []*callnormv1.TranscriptTurn{{Text: "Support."}},
				}}),
				final(&callnormv1.CallOutcome{Transcript: &callnormv1.Transcript{Source: "before", Turns: []*callnormv1.TranscriptTurn{{Text: "Hello."}}}}),
			},
			want: final(&callnormv1.CallOutcome{Transcript: &callnormv1.Transcript{
				Source: "before, after", Turns: []*callnormv1.TranscriptTurn{{Text: "Hello."}, {Text: "Support."}},
			}}),
		},
		"what was said after a transfer, told by the report as well": {
			contributions: []*callnormv1.CallOutcome{
				settling(&callnormv1.CallOutcome{Transcript: &callnormv1.Transcript{
					Source: "after", Continuation: true, Turns: []*callnormv1.TranscriptTurn{{Text: "Support."}},
				}}),
				final(&callnormv1.CallOutcome{Transcript: &callnormv1.Transcript{
					Source: "before, after", Turns: []*callnormv1.TranscriptTurn{{Text: "Hello."}, {Text: "Support."}},
				}}),
			},
			want: final(&callnormv1.CallOutcome{Transcript: &callnormv1.Transcript{
				Source: "before, after", Turns: []*callnormv1.TranscriptTurn{{Text: "Hello."}, {Text: "Support."}},
			}}),
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
		"a transfer's end measures the call, although more is expected than of the report": {
			contributions: []*callnormv1.CallOutcome{
				final(&callnormv1.CallOutcome{TotalDuration: durationpb.New(128 * time.Second)}),
				{
					Completeness: callnormv1.Completeness_COMPLETENESS_SETTLING, Event: callnormv1.EventKind_EVENT_KIND_TRANSFER_ENDED,
					TotalDuration: durationpb.New(300 * time.Second),
				},
				{
					Completeness: callnormv1.Completeness_COMPLETENESS_PARTIAL, Event: callnormv1.EventKind_EVENT_KIND_TRANSFER_ENDED,
					TotalDuration: durationpb.New(20 * time.Second),
				},
			},
			want: final(&callnormv1.CallOutcome{TotalDuration: durationpb.New(300 * time.Second)}),
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
		"a report that is behind does not take back that the call is over": {
			contributions: []*callnormv1.CallOutcome{
				final(&callnormv1.CallOutcome{Status: callnormv1.CallStatus_CALL_STATUS_IN_PROGRESS, StatusRaw: "going on"}),
				interim(&callnormv1.CallOutcome{Status: callnormv1.CallStatus_CALL_STATUS_COMPLETED, StatusRaw: "done"}),
			},
			want: final(&callnormv1.CallOutcome{Status: callnormv1.CallStatus_CALL_STATUS_COMPLETED, StatusRaw: "done"}),
		},
		"what is told counts more than a later word that tells nothing": {
			contributions: []*callnormv1.CallOutcome{
				final(&callnormv1.CallOutcome{EventTime: timestamppb.New(time.Unix(20, 0)), End: &callnormv1.CallEnd{ReasonRaw: "unknown"}}),
				final(&callnormv1.CallOutcome{EventTime: timestamppb.New(time.Unix(10, 0)), End: &callnormv1.CallEnd{
					Reason: callnormv1.EndReason_END_REASON_BUSY, ReasonRaw: "busy",
				}}),
			},
			want: final(&callnormv1.CallOutcome{EventTime: timestamppb.New(time.Unix(20, 0)), End: &callnormv1.CallEnd{
				Reason: callnormv1.EndReason_END_REASON_BUSY, ReasonRaw: "busy",
			}}),
		},
		"one that expects more does not take back that all had come": {
			contributions: []*callnormv1.CallOutcome{
				settling(&callnormv1.CallOutcome{ExpectedParts: []callnormv1.Part{callnormv1.Part_PART_ANALYSIS}}),
				interim(&callnormv1.CallOutcome{PresentParts: []callnormv1.Part{callnormv1.Part_PART_ANALYSIS}}),
				settling(&callnormv1.CallOutcome{
					EventTime: timestamppb.New(time.Unix(20, 0)), ExpectedParts: []callnormv1.Part{callnormv1.Part_PART_RECORDING},
				}),
			},
			want: &callnormv1.CallOutcome{
				Completeness: callnormv1.Completeness_COMPLETENESS_FINAL, Event: callnormv1.EventKind_EVENT_KIND_CALL_ENDED,
				EventTime: timestamppb.New(time.Unix(20, 0)), PresentParts: []callnormv1.Part{callnormv1.Part_PART_ANALYSIS},
			},
		},
		"what one tells twice is there twice, however many tell it": {
			contributions: []*callnormv1.CallOutcome{
				final(&callnormv1.CallOutcome{KeyPresses: []*callnormv1.KeyPress{{Digits: "1"}}}),
				interim(&callnormv1.CallOutcome{KeyPresses: []*callnormv1.KeyPress{{Digits: "1"}, {Digits: "1"}}}),
				final(&callnormv1.CallOutcome{EventTime: timestamppb.New(time.Unix(20, 0)), KeyPresses: []*callnormv1.KeyPress{{Digits: "1"}, {Digits: "1"}}}),
			},
			want: final(&callnormv1.CallOutcome{
				EventTime: timestamppb.New(time.Unix(20, 0)), KeyPresses: []*callnormv1.KeyPress{{Digits: "1"}, {Digits: "1"}},
			}),
		},
		"a tool call told without an id is the one told with it": {
			contributions: []*callnormv1.CallOutcome{
				final(&callnormv1.CallOutcome{ToolCalls: []*callnormv1.ToolCall{{Tool: "book", ArgumentsJson: "1", StatusRaw: "ok"}, {Tool: "book", ArgumentsJson: "2"}}}),
				interim(&callnormv1.CallOutcome{ToolCalls: []*callnormv1.ToolCall{{Id: "a", Tool: "book", ArgumentsJson: "1", Error: "late"}, {Id: "b", Tool: "mail"}}}),
			},
			want: final(&callnormv1.CallOutcome{ToolCalls: []*callnormv1.ToolCall{
				{Id: "a", Tool: "book", ArgumentsJson: "1", StatusRaw: "ok"}, {Tool: "book", ArgumentsJson: "2"}, {Id: "b", Tool: "mail"},
			}}),
		},
		"what one delivery tells apart stays apart": {
			contributions: []*callnormv1.CallOutcome{
				final(&callnormv1.CallOutcome{ToolCalls: []*callnormv1.ToolCall{{Id: "a", Tool: "book"}, {Tool: "book"}}}),
				interim(&callnormv1.CallOutcome{ToolCalls: []*callnormv1.ToolCall{{Tool: "book"}}}),
			},
			want: final(&callnormv1.CallOutcome{ToolCalls: []*callnormv1.ToolCall{{Id: "a", Tool: "book"}, {Tool: "book"}}}),
		},
		"a tool that is used twice under one id was used twice": {
			contributions: []*callnormv1.CallOutcome{
				final(&callnormv1.CallOutcome{ToolCalls: []*callnormv1.ToolCall{{Id: "a", StartTime: timestamppb.New(time.Unix(2, 0))}}}),
				interim(&callnormv1.CallOutcome{ToolCalls: []*callnormv1.ToolCall{{Id: "a", StartTime: timestamppb.New(time.Unix(1, 0))}}}),
			},
			want: final(&callnormv1.CallOutcome{ToolCalls: []*callnormv1.ToolCall{
				{Id: "a", StartTime: timestamppb.New(time.Unix(2, 0))}, {Id: "a", StartTime: timestamppb.New(time.Unix(1, 0))},
			}}),
		},
		"a recording has one address, with the expiry of that": {
			contributions: []*callnormv1.CallOutcome{
				final(&callnormv1.CallOutcome{Recordings: []*callnormv1.Recording{{Id: "a", Uri: "new"}}}),
				interim(&callnormv1.CallOutcome{Recordings: []*callnormv1.Recording{{Id: "a", Uri: "old", ExpireTime: timestamppb.New(time.Unix(1, 0)), ContentType: "audio/mpeg"}}}),
			},
			want: final(&callnormv1.CallOutcome{Recordings: []*callnormv1.Recording{{Id: "a", Uri: "new", ContentType: "audio/mpeg"}}}),
		},
		"a message, a meeting and an evaluation are told in several steps": {
			contributions: []*callnormv1.CallOutcome{
				final(&callnormv1.CallOutcome{
					Messages:    []*callnormv1.Message{{Id: "a", StatusRaw: "delivered"}},
					Meetings:    []*callnormv1.Meeting{{Email: "a@example.com", StatusRaw: "confirmed"}},
					Evaluations: []*callnormv1.Evaluation{{Criterion: "polite", Result: callnormv1.EvaluationResult_EVALUATION_RESULT_PASSED}},
				}),
				interim(&callnormv1.CallOutcome{
					Messages:    []*callnormv1.Message{{Id: "a", Text: "hello", StatusRaw: "queued", Sent: yes()}},
					Meetings:    []*callnormv1.Meeting{{Email: "a@example.com", StatusRaw: "asked", SendTime: timestamppb.New(time.Unix(1, 0))}},
					Evaluations: []*callnormv1.Evaluation{{Id: "e", Criterion: "polite", Rationale: "not yet judged"}},
				}),
			},
			want: final(&callnormv1.CallOutcome{
				Messages:    []*callnormv1.Message{{Id: "a", Text: "hello", StatusRaw: "delivered"}},
				Meetings:    []*callnormv1.Meeting{{Email: "a@example.com", StatusRaw: "confirmed", SendTime: timestamppb.New(time.Unix(1, 0))}},
				Evaluations: []*callnormv1.Evaluation{{Id: "e", Criterion: "polite", Result: callnormv1.EvaluationResult_EVALUATION_RESULT_PASSED}},
			}),
		},
		"a part of an element that was read counts more than one that was derived": {
			contributions: []*callnormv1.CallOutcome{
				final(&callnormv1.CallOutcome{
					EventTime: timestamppb.New(time.Unix(20, 0)), Transfers: []*callnormv1.Transfer{{KindRaw: "FORWARD", Duration: durationpb.New(9 * time.Second)}},
					Provenance: &callnormv1.Provenance{DerivedFields: []string{"transfers.duration"}},
				}),
				final(&callnormv1.CallOutcome{
					EventTime: timestamppb.New(time.Unix(10, 0)), Transfers: []*callnormv1.Transfer{{KindRaw: "FORWARD", Duration: durationpb.New(8 * time.Second)}},
				}),
			},
			want: final(&callnormv1.CallOutcome{
				EventTime: timestamppb.New(time.Unix(20, 0)), Transfers: []*callnormv1.Transfer{{KindRaw: "FORWARD", Duration: durationpb.New(8 * time.Second)}},
			}),
		},
		"a way through the nodes is one voice's": {
			contributions: []*callnormv1.CallOutcome{
				final(&callnormv1.CallOutcome{Agent: &callnormv1.Agent{NodePath: []string{"c"}}}),
				interim(&callnormv1.CallOutcome{Agent: &callnormv1.Agent{NodePath: []string{"a", "b"}, Id: "7"}}),
			},
			want: final(&callnormv1.CallOutcome{Agent: &callnormv1.Agent{NodePath: []string{"c"}, Id: "7"}}),
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for i, call := range test.contributions {
				said(i, call)
			}
			forward := callstate.Fold(test.contributions)
			again := slices.Concat(test.contributions, test.contributions[:1])
			slices.Reverse(again)
			backward := callstate.Fold(again)
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

func TestFoldWithDeadlines(t *testing.T) {
	t.Parallel()
	analysis := []callnormv1.Part{callnormv1.Part_PART_ANALYSIS}
	waiting := settling(&callnormv1.CallOutcome{StatusRaw: "done", ExpectedParts: analysis})
	tests := map[string]struct {
		contributions []*callnormv1.CallOutcome
		completeness  callnormv1.Completeness
		expected      []callnormv1.Part
	}{
		"nothing":                     {},
		"one that waits":              {[]*callnormv1.CallOutcome{waiting}, callnormv1.Completeness_COMPLETENESS_FINAL, nil},
		"one that waits, and another": {[]*callnormv1.CallOutcome{waiting, interim(&callnormv1.CallOutcome{StatusRaw: "rings"})}, callnormv1.Completeness_COMPLETENESS_FINAL, nil},
		"one that goes on":            {[]*callnormv1.CallOutcome{interim(&callnormv1.CallOutcome{})}, callnormv1.Completeness_COMPLETENESS_PARTIAL, nil},
		"two that go on": {
			[]*callnormv1.CallOutcome{interim(&callnormv1.CallOutcome{StatusRaw: "rings"}), interim(&callnormv1.CallOutcome{ExpectedParts: analysis})},
			callnormv1.Completeness_COMPLETENESS_PARTIAL, analysis,
		},
		"one that is final": {[]*callnormv1.CallOutcome{final(&callnormv1.CallOutcome{ExpectedParts: analysis})}, callnormv1.Completeness_COMPLETENESS_FINAL, analysis},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			contributions := make([]*callnormv1.CallOutcome, len(test.contributions))
			for i, call := range test.contributions {
				contributions[i] = said(i, proto.CloneOf(call))
			}
			before := callstate.Fold(contributions)
			want := proto.CloneOf(before)
			want.Completeness, want.ExpectedParts = test.completeness, test.expected
			deadlines := []*callnormv1.CallOutcome{callstate.Deadline(time.Unix(1, 0)), callstate.Deadline(time.Unix(2, 0))}
			deadlines[1].Name = "outcomes/a"
			for _, list := range [][]*callnormv1.CallOutcome{
				slices.Concat(contributions, deadlines), slices.Concat(deadlines, contributions, deadlines[:1]), slices.Concat(contributions, deadlines[:1]),
			} {
				if diff := cmp.Diff(want, callstate.Fold(list), protocmp.Transform()); diff != "" {
					t.Errorf("with passed deadlines (-want +got):\n%s", diff)
				}
			}
			if diff := cmp.Diff(before, callstate.Fold(contributions), protocmp.Transform()); diff != "" {
				t.Errorf("a contribution was changed (-before +after):\n%s", diff)
			}
		})
	}
}

func TestFoldReturnsAMessageOfItsOwn(t *testing.T) {
	t.Parallel()
	call := said(1, settling(&callnormv1.CallOutcome{}))
	if callstate.Fold([]*callnormv1.CallOutcome{call}) == call {
		t.Error("whoever completes the result would change the contribution")
	}
}

func TestFoldTellsOfContradictions(t *testing.T) {
	t.Parallel()
	at := func(second int64, call *callnormv1.CallOutcome) *callnormv1.CallOutcome {
		call.EventTime = timestamppb.New(time.Unix(second, 0))
		return call
	}
	busy := func() *callnormv1.CallOutcome {
		return final(&callnormv1.CallOutcome{
			Status: callnormv1.CallStatus_CALL_STATUS_BUSY, StatusRaw: "busy", StatusMapping: callnormv1.Mapping_MAPPING_EXACT,
			Disposition: &callnormv1.Disposition{DoNotCall: yes()},
		})
	}
	failed := func() *callnormv1.CallOutcome {
		return final(&callnormv1.CallOutcome{
			Status: callnormv1.CallStatus_CALL_STATUS_FAILED, StatusRaw: "failed", StatusMapping: callnormv1.Mapping_MAPPING_EXACT,
			Disposition: &callnormv1.Disposition{DoNotCall: new(false)},
		})
	}
	tests := map[string]struct {
		contributions []*callnormv1.CallOutcome
		want          []string // paths
	}{
		"equal standing":                         {[]*callnormv1.CallOutcome{busy(), failed()}, []string{"disposition.do_not_call", "status"}},
		"three, each with its own word":          {[]*callnormv1.CallOutcome{busy(), failed(), interim(busy()), busy()}, []string{"disposition.do_not_call", "status"}},
		"two that agree, and an interim notice":  {[]*callnormv1.CallOutcome{busy(), busy(), interim(failed())}, nil},
		"the later event time decides":           {[]*callnormv1.CallOutcome{at(2, busy()), at(1, failed())}, nil},
		"a later event time decides between two": {[]*callnormv1.CallOutcome{at(1, failed()), at(1, busy()), at(2, busy())}, nil},
		"equal event times":                      {[]*callnormv1.CallOutcome{at(1, busy()), at(1, failed())}, []string{"disposition.do_not_call", "status"}},
		"the better mapping decides": {
			[]*callnormv1.CallOutcome{
				final(&callnormv1.CallOutcome{Status: callnormv1.CallStatus_CALL_STATUS_BUSY, StatusMapping: callnormv1.Mapping_MAPPING_EXACT}),
				final(&callnormv1.CallOutcome{Status: callnormv1.CallStatus_CALL_STATUS_FAILED, StatusMapping: callnormv1.Mapping_MAPPING_HEURISTIC}),
			}, nil,
		},
		"notices differ": {
			[]*callnormv1.CallOutcome{final(&callnormv1.CallOutcome{EventRaw: "a", Source: "a"}), final(&callnormv1.CallOutcome{EventRaw: "b", Source: "b"})}, nil,
		},
		"elements of lists": {
			[]*callnormv1.CallOutcome{
				final(&callnormv1.CallOutcome{
					ExtractedFields: []*callnormv1.ExtractedField{{Name: "zip", ClassRaw: "a"}, {Name: "city", ClassRaw: "a"}},
					Transfers:       []*callnormv1.Transfer{{KindRaw: "FORWARD", Reason: "a"}},
				}),
				final(&callnormv1.CallOutcome{
					ExtractedFields: []*callnormv1.ExtractedField{{Name: "zip", ClassRaw: "b"}, {Name: "city", ClassRaw: "b"}},
					Transfers:       []*callnormv1.Transfer{{KindRaw: "FORWARD", Reason: "b"}},
				}),
			}, []string{"extracted_fields", "transfers.reason"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for i, call := range test.contributions {
				said(i, call)
				call.Provenance.Deliveries[0].BodySha256 = strings.Repeat(string(rune('a'+i)), 64)
			}
			again := slices.Concat(test.contributions, test.contributions)
			slices.Reverse(again)
			for _, list := range [][]*callnormv1.CallOutcome{test.contributions, again} {
				var got []string
				for _, warning := range callstate.Fold(list).GetProvenance().GetWarnings() {
					if warning.GetKind() != callnormv1.WarningKind_WARNING_KIND_CONTRADICTION || warning.GetMessage() == "" {
						t.Errorf("unexpected warning: %v", warning)
					}
					got = append(got, warning.GetPath())
				}
				if diff := cmp.Diff(test.want, got); diff != "" {
					t.Errorf("contradictions (-want +got):\n%s", diff)
				}
			}
		})
	}
}

func TestFoldNamesWhatIsDerived(t *testing.T) {
	t.Parallel()
	inferred := func() *callnormv1.CallOutcome {
		return final(&callnormv1.CallOutcome{
			Transfers: []*callnormv1.Transfer{{Duration: durationpb.New(time.Second)}}, EndTime: timestamppb.New(time.Unix(9, 0)),
			Provenance: &callnormv1.Provenance{DerivedFields: []string{"transfers", "transfers.duration", "end_time"}},
		})
	}
	named := interim(&callnormv1.CallOutcome{Transfers: []*callnormv1.Transfer{{KindRaw: "FORWARD"}}})
	read := final(&callnormv1.CallOutcome{EndTime: timestamppb.New(time.Unix(8, 0))})
	tests := map[string]struct {
		contributions []*callnormv1.CallOutcome
		want          []string
	}{
		"nobody tells it otherwise":               {[]*callnormv1.CallOutcome{inferred(), inferred()}, []string{"end_time", "transfers", "transfers.duration"}},
		"the transfer was told, but not how long": {[]*callnormv1.CallOutcome{inferred(), named}, []string{"end_time", "transfers.duration"}},
		"the end was told":                        {[]*callnormv1.CallOutcome{inferred(), read}, []string{"transfers", "transfers.duration"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			contributions := copied(test.contributions)
			for i, call := range contributions {
				said(i, call)
			}
			if diff := cmp.Diff(test.want, callstate.Fold(contributions).GetProvenance().GetDerivedFields()); diff != "" {
				t.Errorf("derived fields (-want +got):\n%s", diff)
			}
		})
	}
}

func copied(list []*callnormv1.CallOutcome) []*callnormv1.CallOutcome {
	copies := make([]*callnormv1.CallOutcome, len(list))
	for i, call := range list {
		copies[i] = proto.CloneOf(call)
	}
	return copies
}

func TestAdds(t *testing.T) {
	t.Parallel()
	known := said(1, final(&callnormv1.CallOutcome{StatusRaw: "done", Provenance: &callnormv1.Provenance{Adapter: "a"}}))
	known.Provenance.Deliveries[0].BodySha256 = "aa"
	tests := map[string]struct {
		change func(one *callnormv1.CallOutcome, ref *callnormv1.DeliveryRef)
		want   bool
	}{
		"the same body in another delivery": {func(_ *callnormv1.CallOutcome, ref *callnormv1.DeliveryRef) {
			ref.Delivery, ref.Item, ref.ReceiveTime = "deliveries/2", 3, timestamppb.New(time.Unix(9, 0))
		}, false},
		"another body":                        {func(_ *callnormv1.CallOutcome, ref *callnormv1.DeliveryRef) { ref.BodySha256 = "bb" }, true},
		"no hash":                             {func(_ *callnormv1.CallOutcome, ref *callnormv1.DeliveryRef) { ref.BodySha256 = "" }, true},
		"the same body with another meaning":  {func(one *callnormv1.CallOutcome, _ *callnormv1.DeliveryRef) { one.StatusRaw = "gone" }, true},
		"the same body with another warning":  {func(one *callnormv1.CallOutcome, _ *callnormv1.DeliveryRef) { one.Provenance.UnmappedCount = 1 }, true},
		"the same body with a better proof":   {func(_ *callnormv1.CallOutcome, ref *callnormv1.DeliveryRef) { ref.VerifiedBy = "hmac-sha256" }, true},
		"the same body of another adapter":    {func(_ *callnormv1.CallOutcome, ref *callnormv1.DeliveryRef) { ref.AdapterVersion = "2" }, true},
		"a deadline, which says nothing else": {func(one *callnormv1.CallOutcome, _ *callnormv1.DeliveryRef) { one.Provenance = nil }, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			one := proto.CloneOf(known)
			test.change(one, one.GetProvenance().GetDeliveries()[0])
			before := proto.CloneOf(one)
			if got := callstate.Adds([]*callnormv1.CallOutcome{callstate.Deadline(time.Unix(1, 0)), known}, one); got != test.want {
				t.Errorf("adds: %t", got)
			}
			if !proto.Equal(before, one) {
				t.Error("the contribution was changed")
			}
		})
	}
	if !callstate.Adds(nil, known) {
		t.Error("the first adds nothing")
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
