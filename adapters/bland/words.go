package bland

import (
	"strings"
	"time"

	"github.com/callnorm/callnorm/adapters/internal/sip"
	"github.com/callnorm/callnorm/adapters/internal/words"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
)

const (
	noAnswer  = "no_answer" // a word of `status`, of `answered_by`, of transfers and of dispositions
	human     = "human"
	voicemail = "voicemail"
)

type statusMeaning struct {
	status callnormv1.CallStatus
	// reason is why the call did not come about.
	reason callnormv1.EndReason
	open   bool // the call is not over
}

// over tells whether the word says that the call is over.
func (m statusMeaning) over() bool {
	return !m.open && m.status != callnormv1.CallStatus_CALL_STATUS_UNSPECIFIED && m.status != callnormv1.CallStatus_CALL_STATUS_OTHER
}

// statuses holds the words of `status`. A voicemail that took the call is "completed" as well; `answered_by` tells.
var statuses = words.Table[statusMeaning]{
	Documented: map[string]statusMeaning{
		"completed": {status: callnormv1.CallStatus_CALL_STATUS_COMPLETED},
		"failed": {
			status: callnormv1.CallStatus_CALL_STATUS_FAILED, reason: callnormv1.EndReason_END_REASON_ERROR,
		},
		"busy": {
			status: callnormv1.CallStatus_CALL_STATUS_BUSY, reason: callnormv1.EndReason_END_REASON_BUSY,
		},
		noAnswer:   rangOut,
		"canceled": calledOff,
		"unknown":  {}, // "could not be determined"
	},
	Seen: map[string]statusMeaning{
		"cancelled":   calledOff,
		"complete":    {status: callnormv1.CallStatus_CALL_STATUS_COMPLETED},
		"in_progress": {status: callnormv1.CallStatus_CALL_STATUS_IN_PROGRESS, open: true},
		// The queue's words, which the list of calls has in this place as well.
		"new":       {status: callnormv1.CallStatus_CALL_STATUS_QUEUED, open: true},
		"queued":    {status: callnormv1.CallStatus_CALL_STATUS_QUEUED, open: true},
		"allocated": {status: callnormv1.CallStatus_CALL_STATUS_INITIATED, open: true},
		"started":   {status: callnormv1.CallStatus_CALL_STATUS_IN_PROGRESS, open: true},
	},
	Other: statusMeaning{status: callnormv1.CallStatus_CALL_STATUS_OTHER},
}

var (
	rangOut = statusMeaning{
		status: callnormv1.CallStatus_CALL_STATUS_NO_ANSWER, reason: callnormv1.EndReason_END_REASON_NO_ANSWER,
	}
	calledOff = statusMeaning{
		status: callnormv1.CallStatus_CALL_STATUS_CANCELED, reason: callnormv1.EndReason_END_REASON_CANCELED_BEFORE_ANSWER,
	}
)

// queueMeaning is what the queue says: how far the call has come, and where it broke off.
type queueMeaning struct {
	statusMeaning
	failed bool // the word tells of an error
	over   bool
}

var queue = words.Table[queueMeaning]{
	Documented: map[string]queueMeaning{
		"new":       {statusMeaning: statusMeaning{status: callnormv1.CallStatus_CALL_STATUS_QUEUED, open: true}},
		"queued":    {statusMeaning: statusMeaning{status: callnormv1.CallStatus_CALL_STATUS_QUEUED, open: true}},
		"allocated": {statusMeaning: statusMeaning{status: callnormv1.CallStatus_CALL_STATUS_INITIATED, open: true}},
		"started":   {statusMeaning: statusMeaning{status: callnormv1.CallStatus_CALL_STATUS_IN_PROGRESS, open: true}},
		// Calls that nobody answered are complete, too.
		"complete": {over: true},
		// "Invalid parameters generally cause this."
		"pre_queue_error": {
			statusMeaning: statusMeaning{
				status: callnormv1.CallStatus_CALL_STATUS_FAILED, reason: callnormv1.EndReason_END_REASON_CONFIGURATION_ERROR,
			},
			failed: true, over: true,
		},
		"queue_error": {statusMeaning: somethingFailed, failed: true, over: true},
		"call_error":  {statusMeaning: somethingFailed, failed: true, over: true},
		// The call was good; something after it failed, such as a webhook.
		"complete_error": {failed: true, over: true},
	},
	Seen: map[string]queueMeaning{"completed": {over: true}},
}

