package elevenlabs

import (
	"cmp"
	"slices"
	"strings"

	"github.com/callnorm/callnorm/adapters/internal/phone"
	"github.com/callnorm/callnorm/adapters/internal/wire"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// event is which event a delivery is about, and how that was found out.
type event struct {
	shape   shape
	raw     string
	mapping callnormv1.Mapping
}

// tell finds out which event the delivery is about: by its type, by the path of the webhook, or by its contents alone. It returns
// false where the word is not known, or where there is none and the contents do not tell.
func (p *payload) tell(pathEvent string) (event, bool) {
	for _, raw := range []string{p.event.text, strings.TrimSpace(pathEvent)} {
		if raw == "" {
			continue
		}
		if s, mapping, known := findEvent(raw); known {
			return event{shape: s, raw: raw, mapping: mapping}, true
		}
		if raw == p.event.text {
			return event{raw: raw}, false
		}
		p.record.notes.Warn(callnormv1.WarningKind_WARNING_KIND_UNKNOWN_WORD, "", "the event that the webhook's path names is not known to this version")
	}
	s := p.record.shape()
	return event{shape: s, mapping: callnormv1.Mapping_MAPPING_HEURISTIC}, s != 0
}

// outcome says what a delivery amounts to.
func (c *record) outcome(told event) *callnormv1.CallOutcome {
	o := &c.call
	o.Event, o.EventRaw, o.EventMapping = callnormv1.EventKind_EVENT_KIND_CALL_REPORTED, told.raw, told.mapping
	if told.mapping == callnormv1.Mapping_MAPPING_PREFIX {
		c.notes.Warn(callnormv1.WarningKind_WARNING_KIND_UNKNOWN_WORD, "type", "the event is known, but not with this ending")
	}
	o.ProviderCallId = c.usable(c.id)
	c.contactID()
	switch told.shape {
	case shapeAudio:
		o.Event = callnormv1.EventKind_EVENT_KIND_RECORDING_READY
	case shapeFailure:
		c.setFailure()
	default:
		c.setReport()
	}
	c.setCompleteness(told.shape)
	c.setParties()
	c.setAgent()
	c.setRecording()
	o.Campaign = wire.Filled(&c.campaign)
	c.setParts()
	o.Provenance = c.notes.Provenance()
	return o
}

// setReport reads what only a report on a conversation tells.
func (c *record) setReport() {
	o := &c.call
	meaning, mapping := statuses.Find(c.notes, c.status.path, c.status.text)
	o.Status, o.StatusRaw, o.StatusMapping = meaning.status, c.status.text, mapping
	o.DirectionRaw = c.phone.direction.text
	o.Direction, o.DirectionMapping = directions.Find(c.notes, c.phone.direction.path, c.phone.direction.text)
	c.setChannel()
	c.setLine()
	c.setTools()
	c.setVoicemail()
	c.setEnd()
	c.setTranscript()
	c.setAnalysis()
}

// setCompleteness says how much more is to be expected. A recording comes beside the report, which may be ahead of it or behind.
func (c *record) setCompleteness(s shape) {
	o := &c.call
	meaning, _, _ := statuses.Known(c.status.text)
	switch {
	case s == shapeAudio:
		o.Completeness = callnormv1.Completeness_COMPLETENESS_SETTLING
		o.ExpectedParts = []callnormv1.Part{
			callnormv1.Part_PART_RESULT, callnormv1.Part_PART_TRANSCRIPT, callnormv1.Part_PART_ANALYSIS, callnormv1.Part_PART_COST,
		}
	case s == shapeReport && meaning.open:
		o.Completeness = callnormv1.Completeness_COMPLETENESS_PARTIAL
		if o.GetEventRaw() == "" {
			o.Event = callnormv1.EventKind_EVENT_KIND_CALL_PROGRESS
		} else {
			c.notes.Warn(callnormv1.WarningKind_WARNING_KIND_CONTRADICTION, c.status.path, "the status says that the call goes on, and the event that it is over")
		}
	case s == shapeReport && meaning.pending:
		o.Completeness = callnormv1.Completeness_COMPLETENESS_SETTLING
		if c.analysis.success.text == "" && c.analysis.summary == "" {
			o.ExpectedParts = []callnormv1.Part{callnormv1.Part_PART_ANALYSIS}
		}
		if o.GetEventRaw() == "" {
			o.Event = callnormv1.EventKind_EVENT_KIND_CALL_ENDED
		}
	default:
		o.Completeness = callnormv1.Completeness_COMPLETENESS_FINAL
	}
	if s == shapeReport && !meaning.open && o.GetStartTime() != nil && o.GetTotalDuration() != nil {
		o.EndTime = timestamppb.New(o.GetStartTime().AsTime().Add(o.GetTotalDuration().AsDuration()))
		c.notes.Derived("end_time")
	}
}

// setChannel says by what medium the conversation was held. A conversation in writing is no call, wherever it was begun; one with
// the object of a telephone call is one.
func (c *record) setChannel() {
	o, told := &c.call, &c.channel
	o.ChannelRaw = told.source.text
	o.Channel, o.ChannelMapping = sources.Find(c.notes, told.source.path, told.source.text)
	infer := func(channel callnormv1.Channel, raw string) {
		if o.GetChannel() == channel {
			return
		}
		o.Channel, o.ChannelMapping = channel, callnormv1.Mapping_MAPPING_HEURISTIC
		if told.source.text == "" {
			o.ChannelRaw = raw
		}
	}
	messages := o.GetChannel() == callnormv1.Channel_CHANNEL_SMS || o.GetChannel() == callnormv1.Channel_CHANNEL_WHATSAPP
	byAuthorization, _, authorized := authorizations.Known(told.authorization.text)
	switch {
	case told.whatsApp:
		infer(callnormv1.Channel_CHANNEL_WHATSAPP, "whatsapp")
	case told.sms:
		infer(callnormv1.Channel_CHANNEL_SMS, "sms")
	case authorized && byAuthorization != callnormv1.Channel_CHANNEL_PHONE:
		infer(byAuthorization, told.authorization.text)
	case told.textOnly != nil && *told.textOnly && !messages:
		infer(callnormv1.Channel_CHANNEL_TEXT, "text_only")
	case told.phone:
		infer(callnormv1.Channel_CHANNEL_PHONE, cmp.Or(c.phone.kind.text, "phone_call"))
	case authorized && told.source.text == "":
		infer(byAuthorization, told.authorization.text)
	}
	if told.authorization.text != "" && o.GetChannelRaw() != told.authorization.text {
		c.notes.UnmappedText(told.authorization.path, told.authorization.text)
	}
	if told.phone && c.phone.kind.text != "" && o.GetChannelRaw() != c.phone.kind.text {
		if _, _, known := carriers.Known(c.phone.kind.text); !known && c.phone.kind.text != "sip_trunking" {
			c.notes.UnmappedText(c.phone.kind.path, c.phone.kind.text)
		}
	}
}

// setLine reads the ids of the telephone call. The variables repeat the carrier's.
func (c *record) setLine() {
	line := &c.phone
	if line.callSID.text == "" {
		line.callSID = line.variableSID
	}
	c.addExternal(carrierOf(line.kind.text, line.callSID.text), line.callSID)
	c.addExternal("sip.call_id", line.callID)
	carrier, _, _ := strings.Cut(carrierOf(line.kind.text, line.callSID.text), ".")
	c.addExternal(carrier+".stream_sid", line.streamSID)
	c.addRelated("elevenlabs.phone_number_id", line.numberID)
}

// contactID reads whom the customer says that the agent talks to: in the report or, where it does not tell, as the conversation began.
func (c *record) contactID() {
	for _, told := range []word{c.userID, c.initialUserID} {
		id := c.usable(told)
		switch {
		case c.contact.GetId() == "":
			c.contact.Id = id
		case id != "" && id != c.contact.GetId():
			c.notes.UnmappedText(told.path, id)
		}
	}
}

// setParties says who called whom. Without a direction, the number of the other side is the contact's, and ours has no place; but the
// variables of the conversation tell the calling and the called side.
func (c *record) setParties() {
	o, line := &c.call, &c.phone
	caller, callee := c.failure.from, c.failure.to
	outbound := o.GetDirection() == callnormv1.Direction_DIRECTION_OUTBOUND
	inbound := o.GetDirection() == callnormv1.Direction_DIRECTION_INBOUND
	switch {
	case outbound && caller == nil && callee == nil:
		caller, callee = line.ours, line.theirs
	case inbound && caller == nil && callee == nil:
		caller, callee = line.theirs, line.ours
	case line.ours != nil:
		c.notes.UnmappedText(line.oursPath, line.ours.GetPhone().GetAsReceived()+line.ours.GetSipUri())
	}
	if caller == nil {
		caller = endpoint(line.from)
	}
	if callee == nil {
		callee = endpoint(line.to)
	}
	o.Caller, o.Callee = caller, callee
	other := line.theirs
	switch {
	case other != nil:
	case outbound:
		other = callee
	case inbound:
		other = caller
	}
	switch {
	case other.GetPhone() != nil:
		c.contact.Phones = []*callnormv1.PhoneNumber{proto.CloneOf(other.GetPhone())}
	case other.GetSipUri() != "":
		c.contact.Phones = []*callnormv1.PhoneNumber{{AsReceived: other.GetSipUri()}}
	}
	o.Contact = wire.Filled(&c.contact)
}

// endpoint returns one side of a call by its number.
func endpoint(number string) *callnormv1.Endpoint {
	parsed := phone.Parse(number)
	switch {
	case parsed == nil:
		return nil
	case strings.HasPrefix(number, "sip:"), strings.HasPrefix(number, "sips:"):
		return &callnormv1.Endpoint{SipUri: number}
	default:
		return &callnormv1.Endpoint{Phone: parsed}
	}
}

func (c *record) setAgent() {
	c.agent.Id = c.usable(c.agentID)
	c.agent.OtherAgents = slices.DeleteFunc(c.agent.GetOtherAgents(), func(id string) bool { return id == c.agent.GetId() })
	c.call.Agent = wire.Filled(&c.agent)
}

// setRecording tells of the recording. It has no address and no id of its own: the API hands it out by the id of the conversation.
func (c *record) setRecording() {
	flags := make([]string, 0, len(c.audioFlags))
	for _, flag := range c.audioFlags {
		switch {
		case flag.text == "":
		case c.hasAudio:
			flags = append(flags, flag.text)
		default:
			c.notes.Unmapped(flag.path, []byte("true"))
		}
	}
	if len(flags) > 0 && c.recording == nil {
		c.recording = &callnormv1.Recording{}
	}
	if c.recording == nil {
		return
	}
	c.recording.Id, c.recording.StatusRaw = c.call.GetProviderCallId(), strings.Join(flags, " ")
	c.call.Recordings = []*callnormv1.Recording{c.recording}
}

// setTools tells of the tools, and of the transfers that some of them are.
func (c *record) setTools() {
	o := &c.call
	for _, t := range c.tools.list {
		if t.notCalled && !t.answered {
			c.notes.Unmapped(t.path+".tool_has_been_called", []byte("false"))
		}
		o.ToolCalls = append(o.ToolCalls, t.call)
		if t.result.fromAgent != "" {
			c.addAgent(t.result.fromAgent)
		}
		if t.result.toAgent != "" {
			c.addAgent(t.result.toAgent)
		}
		if t.result.conference != "" && t.result.path != "" {
			c.notes.UnmappedText(t.result.path+".conference_name", t.result.conference)
		}
		if transfer := t.transfer(); transfer != nil {
			o.Transfers = append(o.Transfers, transfer)
		}
	}
	if c.usedTransfer && !slices.ContainsFunc(c.tools.list, (*tool).transfersToNumber) {
		o.Transfers = append(o.Transfers, &callnormv1.Transfer{})
		c.notes.Derived("transfers")
	}
}

func (t *tool) transfersToNumber() bool {
	return t.call.GetTool() == transferToNumber || strings.HasPrefix(t.result.kind, transferToNumber+"_") || t.result.number != ""
}

func (t *tool) transfersToAgent() bool {
	return t.call.GetTool() == transferToAgent || strings.HasPrefix(t.result.kind, transferToAgent+"_")
}

// transfer returns the transfer that the tool is for. The agent does not stay to see whether somebody took the call: what counts is
// that handing it over succeeded.
func (t *tool) transfer() *callnormv1.Transfer {
	transfer := &callnormv1.Transfer{
		KindRaw: t.call.GetTool(), Result: t.transferResult(), ResultRaw: t.call.GetStatusRaw(), Reason: t.result.reason,
	}
	switch {
	case t.transfersToNumber():
		if t.result.conference != "" {
			transfer.Kind = callnormv1.TransferKind_TRANSFER_KIND_CONFERENCE
		}
		transfer.Target = endpoint(strings.TrimSpace(t.result.number))
	case t.transfersToAgent():
		transfer.Kind = callnormv1.TransferKind_TRANSFER_KIND_AGENT
		transfer.TargetName = t.result.toAgent
		transfer.Reason = cmp.Or(t.result.condition, t.result.reason)
	default:
		return nil
	}
	if transfer.GetReason() == "" {
		transfer.Reason = t.call.GetError()
	}
	return transfer
}

func (t *tool) transferResult() callnormv1.TransferResult {
	kind := t.result.kind
	switch {
	case !t.answered:
		return callnormv1.TransferResult_TRANSFER_RESULT_STARTED
	case t.failed, strings.HasSuffix(kind, "_error"), t.result.errorText != "":
		return callnormv1.TransferResult_TRANSFER_RESULT_FAILED
	case kind == "", strings.HasSuffix(kind, "_success"):
		return callnormv1.TransferResult_TRANSFER_RESULT_COMPLETED
	default:
		return callnormv1.TransferResult_TRANSFER_RESULT_OTHER
	}
}

// succeeded tells whether a tool was used without an error.
func (t *tool) succeeded() bool {
	return t.answered && !t.failed && !strings.HasSuffix(t.result.kind, "_error")
}

// setVoicemail tells of a voicemail. There is no status for one; the agent notices it by a tool.
func (c *record) setVoicemail() {
	const found = voicemailTool + "_success"
	o := &c.call
	byText := strings.Contains(strings.ToLower(c.termination.text), "voicemail")
	detected := c.usedVoicemail || byText
	raw, mapping := voicemailTool, callnormv1.Mapping_MAPPING_HEURISTIC
	if byText {
		raw = c.termination.text
	}
	left := (*tool)(nil)
	for _, t := range c.tools.list {
		switch {
		case t.result.kind == found:
			detected, left = true, t
			raw, mapping = found, callnormv1.Mapping_MAPPING_LLM // the agent's model decided to use the tool
		case t.call.GetTool() == voicemailTool && (!t.answered || t.succeeded()):
			detected = true
			if left == nil {
				left = t
			}
		}
	}
	if !detected {
		return
	}
	yes := true
	o.AnsweredBy = &callnormv1.AnsweredBy{Value: callnormv1.AnsweredByKind_ANSWERED_BY_KIND_VOICEMAIL, Raw: raw, Mapping: mapping}
	o.Voicemail = &callnormv1.Voicemail{Detected: &yes}
	if left != nil && left.result.voicemailTold {
		message := left.result.voicemailMessage
		said := message != ""
		o.Voicemail.MessageLeft, o.Voicemail.MessageText = &said, message
	}
}

// setEnd says why and by whose hand the conversation ended: by the text on its termination, by the error that was reported, or by the
// tool that was used last of those that end one.
func (c *record) setEnd() {
	o := &c.call
	if c.failed.told() {
		o.Error = &callnormv1.CallError{Code: c.failed.code, Message: cmp.Or(c.failed.reason, c.failed.kind.text)}
		if c.failed.reason != "" && c.failed.kind.text != "" {
			c.notes.UnmappedText(c.failed.kind.path, c.failed.kind.text)
		}
	}
	raw := c.termination.text
	meaning, known := findTermination(raw)
	transferred := slices.ContainsFunc(o.GetTransfers(), func(t *callnormv1.Transfer) bool {
		return t.GetKind() != callnormv1.TransferKind_TRANSFER_KIND_AGENT && t.GetResult() == callnormv1.TransferResult_TRANSFER_RESULT_COMPLETED
	})
	switch {
	case c.failed.told() && (!known || meaning.fault || meaning == customerHungUp):
		// An error cuts the client off, which the text then tells.
		raw, meaning = c.endByError(raw)
		known = true
	case raw == "":
		raw, meaning, known = c.endByTools(transferred)
	case known && transferred && meaning == customerHungUp:
		// The agent's connection ends with the transfer, and nobody tells of another end.
		meaning.reason = callnormv1.EndReason_END_REASON_TRANSFERRED
	}
	if known {
		c.refineVoicemail(&meaning)
	}
	end := &callnormv1.CallEnd{ReasonRaw: raw, Detail: c.endDetail(raw)}
	switch {
	case raw == "":
	case known:
		end.Reason, end.ReasonMapping = meaning.reason, callnormv1.Mapping_MAPPING_HEURISTIC
		if meaning.by != callnormv1.EndedBy_ENDED_BY_UNSPECIFIED {
			end.EndedBy, end.EndedByRaw, end.EndedByMapping = meaning.by, raw, callnormv1.Mapping_MAPPING_HEURISTIC
		}
	default:
		end.Reason, end.ReasonMapping = callnormv1.EndReason_END_REASON_OTHER, callnormv1.Mapping_MAPPING_NONE
		c.notes.Warn(callnormv1.WarningKind_WARNING_KIND_UNKNOWN_WORD, c.termination.path, "the text is not known to this version")
	}
	o.End = wire.Filled(end)
}

// endByError finds the end in the error. What failed, its text may tell.
func (c *record) endByError(termination string) (string, endMeaning) {
	for _, text := range []string{termination, c.failed.reason, c.failed.kind.text} {
		if meaning, known := findTermination(text); known && meaning.fault && meaning != somethingFailed {
			return cmp.Or(termination, text), meaning
		}
	}
	return cmp.Or(termination, c.failed.reason, c.failed.kind.text, c.failed.code), platformFailed
}

// endByTools finds the end in the tools. A voicemail is left, and a call handed over, without a word of goodbye.
func (c *record) endByTools(transferred bool) (string, endMeaning, bool) {
	if c.call.GetVoicemail().GetDetected() {
		meaning, known := findTermination(voicemailTool)
		return c.call.GetAnsweredBy().GetRaw(), meaning, known
	}
	for _, t := range slices.Backward(c.tools.list) {
		switch {
		case transferred && t.transfersToNumber() && t.succeeded():
			return cmp.Or(t.result.kind, t.call.GetTool()), handedOver, true
		case t.call.GetTool() == endCallTool && (!t.answered || t.succeeded()):
			return cmp.Or(t.result.kind, endCallTool), agentHungUp, true
		}
	}
	return "", endMeaning{}, false
}

// refineVoicemail says whether a message was left, if a voicemail is why the call ended.
func (c *record) refineVoicemail(meaning *endMeaning) {
	told := c.call.GetVoicemail()
	if meaning.reason != callnormv1.EndReason_END_REASON_VOICEMAIL || told.MessageLeft == nil {
		return
	}
	meaning.reason = callnormv1.EndReason_END_REASON_VOICEMAIL_DETECTED_HANGUP
	if told.GetMessageLeft() {
		meaning.reason = callnormv1.EndReason_END_REASON_VOICEMAIL_LEFT
	}
}

// endDetail returns the reason that the agent gave for ending the call.
func (c *record) endDetail(raw string) string {
	for _, t := range slices.Backward(c.tools.list) {
		if name := t.call.GetTool(); (name == endCallTool || name == voicemailTool) && t.result.reason != "" {
			return t.result.reason
		}
	}
	if c.failed.reason != raw {
		return c.failed.reason
	}
	return ""
}

func (c *record) setTranscript() {
	if len(c.turns) > 0 {
		c.call.Transcript = &callnormv1.Transcript{Source: c.turnsPath, LanguageCode: c.language, Turns: c.turns}
	}
}

// setAnalysis reads the verdict on the conversation, which says nothing of the call: one that reached a voicemail is `done`, and a
// `failure`.
func (c *record) setAnalysis() {
	o, a := &c.call, &c.analysis
	judgement := &callnormv1.Analysis{
		Title: a.title, Summary: a.summary, SuccessRaw: a.success.text, Feedback: strings.Join(a.remarks, "\n"),
	}
	judgement.Success, judgement.SuccessMapping = judged(successes, c.notes, a.success)
	if o.GetTranscript() == nil {
		judgement.LanguageCode = c.language
	}
	o.Analysis = wire.Filled(judgement)
	o.ExtractedFields = a.fields
	o.Evaluations = slices.Concat(a.evaluations, a.opinion)
	for _, scope := range a.scopes {
		c.addAgent(scope.agent)
	}
}

func (c *record) setParts() {
	o := &c.call
	add := func(part callnormv1.Part, here bool) {
		if here {
			o.PresentParts = append(o.PresentParts, part)
		}
	}
	add(callnormv1.Part_PART_RESULT, o.GetStatusRaw() != "" && o.GetCompleteness() != callnormv1.Completeness_COMPLETENESS_PARTIAL)
	add(callnormv1.Part_PART_TRANSCRIPT, o.GetTranscript() != nil)
	add(callnormv1.Part_PART_RECORDING, c.recording.GetKindRaw() == fullAudio)
	add(callnormv1.Part_PART_ANALYSIS, c.analysis.success.text != "" || c.analysis.summary != "" || len(c.analysis.fields)+len(c.analysis.evaluations) > 0)
	add(callnormv1.Part_PART_COST, o.GetCost() != nil)
	add(callnormv1.Part_PART_TRANSFER, slices.ContainsFunc(c.tools.list, func(t *tool) bool { return t.answered && t.transfersToNumber() }))
	o.ExpectedParts = slices.DeleteFunc(o.GetExpectedParts(), func(part callnormv1.Part) bool { return slices.Contains(o.GetPresentParts(), part) })
}
