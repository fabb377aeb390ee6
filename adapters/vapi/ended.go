package vapi

import (
	"strconv"
	"strings"

	"github.com/callnorm/callnorm/adapters/internal/sip"
	"github.com/callnorm/callnorm/adapters/internal/wire"
	"github.com/callnorm/callnorm/adapters/internal/words"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
)

// ending is what a reason says of how a call ended. Who answered it only the word "voicemail" tells.
type ending struct {
	status   callnormv1.CallStatus
	reason   callnormv1.EndReason
	by       callnormv1.EndedBy
	transfer callnormv1.TransferResult
	sipCode  int32
}

// What several reasons mean. Nobody is named where the fault is with the account, or where it is not told who stopped the call.
var (
	customerHungUp = ending{
		status: callnormv1.CallStatus_CALL_STATUS_COMPLETED, reason: callnormv1.EndReason_END_REASON_CUSTOMER_HANGUP,
		by: callnormv1.EndedBy_ENDED_BY_CUSTOMER,
	}
	agentHungUp = ending{
		status: callnormv1.CallStatus_CALL_STATUS_COMPLETED, reason: callnormv1.EndReason_END_REASON_AGENT_HANGUP,
		by: callnormv1.EndedBy_ENDED_BY_AGENT,
	}
	carrierCompleted = ending{
		status: callnormv1.CallStatus_CALL_STATUS_COMPLETED, reason: callnormv1.EndReason_END_REASON_CONVERSATION_ENDED,
		by: callnormv1.EndedBy_ENDED_BY_CARRIER,
	}
	hookRan = ending{
		status: callnormv1.CallStatus_CALL_STATUS_COMPLETED, reason: callnormv1.EndReason_END_REASON_CUSTOM_RULE,
		by: callnormv1.EndedBy_ENDED_BY_SYSTEM,
	}
	transferred = ending{
		status: callnormv1.CallStatus_CALL_STATUS_COMPLETED, reason: callnormv1.EndReason_END_REASON_TRANSFERRED,
		transfer: callnormv1.TransferResult_TRANSFER_RESULT_COMPLETED,
	}
	transferFailed = ending{
		status: callnormv1.CallStatus_CALL_STATUS_COMPLETED, reason: callnormv1.EndReason_END_REASON_TRANSFER_FAILED,
		transfer: callnormv1.TransferResult_TRANSFER_RESULT_FAILED,
	}
	silence = ending{
		status: callnormv1.CallStatus_CALL_STATUS_COMPLETED, reason: callnormv1.EndReason_END_REASON_SILENCE_TIMEOUT,
		by: callnormv1.EndedBy_ENDED_BY_SYSTEM,
	}
	refused = ending{
		status: callnormv1.CallStatus_CALL_STATUS_REJECTED, reason: callnormv1.EndReason_END_REASON_CARRIER_REJECTED,
		by: callnormv1.EndedBy_ENDED_BY_CARRIER,
	}
	misconfigured  = failure(callnormv1.EndReason_END_REASON_CONFIGURATION_ERROR, callnormv1.EndedBy_ENDED_BY_UNSPECIFIED)
	unpaid         = failure(callnormv1.EndReason_END_REASON_QUOTA_OR_BILLING, callnormv1.EndedBy_ENDED_BY_UNSPECIFIED)
	notConnected   = failure(callnormv1.EndReason_END_REASON_TELEPHONY_ERROR, callnormv1.EndedBy_ENDED_BY_CARRIER)
	platformFailed = failure(callnormv1.EndReason_END_REASON_PLATFORM_ERROR, callnormv1.EndedBy_ENDED_BY_SYSTEM)
	sttFailed      = failure(callnormv1.EndReason_END_REASON_STT_ERROR, callnormv1.EndedBy_ENDED_BY_SYSTEM)
	ttsFailed      = failure(callnormv1.EndReason_END_REASON_TTS_ERROR, callnormv1.EndedBy_ENDED_BY_SYSTEM)
	llmFailed      = failure(callnormv1.EndReason_END_REASON_LLM_ERROR, callnormv1.EndedBy_ENDED_BY_SYSTEM)
	somethingBroke = failure(callnormv1.EndReason_END_REASON_ERROR, callnormv1.EndedBy_ENDED_BY_SYSTEM)
)

func failure(reason callnormv1.EndReason, by callnormv1.EndedBy) ending {
	return ending{status: callnormv1.CallStatus_CALL_STATUS_FAILED, reason: reason, by: by}
}

