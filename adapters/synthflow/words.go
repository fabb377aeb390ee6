package synthflow

import (
	"github.com/callnorm/callnorm/adapters/internal/words"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
)

// statusMeaning is what one word of call.status answers. Some words answer what is asked of an end as well.
type statusMeaning struct {
	status callnormv1.CallStatus
	open   bool // the call is not over
	endMeaning
}

// endMeaning is what a word answers on how a call ended.
type endMeaning struct {
	reason     callnormv1.EndReason
	by         callnormv1.EndedBy
	answeredBy callnormv1.AnsweredByKind
	ambiguous  bool // the word may as well be an error
}

// untold tells whether the word says neither why the call ended nor who answered it.
func (m endMeaning) untold() bool {
	return m.reason == callnormv1.EndReason_END_REASON_UNSPECIFIED && m.answeredBy == callnormv1.AnsweredByKind_ANSWERED_BY_KIND_UNSPECIFIED
}

// voicemail tells whether the word speaks of a voicemail.
func (m endMeaning) voicemail() bool {
	return m.answeredBy == callnormv1.AnsweredByKind_ANSWERED_BY_KIND_VOICEMAIL
}

// leftMessage tells whether the word speaks of a message on it.
func (m endMeaning) leftMessage() bool {
	return m.reason == callnormv1.EndReason_END_REASON_VOICEMAIL_LEFT
}

// What several words mean.
var (
	voicemailReached = endMeaning{
		reason:     callnormv1.EndReason_END_REASON_VOICEMAIL,
		answeredBy: callnormv1.AnsweredByKind_ANSWERED_BY_KIND_VOICEMAIL,
	}
	voicemailLeft = endMeaning{
		reason:     callnormv1.EndReason_END_REASON_VOICEMAIL_LEFT,
		answeredBy: callnormv1.AnsweredByKind_ANSWERED_BY_KIND_VOICEMAIL,
	}
	// "A caller hangs up within the first second", before the agent answers.
	userCanceled = statusMeaning{
		status: callnormv1.CallStatus_CALL_STATUS_CANCELED,
		endMeaning: endMeaning{
			reason: callnormv1.EndReason_END_REASON_CANCELED_BEFORE_ANSWER,
			by:     callnormv1.EndedBy_ENDED_BY_CUSTOMER,
		},
	}
)

var statuses = words.Table[statusMeaning]{
	Documented: map[string]statusMeaning{
		"pending":       {status: callnormv1.CallStatus_CALL_STATUS_QUEUED, open: true},
		"queue":         {status: callnormv1.CallStatus_CALL_STATUS_QUEUED, open: true},
		"registered":    {status: callnormv1.CallStatus_CALL_STATUS_QUEUED, open: true},
		"initiated":     {status: callnormv1.CallStatus_CALL_STATUS_INITIATED, open: true},
		"ringing":       {status: callnormv1.CallStatus_CALL_STATUS_RINGING, open: true},
		"in_progress":   {status: callnormv1.CallStatus_CALL_STATUS_IN_PROGRESS, open: true},
		"paused":        {status: callnormv1.CallStatus_CALL_STATUS_PAUSED, open: true},
		"completed":     {status: callnormv1.CallStatus_CALL_STATUS_COMPLETED},
		"no_answer":     {status: callnormv1.CallStatus_CALL_STATUS_NO_ANSWER},
		"busy":          {status: callnormv1.CallStatus_CALL_STATUS_BUSY},
		"failed":        {status: callnormv1.CallStatus_CALL_STATUS_FAILED},
		"canceled":      {status: callnormv1.CallStatus_CALL_STATUS_CANCELED},
		"user_canceled": userCanceled,
		"spam": {
			status:     callnormv1.CallStatus_CALL_STATUS_BLOCKED,
			endMeaning: endMeaning{reason: callnormv1.EndReason_END_REASON_MARKED_AS_SPAM},
		},
		"hangup_on_voicemail": {
			status: callnormv1.CallStatus_CALL_STATUS_COMPLETED,
			endMeaning: endMeaning{
				reason:     callnormv1.EndReason_END_REASON_VOICEMAIL_DETECTED_HANGUP,
				answeredBy: callnormv1.AnsweredByKind_ANSWERED_BY_KIND_VOICEMAIL,
			},
		},
		"left_voicemail": {status: callnormv1.CallStatus_CALL_STATUS_COMPLETED, endMeaning: voicemailLeft},
	},
	Seen: map[string]statusMeaning{
		"queued":             {status: callnormv1.CallStatus_CALL_STATUS_QUEUED, open: true},
		"scheduled":          {status: callnormv1.CallStatus_CALL_STATUS_QUEUED, open: true},
		"dialing":            {status: callnormv1.CallStatus_CALL_STATUS_INITIATED, open: true},
		"ended":              {status: callnormv1.CallStatus_CALL_STATUS_COMPLETED},
		"cancelled":          {status: callnormv1.CallStatus_CALL_STATUS_CANCELED},
		"user_cancelled":     userCanceled,
		"voicemail":          {status: callnormv1.CallStatus_CALL_STATUS_COMPLETED, endMeaning: voicemailReached},
		"voicemail_detected": {status: callnormv1.CallStatus_CALL_STATUS_COMPLETED, endMeaning: voicemailReached},
		"machine_detected": {
			status:     callnormv1.CallStatus_CALL_STATUS_COMPLETED,
			endMeaning: endMeaning{answeredBy: callnormv1.AnsweredByKind_ANSWERED_BY_KIND_MACHINE},
		},
	},
	Other: statusMeaning{status: callnormv1.CallStatus_CALL_STATUS_OTHER},
}

