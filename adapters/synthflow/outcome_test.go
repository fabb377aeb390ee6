package synthflow_test

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/callnorm/callnorm/adapters"
	"github.com/callnorm/callnorm/adapters/adaptertest"
	"github.com/callnorm/callnorm/adapters/synthflow"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
)

// axes are the answers to the questions that one word may answer.
type axes struct {
	status       callnormv1.CallStatus
	end          callnormv1.EndReason
	endedBy      callnormv1.EndedBy
	answeredBy   callnormv1.AnsweredByKind
	voicemail    bool
	messageLeft  bool
	completeness callnormv1.Completeness
	event        callnormv1.EventKind
	mapping      callnormv1.Mapping
}

const (
	final     = callnormv1.Completeness_COMPLETENESS_FINAL
	partial   = callnormv1.Completeness_COMPLETENESS_PARTIAL
	reported  = callnormv1.EventKind_EVENT_KIND_CALL_REPORTED
	progress  = callnormv1.EventKind_EVENT_KIND_CALL_PROGRESS
	scheduled = callnormv1.EventKind_EVENT_KIND_CALL_SCHEDULED
	exact     = callnormv1.Mapping_MAPPING_EXACT
	heuristic = callnormv1.Mapping_MAPPING_HEURISTIC
	none      = callnormv1.Mapping_MAPPING_NONE
	voicemail = callnormv1.AnsweredByKind_ANSWERED_BY_KIND_VOICEMAIL
	human     = callnormv1.AnsweredByKind_ANSWERED_BY_KIND_HUMAN
	completed = callnormv1.CallStatus_CALL_STATUS_COMPLETED
)

func TestStatusWords(t *testing.T) {
	for word, want := range map[string]axes{
		// The documentation of 2024 and 2025.
		"completed":           {status: completed, completeness: final, event: reported, mapping: exact},
		"failed":              {status: callnormv1.CallStatus_CALL_STATUS_FAILED, completeness: final, event: reported, mapping: exact},
		"queue":               {status: callnormv1.CallStatus_CALL_STATUS_QUEUED, completeness: partial, event: scheduled, mapping: exact},
		"paused":              {status: callnormv1.CallStatus_CALL_STATUS_PAUSED, completeness: partial, event: progress, mapping: exact},
		"initiated":           {status: callnormv1.CallStatus_CALL_STATUS_INITIATED, completeness: partial, event: progress, mapping: exact},
		"no-answer":           {status: callnormv1.CallStatus_CALL_STATUS_NO_ANSWER, completeness: final, event: reported, mapping: exact},
		"busy":                {status: callnormv1.CallStatus_CALL_STATUS_BUSY, completeness: final, event: reported, mapping: exact},
		"hangup_on_voicemail": {status: completed, end: callnormv1.EndReason_END_REASON_VOICEMAIL_DETECTED_HANGUP, answeredBy: voicemail, voicemail: true, completeness: final, event: reported, mapping: exact},
		// The documentation of 2026 and the API's.
		"pending":        {status: callnormv1.CallStatus_CALL_STATUS_QUEUED, completeness: partial, event: scheduled, mapping: exact},
		"registered":     {status: callnormv1.CallStatus_CALL_STATUS_QUEUED, completeness: partial, event: scheduled, mapping: exact},
		"ringing":        {status: callnormv1.CallStatus_CALL_STATUS_RINGING, completeness: partial, event: progress, mapping: exact},
		"in-progress":    {status: callnormv1.CallStatus_CALL_STATUS_IN_PROGRESS, completeness: partial, event: progress, mapping: exact},
		"canceled":       {status: callnormv1.CallStatus_CALL_STATUS_CANCELED, completeness: final, event: reported, mapping: exact},
		"user-canceled":  {status: callnormv1.CallStatus_CALL_STATUS_CANCELED, end: callnormv1.EndReason_END_REASON_CANCELED_BEFORE_ANSWER, completeness: final, event: reported, mapping: exact},
		"left_voicemail": {status: completed, end: callnormv1.EndReason_END_REASON_VOICEMAIL_LEFT, answeredBy: voicemail, voicemail: true, messageLeft: true, completeness: final, event: reported, mapping: exact},
		"spam":           {status: callnormv1.CallStatus_CALL_STATUS_BLOCKED, end: callnormv1.EndReason_END_REASON_MARKED_AS_SPAM, completeness: final, event: reported, mapping: exact},
		// What receivers have met.
		"no_answer":          {status: callnormv1.CallStatus_CALL_STATUS_NO_ANSWER, completeness: final, event: reported, mapping: exact},
		"ended":              {status: completed, completeness: final, event: reported, mapping: heuristic},
		"voicemail":          {status: completed, end: callnormv1.EndReason_END_REASON_VOICEMAIL, answeredBy: voicemail, voicemail: true, completeness: final, event: reported, mapping: heuristic},
		"voicemail_detected": {status: completed, end: callnormv1.EndReason_END_REASON_VOICEMAIL, answeredBy: voicemail, voicemail: true, completeness: final, event: reported, mapping: heuristic},
		"machine_detected":   {status: completed, answeredBy: callnormv1.AnsweredByKind_ANSWERED_BY_KIND_MACHINE, completeness: final, event: reported, mapping: heuristic},
		// What nobody has met, and nothing at all.
		"teleported": {status: callnormv1.CallStatus_CALL_STATUS_OTHER, completeness: final, event: reported, mapping: none},
		"":           {completeness: partial, event: reported},
	} {
		t.Run(word, func(t *testing.T) {
			call := one(t, map[string]any{"call": map[string]any{"call_id": "c-1", "status": word}})
			check(t, want, call, call.GetStatusMapping())
			if call.GetStatusRaw() != word {
				t.Errorf("the word is told as %q", call.GetStatusRaw())
			}
			if want.end != 0 && (call.GetEnd().GetReasonRaw() != word || call.GetEnd().GetReasonMapping() != want.mapping) {
				t.Errorf("the reason is not told with its word: %v", call.GetEnd())
			}
			if want.answeredBy != 0 && (call.GetAnsweredBy().GetRaw() != word || call.GetAnsweredBy().GetMapping() != want.mapping) {
				t.Errorf("who answered is not told with the word: %v", call.GetAnsweredBy())
			}
		})
	}
}

