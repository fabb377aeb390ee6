package elevenlabs

import (
	"strings"

	"github.com/callnorm/callnorm/adapters/internal/wire"
	"github.com/callnorm/callnorm/adapters/internal/words"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
)

// shape is which of the three bodies a delivery has.
type shape int

const (
	shapeReport shape = iota + 1
	shapeAudio
	shapeFailure
)

// events holds the types of webhooks. Those that were seen are the words by which a webhook's events are selected; the redacted and
// the unredacted form of one report are about one call.
var events = words.Table[shape]{
	Documented: map[string]shape{
		"post_call_transcription": shapeReport,
		"post_call_audio":         shapeAudio,
		"call_initiation_failure": shapeFailure,
	},
	Seen: map[string]shape{
		"transcript":                         shapeReport,
		"audio":                              shapeAudio,
		"unredacted_transcript":              shapeReport,
		"unredacted_audio":                   shapeAudio,
		"unredacted_post_call_transcription": shapeReport,
		"unredacted_post_call_audio":         shapeAudio,
		"post_call_unredacted_transcription": shapeReport,
		"post_call_unredacted_audio":         shapeAudio,
	},
}

// findEvent returns which body an event has: by the whole word, or by how it begins.
func findEvent(word string) (shape, callnormv1.Mapping, bool) {
	if meaning, mapping, ok := events.Known(word); ok {
		return meaning, mapping, true
	}
	plain := words.Plain(word)
	for family, meaning := range events.Documented {
		if strings.HasPrefix(plain, family+"_") || strings.HasPrefix(plain, family+".") {
			return meaning, callnormv1.Mapping_MAPPING_PREFIX, true
		}
	}
	return 0, callnormv1.Mapping_MAPPING_UNSPECIFIED, false
}

// foreign holds how the other events of a workspace begin, which come to the same address: of voices (voice_removal_notice,
// voice_removal_notice_withdrawn, voice_removed), transcriptions of files, dubbing, flows, and the tests of agents.
var foreign = []string{"voice_", "speech_to_text", "dubbing", "flows_", "agent_qa", "agent_test", "studio_", "workspace_"}

func isForeign(word string) bool {
	plain := words.Plain(word)
	for _, family := range foreign {
		if strings.HasPrefix(plain, family) {
			return true
		}
	}
	return false
}

type statusMeaning struct {
	status  callnormv1.CallStatus
	open    bool // the conversation is not over
	pending bool // it is, and its analysis is not
}

var statuses = words.Table[statusMeaning]{
	Documented: map[string]statusMeaning{
		"initiated":   {status: callnormv1.CallStatus_CALL_STATUS_INITIATED, open: true},
		"in_progress": {status: callnormv1.CallStatus_CALL_STATUS_IN_PROGRESS, open: true},
		"done":        {status: callnormv1.CallStatus_CALL_STATUS_COMPLETED},
		"failed":      {status: callnormv1.CallStatus_CALL_STATUS_FAILED},
	},
	Seen: map[string]statusMeaning{
		// It is documented; that the conversation is one that will be `done` is likely, not certain.
		"processing": {status: callnormv1.CallStatus_CALL_STATUS_COMPLETED, pending: true},
	},
	Other: statusMeaning{status: callnormv1.CallStatus_CALL_STATUS_OTHER},
}

// failureMeaning is what a word on a call that did not come about answers.
type failureMeaning struct {
	status callnormv1.CallStatus
	reason callnormv1.EndReason
}

// failures holds the words of `failure_reason`.
var failures = words.Table[failureMeaning]{
	Documented: map[string]failureMeaning{
		"busy":      {callnormv1.CallStatus_CALL_STATUS_BUSY, callnormv1.EndReason_END_REASON_BUSY},
		"no_answer": {callnormv1.CallStatus_CALL_STATUS_NO_ANSWER, callnormv1.EndReason_END_REASON_NO_ANSWER},
		"unknown":   {status: callnormv1.CallStatus_CALL_STATUS_FAILED}, // why, the carrier may tell
	},
	Other: failureMeaning{callnormv1.CallStatus_CALL_STATUS_OTHER, callnormv1.EndReason_END_REASON_OTHER},
}

