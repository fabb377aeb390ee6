package retell_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/callnorm/callnorm/adapters"
	"github.com/callnorm/callnorm/adapters/adaptertest"
	"github.com/callnorm/callnorm/adapters/retell"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/callnorm/callnorm/internal/callstate"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
)

// object is a JSON object.
type object = map[string]any

// outcome returns what an event about a call with these members means.
func outcome(t *testing.T, event string, members object) *callnormv1.CallOutcome {
	t.Helper()
	call := object{"call_id": "call_0123456789abcdef012345678a1"}
	maps.Copy(call, members)
	body, err := json.Marshal(object{"event": event, "call": call})
	if err != nil {
		t.Fatal(err)
	}
	d := adapters.Delivery{Provider: "retell", Body: body}
	adaptertest.Check(t, retell.New(), d)
	result, err := retell.New().Normalize(d)
	if err != nil {
		t.Fatal(err)
	}
	return result.Outcomes[0].Call
}

// check compares what both sides show.
func check(t *testing.T, what string, got, want any) {
	t.Helper()
	if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
		t.Errorf("%s is %s, want %s", what, g, w)
	}
}

const (
	exact     = callnormv1.Mapping_MAPPING_EXACT
	heuristic = callnormv1.Mapping_MAPPING_HEURISTIC
	prefix    = callnormv1.Mapping_MAPPING_PREFIX
	none      = callnormv1.Mapping_MAPPING_NONE
	partial   = callnormv1.Completeness_COMPLETENESS_PARTIAL
	settling  = callnormv1.Completeness_COMPLETENESS_SETTLING
	final     = callnormv1.Completeness_COMPLETENESS_FINAL
	completed = callnormv1.CallStatus_CALL_STATUS_COMPLETED
)

// by is the column `ended_by` of the table, where it tells who stopped a call. What failed of the platform's, the platform stopped;
// what failed of the account's, nobody.
var by = map[string]callnormv1.EndedBy{
	"customer": callnormv1.EndedBy_ENDED_BY_CUSTOMER, "agent": callnormv1.EndedBy_ENDED_BY_AGENT,
	"carrier": callnormv1.EndedBy_ENDED_BY_CARRIER, "operator": callnormv1.EndedBy_ENDED_BY_HUMAN_OPERATOR,
	"system": callnormv1.EndedBy_ENDED_BY_SYSTEM, "platform": callnormv1.EndedBy_ENDED_BY_SYSTEM,
	"llm": callnormv1.EndedBy_ENDED_BY_SYSTEM, "stt": callnormv1.EndedBy_ENDED_BY_SYSTEM,
	"api": callnormv1.EndedBy_ENDED_BY_OTHER,
}

func TestEveryReasonOfTheTable(t *testing.T) {
	for _, row := range adaptertest.Table(t, "words/retell_disconnection_reason.tsv") {
		word := row["value"]
		status, assumed := strings.CutSuffix(row["call_status_group"], " (assumed)")
		mapping := exact
		if assumed {
			mapping = heuristic
		}
		for _, members := range []object{{"disconnection_reason": word}, {"disconnection_reason": word, "call_status": status}} {
			t.Run(fmt.Sprint(word, " beside ", members["call_status"]), func(t *testing.T) {
				call := outcome(t, "call_ended", members)
				adaptertest.CheckClass(t, row["suggested_class"], call)
				end := call.GetEnd()
				check(t, "reason", []any{end.GetReasonRaw(), end.GetReasonMapping()}, []any{word, mapping})
				if row["state"] == "current" {
					check(t, "ended by", end.GetEndedBy(), by[row["ended_by"]])
				}
				if end.GetEndedBy() != 0 {
					check(t, "ended by", []any{end.GetEndedByRaw(), end.GetEndedByMapping()}, []any{word, mapping})
				}
				check(t, "warnings", call.GetProvenance().GetWarnings(), "[]")
				check(t, "completeness", call.GetCompleteness(), settling)
				if text, _ := members["call_status"].(string); text != "" {
					check(t, "status raw", call.GetStatusRaw(), text)
				} else {
					check(t, "status", []any{call.GetStatusRaw(), call.GetStatusMapping()}, []any{word, mapping})
				}
			})
		}
	}
}

