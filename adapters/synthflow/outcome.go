package synthflow

import (
	"slices"
	"strings"

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
			end:        callnormv1.EndReason_END_REASON_VOICEMAIL_DETECTED_HANGUP,
		},
		"left_voicemail": {
			status:      callnormv1.CallStatus_CALL_STATUS_COMPLETED,
			answeredBy:  callnormv1.AnsweredByKind_ANSWERED_BY_KIND_VOICEMAIL,
			end:         callnormv1.EndReason_END_REASON_VOICEMAIL_LEFT,
			messageLeft: true,
		},
	},
	Seen: map[string]statusMeaning{
		"ended": {status: callnormv1.CallStatus_CALL_STATUS_COMPLETED},
		"voicemail": {
			status:     callnormv1.CallStatus_CALL_STATUS_COMPLETED,
			answeredBy: callnormv1.AnsweredByKind_ANSWERED_BY_KIND_VOICEMAIL,
			end:        callnormv1.EndReason_END_REASON_VOICEMAIL,
		},
		"voicemail_detected": {
			status:     callnormv1.CallStatus_CALL_STATUS_COMPLETED,
			answeredBy: callnormv1.AnsweredByKind_ANSWERED_BY_KIND_VOICEMAIL,
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
	messageLeft bool
}

var endReasons = words.Table[endMeaning]{
	Documented: map[string]endMeaning{
		"voicemail": {
			reason:     callnormv1.EndReason_END_REASON_VOICEMAIL,
			answeredBy: callnormv1.AnsweredByKind_ANSWERED_BY_KIND_VOICEMAIL,
		},
		"voicemail_cut_off": {
			reason:     callnormv1.EndReason_END_REASON_VOICEMAIL,
			answeredBy: callnormv1.AnsweredByKind_ANSWERED_BY_KIND_VOICEMAIL,
		},
		"voicemail_message_left": {
			reason:      callnormv1.EndReason_END_REASON_VOICEMAIL_LEFT,
			answeredBy:  callnormv1.AnsweredByKind_ANSWERED_BY_KIND_VOICEMAIL,
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
		"timeout":          {reason: callnormv1.EndReason_END_REASON_TIMEOUT, by: callnormv1.EndedBy_ENDED_BY_SYSTEM},
		"error":            {reason: callnormv1.EndReason_END_REASON_PLATFORM_ERROR, by: callnormv1.EndedBy_ENDED_BY_SYSTEM},
		"custom_end_call":  {reason: callnormv1.EndReason_END_REASON_CUSTOM_RULE},
		"user_canceled":    {reason: callnormv1.EndReason_END_REASON_CANCELED_BEFORE_ANSWER},
		"undefined":        {}, // "The reason for the call ending is not specified."
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

// outcome says what a call amounts to.
func (p *payload) outcome(c *call) *callnormv1.CallOutcome {
	notes := c.notes
	o := &callnormv1.CallOutcome{
		ProviderCallId: c.identity(),
		TimeZone:       c.timezone,
		StartTime:      c.startTime,
		TotalDuration:  c.duration,
		Contact:        p.contact,
		DivertedFrom:   c.diversion,
		Variables:      append(p.variables, c.variables...),
		Metadata:       p.metadata,
	}
	if c.id != "" && o.GetProviderCallId() == "" {
		notes.Warn(callnormv1.WarningKind_WARNING_KIND_PLACEHOLDER, "call.call_id", "a placeholder instead of an id; it identifies nothing")
		notes.UnmappedText("call.call_id", c.id)
	}
	p.setStatus(o, c, notes)
	setDirection(o, c, notes)
	setEndTime(o, notes)
	p.setParties(o, c)
	setRecording(o, c)
	setIDs(o, c)
	if c.hasLeg {
		c.leg.KindRaw = "telephony"
		o.Legs = []*callnormv1.CallLeg{&c.leg}
	}
	o.Transcript = transcript(c.transcript)
	p.setActions(o, notes)
	o.ExtractedFields = append(o.ExtractedFields, p.collected...)
	p.analysis.set(o, notes)
	if o.GetTranscript() != nil {
		o.PresentParts = append(o.PresentParts, callnormv1.Part_PART_TRANSCRIPT)
	}
	if len(o.GetRecordings()) > 0 {
		o.PresentParts = append(o.PresentParts, callnormv1.Part_PART_RECORDING)
	}
	if o.GetAnalysis() != nil || len(o.GetExtractedFields()) > 0 {
		o.PresentParts = append(o.PresentParts, callnormv1.Part_PART_ANALYSIS)
	}
	o.Provenance = notes.Provenance()
	return o
}

// setStatus reads status, reason and error together, since each has been seen in the place of another.
func (p *payload) setStatus(o *callnormv1.CallOutcome, c *call, notes *wire.Notes) {
	raw, path := c.status, "call.status"
	if raw == "" {
		raw, path = p.status, "status"
	} else if p.status != "" && words.Plain(p.status) != words.Plain(raw) && p.hasCall {
		// call.status is the one that the documentation explains.
		notes.Warn(callnormv1.WarningKind_WARNING_KIND_CONTRADICTION, "status", "differs from call.status, which counts")
		notes.UnmappedText("status", p.status)
	}
	status, mapping := statuses.Find(notes, path, raw)
	o.Status, o.StatusRaw, o.StatusMapping = status.status, raw, mapping

	reason, errorText := p.misplaced(c.endReason, notes)
	end, endMapping := endReasons.Find(notes, reason.path, reason.word)
	if reason.word != "" && reason.path != "call.end_call_reason" {
		endMapping = callnormv1.Mapping_MAPPING_HEURISTIC
	}
	switch {
	case reason.word != "":
		o.End = &callnormv1.CallEnd{Reason: end.reason, ReasonRaw: reason.word, ReasonMapping: endMapping, Detail: c.customEndReason}
		if end.by != callnormv1.EndedBy_ENDED_BY_UNSPECIFIED {
			o.End.EndedBy, o.End.EndedByRaw, o.End.EndedByMapping = end.by, reason.word, endMapping
		}
	case status.end != callnormv1.EndReason_END_REASON_UNSPECIFIED:
		o.End = &callnormv1.CallEnd{Reason: status.end, ReasonRaw: raw, ReasonMapping: mapping, Detail: c.customEndReason}
	case c.customEndReason != "":
		o.End = &callnormv1.CallEnd{Detail: c.customEndReason}
	}
	if errorText != "" {
		o.Error = &callnormv1.CallError{Message: errorText}
	}

	// The reason is more specific about who answered than the status; the judge's opinion comes last (analysis.set).
	if end.answeredBy != callnormv1.AnsweredByKind_ANSWERED_BY_KIND_UNSPECIFIED {
		o.AnsweredBy = &callnormv1.AnsweredBy{Value: end.answeredBy, Raw: reason.word, Mapping: endMapping}
	} else if status.answeredBy != callnormv1.AnsweredByKind_ANSWERED_BY_KIND_UNSPECIFIED {
		o.AnsweredBy = &callnormv1.AnsweredBy{Value: status.answeredBy, Raw: raw, Mapping: mapping}
	}
	machine := end.answeredBy == callnormv1.AnsweredByKind_ANSWERED_BY_KIND_VOICEMAIL ||
		status.answeredBy == callnormv1.AnsweredByKind_ANSWERED_BY_KIND_VOICEMAIL
	if machine {
		yes := true
		o.Voicemail = &callnormv1.Voicemail{Detected: &yes}
		if end.messageLeft || status.messageLeft {
			o.Voicemail.MessageLeft = &yes
		}
	}

	o.EventRaw = p.event
	switch {
	case status.open && status.status == callnormv1.CallStatus_CALL_STATUS_QUEUED:
		o.Event, o.Completeness = callnormv1.EventKind_EVENT_KIND_CALL_SCHEDULED, callnormv1.Completeness_COMPLETENESS_PARTIAL
	case status.open:
		o.Event, o.Completeness = callnormv1.EventKind_EVENT_KIND_CALL_PROGRESS, callnormv1.Completeness_COMPLETENESS_PARTIAL
	default:
		// By its documentation the webhook comes after the call has ended, so an unknown status does not keep it open.
		o.Event, o.Completeness = callnormv1.EventKind_EVENT_KIND_CALL_REPORTED, callnormv1.Completeness_COMPLETENESS_FINAL
		o.PresentParts = append(o.PresentParts, callnormv1.Part_PART_RESULT)
	}
	o.EventMapping = callnormv1.Mapping_MAPPING_HEURISTIC
}

type placedWord struct{ word, path string }

// misplaced sorts out two fields that Anunzi's documentation shows with each other's contents: `error_message` holds an end
// reason ("agent_goodbye") while `call.end_call_reason` holds a status ("completed"). A documented end reason counts wherever
// it stands, and is no error.
func (p *payload) misplaced(endReason string, notes *wire.Notes) (placedWord, string) {
	reason := placedWord{word: endReason, path: "call.end_call_reason"}
	if _, _, isStatus := statuses.Known(endReason); isStatus {
		if _, _, isReason := endReasons.Known(endReason); !isReason {
			notes.Warn(callnormv1.WarningKind_WARNING_KIND_MISPLACED, reason.path, "a status stands in the place of a reason")
			notes.UnmappedText(reason.path, endReason)
			reason.word = ""
		}
	}
	if _, mapping, isReason := endReasons.Known(p.errorMessage); isReason && mapping == callnormv1.Mapping_MAPPING_EXACT && p.errorMessage != "error" {
		if reason.word == "" {
			notes.Warn(callnormv1.WarningKind_WARNING_KIND_MISPLACED, "error_message", "a reason stands in the place of an error")
			return placedWord{word: p.errorMessage, path: "error_message"}, ""
		}
		if words.Plain(reason.word) == words.Plain(p.errorMessage) {
			return reason, ""
		}
	}
	return reason, p.errorMessage
}

func setDirection(o *callnormv1.CallOutcome, c *call, notes *wire.Notes) {
	if c.typeOfCall == "" {
		return // The webhook does not tell, and no hint in it is reliable.
	}
	o.DirectionRaw = c.typeOfCall
	if words.Plain(c.typeOfCall) == "test" {
		yes := true
		o.Test = &yes
		return
	}
	o.Direction, o.DirectionMapping = typesOfCall.Find(notes, "type_of_call", c.typeOfCall)
}

// setEndTime computes the end, which no version of the webhook tells.
func setEndTime(o *callnormv1.CallOutcome, notes *wire.Notes) {
	if o.GetStartTime() == nil || o.GetTotalDuration() == nil || o.GetCompleteness() != callnormv1.Completeness_COMPLETENESS_FINAL {
		return
	}
	o.EndTime = timestamppb.New(o.GetStartTime().AsTime().Add(o.GetTotalDuration().AsDuration()))
	notes.Derived("end_time")
}

func (p *payload) setParties(o *callnormv1.CallOutcome, c *call) {
	if c.from != nil {
		o.From = &callnormv1.Endpoint{Phone: c.from}
	}
	if c.to != nil {
		o.To = &callnormv1.Endpoint{Phone: c.to}
	}
	agent := &callnormv1.Agent{OtherAgents: c.agents}
	if wire.Placeholder(c.modelID) {
		c.modelID = ""
	}
	agent.Id = c.modelID
	for _, a := range p.actions {
		if !wire.Placeholder(a.workspaceID) {
			agent.WorkspaceId = a.workspaceID
			break
		}
	}
	if agent.GetId() != "" || agent.GetWorkspaceId() != "" || len(agent.GetOtherAgents()) > 0 {
		o.Agent = agent
	}
	if p.phoneRaw != "" && wire.Placeholder(p.phoneRaw) {
		redacted(o, "lead.phone_number")
	}
}

func setRecording(o *callnormv1.CallOutcome, c *call) {
	uri := c.recordingURI
	if uri != "" && wire.Placeholder(uri) {
		redacted(o, "call.recording_url")
		uri = ""
	}
	if uri != "" || c.recordingID != "" {
		o.Recordings = []*callnormv1.Recording{{Uri: uri, Id: c.recordingID}}
	}
}

// redacted notes a field that the provider's own redaction emptied before sending.
func redacted(o *callnormv1.CallOutcome, path string) {
	if o.GetCompliance() == nil {
		o.Compliance = &callnormv1.Compliance{}
	}
	o.Compliance.RedactedFields = append(o.Compliance.RedactedFields, path)
}

func setIDs(o *callnormv1.CallOutcome, c *call) {
	if !wire.Placeholder(c.callSID) {
		system := "carrier.call_sid"
		if strings.HasPrefix(c.callSID, "CA") && len(c.callSID) == 34 {
			system = "twilio.call_sid"
		}
		o.ExternalIds = append(o.ExternalIds, &callnormv1.ExternalId{System: system, Id: c.callSID})
	}
	if !wire.Placeholder(c.externalID) {
		o.ExternalIds = append(o.ExternalIds, &callnormv1.ExternalId{System: "client.id", Id: c.externalID})
	}
}

func (p *payload) setActions(o *callnormv1.CallOutcome, notes *wire.Notes) {
	// The map's order carries no meaning; by name it is at least always the same.
	slices.SortStableFunc(p.actions, func(a, b action) int { return strings.Compare(a.key, b.key) })
	for i := range p.actions {
		a := &p.actions[i]
		name := firstText(a.name, a.key)
		start := a.time
		if start == nil {
			start = a.naiveTime
		}
		id := a.id
		if wire.Placeholder(id) {
			id = ""
		}
		o.ToolCalls = append(o.ToolCalls, &callnormv1.ToolCall{
			Id: id, Tool: name, KindRaw: a.kind, Description: a.description, ArgumentsJson: a.arguments, ResultJson: a.result,
			StatusRaw: a.status, Error: a.errorMessage, StartTime: start, BeforeCall: a.beforeCall, Relevant: a.relevant,
		})
		switch plain := words.Plain(a.kind + " " + name); {
		case isExtractor(plain):
			o.ExtractedFields = append(o.ExtractedFields, a.extracted(name, id)...)
		case strings.Contains(plain, "transfer"):
			result, _ := transferResults.Find(notes, a.path+".return_value.status", a.status)
			o.Transfers = append(o.Transfers, &callnormv1.Transfer{
				KindRaw: a.kind, TargetName: name, Result: result, ResultRaw: a.status, StartTime: start, Reason: a.errorMessage,
			})
		}
	}
}

func isExtractor(plain string) bool {
	return strings.Contains(plain, "extract_info") || strings.Contains(plain, "info_extractor") ||
		strings.Contains(plain, "information_extractor")
}

// extracted returns the fields that an extractor found. They are named by the keys of the result: the configured identifier is
// cut at its first blank.
func (a *action) extracted(name, id string) []*callnormv1.ExtractedField {
	source := "executed_actions"
	if len(a.values) == 0 {
		no := false
		for _, prefix := range []string{"extract_info_", "info_extractor_"} {
			name = strings.TrimPrefix(name, prefix)
		}
		return []*callnormv1.ExtractedField{{Name: name, Question: a.condition, Collected: &no, Source: source, GroupId: id}}
	}
	fields := make([]*callnormv1.ExtractedField, len(a.values))
	for i, value := range a.values {
		found := value.GetValue() != nil && value.GetValue().GetJsonValue() != "{}"
		fields[i] = &callnormv1.ExtractedField{
			Name: value.GetName(), Question: a.condition, Collected: &found, Source: source, GroupId: id,
		}
		if found {
			fields[i].Value = value.GetValue()
		}
	}
	return fields
}

// set reads the judge's verdicts: `call_summary` and `user_sentiment` are verdicts as well, on how the agent summed up and
// treated the contact; the summary's text stands in `call_summary_feedback`, and no mood is told.
func (a *analysis) set(o *callnormv1.CallOutcome, notes *wire.Notes) {
	if len(a.verdicts) == 0 && len(a.feedback) == 0 && a.all == "" {
		return
	}
	o.Analysis = &callnormv1.Analysis{Summary: a.feedback["call_summary"], Feedback: a.all}
	for _, v := range a.verdicts {
		e := &callnormv1.Evaluation{Criterion: v.name, ResultRaw: v.word}
		e.Result, e.ResultMapping = verdicts.Find(notes, "analysis."+v.name, v.word)
		if v.word == "" {
			e.Value = v.value
		}
		if strings.HasPrefix(v.name, "judge_found_") {
			// A finding, not a criterion that is met.
			e.Result, e.ResultMapping, e.Value = 0, 0, v.value
		}
		if v.name != "call_summary" {
			e.Rationale = a.feedback[v.name]
		}
		delete(a.feedback, v.name)
		o.Evaluations = append(o.Evaluations, e)
		switch v.name {
		case "goal":
			goal, mapping := goals.Find(notes, "analysis.goal", v.word)
			if mapping == callnormv1.Mapping_MAPPING_EXACT {
				mapping = callnormv1.Mapping_MAPPING_LLM
			}
			if v.word != "" {
				o.Disposition = &callnormv1.Disposition{Goal: goal, GoalRaw: v.word, GoalMapping: mapping}
			}
		case "answered_by_human":
			if words.Plain(v.word) == "true" && o.GetAnsweredBy() == nil {
				o.AnsweredBy = &callnormv1.AnsweredBy{
					Value: callnormv1.AnsweredByKind_ANSWERED_BY_KIND_HUMAN, Raw: v.word, Mapping: callnormv1.Mapping_MAPPING_LLM,
				}
			}
		}
	}
	delete(a.feedback, "call_summary")
	for name, text := range a.feedback { // remarks without a verdict
		if text != "" {
			o.Evaluations = append(o.Evaluations, &callnormv1.Evaluation{Criterion: name, Rationale: text})
		}
	}
	slices.SortFunc(o.Evaluations, func(a, b *callnormv1.Evaluation) int { return strings.Compare(a.GetCriterion(), b.GetCriterion()) })
}

// speakers are the prefixes of a transcript's lines.
var speakers = map[string]callnormv1.ParticipantRole{
	"bot":       callnormv1.ParticipantRole_PARTICIPANT_ROLE_AI_AGENT,
	"assistant": callnormv1.ParticipantRole_PARTICIPANT_ROLE_AI_AGENT,
	"human":     callnormv1.ParticipantRole_PARTICIPANT_ROLE_CUSTOMER,
}

// transcript divides the text into turns at lines that begin with a speaker. What a line says may itself hold colons and
// brackets; a line without a speaker goes on with the turn before it.
func transcript(text string) *callnormv1.Transcript {
	if strings.TrimSpace(text) == "" {
		return nil
	}
	t := &callnormv1.Transcript{Source: "call.transcript"}
	for line := range strings.SplitSeq(text, "\n") {
		prefix, said, ok := strings.Cut(line, ":")
		role, known := speakers[prefix]
		switch said = strings.TrimSpace(said); {
		case ok && known:
			t.Turns = append(t.Turns, &callnormv1.TranscriptTurn{Role: role, RoleRaw: prefix, Text: said})
		case strings.TrimSpace(line) == "":
		case len(t.GetTurns()) == 0:
			t.Turns = append(t.Turns, &callnormv1.TranscriptTurn{Text: strings.TrimSpace(line)})
		default:
			last := t.GetTurns()[len(t.GetTurns())-1]
			last.Text += "\n" + strings.TrimSpace(line)
		}
	}
	return t
}