// carrierStatuses holds what Twilio's `CallStatus` says of a call that did not come about.
var carrierStatuses = words.Table[failureMeaning]{
	Documented: map[string]failureMeaning{
		"busy":      {callnormv1.CallStatus_CALL_STATUS_BUSY, callnormv1.EndReason_END_REASON_BUSY},
		"no_answer": {callnormv1.CallStatus_CALL_STATUS_NO_ANSWER, callnormv1.EndReason_END_REASON_NO_ANSWER},
		"canceled":  {callnormv1.CallStatus_CALL_STATUS_CANCELED, callnormv1.EndReason_END_REASON_CANCELED_BEFORE_ANSWER},
		"failed":    {status: callnormv1.CallStatus_CALL_STATUS_FAILED},
	},
	Other: failureMeaning{status: callnormv1.CallStatus_CALL_STATUS_OTHER},
}

var directions = words.Table[callnormv1.Direction]{
	Documented: map[string]callnormv1.Direction{
		"inbound":       callnormv1.Direction_DIRECTION_INBOUND,
		"outbound":      callnormv1.Direction_DIRECTION_OUTBOUND,
		"unknown":       callnormv1.Direction_DIRECTION_UNSPECIFIED, // ElevenLabs says that it does not know.
		"outbound_api":  callnormv1.Direction_DIRECTION_OUTBOUND,    // These two are Twilio's.
		"outbound_dial": callnormv1.Direction_DIRECTION_OUTBOUND,
	},
	Other: callnormv1.Direction_DIRECTION_OTHER,
}

// sources holds where conversations are begun. Whoever is connected through a contact centre or a trunk is on the telephone.
var sources = words.Table[callnormv1.Channel]{
	Documented: map[string]callnormv1.Channel{
		"unknown":                callnormv1.Channel_CHANNEL_UNSPECIFIED, // ElevenLabs says that it does not know.
		"twilio":                 callnormv1.Channel_CHANNEL_PHONE,
		"exotel":                 callnormv1.Channel_CHANNEL_PHONE,
		"sip_trunk":              callnormv1.Channel_CHANNEL_PHONE,
		"genesys":                callnormv1.Channel_CHANNEL_PHONE,
		"android_sdk":            callnormv1.Channel_CHANNEL_WEB,
		"node_js_sdk":            callnormv1.Channel_CHANNEL_WEB,
		"react_native_sdk":       callnormv1.Channel_CHANNEL_WEB,
		"react_sdk":              callnormv1.Channel_CHANNEL_WEB,
		"js_sdk":                 callnormv1.Channel_CHANNEL_WEB,
		"python_sdk":             callnormv1.Channel_CHANNEL_WEB,
		"swift_sdk":              callnormv1.Channel_CHANNEL_WEB,
		"flutter_sdk":            callnormv1.Channel_CHANNEL_WEB,
		"widget":                 callnormv1.Channel_CHANNEL_WEB,
		"template_preview":       callnormv1.Channel_CHANNEL_WEB,
		"whatsapp":               callnormv1.Channel_CHANNEL_WHATSAPP,
		"twilio_sms":             callnormv1.Channel_CHANNEL_SMS,
		"zendesk_integration":    callnormv1.Channel_CHANNEL_TEXT,
		"slack_integration":      callnormv1.Channel_CHANNEL_TEXT,
		"telegram_integration":   callnormv1.Channel_CHANNEL_TEXT,
		"intercom_integration":   callnormv1.Channel_CHANNEL_TEXT,
		"freshdesk_integration":  callnormv1.Channel_CHANNEL_TEXT,
		"salesforce_integration": callnormv1.Channel_CHANNEL_TEXT,
		"genesys_bot_connector":  callnormv1.Channel_CHANNEL_OTHER, // written or spoken
		"subagent_tool":          callnormv1.Channel_CHANNEL_OTHER, // another agent
	},
	Seen: map[string]callnormv1.Channel{
		"avaya":      callnormv1.Channel_CHANNEL_PHONE,
		"audiocodes": callnormv1.Channel_CHANNEL_PHONE,
	},
	Other: callnormv1.Channel_CHANNEL_OTHER,
}