func TestReasonsThatAreNew(t *testing.T) {
	for word, want := range map[string]struct {
		reason  callnormv1.EndReason
		status  callnormv1.CallStatus
		mapping callnormv1.Mapping
	}{
		"error_llm_websocket_timeout":      {callnormv1.EndReason_END_REASON_LLM_ERROR, callnormv1.CallStatus_CALL_STATUS_FAILED, prefix},
		"error_asr_quota":                  {callnormv1.EndReason_END_REASON_STT_ERROR, callnormv1.CallStatus_CALL_STATUS_FAILED, prefix},
		"error_moon":                       {callnormv1.EndReason_END_REASON_ERROR, callnormv1.CallStatus_CALL_STATUS_FAILED, prefix},
		"telephony_provider_misconfigured": {callnormv1.EndReason_END_REASON_TELEPHONY_ERROR, callnormv1.CallStatus_CALL_STATUS_FAILED, prefix},
		"User Hangup":                      {callnormv1.EndReason_END_REASON_CUSTOMER_HANGUP, completed, exact},
		"moon_eclipse":                     {callnormv1.EndReason_END_REASON_OTHER, callnormv1.CallStatus_CALL_STATUS_UNSPECIFIED, none},
	} {
		t.Run(word, func(t *testing.T) {
			call := outcome(t, "call_ended", object{"disconnection_reason": word})
			end := call.GetEnd()
			check(t, "reason", []any{end.GetReason(), end.GetReasonRaw(), end.GetReasonMapping()}, []any{want.reason, word, want.mapping})
			check(t, "status", call.GetStatus(), want.status)
			check(t, "warnings", len(call.GetProvenance().GetWarnings()) > 0, want.mapping != exact)
		})
	}
}

// What a reason cannot tell beside a status, and a status cannot beside an event.
func TestStatus(t *testing.T) {
	const (
		inProgress     = callnormv1.CallStatus_CALL_STATUS_IN_PROGRESS
		failed         = callnormv1.CallStatus_CALL_STATUS_FAILED
		noConversation = callnormv1.CallStatus_CALL_STATUS_NO_CONVERSATION
		untold         = callnormv1.CallStatus_CALL_STATUS_UNSPECIFIED
	)
	for name, test := range map[string]struct {
		event    string
		members  object
		want     callnormv1.CallStatus
		raw      string
		mapping  callnormv1.Mapping
		warnings int
	}{
		"ongoing":                          {"call_started", object{"call_status": "ongoing"}, inProgress, "ongoing", exact, 0},
		"registered although it began":     {"call_started", object{"call_status": "registered"}, inProgress, "registered", heuristic, 1},
		"no status of a call that began":   {"call_started", object{}, inProgress, "call_started", heuristic, 0},
		"registered, in a record":          {"", object{"call_status": "registered"}, callnormv1.CallStatus_CALL_STATUS_INITIATED, "registered", exact, 0},
		"ended":                            {"call_ended", object{"call_status": "ended"}, completed, "ended", exact, 0},
		"error":                            {"call_ended", object{"call_status": "error"}, failed, "error", exact, 0},
		"not connected":                    {"call_ended", object{"call_status": "not_connected"}, noConversation, "not_connected", exact, 0},
		"not connected, and hung up":       {"call_ended", object{"call_status": "not_connected", "disconnection_reason": "agent_hangup"}, noConversation, "not_connected", exact, 1},
		"ended, and nobody answered":       {"call_ended", object{"call_status": "ended", "disconnection_reason": "dial_no_answer"}, callnormv1.CallStatus_CALL_STATUS_NO_ANSWER, "ended", heuristic, 1},
		"an unknown one":                   {"call_ended", object{"call_status": "finished"}, callnormv1.CallStatus_CALL_STATUS_OTHER, "finished", none, 1},
		"an unknown one beside a reason":   {"call_ended", object{"call_status": "finished", "disconnection_reason": "inactivity"}, completed, "finished", heuristic, 1},
		"stale beside a reason":            {"call_ended", object{"call_status": "ongoing", "disconnection_reason": "inactivity"}, completed, "ongoing", heuristic, 1},
		"stale after seconds":              {"call_ended", object{"call_status": "ongoing", "duration_ms": 1}, completed, "ongoing", heuristic, 1},
		"stale after no seconds":           {"call_ended", object{"call_status": "ongoing", "duration_ms": 0}, untold, "ongoing", callnormv1.Mapping_MAPPING_UNSPECIFIED, 1},
		"none after words":                 {"call_ended", object{"transcript": "User: hi"}, completed, "call_ended", heuristic, 0},
		"none after nothing":               {"call_ended", object{"agent_id": "agent_1"}, untold, "", callnormv1.Mapping_MAPPING_UNSPECIFIED, 0},
		"stopped by hand after words":      {"call_ended", object{"disconnection_reason": "manual_stopped", "transcript": "User: hi"}, completed, "manual_stopped", heuristic, 0},
		"success is no status":             {"call_analyzed", object{"call_status": "error", "call_analysis": object{"call_successful": true}}, failed, "error", exact, 0},
		"a reason shows that it is over":   {"transcript_updated", object{"disconnection_reason": "user_hangup"}, completed, "user_hangup", exact, 0},
		"ongoing beside a transfer's end":  {"transfer_ended", object{"call_status": "ongoing"}, inProgress, "ongoing", exact, 0},
		"registered beside a transfer":     {"transfer_started", object{"call_status": "registered"}, inProgress, "registered", heuristic, 1},
		"an unknown event tells no status": {"call_rated", object{"agent_id": "agent_1"}, untold, "", callnormv1.Mapping_MAPPING_UNSPECIFIED, 1},
	} {
		t.Run(name, func(t *testing.T) {
			call := outcome(t, test.event, test.members)
			check(t, "status", []any{call.GetStatus(), call.GetStatusRaw(), call.GetStatusMapping()}, []any{test.want, test.raw, test.mapping})
			check(t, "warnings", len(call.GetProvenance().GetWarnings()), test.warnings)
		})
	}
}