var somethingFailed = statusMeaning{
	status: callnormv1.CallStatus_CALL_STATUS_FAILED, reason: callnormv1.EndReason_END_REASON_ERROR,
}

// errorMeaning is what an error says of a call that did not come about.
type errorMeaning struct {
	text string
	// code is the SIP response code that the text stands for, by the documentation.
	code   int32
	reason callnormv1.EndReason
}

// failures holds the errors of the documentation. They are sentences; those that are not in here say what they say, and "unknown",
// which the documentation has as well, says nothing.
var failures = []errorMeaning{
	{text: "Call failed.", reason: callnormv1.EndReason_END_REASON_ERROR},
	{text: "Call failed. The number you dialed is not found.", code: 404},
	{text: "Call failed. The number you dialed is temporarily unavailable.", code: 480},
	{text: "Call failed. The number you dialed is busy. Please try again later.", code: 486},
	{text: "Call failed. Service Provider Blocked Call due to Spam or Number Reputation. Try a different number.", code: 608},
	{text: "A database error occurred. Please contact support.", reason: callnormv1.EndReason_END_REASON_PLATFORM_ERROR},
	{text: "Unable to start call. Check the call details error_message for more details.", reason: callnormv1.EndReason_END_REASON_PLATFORM_ERROR},
}

// openFailures holds the beginnings of errors that go on with something else each time.
var openFailures = []errorMeaning{
	{text: "Account not allowed to call ", reason: callnormv1.EndReason_END_REASON_TELEPHONY_PERMISSION},
	{text: "Call failed. ", reason: callnormv1.EndReason_END_REASON_ERROR},
	{text: "Unable to start call. ", reason: callnormv1.EndReason_END_REASON_PLATFORM_ERROR},
}

// findFailure returns what an error says, if it is a documented one.
func findFailure(text string) (errorMeaning, callnormv1.Mapping) {
	text = strings.TrimSpace(text)
	for _, meaning := range failures {
		if strings.EqualFold(text, meaning.text) {
			return meaning, callnormv1.Mapping_MAPPING_EXACT
		}
	}
	for _, meaning := range openFailures {
		if n := len(meaning.text); len(text) > n && strings.EqualFold(text[:n], meaning.text) {
			return meaning, callnormv1.Mapping_MAPPING_PREFIX
		}
	}
	return errorMeaning{}, callnormv1.Mapping_MAPPING_UNSPECIFIED
}

// meaning returns what the error says in the terms of SIP, whether or not it stands for one of its codes.
func (m errorMeaning) meaning() sip.Meaning {
	if meaning, ok := sip.Find(m.code); ok {
		return meaning
	}
	if m.reason == callnormv1.EndReason_END_REASON_UNSPECIFIED {
		return sip.Meaning{}
	}
	return sip.Meaning{Status: callnormv1.CallStatus_CALL_STATUS_FAILED, Reason: m.reason}
}

// answerers holds the words of `answered_by`. All but one are what a detector heard in the first five seconds.
var answerers = words.Table[callnormv1.AnsweredByKind]{
	Documented: map[string]callnormv1.AnsweredByKind{
		human:     callnormv1.AnsweredByKind_ANSWERED_BY_KIND_HUMAN,
		voicemail: callnormv1.AnsweredByKind_ANSWERED_BY_KIND_VOICEMAIL,
		"unknown": callnormv1.AnsweredByKind_ANSWERED_BY_KIND_UNDETERMINED,
		noAnswer:  callnormv1.AnsweredByKind_ANSWERED_BY_KIND_NOT_ANSWERED,
	},
	Other: callnormv1.AnsweredByKind_ANSWERED_BY_KIND_OTHER,
}