// endedBy returns an ending with another hand that brought it about.
func (e ending) endedBy(by callnormv1.EndedBy) ending {
	e.by = by
	return e
}

// endings holds the reasons that stand for themselves, of today and retired. Those that name a vendor are too many and grow by
// families (see faults).
var endings = words.Table[ending]{
	Documented: map[string]ending{
		// The agent or the contact.
		"assistant_ended_call":                            agentHungUp,
		"assistant_ended_call_after_message_spoken":       agentHungUp,
		"assistant_ended_call_with_hangup_task":           agentHungUp,
		"assistant_said_message_with_end_call_enabled":    agentHungUp, // retired
		"customer_ended_call":                             customerHungUp,
		"customer_ended_call_after_warm_transfer_attempt": customerHungUp,
		"customer_ended_call_before_warm_transfer":        customerHungUp,
		"customer_ended_call_during_transfer": {
			status: callnormv1.CallStatus_CALL_STATUS_COMPLETED, reason: callnormv1.EndReason_END_REASON_CUSTOMER_HANGUP,
			by: callnormv1.EndedBy_ENDED_BY_CUSTOMER, transfer: callnormv1.TransferResult_TRANSFER_RESULT_CANCELED,
		},
		"assistant_said_end_call_phrase": {
			status: callnormv1.CallStatus_CALL_STATUS_COMPLETED, reason: callnormv1.EndReason_END_REASON_END_PHRASE,
			by: callnormv1.EndedBy_ENDED_BY_AGENT,
		},
		"voicemail": {
			status: callnormv1.CallStatus_CALL_STATUS_COMPLETED, reason: callnormv1.EndReason_END_REASON_VOICEMAIL,
		},
		"silence_timed_out": silence,
		"exceeded_max_duration": {
			status: callnormv1.CallStatus_CALL_STATUS_COMPLETED, reason: callnormv1.EndReason_END_REASON_MAX_DURATION,
			by: callnormv1.EndedBy_ENDED_BY_SYSTEM,
		},

		// A carrier says that it is over, and not by whose hand.
		"call.in_progress.sip_completed_call":    carrierCompleted,
		"call.in_progress.twilio_completed_call": carrierCompleted,
		"vonage_completed":                       carrierCompleted,

		// A rule that the customer set up for the moment.
		"call.ending.hook_executed_say":       hookRan,
		"call.ringing.hook_executed_say":      hookRan,
		"call.ending.hook_executed_transfer":  transferred.endedBy(callnormv1.EndedBy_ENDED_BY_SYSTEM),
		"call.ringing.hook_executed_transfer": transferred.endedBy(callnormv1.EndedBy_ENDED_BY_SYSTEM),

		// Transfers.
		"assistant_forwarded_call":                           transferred.endedBy(callnormv1.EndedBy_ENDED_BY_AGENT),
		"assistant_request_returned_forwarding_phone_number": transferred,
		"call.forwarding.no_answer":                          transferFailed,
		"call.forwarding.operator_busy":                      transferFailed,
		"call.in_progress.error_transfer_failed":             transferFailed,
		"call.in_progress.error_warm_transfer_assistant_cancelled": {
			status: callnormv1.CallStatus_CALL_STATUS_COMPLETED, reason: callnormv1.EndReason_END_REASON_TRANSFER_FAILED,
			by: callnormv1.EndedBy_ENDED_BY_AGENT, transfer: callnormv1.TransferResult_TRANSFER_RESULT_CANCELED,
		},
		"call.in_progress.error_warm_transfer_max_duration":       transferFailed,
		"call.in_progress.error_warm_transfer_microphone_timeout": transferFailed,
		"call.in_progress.error_warm_transfer_silence_timeout":    transferFailed,
		"call.in_progress.error_warm_transfer_hang_timeout":       transferFailed, // retired
		"call.in_progress.error_warm_transfer_idle_timeout":       transferFailed, // retired

		// Never connected.
		"customer_did_not_answer": {
			status: callnormv1.CallStatus_CALL_STATUS_NO_ANSWER, reason: callnormv1.EndReason_END_REASON_NO_ANSWER,
		},
		"customer_busy": {
			status: callnormv1.CallStatus_CALL_STATUS_BUSY, reason: callnormv1.EndReason_END_REASON_BUSY,
			by: callnormv1.EndedBy_ENDED_BY_CUSTOMER,
		},
		"vonage_rejected": refused,
		"twilio_reported_customer_misdialed": {
			status: callnormv1.CallStatus_CALL_STATUS_FAILED, reason: callnormv1.EndReason_END_REASON_INVALID_NUMBER,
		},
		"call.ringing.sip_inbound_caller_hungup_before_call_connect": {
			status: callnormv1.CallStatus_CALL_STATUS_CANCELED, reason: callnormv1.EndReason_END_REASON_CANCELED_BEFORE_ANSWER,
			by: callnormv1.EndedBy_ENDED_BY_CUSTOMER,
		},
		"scheduled_call_deleted": {
			status: callnormv1.CallStatus_CALL_STATUS_CANCELED, reason: callnormv1.EndReason_END_REASON_CANCELED_BEFORE_ANSWER,
		},
		"call.start.error_fraud_check_failed": {
			status: callnormv1.CallStatus_CALL_STATUS_BLOCKED, reason: callnormv1.EndReason_END_REASON_BLOCKED_BY_POLICY,
			by: callnormv1.EndedBy_ENDED_BY_SYSTEM,
		},
		// These two may end a conversation as well (see setStatus).
		"call_deleted": {
			status: callnormv1.CallStatus_CALL_STATUS_CANCELED, reason: callnormv1.EndReason_END_REASON_API_REQUEST,
		},
		"manually_canceled": {
			status: callnormv1.CallStatus_CALL_STATUS_CANCELED, reason: callnormv1.EndReason_END_REASON_MANUAL,
		},

		// What SIP answered. 403 and 408 stand for more in the registry of SIP than what Vapi uses them for.
		"call.in_progress.error_providerfault_outbound_sip_403_forbidden": refused,
		"call.in_progress.error_providerfault_outbound_sip_407_proxy_authentication_required": failure(
			callnormv1.EndReason_END_REASON_TELEPHONY_PERMISSION, callnormv1.EndedBy_ENDED_BY_CARRIER,
		),
		"call.in_progress.error_providerfault_outbound_sip_408_request_timeout": {
			status: callnormv1.CallStatus_CALL_STATUS_NO_ANSWER, reason: callnormv1.EndReason_END_REASON_NO_ANSWER,
		},

		// The account and what was set up in it.
		"assistant_not_found":                                                 misconfigured,
		"assistant_not_valid":                                                 misconfigured,
		"assistant_not_invalid":                                               misconfigured, // retired, a misspelling of assistant-not-valid
		"assistant_not_provided":                                              misconfigured, // retired
		"assistant_request_failed":                                            misconfigured,
		"assistant_request_returned_error":                                    misconfigured,
		"assistant_request_returned_invalid_assistant":                        misconfigured,
		"assistant_request_returned_no_assistant":                             misconfigured,
		"assistant_request_returned_unspeakable_error":                        misconfigured,
		"call_start_error_neither_assistant_nor_server_set":                   misconfigured,
		"call.start.assistant_version_error_validation":                       misconfigured,
		"call.start.error_get_assistant":                                      misconfigured,
		"call.start.error_get_customer":                                       misconfigured,
		"call.start.error_get_org":                                            misconfigured, // retired
		"call.start.error_get_phone_number":                                   misconfigured,
		"call.start.error_get_resources_validation":                           misconfigured,
		"call.start.error_enterprise_feature_not_available_recording_consent": unpaid,
		"call.start.error_get_subscription":                                   unpaid, // retired
		"call.start.error_subscription_frozen":                                unpaid,
		"call.start.error_subscription_insufficient_credits":                  unpaid,
		"call.start.error_subscription_upgrade_failed":                        unpaid,
		"call.start.error_subscription_wallet_does_not_exist":                 unpaid,
		"call.start.error_vapi_number_international":                          unpaid, // of the free numbers
		"call.start.error_vapi_number_outbound_daily_limit":                   unpaid, // of the free numbers
		"license_check_failed":                                                unpaid, // retired
		"call.start.error_subscription_concurrency_limit_reached": failure(
			callnormv1.EndReason_END_REASON_CONCURRENCY_LIMIT, callnormv1.EndedBy_ENDED_BY_UNSPECIFIED,
		),

		// The audio and the line.
		"call.in_progress.error_assistant_did_not_receive_customer_audio": failure(
			callnormv1.EndReason_END_REASON_MEDIA_ERROR, callnormv1.EndedBy_ENDED_BY_SYSTEM,
		),
		"customer_did_not_give_microphone_permission": failure(
			callnormv1.EndReason_END_REASON_PERMISSION_DENIED, callnormv1.EndedBy_ENDED_BY_CUSTOMER,
		),
		"call.in_progress.error_sip_inbound_call_failed_to_connect":            notConnected,
		"call.in_progress.error_sip_outbound_call_failed_to_connect":           notConnected,
		"call.in_progress.error_sip_telephony_provider_failed_to_connect_call": notConnected, // retired
		"call.ringing.error_sip_inbound_call_failed_to_connect":                notConnected,
		"call.start.error_get_transport":                                       notConnected,
		"phone_call_provider_bypass_enabled_but_no_call_received":              notConnected,
		"phone_call_provider_closed_websocket":                                 notConnected,
		"sip_gateway_failed_to_connect_call":                                   notConnected, // retired
		"twilio_failed_to_connect_call":                                        notConnected,
		"vonage_disconnected":                                                  notConnected,
		"vonage_failed_to_connect_call":                                        notConnected,

		// Vapi itself.
		"assistant_error":             platformFailed, // retired
		"assistant_join_timed_out":    platformFailed,
		"database_error":              platformFailed, // retired
		"db_error":                    platformFailed, // retired
		"no_server_available":         platformFailed, // retired
		"worker_shutdown":             platformFailed,
		"unknown_error":               somethingBroke, // retired
		"pipeline_no_available_model": llmFailed,      // retired
	},
	Seen: map[string]ending{
		// The example of the documentation has it, and no list does: who hung up is not told.
		"hangup": {
			status: callnormv1.CallStatus_CALL_STATUS_COMPLETED, reason: callnormv1.EndReason_END_REASON_CONVERSATION_ENDED,
		},
	},
	Other: ending{status: callnormv1.CallStatus_CALL_STATUS_OTHER, reason: callnormv1.EndReason_END_REASON_OTHER},
}