func TestCompleteness(t *testing.T) {
	analysis := object{"call_summary": ""}
	for name, test := range map[string]struct {
		event    string
		members  object
		want     callnormv1.Completeness
		expected string
	}{
		"call_started":                           {"call_started", object{"call_status": "ongoing"}, partial, "[]"},
		"transcript_updated":                     {"transcript_updated", object{"call_status": "ongoing"}, partial, "[]"},
		"transcript_updated after the end":       {"transcript_updated", object{"call_status": "ended"}, settling, "[PART_ANALYSIS]"},
		"transfer_started":                       {"transfer_started", object{"call_status": "ongoing"}, partial, "[]"},
		"transfer_bridged":                       {"transfer_bridged", object{"call_status": "ongoing"}, partial, "[]"},
		"transfer_bridged after the agent's end": {"transfer_bridged", object{"call_status": "ended", "disconnection_reason": "call_transfer"}, settling, "[PART_ANALYSIS]"},
		"transfer_cancelled":                     {"transfer_cancelled", object{"call_status": "ongoing"}, partial, "[]"},
		"transfer_ended":                         {"transfer_ended", object{"call_status": "ended"}, settling, "[PART_ANALYSIS]"},
		"transfer_ended after the analysis":      {"transfer_ended", object{"call_status": "ended", "call_analysis": analysis}, final, "[]"},
		"call_ended":                             {"call_ended", object{"call_status": "ended"}, settling, "[PART_ANALYSIS]"},
		"call_ended that was never connected":    {"call_ended", object{"call_status": "not_connected"}, settling, "[PART_ANALYSIS]"},
		"call_ended that tells nothing":          {"call_ended", object{"agent_id": "agent_1"}, settling, "[PART_ANALYSIS PART_RESULT]"},
		"call_ended with the analysis":           {"call_ended", object{"call_status": "ended", "call_analysis": analysis}, final, "[]"},
		"call_analyzed":                          {"call_analyzed", object{"call_status": "ended", "call_analysis": analysis}, final, "[]"},
		"call_analyzed without an analysis":      {"call_analyzed", object{"call_status": "ended"}, final, "[]"},
		"call_analyzed with a stale status":      {"call_analyzed", object{"call_status": "ongoing"}, final, "[]"},
		"an unknown event":                       {"call_rated", object{"agent_id": "agent_1"}, partial, "[]"},
		"a record of the API":                    {"", object{"call_status": "ended", "call_analysis": analysis}, final, "[]"},
		"an early record of the API":             {"", object{"call_status": "ended"}, settling, "[PART_ANALYSIS]"},
		"a record of the API of a call that is":  {"", object{"call_status": "ongoing", "call_analysis": analysis}, partial, "[]"},
	} {
		t.Run(name, func(t *testing.T) {
			call := outcome(t, test.event, test.members)
			check(t, "completeness", call.GetCompleteness(), test.want)
			check(t, "expected parts", call.GetExpectedParts(), test.expected)
		})
	}
}

