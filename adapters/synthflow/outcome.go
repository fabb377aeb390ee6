package synthflow

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/callnorm/callnorm/adapters/internal/ids"
	"github.com/callnorm/callnorm/adapters/internal/phone"
	"github.com/callnorm/callnorm/adapters/internal/wire"
	"github.com/callnorm/callnorm/adapters/internal/words"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// outcome says what a report amounts to.
func (p *report) outcome(event string) *callnormv1.CallOutcome {
	c, notes := &p.call, p.notes
	p.merge()
	o := &callnormv1.CallOutcome{
		EventRaw:      event,
		TimeZone:      c.timezone,
		StartTime:     c.startTime,
		TotalDuration: c.duration,
		RingDuration:  c.ringing,
		DivertedFrom:  c.diversion,
		Variables:     p.variables,
		Metadata:      p.metadata,
		PresentParts:  make([]callnormv1.Part, 0, 3),
	}
	if event != "" {
		notes.Warn(callnormv1.WarningKind_WARNING_KIND_UNKNOWN_WORD, "event", "the post-call webhook has no event by its documentation")
	}
	// The map's order carries no meaning; by name it is at least always the same. Lists have no names, and keep theirs.
	slices.SortStableFunc(p.actions, func(a, b action) int { return strings.Compare(a.key, b.key) })
	p.setID(o)
	o.Transcript = p.transcript()
	p.setStatus(o)
	p.setDirection(o)
	p.setHangup(o)
	setEndTime(o, notes)
	p.setContact(o)
	p.setParties(o)
	p.setRecording(o)
	if c.leg != nil {
		o.Legs = []*callnormv1.CallLeg{c.leg}
	}
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
	if text = wire.NotBlank(text); text == "" {
		return ""
	}
	if redacted(text) {
		redact(o, prefix+name)
		return ""
	}
	return p.notes.UsableAt(func() string { return prefix + name }, text)
}

// redact names a field that the provider emptied before sending.
func redact(o *callnormv1.CallOutcome, path string) {
	if o.GetCompliance() == nil {
		o.Compliance = &callnormv1.Compliance{}
	}
	o.Compliance.RedactedFields = append(o.Compliance.RedactedFields, path)
}

// redacted tells whether a text is what is left of a value that the provider removed before sending (its `redact_pii`): four
// crosses or more, since fewer may be a name, or the word in brackets.
func redacted(text string) bool {
	const shortest, shortestWord = len("XXXX"), len("[redacted]")
	text = strings.TrimSpace(text)
	return len(text) >= shortest && strings.Trim(text, "Xx*#") == "" ||
		len(text) >= shortestWord && hasRedactedWord(text)
}

// hasRedactedWord finds the word within one pair of brackets, among others or alone.
func hasRedactedWord(text string) bool {
	const opening, closing = "[<{(", "]>})"
	for {
		at := strings.IndexAny(text, opening)
		if at < 0 {
			return false
		}
		text = text[at+1:]
		end := strings.IndexAny(text, opening+closing)
		if end >= 0 && strings.IndexByte(closing, text[end]) >= 0 && namesRedaction(text[:end]) {
			return true
		}
	}
}

// masked finds what redaction leaves of a number, in whole or in part.
func masked(number string) bool {
	crosses := 0
	for i := range len(number) {
		if strings.IndexByte("Xx*#", number[i]) < 0 {
			crosses = 0
			continue
		}
		if crosses++; crosses == len("XXX") {
			return true
		}
	}
	return namesRedaction(number)
}

func namesRedaction(text string) bool { return strings.Contains(strings.ToLower(text), "redacted") }

// differs keeps a text that tells the same fact as another one which counts, if the two are not the same.
func (p *report) differs(prefix, name, text, counts string) {
	if text != "" && !repeats(text, counts) {
		p.other(prefix+name, text)
	}
}

// other keeps a text that differs from another one that counts.
func (p *report) other(path, text string) {
	p.notes.Warn(callnormv1.WarningKind_WARNING_KIND_CONTRADICTION, path, toldOtherwise)
	p.notes.UnmappedText(path, text)
}

const toldOtherwise = "differs from another field that tells the same, which counts"

