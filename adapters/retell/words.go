package retell

import (
	"strings"

	"github.com/callnorm/callnorm/adapters/internal/wire"
	"github.com/callnorm/callnorm/adapters/internal/words"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
)

// eventMeaning is what the event alone tells, whatever is in the call.
type eventMeaning struct {
	kind       callnormv1.EventKind
	status     callnormv1.CallStatus // the least that must have happened
	over       bool                  // the connection to the agent has ended
	last       bool                  // nothing usually follows
	ofTransfer bool
	transfer   callnormv1.TransferResult
}

var events = words.Table[eventMeaning]{
	Documented: map[string]eventMeaning{
		// It "will not be triggered" for a call that did not connect, so it is more than the beginning of the dialling.
		"call_started": {
			kind: callnormv1.EventKind_EVENT_KIND_CALL_CONNECTED, status: callnormv1.CallStatus_CALL_STATUS_IN_PROGRESS,
		},
		"transcript_updated": {
			kind: callnormv1.EventKind_EVENT_KIND_CALL_PROGRESS, status: callnormv1.CallStatus_CALL_STATUS_IN_PROGRESS,
		},
		"transfer_started": {
			kind: callnormv1.EventKind_EVENT_KIND_CALL_TRANSFERRED, status: callnormv1.CallStatus_CALL_STATUS_IN_PROGRESS,
			ofTransfer: true, transfer: callnormv1.TransferResult_TRANSFER_RESULT_STARTED,
		},
		"transfer_bridged": {
			kind: callnormv1.EventKind_EVENT_KIND_CALL_TRANSFERRED, status: callnormv1.CallStatus_CALL_STATUS_IN_PROGRESS,
			ofTransfer: true, transfer: callnormv1.TransferResult_TRANSFER_RESULT_COMPLETED,
		},
		// "Triggered when a transfer is cancelled or fails to connect": which of both is not told.
		"transfer_cancelled": {
			kind: callnormv1.EventKind_EVENT_KIND_CALL_TRANSFERRED, status: callnormv1.CallStatus_CALL_STATUS_IN_PROGRESS,
			ofTransfer: true, transfer: callnormv1.TransferResult_TRANSFER_RESULT_CANCELED,
		},
		"transfer_ended": {
			kind: callnormv1.EventKind_EVENT_KIND_TRANSFER_ENDED, status: callnormv1.CallStatus_CALL_STATUS_IN_PROGRESS, ofTransfer: true,
		},
		"call_ended":    {kind: callnormv1.EventKind_EVENT_KIND_CALL_ENDED, over: true},
		"call_analyzed": {kind: callnormv1.EventKind_EVENT_KIND_CALL_REPORTED, over: true, last: true},
	},
	Other: eventMeaning{kind: callnormv1.EventKind_EVENT_KIND_OTHER},
}

// kinds names the event for records of the API, which name none.
var kinds = map[callnormv1.Completeness]callnormv1.EventKind{
	callnormv1.Completeness_COMPLETENESS_PARTIAL:  callnormv1.EventKind_EVENT_KIND_CALL_PROGRESS,
	callnormv1.Completeness_COMPLETENESS_SETTLING: callnormv1.EventKind_EVENT_KIND_CALL_ENDED,
	callnormv1.Completeness_COMPLETENESS_FINAL:    callnormv1.EventKind_EVENT_KIND_CALL_REPORTED,
}

// Words of call_status that reasons of disconnection are documented for.
const (
	ended        = "ended"
	failed       = "error"
	notConnected = "not_connected"
)

type statusMeaning struct {
	status     callnormv1.CallStatus
	open       bool // the call is not over
	answeredBy callnormv1.AnsweredByKind
}

