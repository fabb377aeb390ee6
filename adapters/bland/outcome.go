package bland

import (
	"cmp"
	"slices"
	"time"

	"github.com/callnorm/callnorm/adapters/internal/sip"
	"github.com/callnorm/callnorm/adapters/internal/wire"
	"github.com/callnorm/callnorm/adapters/internal/words"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/go-json-experiment/json/jsontext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
)

// outcome says what a body amounts to.
func (p *payload) outcome() *callnormv1.CallOutcome {
	o := &p.call
	p.setIDs()
	p.setParties()
	p.setTranscript()
	p.setAnsweredBy()
	p.setTransfer()
	o.StartTime = p.startTime
	if p.reports() {
		p.setReport()
	} else {
		p.setEvent()
	}
	p.setDurations()
	p.setDisposition()
	p.setRecording()
	if len(p.topics) > 0 {
		p.analysis().Topics = p.topics
	}
	p.leaveWord(p.message, p.category, p.logLevel, p.conversation, p.channel)
	o.Agent = wire.Filled(&p.agent)
	p.setParts()
	o.Provenance = p.notes.Provenance()
	return o
}

// reports tells whether the body is a post-call webhook, and not an event that brings something later. A report that waited for the
// citations has the name of such an event, and is one nonetheless. The status of a run of evals is none of the call's.
func (p *payload) reports() bool {
	if p.event.text != "" {
		return p.completed != nil || p.queueStatus.text != "" || p.measured
	}
	told := p.status.text + p.queueStatus.text + p.answeredBy.text + p.endedBy.text + p.errorMessage.text
	return told != "" || p.completed != nil || p.measured || !p.enriched
}

// setIDs reads the ids. `c_id` is a copy, and so is what a citation tells; an event may have no other.
func (p *payload) setIDs() {
	o := &p.call
	o.ProviderCallId = p.identify(p.callID)
	switch {
	case o.GetProviderCallId() == "":
		o.ProviderCallId = p.identify(p.cID)
	case p.cID.text != p.callID.text:
		if p.cID.text != "" {
			p.notes.Warn(callnormv1.WarningKind_WARNING_KIND_CONTRADICTION, p.cID.path, "differs from call_id, which counts")
		}
		p.leaveWord(p.cID)
	}
	if o.GetProviderCallId() == "" {
		o.ProviderCallId = p.identify(p.citedID)
	}
	o.AccountIds = p.withID(o.GetAccountIds(), "bland.user_id", p.userID)
}

// setParties reads who called whom: `to` received the call and `from` made it, whichever of them is the contact.
func (p *payload) setParties() {
	o := &p.call
	o.Caller, o.Callee = endpoint(p.from), endpoint(p.to)
	contact := o.GetCallee()
	switch o.DirectionRaw = p.inbound.text; p.inbound.plain() {
	case "true":
		o.Direction, o.DirectionMapping = callnormv1.Direction_DIRECTION_INBOUND, callnormv1.Mapping_MAPPING_EXACT
		contact = o.GetCaller()
	case "false":
		o.Direction, o.DirectionMapping = callnormv1.Direction_DIRECTION_OUTBOUND, callnormv1.Mapping_MAPPING_EXACT
	case "":
		contact = nil
	default:
		p.notes.Warn(callnormv1.WarningKind_WARNING_KIND_UNKNOWN_WORD, p.inbound.path, "the word is not known to this version")
		o.Direction, o.DirectionMapping = callnormv1.Direction_DIRECTION_OTHER, callnormv1.Mapping_MAPPING_NONE
		contact = nil
	}
	if p.proxy {
		// Bland calls a human agent: both sides are the customer's own, and nobody is a contact.
		o.Direction, o.DirectionMapping = callnormv1.Direction_DIRECTION_INTERNAL, callnormv1.Mapping_MAPPING_HEURISTIC
		o.Participants = []*callnormv1.Participant{
			{Role: callnormv1.ParticipantRole_PARTICIPANT_ROLE_AI_AGENT, Endpoint: proto.CloneOf(o.GetCaller())},
			{Role: callnormv1.ParticipantRole_PARTICIPANT_ROLE_HUMAN_AGENT, Endpoint: proto.CloneOf(o.GetCallee())},
		}
		return
	}
	if contact.GetPhone() != nil {
		o.Contact = &callnormv1.Contact{Phones: []*callnormv1.PhoneNumber{proto.CloneOf(contact.GetPhone())}, Country: p.country}
	}
}

