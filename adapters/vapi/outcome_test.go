package vapi_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/callnorm/callnorm/adapters"
	"github.com/callnorm/callnorm/adapters/adaptertest"
	"github.com/callnorm/callnorm/adapters/vapi"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/callnorm/callnorm/internal/callstate"
	"google.golang.org/protobuf/proto"
)

const (
	exact     = callnormv1.Mapping_MAPPING_EXACT
	prefix    = callnormv1.Mapping_MAPPING_PREFIX
	heuristic = callnormv1.Mapping_MAPPING_HEURISTIC
	none      = callnormv1.Mapping_MAPPING_NONE
	llm       = callnormv1.Mapping_MAPPING_LLM
	partial   = callnormv1.Completeness_COMPLETENESS_PARTIAL
	settling  = callnormv1.Completeness_COMPLETENESS_SETTLING
	final     = callnormv1.Completeness_COMPLETENESS_FINAL
)

// normalize returns what a message with these members and an id means.
func normalize(t *testing.T, members string) adapters.Result {
	t.Helper()
	d := adapters.Delivery{Provider: "vapi", Body: []byte(`{"message":{"call":{"id":"c-1","type":"outboundPhoneCall"},` + members + `}}`)}
	adaptertest.Check(t, vapi.New(), d)
	result, err := vapi.New().Normalize(d)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func report(t *testing.T, members string) *callnormv1.CallOutcome {
	t.Helper()
	return normalize(t, `"type":"end-of-call-report",`+members).Outcomes[0].Call
}

// check compares what both sides show.
func check(t *testing.T, what string, got, want any) {
	t.Helper()
	if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
		t.Errorf("%s is %s, want %s", what, g, w)
	}
}

// The column `responsible` of the table, where it tells more than the class does.
var (
	responsible = map[string]callnormv1.EndReason{
		"llm": callnormv1.EndReason_END_REASON_LLM_ERROR,
		"stt": callnormv1.EndReason_END_REASON_STT_ERROR,
		"tts": callnormv1.EndReason_END_REASON_TTS_ERROR,
	}
	endedBy = map[string]callnormv1.EndedBy{
		"agent":    callnormv1.EndedBy_ENDED_BY_AGENT,
		"customer": callnormv1.EndedBy_ENDED_BY_CUSTOMER,
	}
)

func TestEveryEndedReason(t *testing.T) {
	rows := adaptertest.Table(t, "words/ended_reason.tsv")
	if len(rows) < 670 {
		t.Fatalf("%d rows", len(rows))
	}
	for _, row := range rows {
		word := row["value"]
		t.Run(word, func(t *testing.T) {
			for _, call := range []*callnormv1.CallOutcome{
				report(t, fmt.Sprintf(`"endedReason":%q`, word)),
				normalize(t, fmt.Sprintf(`"type":"status-update","status":"ended","endedReason":%q`, word)).Outcomes[0].Call,
			} {
				adaptertest.CheckClass(t, row["suggested_class"], call)
				if m := call.GetStatusMapping(); m != exact && m != prefix && (m != heuristic || row["state"] != "docs-example-only") {
					t.Errorf("the status is mapped by %v", m)
				}
				check(t, "raw words", []string{call.GetStatusRaw(), call.GetEnd().GetReasonRaw()}, []string{word, word})
				if want, ok := responsible[row["responsible"]]; ok {
					check(t, "reason", call.GetEnd().GetReason(), want)
				}
				if want, ok := endedBy[row["responsible"]]; ok && row["suggested_class"] == "completed" {
					check(t, "ended by", call.GetEnd().GetEndedBy(), want)
				}
				if row["suggested_class"] == "transfer_failed" || row["suggested_class"] == "transferred" {
					check(t, "transfers", len(call.GetTransfers()), 1)
				}
				voicemail := row["suggested_class"] == "voicemail"
				check(t, "voicemail", call.GetVoicemail().GetDetected(), voicemail)
				check(t, "answered by", call.GetAnsweredBy() != nil, voicemail)
				check(t, "warnings", call.GetProvenance().GetWarnings(), "[]")
			}
		})
	}
}