func TestEndReasonWords(t *testing.T) {
	agent, customer, system := callnormv1.EndedBy_ENDED_BY_AGENT, callnormv1.EndedBy_ENDED_BY_CUSTOMER, callnormv1.EndedBy_ENDED_BY_SYSTEM
	for word, want := range map[string]axes{
		// The documentation of 2024 and 2025.
		"voicemail":             {end: callnormv1.EndReason_END_REASON_VOICEMAIL, answeredBy: voicemail, voicemail: true, mapping: exact},
		"human_goodbye":         {end: callnormv1.EndReason_END_REASON_CUSTOMER_HANGUP, endedBy: customer, answeredBy: human, mapping: exact},
		"agent_goodbye":         {end: callnormv1.EndReason_END_REASON_AGENT_HANGUP, endedBy: agent, answeredBy: human, mapping: exact},
		"human_pick_up_cut_off": {end: callnormv1.EndReason_END_REASON_CUT_OFF, answeredBy: human, mapping: exact},
		"max_duration":          {end: callnormv1.EndReason_END_REASON_MAX_DURATION, endedBy: system, mapping: exact},
		"undefined":             {mapping: exact},
		// The documentation of 2026 and the API's.
		"voicemail_message_left": {end: callnormv1.EndReason_END_REASON_VOICEMAIL_LEFT, answeredBy: voicemail, voicemail: true, messageLeft: true, mapping: exact},
		"voicemail_cut_off":      {end: callnormv1.EndReason_END_REASON_VOICEMAIL, answeredBy: voicemail, voicemail: true, mapping: exact},
		"custom_end_call":        {end: callnormv1.EndReason_END_REASON_CUSTOM_RULE, mapping: exact},
		"user_canceled":          {end: callnormv1.EndReason_END_REASON_CANCELED_BEFORE_ANSWER, mapping: exact},
		"agent_ended_call":       {end: callnormv1.EndReason_END_REASON_AGENT_HANGUP, endedBy: agent, mapping: exact},
		"human_ended_call":       {end: callnormv1.EndReason_END_REASON_CUSTOMER_HANGUP, endedBy: customer, mapping: exact},
		"timeout":                {end: callnormv1.EndReason_END_REASON_TIMEOUT, mapping: exact},
		"error":                  {end: callnormv1.EndReason_END_REASON_OTHER, mapping: exact},
		// What receivers have met, and what nobody has.
		"Failed to start outbound call": {end: callnormv1.EndReason_END_REASON_TELEPHONY_ERROR, endedBy: system, mapping: heuristic},
		"recovery_unresolved":           {end: callnormv1.EndReason_END_REASON_OTHER, mapping: none},
	} {
		t.Run(word, func(t *testing.T) {
			want.status, want.completeness, want.event = completed, final, reported
			call := one(t, map[string]any{"call": map[string]any{"call_id": "c-1", "status": "completed", "end_call_reason": word}})
			check(t, want, call, call.GetEnd().GetReasonMapping())
			if call.GetEnd().GetReasonRaw() != word {
				t.Errorf("the word is told as %q", call.GetEnd().GetReasonRaw())
			}
			if want.endedBy != 0 && (call.GetEnd().GetEndedByRaw() != word || call.GetEnd().GetEndedByMapping() != want.mapping) {
				t.Errorf("who ended it is not told with the word: %v", call.GetEnd())
			}
			if want.answeredBy != 0 && call.GetAnsweredBy().GetRaw() != word {
				t.Errorf("who answered is not told with the word: %v", call.GetAnsweredBy())
			}
		})
	}
}