func TestWhoAnswered(t *testing.T) {
	const (
		voicemail   = callnormv1.AnsweredByKind_ANSWERED_BY_KIND_VOICEMAIL
		ivr         = callnormv1.AnsweredByKind_ANSWERED_BY_KIND_IVR
		notAnswered = callnormv1.AnsweredByKind_ANSWERED_BY_KIND_NOT_ANSWERED
		untold      = callnormv1.AnsweredByKind_ANSWERED_BY_KIND_UNSPECIFIED
	)
	for name, test := range map[string]struct {
		status, reason string
		heard          any
		want           callnormv1.AnsweredByKind
		raw            string
		detected       any
		contradicted   bool
	}{
		"a hangup says nothing":                   {"ended", "user_hangup", nil, untold, "", nil, false},
		"no voicemail is not a human":             {"ended", "user_hangup", false, untold, "", false, false},
		"the agent hung up on a voicemail":        {"ended", "agent_hangup", true, voicemail, "true", true, false},
		"as a text":                               {"ended", "agent_hangup", "True", voicemail, "True", true, false},
		"a voicemail by the reason":               {"ended", "voicemail_reached", nil, voicemail, "voicemail_reached", true, false},
		"by both":                                 {"ended", "voicemail_reached", true, voicemail, "voicemail_reached", true, false},
		"by the reason, and denied":               {"ended", "voicemail_reached", false, voicemail, "voicemail_reached", true, true},
		"as it was called before":                 {"ended", "machine_detected", nil, voicemail, "machine_detected", true, false},
		"a phone menu":                            {"ended", "ivr_reached", false, ivr, "ivr_reached", false, false},
		"a phone menu with a voicemail behind it": {"ended", "ivr_reached", true, ivr, "ivr_reached", true, true},
		"nobody":                            {"not_connected", "dial_no_answer", false, notAnswered, "not_connected", false, false},
		"nobody, before there was a status": {"error", "dial_no_answer", nil, notAnswered, "dial_no_answer", nil, false},
		"nobody, and a voicemail":           {"not_connected", "dial_busy", true, notAnswered, "not_connected", true, true},
	} {
		t.Run(name, func(t *testing.T) {
			call := outcome(t, "call_analyzed", object{
				"call_status": test.status, "disconnection_reason": test.reason, "call_analysis": object{"in_voicemail": test.heard},
			})
			who := call.GetAnsweredBy()
			check(t, "answered by", []any{who.GetValue(), who.GetRaw()}, []any{test.want, test.raw})
			var detected any
			if v := call.GetVoicemail(); v != nil {
				detected = v.GetDetected()
				if v.MessageLeft != nil {
					t.Error("whether a message was left, nothing tells")
				}
			}
			check(t, "a voicemail was detected", detected, test.detected)
			check(t, "contradicted", len(call.GetProvenance().GetWarnings()) > 0, test.contradicted)
		})
	}
}