// setID reads the ids. A placeholder is none: two deliveries with `[UUID]` are not one call.
func (p *report) setID(o *callnormv1.CallOutcome) {
	c := &p.call
	if c.id == "" {
		o.ProviderCallId = p.usable(o, p.callPrefix, "Call_id", c.otherID)
	} else {
		o.ProviderCallId = p.usable(o, p.callPrefix, "call_id", c.id)
		p.differs(p.callPrefix, "Call_id", c.otherID, c.id)
	}
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
	if ids.IsTwilioSID("CA", sid) {
		return "twilio.call_sid"
	}
	return "carrier.call_sid"
}

// ending is how a word says that the call ended, and where the word stands.
type ending struct {
	endMeaning
	word, path string
	mapping    callnormv1.Mapping
}

// setStatus reads status, reason and error together, since each has been seen in the place of another.
func (p *report) setStatus(o *callnormv1.CallOutcome) {
	raw, path := p.statusWord()
	status, mapping := statuses.Find(p.notes, path, raw)
	if path == p.reasonPath() {
		mapping = callnormv1.Mapping_MAPPING_HEURISTIC
	}
	o.Status, o.StatusRaw, o.StatusMapping = status.status, raw, mapping
	byStatus := ending{endMeaning: status.endMeaning, word: raw, path: path, mapping: mapping}
	byReason, errorText := p.reason(status, raw, path)
	if errorText != "" {
		o.Error = &callnormv1.CallError{Message: errorText}
	}
	p.setEnd(o, byStatus, byReason)
	p.setAnsweredBy(o, byStatus, byReason)

	// What else shows that the call is over, and that somebody or something was on the line.
	seconds := o.GetTotalDuration().AsDuration() > 0 || p.call.leg.GetDuration().AsDuration() > 0
	connected := seconds || o.GetTranscript() != nil
	ended := p.call.customEndReason != "" ||
		byReason.reason != callnormv1.EndReason_END_REASON_UNSPECIFIED && byReason.mapping != callnormv1.Mapping_MAPPING_NONE
	if status == (statusMeaning{status: callnormv1.CallStatus_CALL_STATUS_COMPLETED}) && o.GetTotalDuration() != nil &&
		!connected && byReason.untold() && p.call.customEndReason == "" {
		p.notes.Warn(callnormv1.WarningKind_WARNING_KIND_CONTRADICTION, path, "completed, but after no seconds, without a word or a reason")
		o.Status, o.StatusMapping = callnormv1.CallStatus_CALL_STATUS_NO_CONVERSATION, callnormv1.Mapping_MAPPING_HEURISTIC
	}

	if status.status == callnormv1.CallStatus_CALL_STATUS_COMPLETED && byReason.endMeaning == userCanceled.endMeaning &&
		seconds && o.GetTranscript() != nil {
		p.notes.Warn(callnormv1.WarningKind_WARNING_KIND_CONTRADICTION, byReason.path, "canceled before it was answered, but there was a conversation")
	}

	known := raw != "" && mapping != callnormv1.Mapping_MAPPING_NONE
	o.Event, o.EventMapping = callnormv1.EventKind_EVENT_KIND_CALL_REPORTED, callnormv1.Mapping_MAPPING_HEURISTIC
	o.Completeness = callnormv1.Completeness_COMPLETENESS_PARTIAL
	switch {
	case status.open && status.status == callnormv1.CallStatus_CALL_STATUS_QUEUED:
		o.Event = callnormv1.EventKind_EVENT_KIND_CALL_SCHEDULED
	case status.open:
		o.Event = callnormv1.EventKind_EVENT_KIND_CALL_PROGRESS
	case known, connected, ended:
		o.Completeness = callnormv1.Completeness_COMPLETENESS_FINAL
		o.PresentParts = append(o.PresentParts, callnormv1.Part_PART_RESULT)
	case raw != "":
		o.Event = callnormv1.EventKind_EVENT_KIND_CALL_PROGRESS // The webhook also tells of calls that are not over.
	}
}