// TestReasonsToCome has words that no list has yet.
func TestReasonsToCome(t *testing.T) {
	completed, failed := callnormv1.CallStatus_CALL_STATUS_COMPLETED, callnormv1.CallStatus_CALL_STATUS_FAILED
	for word, want := range map[string]struct {
		status  callnormv1.CallStatus
		reason  callnormv1.EndReason
		mapping callnormv1.Mapping
	}{
		"pipeline-error-newvendor-llm-failed":                               {failed, callnormv1.EndReason_END_REASON_LLM_ERROR, prefix},
		"call.in-progress.error-vapifault-newvendor-transcriber-failed":     {failed, callnormv1.EndReason_END_REASON_STT_ERROR, prefix},
		"call.in-progress.error-providerfault-newvendor-voice-failed":       {failed, callnormv1.EndReason_END_REASON_TTS_ERROR, prefix},
		"call.in-progress.error-providerfault-newvendor-429-exceeded-quota": {failed, callnormv1.EndReason_END_REASON_LLM_ERROR, prefix},
		"call.in-progress.error-providerfault-newvendor-500-server-error":   {failed, callnormv1.EndReason_END_REASON_ERROR, prefix},
		"call.in-progress.error-vapifault-something-new":                    {failed, callnormv1.EndReason_END_REASON_PLATFORM_ERROR, prefix},
		"call.in-progress.error-something-new":                              {failed, callnormv1.EndReason_END_REASON_ERROR, prefix},
		"call.start.error-get-moon":                                         {failed, callnormv1.EndReason_END_REASON_CONFIGURATION_ERROR, prefix},
		"call.start.error-subscription-expired":                             {failed, callnormv1.EndReason_END_REASON_QUOTA_OR_BILLING, prefix},
		"call.start.error-vapifault-something-new":                          {failed, callnormv1.EndReason_END_REASON_PLATFORM_ERROR, prefix},
		"call.start.error-something-new":                                    {failed, callnormv1.EndReason_END_REASON_ERROR, prefix},
		"call.in-progress.error-warm-transfer-boredom":                      {completed, callnormv1.EndReason_END_REASON_TRANSFER_FAILED, prefix},
		"call.forwarding.error-lost":                                        {completed, callnormv1.EndReason_END_REASON_TRANSFER_FAILED, prefix},
		"telnyx-failed-to-connect-call":                                     {failed, callnormv1.EndReason_END_REASON_TELEPHONY_ERROR, prefix},
		"customer-ended-call-with-a-bang":                                   {completed, callnormv1.EndReason_END_REASON_CUSTOMER_HANGUP, prefix},
		"assistant-ended-call-with-a-whimper":                               {completed, callnormv1.EndReason_END_REASON_AGENT_HANGUP, prefix},
		"call.in-progress.hook-executed-transfer":                           {completed, callnormv1.EndReason_END_REASON_TRANSFERRED, prefix},
		"call.in-progress.hook-executed-dance":                              {completed, callnormv1.EndReason_END_REASON_CUSTOM_RULE, prefix},
		"call.in-progress.error-providerfault-outbound-sip-486-busy-here":   {callnormv1.CallStatus_CALL_STATUS_BUSY, callnormv1.EndReason_END_REASON_BUSY, prefix},
		"call.in-progress.error-providerfault-outbound-sip-603-decline":     {callnormv1.CallStatus_CALL_STATUS_REJECTED, callnormv1.EndReason_END_REASON_DECLINED, prefix},
		"call.in-progress.error-providerfault-outbound-sip-404-not-found":   {failed, callnormv1.EndReason_END_REASON_INVALID_NUMBER, prefix},
		"call.in-progress.error-providerfault-outbound-sip-599-unheard-of":  {failed, callnormv1.EndReason_END_REASON_TELEPHONY_ERROR, prefix},
		"call.in-progress.error-providerfault-outbound-sip-699-unheard-of":  {callnormv1.CallStatus_CALL_STATUS_REJECTED, callnormv1.EndReason_END_REASON_DECLINED, prefix},
		"call.in-progress.error-providerfault-outbound-sip-without-a-code":  {failed, callnormv1.EndReason_END_REASON_TELEPHONY_ERROR, prefix},
		"Customer_Ended_Call":                                               {completed, callnormv1.EndReason_END_REASON_CUSTOMER_HANGUP, exact},
		"assistant ended call":                                              {completed, callnormv1.EndReason_END_REASON_AGENT_HANGUP, exact},
		"call.forwarding.something-new":                                     {callnormv1.CallStatus_CALL_STATUS_OTHER, callnormv1.EndReason_END_REASON_OTHER, none},
		"call.ending.something-new":                                         {callnormv1.CallStatus_CALL_STATUS_OTHER, callnormv1.EndReason_END_REASON_OTHER, none},
		"assistant-request-returned-a-poem":                                 {callnormv1.CallStatus_CALL_STATUS_OTHER, callnormv1.EndReason_END_REASON_OTHER, none},
		"pipeline-error":                                                    {callnormv1.CallStatus_CALL_STATUS_OTHER, callnormv1.EndReason_END_REASON_OTHER, none},
	} {
		t.Run(word, func(t *testing.T) {
			call := report(t, fmt.Sprintf(`"endedReason":%q`, word))
			check(t, "status and reason", []any{call.GetStatus(), call.GetEnd().GetReason()}, []any{want.status, want.reason})
			check(t, "mapping", []any{call.GetStatusMapping(), call.GetEnd().GetReasonMapping()}, []any{want.mapping, want.mapping})
			check(t, "raw word", call.GetEnd().GetReasonRaw(), word)
		})
	}
}