func (p *payload) setAnsweredBy() {
	w := p.answeredBy
	if w.text == "" {
		return
	}
	kind, mapping := answerers.Find(p.notes, w.path, w.text)
	if mapping == callnormv1.Mapping_MAPPING_EXACT && w.plain() != noAnswer {
		mapping = callnormv1.Mapping_MAPPING_PROVIDER_CLASSIFIED
	}
	p.call.AnsweredBy = &callnormv1.AnsweredBy{Value: kind, Raw: w.text, Mapping: mapping}
	if w.plain() == voicemail {
		// Whether a message was left on it is nowhere told.
		p.call.Voicemail = &callnormv1.Voicemail{Detected: new(true)}
	}
}

// setTransfer reads the transfer, and the calls to human agents that it took. A warm one is merged or not, whatever else is filled
// in; a cold one shows in its time or length only. A disposition TRANSFERRED is an opinion, and no transfer.
func (p *payload) setTransfer() {
	o := &p.call
	p.addLegs()
	cold := p.transferredTo != "" || p.transferTime != nil || p.afterTransfer.span.AsDuration() > 0
	taken := slices.ContainsFunc(p.transferTurns, func(s segment) bool { return words.Plain(s.label) == representative })
	switch {
	case p.warm.told || cold:
	case taken:
		o.Transfers = []*callnormv1.Transfer{{Result: callnormv1.TransferResult_TRANSFER_RESULT_COMPLETED}}
		p.notes.Derived("transfers")
		return
	default:
		p.leave(p.afterTransfer)
		return
	}
	t := &callnormv1.Transfer{
		Kind: callnormv1.TransferKind_TRANSFER_KIND_COLD, StartTime: p.transferTime, Duration: p.afterTransfer.span,
		Target: endpoint(cmp.Or(p.transferredTo, p.warm.phone())),
	}
	o.Transfers = []*callnormv1.Transfer{t}
	if p.warm.told {
		t.Kind = callnormv1.TransferKind_TRANSFER_KIND_WARM
		state := p.warm.outcome()
		t.ResultRaw = state.text
		t.Result, _ = transferResults.Find(p.notes, state.path, state.text)
		return
	}
	switch {
	case p.afterTransfer.span != nil && p.afterTransfer.span.AsDuration() == 0:
		// "If the transfer duration was 0 seconds, the handoff probably failed."
		t.Result = callnormv1.TransferResult_TRANSFER_RESULT_STARTED
	case p.transferredTo != "" && (p.transferTime != nil || p.afterTransfer.span != nil), taken:
		t.Result = callnormv1.TransferResult_TRANSFER_RESULT_COMPLETED
	}
}

// outcome returns what became of the transfer: its own state or, where that is not told, that of a call which was merged.
func (t *warmTransfer) outcome() word {
	if t.state.text == "" {
		if i := slices.IndexFunc(t.legs, proxyCall.merged); i >= 0 {
			return t.legs[i].state
		}
	}
	return t.state
}

// phone returns whom the transfer went to: who took over, or the only one who was called.
func (t *warmTransfer) phone() string {
	if i := slices.IndexFunc(t.legs, proxyCall.merged); i >= 0 {
		return t.legs[i].phone
	}
	if len(t.legs) == 1 {
		return t.legs[0].phone
	}
	return ""
}

func (c proxyCall) merged() bool { return c.state.plain() == "merged" }

// addLegs lists the calls to human agents. They are calls of their own at Bland, with webhooks of their own.
func (p *payload) addLegs() {
	for _, c := range p.warm.legs {
		p.call.Legs = append(p.call.Legs, &callnormv1.CallLeg{
			Id: c.id, KindRaw: "proxy_agent_call", Callee: endpoint(c.phone), StatusRaw: c.state.text,
		})
	}
}

// transferred returns the transfer, if the target took the call.
func (p *payload) transferred() *callnormv1.Transfer {
	for _, t := range p.call.GetTransfers() {
		if t.GetResult() == callnormv1.TransferResult_TRANSFER_RESULT_COMPLETED {
			return t
		}
	}
	return nil
}