type endMeaning struct {
	by     callnormv1.EndedBy
	reason callnormv1.EndReason
}

var enders = words.Table[endMeaning]{
	Documented: map[string]endMeaning{
		"assistant": {by: callnormv1.EndedBy_ENDED_BY_AGENT, reason: callnormv1.EndReason_END_REASON_AGENT_HANGUP},
		"user":      {by: callnormv1.EndedBy_ENDED_BY_CUSTOMER, reason: callnormv1.EndReason_END_REASON_CUSTOMER_HANGUP},
	},
	Other: endMeaning{by: callnormv1.EndedBy_ENDED_BY_OTHER, reason: callnormv1.EndReason_END_REASON_OTHER},
}

// transferResults holds the states of a warm transfer, and those of the calls to the human agent where they say the same.
var transferResults = words.Table[callnormv1.TransferResult]{
	Documented: map[string]callnormv1.TransferResult{
		"started":   callnormv1.TransferResult_TRANSFER_RESULT_STARTED,
		"merged":    callnormv1.TransferResult_TRANSFER_RESULT_COMPLETED,
		"cancelled": callnormv1.TransferResult_TRANSFER_RESULT_CANCELED, // the contact hung up meanwhile
		noAnswer:    callnormv1.TransferResult_TRANSFER_RESULT_FAILED,
		"timed_out": callnormv1.TransferResult_TRANSFER_RESULT_FAILED,
	},
	Seen: map[string]callnormv1.TransferResult{
		"canceled":   callnormv1.TransferResult_TRANSFER_RESULT_CANCELED,
		"waiting":    callnormv1.TransferResult_TRANSFER_RESULT_STARTED,
		"attempting": callnormv1.TransferResult_TRANSFER_RESULT_STARTED,
		"queued":     callnormv1.TransferResult_TRANSFER_RESULT_STARTED,
		"failed":     callnormv1.TransferResult_TRANSFER_RESULT_FAILED,
		"hung_up":    callnormv1.TransferResult_TRANSFER_RESULT_FAILED,
	},
	Other: callnormv1.TransferResult_TRANSFER_RESULT_OTHER,
}

// tagMeaning is what a disposition answers.
type tagMeaning struct {
	value    callnormv1.ContactDisposition
	goal     callnormv1.GoalResult
	followUp bool
	system   bool // Bland itself sets the tag; all others a language model picks
}

// transferredTag is an opinion, which is also picked for calls that were never transferred.
const transferredTag = "transferred"

// agentEndedTag is Bland's own, and no opinion, for a call without a transcript that took longer than longSilence.
const (
	agentEndedTag = "agent_ended_call"
	longSilence   = 2 * time.Minute
)