// setEnd says why the call ended. The reason tells it best; but "undefined" tells less than some statuses do, and "voicemail" less
// than those that tell what became of it.
func (p *report) setEnd(o *callnormv1.CallOutcome, byStatus, byReason ending) {
	const untold, nobody = callnormv1.EndReason_END_REASON_UNSPECIFIED, callnormv1.AnsweredByKind_ANSWERED_BY_KIND_UNSPECIFIED
	why := byReason
	vague := why.reason == untold || why.reason == voicemailReached.reason && byStatus.voicemail() && byStatus.reason != why.reason
	if vague && byStatus.reason != untold {
		why = byStatus
		if byReason.word != "" && byReason.answeredBy == nobody {
			p.notes.UnmappedText(byReason.path, byReason.word)
		}
	}
	if why.reason == untold && why.mapping == callnormv1.Mapping_MAPPING_NONE {
		why.reason = endReasons.Other.reason
	}
	if why.word != "" && (why.reason != untold || why.answeredBy == nobody) {
		o.End = &callnormv1.CallEnd{Reason: why.reason, ReasonRaw: why.word, ReasonMapping: why.mapping}
		if why.by != callnormv1.EndedBy_ENDED_BY_UNSPECIFIED {
			o.End.EndedBy, o.End.EndedByRaw, o.End.EndedByMapping = why.by, why.word, why.mapping
		}
	}
	if p.call.customEndReason != "" {
		if o.GetEnd() == nil {
			o.End = &callnormv1.CallEnd{}
		}
		o.End.Detail = p.call.customEndReason
	}
}

// setAnsweredBy says who answered. The reason is more specific than the status, but a goodbye does not make a machine a human.
// The judge's opinion comes last (setAnalysis).
func (p *report) setAnsweredBy(o *callnormv1.CallOutcome, byStatus, byReason ending) {
	who := byReason
	switch {
	case who.answeredBy == callnormv1.AnsweredByKind_ANSWERED_BY_KIND_UNSPECIFIED:
		who = byStatus
	case who.answeredBy == callnormv1.AnsweredByKind_ANSWERED_BY_KIND_HUMAN && isMachine(byStatus.answeredBy):
		p.notes.Warn(callnormv1.WarningKind_WARNING_KIND_CONTRADICTION, who.path, "the reason tells of a human, the status of a machine, which counts")
		who = byStatus
	}
	p.answered(o, who)
	if byStatus.voicemail() || byReason.voicemail() {
		yes := true
		o.Voicemail = &callnormv1.Voicemail{Detected: &yes}
		if byStatus.leftMessage() || byReason.leftMessage() {
			o.Voicemail.MessageLeft = &yes
		}
	}
}

// answered sets who answered. A status of a call that nobody answered stands beside it, if both were told.
func (p *report) answered(o *callnormv1.CallOutcome, who ending) {
	if who.answeredBy == callnormv1.AnsweredByKind_ANSWERED_BY_KIND_UNSPECIFIED {
		return
	}
	o.AnsweredBy = &callnormv1.AnsweredBy{Value: who.answeredBy, Raw: who.word, Mapping: who.mapping}
	switch o.GetStatus() {
	case callnormv1.CallStatus_CALL_STATUS_NO_ANSWER, callnormv1.CallStatus_CALL_STATUS_BUSY,
		callnormv1.CallStatus_CALL_STATUS_FAILED, callnormv1.CallStatus_CALL_STATUS_CANCELED:
		p.notes.Warn(callnormv1.WarningKind_WARNING_KIND_CONTRADICTION, who.path, "tells who answered a call that, by its status, nobody answered")
	}
}

// statusWord returns the status and its path. The one of the call is the one that the documentation explains.
func (p *report) statusWord() (string, string) {
	c := &p.call
	switch {
	case c.status != "":
		p.differs(p.callPrefix, "call_status", c.recordStatus, c.status)
		p.differs(p.prefix, "status", p.status, c.status)
		return c.status, p.callPrefix + "status"
	case c.recordStatus != "":
		p.differs(p.prefix, "status", p.status, c.recordStatus)
		return c.recordStatus, p.callPrefix + "call_status"
	case p.status == "" && isMisplaced(c.endReason):
		return c.endReason, p.reasonPath()
	default:
		return p.status, p.prefix + "status"
	}
}

func (p *report) reasonPath() string { return p.callPrefix + "end_call_reason" }

// isMisplaced tells whether a status stands in the place of a reason.
func isMisplaced(reason string) bool {
	_, _, isReason := endReasons.Known(reason)
	_, _, isStatus := statuses.Known(reason)
	return isStatus && !isReason
}