// family is a group of reasons that are told by a part of their words.
type family struct {
	prefix, suffix, middle string
	ending                 ending
}

func (f family) holds(word string) bool {
	return strings.HasPrefix(word, f.prefix) && strings.HasSuffix(word, f.suffix) && strings.Contains(word, f.middle)
}

// faults are the families of reasons that tell at whose door a fault lies. What failed the words behind tell (see components);
// where they do not, it is Vapi itself, or something that is not told.
var faults = []family{
	{prefix: "pipeline_error_", ending: somethingBroke},
	{prefix: "call.in_progress.error_vapifault_", ending: platformFailed},
	{prefix: "call.in_progress.error_providerfault_", ending: somethingBroke},
	{prefix: "call.in_progress.error_pipeline_", ending: somethingBroke},
	{prefix: "call.start.error_vapifault_", ending: platformFailed},
	{prefix: "call.start.error_providerfault_", ending: somethingBroke},
	{prefix: "vapifault_", ending: platformFailed}, // retired
}

// components are the families of the words behind a fault, by what failed, in the order in which they are tried: vendors of several
// trades name the trade, those of one do not.
var components = []family{
	{middle: "_transcriber_", ending: sttFailed},
	{middle: "_voice_", ending: ttsFailed},
	{middle: "_video_", ending: ttsFailed},
	{prefix: "_assembly_ai_", ending: sttFailed},
	{prefix: "_deepgram_", ending: sttFailed},
	{prefix: "_eleven_labs_", ending: ttsFailed},
	{prefix: "_cartesia_", ending: ttsFailed},
	{prefix: "_playht_", ending: ttsFailed},
	{middle: "_llm_", ending: llmFailed},
	{middle: "_model_", ending: llmFailed},
	// What all vendors of language models have in common, and no others.
	{suffix: "_400_bad_request_validation_failed_", ending: llmFailed},
	{suffix: "_429_exceeded_quota_", ending: llmFailed},
	{suffix: "_503_server_overloaded_error_", ending: llmFailed},
	// `-401-unauthorized` and `-500-server-error` may be anybody's, so for them the vendor has to be known.
	{prefix: "_anthropic_", ending: llmFailed},
	{prefix: "_anyscale_", ending: llmFailed},
	{prefix: "_azure_openai_", ending: llmFailed},
	{prefix: "_baseten_", ending: llmFailed},
	{prefix: "_cerebras_", ending: llmFailed},
	{prefix: "_deep_seek_", ending: llmFailed},
	{prefix: "_deepinfra_", ending: llmFailed},
	{prefix: "_google_", ending: llmFailed},
	{prefix: "_groq_", ending: llmFailed},
	{prefix: "_inflection_ai_", ending: llmFailed},
	{prefix: "_minimax_", ending: llmFailed},
	{prefix: "_mistral_", ending: llmFailed},
	{prefix: "_openai_", ending: llmFailed},
	{prefix: "_openrouter_", ending: llmFailed},
	{prefix: "_perplexity_ai_", ending: llmFailed},
	{prefix: "_runpod_", ending: llmFailed},
	{prefix: "_together_ai_", ending: llmFailed},
	{prefix: "_vapi_", ending: llmFailed},
	{prefix: "_xai_", ending: llmFailed},
}

