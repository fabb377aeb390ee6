package elevenlabs_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/callnorm/callnorm/adapters"
	"github.com/callnorm/callnorm/adapters/adaptertest"
	"github.com/callnorm/callnorm/adapters/elevenlabs"
	"github.com/callnorm/callnorm/adapters/internal/sip"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/callnorm/callnorm/internal/callstate"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
)

type object = map[string]any

const (
	exact     = callnormv1.Mapping_MAPPING_EXACT
	heuristic = callnormv1.Mapping_MAPPING_HEURISTIC
	llm       = callnormv1.Mapping_MAPPING_LLM
	none      = callnormv1.Mapping_MAPPING_NONE
	partial   = callnormv1.Completeness_COMPLETENESS_PARTIAL
	settling  = callnormv1.Completeness_COMPLETENESS_SETTLING
	final     = callnormv1.Completeness_COMPLETENESS_FINAL
	completed = callnormv1.CallStatus_CALL_STATUS_COMPLETED
	voicemail = callnormv1.AnsweredByKind_ANSWERED_BY_KIND_VOICEMAIL
	customer  = callnormv1.EndedBy_ENDED_BY_CUSTOMER
	agent     = callnormv1.EndedBy_ENDED_BY_AGENT
	system    = callnormv1.EndedBy_ENDED_BY_SYSTEM
)

// normalize returns the only outcome of a body.
func normalize(t *testing.T, body any) *callnormv1.CallOutcome {
	t.Helper()
	text, ok := body.([]byte)
	if !ok {
		var err error
		if text, err = json.Marshal(body); err != nil {
			t.Fatal(err)
		}
	}
	d := adapters.Delivery{Provider: "elevenlabs", Body: text}
	adaptertest.Check(t, elevenlabs.New(), d)
	result, err := adapters.Normalize(elevenlabs.New(), d)
	if err != nil || len(result.Outcomes) != 1 {
		t.Fatalf("%v, %v", result, err)
	}
	return result.Outcomes[0].Call
}

// event returns a body.
func event(kind string, data object) object {
	return object{"type": kind, "event_timestamp": 1770000070, "data": data}
}

// report returns a report on a conversation with these members of its metadata, and of its data.
func report(metadata, data object) object {
	all := object{"conversation_id": "conv_1", "status": "done", "metadata": metadata}
	maps.Copy(all, data)
	return event("post_call_transcription", all)
}

// useTool returns a transcript in which a tool is used.
func useTool(name string, result object) object {
	outcome := object{"request_id": "r", "tool_name": name, "is_error": false, "result_value": ""}
	maps.Copy(outcome, result)
	return object{"transcript": []any{
		object{"role": "agent", "message": nil, "time_in_call_secs": 3, "tool_calls": []any{object{"request_id": "r", "tool_name": name}}},
		object{"role": "agent", "message": nil, "time_in_call_secs": 3, "tool_results": []any{outcome}},
	}}
}

// check compares what both sides show.
func check(t *testing.T, what string, got, want any) {
	t.Helper()
	if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
		t.Errorf("%s is %s, want %s", what, g, w)
	}
}

func warned(call *callnormv1.CallOutcome, kind callnormv1.WarningKind, path string) bool {
	return slices.ContainsFunc(call.GetProvenance().GetWarnings(), func(w *callnormv1.Warning) bool {
		return w.GetKind() == kind && w.GetPath() == path
	})
}

func TestEveryEvent(t *testing.T) {
	reported, recorded := callnormv1.EventKind_EVENT_KIND_CALL_REPORTED, callnormv1.EventKind_EVENT_KIND_RECORDING_READY
	for word, want := range map[string]struct {
		kind         callnormv1.EventKind
		mapping      callnormv1.Mapping
		completeness callnormv1.Completeness
	}{
		"post_call_transcription": {reported, exact, final},
		"call_initiation_failure": {reported, exact, final},
		"post_call_audio":         {recorded, exact, settling},
		// The words by which events are selected.
		"transcript":            {reported, heuristic, final},
		"unredacted_transcript": {reported, heuristic, final},
		"audio":                 {recorded, heuristic, settling},
		"unredacted_audio":      {recorded, heuristic, settling},
		// What may come.
		"post_call_transcription_unredacted": {reported, callnormv1.Mapping_MAPPING_PREFIX, final},
		"unredacted_post_call_transcription": {reported, heuristic, final},
	} {
		call := normalize(t, event(word, object{"conversation_id": "c", "status": "done", "failure_reason": "busy", "full_audio": "SUQz"}))
		check(t, word, []any{call.GetEvent(), call.GetEventRaw(), call.GetEventMapping(), call.GetCompleteness()},
			[]any{want.kind, word, want.mapping, want.completeness})
	}
}