func TestAmounts(t *testing.T) {
	for cents, want := range map[string]string{
		`7.6`: "0.076", `0`: "0.00", `0.0`: "0.000", `100`: "1.00", `12345.5`: "123.455", `6.5333333`: "0.065333333", `-250`: "-2.50",
		`1e2`: "1", `4.2e-05`: "0.00000042", `1E3`: "10", `"7.6"`: "0.076", `" 7 "`: "0.07", `"007"`: "", `9007199254740993`: "90071992547409.93",
		`null`: "", `""`: "", `"1,5"`: "", `"NaN"`: "", `true`: "", `1e999`: "", `"1e"`: "", `"-"`: "", `{}`: "",
	} {
		call := outcome(t, "call_ended", object{"call_status": "ended", "call_cost": json.RawMessage(`{"combined_cost":` + cents + `}`)})
		total := call.GetCost().GetTotal()
		currency := "USD"
		if want == "" {
			currency = ""
		}
		check(t, cents, []any{total.GetAmount(), total.GetCurrencyCode()}, []any{want, currency})
		if lost := want == "" && cents != `null` && cents != `""`; lost != (len(call.GetProvenance().GetUnmapped()) == 1) {
			t.Errorf("%s: unmapped is %v", cents, call.GetProvenance().GetUnmapped())
		}
	}
}

func TestProducts(t *testing.T) {
	for product, want := range map[string]callnormv1.CostComponent{
		"elevenlabs_tts": callnormv1.CostComponent_COST_COMPONENT_TTS, "openai_tts": callnormv1.CostComponent_COST_COMPONENT_TTS,
		"gpt_4o_mini": callnormv1.CostComponent_COST_COMPONENT_LLM, "gpt-4o-mini": callnormv1.CostComponent_COST_COMPONENT_LLM,
		"gemini_2_0_flash": callnormv1.CostComponent_COST_COMPONENT_LLM, "claude_4_5_sonnet": callnormv1.CostComponent_COST_COMPONENT_LLM,
		"llm_token_usage": callnormv1.CostComponent_COST_COMPONENT_LLM, "llm_token_surcharge": callnormv1.CostComponent_COST_COMPONENT_LLM,
		"retell_llm": callnormv1.CostComponent_COST_COMPONENT_LLM, "gpt_5_nano_text_testing": callnormv1.CostComponent_COST_COMPONENT_LLM,
		"post_call_analysis_gpt_4o": callnormv1.CostComponent_COST_COMPONENT_ANALYSIS,
		"twilio_telephony":          callnormv1.CostComponent_COST_COMPONENT_TELEPHONY, "telephony": callnormv1.CostComponent_COST_COMPONENT_TELEPHONY,
		"voice_engine": callnormv1.CostComponent_COST_COMPONENT_PLATFORM, "retell_platform": callnormv1.CostComponent_COST_COMPONENT_PLATFORM,
		"background_voice_cancellation": callnormv1.CostComponent_COST_COMPONENT_OTHER, "moon_dust": callnormv1.CostComponent_COST_COMPONENT_OTHER,
	} {
		for _, ofTransfer := range []any{nil, false, true} {
			call := outcome(t, "call_ended", object{"call_status": "ended", "call_cost": object{
				"product_costs": []any{object{"product": product, "cost": 1, "is_transfer_leg_cost": ofTransfer}},
			}})
			component := want
			if ofTransfer == true {
				component = callnormv1.CostComponent_COST_COMPONENT_TRANSFER
			}
			line := call.GetCost().GetLines()[0]
			check(t, product, []any{line.GetComponent(), line.GetComponentRaw(), line.GetAmount().GetAmount()}, []any{component, product, "0.01"})
		}
	}
}