// families are further groups, for words that come after this version. A phase alone tells nothing of how a call ended.
var families = []family{
	{middle: ".hook_executed_transfer", ending: transferred.endedBy(callnormv1.EndedBy_ENDED_BY_SYSTEM)},
	{middle: ".hook_executed_", ending: hookRan},
	{prefix: "customer_ended_call_", ending: customerHungUp},
	{prefix: "assistant_ended_call_", ending: agentHungUp},
	{prefix: "call.start.error_subscription_", ending: unpaid},
	{prefix: "call.start.error_enterprise_feature_", ending: unpaid},
	{prefix: "call.start.error_vapi_number_", ending: unpaid},
	{prefix: "call.start.error_get_", ending: misconfigured},
	{prefix: "call.start.error_", ending: somethingBroke},
	{prefix: "call.in_progress.error_warm_transfer_", ending: transferFailed},
	{prefix: "call.in_progress.error_transfer_", ending: transferFailed},
	{prefix: "call.forwarding.error_", ending: transferFailed},
	{prefix: "call.in_progress.error_sip_", ending: notConnected},
	{prefix: "call.ringing.error_sip_", ending: notConnected},
	{suffix: "_failed_to_connect_call", ending: notConnected},
	{prefix: "call.in_progress.error_", ending: somethingBroke},
	{prefix: "call.ringing.error_", ending: somethingBroke},
}