// setReport reads what a post-call webhook says on the whole call. It comes when the call is over; a body that says otherwise is a
// record of a call that goes on.
func (p *payload) setReport() {
	o := &p.call
	status, mapping := statuses.Find(p.notes, p.status.path, p.status.text)
	if status.status == callnormv1.CallStatus_CALL_STATUS_UNSPECIFIED {
		mapping = callnormv1.Mapping_MAPPING_UNSPECIFIED // Bland says that it does not know
	}
	o.Status, o.StatusRaw, o.StatusMapping = status.status, p.status.text, mapping
	queued, _ := queue.Find(p.notes, p.queueStatus.path, p.queueStatus.text)
	over := p.isOver(status, queued)
	failure, found := findFailure(p.errorMessage.text)
	p.inferStatus(status, queued, failure.meaning(), over)
	if !queued.over && o.GetStatusRaw() != p.queueStatus.text {
		p.leaveWord(p.queueStatus) // what it says is said better by the status
	}
	if p.errorMessage.text != "" || queued.failed {
		o.Error = &callnormv1.CallError{Message: p.errorMessage.text}
		if queued.failed {
			o.Error.Code = p.queueStatus.text
		}
	}
	p.setEnd(status, queued, failure, found)

	o.Event, o.EventRaw, o.EventMapping = callnormv1.EventKind_EVENT_KIND_CALL_REPORTED, p.event.text, callnormv1.Mapping_MAPPING_HEURISTIC
	switch {
	case events[p.event.plain()]:
		o.EventMapping = callnormv1.Mapping_MAPPING_EXACT
	case p.event.text != "":
		p.warnOfEvent()
	}
	o.Completeness = callnormv1.Completeness_COMPLETENESS_FINAL
	if over {
		o.EndTime = p.endTime.at
		return
	}
	o.Completeness = callnormv1.Completeness_COMPLETENESS_PARTIAL
	o.Event, o.EventMapping = callnormv1.EventKind_EVENT_KIND_CALL_PROGRESS, callnormv1.Mapping_MAPPING_HEURISTIC
	if o.GetStatus() == callnormv1.CallStatus_CALL_STATUS_QUEUED {
		o.Event = callnormv1.EventKind_EVENT_KIND_CALL_SCHEDULED
	}
	if p.endTime.at != nil { // "the latest possible end"
		p.notes.Unmapped(p.endTime.path, jsontext.Value(p.endTime.raw))
	}
}

// isOver tells whether the call is over. `completed` is the more recent of two that differ, by the documentation.
func (p *payload) isOver(status statusMeaning, queued queueMeaning) bool {
	switch {
	case p.completed == nil:
		return status.over() || !status.open && (queued.over || p.endedBy.text != "")
	case !*p.completed && status.over():
		p.notes.Warn(callnormv1.WarningKind_WARNING_KIND_CONTRADICTION, "completed", "says that the call goes on, and the status that it is over, which counts")
		return true
	case !*p.completed && p.status.text == "" && queued.failed:
		return true // an error in the queue is the end, though nothing was completed
	case *p.completed && status.open:
		p.notes.Warn(callnormv1.WarningKind_WARNING_KIND_CONTRADICTION, p.status.path, "says that the call goes on, and `completed` that it is over, which counts")
	}
	return *p.completed
}

// inferStatus finds a status where the word leaves it open. Calls that nobody answered are "completed" at times, too, which
// `answered_by` tells; but a detector does not unsay what somebody said.
func (p *payload) inferStatus(status statusMeaning, queued queueMeaning, failed sip.Meaning, over bool) {
	o := &p.call
	none := p.answeredBy.plain() == noAnswer
	heard := p.spoke() || p.transferred() != nil
	if none && status.status == callnormv1.CallStatus_CALL_STATUS_COMPLETED {
		p.notes.Warn(callnormv1.WarningKind_WARNING_KIND_CONTRADICTION, p.answeredBy.path, "tells of a call that nobody answered, and the status of one that was answered")
		if !heard {
			o.Status, o.StatusMapping = callnormv1.CallStatus_CALL_STATUS_NO_ANSWER, callnormv1.Mapping_MAPPING_HEURISTIC
		}
		return
	}
	if status.status != callnormv1.CallStatus_CALL_STATUS_UNSPECIFIED && (!status.open || !over) {
		return
	}
	var from word
	switch who := p.answeredBy.plain(); {
	case !over:
		o.Status, from = queued.status, p.queueStatus
	case none && !heard:
		o.Status, from = callnormv1.CallStatus_CALL_STATUS_NO_ANSWER, p.answeredBy
	case who == human, who == voicemail:
		o.Status, from = callnormv1.CallStatus_CALL_STATUS_COMPLETED, p.answeredBy
	case heard:
		o.Status = callnormv1.CallStatus_CALL_STATUS_COMPLETED
	case failed.Status != callnormv1.CallStatus_CALL_STATUS_UNSPECIFIED:
		o.Status, from = failed.Status, p.errorMessage
	case queued.open: // the queue has not heard yet that the call is over
		o.Status = callnormv1.CallStatus_CALL_STATUS_UNSPECIFIED
	default:
		o.Status, from = queued.status, p.queueStatus
	}
	if o.GetStatus() == callnormv1.CallStatus_CALL_STATUS_UNSPECIFIED {
		o.StatusMapping = callnormv1.Mapping_MAPPING_UNSPECIFIED
		return
	}
	o.StatusMapping = callnormv1.Mapping_MAPPING_HEURISTIC
	if o.GetStatusRaw() == "" {
		o.StatusRaw = from.text
	}
}