func TestTransfers(t *testing.T) {
	const (
		number    = "+12025550199"
		started   = callnormv1.TransferResult_TRANSFER_RESULT_STARTED
		bridged   = callnormv1.TransferResult_TRANSFER_RESULT_COMPLETED
		cancelled = callnormv1.TransferResult_TRANSFER_RESULT_CANCELED
		untold    = callnormv1.TransferResult_TRANSFER_RESULT_UNSPECIFIED
	)
	for name, test := range map[string]struct {
		body   object
		call   object
		kind   callnormv1.TransferKind
		target string
		result callnormv1.TransferResult
		raw    string
	}{
		"a warm one begins": {
			object{"event": "transfer_started", "event_timestamp": 1770000020000, "transfer_destination": number, "transfer_option": object{"type": "warm_transfer"}}, nil,
			callnormv1.TransferKind_TRANSFER_KIND_WARM, number, started, "transfer_started",
		},
		"one begins, and nobody knows when": {
			object{"event": "transfer_started", "transfer_destination": number, "transfer_option": object{"type": "agentic_warm_transfer"}}, nil,
			callnormv1.TransferKind_TRANSFER_KIND_WARM, number, untold, "",
		},
		"a cold one is bridged": {
			object{"event": "transfer_bridged", "transfer_destination": object{"type": "predefined", "number": number}, "transfer_option": "cold_transfer"}, nil,
			callnormv1.TransferKind_TRANSFER_KIND_COLD, number, bridged, "transfer_bridged",
		},
		"one is cancelled": {
			object{"event": "transfer_cancelled", "transfer_destination": object{"sip_uri": "sip:desk@pbx.example.com"}}, nil,
			callnormv1.TransferKind_TRANSFER_KIND_UNSPECIFIED, "sip:desk@pbx.example.com", cancelled, "transfer_cancelled",
		},
		"a new kind": {
			object{"event": "transfer_bridged", "transfer_option": object{"type": "conference_transfer"}}, nil,
			callnormv1.TransferKind_TRANSFER_KIND_OTHER, "", bridged, "transfer_bridged",
		},
		"the setting may stand in the call": {
			object{"event": "transfer_bridged"}, object{"transfer_destination": number, "transfer_option": object{"type": "cold_transfer"}},
			callnormv1.TransferKind_TRANSFER_KIND_COLD, number, bridged, "transfer_bridged",
		},
		"told by the reason": {
			object{"event": "call_ended"}, object{"disconnection_reason": "call_transfer", "transfer_destination": "sip:desk@pbx.example.com;transport=tls"},
			callnormv1.TransferKind_TRANSFER_KIND_UNSPECIFIED, "sip:desk@pbx.example.com;transport=tls", bridged, "call_transfer",
		},
		"told by the reason alone": {
			object{"event": "call_ended"}, object{"disconnection_reason": "call_transfer", "transfer_destination": nil},
			callnormv1.TransferKind_TRANSFER_KIND_UNSPECIFIED, "", bridged, "call_transfer",
		},
		"told by the reason of an assistant's leg": {
			object{"event": "call_ended"}, object{"disconnection_reason": "transfer_cancelled"},
			callnormv1.TransferKind_TRANSFER_KIND_UNSPECIFIED, "", cancelled, "transfer_cancelled",
		},
		"told by the target alone": {
			object{"event": "call_ended"}, object{"disconnection_reason": "user_hangup", "transfer_destination": number},
			callnormv1.TransferKind_TRANSFER_KIND_UNSPECIFIED, number, untold, "",
		},
		"the leg has ended": {
			object{"event": "transfer_ended"}, object{"call_status": "ended", "transfer_destination": number},
			callnormv1.TransferKind_TRANSFER_KIND_UNSPECIFIED, number, untold, "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			call := object{"call_id": "call_1"}
			maps.Copy(call, test.call)
			test.body["call"] = call
			body, err := json.Marshal(test.body)
			if err != nil {
				t.Fatal(err)
			}
			result, err := retell.New().Normalize(adapters.Delivery{Provider: "retell", Body: body})
			if err != nil {
				t.Fatal(err)
			}
			transfers := result.Outcomes[0].Call.GetTransfers()
			if len(transfers) != 1 {
				t.Fatalf("transfers are %v", transfers)
			}
			got := transfers[0]
			check(t, "kind", got.GetKind(), test.kind)
			check(t, "target", got.GetTarget().GetPhone().GetAsReceived()+got.GetTarget().GetSipUri(), test.target)
			check(t, "result", []any{got.GetResult(), got.GetResultRaw()}, []any{test.result, test.raw})
			if (got.GetKindRaw() != "") != (got.GetKind() != callnormv1.TransferKind_TRANSFER_KIND_UNSPECIFIED) {
				t.Errorf("the word for the kind %v is %q", got.GetKind(), got.GetKindRaw())
			}
		})
	}
	if call := outcome(t, "call_ended", object{"disconnection_reason": "user_hangup"}); len(call.GetTransfers()) != 0 {
		t.Errorf("transfers of a call that was none: %v", call.GetTransfers())
	}
}