// outboundSIP stands before the code, and its words, with which the other side answered an invitation.
const outboundSIP = "call.in_progress.error_providerfault_outbound_sip_"

// findEnding returns what a reason means: by the whole word, or by its family.
func findEnding(notes *wire.Notes, path, reason string) (ending, callnormv1.Mapping) {
	word := words.Plain(reason)
	code := sipCode(word)
	if known, mapping, ok := endings.Known(reason); ok {
		known.sipCode = code
		return known, mapping
	}
	if meaning, ok := sip.Find(code); ok {
		if meaning.By == callnormv1.EndedBy_ENDED_BY_CALLEE {
			meaning.By = callnormv1.EndedBy_ENDED_BY_CUSTOMER // the leg goes out
		}
		return ending{status: meaning.Status, reason: meaning.Reason, by: meaning.By, sipCode: code}, callnormv1.Mapping_MAPPING_PREFIX
	}
	for _, fault := range faults {
		if fault.holds(word) {
			found := fault.blame("_" + strings.TrimPrefix(word, fault.prefix) + "_")
			found.sipCode = code
			return found, callnormv1.Mapping_MAPPING_PREFIX
		}
	}
	for _, f := range families {
		if f.holds(word) {
			return f.ending, callnormv1.Mapping_MAPPING_PREFIX
		}
	}
	return endings.Find(notes, path, reason)
}

// blame finds out what failed, by the words behind the fault.
func (f family) blame(words string) ending {
	for _, c := range components {
		if c.holds(words) {
			return c.ending
		}
	}
	// The line to a carrier, if not Vapi's own end of it.
	if f.ending == somethingBroke && (strings.Contains(words, "_transport_") || strings.Contains(words, "_sip_")) {
		return notConnected
	}
	return f.ending
}

// sipCode returns the SIP code in a reason, or 0.
func sipCode(word string) int32 {
	rest, ok := strings.CutPrefix(word, outboundSIP)
	if !ok {
		return 0
	}
	digits, _, _ := strings.Cut(rest, "_")
	code, err := strconv.ParseInt(digits, 10, 32)
	if err != nil || code < 100 || code > 699 {
		return 0
	}
	return int32(code)
}