func isMachine(kind callnormv1.AnsweredByKind) bool {
	return kind == callnormv1.AnsweredByKind_ANSWERED_BY_KIND_VOICEMAIL || kind == callnormv1.AnsweredByKind_ANSWERED_BY_KIND_MACHINE
}

// reason sorts out the reason and the error, which stand in each other's place at times, as a status stands in both. Anunzi's
// documentation shows `error_message` with a reason ("agent_goodbye") while `call.end_call_reason` holds a status ("completed").
// A documented reason counts wherever it stands, and is no error, unless the word could be an error just as well; a status in
// the place of a reason counts for what it says on the end, or else for a word that is not one of ours.
func (p *report) reason(status statusMeaning, statusWord, statusPath string) (ending, string) {
	reason := ending{word: p.call.endReason, path: p.reasonPath()}
	if isMisplaced(reason.word) {
		p.notes.Warn(callnormv1.WarningKind_WARNING_KIND_MISPLACED, reason.path, "a status stands in the place of a reason")
		meaning, _, _ := statuses.Known(reason.word)
		reason.endMeaning, reason.mapping = meaning.endMeaning, callnormv1.Mapping_MAPPING_HEURISTIC
		switch {
		case reason.path == statusPath:
			reason = ending{} // it is the status
		case meaning.untold() && !status.open:
			reason.mapping = callnormv1.Mapping_MAPPING_NONE
		case meaning.untold(), repeats(reason.word, statusWord):
			p.notes.UnmappedText(reason.path, reason.word)
			reason = ending{}
		}
	}
	path, text := p.prefix+"error_message", wire.NotBlank(p.errorMessage)
	end, _, isReason := endReasons.Known(text)
	_, _, isStatus := statuses.Known(text)
	switch {
	case isReason && !end.ambiguous:
		p.notes.Warn(callnormv1.WarningKind_WARNING_KIND_MISPLACED, path, "a reason stands in the place of an error")
		if reason.mapping == callnormv1.Mapping_MAPPING_NONE {
			p.notes.UnmappedText(reason.path, reason.word)
			reason = ending{}
		}
		if reason.word == "" {
			return ending{endMeaning: end, word: text, path: path, mapping: callnormv1.Mapping_MAPPING_HEURISTIC}, ""
		}
		p.differs(path, "", text, reason.word)
		text = ""
	case isStatus && repeats(text, statusWord):
		p.notes.Warn(callnormv1.WarningKind_WARNING_KIND_MISPLACED, path, "the status stands in the place of an error")
		p.notes.UnmappedText(path, text)
		text = ""
	}
	if reason.mapping == callnormv1.Mapping_MAPPING_UNSPECIFIED {
		reason.endMeaning, reason.mapping = endReasons.Find(p.notes, reason.path, reason.word)
	}
	return reason, text
}

func repeats(word, other string) bool { return words.Plain(word) == words.Plain(other) }

// setDirection reads the direction, which only records of the API tell; no hint in the webhook is reliable. One of their two
// fields may say "Test" instead.
func (p *report) setDirection(o *callnormv1.CallOutcome) {
	word, name := p.call.typeOfCall, "type_of_call"
	other, otherName := p.call.campaignType, "campaign_type"
	if word == "" || isTest(word) && other != "" {
		word, name, other, otherName = other, otherName, word, name
	}
	if word == "" {
		return
	}
	if isTest(word) || isTest(other) {
		yes := true
		o.Test = &yes
	}
	o.DirectionRaw = word
	if !isTest(word) {
		o.Direction, o.DirectionMapping = typesOfCall.Find(p.notes, p.callPrefix+name, word)
	}
	if !isTest(other) {
		p.differs(p.callPrefix, otherName, other, word)
	}
}

func isTest(word string) bool { return words.Plain(word) == "test" }