// setEnd says why and by whom the call ended.
func (p *payload) setEnd(status statusMeaning, queued queueMeaning, failure errorMeaning, found callnormv1.Mapping) {
	end := &callnormv1.CallEnd{}
	by, mapping := enders.Find(p.notes, p.endedBy.path, p.endedBy.text)
	end.EndedBy, end.EndedByRaw, end.EndedByMapping = by.by, p.endedBy.text, mapping
	if p.proxy && by.by == callnormv1.EndedBy_ENDED_BY_CUSTOMER { // the human agent, who is ours
		by = endMeaning{}
		end.EndedBy, end.EndedByMapping = callnormv1.EndedBy_ENDED_BY_HUMAN_OPERATOR, callnormv1.Mapping_MAPPING_HEURISTIC
	}
	if p.call.GetStatus() == callnormv1.CallStatus_CALL_STATUS_COMPLETED {
		p.setEndOfConversation(end, by)
		if p.errorMessage.text != "" && !queued.failed {
			p.notes.Warn(callnormv1.WarningKind_WARNING_KIND_CONTRADICTION, p.errorMessage.path, "tells of an error of a call that was answered and ended")
		}
	} else {
		p.setFailure(end, status, queued, failure, found)
		if end.GetReason() == callnormv1.EndReason_END_REASON_UNSPECIFIED {
			setReason(end, by.reason, p.endedBy.text, mapping)
		}
	}
	p.call.End = wire.Filled(end)
}

func setReason(end *callnormv1.CallEnd, reason callnormv1.EndReason, raw string, mapping callnormv1.Mapping) {
	if reason != callnormv1.EndReason_END_REASON_UNSPECIFIED {
		end.Reason, end.ReasonRaw, end.ReasonMapping = reason, raw, mapping
	}
}

// setEndOfConversation says why an answered call ended. What became of it says more than whose hand it was. An error is not why: it
// may be one of a transfer, and one stands beside a good call in the documentation's example.
func (p *payload) setEndOfConversation(end *callnormv1.CallEnd, by endMeaning) {
	transfer := p.transferred()
	switch {
	case p.answeredBy.plain() == voicemail:
		setReason(end, callnormv1.EndReason_END_REASON_VOICEMAIL, p.answeredBy.text, callnormv1.Mapping_MAPPING_HEURISTIC)
	case transfer != nil:
		setReason(end, callnormv1.EndReason_END_REASON_TRANSFERRED, transfer.GetResultRaw(), callnormv1.Mapping_MAPPING_HEURISTIC)
	default:
		setReason(end, by.reason, p.endedBy.text, end.GetEndedByMapping())
	}
}

// stopped returns who stopped a call that did not come about: of a callee, which side that is, where it is known.
func (p *payload) stopped(told sip.Meaning) callnormv1.EndedBy {
	if told.By == callnormv1.EndedBy_ENDED_BY_CALLEE && p.call.GetDirection() == callnormv1.Direction_DIRECTION_OUTBOUND {
		return callnormv1.EndedBy_ENDED_BY_CUSTOMER
	}
	return told.By
}

