// Package sip tells what SIP's final response codes mean for a call: RFC 3261 section 21, and the IANA registry of SIP parameters
// for those that came later.
package sip

import callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"

// Meaning is what a code says about the call that it ended.
type Meaning struct {
	Status callnormv1.CallStatus
	Reason callnormv1.EndReason
	// By is unspecified where nobody stopped the call: the number is wrong, or out of reach, or the fault is with the account.
	By callnormv1.EndedBy
}

// Find returns what a final response code means. Provisional codes are no outcome, and codes that the registry does not know mean
// what all of their hundred have in common: RFC 3261 section 8.1.3.2 wants them to be understood like that.
func Find(code int32) (Meaning, bool) {
	meaning, ok := meanings[code]
	if !ok {
		meaning, ok = classes[code/100]
	}
	return meaning, ok
}

var (
	completed  = Meaning{Status: callnormv1.CallStatus_CALL_STATUS_COMPLETED, Reason: callnormv1.EndReason_END_REASON_CONVERSATION_ENDED}
	invalid    = Meaning{callnormv1.CallStatus_CALL_STATUS_FAILED, callnormv1.EndReason_END_REASON_INVALID_NUMBER, callnormv1.EndedBy_ENDED_BY_UNSPECIFIED}
	misdialed  = Meaning{Status: callnormv1.CallStatus_CALL_STATUS_FAILED, Reason: callnormv1.EndReason_END_REASON_INVALID_NUMBER}
	busy       = Meaning{callnormv1.CallStatus_CALL_STATUS_BUSY, callnormv1.EndReason_END_REASON_BUSY, callnormv1.EndedBy_ENDED_BY_CALLEE}
	declined   = Meaning{callnormv1.CallStatus_CALL_STATUS_REJECTED, callnormv1.EndReason_END_REASON_DECLINED, callnormv1.EndedBy_ENDED_BY_CALLEE}
	telephony  = Meaning{callnormv1.CallStatus_CALL_STATUS_FAILED, callnormv1.EndReason_END_REASON_TELEPHONY_ERROR, callnormv1.EndedBy_ENDED_BY_CARRIER}
	congested  = Meaning{callnormv1.CallStatus_CALL_STATUS_FAILED, callnormv1.EndReason_END_REASON_CONGESTION, callnormv1.EndedBy_ENDED_BY_CARRIER}
	media      = Meaning{callnormv1.CallStatus_CALL_STATUS_FAILED, callnormv1.EndReason_END_REASON_MEDIA_ERROR, callnormv1.EndedBy_ENDED_BY_UNSPECIFIED}
	configured = Meaning{Status: callnormv1.CallStatus_CALL_STATUS_FAILED, Reason: callnormv1.EndReason_END_REASON_CONFIGURATION_ERROR}
	// The caller did not prove who is calling (STIR/SHAKEN, RFC 8224).
	unproven = Meaning{Status: callnormv1.CallStatus_CALL_STATUS_BLOCKED, Reason: callnormv1.EndReason_END_REASON_CARRIER_REJECTED}
)

var meanings = map[int32]Meaning{
	200: completed,
	300: telephony,
	301: invalid, // the number changed
	302: telephony,
	380: telephony,
	400: telephony,
	401: configured, // credentials
	402: {Status: callnormv1.CallStatus_CALL_STATUS_FAILED, Reason: callnormv1.EndReason_END_REASON_QUOTA_OR_BILLING},
	// Caller id, destination or account are not allowed.
	403: {callnormv1.CallStatus_CALL_STATUS_BLOCKED, callnormv1.EndReason_END_REASON_CARRIER_REJECTED, callnormv1.EndedBy_ENDED_BY_CARRIER},
	404: invalid,
	405: telephony,
	406: media,
	407: configured,
	408: telephony, // no answer of the next hop
	410: invalid,
	413: telephony,
	414: telephony,
	415: media,
	416: configured,
	420: telephony,
	421: telephony,
	423: telephony,
	428: unproven,
	433: declined, // a hidden caller id is refused
	436: unproven,
	437: unproven,
	438: unproven,
	// Switched off, not registered, or not answering.
	480: {callnormv1.CallStatus_CALL_STATUS_NO_ANSWER, callnormv1.EndReason_END_REASON_UNREACHABLE, callnormv1.EndedBy_ENDED_BY_UNSPECIFIED},
	481: telephony,
	482: configured, // a loop
	483: configured,
	484: misdialed, // digits are missing
	485: misdialed,
	486: busy,
	// Before it was answered. Beside a provider's word for a time limit that is what happened.
	487: {callnormv1.CallStatus_CALL_STATUS_CANCELED, callnormv1.EndReason_END_REASON_CANCELED_BEFORE_ANSWER, callnormv1.EndedBy_ENDED_BY_CALLER},
	488: media, // no codec in common
	491: telephony,
	500: telephony,
	501: telephony,
	502: telephony,
	503: congested, // overload, or no circuit
	504: telephony,
	505: telephony,
	513: telephony,
	580: {callnormv1.CallStatus_CALL_STATUS_FAILED, callnormv1.EndReason_END_REASON_MEDIA_ERROR, callnormv1.EndedBy_ENDED_BY_CARRIER},
	600: busy,
	603: declined,
	604: invalid,
	606: media,
	// The callee marked the call as unwanted (RFC 8197).
	607: {callnormv1.CallStatus_CALL_STATUS_REJECTED, callnormv1.EndReason_END_REASON_MARKED_AS_SPAM, callnormv1.EndedBy_ENDED_BY_CALLEE},
	// An analytics engine refused, not the callee (RFC 8688).
	608: {callnormv1.CallStatus_CALL_STATUS_BLOCKED, callnormv1.EndReason_END_REASON_MARKED_AS_SPAM, callnormv1.EndedBy_ENDED_BY_CARRIER},
}

// classes holds what the hundreds of codes mean.
var classes = map[int32]Meaning{2: completed, 3: telephony, 4: telephony, 5: telephony, 6: declined}