// setHangup says who hung up, where no reason tells it. The line knows the sides only; which of them is the contact, the direction
// tells. Who of ours the other one is, nothing does.
func (p *report) setHangup(o *callnormv1.CallOutcome) {
	word := p.call.hangup
	if word == "" {
		return
	}
	by, mapping := hangups.Find(p.notes, p.callPrefix+"telephony_hangup", word)
	inbound, outbound := o.GetDirection() == callnormv1.Direction_DIRECTION_INBOUND, o.GetDirection() == callnormv1.Direction_DIRECTION_OUTBOUND
	if inbound && by == callnormv1.EndedBy_ENDED_BY_CALLER || outbound && by == callnormv1.EndedBy_ENDED_BY_CALLEE {
		by = callnormv1.EndedBy_ENDED_BY_CUSTOMER
	}
	switch o.GetEnd().GetEndedBy() {
	case by:
	case callnormv1.EndedBy_ENDED_BY_UNSPECIFIED:
		if o.GetEnd() == nil {
			o.End = &callnormv1.CallEnd{}
		}
		o.End.EndedBy, o.End.EndedByRaw, o.End.EndedByMapping = by, word, mapping
	default:
		p.notes.UnmappedText(p.callPrefix+"telephony_hangup", word)
	}
}

// setEndTime computes the end, which no version of the webhook tells.
func setEndTime(o *callnormv1.CallOutcome, notes *wire.Notes) {
	if o.GetStartTime() == nil || o.GetTotalDuration() == nil || o.GetCompleteness() != callnormv1.Completeness_COMPLETENESS_FINAL {
		return
	}
	o.EndTime = timestamppb.New(o.GetStartTime().AsTime().Add(o.GetTotalDuration().AsDuration()))
	notes.Derived("end_time")
}

// setContact reads what is told of the contact: in the lead of a webhook, or beside the other members of a record. A number stays as
// it was received.
func (p *report) setContact(o *callnormv1.CallOutcome) {
	contact := p.contact
	if contact == nil {
		if p.leadName == "" && p.leadNumber == "" && p.leadEmail == "" && p.name == "" {
			return
		}
		contact = &callnormv1.Contact{}
	}
	contact.DisplayName = p.usable(o, p.prefix, "lead.name", contact.GetDisplayName())
	contact.Emails = slices.DeleteFunc(contact.GetEmails(), func(email string) bool { return p.usable(o, p.prefix, "lead.email", email) == "" })
	for _, number := range contact.GetPhones() {
		if masked(number.GetAsReceived()) {
			redact(o, p.prefix+"lead.phone_number")
		}
	}
	p.setRecordContact(o, contact)
	if contact.GetDisplayName() != "" || len(contact.GetEmails()) > 0 || len(contact.GetPhones()) > 0 {
		o.Contact = contact
	}
}

// setRecordContact reads what a record tells of the contact. Beside a call, `name` may be anybody's.
func (p *report) setRecordContact(o *callnormv1.CallOutcome, contact *callnormv1.Contact) {
	name := p.usable(o, p.prefix, "lead_name", p.leadName)
	contact.DisplayName = cmp.Or(contact.GetDisplayName(), name)
	p.differs(p.prefix, "lead_name", name, contact.GetDisplayName())
	switch {
	case !p.hasCall:
		name = p.usable(o, p.prefix, "name", p.name)
		contact.DisplayName = cmp.Or(contact.GetDisplayName(), name)
		p.differs(p.prefix, "name", name, contact.GetDisplayName())
	case p.name != "":
		p.notes.UnmappedText(p.prefix+"name", p.name)
	}
	switch email := p.usable(o, p.prefix, "lead_email", p.leadEmail); {
	case email == "":
	case len(contact.GetEmails()) == 0:
		contact.Emails = []string{email}
	case !strings.EqualFold(email, contact.GetEmails()[0]):
		p.other(p.prefix+"lead_email", email)
	}
	number := phone.Parse(p.leadNumber)
	if number == nil {
		return
	}
	if masked(p.leadNumber) {
		redact(o, p.prefix+"lead_phone_number")
	}
	if len(contact.GetPhones()) == 0 {
		contact.Phones = []*callnormv1.PhoneNumber{number}
	} else if !sameNumber(number, contact.GetPhones()[0]) {
		p.other(p.prefix+"lead_phone_number", p.leadNumber)
	}
}

func sameNumber(a, b *callnormv1.PhoneNumber) bool {
	return a.GetAsReceived() == b.GetAsReceived() || a.GetE164() != "" && a.GetE164() == b.GetE164()
}

