package vapi

import (
	"github.com/callnorm/callnorm/adapters/internal/words"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
)

// statusMeaning is what a status says of the call, and what kind of notice an update to it is.
type statusMeaning struct {
	status       callnormv1.CallStatus
	event        callnormv1.EventKind
	completeness callnormv1.Completeness
	notice       string
}

// statuses holds the statuses of status-update, and of records of the API. "ended" says that the call is over and not how; the
// reason beside it does. After it the report follows, as a rule, so it settles nothing.
var statuses = words.Table[statusMeaning]{
	Documented: map[string]statusMeaning{
		"scheduled": {
			status: callnormv1.CallStatus_CALL_STATUS_QUEUED,
			event:  callnormv1.EventKind_EVENT_KIND_CALL_SCHEDULED, completeness: partial,
		},
		"queued": {
			status: callnormv1.CallStatus_CALL_STATUS_QUEUED,
			event:  callnormv1.EventKind_EVENT_KIND_CALL_SCHEDULED, completeness: partial,
		},
		"ringing": {
			status: callnormv1.CallStatus_CALL_STATUS_RINGING,
			event:  callnormv1.EventKind_EVENT_KIND_CALL_STARTED, completeness: partial,
		},
		"in_progress": {
			status: callnormv1.CallStatus_CALL_STATUS_IN_PROGRESS,
			event:  callnormv1.EventKind_EVENT_KIND_CALL_CONNECTED, completeness: partial,
		},
		"forwarding": { // "The call is about to be forwarded."
			status: callnormv1.CallStatus_CALL_STATUS_IN_PROGRESS,
			event:  callnormv1.EventKind_EVENT_KIND_CALL_TRANSFERRED, completeness: partial,
		},
		"ended":           {event: callnormv1.EventKind_EVENT_KIND_CALL_ENDED, completeness: settling},
		"not_found":       {notice: record},
		"deletion_failed": {notice: record},
	},
	Other: statusMeaning{
		status: callnormv1.CallStatus_CALL_STATUS_OTHER,
		event:  callnormv1.EventKind_EVENT_KIND_CALL_PROGRESS, completeness: partial,
	},
}

// typeMeaning is what the type of a call says of its direction and its medium.
type typeMeaning struct {
	direction callnormv1.Direction
	channel   callnormv1.Channel
}

// callTypes holds the types of calls. A call to or from a telephone may run over SIP alone, so its channel is likely, not certain;
// what stands at the other end of a web socket is not told.
var callTypes = words.Table[typeMeaning]{
	Documented: map[string]typeMeaning{
		"inboundphonecall":   {callnormv1.Direction_DIRECTION_INBOUND, callnormv1.Channel_CHANNEL_PHONE},
		"outboundphonecall":  {callnormv1.Direction_DIRECTION_OUTBOUND, callnormv1.Channel_CHANNEL_PHONE},
		"webcall":            {callnormv1.Direction_DIRECTION_UNSPECIFIED, callnormv1.Channel_CHANNEL_WEB},
		"vapi.websocketcall": {callnormv1.Direction_DIRECTION_UNSPECIFIED, callnormv1.Channel_CHANNEL_OTHER},
	},
	Other: typeMeaning{channel: callnormv1.Channel_CHANNEL_OTHER},
}

// transports holds what carries a call to or from a telephone.
var transports = words.Table[callnormv1.Channel]{
	Documented: map[string]callnormv1.Channel{
		"pstn": callnormv1.Channel_CHANNEL_PHONE,
		"sip":  callnormv1.Channel_CHANNEL_SIP,
	},
	Other: callnormv1.Channel_CHANNEL_OTHER,
}

// carrierIDs names the ids that a call has at those who carry it.
var carrierIDs = map[string]string{
	"twilio":   "twilio.call_sid",
	"vonage":   "vonage.conversation_uuid",
	"telnyx":   "telnyx.call_control_id",
	"vapi":     "vapi.sip_call_id",
	"vapi.sip": "vapi.sip_call_id",
}

// idless are what carries a call without an id of its own.
var idless = []string{"daily", "vapi.websocket"}

// speakers holds the roles of messages, and the names that stand before the lines of a transcript. What a prompt says nobody said,
// so messages of the role "system" are left out.
var speakers = words.Table[callnormv1.ParticipantRole]{
	Documented: map[string]callnormv1.ParticipantRole{
		"bot":       callnormv1.ParticipantRole_PARTICIPANT_ROLE_AI_AGENT,
		"assistant": callnormv1.ParticipantRole_PARTICIPANT_ROLE_AI_AGENT,
		"ai":        callnormv1.ParticipantRole_PARTICIPANT_ROLE_AI_AGENT,
		"user":      callnormv1.ParticipantRole_PARTICIPANT_ROLE_CUSTOMER,
	},
	Seen: map[string]callnormv1.ParticipantRole{
		"agent":    callnormv1.ParticipantRole_PARTICIPANT_ROLE_AI_AGENT,
		"customer": callnormv1.ParticipantRole_PARTICIPANT_ROLE_CUSTOMER,
	},
	Other: callnormv1.ParticipantRole_PARTICIPANT_ROLE_OTHER,
}

// transferResults holds the statuses of transfers. A voicemail that takes a transfer is not the target.
var transferResults = words.Table[callnormv1.TransferResult]{
	Documented: map[string]callnormv1.TransferResult{
		"connected": callnormv1.TransferResult_TRANSFER_RESULT_COMPLETED,
		"completed": callnormv1.TransferResult_TRANSFER_RESULT_COMPLETED,
		"no_answer": callnormv1.TransferResult_TRANSFER_RESULT_FAILED,
		"busy":      callnormv1.TransferResult_TRANSFER_RESULT_FAILED,
		"voicemail": callnormv1.TransferResult_TRANSFER_RESULT_FAILED,
		"failed":    callnormv1.TransferResult_TRANSFER_RESULT_FAILED,
		"cancelled": callnormv1.TransferResult_TRANSFER_RESULT_CANCELED,
	},
	Seen:  map[string]callnormv1.TransferResult{"canceled": callnormv1.TransferResult_TRANSFER_RESULT_CANCELED},
	Other: callnormv1.TransferResult_TRANSFER_RESULT_OTHER,
}

// verdicts holds the answers of the rubric PassFail. Those of the scales whose words are documented are our reading of them.
var verdicts = words.Table[callnormv1.GoalResult]{
	Documented: map[string]callnormv1.GoalResult{
		"true":  callnormv1.GoalResult_GOAL_RESULT_ACHIEVED,
		"false": callnormv1.GoalResult_GOAL_RESULT_NOT_ACHIEVED,
	},
	Seen: map[string]callnormv1.GoalResult{
		"excellent":         callnormv1.GoalResult_GOAL_RESULT_ACHIEVED,
		"good":              callnormv1.GoalResult_GOAL_RESULT_ACHIEVED,
		"fair":              callnormv1.GoalResult_GOAL_RESULT_PARTIAL,
		"poor":              callnormv1.GoalResult_GOAL_RESULT_NOT_ACHIEVED,
		"strongly_agree":    callnormv1.GoalResult_GOAL_RESULT_ACHIEVED,
		"agree":             callnormv1.GoalResult_GOAL_RESULT_ACHIEVED,
		"disagree":          callnormv1.GoalResult_GOAL_RESULT_NOT_ACHIEVED,
		"strongly_disagree": callnormv1.GoalResult_GOAL_RESULT_NOT_ACHIEVED,
	},
	Other: callnormv1.GoalResult_GOAL_RESULT_OTHER,
}