// authorizations holds those ways of getting in that tell the channel. The others are open to several.
var authorizations = words.Table[callnormv1.Channel]{
	Seen: map[string]callnormv1.Channel{
		"genesys_api_key": callnormv1.Channel_CHANNEL_PHONE,
		"whatsapp":        callnormv1.Channel_CHANNEL_WHATSAPP,
		"sms":             callnormv1.Channel_CHANNEL_SMS,
	},
}

// carriers names the systems whose ids stand in `call_sid`, by the type of the telephone call.
var carriers = words.Table[string]{
	Documented: map[string]string{"twilio": "twilio", "exotel": "exotel"},
}

var speakers = words.Table[callnormv1.ParticipantRole]{
	Documented: map[string]callnormv1.ParticipantRole{
		"agent": callnormv1.ParticipantRole_PARTICIPANT_ROLE_AI_AGENT,
		"user":  callnormv1.ParticipantRole_PARTICIPANT_ROLE_CUSTOMER,
	},
	Other: callnormv1.ParticipantRole_PARTICIPANT_ROLE_OTHER,
}

var successes = words.Table[callnormv1.GoalResult]{
	Documented: map[string]callnormv1.GoalResult{
		"success": callnormv1.GoalResult_GOAL_RESULT_ACHIEVED,
		"failure": callnormv1.GoalResult_GOAL_RESULT_NOT_ACHIEVED,
		"unknown": callnormv1.GoalResult_GOAL_RESULT_UNKNOWN,
	},
	Other: callnormv1.GoalResult_GOAL_RESULT_OTHER,
}

var verdicts = words.Table[callnormv1.EvaluationResult]{
	Documented: map[string]callnormv1.EvaluationResult{
		"success": callnormv1.EvaluationResult_EVALUATION_RESULT_PASSED,
		"failure": callnormv1.EvaluationResult_EVALUATION_RESULT_FAILED,
		"unknown": callnormv1.EvaluationResult_EVALUATION_RESULT_UNKNOWN,
	},
	Other: callnormv1.EvaluationResult_EVALUATION_RESULT_OTHER,
}

// judged returns what a word of the analysis means. The words are documented; which one stands there, a language model chose.
func judged[M any](table words.Table[M], notes *wire.Notes, w word) (M, callnormv1.Mapping) {
	if meaning, _, ok := table.Known(w.text); ok {
		return meaning, callnormv1.Mapping_MAPPING_LLM
	}
	return table.Find(notes, w.path, w.text)
}

// endMeaning is what a text on the end of a conversation answers.
type endMeaning struct {
	reason callnormv1.EndReason
	by     callnormv1.EndedBy
	fault  bool // something failed
}

