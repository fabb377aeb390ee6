package synthflow_test

import (
	"encoding/json"
	"maps"
	"os"
	"slices"
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
	agent     = callnormv1.EndedBy_ENDED_BY_AGENT
	customer  = callnormv1.EndedBy_ENDED_BY_CUSTOMER
	system    = callnormv1.EndedBy_ENDED_BY_SYSTEM
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
		"user-canceled":  {status: callnormv1.CallStatus_CALL_STATUS_CANCELED, end: callnormv1.EndReason_END_REASON_CANCELED_BEFORE_ANSWER, endedBy: customer, completeness: final, event: reported, mapping: exact},
		"left_voicemail": {status: completed, end: callnormv1.EndReason_END_REASON_VOICEMAIL_LEFT, answeredBy: voicemail, voicemail: true, messageLeft: true, completeness: final, event: reported, mapping: exact},
		"spam":           {status: callnormv1.CallStatus_CALL_STATUS_BLOCKED, end: callnormv1.EndReason_END_REASON_MARKED_AS_SPAM, completeness: final, event: reported, mapping: exact},
		// What receivers have met.
		"no_answer":          {status: callnormv1.CallStatus_CALL_STATUS_NO_ANSWER, completeness: final, event: reported, mapping: exact},
		"ended":              {status: completed, completeness: final, event: reported, mapping: heuristic},
		"voicemail":          {status: completed, end: callnormv1.EndReason_END_REASON_VOICEMAIL, answeredBy: voicemail, voicemail: true, completeness: final, event: reported, mapping: heuristic},
		"voicemail_detected": {status: completed, end: callnormv1.EndReason_END_REASON_VOICEMAIL, answeredBy: voicemail, voicemail: true, completeness: final, event: reported, mapping: heuristic},
		"queued":             {status: callnormv1.CallStatus_CALL_STATUS_QUEUED, completeness: partial, event: scheduled, mapping: heuristic},
		"scheduled":          {status: callnormv1.CallStatus_CALL_STATUS_QUEUED, completeness: partial, event: scheduled, mapping: heuristic},
		"dialing":            {status: callnormv1.CallStatus_CALL_STATUS_INITIATED, completeness: partial, event: progress, mapping: heuristic},
		"cancelled":          {status: callnormv1.CallStatus_CALL_STATUS_CANCELED, completeness: final, event: reported, mapping: heuristic},
		"user_cancelled":     {status: callnormv1.CallStatus_CALL_STATUS_CANCELED, end: callnormv1.EndReason_END_REASON_CANCELED_BEFORE_ANSWER, endedBy: customer, completeness: final, event: reported, mapping: heuristic},
		"machine_detected":   {status: completed, answeredBy: callnormv1.AnsweredByKind_ANSWERED_BY_KIND_MACHINE, completeness: final, event: reported, mapping: heuristic},
		// What nobody has met, and nothing at all.
		"teleported": {status: callnormv1.CallStatus_CALL_STATUS_OTHER, completeness: partial, event: progress, mapping: none},
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
		"custom_end_call":        {end: callnormv1.EndReason_END_REASON_CUSTOM_RULE, endedBy: agent, mapping: exact},
		"user_canceled":          {end: callnormv1.EndReason_END_REASON_CANCELED_BEFORE_ANSWER, endedBy: customer, mapping: exact},
		"user_cancelled":         {end: callnormv1.EndReason_END_REASON_CANCELED_BEFORE_ANSWER, endedBy: customer, mapping: heuristic},
		"agent_ended_call":       {end: callnormv1.EndReason_END_REASON_AGENT_HANGUP, endedBy: agent, mapping: exact},
		"human_ended_call":       {end: callnormv1.EndReason_END_REASON_CUSTOMER_HANGUP, endedBy: customer, mapping: exact},
		"timeout":                {end: callnormv1.EndReason_END_REASON_TIMEOUT, mapping: exact},
		"error":                  {end: callnormv1.EndReason_END_REASON_ERROR, mapping: exact},
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

func TestUnknownStatusIsOverOnlyWhereSomethingElseShowsIt(t *testing.T) {
	for what, test := range map[string]struct {
		beside map[string]any
		over   bool
	}{
		"nothing":                  {nil, false},
		"no seconds":               {map[string]any{"duration": 0, "start_time": "2025-11-12T14:20:31Z"}, false},
		"an unspecified reason":    {map[string]any{"end_call_reason": "undefined"}, false},
		"an unknown reason":        {map[string]any{"end_call_reason": "recovery_unresolved"}, false},
		"a blank transcript":       {map[string]any{"transcript": " \n"}, false},
		"a transcript of no turns": {map[string]any{"transcript": []any{}}, false},
		"a known reason":           {map[string]any{"end_call_reason": "max_duration"}, true},
		"a reason of their own":    {map[string]any{"custom_end_call_reason": "asked to stop"}, true},
		"seconds":                  {map[string]any{"duration": 3}, true},
		"seconds of telephony":     {map[string]any{"telephony_duration": 3000}, true},
		"a transcript":             {map[string]any{"transcript": "human: hello?"}, true},
		"turns":                    {map[string]any{"transcript": []any{map[string]any{"role": "human", "text": "hello?"}}}, true},
	} {
		t.Run(what, func(t *testing.T) {
			fields := map[string]any{"call_id": "c-1", "status": "teleported"}
			maps.Copy(fields, test.beside)
			call := one(t, map[string]any{"call": fields})
			want := axes{status: callnormv1.CallStatus_CALL_STATUS_OTHER, completeness: partial, event: progress, mapping: none}
			if test.over {
				want.completeness, want.event = final, reported
			}
			want.end, want.endedBy = call.GetEnd().GetReason(), call.GetEnd().GetEndedBy()
			check(t, want, call, call.GetStatusMapping())
			if slices.Contains(call.GetPresentParts(), callnormv1.Part_PART_RESULT) != test.over || call.GetEndTime() != nil && !test.over {
				t.Errorf("parts %v, end %v", call.GetPresentParts(), call.GetEndTime())
			}
		})
	}
}

func TestStatusWordsInThePlaceOfTheReason(t *testing.T) {
	machine := callnormv1.AnsweredByKind_ANSWERED_BY_KIND_MACHINE
	for word, want := range map[string]axes{
		"hangup_on_voicemail": {end: callnormv1.EndReason_END_REASON_VOICEMAIL_DETECTED_HANGUP, answeredBy: voicemail, voicemail: true},
		"left-voicemail":      {end: callnormv1.EndReason_END_REASON_VOICEMAIL_LEFT, answeredBy: voicemail, voicemail: true, messageLeft: true},
		"voicemail_detected":  {end: callnormv1.EndReason_END_REASON_VOICEMAIL, answeredBy: voicemail, voicemail: true},
		"spam":                {end: callnormv1.EndReason_END_REASON_MARKED_AS_SPAM},
		"machine_detected":    {answeredBy: machine},
		"no-answer":           {end: callnormv1.EndReason_END_REASON_OTHER, mapping: none},
		"busy":                {end: callnormv1.EndReason_END_REASON_OTHER, mapping: none},
		"in-progress":         {end: callnormv1.EndReason_END_REASON_OTHER, mapping: none},
		"completed":           {end: callnormv1.EndReason_END_REASON_OTHER, mapping: none},
	} {
		t.Run(word, func(t *testing.T) {
			want.status, want.completeness, want.event = completed, final, reported
			call := one(t, map[string]any{
				"call":     map[string]any{"call_id": "c-1", "status": "completed", "end_call_reason": word},
				"analysis": map[string]any{"answered_by_human": "true"},
			})
			if want.answeredBy == 0 {
				want.answeredBy = human // the judge's opinion, which no word contradicts
			} else if call.GetAnsweredBy().GetRaw() != word || call.GetAnsweredBy().GetMapping() != heuristic {
				t.Errorf("who answered is not told with the word: %v", call.GetAnsweredBy())
			}
			if want.end != 0 && want.mapping == 0 {
				want.mapping = heuristic
			}
			check(t, want, call, call.GetEnd().GetReasonMapping())
			if want.end != 0 != (call.GetEnd().GetReasonRaw() == word) {
				t.Errorf("the reason is told as %v", call.GetEnd())
			}
			if !warned(call, callnormv1.WarningKind_WARNING_KIND_MISPLACED, "call.end_call_reason") {
				t.Error("nothing says that the word is misplaced")
			}
		})
	}
}

func TestStatusWordsInThePlaceOfTheReasonAndWhatElseTells(t *testing.T) {
	const other = callnormv1.EndReason_END_REASON_OTHER
	for _, test := range []struct {
		status, reason, errorMessage, custom string
		want                                 axes
		raw                                  string
		unmapped                             int32
	}{
		{"failed", "busy", "", "", axes{status: callnormv1.CallStatus_CALL_STATUS_FAILED, end: other, mapping: none}, "busy", 0},
		{"completed", "Completed", "timeout", "", axes{status: completed, end: other, mapping: none}, "Completed", 0},
		{"completed", "completed", "", "asked to stop", axes{status: completed, end: other, mapping: none}, "completed", 0},
		{"completed", "completed", "max_duration", "", axes{
			status: completed, end: callnormv1.EndReason_END_REASON_MAX_DURATION, endedBy: system, mapping: heuristic,
		}, "max_duration", 1},
		{"spam", "completed", "", "", axes{
			status: callnormv1.CallStatus_CALL_STATUS_BLOCKED, end: callnormv1.EndReason_END_REASON_MARKED_AS_SPAM, mapping: exact,
		}, "spam", 1},
		{"spam", "spam", "", "", axes{
			status: callnormv1.CallStatus_CALL_STATUS_BLOCKED, end: callnormv1.EndReason_END_REASON_MARKED_AS_SPAM, mapping: exact,
		}, "spam", 1},
		{"", "busy", "", "", axes{status: callnormv1.CallStatus_CALL_STATUS_BUSY}, "", 0},
		{"", "spam", "", "", axes{
			status: callnormv1.CallStatus_CALL_STATUS_BLOCKED, end: callnormv1.EndReason_END_REASON_MARKED_AS_SPAM, mapping: heuristic,
		}, "spam", 0},
		{"in-progress", "in-progress", "", "", axes{status: callnormv1.CallStatus_CALL_STATUS_IN_PROGRESS, completeness: partial, event: progress}, "", 1},
	} {
		t.Run(test.status+", "+test.reason, func(t *testing.T) {
			call := one(t, map[string]any{"error_message": test.errorMessage, "call": map[string]any{
				"call_id": "c-1", "status": test.status, "end_call_reason": test.reason, "custom_end_call_reason": test.custom,
			}})
			if test.want.completeness == 0 {
				test.want.completeness, test.want.event = final, reported
			}
			check(t, test.want, call, call.GetEnd().GetReasonMapping())
			if call.GetEnd().GetReasonRaw() != test.raw || call.GetProvenance().GetUnmappedCount() != test.unmapped {
				t.Errorf("got %v, %v", call.GetEnd(), call.GetProvenance())
			}
			if test.status == "" && (call.GetStatusRaw() != test.reason || call.GetStatusMapping() != heuristic) {
				t.Errorf("the status is told as %q, %v", call.GetStatusRaw(), call.GetStatusMapping())
			}
			if !warned(call, callnormv1.WarningKind_WARNING_KIND_MISPLACED, "call.end_call_reason") {
				t.Error("nothing says that the word is misplaced")
			}
		})
	}
}

func TestCanceledCallsWithAConversation(t *testing.T) {
	for _, test := range []struct {
		status, reason, transcript string
		duration                   int
		want                       bool
	}{
		{"completed", "user_canceled", "human: hello?", 31, true},
		{"completed", "user-cancelled", "human: hello?", 31, true},
		{"completed", "user_canceled", "human: hello?", 0, false},
		{"completed", "user_canceled", "", 31, false},
		{"completed", "human_ended_call", "human: hello?", 31, false},
		{"user-canceled", "user_canceled", "human: hello?", 31, false},
	} {
		call := one(t, map[string]any{"call": map[string]any{
			"call_id": "c-1", "status": test.status, "end_call_reason": test.reason, "transcript": test.transcript, "duration": test.duration,
		}})
		if warned(call, callnormv1.WarningKind_WARNING_KIND_CONTRADICTION, "call.end_call_reason") != test.want {
			t.Errorf("%v: %v", test, call.GetProvenance().GetWarnings())
		}
		if call.GetEnd().GetEndedBy() != customer {
			t.Errorf("%v: %v", test, call.GetEnd())
		}
	}
}

func TestTransferResults(t *testing.T) {
	const done, failed = callnormv1.TransferResult_TRANSFER_RESULT_COMPLETED, callnormv1.TransferResult_TRANSFER_RESULT_FAILED
	for word, want := range map[string]callnormv1.TransferResult{
		"transfer-completed": done, "transfer-success": done, "completed": done, "Success": done,
		"transfer-failed": failed, "transfer-failed-timeout": failed, "transfer_failed_busy": failed, "transfer_failed_no_answer": failed,
		"transfer-failed-of-the-moon": failed, "failed": failed, "failed-timeout": failed, "no-answer": failed,
		"transfer-canceled":   callnormv1.TransferResult_TRANSFER_RESULT_CANCELED,
		"transfer-teleported": callnormv1.TransferResult_TRANSFER_RESULT_OTHER,
		"transfer":            callnormv1.TransferResult_TRANSFER_RESULT_OTHER,
		"":                    callnormv1.TransferResult_TRANSFER_RESULT_UNSPECIFIED,
	} {
		call := one(t, map[string]any{
			"call":             map[string]any{"call_id": "c-1", "status": "completed"},
			"executed_actions": map[string]any{"live_transfer": map[string]any{"return_value": map[string]any{"status": word}}},
		})
		transfer := call.GetTransfers()[0]
		if transfer.GetResult() != want || transfer.GetResultRaw() != word {
			t.Errorf("%s: %v", word, transfer)
		}
		unknown := warned(call, callnormv1.WarningKind_WARNING_KIND_UNKNOWN_WORD, "executed_actions.live_transfer.return_value.status")
		if unknown != (want == callnormv1.TransferResult_TRANSFER_RESULT_OTHER) {
			t.Errorf("%s: %v", word, call.GetProvenance().GetWarnings())
		}
	}
}

func TestWhoHungUp(t *testing.T) {
	for _, test := range []struct {
		direction, word, reason string
		want                    callnormv1.EndedBy
		raw                     string
		kept                    int32
	}{
		{"outbound", "callee", "", customer, "callee", 0},
		{"inbound", "Caller", "undefined", customer, "Caller", 0},
		{"outbound", "caller", "", callnormv1.EndedBy_ENDED_BY_CALLER, "caller", 0},
		{"inbound", "callee", "", callnormv1.EndedBy_ENDED_BY_CALLEE, "callee", 0},
		{"", "caller", "timeout", callnormv1.EndedBy_ENDED_BY_CALLER, "caller", 0},
		{"", "network", "", callnormv1.EndedBy_ENDED_BY_OTHER, "network", 0},
		{"outbound", "callee", "human_ended_call", customer, "human_ended_call", 0},
		{"outbound", "callee", "agent_ended_call", agent, "agent_ended_call", 1},
		{"", "network", "agent_ended_call", agent, "agent_ended_call", 1},
		{"outbound", "", "", 0, "", 0},
	} {
		call := one(t, map[string]any{
			"call_id": "c-1", "status": "completed", "type_of_call": test.direction, "telephony_hangup": test.word, "end_call_reason": test.reason,
		})
		end := call.GetEnd()
		if end.GetEndedBy() != test.want || end.GetEndedByRaw() != test.raw || call.GetProvenance().GetUnmappedCount() != test.kept {
			t.Errorf("%v: %v, %v", test, end, call.GetProvenance())
		}
	}
}

func TestNumberOfTheAgent(t *testing.T) {
	const ours, theirs = "+12025550143", "+12025550178"
	for _, test := range []struct {
		direction, from, to    string
		caller, callee, agents string
		kept                   int32
	}{
		{"outbound", "", "", ours, "", "", 0},
		{"inbound", "", "", "", ours, "", 0},
		{"", "", "", "", "", ours, 0},
		{"inbound", theirs, "", theirs, ours, "", 0},
		{"outbound", ours, theirs, ours, theirs, "", 0},
		{"", "", ours, "", ours, "", 0},
		{"", "", theirs, "", theirs, "", 1},
		{"outbound", theirs, "", theirs, "", "", 1},
	} {
		call := one(t, map[string]any{
			"call_id": "c-1", "status": "completed", "type_of_call": test.direction,
			"phone_number_from": test.from, "phone_number_to": test.to, "agent_phone_number": ours,
		})
		agents := ""
		for _, participant := range call.GetParticipants() {
			agents += participant.GetEndpoint().GetPhone().GetE164()
		}
		if call.GetCaller().GetPhone().GetE164() != test.caller || call.GetCallee().GetPhone().GetE164() != test.callee ||
			agents != test.agents || call.GetProvenance().GetUnmappedCount() != test.kept {
			t.Errorf("%v: %v", test, call)
		}
	}
}

func TestVoicemailAsTheReason(t *testing.T) {
	const (
		reached = callnormv1.EndReason_END_REASON_VOICEMAIL
		left    = callnormv1.EndReason_END_REASON_VOICEMAIL_LEFT
		hungUp  = callnormv1.EndReason_END_REASON_VOICEMAIL_DETECTED_HANGUP
	)
	for _, test := range []struct {
		status, reason, raw string
		want                callnormv1.EndReason
	}{
		{"hangup_on_voicemail", "voicemail", "hangup_on_voicemail", hungUp},
		{"left_voicemail", "voicemail", "left_voicemail", left},
		{"left_voicemail", "voicemail_cut_off", "left_voicemail", left},
		{"hangup_on_voicemail", "voicemail_message_left", "voicemail_message_left", left},
		{"voicemail_detected", "voicemail", "voicemail", reached},
		{"completed", "voicemail", "voicemail", reached},
		{"spam", "voicemail", "voicemail", reached},
	} {
		call := one(t, map[string]any{"call": map[string]any{"call_id": "c-1", "status": test.status, "end_call_reason": test.reason}})
		end, answered := call.GetEnd(), call.GetAnsweredBy()
		if end.GetReason() != test.want || end.GetReasonRaw() != test.raw || end.GetReasonMapping() != exact {
			t.Errorf("%s, %s: %v", test.status, test.reason, end)
		}
		if answered.GetValue() != voicemail || answered.GetRaw() != test.reason {
			t.Errorf("%s, %s: %v", test.status, test.reason, answered)
		}
	}
}

func TestBlankWordsAreNone(t *testing.T) {
	call := one(t, map[string]any{
		"status": "completed", "error_message": "agent_goodbye",
		"call": map[string]any{"call_id": "c-1", "status": " ", "call_status": " ", "end_call_reason": " "},
	})
	if call.GetStatusRaw() != "completed" || call.GetEnd().GetReasonRaw() != "agent_goodbye" || call.GetProvenance().GetUnmappedCount() != 0 {
		t.Errorf("status %q, end %v, %v", call.GetStatusRaw(), call.GetEnd(), call.GetProvenance())
	}
}

func TestAnsweredCallsThatNobodyAnswered(t *testing.T) {
	for _, status := range []string{"no-answer", "busy", "failed", "canceled", "completed"} {
		for _, told := range []struct{ reason, judge, path string }{
			{"human_goodbye", "", "call.end_call_reason"},
			{"voicemail", "", "call.end_call_reason"},
			{"", "true", "analysis.answered_by_human"},
		} {
			call := one(t, map[string]any{
				"call":     map[string]any{"call_id": "c-1", "status": status, "end_call_reason": told.reason},
				"analysis": map[string]any{"answered_by_human": told.judge},
			})
			if call.GetAnsweredBy() == nil || call.GetStatusRaw() != status || call.GetStatusMapping() != exact {
				t.Errorf("%s, %v: %v", status, told, call)
			}
			if warned(call, callnormv1.WarningKind_WARNING_KIND_CONTRADICTION, told.path) != (status != "completed") {
				t.Errorf("%s, %v: %v", status, told, call.GetProvenance().GetWarnings())
			}
		}
	}
}

func TestStatusesInAList(t *testing.T) {
	for what, test := range map[string]struct {
		list []any
		want string
		kept int
	}{
		"one":                                 {[]any{"completed"}, "completed", 0},
		"none":                                {[]any{}, "", 0},
		"one word twice":                      {[]any{"no-answer", "no_answer"}, "no-answer", 0},
		"blanks":                              {[]any{"", nil, "busy", " "}, "busy", 0},
		"the last one":                        {[]any{"failed", "completed"}, "completed", 1},
		"the end, if it stands first":         {[]any{"completed", "in-progress", "initiated"}, "completed", 2},
		"the end, if it stands last":          {[]any{"initiated", "in-progress", "completed"}, "completed", 2},
		"the last known one of an open call":  {[]any{"initiated", "ringing", "teleported"}, "ringing", 2},
		"the last one, if nobody knows a one": {[]any{"teleported", "beamed"}, "beamed", 1},
	} {
		t.Run(what, func(t *testing.T) {
			call := one(t, map[string]any{"call_id": "c-1", "call_status": test.list})
			if call.GetStatusRaw() != test.want || len(call.GetProvenance().GetUnmapped()) != test.kept {
				t.Errorf("got %q, %v", call.GetStatusRaw(), call.GetProvenance())
			}
			if warned(call, callnormv1.WarningKind_WARNING_KIND_CONTRADICTION, "call_status") != (test.kept > 0) {
				t.Errorf("got %v", call.GetProvenance().GetWarnings())
			}
		})
	}
}

func TestRedactedTexts(t *testing.T) {
	for text, want := range map[string]bool{
		"XXXX": true, "xxxxxxxx": true, " ***** ": true, "####": true, "[REDACTED]": true, "<redacted>": true, "[EMAIL_REDACTED]": true,
		"X": false, "XXX": false, "+-+-": false, "    ": false, "REDACTED": false, "Redacted Ltd. (UK)": false, "[UUID]": false, "Maxx": false,
	} {
		call := one(t, map[string]any{"call": map[string]any{"call_id": "c-1", "status": "completed"}, "lead": map[string]any{"name": text}})
		if got := slices.Contains(call.GetCompliance().GetRedactedFields(), "lead.name"); got != want || got && call.GetContact() != nil {
			t.Errorf("%q: redacted %v, %v", text, got, call.GetContact())
		}
	}
}

// A call that both the webhook and the API tell of is put together by these; only the API tells the actions' ids.
func TestExtractedFieldsAreTheSameWithAndWithoutActionIDs(t *testing.T) {
	webhook := calls(t, body(t, "s23_webhook_without_action_ids"), 1)[0]
	record := calls(t, body(t, "s23_api_record_with_action_ids"), 1)[0]
	if diff := cmp.Diff(webhook.GetExtractedFields(), record.GetExtractedFields(), protocmp.Transform()); diff != "" {
		t.Errorf("(-webhook +record):\n%s", diff)
	}
	if webhook.GetToolCalls()[0].GetId() != "" || record.GetToolCalls()[0].GetId() == "" {
		t.Error("the id of the action belongs to the tool call")
	}
}

func warned(call *callnormv1.CallOutcome, kind callnormv1.WarningKind, path string) bool {
	return slices.ContainsFunc(call.GetProvenance().GetWarnings(), func(w *callnormv1.Warning) bool {
		return w.GetKind() == kind && w.GetPath() == path
	})
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

// The order of members decides the order of lists at most, and not which of two places counts.
func TestOrderOfMembersDecidesNothing(t *testing.T) {
	for _, name := range []string{"told_in_two_places", "fields_in_the_call_and_beside_it"} {
		first, second := calls(t, body(t, name), 1)[0], calls(t, body(t, name+"_in_the_other_order"), 1)[0]
		places := func(call *callnormv1.CallOutcome) (list []string) {
			for _, field := range call.GetProvenance().GetUnmapped() {
				list = append(list, field.GetPath())
			}
			slices.Sort(list)
			return list
		}
		if diff := cmp.Diff(places(first), places(second)); diff != "" {
			t.Errorf("%s: unmapped (-first +second):\n%s", name, diff)
		}
		if diff := cmp.Diff(first, second, protocmp.Transform(), protocmp.IgnoreFields(&callnormv1.CallOutcome{}, "provenance"),
			protocmp.SortRepeated(func(a, b *callnormv1.NamedValue) bool { return a.GetName() < b.GetName() }),
			protocmp.SortRepeated(func(a, b *callnormv1.ExtractedField) bool { return a.GetName() < b.GetName() })); diff != "" {
			t.Errorf("%s (-first +second):\n%s", name, diff)
		}
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