var statuses = words.Table[statusMeaning]{
	Documented: map[string]statusMeaning{
		"registered": {status: callnormv1.CallStatus_CALL_STATUS_INITIATED, open: true}, // "starting to make a call using this id"
		"ongoing":    {status: callnormv1.CallStatus_CALL_STATUS_IN_PROGRESS, open: true},
		ended:        {status: callnormv1.CallStatus_CALL_STATUS_COMPLETED},
		failed:       {status: callnormv1.CallStatus_CALL_STATUS_FAILED},
		// Busy, declined, unanswered, not dialled: the reason tells.
		notConnected: {
			status:     callnormv1.CallStatus_CALL_STATUS_NO_CONVERSATION,
			answeredBy: callnormv1.AnsweredByKind_ANSWERED_BY_KIND_NOT_ANSWERED,
		},
	},
	Other: statusMeaning{status: callnormv1.CallStatus_CALL_STATUS_OTHER},
}

// reasonMeaning is what a reason of disconnection answers.
type reasonMeaning struct {
	reason     callnormv1.EndReason
	by         callnormv1.EndedBy
	status     callnormv1.CallStatus
	beside     string // the call_status that it is documented for
	answeredBy callnormv1.AnsweredByKind
	transfer   callnormv1.TransferResult
}

// documentedFor tells whether the reason belongs to a call_status. Before there was `not_connected`, its reasons came with `error`.
func (m reasonMeaning) documentedFor(status string) bool {
	return m.beside == "" || m.beside == status || m.beside == notConnected && status == failed
}

// What several words mean.
var (
	voicemailReached = reasonMeaning{
		reason:     callnormv1.EndReason_END_REASON_VOICEMAIL, // "message possibly left"
		by:         callnormv1.EndedBy_ENDED_BY_SYSTEM,
		status:     callnormv1.CallStatus_CALL_STATUS_COMPLETED,
		beside:     ended,
		answeredBy: callnormv1.AnsweredByKind_ANSWERED_BY_KIND_VOICEMAIL,
	}
	llmFailed     = broken(callnormv1.EndReason_END_REASON_LLM_ERROR)
	handedOver    = conversation(callnormv1.EndReason_END_REASON_TRANSFERRED, callnormv1.EndedBy_ENDED_BY_AGENT)
	notEnoughRoom = broken(callnormv1.EndReason_END_REASON_CONCURRENCY_LIMIT)
)

// conversation is the meaning of a reason that ends a call which was answered.
func conversation(reason callnormv1.EndReason, by callnormv1.EndedBy) reasonMeaning {
	return reasonMeaning{reason: reason, by: by, status: callnormv1.CallStatus_CALL_STATUS_COMPLETED, beside: ended}
}

// unconnected is the meaning of a reason for which a call was never answered.
func unconnected(status callnormv1.CallStatus, reason callnormv1.EndReason, by callnormv1.EndedBy) reasonMeaning {
	return reasonMeaning{
		reason: reason, by: by, status: status, beside: notConnected,
		answeredBy: callnormv1.AnsweredByKind_ANSWERED_BY_KIND_NOT_ANSWERED,
	}
}

// broken is the meaning of an error, which makes the platform end the call.
func broken(reason callnormv1.EndReason) reasonMeaning {
	return reasonMeaning{
		reason: reason, by: callnormv1.EndedBy_ENDED_BY_SYSTEM, status: callnormv1.CallStatus_CALL_STATUS_FAILED, beside: failed,
	}
}

// with returns the meaning with another answer to the question of who ended the call.
func (m reasonMeaning) with(by callnormv1.EndedBy) reasonMeaning {
	m.by = by
	return m
}

// to returns the meaning with what it says of a transfer.
func (m reasonMeaning) to(result callnormv1.TransferResult) reasonMeaning {
	m.transfer = result
	return m
}

// anywhere returns the meaning of a word that no call_status is documented for.
func (m reasonMeaning) anywhere() reasonMeaning {
	m.beside = ""
	return m
}