func TestAnalysisWords(t *testing.T) {
	for word, want := range map[string]callnormv1.Polarity{
		"Positive": callnormv1.Polarity_POLARITY_POSITIVE, "Negative": callnormv1.Polarity_POLARITY_NEGATIVE,
		"Neutral": callnormv1.Polarity_POLARITY_NEUTRAL, "Unknown": callnormv1.Polarity_POLARITY_UNKNOWN,
		"positive": callnormv1.Polarity_POLARITY_POSITIVE, "Mixed": callnormv1.Polarity_POLARITY_OTHER,
	} {
		mood := outcome(t, "call_analyzed", object{"call_analysis": object{"user_sentiment": word}}).GetAnalysis().GetSentiment()
		check(t, word, []any{mood.GetPolarity(), mood.GetRaw()}, []any{want, word})
	}
	for _, test := range []struct {
		told any
		want callnormv1.GoalResult
	}{
		{true, callnormv1.GoalResult_GOAL_RESULT_ACHIEVED}, {false, callnormv1.GoalResult_GOAL_RESULT_NOT_ACHIEVED},
		{"true", callnormv1.GoalResult_GOAL_RESULT_ACHIEVED}, {nil, callnormv1.GoalResult_GOAL_RESULT_UNSPECIFIED},
		{"partly", callnormv1.GoalResult_GOAL_RESULT_OTHER},
	} {
		call := outcome(t, "call_analyzed", object{"call_status": "ended", "call_analysis": object{"call_successful": test.told}})
		check(t, fmt.Sprint(test.told), call.GetAnalysis().GetSuccess(), test.want)
		if call.GetDisposition() != nil || call.GetStatus() != completed {
			t.Errorf("an opinion became a fact: %v, %v", call.GetDisposition(), call.GetStatus())
		}
	}
}

func TestExpiryOfRecordings(t *testing.T) {
	for uri, want := range map[string]string{
		"https://example.com/rec.wav": "",
		"https://example.com/rec.wav?Expires=1770086460&Signature=abc&Key-Pair-Id=K":         "2026-02-03T02:41:00Z",
		"https://example.com/rec.wav?X-Amz-Date=20260202T024000Z&X-Amz-Expires=600":          "2026-02-02T02:50:00Z",
		"https://example.com/rec.wav?X-Amz-Expires=600":                                      "",
		"https://example.com/rec.wav?X-Amz-Date=20260202T024000Z":                            "",
		"https://example.com/rec.wav?X-Amz-Date=20260202T024000Z&X-Amz-Expires=-600":         "",
		"https://example.com/rec.wav?Expires=never":                                          "",
		"https://example.com/rec.wav?Expires=99999999999999999":                              "",
		"https://example.com/rec.wav?Expires=1;2":                                            "",
		"https://example.com/rec.wav?expires_in=600":                                         "",
		"https://example.com/rec.wav?X-Amz-Date=99991231T235959Z&X-Amz-Expires=2147483647":   "",
		"https://example.com/rec.wav?X-Amz-Date=2026-02-02T02:40:00Z&X-Amz-Expires=86400000": "",
	} {
		recording := outcome(t, "call_ended", object{"recording_url": uri}).GetRecordings()[0]
		got := ""
		if recording.GetExpireTime() != nil {
			got = recording.GetExpireTime().AsTime().Format("2006-01-02T15:04:05Z07:00")
		}
		check(t, uri, []any{got, recording.GetUri()}, []any{want, uri})
	}
}