func TestOtherEvents(t *testing.T) {
	for word, known := range map[string]bool{
		"voice_removal_notice": true, "voice_removal_notice_withdrawn": true, "voice_removed": true, "speech_to_text_transcription": true,
		"dubbing_project_finished": true, "agent_qa_report": true, "conversation_pondered": false, "post_call": false,
	} {
		text, err := json.Marshal(event(word, object{"conversation_id": "c", "status": "done"}))
		if err != nil {
			t.Fatal(err)
		}
		result, err := elevenlabs.New().Normalize(adapters.Delivery{Body: text})
		if known != (len(result.Notices) == 1 && result.Notices[0].GetEventRaw() == word) || known == (err != nil) {
			t.Errorf("%s: %v, %v", word, result, err)
		}
	}
}

func TestEveryStatus(t *testing.T) {
	for word, want := range map[string]struct {
		status       callnormv1.CallStatus
		completeness callnormv1.Completeness
		mapping      callnormv1.Mapping
	}{
		"initiated":   {callnormv1.CallStatus_CALL_STATUS_INITIATED, partial, exact},
		"in-progress": {callnormv1.CallStatus_CALL_STATUS_IN_PROGRESS, partial, exact},
		"processing":  {completed, settling, heuristic},
		"done":        {completed, final, exact},
		"failed":      {callnormv1.CallStatus_CALL_STATUS_FAILED, final, exact},
		"archived":    {callnormv1.CallStatus_CALL_STATUS_OTHER, final, none},
	} {
		// Whether the platform calls the call a success says nothing of the connection.
		for _, success := range []string{"success", "failure", "unknown"} {
			call := normalize(t, report(object{}, object{"status": word, "analysis": object{"call_successful": success}}))
			check(t, word, []any{call.GetStatus(), call.GetStatusRaw(), call.GetStatusMapping(), call.GetCompleteness()},
				[]any{want.status, word, want.mapping, want.completeness})
		}
	}
}