// reasons holds the reasons of disconnection: those that the documentation explains, and those that it used to. What only stands in
// the list of the SDK means what its name says; that is our reading, so it is where meanings count as heuristic.
var reasons = words.Table[reasonMeaning]{
	Documented: map[string]reasonMeaning{
		"user_hangup":  conversation(callnormv1.EndReason_END_REASON_CUSTOMER_HANGUP, callnormv1.EndedBy_ENDED_BY_CUSTOMER),
		"agent_hangup": conversation(callnormv1.EndReason_END_REASON_AGENT_HANGUP, callnormv1.EndedBy_ENDED_BY_AGENT),
		// A warm transfer ends the call with this only once it was handed over.
		"call_transfer":     handedOver.to(callnormv1.TransferResult_TRANSFER_RESULT_COMPLETED),
		"voicemail_reached": voicemailReached,
		"ivr_reached": {
			reason:     callnormv1.EndReason_END_REASON_IVR_DETECTED_HANGUP,
			by:         callnormv1.EndedBy_ENDED_BY_SYSTEM,
			status:     callnormv1.CallStatus_CALL_STATUS_COMPLETED,
			beside:     ended,
			answeredBy: callnormv1.AnsweredByKind_ANSWERED_BY_KIND_IVR,
		},
		"inactivity":           conversation(callnormv1.EndReason_END_REASON_SILENCE_TIMEOUT, callnormv1.EndedBy_ENDED_BY_SYSTEM),
		"max_duration_reached": conversation(callnormv1.EndReason_END_REASON_MAX_DURATION, callnormv1.EndedBy_ENDED_BY_SYSTEM),

		"dial_busy": unconnected(callnormv1.CallStatus_CALL_STATUS_BUSY,
			callnormv1.EndReason_END_REASON_BUSY, callnormv1.EndedBy_ENDED_BY_CUSTOMER),
		"dial_no_answer": unconnected(callnormv1.CallStatus_CALL_STATUS_NO_ANSWER,
			callnormv1.EndReason_END_REASON_NO_ANSWER, callnormv1.EndedBy_ENDED_BY_CUSTOMER),
		"dial_failed": unconnected(callnormv1.CallStatus_CALL_STATUS_FAILED,
			callnormv1.EndReason_END_REASON_TELEPHONY_ERROR, callnormv1.EndedBy_ENDED_BY_CARRIER),
		"invalid_destination": unconnected(callnormv1.CallStatus_CALL_STATUS_FAILED,
			callnormv1.EndReason_END_REASON_INVALID_NUMBER, callnormv1.EndedBy_ENDED_BY_CARRIER),
		"telephony_provider_permission_denied": unconnected(callnormv1.CallStatus_CALL_STATUS_FAILED,
			callnormv1.EndReason_END_REASON_TELEPHONY_PERMISSION, callnormv1.EndedBy_ENDED_BY_CARRIER),
		"telephony_provider_unavailable": unconnected(callnormv1.CallStatus_CALL_STATUS_FAILED,
			callnormv1.EndReason_END_REASON_TELEPHONY_ERROR, callnormv1.EndedBy_ENDED_BY_CARRIER),
		"sip_routing_error": unconnected(callnormv1.CallStatus_CALL_STATUS_FAILED,
			callnormv1.EndReason_END_REASON_TELEPHONY_ERROR, callnormv1.EndedBy_ENDED_BY_CARRIER),
		"marked_as_spam": unconnected(callnormv1.CallStatus_CALL_STATUS_REJECTED,
			callnormv1.EndReason_END_REASON_MARKED_AS_SPAM, callnormv1.EndedBy_ENDED_BY_CARRIER),
		"user_declined": unconnected(callnormv1.CallStatus_CALL_STATUS_REJECTED,
			callnormv1.EndReason_END_REASON_DECLINED, callnormv1.EndedBy_ENDED_BY_CUSTOMER),

		"concurrency_limit_reached": notEnoughRoom,
		"no_valid_payment":          broken(callnormv1.EndReason_END_REASON_QUOTA_OR_BILLING),
		"scam_detected": {
			reason: callnormv1.EndReason_END_REASON_BLOCKED_BY_POLICY, by: callnormv1.EndedBy_ENDED_BY_SYSTEM,
			status: callnormv1.CallStatus_CALL_STATUS_BLOCKED, beside: failed,
		},
		"error_llm_websocket_open":            llmFailed,
		"error_llm_websocket_lost_connection": llmFailed,
		"error_llm_websocket_runtime":         llmFailed,
		"error_llm_websocket_corrupt_payload": llmFailed,
		"error_asr":                           broken(callnormv1.EndReason_END_REASON_STT_ERROR),
		"error_retell":                        broken(callnormv1.EndReason_END_REASON_PLATFORM_ERROR),
		"error_unknown":                       broken(callnormv1.EndReason_END_REASON_ERROR).with(callnormv1.EndedBy_ENDED_BY_UNSPECIFIED),
		// On whose side it happened, the name tells in both.
		"error_no_audio_received": broken(callnormv1.EndReason_END_REASON_MEDIA_ERROR).with(callnormv1.EndedBy_ENDED_BY_CUSTOMER),
		"error_user_not_joined": {
			reason: callnormv1.EndReason_END_REASON_JOIN_TIMEOUT, by: callnormv1.EndedBy_ENDED_BY_CUSTOMER,
			status: callnormv1.CallStatus_CALL_STATUS_NO_CONVERSATION, beside: failed,
		},
		// The account's own telephony never took up the call that it had registered.
		"registered_call_timeout": broken(callnormv1.EndReason_END_REASON_CONFIGURATION_ERROR).with(callnormv1.EndedBy_ENDED_BY_UNSPECIFIED),

		// Until the middle of 2025; the first is what voicemail_reached was called.
		"machine_detected":                 voicemailReached.anywhere(),
		"error_inbound_webhook":            broken(callnormv1.EndReason_END_REASON_CONFIGURATION_ERROR).anywhere(),
		"error_twilio":                     broken(callnormv1.EndReason_END_REASON_TELEPHONY_ERROR).with(callnormv1.EndedBy_ENDED_BY_CARRIER).anywhere(),
		"error_frontend_corrupted_payload": broken(callnormv1.EndReason_END_REASON_MEDIA_ERROR).with(callnormv1.EndedBy_ENDED_BY_UNSPECIFIED).anywhere(),
	},
	Seen: map[string]reasonMeaning{
		"no_concurrency_fallback": notEnoughRoom.anywhere(),
		// The leg on which an assistant announces a warm transfer ends with one of these.
		"transfer_bridged": handedOver.to(callnormv1.TransferResult_TRANSFER_RESULT_COMPLETED).anywhere(),
		"transfer_cancelled": conversation(callnormv1.EndReason_END_REASON_TRANSFER_FAILED, callnormv1.EndedBy_ENDED_BY_AGENT).
			to(callnormv1.TransferResult_TRANSFER_RESULT_CANCELED).anywhere(),
		"call_take_over": handedOver.with(callnormv1.EndedBy_ENDED_BY_HUMAN_OPERATOR).anywhere(),
		// By the API or in the dashboard. Whether before the call was answered or after, other facts tell.
		"manual_stopped": {
			reason: callnormv1.EndReason_END_REASON_MANUAL, by: callnormv1.EndedBy_ENDED_BY_OTHER,
			status: callnormv1.CallStatus_CALL_STATUS_CANCELED,
		},
	},
	Other: reasonMeaning{reason: callnormv1.EndReason_END_REASON_OTHER},
}