func TestSIPCodeOfAReason(t *testing.T) {
	for word, want := range map[string]int32{
		"call.in-progress.error-providerfault-outbound-sip-403-forbidden":           403,
		"call.in-progress.error-providerfault-outbound-sip-503-service-unavailable": 503,
		"call.in-progress.error-providerfault-outbound-sip-699-unheard-of":          699,
		"call.in-progress.error-providerfault-outbound-sip-1000-no-code":            0,
		"call.in-progress.error-providerfault-openai-500-server-error":              0,
		"customer-busy": 0,
	} {
		end := report(t, fmt.Sprintf(`"endedReason":%q`, word)).GetEnd()
		check(t, word, []any{end.SipCode != nil, end.GetSipCode()}, []any{want != 0, want})
	}
}

func TestEveryEvent(t *testing.T) {
	for members, want := range map[string]struct {
		kind         callnormv1.EventKind
		completeness callnormv1.Completeness
		status       callnormv1.CallStatus
	}{
		`"type":"status-update","status":"scheduled"`:   {callnormv1.EventKind_EVENT_KIND_CALL_SCHEDULED, partial, callnormv1.CallStatus_CALL_STATUS_QUEUED},
		`"type":"status-update","status":"queued"`:      {callnormv1.EventKind_EVENT_KIND_CALL_SCHEDULED, partial, callnormv1.CallStatus_CALL_STATUS_QUEUED},
		`"type":"status-update","status":"ringing"`:     {callnormv1.EventKind_EVENT_KIND_CALL_STARTED, partial, callnormv1.CallStatus_CALL_STATUS_RINGING},
		`"type":"status-update","status":"in-progress"`: {callnormv1.EventKind_EVENT_KIND_CALL_CONNECTED, partial, callnormv1.CallStatus_CALL_STATUS_IN_PROGRESS},
		`"type":"status-update","status":"forwarding"`:  {callnormv1.EventKind_EVENT_KIND_CALL_TRANSFERRED, partial, callnormv1.CallStatus_CALL_STATUS_IN_PROGRESS},
		`"type":"status-update","status":"ended"`:       {callnormv1.EventKind_EVENT_KIND_CALL_ENDED, settling, callnormv1.CallStatus_CALL_STATUS_UNSPECIFIED},
		`"type":"status-update","status":"new"`:         {callnormv1.EventKind_EVENT_KIND_CALL_PROGRESS, partial, callnormv1.CallStatus_CALL_STATUS_OTHER},
		`"type":"status-update"`:                        {callnormv1.EventKind_EVENT_KIND_CALL_PROGRESS, partial, callnormv1.CallStatus_CALL_STATUS_UNSPECIFIED},
		`"type":"end-of-call-report"`:                   {callnormv1.EventKind_EVENT_KIND_CALL_REPORTED, final, callnormv1.CallStatus_CALL_STATUS_UNSPECIFIED},
		`"type":"transfer-update"`:                      {callnormv1.EventKind_EVENT_KIND_CALL_TRANSFERRED, partial, callnormv1.CallStatus_CALL_STATUS_UNSPECIFIED},
		`"type":"tool-calls"`:                           {callnormv1.EventKind_EVENT_KIND_CALL_PROGRESS, partial, callnormv1.CallStatus_CALL_STATUS_UNSPECIFIED},
		`"type":"function-call"`:                        {callnormv1.EventKind_EVENT_KIND_CALL_PROGRESS, partial, callnormv1.CallStatus_CALL_STATUS_UNSPECIFIED},
		`"type":"assistant-request"`:                    {callnormv1.EventKind_EVENT_KIND_CALL_RECEIVED, partial, callnormv1.CallStatus_CALL_STATUS_UNSPECIFIED},
		`"type":"phone-call-control","request":"forward"`: {
			callnormv1.EventKind_EVENT_KIND_CALL_TRANSFERRED, partial, callnormv1.CallStatus_CALL_STATUS_UNSPECIFIED,
		},
	} {
		t.Run(members, func(t *testing.T) {
			result := normalize(t, members)
			call := result.Outcomes[0].Call
			check(t, "event", []any{call.GetEvent(), call.GetEventMapping()}, []any{want.kind, exact})
			check(t, "completeness and status", []any{call.GetCompleteness(), call.GetStatus()}, []any{want.completeness, want.status})
			check(t, "family and id", []any{result.Outcomes[0].Family, result.Outcomes[0].CallID}, []any{adapters.FamilyCall, "c-1"})
		})
	}
}