var endReasons = words.Table[endMeaning]{
	Documented: map[string]endMeaning{
		"voicemail":              voicemailReached,
		"voicemail_cut_off":      voicemailReached,
		"voicemail_message_left": voicemailLeft,
		"human_goodbye": {
			reason:     callnormv1.EndReason_END_REASON_CUSTOMER_HANGUP,
			by:         callnormv1.EndedBy_ENDED_BY_CUSTOMER,
			answeredBy: callnormv1.AnsweredByKind_ANSWERED_BY_KIND_HUMAN,
		},
		"agent_goodbye": {
			reason:     callnormv1.EndReason_END_REASON_AGENT_HANGUP,
			by:         callnormv1.EndedBy_ENDED_BY_AGENT,
			answeredBy: callnormv1.AnsweredByKind_ANSWERED_BY_KIND_HUMAN,
		},
		"human_pick_up_cut_off": {
			reason:     callnormv1.EndReason_END_REASON_CUT_OFF,
			answeredBy: callnormv1.AnsweredByKind_ANSWERED_BY_KIND_HUMAN,
		},
		"agent_ended_call": {reason: callnormv1.EndReason_END_REASON_AGENT_HANGUP, by: callnormv1.EndedBy_ENDED_BY_AGENT},
		"human_ended_call": {reason: callnormv1.EndReason_END_REASON_CUSTOMER_HANGUP, by: callnormv1.EndedBy_ENDED_BY_CUSTOMER},
		"max_duration":     {reason: callnormv1.EndReason_END_REASON_MAX_DURATION, by: callnormv1.EndedBy_ENDED_BY_SYSTEM},
		"timeout":          {reason: callnormv1.EndReason_END_REASON_TIMEOUT, ambiguous: true},
		"error":            {reason: callnormv1.EndReason_END_REASON_ERROR, ambiguous: true}, // nobody tells whose error
		// The agent finds that a condition is met, says farewell and ends the call.
		"custom_end_call": {reason: callnormv1.EndReason_END_REASON_CUSTOM_RULE, by: callnormv1.EndedBy_ENDED_BY_AGENT},
		"user_canceled":   userCanceled.endMeaning,
		"undefined":       {}, // "The reason for the call ending is not specified." Least of all is it an error.
	},
	Seen: map[string]endMeaning{
		"failed_to_start_outbound_call": {
			reason: callnormv1.EndReason_END_REASON_TELEPHONY_ERROR, by: callnormv1.EndedBy_ENDED_BY_SYSTEM, ambiguous: true,
		},
		"user_cancelled": userCanceled.endMeaning,
	},
	Other: endMeaning{reason: callnormv1.EndReason_END_REASON_OTHER},
}

