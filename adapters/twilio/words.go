package twilio

import (
	"github.com/callnorm/callnorm/adapters/internal/words"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
)

// statusMeaning is what one word of CallStatus answers.
type statusMeaning struct {
	status callnormv1.CallStatus
	event  callnormv1.EventKind
	open   bool // the call is not over
	reason callnormv1.EndReason
	vague  bool // the word stands for several reasons, and the one here is the plainest
}

var (
	underWay = statusMeaning{
		status: callnormv1.CallStatus_CALL_STATUS_IN_PROGRESS, event: callnormv1.EventKind_EVENT_KIND_CALL_CONNECTED, open: true,
	}
	calledOff = statusMeaning{
		status: callnormv1.CallStatus_CALL_STATUS_CANCELED, event: callnormv1.EventKind_EVENT_KIND_CALL_ENDED,
		reason: callnormv1.EndReason_END_REASON_CANCELED_BEFORE_ANSWER,
	}
)

var statuses = words.Table[statusMeaning]{
	Documented: map[string]statusMeaning{
		"queued": {
			status: callnormv1.CallStatus_CALL_STATUS_QUEUED, event: callnormv1.EventKind_EVENT_KIND_CALL_SCHEDULED, open: true,
		},
		"initiated": {
			status: callnormv1.CallStatus_CALL_STATUS_INITIATED, event: callnormv1.EventKind_EVENT_KIND_CALL_STARTED, open: true,
		},
		"ringing": {
			status: callnormv1.CallStatus_CALL_STATUS_RINGING, event: callnormv1.EventKind_EVENT_KIND_CALL_STARTED, open: true,
		},
		"in_progress": underWay,
		// "The call was answered and has ended normally", by a person or by a machine.
		"completed": {
			status: callnormv1.CallStatus_CALL_STATUS_COMPLETED, event: callnormv1.EventKind_EVENT_KIND_CALL_ENDED,
			reason: callnormv1.EndReason_END_REASON_CONVERSATION_ENDED, vague: true,
		},
		"busy": {
			status: callnormv1.CallStatus_CALL_STATUS_BUSY, event: callnormv1.EventKind_EVENT_KIND_CALL_ENDED,
			reason: callnormv1.EndReason_END_REASON_BUSY,
		},
		"no_answer": {
			status: callnormv1.CallStatus_CALL_STATUS_NO_ANSWER, event: callnormv1.EventKind_EVENT_KIND_CALL_ENDED,
			reason: callnormv1.EndReason_END_REASON_NO_ANSWER,
		},
		"canceled": calledOff,
		"failed": {
			status: callnormv1.CallStatus_CALL_STATUS_FAILED, event: callnormv1.EventKind_EVENT_KIND_CALL_ENDED,
			reason: callnormv1.EndReason_END_REASON_TELEPHONY_ERROR, vague: true,
		},
	},
	Seen: map[string]statusMeaning{
		"answered":  underWay, // TeXML's word
		"cancelled": calledOff,
	},
	Other: statusMeaning{status: callnormv1.CallStatus_CALL_STATUS_OTHER, event: callnormv1.EventKind_EVENT_KIND_CALL_PROGRESS},
}

var directions = words.Table[callnormv1.Direction]{
	Documented: map[string]callnormv1.Direction{
		"inbound":      callnormv1.Direction_DIRECTION_INBOUND,
		"outbound_api": callnormv1.Direction_DIRECTION_OUTBOUND,
		outboundDial:   callnormv1.Direction_DIRECTION_OUTBOUND,
	},
	Seen: map[string]callnormv1.Direction{
		"outbound": callnormv1.Direction_DIRECTION_OUTBOUND,
		// Seen from the customer's own telephone system: a trunk's origination comes in, its termination goes out.
		"trunking_originating": callnormv1.Direction_DIRECTION_INBOUND,
		"trunking_terminating": callnormv1.Direction_DIRECTION_OUTBOUND,
	},
	Other: callnormv1.Direction_DIRECTION_OTHER,
}

// outboundDial is a leg that a <Dial> made. Who is called there may be the contact as well as somebody of ours.
const outboundDial = "outbound_dial"