// setFailure says why a call did not come about: the error tells it best, then the queue, then the status.
func (p *payload) setFailure(end *callnormv1.CallEnd, status statusMeaning, queued queueMeaning, failure errorMeaning, found callnormv1.Mapping) {
	told := failure.meaning()
	plain := status.reason == callnormv1.EndReason_END_REASON_UNSPECIFIED || status.reason == callnormv1.EndReason_END_REASON_ERROR
	switch {
	case isCause(told.Reason):
		setReason(end, told.Reason, p.errorMessage.text, found)
		if failure.code != 0 {
			end.SipCode = &failure.code
		}
		if by := p.stopped(told); end.GetEndedByRaw() == "" && by != callnormv1.EndedBy_ENDED_BY_UNSPECIFIED {
			end.EndedBy, end.EndedByRaw, end.EndedByMapping = by, p.errorMessage.text, callnormv1.Mapping_MAPPING_HEURISTIC
		}
	case plain && isCause(queued.reason):
		setReason(end, queued.reason, p.queueStatus.text, callnormv1.Mapping_MAPPING_HEURISTIC)
	case status.reason != callnormv1.EndReason_END_REASON_UNSPECIFIED:
		setReason(end, status.reason, p.status.text, p.call.GetStatusMapping())
	case p.call.GetStatus() == callnormv1.CallStatus_CALL_STATUS_NO_ANSWER:
		setReason(end, callnormv1.EndReason_END_REASON_NO_ANSWER, p.answeredBy.text, callnormv1.Mapping_MAPPING_HEURISTIC)
	case told.Reason != callnormv1.EndReason_END_REASON_UNSPECIFIED:
		setReason(end, told.Reason, p.errorMessage.text, found)
	default:
		setReason(end, queued.reason, p.queueStatus.text, callnormv1.Mapping_MAPPING_HEURISTIC)
	}
}

// isCause tells whether a reason says what went wrong, and not only that something did.
func isCause(reason callnormv1.EndReason) bool {
	return reason != callnormv1.EndReason_END_REASON_UNSPECIFIED && reason != callnormv1.EndReason_END_REASON_ERROR
}

func (p *payload) warnOfEvent() {
	p.notes.Warn(callnormv1.WarningKind_WARNING_KIND_UNKNOWN_WORD, p.event.path, "the event is not known to this version")
}

// setEvent reads an event that brings something later. It says nothing of how the call went, so it waits for the report.
func (p *payload) setEvent() {
	o := &p.call
	o.Event, o.EventRaw, o.EventMapping = callnormv1.EventKind_EVENT_KIND_CALL_REPORTED, p.event.text, callnormv1.Mapping_MAPPING_EXACT
	o.Completeness = callnormv1.Completeness_COMPLETENESS_SETTLING
	o.ExpectedParts = []callnormv1.Part{callnormv1.Part_PART_RESULT}
	switch {
	case p.event.text == "":
		o.EventMapping = callnormv1.Mapping_MAPPING_HEURISTIC
	case !events[p.event.plain()]:
		p.warnOfEvent()
		o.Event, o.EventMapping = callnormv1.EventKind_EVENT_KIND_OTHER, callnormv1.Mapping_MAPPING_NONE
		o.Completeness, o.ExpectedParts = callnormv1.Completeness_COMPLETENESS_PARTIAL, nil
	}
	p.leaveWord(p.status, p.errorMessage, p.endedBy)
	if p.endTime.at != nil {
		p.notes.Unmapped(p.endTime.path, jsontext.Value(p.endTime.raw))
	}
}

// setDurations reads the lengths. `corrected_duration` counts the whole call in seconds, and so does `call_length` in minutes; what came
// before a transfer was the conversation with the agent.
func (p *payload) setDurations() {
	o := &p.call
	o.TotalDuration = p.corrected.span
	switch {
	case o.GetTotalDuration() == nil:
		o.TotalDuration = p.length.span
	case p.length.span != nil && apart(p.length.span, p.corrected.span) > time.Second:
		p.notes.Warn(callnormv1.WarningKind_WARNING_KIND_CONTRADICTION, p.length.path, "read as minutes, it differs from corrected_duration, which counts")
		p.leave(p.length)
	}
	if len(o.GetTransfers()) == 0 {
		p.leave(p.beforeTransfer)
		return
	}
	o.TalkDuration = p.beforeTransfer.span
	parts := p.beforeTransfer.span.AsDuration() + p.afterTransfer.span.AsDuration()
	if o.GetTotalDuration() != nil && parts > o.GetTotalDuration().AsDuration()+2*time.Second {
		p.notes.Warn(callnormv1.WarningKind_WARNING_KIND_CONTRADICTION, "pre_transfer_duration", "read as minutes, the parts before and after the transfer are longer than the call")
	}
}