func (p *report) setParties(o *callnormv1.CallOutcome) {
	c := &p.call
	if c.from != nil {
		o.Caller = &callnormv1.Endpoint{Phone: c.from}
	}
	if c.to != nil {
		o.Callee = &callnormv1.Endpoint{Phone: c.to}
	}
	p.setAgentNumber(o)
	others := slices.DeleteFunc(c.agents, func(agent string) bool { return agent == c.modelID })
	agent := &callnormv1.Agent{Id: p.usable(o, p.callPrefix, "model_id", c.modelID), OtherAgents: others}
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
			p.differs(a.path, ".workspace_id", id, agent.GetWorkspaceId())
		}
	}
	if agent.GetId() != "" || agent.GetWorkspaceId() != "" || len(agent.GetOtherAgents()) > 0 {
		o.Agent = agent
	}
}

// setAgentNumber reads the number that is ours. Which side it is, the direction tells.
func (p *report) setAgentNumber(o *callnormv1.CallOutcome) {
	number := p.call.agentNumber
	if number == nil || sameNumber(number, p.call.from) || sameNumber(number, p.call.to) {
		return
	}
	ours := &callnormv1.Endpoint{Phone: number}
	switch {
	case o.GetDirection() == callnormv1.Direction_DIRECTION_OUTBOUND && o.GetCaller() == nil:
		o.Caller = ours
	case o.GetDirection() == callnormv1.Direction_DIRECTION_INBOUND && o.GetCallee() == nil:
		o.Callee = ours
	case o.GetCaller() == nil && o.GetCallee() == nil:
		o.Participants = []*callnormv1.Participant{{Role: callnormv1.ParticipantRole_PARTICIPANT_ROLE_AI_AGENT, Endpoint: ours}}
	default:
		p.notes.UnmappedText(p.callPrefix+"agent_phone_number", number.GetAsReceived())
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
	if len(p.actions) == 0 {
		return
	}
	tools, fields := wire.RoomFor[callnormv1.ToolCall](len(p.actions)), wire.RoomFor[callnormv1.ExtractedField](len(p.actions))
	o.ToolCalls = make([]*callnormv1.ToolCall, 0, len(p.actions))
	o.ExtractedFields = make([]*callnormv1.ExtractedField, 0, len(p.actions)+len(p.collected))
	for i := range p.actions {
		a := &p.actions[i]
		extractor := isExtractor(a.kind) || isExtractor(cmp.Or(a.name, a.key))
		if !extractor && a.condition != "" {
			p.notes.UnmappedText(a.path+".parameters_hard_coded.condition", a.condition)
		}
		tool := tools.New()
		tool.Id, tool.Tool, tool.KindRaw, tool.Description = p.usable(o, a.path, ".action_id", a.id), cmp.Or(a.name, a.key), a.kind, a.description
		tool.ArgumentsJson, tool.ResultJson, tool.Error = a.arguments, a.result, a.errorMessage
		tool.StartTime, tool.BeforeCall, tool.Relevant = a.time, a.beforeCall, a.relevant
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
			a.extract(o, tool, &fields)
			continue
		}
		tool.StatusRaw = a.status()
		if kind := words.Plain(a.kind); strings.Contains(kind, "transfer") || kind == "" && strings.Contains(words.Plain(tool.GetTool()), "transfer") {
			o.Transfers = append(o.Transfers, &callnormv1.Transfer{
				KindRaw: a.kind, Result: p.transferResult(a), ResultRaw: tool.GetStatusRaw(), StartTime: tool.GetStartTime(), Reason: a.errorMessage,
			})
		}
	}
}

// status returns the status within the result, where a failed transfer may show and nowhere else.
func (a *action) status() string {
	for _, value := range a.values {
		if value.name == "status" {
			return value.value.GetStringValue()
		}
	}
	return ""
}

// transferResult says what became of a transfer. Its words begin with what the action is at times, and why it failed may follow:
// `transfer-failed-timeout`.
func (p *report) transferResult(a *action) callnormv1.TransferResult {
	status := a.status()
	word := strings.TrimPrefix(words.Plain(status), "transfer_")
	if strings.HasPrefix(word, "failed_") {
		return callnormv1.TransferResult_TRANSFER_RESULT_FAILED
	}
	if result, _, ok := transferResults.Known(word); ok {
		return result
	}
	result, _ := transferResults.Find(p.notes, a.path+".return_value.status", status)
	return result
}