// All deliveries about one call make one outcome, in whatever order they come: with one transfer, and what became of it.
func TestDeliveriesOfOneCallFold(t *testing.T) {
	files, err := filepath.Glob("testdata/e01_one_call_*.json")
	if err != nil || len(files) != 7 {
		t.Fatalf("%v, %v", files, err)
	}
	contributions := make([]*callnormv1.CallOutcome, len(files))
	for i, file := range files {
		body, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		result, err := retell.New().Normalize(adapters.Delivery{Provider: "retell", Body: body})
		if err != nil {
			t.Fatal(err)
		}
		out := result.Outcomes[0]
		check(t, file, []any{out.Family, out.CallID}, []any{adapters.FamilyCall, "call_0123456789abcdef012345678b2"})
		sum := sha256.Sum256(body)
		out.Call.Provenance.Deliveries = []*callnormv1.DeliveryRef{{
			Delivery: fmt.Sprint("deliveries/", i), BodySha256: hex.EncodeToString(sum[:]), EventRaw: out.Call.GetEventRaw(),
		}}
		contributions[i] = out.Call
	}
	whole := callstate.Fold(contributions)
	check(t, "completeness", whole.GetCompleteness(), final)
	check(t, "status", whole.GetStatus(), completed)
	check(t, "end", whole.GetEnd().GetReason(), callnormv1.EndReason_END_REASON_TRANSFERRED)
	for _, warning := range whole.GetProvenance().GetWarnings() {
		t.Errorf("the deliveries contradict each other: %v", warning)
	}
	if len(whole.GetTransfers()) != 1 {
		t.Fatalf("transfers are %v", whole.GetTransfers())
	}
	transfer := whole.GetTransfers()[0]
	check(t, "transfer", []any{
		transfer.GetKind(), transfer.GetResult(), transfer.GetContactAsCallerId(), transfer.GetDuration().AsDuration(),
		transfer.GetStartTime().AsTime().Format("15:04:05"),
	}, []any{callnormv1.TransferKind_TRANSFER_KIND_WARM, callnormv1.TransferResult_TRANSFER_RESULT_COMPLETED, true, "2m0s", "02:40:20"})

	check(t, "before the analysis", callstate.Fold(contributions[:5]).GetCompleteness(), settling)
	check(t, "a transfer that begins and is bridged", callstate.Fold(contributions[2:4]).GetTransfers()[0].GetResult(), callnormv1.TransferResult_TRANSFER_RESULT_COMPLETED)
	check(t, "the analysis first", callstate.Fold([]*callnormv1.CallOutcome{contributions[5], contributions[4]}).GetCompleteness(), final)
	for turn := range contributions {
		other := slices.Concat(contributions[turn:], contributions[:turn])
		slices.Reverse(other[1:])
		if diff := cmp.Diff(whole, callstate.Fold(other), protocmp.Transform()); diff != "" {
			t.Errorf("another order makes another call (-want +got):\n%s", diff)
		}
	}
}

// Who has the token of a web call can join it.
func TestSecretsDoNotReachTheOutcome(t *testing.T) {
	call := outcome(t, "call_started", object{"call_type": "web_call", "access_token": "secret-token"})
	text, err := proto.Marshal(call)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), "secret-token") {
		t.Error("the outcome holds the token")
	}
}

// The conversation is told up to four times; the length of one that is told as often must not make four of it.
func TestALongConversationIsHeldOnce(t *testing.T) {
	var list []any
	for i := range 500 {
		said := fmt.Sprint("This is the sentence number ", i)
		var words []any
		for j, word := range strings.Fields(said) {
			at := float64(i*10+j) / 2
			words = append(words, object{"word": word, "start": at, "end": at + 0.4})
		}
		list = append(list, object{"role": []string{"agent", "user"}[i%2], "content": said, "words": words})
	}
	call := outcome(t, "call_ended", object{
		"transcript_object": list, "transcript_with_tool_calls": list, "scrubbed_transcript_with_tool_calls": list,
	})
	turns := call.GetTranscript().GetTurns()
	if len(turns) != len(list) || len(turns[499].GetWords()) != 6 || call.GetProvenance().GetUnmappedCount() != 0 {
		t.Errorf("%d turns, %d words, %d unmapped", len(turns), len(turns[499].GetWords()), call.GetProvenance().GetUnmappedCount())
	}
}