func apart(a, b *durationpb.Duration) time.Duration { return (a.AsDuration() - b.AsDuration()).Abs() }

// setDisposition reads the tag: what a language model thinks of the contact, or for calls that nobody answered what Bland itself sets.
// It feeds nothing else, in particular no status.
func (p *payload) setDisposition() {
	if p.tag.text == "" {
		return
	}
	if p.proxy { // about a human agent, who is no contact
		p.leaveWord(p.tag)
		return
	}
	meaning, mapping := findTag(p.tag.text)
	d := &callnormv1.Disposition{
		Value: meaning.value, Raw: p.tag.text, Mapping: mapping, DecidedBy: callnormv1.DecidedBy_DECIDED_BY_PROVIDER_LLM,
	}
	p.call.Disposition = d
	switch plain := p.tag.plain(); {
	case plain == transferredTag && p.transferred() == nil:
		p.notes.Warn(callnormv1.WarningKind_WARNING_KIND_CONTRADICTION, p.tag.path, "tells of a transfer, and no other field does; it is an opinion")
		d.Value = callnormv1.ContactDisposition_CONTACT_DISPOSITION_OTHER
	case plain == agentEndedTag && p.call.GetTranscript() == nil && p.call.GetTotalDuration().AsDuration() > longSilence:
		d.DecidedBy, d.Mapping = callnormv1.DecidedBy_DECIDED_BY_PROVIDER_RULE, callnormv1.Mapping_MAPPING_EXACT
	case meaning.system:
		d.DecidedBy = callnormv1.DecidedBy_DECIDED_BY_PROVIDER_RULE
	}
	if meaning.goal != callnormv1.GoalResult_GOAL_RESULT_UNSPECIFIED {
		d.Goal, d.GoalRaw, d.GoalMapping = meaning.goal, p.tag.text, mapping
	}
	if meaning.followUp {
		p.analysis().FollowUpRequired = new(true)
	}
	switch d.GetValue() {
	case callnormv1.ContactDisposition_CONTACT_DISPOSITION_DO_NOT_CALL:
		d.DoNotCall = new(true)
	case callnormv1.ContactDisposition_CONTACT_DISPOSITION_WRONG_NUMBER:
		d.WrongNumber = new(true)
	}
}

// setRecording reads the address of the recording, which may be Twilio's.
func (p *payload) setRecording() {
	uri := p.notes.Usable(p.recordingURI.path, p.recordingURI.text)
	if uri == "" {
		if p.recordingExpiry.at != nil {
			p.notes.Unmapped(p.recordingExpiry.path, jsontext.Value(p.recordingExpiry.raw))
		}
		return
	}
	p.call.Recordings = []*callnormv1.Recording{{Uri: uri, ExpireTime: p.recordingExpiry.at}}
}

func (p *payload) setParts() {
	o := &p.call
	add := func(part callnormv1.Part, here bool) {
		if here {
			o.PresentParts = append(o.PresentParts, part)
		}
	}
	analysed := slices.ContainsFunc(o.GetExtractedFields(), func(field *callnormv1.ExtractedField) bool { return field.GetSource() != "variables" })
	add(callnormv1.Part_PART_RESULT, o.GetCompleteness() == callnormv1.Completeness_COMPLETENESS_FINAL && o.GetStatusMapping() != callnormv1.Mapping_MAPPING_UNSPECIFIED)
	add(callnormv1.Part_PART_TRANSCRIPT, o.GetTranscript() != nil)
	add(callnormv1.Part_PART_RECORDING, len(o.GetRecordings()) > 0)
	add(callnormv1.Part_PART_ANALYSIS, analysed || o.GetAnalysis().GetSummary() != "" || o.GetDisposition() != nil)
	add(callnormv1.Part_PART_COST, o.GetCost() != nil)
	add(callnormv1.Part_PART_TRANSFER, slices.ContainsFunc(o.GetTransfers(), func(t *callnormv1.Transfer) bool {
		return t.GetResult() != callnormv1.TransferResult_TRANSFER_RESULT_UNSPECIFIED && t.GetResult() != callnormv1.TransferResult_TRANSFER_RESULT_STARTED
	}))
}