// isExtractor tells extractors, old and new, by how their kinds and names begin.
func isExtractor(name string) bool {
	name = words.Plain(name)
	return strings.HasPrefix(name, "extract_info") || strings.HasPrefix(name, "info_extractor") ||
		strings.HasPrefix(name, "information_extractor")
}

// extract adds the fields that an extractor found. They are named by the keys of the result: the configured identifier is cut at its
// first blank.
func (a *action) extract(o *callnormv1.CallOutcome, tool *callnormv1.ToolCall, fields *wire.Room[callnormv1.ExtractedField]) {
	add := func(name string, value *callnormv1.Value, told bool) {
		field := fields.New()
		field.Name, field.Question, field.Source = name, a.condition, "executed_actions"
		collected := !isNothing(value)
		if collected {
			field.Value = value
		}
		if collected || told {
			field.Collected = &collected
		}
		o.ExtractedFields = append(o.ExtractedFields, field)
	}
	if len(a.values) == 0 {
		name := strings.TrimPrefix(strings.TrimPrefix(tool.GetTool(), "extract_info_"), "info_extractor_")
		add(name, a.value, a.answered && !a.broken)
	}
	for _, value := range a.values {
		add(value.name, value.value, true)
	}
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
	criteria := 0
	for i, j := range a.judgements {
		if i == 0 || j.criterion != a.judgements[i-1].criterion {
			criteria++
		}
	}
	evaluations := wire.RoomFor[callnormv1.Evaluation](criteria)
	o.Evaluations = make([]*callnormv1.Evaluation, 0, criteria)
	for i, j := range a.judgements {
		switch {
		case j.criterion == "call_summary" && j.remark != "":
			analysis.Summary = j.remark
			continue
		case j.remark != "" && i > 0 && a.judgements[i-1].criterion == j.criterion:
			o.Evaluations[len(o.GetEvaluations())-1].Rationale = j.remark
			continue
		}
		e := evaluations.New()
		e.Criterion, e.ResultRaw, e.Value, e.Rationale = j.criterion, j.word, j.value, j.remark
		e.Result, e.ResultMapping = judged(verdicts, p, j)
		o.Evaluations = append(o.Evaluations, e)
		switch {
		case j.word == "":
		case j.criterion == "goal":
			goal, mapping := judged(goals, p, j)
			o.Disposition = &callnormv1.Disposition{Goal: goal, GoalRaw: j.word, GoalMapping: mapping}
		case j.criterion == "answered_by_human":
			p.setJudgedAnswer(o, j)
		}
	}
	if analysis.GetSummary() != "" || analysis.GetFeedback() != "" {
		o.Analysis = analysis
	}
}

// judged returns what the judge's word means. The words are documented; which one stands there, a language model chose.
func judged[M any](table words.Table[M], p *report, j judgement) (M, callnormv1.Mapping) {
	meaning, _, ok := table.Known(j.word)
	switch {
	case j.word == "":
		return meaning, callnormv1.Mapping_MAPPING_UNSPECIFIED
	case ok:
		return meaning, callnormv1.Mapping_MAPPING_LLM
	}
	return table.Find(p.notes, p.placeOf(j), j.word)
}

// placeOf returns the path of a verdict.
func (p *report) placeOf(j judgement) string {
	if j.again {
		return p.analysis.again + "." + j.criterion
	}
	return p.prefix + "analysis." + j.criterion
}

// setJudgedAnswer reads the judge's opinion on who answered. It counts only where no documented word tells.
func (p *report) setJudgedAnswer(o *callnormv1.CallOutcome, j judgement) {
	plain, told, path := words.Plain(j.word), o.GetAnsweredBy().GetValue(), p.prefix+"analysis.answered_by_human"
	if j.again {
		path = p.placeOf(j)
	}
	switch {
	case plain == "true" && o.GetAnsweredBy() == nil:
		human := endMeaning{answeredBy: callnormv1.AnsweredByKind_ANSWERED_BY_KIND_HUMAN}
		p.answered(o, ending{endMeaning: human, word: j.word, path: path, mapping: callnormv1.Mapping_MAPPING_LLM})
	case plain == "true" && isMachine(told), plain == "false" && told == callnormv1.AnsweredByKind_ANSWERED_BY_KIND_HUMAN:
		p.notes.Warn(callnormv1.WarningKind_WARNING_KIND_CONTRADICTION, path, "the judge differs from the words on the call, which count")
	}
}