func check(t *testing.T, want axes, call *callnormv1.CallOutcome, mapping callnormv1.Mapping) {
	t.Helper()
	got := axes{
		status: call.GetStatus(), end: call.GetEnd().GetReason(), endedBy: call.GetEnd().GetEndedBy(), answeredBy: call.GetAnsweredBy().GetValue(),
		voicemail: call.GetVoicemail().GetDetected(), messageLeft: call.GetVoicemail().GetMessageLeft(),
		completeness: call.GetCompleteness(), event: call.GetEvent(), mapping: mapping,
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(axes{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if call.GetDisposition() != nil || call.GetDirection() != 0 {
		t.Errorf("a word on the call tells neither a disposition nor a direction: %v, %v", call.GetDisposition(), call.GetDirection())
	}
}

// one returns the only outcome of a body.
func one(t *testing.T, body any) *callnormv1.CallOutcome {
	t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	return calls(t, text, 1)[0]
}

func calls(t *testing.T, body []byte, n int) []*callnormv1.CallOutcome {
	t.Helper()
	result, err := adapters.Normalize(synthflow.New(), adapters.Delivery{Provider: "synthflow", Body: body})
	if err != nil {
		t.Fatal(err)
	}
	if len(result.Outcomes) != n {
		t.Fatalf("%d outcomes, want %d", len(result.Outcomes), n)
	}
	return adaptertest.Response(result).GetOutcomes()
}

func TestCasesThatMeanTheSame(t *testing.T) {
	for what, files := range map[string][]string{
		"the order of actions carries no meaning": {"a13_actions_in_one_order", "a13_actions_in_the_other_order"},
		"a repeat tells nothing new":              {"s23_first_copy", "s23_repeated_byte_for_byte"},
		"no signature header changes a call": {
			"s16_signature_covers_the_call_id_only", "s17_header_synthflow_signature", "s17_header_x_synthflow_signature",
			"s17_header_http_synthflow_signature", "s17_header_lower_case_with_underscores",
		},
	} {
		t.Run(what, func(t *testing.T) {
			first := calls(t, body(t, files[0]), 1)
			for _, file := range files[1:] {
				if diff := cmp.Diff(first, calls(t, body(t, file), 1), protocmp.Transform()); diff != "" {
					t.Errorf("%s (-%s):\n%s", file, files[0], diff)
				}
			}
		})
	}
}

func body(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile("testdata/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestOutcomesOfOneAnswerShareNothing(t *testing.T) {
	list := calls(t, body(t, "s19_api_answer_with_several_calls"), 2)
	before := proto.Clone(list[1])
	first := list[0]
	first.GetContact().DisplayName = "changed"
	first.GetContact().GetPhones()[0].E164 = "changed"
	first.GetVariables()[0].Name = "changed"
	first.Variables = append(first.Variables[:0], &callnormv1.NamedValue{Name: "changed"})
	first.GetStartTime().Seconds = 1
	first.GetProvenance().AdapterVersion = "changed"
	first.GetProvenance().DerivedFields[0] = "changed"
	if diff := cmp.Diff(before, list[1], protocmp.Transform()); diff != "" {
		t.Errorf("a change of one outcome shows in another (-before +after):\n%s", diff)
	}
}

func TestPlaceholdersIdentifyNothing(t *testing.T) {
	for _, id := range []string{"[UUID]", "{call_id}", "XXXXXXXX", "null", "undefined", " "} {
		text, err := json.Marshal(map[string]any{"call": map[string]any{"call_id": id, "status": "completed"}})
		if err != nil {
			t.Fatal(err)
		}
		result, err := adapters.Normalize(synthflow.New(), adapters.Delivery{Body: text})
		if err != nil || len(result.Outcomes) != 1 {
			t.Fatalf("%q: %v, %v", id, result, err)
		}
		if outcome := result.Outcomes[0]; outcome.CallID != "" || outcome.Call.GetProviderCallId() != "" {
			t.Errorf("%q identifies a call", id)
		}
	}
}

func TestNothingClaimsAProofOfOrigin(t *testing.T) {
	for _, c := range adaptertest.Cases(t, synthflow.New()) {
		result, _ := adapters.Normalize(synthflow.New(), c.Delivery)
		for _, outcome := range result.Outcomes {
			if len(outcome.Call.GetProvenance().GetDeliveries()) > 0 {
				t.Errorf("%s: the adapter speaks of deliveries", c.Name)
			}
		}
	}
}

// The time to read a transcript without speakers must not grow with the square of its length: this one would take minutes.
func TestLongTranscriptWithoutSpeakers(t *testing.T) {
	text := make([]byte, 4<<20)
	for i := range text {
		text[i] = "x\n"[i%2]
	}
	call := one(t, map[string]any{"call": map[string]any{"call_id": "c-1", "status": "completed", "transcript": string(text)}})
	if turns := call.GetTranscript().GetTurns(); len(turns) != 1 || len(turns[0].GetText()) != len(text)-1 {
		t.Errorf("%d turns", len(turns))
	}
}
