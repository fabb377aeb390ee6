package synthflow

import (
	"slices"
	"strings"
	"time"

	"github.com/callnorm/callnorm/adapters/internal/wire"
	"github.com/callnorm/callnorm/adapters/internal/words"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// statusMeaning is what one word of call.status answers. It answers more than one question.
type statusMeaning struct {
	status      callnormv1.CallStatus
	answeredBy  callnormv1.AnsweredByKind
	end         callnormv1.EndReason
	voicemail   bool
	messageLeft bool
	open        bool // the call is not over
}

var statuses = words.Table[statusMeaning]{
	Documented: map[string]statusMeaning{
		"pending":     {status: callnormv1.CallStatus_CALL_STATUS_QUEUED, open: true},
		"queue":       {status: callnormv1.CallStatus_CALL_STATUS_QUEUED, open: true},
		"registered":  {status: callnormv1.CallStatus_CALL_STATUS_QUEUED, open: true},
		"initiated":   {status: callnormv1.CallStatus_CALL_STATUS_INITIATED, open: true},
		"ringing":     {status: callnormv1.CallStatus_CALL_STATUS_RINGING, open: true},
		"in_progress": {status: callnormv1.CallStatus_CALL_STATUS_IN_PROGRESS, open: true},
		"paused":      {status: callnormv1.CallStatus_CALL_STATUS_PAUSED, open: true},
		"completed":   {status: callnormv1.CallStatus_CALL_STATUS_COMPLETED},
		"no_answer":   {status: callnormv1.CallStatus_CALL_STATUS_NO_ANSWER},
		"busy":        {status: callnormv1.CallStatus_CALL_STATUS_BUSY},
		"failed":      {status: callnormv1.CallStatus_CALL_STATUS_FAILED},
		"canceled":    {status: callnormv1.CallStatus_CALL_STATUS_CANCELED},
		"user_canceled": {
			status: callnormv1.CallStatus_CALL_STATUS_CANCELED,
			end:    callnormv1.EndReason_END_REASON_CANCELED_BEFORE_ANSWER,
		},
		"spam": {
			status: callnormv1.CallStatus_CALL_STATUS_BLOCKED,
			end:    callnormv1.EndReason_END_REASON_MARKED_AS_SPAM,
		},
		"hangup_on_voicemail": {
			status:     callnormv1.CallStatus_CALL_STATUS_COMPLETED,
			answeredBy: callnormv1.AnsweredByKind_ANSWERED_BY_KIND_VOICEMAIL,
			voicemail:  true,
			end:        callnormv1.EndReason_END_REASON_VOICEMAIL_DETECTED_HANGUP,
		},
		"left_voicemail": {
			status:      callnormv1.CallStatus_CALL_STATUS_COMPLETED,
			answeredBy:  callnormv1.AnsweredByKind_ANSWERED_BY_KIND_VOICEMAIL,
			voicemail:   true,
			end:         callnormv1.EndReason_END_REASON_VOICEMAIL_LEFT,
			messageLeft: true,
		},
	},
	Seen: map[string]statusMeaning{
		"ended": {status: callnormv1.CallStatus_CALL_STATUS_COMPLETED},
		"voicemail": {
			status:     callnormv1.CallStatus_CALL_STATUS_COMPLETED,
			answeredBy: callnormv1.AnsweredByKind_ANSWERED_BY_KIND_VOICEMAIL,
			voicemail:  true,
			end:        callnormv1.EndReason_END_REASON_VOICEMAIL,
		},
		"voicemail_detected": {
			status:     callnormv1.CallStatus_CALL_STATUS_COMPLETED,
			answeredBy: callnormv1.AnsweredByKind_ANSWERED_BY_KIND_VOICEMAIL,
			voicemail:  true,
			end:        callnormv1.EndReason_END_REASON_VOICEMAIL,
		},
		"machine_detected": {
			status:     callnormv1.CallStatus_CALL_STATUS_COMPLETED,
			answeredBy: callnormv1.AnsweredByKind_ANSWERED_BY_KIND_MACHINE,
		},
	},
	Other: statusMeaning{status: callnormv1.CallStatus_CALL_STATUS_OTHER},
}

// endMeaning is what one word of end_call_reason answers.
type endMeaning struct {
	reason      callnormv1.EndReason
	by          callnormv1.EndedBy
	answeredBy  callnormv1.AnsweredByKind
	voicemail   bool
	messageLeft bool
	ambiguous   bool // the word may as well be an error
}

var endReasons = words.Table[endMeaning]{
	Documented: map[string]endMeaning{
		"voicemail": {
			reason:     callnormv1.EndReason_END_REASON_VOICEMAIL,
			answeredBy: callnormv1.AnsweredByKind_ANSWERED_BY_KIND_VOICEMAIL,
			voicemail:  true,
		},
		"voicemail_cut_off": {
			reason:     callnormv1.EndReason_END_REASON_VOICEMAIL,
			answeredBy: callnormv1.AnsweredByKind_ANSWERED_BY_KIND_VOICEMAIL,
			voicemail:  true,
		},
		"voicemail_message_left": {
			reason:      callnormv1.EndReason_END_REASON_VOICEMAIL_LEFT,
			answeredBy:  callnormv1.AnsweredByKind_ANSWERED_BY_KIND_VOICEMAIL,
			voicemail:   true,
			messageLeft: true,
		},
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
		"error":            {reason: callnormv1.EndReason_END_REASON_OTHER, ambiguous: true}, // nobody tells whose error
		"custom_end_call":  {reason: callnormv1.EndReason_END_REASON_CUSTOM_RULE},
		"user_canceled":    {reason: callnormv1.EndReason_END_REASON_CANCELED_BEFORE_ANSWER},
		"undefined":        {ambiguous: true}, // "The reason for the call ending is not specified."
	},
	Seen: map[string]endMeaning{
		"failed_to_start_outbound_call": {
			reason: callnormv1.EndReason_END_REASON_TELEPHONY_ERROR, by: callnormv1.EndedBy_ENDED_BY_SYSTEM,
		},
	},
	Other: endMeaning{reason: callnormv1.EndReason_END_REASON_OTHER},
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

// outcome says what a report amounts to.
func (p *report) outcome(event string) *callnormv1.CallOutcome {
	c, notes := &p.call, p.notes
	o := &callnormv1.CallOutcome{
		EventRaw:      event,
		TimeZone:      c.timezone,
		StartTime:     c.startTime,
		TotalDuration: c.duration,
		Contact:       p.contact,
		DivertedFrom:  c.diversion,
		Variables:     append(p.variables, c.variables...),
		Metadata:      p.metadata,
	}
	if event != "" {
		notes.Warn(callnormv1.WarningKind_WARNING_KIND_UNKNOWN_WORD, "event", "the post-call webhook has no event by its documentation")
	}
	// The map's order carries no meaning; by name it is at least always the same. Lists have no names, and keep theirs.
	slices.SortStableFunc(p.actions, func(a, b action) int { return strings.Compare(a.key, b.key) })
	p.setID(o)
	p.setStatus(o)
	p.setDirection(o)
	setEndTime(o, notes)
	p.setContact(o)
	p.setParties(o)
	p.setRecording(o)
	if c.leg != nil {
		o.Legs = []*callnormv1.CallLeg{c.leg}
	}
	o.Transcript = transcript(p.callPrefix+"transcript", c.transcript)
	p.setActions(o)
	o.ExtractedFields = append(o.ExtractedFields, p.collected...)
	p.setAnalysis(o)
	if o.GetTranscript() != nil {
		o.PresentParts = append(o.PresentParts, callnormv1.Part_PART_TRANSCRIPT)
	}
	if len(o.GetRecordings()) > 0 {
		o.PresentParts = append(o.PresentParts, callnormv1.Part_PART_RECORDING)
	}
	if o.GetAnalysis() != nil || len(o.GetEvaluations()) > 0 || len(o.GetExtractedFields()) > 0 {
		o.PresentParts = append(o.PresentParts, callnormv1.Part_PART_ANALYSIS)
	}
	o.Provenance = notes.Provenance()
	return o
}

// usable returns a text, unless a placeholder stands in its place: what Synthflow's redaction leaves is named as redacted,
// anything else is kept with a warning.
func (p *report) usable(o *callnormv1.CallOutcome, prefix, name, text string) string {
	if text == "" || !wire.Placeholder(text) {
		return text
	}
	path := prefix + name
	if redacted(text) {
		if o.GetCompliance() == nil {
			o.Compliance = &callnormv1.Compliance{}
		}
		o.Compliance.RedactedFields = append(o.Compliance.RedactedFields, path)
		return ""
	}
	p.notes.Warn(callnormv1.WarningKind_WARNING_KIND_PLACEHOLDER, path, "a placeholder instead of a value; it tells nothing")
	p.notes.UnmappedText(path, text)
	return ""
}

// redacted tells whether a text is what is left of a value that the provider removed before sending (its `redact_pii`).
func redacted(text string) bool {
	return strings.Trim(text, "Xx*#+- ") == "" || strings.Contains(text, "REDACTED") || strings.Contains(text, "redacted")
}

// differs keeps a text that tells the same fact as another one which counts, if the two are not the same.
func (p *report) differs(path, text, counts string) {
	if text != "" && words.Plain(text) != words.Plain(counts) {
		p.notes.Warn(callnormv1.WarningKind_WARNING_KIND_CONTRADICTION, path, "differs from another field that tells the same, which counts")
		p.notes.UnmappedText(path, text)
	}
}

// setID reads the ids. A placeholder is none: two deliveries with `[UUID]` are not one call.
func (p *report) setID(o *callnormv1.CallOutcome) {
	c := &p.call
	o.ProviderCallId = p.usable(o, p.callPrefix, "call_id", c.id)
	if record := p.usable(o, p.callPrefix, "_id", c.recordID); o.GetProviderCallId() == "" {
		o.ProviderCallId = record
	} else if record != o.GetProviderCallId() && record != "" {
		p.notes.UnmappedText(p.callPrefix+"_id", record)
	}
	if sid := p.usable(o, p.callPrefix, "call_sid", c.callSID); sid != "" {
		o.ExternalIds = append(o.ExternalIds, &callnormv1.ExternalId{System: carrierOf(sid), Id: sid})
	}
	if id := p.usable(o, p.callPrefix, "external_id", c.externalID); id != "" {
		o.ExternalIds = append(o.ExternalIds, &callnormv1.ExternalId{System: "client.id", Id: id})
	}
}

// carrierOf tells Twilio's call ids by their form; no other carrier's can be told.
func carrierOf(sid string) string {
	if rest, ok := strings.CutPrefix(sid, "CA"); ok && len(rest) == 32 && strings.Trim(rest, "0123456789abcdef") == "" {
		return "twilio.call_sid"
	}
	return "carrier.call_sid"
}

// setStatus reads status, reason and error together, since each has been seen in the place of another.
func (p *report) setStatus(o *callnormv1.CallOutcome) {
	raw, path := p.statusWord()
	status, mapping := statuses.Find(p.notes, path, raw)
	o.Status, o.StatusRaw, o.StatusMapping = status.status, raw, mapping

	reason, errorText := p.misplaced()
	end, endMapping := endReasons.Find(p.notes, reason.path, reason.word)
	if reason.word != "" && reason.path == p.prefix+"error_message" {
		endMapping = callnormv1.Mapping_MAPPING_HEURISTIC
	}
	untold := end.reason == callnormv1.EndReason_END_REASON_UNSPECIFIED
	switch {
	case untold && status.end != callnormv1.EndReason_END_REASON_UNSPECIFIED:
		o.End = &callnormv1.CallEnd{Reason: status.end, ReasonRaw: raw, ReasonMapping: mapping}
		if reason.word != "" { // "undefined" tells less than the status does
			p.notes.UnmappedText(reason.path, reason.word)
		}
	case reason.word != "":
		o.End = &callnormv1.CallEnd{Reason: end.reason, ReasonRaw: reason.word, ReasonMapping: endMapping}
		if end.by != callnormv1.EndedBy_ENDED_BY_UNSPECIFIED {
			o.End.EndedBy, o.End.EndedByRaw, o.End.EndedByMapping = end.by, reason.word, endMapping
		}
	}
	if p.call.customEndReason != "" {
		if o.GetEnd() == nil {
			o.End = &callnormv1.CallEnd{}
		}
		o.End.Detail = p.call.customEndReason
	}
	if errorText != "" {
		o.Error = &callnormv1.CallError{Message: errorText}
	}

	// The reason is more specific about who answered than the status, but a goodbye does not make a machine a human. The
	// judge's opinion comes last (setAnalysis).
	switch {
	case isMachine(status.answeredBy) && end.answeredBy == callnormv1.AnsweredByKind_ANSWERED_BY_KIND_HUMAN:
		p.notes.Warn(callnormv1.WarningKind_WARNING_KIND_CONTRADICTION, reason.path, "the reason tells of a human, the status of a machine, which counts")
		o.AnsweredBy = &callnormv1.AnsweredBy{Value: status.answeredBy, Raw: raw, Mapping: mapping}
	case end.answeredBy != callnormv1.AnsweredByKind_ANSWERED_BY_KIND_UNSPECIFIED:
		o.AnsweredBy = &callnormv1.AnsweredBy{Value: end.answeredBy, Raw: reason.word, Mapping: endMapping}
	case status.answeredBy != callnormv1.AnsweredByKind_ANSWERED_BY_KIND_UNSPECIFIED:
		o.AnsweredBy = &callnormv1.AnsweredBy{Value: status.answeredBy, Raw: raw, Mapping: mapping}
	}
	if status.voicemail || end.voicemail {
		yes := true
		o.Voicemail = &callnormv1.Voicemail{Detected: &yes}
		if end.messageLeft || status.messageLeft {
			o.Voicemail.MessageLeft = &yes
		}
	}

	switch {
	case status.open && status.status == callnormv1.CallStatus_CALL_STATUS_QUEUED:
		o.Event, o.Completeness = callnormv1.EventKind_EVENT_KIND_CALL_SCHEDULED, callnormv1.Completeness_COMPLETENESS_PARTIAL
	case status.open:
		o.Event, o.Completeness = callnormv1.EventKind_EVENT_KIND_CALL_PROGRESS, callnormv1.Completeness_COMPLETENESS_PARTIAL
	case raw == "" && o.GetEnd() == nil && o.GetTotalDuration() == nil:
		// Nothing in it tells that the call is over.
		o.Event, o.Completeness = callnormv1.EventKind_EVENT_KIND_CALL_REPORTED, callnormv1.Completeness_COMPLETENESS_PARTIAL
	default:
		// By its documentation the webhook comes after the call has ended, so an unknown status does not keep it open.
		o.Event, o.Completeness = callnormv1.EventKind_EVENT_KIND_CALL_REPORTED, callnormv1.Completeness_COMPLETENESS_FINAL
		o.PresentParts = append(o.PresentParts, callnormv1.Part_PART_RESULT)
	}
	o.EventMapping = callnormv1.Mapping_MAPPING_HEURISTIC
}

// statusWord returns the status and its path. The one of the call is the one that the documentation explains.
func (p *report) statusWord() (string, string) {
	c := &p.call
	switch {
	case c.status != "":
		p.differs(p.callPrefix+"call_status", c.recordStatus, c.status)
		p.differs(p.prefix+"status", p.status, c.status)
		return c.status, p.callPrefix + "status"
	case c.recordStatus != "":
		p.differs(p.prefix+"status", p.status, c.recordStatus)
		return c.recordStatus, p.callPrefix + "call_status"
	default:
		return p.status, p.prefix + "status"
	}
}

func isMachine(kind callnormv1.AnsweredByKind) bool {
	return kind == callnormv1.AnsweredByKind_ANSWERED_BY_KIND_VOICEMAIL || kind == callnormv1.AnsweredByKind_ANSWERED_BY_KIND_MACHINE
}

type placedWord struct{ word, path string }

// misplaced sorts out two fields that Anunzi's documentation shows with each other's contents: `error_message` holds an end
// reason ("agent_goodbye") while `call.end_call_reason` holds a status ("completed"). A documented end reason counts wherever
// it stands, and is no error, unless the word could be an error just as well.
func (p *report) misplaced() (placedWord, string) {
	reason := placedWord{word: p.call.endReason, path: p.callPrefix + "end_call_reason"}
	if _, _, isStatus := statuses.Known(reason.word); isStatus {
		if _, _, isReason := endReasons.Known(reason.word); !isReason {
			p.notes.Warn(callnormv1.WarningKind_WARNING_KIND_MISPLACED, reason.path, "a status stands in the place of a reason")
			p.notes.UnmappedText(reason.path, reason.word)
			reason.word = ""
		}
	}
	errorPath := p.prefix + "error_message"
	if end, mapping, _ := endReasons.Known(p.errorMessage); mapping != callnormv1.Mapping_MAPPING_EXACT || end.ambiguous {
		return reason, p.errorMessage
	}
	p.notes.Warn(callnormv1.WarningKind_WARNING_KIND_MISPLACED, errorPath, "a reason stands in the place of an error")
	if reason.word == "" {
		return placedWord{word: p.errorMessage, path: errorPath}, ""
	}
	if reason.word != p.errorMessage {
		p.differs(errorPath, p.errorMessage, reason.word)
	}
	return reason, ""
}

// setDirection reads the direction, which only records of the API tell; no hint in the webhook is reliable. One of their two
// fields may say "Test" instead.
func (p *report) setDirection(o *callnormv1.CallOutcome) {
	word, path := p.call.typeOfCall, p.callPrefix+"type_of_call"
	other, otherPath := p.call.campaignType, p.callPrefix+"campaign_type"
	if word == "" || isTest(word) && other != "" {
		word, path, other, otherPath = other, otherPath, word, path
	}
	if isTest(word) || isTest(other) {
		yes := true
		o.Test = &yes
	}
	o.DirectionRaw = word
	if !isTest(word) {
		o.Direction, o.DirectionMapping = typesOfCall.Find(p.notes, path, word)
	}
	if !isTest(other) {
		p.differs(otherPath, other, word)
	}
}

func isTest(word string) bool { return words.Plain(word) == "test" }

// setEndTime computes the end, which no version of the webhook tells.
func setEndTime(o *callnormv1.CallOutcome, notes *wire.Notes) {
	if o.GetStartTime() == nil || o.GetTotalDuration() == nil || o.GetCompleteness() != callnormv1.Completeness_COMPLETENESS_FINAL {
		return
	}
	o.EndTime = timestamppb.New(o.GetStartTime().AsTime().Add(o.GetTotalDuration().AsDuration()))
	notes.Derived("end_time")
}

// setContact looks for placeholders among what is told of the contact. A number stays as it was received.
func (p *report) setContact(o *callnormv1.CallOutcome) {
	contact := p.contact
	if contact == nil {
		return
	}
	contact.DisplayName = p.usable(o, p.prefix, "lead.name", contact.GetDisplayName())
	contact.Emails = slices.DeleteFunc(contact.GetEmails(), func(email string) bool { return p.usable(o, p.prefix, "lead.email", email) == "" })
	for _, number := range contact.GetPhones() {
		if redacted(number.GetAsReceived()) {
			p.usable(o, p.prefix, "lead.phone_number", number.GetAsReceived())
		}
	}
	if contact.GetDisplayName() == "" && len(contact.GetEmails()) == 0 && len(contact.GetPhones()) == 0 {
		o.Contact = nil
	}
}

func (p *report) setParties(o *callnormv1.CallOutcome) {
	c := &p.call
	if c.from != nil {
		o.Caller = &callnormv1.Endpoint{Phone: c.from}
	}
	if c.to != nil {
		o.Callee = &callnormv1.Endpoint{Phone: c.to}
	}
	agent := &callnormv1.Agent{Id: p.usable(o, p.callPrefix, "model_id", c.modelID), OtherAgents: c.agents}
	before := ""
	for i := range p.actions {
		a := &p.actions[i]
		if a.workspaceID == before {
			continue
		}
		before = a.workspaceID
		if id := p.usable(o, a.path, ".workspace_id", before); agent.GetWorkspaceId() == "" {
			agent.WorkspaceId = id
		} else {
			p.differs(a.path+".workspace_id", id, agent.GetWorkspaceId())
		}
	}
	if agent.GetId() != "" || agent.GetWorkspaceId() != "" || len(agent.GetOtherAgents()) > 0 {
		o.Agent = agent
	}
}

func (p *report) setRecording(o *callnormv1.CallOutcome) {
	uri := p.usable(o, p.callPrefix, "recording_url", p.call.recordingURI)
	id := p.usable(o, p.callPrefix, "recording_sid", p.call.recordingID)
	if uri != "" || id != "" {
		o.Recordings = []*callnormv1.Recording{{Uri: uri, Id: id}}
	}
}

func (p *report) setActions(o *callnormv1.CallOutcome) {
	for i := range p.actions {
		a := &p.actions[i]
		extractor := isExtractor(a.kind) || isExtractor(firstText(a.name, a.key))
		if !extractor && a.condition != "" {
			p.notes.UnmappedText(a.path+".parameters_hard_coded.condition", a.condition)
		}
		tool := &callnormv1.ToolCall{
			Id: p.usable(o, a.path, ".action_id", a.id), Tool: firstText(a.name, a.key), KindRaw: a.kind, Description: a.description,
			ArgumentsJson: a.arguments, ResultJson: a.result, Error: a.errorMessage,
			StartTime: a.time, BeforeCall: a.beforeCall, Relevant: a.relevant,
		}
		o.ToolCalls = append(o.ToolCalls, tool)
		if a.name != "" && a.key != "" && a.key != a.name && tool.GetId() == "" {
			tool.Id = a.key
		}
		switch {
		case a.time == nil:
			tool.StartTime = a.naiveTime
		case a.naiveTime != nil && a.time.AsTime().Sub(a.naiveTime.AsTime()).Abs() > time.Second:
			p.notes.Warn(callnormv1.WarningKind_WARNING_KIND_CONTRADICTION, a.path+".timestamp_datetime", "read as UTC, it differs from timestamp, which counts")
		}
		if extractor {
			o.ExtractedFields = append(o.ExtractedFields, a.extracted(tool)...)
			continue
		}
		tool.StatusRaw = a.status()
		if strings.Contains(a.kind, "transfer") || a.kind == "" && strings.Contains(tool.GetTool(), "transfer") {
			result, _ := transferResults.Find(p.notes, a.path+".return_value.status", tool.GetStatusRaw())
			o.Transfers = append(o.Transfers, &callnormv1.Transfer{
				KindRaw: a.kind, Result: result, ResultRaw: tool.GetStatusRaw(), StartTime: tool.GetStartTime(), Reason: a.errorMessage,
			})
		}
	}
}

// status returns the status within the result, where a failed transfer may show and nowhere else.
func (a *action) status() string {
	for _, value := range a.values {
		if value.GetName() == "status" {
			return value.GetValue().GetStringValue()
		}
	}
	return ""
}

// isExtractor tells extractors, old and new, by how their kinds and names begin.
func isExtractor(name string) bool {
	return strings.HasPrefix(name, "extract_info") || strings.HasPrefix(name, "info_extractor") ||
		strings.HasPrefix(name, "information_extractor")
}

// extracted returns the fields that an extractor found. They are named by the keys of the result: the configured identifier is
// cut at its first blank.
func (a *action) extracted(tool *callnormv1.ToolCall) []*callnormv1.ExtractedField {
	const source = "executed_actions"
	yes, no := true, false
	if len(a.values) == 0 {
		name := strings.TrimPrefix(strings.TrimPrefix(tool.GetTool(), "extract_info_"), "info_extractor_")
		field := &callnormv1.ExtractedField{
			Name: name, Question: a.condition, Value: a.value, Source: source, GroupId: tool.GetId(),
		}
		switch {
		case a.value != nil:
			field.Collected = &yes
		case a.answered && !a.broken:
			field.Collected = &no
		}
		return []*callnormv1.ExtractedField{field}
	}
	fields := make([]*callnormv1.ExtractedField, len(a.values))
	for i, value := range a.values {
		fields[i] = &callnormv1.ExtractedField{
			Name: value.GetName(), Question: a.condition, Collected: &no, Source: source, GroupId: tool.GetId(),
		}
		if !isNothing(value.GetValue()) {
			fields[i].Value, fields[i].Collected = value.GetValue(), &yes
		}
	}
	return fields
}

// isNothing tells the forms in which an extractor says that it found nothing.
func isNothing(value *callnormv1.Value) bool {
	switch kind := value.GetKind().(type) {
	case nil:
		return true
	case *callnormv1.Value_StringValue:
		return strings.TrimSpace(kind.StringValue) == ""
	case *callnormv1.Value_JsonValue:
		return kind.JsonValue == "{}" || kind.JsonValue == "[]"
	default:
		return false
	}
}

// setAnalysis reads the judge's verdicts: `call_summary` and `user_sentiment` are verdicts as well, on how the agent summed up
// and treated the contact; the summary's text stands in `call_summary_feedback`, and no mood is told.
func (p *report) setAnalysis(o *callnormv1.CallOutcome) {
	a := &p.analysis
	if len(a.judgements) == 0 && a.all == "" {
		return
	}
	analysis := &callnormv1.Analysis{Feedback: a.all}
	o.Evaluations = make([]*callnormv1.Evaluation, 0, len(a.judgements))
	evaluations := make([]callnormv1.Evaluation, len(a.judgements))
	for i, j := range a.judgements {
		switch {
		case j.criterion == "call_summary" && j.remark != "":
			analysis.Summary = j.remark
			continue
		case j.remark != "" && i > 0 && a.judgements[i-1].criterion == j.criterion:
			o.Evaluations[len(o.GetEvaluations())-1].Rationale = j.remark
			continue
		}
		e := &evaluations[i]
		e.Criterion, e.ResultRaw, e.Value, e.Rationale = j.criterion, j.word, j.value, j.remark
		e.Result, e.ResultMapping = judged(verdicts, p, j)
		o.Evaluations = append(o.Evaluations, e)
		switch {
		case j.word == "":
		case j.criterion == "goal":
			goal, mapping := judged(goals, p, j)
			o.Disposition = &callnormv1.Disposition{Goal: goal, GoalRaw: j.word, GoalMapping: mapping}
		case j.criterion == "answered_by_human":
			p.setJudgedAnswer(o, j.word)
		}
	}
	if analysis.GetSummary() != "" || analysis.GetFeedback() != "" {
		o.Analysis = analysis
	}
}

// judged returns what the judge's word means. The words are documented; which one stands there, a language model chose.
func judged[M any](table words.Table[M], p *report, j judgement) (M, callnormv1.Mapping) {
	if meaning, _, ok := table.Known(j.word); ok {
		return meaning, callnormv1.Mapping_MAPPING_LLM
	}
	return table.Find(p.notes, p.prefix+"analysis."+j.criterion, j.word)
}

// setJudgedAnswer reads the judge's opinion on who answered. It counts only where no documented word tells.
func (p *report) setJudgedAnswer(o *callnormv1.CallOutcome, word string) {
	plain, told := words.Plain(word), o.GetAnsweredBy().GetValue()
	switch {
	case plain == "true" && o.GetAnsweredBy() == nil:
		o.AnsweredBy = &callnormv1.AnsweredBy{
			Value: callnormv1.AnsweredByKind_ANSWERED_BY_KIND_HUMAN, Raw: word, Mapping: callnormv1.Mapping_MAPPING_LLM,
		}
	case plain == "true" && isMachine(told), plain == "false" && told == callnormv1.AnsweredByKind_ANSWERED_BY_KIND_HUMAN:
		p.notes.Warn(callnormv1.WarningKind_WARNING_KIND_CONTRADICTION, p.prefix+"analysis.answered_by_human",
			"the judge differs from the words on the call, which count")
	}
}

// speakers are the prefixes of a transcript's lines.
var speakers = map[string]callnormv1.ParticipantRole{
	"bot":       callnormv1.ParticipantRole_PARTICIPANT_ROLE_AI_AGENT,
	"assistant": callnormv1.ParticipantRole_PARTICIPANT_ROLE_AI_AGENT,
	"human":     callnormv1.ParticipantRole_PARTICIPANT_ROLE_CUSTOMER,
}

// transcript divides the text into turns at lines that begin with a speaker. What a line says may itself hold colons and
// brackets; a line without a speaker goes on with the turn before it.
func transcript(source, text string) *callnormv1.Transcript {
	if strings.TrimSpace(text) == "" {
		return nil
	}
	const usual = 32
	t := &callnormv1.Transcript{Source: source, Turns: make([]*callnormv1.TranscriptTurn, 0, min(usual, 1+strings.Count(text, "\n")))}
	var turn *callnormv1.TranscriptTurn
	var lines []string // of the turn
	begin := func(next *callnormv1.TranscriptTurn) {
		if turn != nil {
			turn.Text = strings.Join(lines, "\n")
			t.Turns = append(t.Turns, turn)
		}
		turn, lines = next, lines[:0]
	}
	for line := range strings.SplitSeq(text, "\n") {
		if prefix, said, ok := strings.Cut(line, ":"); ok {
			if role, known := speakers[prefix]; known {
				begin(&callnormv1.TranscriptTurn{Role: role, RoleRaw: prefix})
				line = said
			}
		}
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		if turn == nil {
			begin(&callnormv1.TranscriptTurn{})
		}
		lines = append(lines, line)
	}
	begin(nil)
	return t
}