// terminations holds what tells the ends of conversations apart: `termination_reason` is no list of words but free text, of which no
// full list is known. The first part that is found counts.
var terminations = []struct {
	part string
	endMeaning
}{
	{"voicemail", endMeaning{reason: callnormv1.EndReason_END_REASON_VOICEMAIL, by: callnormv1.EndedBy_ENDED_BY_SYSTEM}},
	{"quota", outOfMoney}, // "This request exceeds your quota limit."
	{"credit", outOfMoney},
	{"billing", outOfMoney},
	{"payment", outOfMoney},
	{"concurren", endMeaning{reason: callnormv1.EndReason_END_REASON_CONCURRENCY_LIMIT, by: callnormv1.EndedBy_ENDED_BY_SYSTEM, fault: true}},
	{"end_call", agentHungUp}, // "end_call tool was called."
	{"transfer failed", transferFailed},
	{"failed to transfer", transferFailed},
	{"transfer", handedOver},
	{"silence", fellSilent}, // "Ending conversation after 40 seconds of silence."
	{"inactiv", fellSilent},
	{"no response", fellSilent},
	{"not speak", fellSilent},
	{"not respond", fellSilent},
	{"no user input", fellSilent},
	{"no input", fellSilent},
	{"idle", fellSilent},
	{"llm", endMeaning{reason: callnormv1.EndReason_END_REASON_LLM_ERROR, by: callnormv1.EndedBy_ENDED_BY_SYSTEM, fault: true}},
	{"tts", endMeaning{reason: callnormv1.EndReason_END_REASON_TTS_ERROR, by: callnormv1.EndedBy_ENDED_BY_SYSTEM, fault: true}},
	{"asr", endMeaning{reason: callnormv1.EndReason_END_REASON_STT_ERROR, by: callnormv1.EndedBy_ENDED_BY_SYSTEM, fault: true}},
	{"remote party", customerHungUp},        // "Call ended by remote party"
	{"client disconnected", customerHungUp}, // also with the code of the connection's close behind it
	{"error", somethingFailed},
	{"fail", somethingFailed},
	{"exception", somethingFailed},
	{"duration", tookTooLong}, // also a maximal one
	{"maximum", tookTooLong},
	{"exceeded", timedOut}, // some limit
	{"timeout", timedOut},
	{"timed out", timedOut},
	{"time limit", timedOut},
	{"guardrail", endMeaning{reason: callnormv1.EndReason_END_REASON_CUSTOM_RULE, by: callnormv1.EndedBy_ENDED_BY_SYSTEM}},
	{"by the agent", agentHungUp},
	{"by agent", agentHungUp},
	{"agent ended", agentHungUp},
	// A text that only speaks of somebody, such as one who did not answer, does not say that he ended it.
	{"by the user", customerHungUp}, // "the conversation was ended by the user"
	{"by user", customerHungUp},
	{"user ended", customerHungUp},
	{"user hung up", customerHungUp},
	{"user hangup", customerHungUp},
	{"user left", customerHungUp},
	{"user disconnected", customerHungUp},
	{"by the caller", customerHungUp},
	{"by caller", customerHungUp},
	{"caller ended", customerHungUp},
	{"caller hung up", customerHungUp},
	{"by the customer", customerHungUp},
	{"by customer", customerHungUp},
	{"customer ended", customerHungUp},
	{"customer hung up", customerHungUp},
}

// What several parts mean.
var (
	customerHungUp  = endMeaning{reason: callnormv1.EndReason_END_REASON_CUSTOMER_HANGUP, by: callnormv1.EndedBy_ENDED_BY_CUSTOMER}
	agentHungUp     = endMeaning{reason: callnormv1.EndReason_END_REASON_AGENT_HANGUP, by: callnormv1.EndedBy_ENDED_BY_AGENT}
	handedOver      = endMeaning{reason: callnormv1.EndReason_END_REASON_TRANSFERRED}
	transferFailed  = endMeaning{reason: callnormv1.EndReason_END_REASON_TRANSFER_FAILED, fault: true}
	fellSilent      = endMeaning{reason: callnormv1.EndReason_END_REASON_SILENCE_TIMEOUT, by: callnormv1.EndedBy_ENDED_BY_SYSTEM}
	tookTooLong     = endMeaning{reason: callnormv1.EndReason_END_REASON_MAX_DURATION, by: callnormv1.EndedBy_ENDED_BY_SYSTEM}
	timedOut        = endMeaning{reason: callnormv1.EndReason_END_REASON_TIMEOUT, by: callnormv1.EndedBy_ENDED_BY_SYSTEM}
	outOfMoney      = endMeaning{reason: callnormv1.EndReason_END_REASON_QUOTA_OR_BILLING, by: callnormv1.EndedBy_ENDED_BY_SYSTEM, fault: true}
	somethingFailed = endMeaning{reason: callnormv1.EndReason_END_REASON_ERROR, by: callnormv1.EndedBy_ENDED_BY_SYSTEM, fault: true}
	platformFailed  = endMeaning{reason: callnormv1.EndReason_END_REASON_PLATFORM_ERROR, by: callnormv1.EndedBy_ENDED_BY_SYSTEM, fault: true}
)

// blanks writes a text in words, as it is where it is a name (`user_ended`).
var blanks = strings.NewReplacer("_", " ", "-", " ")

// findTermination returns what a text on the end means, if it holds a part that tells.
func findTermination(text string) (endMeaning, bool) {
	text = strings.ToLower(text)
	spaced := blanks.Replace(text)
	for _, t := range terminations {
		if strings.Contains(text, t.part) || strings.Contains(spaced, t.part) {
			return t.endMeaning, true
		}
	}
	return endMeaning{}, false
}