func TestTerminationTexts(t *testing.T) {
	for text, want := range map[string]struct {
		reason callnormv1.EndReason
		by     callnormv1.EndedBy
	}{
		// Those of the sheet.
		"Call ended by remote party":                       {callnormv1.EndReason_END_REASON_CUSTOMER_HANGUP, customer},
		"Client disconnected":                              {callnormv1.EndReason_END_REASON_CUSTOMER_HANGUP, customer},
		"the conversation was ended by the user":           {callnormv1.EndReason_END_REASON_CUSTOMER_HANGUP, customer},
		"end_call tool was called":                         {callnormv1.EndReason_END_REASON_AGENT_HANGUP, agent},
		"end_call tool was called.":                        {callnormv1.EndReason_END_REASON_AGENT_HANGUP, agent},
		"voicemail_detection tool was called.":             {callnormv1.EndReason_END_REASON_VOICEMAIL, system},
		"Conversation exceeded max duration":               {callnormv1.EndReason_END_REASON_MAX_DURATION, system},
		"Max conversation duration exceeded":               {callnormv1.EndReason_END_REASON_MAX_DURATION, system},
		"max-duration reached":                             {callnormv1.EndReason_END_REASON_MAX_DURATION, system},
		"user_ended":                                       {callnormv1.EndReason_END_REASON_CUSTOMER_HANGUP, customer},
		"User left the conversation":                       {callnormv1.EndReason_END_REASON_CUSTOMER_HANGUP, customer},
		"remote_party_hangup":                              {callnormv1.EndReason_END_REASON_CUSTOMER_HANGUP, customer},
		"Maximum conversation length reached":              {callnormv1.EndReason_END_REASON_MAX_DURATION, system},
		"Ending conversation due to silence":               {callnormv1.EndReason_END_REASON_SILENCE_TIMEOUT, system},
		"ended because of INACTIVITY":                      {callnormv1.EndReason_END_REASON_SILENCE_TIMEOUT, system},
		"CALL ENDED BY REMOTE PARTY":                       {callnormv1.EndReason_END_REASON_CUSTOMER_HANGUP, customer},
		"Client disconnected: 1006":                        {callnormv1.EndReason_END_REASON_CUSTOMER_HANGUP, customer},
		"Ending conversation after 40 seconds of silence.": {callnormv1.EndReason_END_REASON_SILENCE_TIMEOUT, system},
		// Those that the parts tell.
		"This request exceeds your quota limit.":  {callnormv1.EndReason_END_REASON_QUOTA_OR_BILLING, system},
		"Not enough credits":                      {callnormv1.EndReason_END_REASON_QUOTA_OR_BILLING, system},
		"Maximum concurrency reached":             {callnormv1.EndReason_END_REASON_CONCURRENCY_LIMIT, system},
		"Custom LLM generation failed":            {callnormv1.EndReason_END_REASON_LLM_ERROR, system},
		"TTS failed":                              {callnormv1.EndReason_END_REASON_TTS_ERROR, system},
		"ASR error":                               {callnormv1.EndReason_END_REASON_STT_ERROR, system},
		"An error occurred, the user was dropped": {callnormv1.EndReason_END_REASON_ERROR, system},
		"connection timed out":                    {callnormv1.EndReason_END_REASON_TIMEOUT, system},
		"Ended by guardrail":                      {callnormv1.EndReason_END_REASON_CUSTOM_RULE, system},
		"ended by the agent":                      {callnormv1.EndReason_END_REASON_AGENT_HANGUP, agent},
		"Call transferred":                        {callnormv1.EndReason_END_REASON_TRANSFERRED, 0},
		"Transfer failed":                         {callnormv1.EndReason_END_REASON_TRANSFER_FAILED, 0},
	} {
		t.Run(text, func(t *testing.T) {
			call := normalize(t, report(object{"termination_reason": text}, nil))
			end := &callnormv1.CallEnd{Reason: want.reason, ReasonRaw: text, ReasonMapping: heuristic}
			if want.by != 0 {
				end.EndedBy, end.EndedByRaw, end.EndedByMapping = want.by, text, heuristic
			}
			if diff := cmp.Diff(end, call.GetEnd(), protocmp.Transform()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	call := normalize(t, report(object{"termination_reason": "The moon was full."}, nil))
	check(t, "an unknown text", []any{call.GetEnd().GetReason(), call.GetEnd().GetReasonRaw(), call.GetEnd().GetReasonMapping()},
		[]any{callnormv1.EndReason_END_REASON_OTHER, "The moon was full.", none})
	if call := normalize(t, report(object{"termination_reason": ""}, nil)); call.GetEnd() != nil {
		t.Errorf("no text tells an end: %v", call.GetEnd())
	}
}

func TestErrors(t *testing.T) {
	for what, test := range map[string]struct {
		termination string
		failed      any
		reason      callnormv1.EndReason
		raw         string
	}{
		"an error of nobody":           {"", object{"code": 1011, "reason": "Oops."}, callnormv1.EndReason_END_REASON_PLATFORM_ERROR, "Oops."},
		"a code alone":                 {"", object{"code": 1011, "reason": nil}, callnormv1.EndReason_END_REASON_PLATFORM_ERROR, "1011"},
		"money":                        {"", object{"code": 1002, "reason": "exceeds your quota limit"}, callnormv1.EndReason_END_REASON_QUOTA_OR_BILLING, "exceeds your quota limit"},
		"the model":                    {"", object{"code": 1008, "reason": "LLM error"}, callnormv1.EndReason_END_REASON_LLM_ERROR, "LLM error"},
		"an unknown text beside it":    {"Closed.", object{"code": 1011, "reason": "x"}, callnormv1.EndReason_END_REASON_PLATFORM_ERROR, "Closed."},
		"a fault in the text":          {"Something failed", object{"code": 1008, "reason": "LLM error"}, callnormv1.EndReason_END_REASON_LLM_ERROR, "Something failed"},
		"a goodbye that was told":      {"end_call tool was called.", object{"code": 1006}, callnormv1.EndReason_END_REASON_AGENT_HANGUP, "end_call tool was called."},
		"an error that is a text":      {"", "boom", callnormv1.EndReason_END_REASON_PLATFORM_ERROR, "boom"},
		"an error without any content": {"end_call tool", object{}, callnormv1.EndReason_END_REASON_AGENT_HANGUP, "end_call tool"},
	} {
		call := normalize(t, report(object{"termination_reason": test.termination, "error": test.failed}, nil))
		check(t, what, []any{call.GetEnd().GetReason(), call.GetEnd().GetReasonRaw()}, []any{test.reason, test.raw})
	}
}

// TestEveryResultOfATool has the results of ElevenLabs' own tools, as its library lists them.
func TestEveryResultOfATool(t *testing.T) {
	type answer struct {
		tool      string
		end       callnormv1.EndReason
		by        callnormv1.EndedBy
		voicemail bool
		transfer  callnormv1.TransferResult
		kind      callnormv1.TransferKind
	}
	done, failed := callnormv1.TransferResult_TRANSFER_RESULT_COMPLETED, callnormv1.TransferResult_TRANSFER_RESULT_FAILED
	toAgent, transferred := callnormv1.TransferKind_TRANSFER_KIND_AGENT, callnormv1.EndReason_END_REASON_TRANSFERRED
	for word, want := range map[string]answer{
		"end_call_success":                   {tool: "end_call", end: callnormv1.EndReason_END_REASON_AGENT_HANGUP, by: agent},
		"language_detection_success":         {tool: "language_detection"},
		"knowledge_base_rag_success":         {tool: "knowledge_base_rag"},
		"play_dtmf_success":                  {tool: "play_keypad_touch_tone"},
		"play_dtmf_error":                    {tool: "play_keypad_touch_tone"},
		"run_subagent_success":               {tool: "run_subagent"},
		"run_subagent_error":                 {tool: "run_subagent"},
		"skip_turn_success":                  {tool: "skip_turn"},
		"testing_tool_result":                {tool: "start_procedure"},
		"transfer_to_agent_success":          {tool: "transfer_to_agent", transfer: done, kind: toAgent},
		"transfer_to_agent_error":            {tool: "transfer_to_agent", transfer: failed, kind: toAgent},
		"transfer_to_number_twilio_success":  {tool: "transfer_to_number", end: transferred, transfer: done},
		"transfer_to_number_sip_success":     {tool: "transfer_to_number", end: transferred, transfer: done},
		"transfer_to_number_exotel_success":  {tool: "transfer_to_number", end: transferred, transfer: done},
		"transfer_to_number_error":           {tool: "transfer_to_number", transfer: failed},
		"transfer_to_number_avaya_success":   {tool: "transfer_to_number", end: transferred, transfer: done}, // what may come
		"transfer_to_number_twilio_wavering": {tool: "transfer_to_number", transfer: callnormv1.TransferResult_TRANSFER_RESULT_OTHER},
		"voicemail_detection_success":        {tool: "voicemail_detection", end: callnormv1.EndReason_END_REASON_VOICEMAIL, by: system, voicemail: true},
	} {
		t.Run(word, func(t *testing.T) {
			call := normalize(t, report(object{"termination_reason": ""}, useTool(want.tool, object{"result": object{"result_type": word}})))
			check(t, "the end", []any{call.GetEnd().GetReason(), call.GetEnd().GetEndedBy()}, []any{want.end, want.by})
			if want.end != 0 {
				check(t, "the word", []any{call.GetEnd().GetReasonRaw(), call.GetEnd().GetReasonMapping()}, []any{word, heuristic})
			}
			check(t, "the voicemail", []any{call.GetVoicemail().GetDetected(), call.GetAnsweredBy().GetValue() == voicemail}, []any{want.voicemail, want.voicemail})
			check(t, "the status", []any{call.GetStatus(), call.GetStatusRaw()}, []any{completed, "done"})
			check(t, "the tool", []any{len(call.GetToolCalls()), call.GetToolCalls()[0].GetStatusRaw()}, []any{1, word})
			if (len(call.GetTransfers()) == 1) != (want.transfer != 0) {
				t.Fatalf("transfers: %v", call.GetTransfers())
			}
			if want.transfer != 0 {
				transfer := call.GetTransfers()[0]
				check(t, "the transfer", []any{transfer.GetResult(), transfer.GetResultRaw(), transfer.GetKind()}, []any{want.transfer, word, want.kind})
			}
		})
	}
}

func TestToolsWithoutAResult(t *testing.T) {
	unanswered := func(tool string) object {
		return object{"transcript": []any{object{"role": "agent", "tool_calls": []any{object{"request_id": "r", "tool_name": tool}}}}}
	}
	call := normalize(t, report(object{}, unanswered("end_call")))
	check(t, "the end", []any{call.GetEnd().GetReason(), call.GetEnd().GetReasonRaw()}, []any{callnormv1.EndReason_END_REASON_AGENT_HANGUP, "end_call"})
	call = normalize(t, report(object{}, unanswered("voicemail_detection")))
	check(t, "who answered", []any{call.GetAnsweredBy().GetValue(), call.GetAnsweredBy().GetMapping()}, []any{voicemail, heuristic})
	call = normalize(t, report(object{}, unanswered("transfer_to_number")))
	check(t, "the transfer", []any{call.GetTransfers()[0].GetResult(), call.GetEnd()}, []any{callnormv1.TransferResult_TRANSFER_RESULT_STARTED, nil})
	for _, tool := range []string{"end_call", "voicemail_detection", "transfer_to_number"} {
		call := normalize(t, report(object{}, useTool(tool, object{"is_error": true, "raw_error_message": "no"})))
		if call.GetEnd() != nil || call.GetAnsweredBy() != nil || call.GetVoicemail() != nil {
			t.Errorf("a %s that failed ended nothing: %v", tool, call)
		}
		check(t, "the error", call.GetToolCalls()[0].GetError(), "no")
	}
}

func TestVoicemail(t *testing.T) {
	yes, no := true, false
	for what, test := range map[string]struct {
		metadata object
		data     object
		end      callnormv1.EndReason
		raw      string
		mapping  callnormv1.Mapping
		left     *bool
	}{
		"a message": {
			object{"termination_reason": "voicemail_detection tool was called."},
			useTool("voicemail_detection", object{"result": object{"result_type": "voicemail_detection_success", "voicemail_message": "Call back."}}),
			callnormv1.EndReason_END_REASON_VOICEMAIL_LEFT, "voicemail_detection_success", llm, &yes,
		},
		"no message": {
			object{"termination_reason": "voicemail_detection tool was called."},
			useTool("voicemail_detection", object{"result": object{"result_type": "voicemail_detection_success", "voicemail_message": ""}}),
			callnormv1.EndReason_END_REASON_VOICEMAIL_DETECTED_HANGUP, "voicemail_detection_success", llm, &no,
		},
		"nobody tells of a message": {
			object{"termination_reason": "voicemail_detection tool was called."},
			useTool("voicemail_detection", object{"result": object{"result_type": "voicemail_detection_success"}}),
			callnormv1.EndReason_END_REASON_VOICEMAIL, "voicemail_detection_success", llm, nil,
		},
		"the result in its text": {
			object{}, useTool("voicemail_detection", object{"result_value": `{"status":"success","voicemail_message":"Call back."}`}),
			callnormv1.EndReason_END_REASON_VOICEMAIL_LEFT, "voicemail_detection", heuristic, &yes,
		},
		"the text alone": {
			object{"termination_reason": "voicemail_detection tool was called."}, nil,
			callnormv1.EndReason_END_REASON_VOICEMAIL, "voicemail_detection tool was called.", heuristic, nil,
		},
		"the feature alone": {
			object{"features_usage": object{"voicemail_detection": object{"enabled": true, "used": true}}}, nil,
			callnormv1.EndReason_END_REASON_VOICEMAIL, "voicemail_detection", heuristic, nil,
		},
		"another end": {
			object{"termination_reason": "Call ended by remote party", "features_usage": object{"voicemail_detection": object{"used": true}}}, nil,
			callnormv1.EndReason_END_REASON_CUSTOMER_HANGUP, "voicemail_detection", heuristic, nil,
		},
	} {
		t.Run(what, func(t *testing.T) {
			call := normalize(t, report(test.metadata, test.data))
			if test.end != callnormv1.EndReason_END_REASON_CUSTOMER_HANGUP {
				adaptertest.CheckClass(t, "voicemail", call)
			}
			check(t, "the end", []any{call.GetEnd().GetReason(), call.GetEnd().GetReasonMapping()}, []any{test.end, heuristic})
			want := &callnormv1.AnsweredBy{Value: voicemail, Raw: test.raw, Mapping: test.mapping}
			if diff := cmp.Diff(want, call.GetAnsweredBy(), protocmp.Transform()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			told := &callnormv1.Voicemail{Detected: &yes, MessageLeft: test.left}
			if test.left != nil && *test.left {
				told.MessageText = "Call back."
			}
			if diff := cmp.Diff(told, call.GetVoicemail(), protocmp.Transform()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	call := normalize(t, report(object{"features_usage": object{"voicemail_detection": object{"enabled": true, "used": false}}}, nil))
	if call.GetVoicemail() != nil || call.GetAnsweredBy() != nil {
		t.Errorf("that the detection is enabled says nothing: %v", call)
	}
}

func TestFailureReasons(t *testing.T) {
	for word, want := range map[string]struct {
		status  callnormv1.CallStatus
		reason  callnormv1.EndReason
		mapping callnormv1.Mapping
	}{
		"busy":      {callnormv1.CallStatus_CALL_STATUS_BUSY, callnormv1.EndReason_END_REASON_BUSY, exact},
		"no-answer": {callnormv1.CallStatus_CALL_STATUS_NO_ANSWER, callnormv1.EndReason_END_REASON_NO_ANSWER, exact},
		"unknown":   {callnormv1.CallStatus_CALL_STATUS_FAILED, 0, exact},
		"asleep":    {callnormv1.CallStatus_CALL_STATUS_OTHER, callnormv1.EndReason_END_REASON_OTHER, none},
	} {
		call := normalize(t, event("call_initiation_failure", object{"conversation_id": "c", "failure_reason": word}))
		check(t, word, []any{call.GetStatus(), call.GetStatusRaw(), call.GetStatusMapping(), call.GetEnd().GetReason(), call.GetEnd().GetReasonRaw()},
			[]any{want.status, word, want.mapping, want.reason, word})
		check(t, word, []any{call.GetDirection(), call.GetCompleteness(), call.GetStartTime(), call.GetTotalDuration()},
			[]any{callnormv1.Direction_DIRECTION_OUTBOUND, final, nil, nil})
	}
}

func TestEverySIPCodeOfAnUnknownFailure(t *testing.T) {
	for code := int32(100); code < 700; code++ {
		meaning, known := sip.Find(code)
		if meaning.Status == callnormv1.CallStatus_CALL_STATUS_COMPLETED {
			meaning, known = sip.Meaning{}, false
		}
		for _, body := range []object{{"sip_status_code": code}, {"SipResponseCode": strconv.Itoa(int(code)), "CallStatus": "failed"}} {
			call := normalize(t, event("call_initiation_failure", object{
				"conversation_id": "c", "failure_reason": "unknown", "metadata": object{"type": "sip", "body": body},
			}))
			check(t, "the code", call.GetEnd().GetSipCode(), code)
			check(t, "the status", []any{call.GetStatus(), call.GetStatusRaw()}, []any{callnormv1.CallStatus_CALL_STATUS_FAILED, "unknown"})
			check(t, fmt.Sprintf("the reason of %d", code), call.GetEnd().GetReason(), meaning.Reason)
			if known != (call.GetEnd().GetReasonRaw() == strconv.Itoa(int(code))) {
				t.Errorf("%d: %v", code, call.GetEnd())
			}
		}
	}
}

func TestEverySource(t *testing.T) {
	phone, web, text := callnormv1.Channel_CHANNEL_PHONE, callnormv1.Channel_CHANNEL_WEB, callnormv1.Channel_CHANNEL_TEXT
	for word, want := range map[string]callnormv1.Channel{
		"unknown": 0, "android_sdk": web, "node_js_sdk": web, "react_native_sdk": web, "react_sdk": web, "js_sdk": web, "python_sdk": web,
		"widget": web, "sip_trunk": phone, "twilio": phone, "exotel": phone, "genesys": phone, "swift_sdk": web,
		"whatsapp": callnormv1.Channel_CHANNEL_WHATSAPP, "twilio_sms": callnormv1.Channel_CHANNEL_SMS, "flutter_sdk": web,
		"zendesk_integration": text, "slack_integration": text, "telegram_integration": text, "intercom_integration": text,
		"freshdesk_integration": text, "salesforce_integration": text, "template_preview": web,
		"genesys_bot_connector": callnormv1.Channel_CHANNEL_OTHER, "subagent_tool": callnormv1.Channel_CHANNEL_OTHER,
	} {
		call := normalize(t, report(object{"conversation_initiation_source": word, "text_only": false}, nil))
		check(t, word, []any{call.GetChannel(), call.GetChannelRaw(), call.GetChannelMapping()}, []any{want, word, exact})
		inWriting := text
		if want == callnormv1.Channel_CHANNEL_WHATSAPP || want == callnormv1.Channel_CHANNEL_SMS {
			inWriting = want
		}
		call = normalize(t, report(object{"conversation_initiation_source": word, "text_only": true}, nil))
		check(t, word+" in writing", []any{call.GetChannel(), call.GetChannelRaw()}, []any{inWriting, word})
	}
	call := normalize(t, report(object{"conversation_initiation_source": "hologram"}, nil))
	check(t, "an unknown source", []any{call.GetChannel(), call.GetChannelRaw(), call.GetChannelMapping()},
		[]any{callnormv1.Channel_CHANNEL_OTHER, "hologram", none})
}

func TestEveryAuthorizationMethod(t *testing.T) {
	for word, want := range map[string]callnormv1.Channel{
		"invalid": 0, "public": 0, "authorization_header": 0, "signed_url": 0, "shareable_link": 0, "livekit_token": 0, "livekit_token_website": 0,
		"genesys_api_key": callnormv1.Channel_CHANNEL_PHONE, "whatsapp": callnormv1.Channel_CHANNEL_WHATSAPP, "sms": callnormv1.Channel_CHANNEL_SMS,
	} {
		call := normalize(t, report(object{"authorization_method": word}, nil))
		check(t, word, call.GetChannel(), want)
		if kept := len(call.GetProvenance().GetUnmapped()) == 1; kept != (want == 0) {
			t.Errorf("%s: %v", word, call.GetProvenance())
		}
	}
}

func TestTypesOfPhoneCalls(t *testing.T) {
	for word, want := range map[string]string{
		"twilio": "twilio.call_sid", "exotel": "exotel.call_sid", "sip_trunking": "livekit.sip_call_id", "": "livekit.sip_call_id",
	} {
		call := normalize(t, report(object{"phone_call": object{"type": word, "call_sid": "SCL_1", "direction": "inbound"}}, nil))
		check(t, word, []any{call.GetExternalIds()[0].GetSystem(), call.GetChannel(), call.GetDirection()},
			[]any{want, callnormv1.Channel_CHANNEL_PHONE, callnormv1.Direction_DIRECTION_INBOUND})
	}
}

func TestEverySuccessAndVerdict(t *testing.T) {
	for word, want := range map[string]struct {
		success callnormv1.GoalResult
		verdict callnormv1.EvaluationResult
		mapping callnormv1.Mapping
	}{
		"success": {callnormv1.GoalResult_GOAL_RESULT_ACHIEVED, callnormv1.EvaluationResult_EVALUATION_RESULT_PASSED, llm},
		"failure": {callnormv1.GoalResult_GOAL_RESULT_NOT_ACHIEVED, callnormv1.EvaluationResult_EVALUATION_RESULT_FAILED, llm},
		"unknown": {callnormv1.GoalResult_GOAL_RESULT_UNKNOWN, callnormv1.EvaluationResult_EVALUATION_RESULT_UNKNOWN, llm},
		"perhaps": {callnormv1.GoalResult_GOAL_RESULT_OTHER, callnormv1.EvaluationResult_EVALUATION_RESULT_OTHER, none},
	} {
		call := normalize(t, report(nil, object{"analysis": object{
			"call_successful": word, "evaluation_criteria_results": object{"a": object{"criteria_id": "a", "result": word}},
		}}))
		a, e := call.GetAnalysis(), call.GetEvaluations()[0]
		check(t, word, []any{a.GetSuccess(), a.GetSuccessRaw(), a.GetSuccessMapping()}, []any{want.success, word, want.mapping})
		check(t, word, []any{e.GetResult(), e.GetResultRaw(), e.GetResultMapping()}, []any{want.verdict, word, want.mapping})
		if call.GetDisposition() != nil {
			t.Errorf("the platform's success is not what the contact wants: %v", call.GetDisposition())
		}
	}
}

func TestDecimals(t *testing.T) {
	for literal, want := range map[string]string{
		"0": "0", "0.061": "0.061", "70.0": "70.0", "1e2": "100", "1.5e1": "15", "1.25e1": "12.5", "2.1e-05": "0.000021", "0.0e0": "0.0",
		"-3": "-3", "-1E-3": "-0.001", "123456789012345678901234567890.5": "123456789012345678901234567890.5", "1e400": "", `"0.5"`: "0.5",
		`"free"`: "", "true": "", "[]": "", "null": "",
	} {
		call := normalize(t, []byte(`{"type":"post_call_transcription","data":{"conversation_id":"c","status":"done","metadata":{"cost_fiat":`+literal+`}}}`))
		check(t, literal, call.GetCost().GetTotal().GetAmount(), want)
		if want != "" {
			check(t, literal, call.GetCost().GetTotal().GetCurrencyCode(), "USD")
		}
	}
}

func TestSecretsAreLeftOut(t *testing.T) {
	const secret = "not-for-anybody"
	call := normalize(t, report(nil, object{
		"conversation_initiation_client_data": object{"dynamic_variables": object{"secret__token": secret, "name": "Ada"}},
		"transcript": []any{object{"role": "agent", "tool_calls": []any{object{"request_id": "r", "tool_name": "book", "tool_details": object{
			"type": "webhook", "url": "https://hooks.example.com/" + secret, "headers": object{"Authorization": secret},
		}}}}},
	}))
	if text := call.String(); strings.Contains(text, secret) || !strings.Contains(text, "Ada") {
		t.Error(text)
	}
}

func TestPlaceholdersIdentifyNothing(t *testing.T) {
	for _, id := range []any{"{{conversation_id}}", "null", "", " ", nil} {
		call := normalize(t, report(nil, object{"conversation_id": id}))
		check(t, fmt.Sprint(id), call.GetProviderCallId(), "")
	}
	call := normalize(t, report(nil, object{"conversation_id": "{id}"}))
	if !warned(call, callnormv1.WarningKind_WARNING_KIND_PLACEHOLDER, "data.conversation_id") {
		t.Errorf("%v", call.GetProvenance())
	}
}

// TestTheRecordingFoldsWithTheReport puts the deliveries about one call together, in every order.
func TestTheRecordingFoldsWithTheReport(t *testing.T) {
	deliver := func(name string, body any) *callnormv1.CallOutcome {
		call := normalize(t, body)
		call.Provenance.Deliveries = []*callnormv1.DeliveryRef{{Delivery: "deliveries/" + name, BodySha256: name}}
		return call
	}
	all := []*callnormv1.CallOutcome{
		deliver("audio", event("post_call_audio", object{"conversation_id": "conv_1", "agent_id": "a", "full_audio": "SUQzBAAA"})),
		deliver("early", report(nil, object{"status": "processing"})),
		deliver("report", report(object{"termination_reason": "Call ended by remote party"}, object{
			"has_audio": true, "transcript": []any{object{"role": "user", "message": "Hi."}},
		})),
	}
	first := callstate.Fold(all)
	for _, order := range [][]int{{0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}} {
		folded := callstate.Fold([]*callnormv1.CallOutcome{all[order[0]], all[order[1]], all[order[2]]})
		if !proto.Equal(first, folded) {
			t.Errorf("order %v ends in another outcome:\n%s", order, cmp.Diff(first, folded, protocmp.Transform()))
		}
	}
	check(t, "the whole", []any{first.GetCompleteness(), first.GetEvent(), first.GetStatus(), first.GetProviderCallId(), len(first.GetExpectedParts())},
		[]any{final, callnormv1.EventKind_EVENT_KIND_CALL_REPORTED, completed, "conv_1", 0})
	size := int64(6)
	want := []*callnormv1.Recording{{Id: "conv_1", KindRaw: "full_audio", ContentType: "audio/mpeg", SizeBytes: &size, StatusRaw: "has_audio"}}
	if diff := cmp.Diff(want, first.GetRecordings(), protocmp.Transform()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	alone := callstate.Fold(all[:1])
	check(t, "the recording alone", []any{alone.GetCompleteness(), alone.GetStatus()}, []any{settling, callnormv1.CallStatus_CALL_STATUS_UNSPECIFIED})
	if w := first.GetProvenance().GetWarnings(); len(w) > 0 {
		t.Errorf("they do not contradict each other: %v", w)
	}
}

func TestARecordOfTheAPIMeansTheSameAsTheReport(t *testing.T) {
	body, err := os.ReadFile("testdata/t01_telephone_call_with_everything.json")
	if err != nil {
		t.Fatal(err)
	}
	var webhook struct {
		Data json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal(body, &webhook); err != nil {
		t.Fatal(err)
	}
	report, record := normalize(t, body), normalize(t, []byte(webhook.Data))
	report.EventTime, report.EventRaw, report.EventMapping, report.Transcript.Source = nil, "", heuristic, "transcript"
	report.Provenance, record.Provenance = nil, nil
	if diff := cmp.Diff(report, record, protocmp.Transform()); diff != "" {
		t.Errorf("(-report +record):\n%s", diff)
	}
}

// audioOf returns a webhook with a recording of so many bytes.
func audioOf(size int) []byte {
	sound := bytes.Repeat([]byte("\xff\xfb\x90\x64zzzz"), size/8+1)[:size]
	return []byte(`{"type":"post_call_audio","event_timestamp":1739537319,"data":{"agent_id":"xyz","conversation_id":"abc","full_audio":"` +
		base64.StdEncoding.EncodeToString(sound) + `"}}`)
}

func TestTheRecordingIsMeasuredAndNotCopied(t *testing.T) {
	for _, size := range []int{1, 2, 3, 4, 5, 1000, 20 << 20} {
		body := audioOf(size)
		d := adapters.Delivery{Provider: "elevenlabs", Body: body}
		_, _ = elevenlabs.New().Normalize(d)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		result, err := elevenlabs.New().Normalize(d)
		runtime.ReadMemStats(&after)
		if err != nil {
			t.Fatal(err)
		}
		recording := result.Outcomes[0].Call.GetRecordings()[0]
		check(t, "the size", recording.GetSizeBytes(), size)
		if size >= 4 {
			check(t, "the format", recording.GetContentType(), "audio/mpeg")
		}
		const most = 64 << 10
		if allocated := after.TotalAlloc - before.TotalAlloc; allocated > most {
			t.Errorf("%d bytes were allocated for a recording of %d", allocated, size)
		}
		if result.Outcomes[0].Call.GetProvenance().GetUnmappedCount() > 0 {
			t.Errorf("the recording is kept in the outcome")
		}
	}
}

// BenchmarkAudio shows what a recording costs beyond its body: B/op is the same for one of a kilobyte and for one of twenty megabytes.
func BenchmarkAudio(b *testing.B) {
	for _, size := range []int{1 << 10, 1 << 20, 20 << 20} {
		d := adapters.Delivery{Provider: "elevenlabs", Body: audioOf(size)}
		b.Run(strconv.Itoa(size>>10)+"KiB", func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(d.Body)))
			for b.Loop() {
				_, _ = adapters.Normalize(elevenlabs.New(), d)
			}
		})
	}
}