func TestEveryNotice(t *testing.T) {
	for _, members := range []string{
		`"type":"hang"`, `"type":"transcript"`, `"type":"transcript[transcriptType=\"final\"]"`, `"type":"conversation-update"`,
		`"type":"speech-update","status":"started"`, `"type":"model-output"`, `"type":"user-interrupted"`, `"type":"voice-input"`,
		`"type":"language-change-detected"`, `"type":"assistant.speechStarted"`, `"type":"transfer-destination-request"`,
		`"type":"handoff-destination-request"`, `"type":"knowledge-base-request"`, `"type":"voice-request"`,
		`"type":"call.endpointing.request"`, `"type":"phone-call-control","request":"hang-up"`, `"type":"call.deleted"`,
		`"type":"call.delete.failed"`, `"type":"call.artifact.upload"`, `"type":"campaign.predial"`, `"type":"chat.created"`,
		`"type":"chat.deleted"`, `"type":"session.created"`, `"type":"session.updated"`, `"type":"session.deleted"`,
		`"type":"status-update","status":"not-found"`, `"type":"status-update","status":"deletion-failed"`,
	} {
		result := normalize(t, members)
		if len(result.Notices) != 1 || len(result.Outcomes) > 0 || result.Notices[0].GetEventRaw() == "" {
			t.Errorf("%s: %v", members, result)
		}
	}
}