// answerers holds the words of answering machine detection, which may be wrong: a classifier chose them.
var answerers = words.Table[callnormv1.AnsweredByKind]{
	Documented: map[string]callnormv1.AnsweredByKind{
		"human":               callnormv1.AnsweredByKind_ANSWERED_BY_KIND_HUMAN,
		"machine_start":       callnormv1.AnsweredByKind_ANSWERED_BY_KIND_VOICEMAIL_GREETING,
		"machine_end_beep":    callnormv1.AnsweredByKind_ANSWERED_BY_KIND_VOICEMAIL_BEEP,
		"machine_end_silence": callnormv1.AnsweredByKind_ANSWERED_BY_KIND_VOICEMAIL_NO_BEEP,
		"machine_end_other":   callnormv1.AnsweredByKind_ANSWERED_BY_KIND_VOICEMAIL,
		"fax":                 callnormv1.AnsweredByKind_ANSWERED_BY_KIND_FAX,
		"unknown":             callnormv1.AnsweredByKind_ANSWERED_BY_KIND_UNDETERMINED, // "no decision before the timeout"
	},
	Seen: map[string]callnormv1.AnsweredByKind{
		"machine": callnormv1.AnsweredByKind_ANSWERED_BY_KIND_MACHINE, // of calls with the older IfMachine
	},
	Other: callnormv1.AnsweredByKind_ANSWERED_BY_KIND_OTHER,
}

// dialResults holds the words of DialCallStatus. They tell of the leg that was dialled.
var dialResults = words.Table[callnormv1.TransferResult]{
	Documented: map[string]callnormv1.TransferResult{
		"completed": callnormv1.TransferResult_TRANSFER_RESULT_COMPLETED,
		"answered":  callnormv1.TransferResult_TRANSFER_RESULT_COMPLETED, // the caller went on to a conference
		"busy":      callnormv1.TransferResult_TRANSFER_RESULT_FAILED,
		"no_answer": callnormv1.TransferResult_TRANSFER_RESULT_FAILED,
		"failed":    callnormv1.TransferResult_TRANSFER_RESULT_FAILED,
		"canceled":  callnormv1.TransferResult_TRANSFER_RESULT_CANCELED,
	},
	Seen: map[string]callnormv1.TransferResult{
		"cancelled": callnormv1.TransferResult_TRANSFER_RESULT_CANCELED,
	},
	Other: callnormv1.TransferResult_TRANSFER_RESULT_OTHER,
}

// recordingMeaning is what one word of RecordingStatus answers.
type recordingMeaning struct {
	event callnormv1.EventKind
	there bool // the recording can be fetched
}

var recordingStatuses = words.Table[recordingMeaning]{
	Documented: map[string]recordingMeaning{
		"in_progress": {event: callnormv1.EventKind_EVENT_KIND_CALL_PROGRESS},
		"completed":   {event: callnormv1.EventKind_EVENT_KIND_RECORDING_READY, there: true},
		"absent":      {event: callnormv1.EventKind_EVENT_KIND_OTHER}, // nothing was recorded
		"failed":      {event: callnormv1.EventKind_EVENT_KIND_OTHER},
	},
	Other: recordingMeaning{event: callnormv1.EventKind_EVENT_KIND_OTHER},
}

// recordingKinds holds the numbers of channels.
var recordingKinds = words.Table[callnormv1.RecordingKind]{
	Documented: map[string]callnormv1.RecordingKind{
		"1": callnormv1.RecordingKind_RECORDING_KIND_MONO,
		"2": callnormv1.RecordingKind_RECORDING_KIND_STEREO,
	},
	Other: callnormv1.RecordingKind_RECORDING_KIND_OTHER,
}

// hangers holds the words by which TeXML tells who hung up.
var hangers = words.Table[callnormv1.EndedBy]{
	Seen: map[string]callnormv1.EndedBy{
		"caller": callnormv1.EndedBy_ENDED_BY_CALLER,
		"callee": callnormv1.EndedBy_ENDED_BY_CALLEE,
	},
	Other: callnormv1.EndedBy_ENDED_BY_OTHER,
}