// tags holds Bland's own dispositions. Where the caller of the API lists others, the model picks one of those.
var tags = map[string]tagMeaning{
	"interested":         {value: callnormv1.ContactDisposition_CONTACT_DISPOSITION_INTERESTED},
	"not_interested":     {value: callnormv1.ContactDisposition_CONTACT_DISPOSITION_NOT_INTERESTED},
	"follow_up_required": {value: callnormv1.ContactDisposition_CONTACT_DISPOSITION_OTHER, followUp: true},
	"call_back_scheduled": {
		value: callnormv1.ContactDisposition_CONTACT_DISPOSITION_CALLBACK_REQUESTED,
	},
	transferredTag:     {value: callnormv1.ContactDisposition_CONTACT_DISPOSITION_ESCALATED},
	"objection_raised": {value: callnormv1.ContactDisposition_CONTACT_DISPOSITION_OTHER},
	"needs_more_info":  {value: callnormv1.ContactDisposition_CONTACT_DISPOSITION_OTHER},
	"not_qualified":    {value: callnormv1.ContactDisposition_CONTACT_DISPOSITION_NOT_QUALIFIED},
	"no_contact_made":  {value: callnormv1.ContactDisposition_CONTACT_DISPOSITION_NO_CONTACT},
	"completed_action": {
		value: callnormv1.ContactDisposition_CONTACT_DISPOSITION_OTHER, goal: callnormv1.GoalResult_GOAL_RESULT_ACHIEVED,
	},
	"do_not_contact": {value: callnormv1.ContactDisposition_CONTACT_DISPOSITION_DO_NOT_CALL},
	agentEndedTag:    {value: callnormv1.ContactDisposition_CONTACT_DISPOSITION_OTHER},
	noAnswer:         {value: callnormv1.ContactDisposition_CONTACT_DISPOSITION_NO_CONTACT, system: true},
	"busy":           {value: callnormv1.ContactDisposition_CONTACT_DISPOSITION_NO_CONTACT, system: true},
	"canceled":       {value: callnormv1.ContactDisposition_CONTACT_DISPOSITION_NO_CONTACT, system: true},
	"failed":         {value: callnormv1.ContactDisposition_CONTACT_DISPOSITION_OTHER, system: true},
}

// findTag returns what a disposition means. The words of a customer are his own; one that is spelled like one of ours is taken for
// that.
func findTag(word string) (tagMeaning, callnormv1.Mapping) {
	plain := words.Plain(word)
	if meaning, ok := tags[plain]; ok {
		if meaning.system {
			return meaning, callnormv1.Mapping_MAPPING_EXACT
		}
		return meaning, callnormv1.Mapping_MAPPING_LLM
	}
	value := callnormv1.ContactDisposition(callnormv1.ContactDisposition_value["CONTACT_DISPOSITION_"+strings.ToUpper(plain)])
	if value > callnormv1.ContactDisposition_CONTACT_DISPOSITION_OTHER {
		return tagMeaning{value: value}, callnormv1.Mapping_MAPPING_HEURISTIC
	}
	return tagMeaning{value: callnormv1.ContactDisposition_CONTACT_DISPOSITION_OTHER}, callnormv1.Mapping_MAPPING_NONE
}

// events holds what may come after the post-call webhook, and what `contents` lists where one event brings several of them.
var events = map[string]bool{
	"citations":                   true,
	"corrected_transcript":        true,
	"post_transfer_transcript":    true,
	"live_translation_transcript": true,
	"dispositions":                true,
	"evals":                       true,
	"multiple":                    true,
}

// speakers holds who speaks, by the words of `transcripts` and of `speaker_label`. What a robot is, is nowhere said.
var speakers = words.Table[callnormv1.ParticipantRole]{
	Documented: map[string]callnormv1.ParticipantRole{
		speakerUser:      callnormv1.ParticipantRole_PARTICIPANT_ROLE_CUSTOMER,
		speakerAssistant: callnormv1.ParticipantRole_PARTICIPANT_ROLE_AI_AGENT,
		representative:   callnormv1.ParticipantRole_PARTICIPANT_ROLE_TRANSFER_TARGET,
		"robot":          callnormv1.ParticipantRole_PARTICIPANT_ROLE_OTHER,
		agentAction:      callnormv1.ParticipantRole_PARTICIPANT_ROLE_SYSTEM,
	},
	Other: callnormv1.ParticipantRole_PARTICIPANT_ROLE_OTHER,
}

const (
	speakerUser      = "user"
	speakerAssistant = "assistant"
	representative   = "representative"
	agentAction      = "agent_action" // something that the agent did, no speech
)

// systemVariables are those that Bland sets. All others came in with the call, or were found out in it.
var systemVariables = map[string]bool{
	"now": true, "now_utc": true, "short_from": true, "short_to": true, "from": true, "to": true, "call_id": true,
	"phone_number": true, "city": true, "country": true, "state": true, "zip": true, "language": true, "timestamp": true,
	"timezone": true, "input": true,
	"metadata": true, // the caller's, which stands at the top as well
}