// reasonFamilies holds what reasons mean that are new, by how they begin.
var reasonFamilies = []struct {
	prefix  string
	meaning reasonMeaning
}{
	{"error_llm_", llmFailed},
	{"error_asr_", broken(callnormv1.EndReason_END_REASON_STT_ERROR)},
	{"error_", broken(callnormv1.EndReason_END_REASON_ERROR).with(callnormv1.EndedBy_ENDED_BY_UNSPECIFIED)},
	{"telephony_provider_", unconnected(callnormv1.CallStatus_CALL_STATUS_FAILED,
		callnormv1.EndReason_END_REASON_TELEPHONY_ERROR, callnormv1.EndedBy_ENDED_BY_CARRIER)},
}

// findReason returns what a reason means: by the whole word, or by its family.
func findReason(notes *wire.Notes, w word) (reasonMeaning, callnormv1.Mapping) {
	if meaning, mapping, ok := reasons.Known(w.text); ok {
		return meaning, mapping
	}
	plain := words.Plain(w.text)
	for _, family := range reasonFamilies {
		if strings.HasPrefix(plain, family.prefix) {
			notes.Warn(callnormv1.WarningKind_WARNING_KIND_UNKNOWN_WORD, w.path, "the word is known by its family only")
			return family.meaning.anywhere(), callnormv1.Mapping_MAPPING_PREFIX
		}
	}
	return reasons.Find(notes, w.path, w.text)
}