func TestSuccessByRubric(t *testing.T) {
	for _, test := range []struct {
		word, rubric string
		success      callnormv1.GoalResult
		mapping      callnormv1.Mapping
		graded       bool
		score        float64
	}{
		{"true", "PassFail", callnormv1.GoalResult_GOAL_RESULT_ACHIEVED, llm, false, 0},
		{"false", "", callnormv1.GoalResult_GOAL_RESULT_NOT_ACHIEVED, llm, false, 0},
		{"7", "NumericScale", callnormv1.GoalResult_GOAL_RESULT_OTHER, llm, true, 0.7},
		{"7", "", callnormv1.GoalResult_GOAL_RESULT_OTHER, llm, true, 0}, // of ten or of a hundred
		{"17", "NumericScale", callnormv1.GoalResult_GOAL_RESULT_OTHER, llm, true, 0},
		{"85", "PercentageScale", callnormv1.GoalResult_GOAL_RESULT_OTHER, llm, true, 0.85},
		{"85%", "", callnormv1.GoalResult_GOAL_RESULT_OTHER, llm, true, 0.85},
		{"Excellent", "DescriptiveScale", callnormv1.GoalResult_GOAL_RESULT_ACHIEVED, heuristic, true, 0},
		{"Fair", "", callnormv1.GoalResult_GOAL_RESULT_PARTIAL, heuristic, true, 0},
		{"Strongly Disagree", "LikertScale", callnormv1.GoalResult_GOAL_RESULT_NOT_ACHIEVED, heuristic, true, 0},
		{"Neutral", "LikertScale", callnormv1.GoalResult_GOAL_RESULT_OTHER, llm, true, 0},
		{"- greeted: yes\n- booked: no", "Checklist", callnormv1.GoalResult_GOAL_RESULT_OTHER, llm, true, 0},
		{"The call went well.", "AutomaticRubric", callnormv1.GoalResult_GOAL_RESULT_OTHER, llm, true, 0},
	} {
		t.Run(test.word+" by "+test.rubric, func(t *testing.T) {
			call := report(t, fmt.Sprintf(`"endedReason":"customer-busy","analysis":{"successEvaluation":%q},`+
				`"assistant":{"analysisPlan":{"successEvaluationPlan":{"rubric":%q}}}`, test.word, test.rubric))
			a := call.GetAnalysis()
			check(t, "success", []any{a.GetSuccess(), a.GetSuccessRaw(), a.GetSuccessMapping()}, []any{test.success, test.word, test.mapping})
			check(t, "evaluations", len(call.GetEvaluations()) == 1, test.graded)
			if test.graded {
				check(t, "score", call.GetEvaluations()[0].GetScore(), test.score)
			}
			check(t, "status", call.GetStatus(), callnormv1.CallStatus_CALL_STATUS_BUSY)
			check(t, "disposition", call.GetDisposition() == nil, true)
		})
	}
}

func TestTransferResults(t *testing.T) {
	for word, want := range map[string]callnormv1.TransferResult{
		"connected": callnormv1.TransferResult_TRANSFER_RESULT_COMPLETED,
		"completed": callnormv1.TransferResult_TRANSFER_RESULT_COMPLETED,
		"no-answer": callnormv1.TransferResult_TRANSFER_RESULT_FAILED,
		"busy":      callnormv1.TransferResult_TRANSFER_RESULT_FAILED,
		"voicemail": callnormv1.TransferResult_TRANSFER_RESULT_FAILED,
		"failed":    callnormv1.TransferResult_TRANSFER_RESULT_FAILED,
		"cancelled": callnormv1.TransferResult_TRANSFER_RESULT_CANCELED,
		"eloped":    callnormv1.TransferResult_TRANSFER_RESULT_OTHER,
		"":          callnormv1.TransferResult_TRANSFER_RESULT_COMPLETED, // by the reason
	} {
		call := report(t, fmt.Sprintf(`"endedReason":"assistant-forwarded-call","artifact":{"transfers":[{"destination":`+
			`{"type":"number","number":"+12025550170"},"mode":"blind-transfer","status":%q}]}`, word))
		if len(call.GetTransfers()) != 1 {
			t.Fatal(call.GetTransfers())
		}
		raw := word
		if raw == "" {
			raw = "assistant-forwarded-call"
		}
		check(t, "result of "+word, []any{call.GetTransfers()[0].GetResult(), call.GetTransfers()[0].GetResultRaw()}, []any{want, raw})
	}
}