// hangups are the sides of a line that hang up. No documentation lists them.
var hangups = words.Table[callnormv1.EndedBy]{
	Seen: map[string]callnormv1.EndedBy{
		"caller": callnormv1.EndedBy_ENDED_BY_CALLER,
		"callee": callnormv1.EndedBy_ENDED_BY_CALLEE,
	},
	Other: callnormv1.EndedBy_ENDED_BY_OTHER,
}

var typesOfCall = words.Table[callnormv1.Direction]{
	Documented: map[string]callnormv1.Direction{
		"inbound":  callnormv1.Direction_DIRECTION_INBOUND,
		"outbound": callnormv1.Direction_DIRECTION_OUTBOUND,
	},
	Other: callnormv1.Direction_DIRECTION_OTHER,
}

var verdicts = words.Table[callnormv1.EvaluationResult]{
	Documented: map[string]callnormv1.EvaluationResult{
		"true":           callnormv1.EvaluationResult_EVALUATION_RESULT_PASSED,
		"false":          callnormv1.EvaluationResult_EVALUATION_RESULT_FAILED,
		"partial":        callnormv1.EvaluationResult_EVALUATION_RESULT_PARTIAL,
		"not_applicable": callnormv1.EvaluationResult_EVALUATION_RESULT_NOT_APPLICABLE,
	},
	Other: callnormv1.EvaluationResult_EVALUATION_RESULT_OTHER,
}

var goals = words.Table[callnormv1.GoalResult]{
	Documented: map[string]callnormv1.GoalResult{
		"true":           callnormv1.GoalResult_GOAL_RESULT_ACHIEVED,
		"false":          callnormv1.GoalResult_GOAL_RESULT_NOT_ACHIEVED,
		"partial":        callnormv1.GoalResult_GOAL_RESULT_PARTIAL,
		"not_applicable": callnormv1.GoalResult_GOAL_RESULT_NOT_APPLICABLE,
	},
	Other: callnormv1.GoalResult_GOAL_RESULT_OTHER,
}

var transferResults = words.Table[callnormv1.TransferResult]{
	Seen: map[string]callnormv1.TransferResult{
		"success":   callnormv1.TransferResult_TRANSFER_RESULT_COMPLETED,
		"completed": callnormv1.TransferResult_TRANSFER_RESULT_COMPLETED,
		"failed":    callnormv1.TransferResult_TRANSFER_RESULT_FAILED,
		"failure":   callnormv1.TransferResult_TRANSFER_RESULT_FAILED,
		"error":     callnormv1.TransferResult_TRANSFER_RESULT_FAILED,
		"no_answer": callnormv1.TransferResult_TRANSFER_RESULT_FAILED,
		"busy":      callnormv1.TransferResult_TRANSFER_RESULT_FAILED,
		"canceled":  callnormv1.TransferResult_TRANSFER_RESULT_CANCELED,
	},
	Other: callnormv1.TransferResult_TRANSFER_RESULT_OTHER,
}

// speakers are the prefixes of a transcript's lines, or the roles of its turns.
var speakers = words.Table[callnormv1.ParticipantRole]{
	Documented: map[string]callnormv1.ParticipantRole{
		"bot":   callnormv1.ParticipantRole_PARTICIPANT_ROLE_AI_AGENT,
		"human": callnormv1.ParticipantRole_PARTICIPANT_ROLE_CUSTOMER,
	},
	Seen: map[string]callnormv1.ParticipantRole{
		"assistant": callnormv1.ParticipantRole_PARTICIPANT_ROLE_AI_AGENT,
	},
	Other: callnormv1.ParticipantRole_PARTICIPANT_ROLE_OTHER,
}