var directions = words.Table[callnormv1.Direction]{
	Documented: map[string]callnormv1.Direction{
		"inbound":  callnormv1.Direction_DIRECTION_INBOUND,
		"outbound": callnormv1.Direction_DIRECTION_OUTBOUND,
	},
	Other: callnormv1.Direction_DIRECTION_OTHER,
}

var channels = words.Table[callnormv1.Channel]{
	Documented: map[string]callnormv1.Channel{
		"phone_call": callnormv1.Channel_CHANNEL_PHONE,
		"web_call":   callnormv1.Channel_CHANNEL_WEB,
	},
	Other: callnormv1.Channel_CHANNEL_OTHER,
}

// successes and sentiments are documented words; which of them stands there, a language model chose.
var successes = words.Table[callnormv1.GoalResult]{
	Documented: map[string]callnormv1.GoalResult{
		"true":  callnormv1.GoalResult_GOAL_RESULT_ACHIEVED,
		"false": callnormv1.GoalResult_GOAL_RESULT_NOT_ACHIEVED,
	},
	Other: callnormv1.GoalResult_GOAL_RESULT_OTHER,
}

var sentiments = words.Table[callnormv1.Polarity]{
	Documented: map[string]callnormv1.Polarity{
		"positive": callnormv1.Polarity_POLARITY_POSITIVE,
		"neutral":  callnormv1.Polarity_POLARITY_NEUTRAL,
		"negative": callnormv1.Polarity_POLARITY_NEGATIVE,
		"unknown":  callnormv1.Polarity_POLARITY_UNKNOWN,
	},
	Other: callnormv1.Polarity_POLARITY_OTHER,
}

// ratings are verdicts of the analysis as it was until 2024.
var ratings = words.Table[callnormv1.EvaluationResult]{
	Documented: map[string]callnormv1.EvaluationResult{
		"complete":   callnormv1.EvaluationResult_EVALUATION_RESULT_PASSED,
		"partial":    callnormv1.EvaluationResult_EVALUATION_RESULT_PARTIAL,
		"incomplete": callnormv1.EvaluationResult_EVALUATION_RESULT_FAILED,
	},
	Other: callnormv1.EvaluationResult_EVALUATION_RESULT_OTHER,
}

// chosen returns what a word of the analysis means.
func chosen[M any](table words.Table[M], notes *wire.Notes, w word) (M, callnormv1.Mapping) {
	if meaning, _, ok := table.Known(w.text); ok {
		return meaning, callnormv1.Mapping_MAPPING_LLM
	}
	return table.Find(notes, w.path, w.text)
}

var transferKinds = words.Table[callnormv1.TransferKind]{
	Documented: map[string]callnormv1.TransferKind{
		"cold_transfer":         callnormv1.TransferKind_TRANSFER_KIND_COLD,
		"warm_transfer":         callnormv1.TransferKind_TRANSFER_KIND_WARM,
		"agentic_warm_transfer": callnormv1.TransferKind_TRANSFER_KIND_WARM,
	},
	Other: callnormv1.TransferKind_TRANSFER_KIND_OTHER,
}

// speakers are the roles of those who are heard, and how lines of the text begin.
var speakers = words.Table[callnormv1.ParticipantRole]{
	Documented: map[string]callnormv1.ParticipantRole{
		"agent":           callnormv1.ParticipantRole_PARTICIPANT_ROLE_AI_AGENT,
		"user":            callnormv1.ParticipantRole_PARTICIPANT_ROLE_CUSTOMER,
		"transfer_target": callnormv1.ParticipantRole_PARTICIPANT_ROLE_TRANSFER_TARGET,
	},
	Other: callnormv1.ParticipantRole_PARTICIPANT_ROLE_OTHER,
}