func TestTransferKinds(t *testing.T) {
	for _, mode := range []string{
		"blind-transfer", "blind-transfer-add-summary-to-sip-header", "warm-transfer-say-message", "warm-transfer-say-summary",
		"warm-transfer-twiml", "warm-transfer-wait-for-operator-to-speak-first-and-then-say-message", "warm-transfer-experimental",
	} {
		want := callnormv1.TransferKind_TRANSFER_KIND_COLD
		if strings.HasPrefix(mode, "warm") {
			want = callnormv1.TransferKind_TRANSFER_KIND_WARM
		}
		call := report(t, fmt.Sprintf(`"destination":{"type":"sip","sipUri":"sip:desk@example.com","transferPlan":{"mode":%q}}`, mode))
		check(t, "kind of "+mode, call.GetTransfers()[0].GetKind(), want)
		check(t, "the word for it", call.GetTransfers()[0].GetKindRaw(), mode)
	}
}

func TestAmounts(t *testing.T) {
	for literal, want := range map[string]string{
		"0": "0", "0.0": "0.0", "1": "1", "0.1042": "0.1042", "7.275e-05": "0.00007275", "1.5E-7": "0.00000015", "1e3": "1000",
		"12.5e1": "125", "1.25e1": "12.5", "-0.5": "-0.5", "0.014204399999999999": "0.014204399999999999", `"0.02"`: "0.02",
		"123456789012345678901234567890.5": "123456789012345678901234567890.5",
		"1e999":                            "", `"much"`: "", `"1e"`: "", `".5"`: "", "true": "", "null": "", `""`: "",
	} {
		call := report(t, `"cost":`+literal)
		check(t, "total of "+literal, call.GetCost().GetTotal().GetAmount(), want)
		if want != "" {
			check(t, "currency", call.GetCost().GetTotal().GetCurrencyCode(), "USD")
		}
	}
}

func TestCarrierIDs(t *testing.T) {
	for members, want := range map[string]string{
		`"phoneCallProvider":"twilio","phoneCallProviderId":"x"`:                           "twilio.call_sid",
		`"phoneCallProvider":"vonage","phoneCallProviderId":"x"`:                           "vonage.conversation_uuid",
		`"phoneCallProvider":"telnyx","phoneCallProviderId":"x"`:                           "telnyx.call_control_id",
		`"phoneCallProvider":"vapi","phoneCallProviderId":"x"`:                             "vapi.sip_call_id",
		`"phoneCallProvider":"pigeon","phoneCallProviderId":"x"`:                           "carrier.call_sid",
		`"phoneCallProviderId":"CA00000000000000000000000000000001"`:                       "twilio.call_sid",
		`"transport":{"provider":"telnyx","callSid":"x"}`:                                  "telnyx.call_control_id",
		`"transport":{"callSid":"x"},"phoneCallProvider":"vonage"`:                         "vonage.conversation_uuid",
		`"twilioCallSid":"x","phoneCallProvider":"twilio","phoneCallProviderId":"x"`:       "twilio.call_sid",
		`"transport":{"callSid":"x"},"phoneCallProvider":"vapi","phoneCallProviderId":"x"`: "vapi.sip_call_id",
	} {
		call := report(t, members)
		if len(call.GetExternalIds()) != 1 || call.GetExternalIds()[0].GetSystem() != want {
			t.Errorf("%s: %v", members, call.GetExternalIds())
		}
	}
}

// TestSecretsStayOut reads every case and looks for what lets anybody in.
func TestSecretsStayOut(t *testing.T) {
	for _, c := range adaptertest.Cases(t, vapi.New()) {
		result, err := vapi.New().Normalize(c.Delivery)
		if err != nil {
			continue
		}
		text := adaptertest.Golden(t, adaptertest.Response(result))
		for _, secret := range []string{"not-a-", "/listen", "/control", "secret-room", "wss://", "example.com/hook", "<Response/>", ".pcap"} {
			if strings.Contains(string(text), secret) {
				t.Errorf("%s tells %q", c.Name, secret)
			}
		}
	}
}

// fold puts cases together that are about one call.
func fold(t *testing.T, files ...string) *callnormv1.CallOutcome {
	t.Helper()
	var contributions []*callnormv1.CallOutcome
	for _, file := range files {
		body, err := os.ReadFile("testdata/" + file + ".json")
		if err != nil {
			t.Fatal(err)
		}
		result, err := vapi.New().Normalize(adapters.Delivery{Provider: "vapi", Body: body})
		if err != nil {
			t.Fatal(err)
		}
		call := result.Outcomes[0].Call
		call.Provenance.Deliveries = []*callnormv1.DeliveryRef{{Delivery: "deliveries/" + file, BodySha256: file}}
		contributions = append(contributions, call)
	}
	return callstate.Fold(contributions)
}

// TestEventsOfOneCallFold has the events of one call come in two orders.
func TestEventsOfOneCallFold(t *testing.T) {
	events := []string{
		"v04_status_queued", "v04_status_ringing", "v04_status_in_progress", "v07_tool_calls", "v05_transfer_update_to_a_number",
		"v04_status_forwarding", "v04_status_ended", "v29_report_after_the_events",
	}
	call := fold(t, events...)
	check(t, "completeness", call.GetCompleteness(), final)
	check(t, "status", call.GetStatus(), callnormv1.CallStatus_CALL_STATUS_COMPLETED)
	check(t, "end", call.GetEnd().GetReason(), callnormv1.EndReason_END_REASON_TRANSFERRED)
	check(t, "tools", len(call.GetToolCalls()), 1)
	check(t, "transfers", len(call.GetTransfers()), 1)
	check(t, "result", call.GetTransfers()[0].GetResult(), callnormv1.TransferResult_TRANSFER_RESULT_COMPLETED)
	check(t, "turns", len(call.GetTranscript().GetTurns()), 2)
	check(t, "start offset of the tool", call.GetToolCalls()[0].GetStartOffset().AsDuration(), "4s")
	check(t, "expected parts", call.GetExpectedParts(), "[]")
	slices.Reverse(events)
	if again := fold(t, events...); !proto.Equal(call, again) {
		t.Errorf("another order, another outcome:\n%v\n%v", call, again)
	}
}

func TestEndedWaitsForTheReport(t *testing.T) {
	call := fold(t, "v04_status_in_progress", "v04_status_ended")
	check(t, "completeness", call.GetCompleteness(), settling)
	check(t, "expected parts", call.GetExpectedParts(), "[PART_RECORDING PART_ANALYSIS PART_COST]")
	check(t, "status", call.GetStatus(), callnormv1.CallStatus_CALL_STATUS_COMPLETED)
}

// TestASignedAddressIsOneOfARecording has a report that was sent twice, with addresses signed anew.
func TestASignedAddressIsOneOfARecording(t *testing.T) {
	body, err := os.ReadFile("testdata/v03_layout_of_2026.json")
	if err != nil {
		t.Fatal(err)
	}
	var contributions []*callnormv1.CallOutcome
	for i, signed := range []string{string(body), strings.ReplaceAll(string(body), "Signature=", "Signature=again")} {
		result, err := vapi.New().Normalize(adapters.Delivery{Provider: "vapi", Body: []byte(signed)})
		if err != nil {
			t.Fatal(err)
		}
		call := result.Outcomes[0].Call
		call.Provenance.Deliveries = []*callnormv1.DeliveryRef{{Delivery: fmt.Sprint("deliveries/", i), BodySha256: fmt.Sprint(i)}}
		contributions = append(contributions, call)
	}
	check(t, "recordings", len(callstate.Fold(contributions).GetRecordings()), len(contributions[0].GetRecordings()))
}
