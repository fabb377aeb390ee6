package vapi

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/callnorm/callnorm/adapters/internal/ids"
	"github.com/callnorm/callnorm/adapters/internal/phone"
	"github.com/callnorm/callnorm/adapters/internal/words"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// outcome says what a report amounts to.
func (p *report) outcome(told event) *callnormv1.CallOutcome {
	o := &callnormv1.CallOutcome{
		Event: told.kind, EventRaw: told.raw, EventMapping: told.mapping, EventTime: p.times[timestamp],
		Completeness: told.completeness,
		CreateTime:   p.times[createdAt], StartTime: p.times[startedAt], EndTime: p.times[endedAt], AnalyzeTime: p.times[analyzedAt],
		ExtractedFields: p.fields, Evaluations: p.evaluations, Variables: p.named(variables), Metadata: p.named(metadata),
		Compliance: p.consent,
	}
	if o.GetEventTime() == nil && !p.enveloped {
		o.EventTime = p.times[updatedAt]
	}
	p.setIDs(o)
	p.setType(o)
	p.setParties(o)
	p.setAgent(o)
	first, last := p.setConversation(o)
	end := p.setEnd(o, told)
	p.setTimes(o, first, last)
	p.setTransfers(o, end)
	p.setRecordings(o)
	p.setAnalysis(o)
	p.setQuality(o)
	p.setCost(o)
	p.setParts(o)
	o.Provenance = p.notes.Provenance()
	return o
}

// usable returns a fact that is an id, unless a placeholder stands in its place.
func (p *report) usable(n name) string {
	return p.notes.UsableAt(func() string { return p.path(n) }, p.text(n))
}

// setIDs reads the ids. The carrier's is told by up to three members, of which the type of the carrier tells the kind.
func (p *report) setIDs(o *callnormv1.CallOutcome) {
	o.ProviderCallId = p.usable(callID)
	for _, n := range []name{carrier, transportCarrier} {
		if word := p.text(n); word != "" && carrierIDs[words.Plain(word)] == "" && !slices.Contains(idless, words.Plain(word)) {
			p.notes.Warn(callnormv1.WarningKind_WARNING_KIND_UNKNOWN_WORD, p.path(n), "the carrier is not known to this version")
			p.notes.UnmappedText(p.path(n), word)
		}
	}
	for _, told := range []struct{ id, carrier, otherwise name }{
		{carrierCallID, carrier, transportCarrier},
		{transportCallID, transportCarrier, carrier},
	} {
		if id := p.usable(told.id); id != "" {
			o.ExternalIds = ids.With(o.GetExternalIds(), carrierOf(cmp.Or(p.text(told.carrier), p.text(told.otherwise)), id), id)
		}
	}
	o.ExternalIds = ids.With(o.GetExternalIds(), "twilio.call_sid", p.usable(twilioCallSID))
	o.ExternalIds = ids.With(o.GetExternalIds(), "vapi.sbc_call_id", p.usable(sbcCallID))
	o.AccountIds = ids.With(o.GetAccountIds(), "twilio.account_sid", p.usable(twilioAccountSID))
	o.RelatedIds = ids.With(o.GetRelatedIds(), "vapi.phone_number_id", p.usable(phoneNumberID))
	o.RelatedIds = ids.With(o.GetRelatedIds(), "vapi.squad_id", p.usable(squadID))
	o.RelatedIds = ids.With(o.GetRelatedIds(), "vapi.squad_version", p.text(squadVersion))
	o.RelatedIds = ids.With(o.GetRelatedIds(), "vapi.session_id", p.usable(sessionID))
	if id := p.usable(campaignID); id != "" {
		o.Campaign = &callnormv1.Campaign{Id: id}
	}
}

// carrierOf names the kind of a carrier's id: by the carrier, or by the form of Twilio's where none is told.
func carrierOf(carrier, id string) string {
	if system := carrierIDs[words.Plain(carrier)]; system != "" {
		return system
	}
	if ids.IsTwilioSID("CA", id) {
		return "twilio.call_sid"
	}
	return "carrier.call_sid"
}

// setType reads direction and channel from the type of the call. What carries it tells the channel better.
func (p *report) setType(o *callnormv1.CallOutcome) {
	word := p.text(callType)
	meaning, mapping := callTypes.Find(p.notes, p.path(callType), word)
	if meaning.direction != callnormv1.Direction_DIRECTION_UNSPECIFIED {
		o.Direction, o.DirectionRaw, o.DirectionMapping = meaning.direction, word, mapping
	}
	o.Channel, o.ChannelRaw, o.ChannelMapping = meaning.channel, word, mapping
	if meaning.channel == callnormv1.Channel_CHANNEL_PHONE {
		o.ChannelMapping = callnormv1.Mapping_MAPPING_HEURISTIC
	}
	if by := p.text(phoneCallTransport); by != "" {
		if o.GetDirectionRaw() == "" && word != "" {
			p.notes.UnmappedText(p.path(callType), word)
		}
		o.ChannelRaw = by
		o.Channel, o.ChannelMapping = transports.Find(p.notes, p.path(phoneCallTransport), by)
	}
}

// setParties reads who called whom. Without a direction, as on the web, nothing tells on which side our number is.
func (p *report) setParties(o *callnormv1.CallOutcome) {
	contact := &callnormv1.Contact{
		Id: p.usable(customerID), DisplayName: p.text(customerName), Attributes: p.named(attributes),
	}
	theirs := endpoint(p.text(customerNumber), p.text(customerSIPURI))
	if theirs.GetPhone() != nil {
		contact.Phones = []*callnormv1.PhoneNumber{theirs.GetPhone()}
	}
	if email := p.text(customerEmail); email != "" {
		contact.Emails = []string{email}
	}
	if theirs.GetPhone() != nil || contact.GetId() != "" || contact.GetDisplayName() != "" || len(contact.GetEmails())+len(contact.GetAttributes()) > 0 {
		o.Contact = contact
	}
	ours := endpoint(p.text(ourNumber), p.text(ourSIPURI))
	switch o.GetDirection() {
	case callnormv1.Direction_DIRECTION_INBOUND:
		o.Caller, o.Callee = theirs, ours
	case callnormv1.Direction_DIRECTION_OUTBOUND:
		o.Caller, o.Callee = ours, theirs
	default:
		for _, n := range []name{ourNumber, ourSIPURI, customerSIPURI} {
			if p.text(n) != "" {
				p.notes.UnmappedText(p.path(n), p.text(n))
			}
		}
	}
}

// endpoint returns a side of the call. Where a SIP URI stands in the place of a number, it is one.
func endpoint(number, sipURI string) *callnormv1.Endpoint {
	if sipURI == "" && (strings.HasPrefix(number, "sip:") || strings.HasPrefix(number, "sips:")) {
		number, sipURI = "", number
	}
	side := &callnormv1.Endpoint{Phone: phone.Parse(number), SipUri: sipURI}
	if side.GetPhone() == nil && sipURI == "" {
		return nil
	}
	return side
}

// setAgent reads who spoke for us. In a squad several assistants did.
func (p *report) setAgent(o *callnormv1.CallOutcome) {
	agent := &callnormv1.Agent{
		Id: p.usable(assistantID), DisplayName: p.text(assistantName), Version: p.text(assistantVersion),
		WorkflowId: p.usable(workflowID), WorkspaceId: p.usable(orgID), NodePath: p.nodes,
		LlmModel: p.text(llmModel), TtsVoice: p.text(ttsVoice), SttModel: p.text(sttModel),
	}
	addAgent(agent, p.handedBy)
	for i := range p.activations {
		a := &p.activations[i]
		if a.name != "" && a.name == agent.GetDisplayName() {
			agent.Id = cmp.Or(agent.GetId(), a.id.text)
			agent.Version = cmp.Or(agent.GetVersion(), a.version.text)
		}
		addAgent(agent, a.name)
		if a.id.text != agent.GetId() {
			p.keep(a.id)
		}
		if a.version.text != agent.GetVersion() {
			p.keep(a.version)
		}
		if a.squadVersion.text != p.text(squadVersion) {
			p.keep(a.squadVersion)
		}
	}
	for _, name := range p.talk.agents {
		addAgent(agent, name)
	}
	if agent.GetId() != "" || agent.GetDisplayName() != "" || agent.GetWorkflowId() != "" || agent.GetWorkspaceId() != "" ||
		agent.GetLlmModel() != "" || agent.GetTtsVoice() != "" || agent.GetSttModel() != "" ||
		len(agent.GetOtherAgents())+len(agent.GetNodePath()) > 0 {
		o.Agent = agent
	}
}

func addAgent(agent *callnormv1.Agent, name string) {
	if name != "" && name != agent.GetDisplayName() && !slices.Contains(agent.GetOtherAgents(), name) {
		agent.OtherAgents = append(agent.OtherAgents, name)
	}
}

// setEnd says how the call stands, and why it ended. The reason tells both: nothing else does, and a success never.
func (p *report) setEnd(o *callnormv1.CallOutcome, told event) ending {
	status := p.text(callStatus)
	over := told.completeness != partial
	if !over {
		meaning, mapping := statuses.Find(p.notes, p.path(callStatus), status)
		o.Status, o.StatusRaw, o.StatusMapping = meaning.status, status, mapping
		// A reason belongs to the end. Before it, there is none, or it is another call's.
		if reason := p.text(endedReason); reason != "" {
			p.notes.Warn(callnormv1.WarningKind_WARNING_KIND_CONTRADICTION, p.path(endedReason), "a reason for the end of a call that goes on")
			p.notes.UnmappedText(p.path(endedReason), reason)
		}
		return ending{}
	}
	reason := p.text(endedReason)
	end, mapping := findEnding(p.notes, p.path(endedReason), reason)
	o.Status, o.StatusRaw, o.StatusMapping = end.status, reason, mapping
	if reason == "" {
		o.StatusRaw = status
	} else {
		o.End = &callnormv1.CallEnd{Reason: end.reason, ReasonRaw: reason, ReasonMapping: mapping}
		if end.by != callnormv1.EndedBy_ENDED_BY_UNSPECIFIED {
			o.End.EndedBy, o.End.EndedByRaw, o.End.EndedByMapping = end.by, reason, mapping
		}
		if end.sipCode != 0 {
			o.End.SipCode = &end.sipCode
		}
	}
	if detail := p.text(endedMessage); detail != "" {
		if o.GetEnd() == nil {
			o.End = &callnormv1.CallEnd{}
		}
		o.End.Detail = detail
	}
	if p.fault.GetMessage() != "" {
		o.Error = &p.fault
	}
	if end.reason == callnormv1.EndReason_END_REASON_VOICEMAIL {
		o.AnsweredBy = &callnormv1.AnsweredBy{Value: callnormv1.AnsweredByKind_ANSWERED_BY_KIND_VOICEMAIL, Raw: reason, Mapping: mapping}
		o.Voicemail = &callnormv1.Voicemail{Detected: new(true)}
	}
	p.correctStatus(o)
	return end
}

// correctStatus looks at what was said where the reason leaves open whether anybody had answered: a call may be deleted or called
// off in mid conversation, and a report may come without a reason.
func (p *report) correctStatus(o *callnormv1.CallOutcome) {
	answered := slices.ContainsFunc(p.talk.turns, func(t turn) bool {
		return roleOf(t.role) == callnormv1.ParticipantRole_PARTICIPANT_ROLE_CUSTOMER
	})
	calledOff := o.GetEnd().GetReason() == callnormv1.EndReason_END_REASON_API_REQUEST ||
		o.GetEnd().GetReason() == callnormv1.EndReason_END_REASON_MANUAL
	switch {
	case answered && (calledOff || o.GetEnd().GetReasonRaw() == ""):
		o.Status, o.StatusMapping = callnormv1.CallStatus_CALL_STATUS_COMPLETED, callnormv1.Mapping_MAPPING_HEURISTIC
	case calledOff && len(p.talk.turns) > 0: // the agent spoke; whether to anybody, nothing tells
		o.StatusMapping = callnormv1.Mapping_MAPPING_HEURISTIC
	}
}

// setTimes reads how long the call took, and computes what is not told: of start, end and duration two tell the third. Payloads of 2024
// have neither a start nor an end; the times of the messages then show between which moments it went on at least. Where they have none
// either, a call in which something was said went on between its making and the report.
func (p *report) setTimes(o *callnormv1.CallOutcome, first, last time.Time) {
	const milliseconds, seconds, minutes = 0, 1, 2
	for _, unit := range []int{milliseconds, seconds, minutes} {
		if o.TotalDuration = p.durations[unit]; o.GetTotalDuration() != nil {
			break
		}
	}
	if o.GetCompleteness() == partial {
		return
	}
	told := o.GetStartTime() != nil && o.GetEndTime() != nil
	measured := o.GetEndTime().AsTime().Sub(o.GetStartTime().AsTime())
	switch {
	case told && measured < 0:
		p.notes.Warn(callnormv1.WarningKind_WARNING_KIND_CONTRADICTION, p.path(endedAt), "lies before the start")
	case told && o.GetTotalDuration() == nil:
		o.TotalDuration = durationpb.New(measured)
		p.notes.Derived("total_duration")
	case told && (measured-o.GetTotalDuration().AsDuration()).Abs() > time.Second:
		p.notes.Warn(callnormv1.WarningKind_WARNING_KIND_CONTRADICTION, p.path(endedAt), "start and end are not as far apart as the duration, which counts")
	}
	took := o.GetTotalDuration().AsDuration()
	switch {
	case o.GetStartTime() != nil:
		first = o.GetStartTime().AsTime()
	case o.GetTotalDuration() == nil:
	case o.GetEndTime() != nil:
		first = o.GetEndTime().AsTime().Add(-took)
	case first.IsZero() && !last.IsZero():
		first = last.Add(-took)
	}
	talked := o.GetCompleteness() == final && o.GetTranscript() != nil
	if talked {
		first = either(first, p.times[createdAt])
	}
	if o.GetTotalDuration() != nil && !first.IsZero() {
		last = first.Add(took)
	}
	if talked {
		last = either(last, p.times[timestamp])
	}
	if o.GetStartTime() == nil && !first.IsZero() {
		o.StartTime = timestamppb.New(first)
		p.notes.Derived("start_time")
	}
	if o.GetEndTime() == nil && !last.IsZero() {
		o.EndTime = timestamppb.New(last)
		p.notes.Derived("end_time")
	}
}

// either returns a moment, or another one in its place when it is not known.
func either(t time.Time, otherwise *timestamppb.Timestamp) time.Time {
	if t.IsZero() && otherwise != nil {
		return otherwise.AsTime()
	}
	return t
}

// setTransfers reads where the call was handed over to. The artifact tells each attempt and what became of it; the destination tells
// the last one, and whether it was taken the reason for the end. "This is the destination where the call ended up being transferred
// to. If the call was not transferred, this will be empty."
func (p *report) setTransfers(o *callnormv1.CallOutcome, end ending) {
	for i := range p.transfers {
		o.Transfers = append(o.Transfers, p.transfer(&p.transfers[i]))
	}
	if p.destination.told || p.destination.assistant.text != "" {
		last := p.transfer(&p.destination)
		same := func(known *callnormv1.Transfer) bool {
			return known.GetTargetName() == last.GetTargetName() &&
				known.GetTarget().GetPhone().GetAsReceived() == last.GetTarget().GetPhone().GetAsReceived() &&
				known.GetTarget().GetSipUri() == last.GetTarget().GetSipUri()
		}
		if at := slices.IndexFunc(o.GetTransfers(), same); at >= 0 {
			switch known := o.GetTransfers()[at]; {
			case known.GetKind() == callnormv1.TransferKind_TRANSFER_KIND_UNSPECIFIED:
				known.Kind, known.KindRaw = last.GetKind(), last.GetKindRaw()
			case known.GetKindRaw() != p.destination.mode.text:
				p.keep(p.destination.mode)
			}
		} else {
			last.Result = callnormv1.TransferResult_TRANSFER_RESULT_STARTED
			o.Transfers = append(o.Transfers, last)
		}
	}
	if end.transfer == callnormv1.TransferResult_TRANSFER_RESULT_UNSPECIFIED {
		return
	}
	if len(o.GetTransfers()) == 0 {
		o.Transfers = []*callnormv1.Transfer{{}}
		p.notes.Derived("transfers")
	}
	if last := o.GetTransfers()[len(o.GetTransfers())-1]; last.GetResultRaw() == "" {
		last.Result, last.ResultRaw = end.transfer, p.text(endedReason)
	}
}

// transfer returns what is told of one transfer.
func (p *report) transfer(d *destination) *callnormv1.Transfer {
	t := &callnormv1.Transfer{
		TargetName: cmp.Or(d.name, d.assistant.text), Target: endpoint(d.number, d.sipURI), ResultRaw: d.status.text,
		KindRaw: d.mode.text,
	}
	if t.GetTargetName() != d.assistant.text {
		p.keep(d.assistant)
	}
	t.Result, _ = transferResults.Find(p.notes, d.status.path, d.status.text)
	switch mode := words.Plain(d.mode.text); { // several begin like these
	case strings.HasPrefix(mode, "blind_transfer"):
		t.Kind = callnormv1.TransferKind_TRANSFER_KIND_COLD
	case strings.HasPrefix(mode, "warm_transfer"):
		t.Kind = callnormv1.TransferKind_TRANSFER_KIND_WARM
	case mode != "":
		t.Kind = callnormv1.TransferKind_TRANSFER_KIND_OTHER
	}
	switch words.Plain(d.kind.text) {
	case "number", "sip", "":
	case "assistant":
		t.Kind = callnormv1.TransferKind_TRANSFER_KIND_AGENT
		t.KindRaw = cmp.Or(t.GetKindRaw(), d.kind.text)
	default:
		t.Kind = callnormv1.TransferKind_TRANSFER_KIND_OTHER
		p.keep(d.kind)
	}
	return t
}

// setRecordings completes the signed addresses, which are made anew for each delivery: the lasting address of the same recording tells
// that two of them are one.
func (p *report) setRecordings(o *callnormv1.CallOutcome) {
	o.Recordings = p.recordings
	for _, signed := range p.recordings {
		if signed.AuthRequired == nil {
			continue
		}
		signed.ExpireTime = p.expires
		for _, lasting := range p.recordings {
			if lasting.AuthRequired == nil && lasting.GetKind() == signed.GetKind() && (signed.GetId() == "" || lasting.GetUri() < signed.GetId()) {
				signed.Id = lasting.GetUri()
			}
		}
	}
}

// setAnalysis reads the judgement of the call. A language model made it, also of calls in which nothing was said.
func (p *report) setAnalysis(o *callnormv1.CallOutcome) {
	word := strings.TrimSpace(p.text(successEvaluation))
	analysis := &callnormv1.Analysis{Summary: strings.TrimSpace(p.text(summary)), SuccessRaw: word}
	if word != "" {
		analysis.Success, analysis.SuccessMapping = judge(word)
		if analysis.GetSuccessMapping() != callnormv1.Mapping_MAPPING_LLM || analysis.GetSuccess() == callnormv1.GoalResult_GOAL_RESULT_OTHER {
			o.Evaluations = append(o.Evaluations, grade(word, words.Plain(p.text(rubric))))
		}
	}
	if analysis.GetSummary() != "" || word != "" {
		o.Analysis = analysis
	}
}

// judge returns whether a call was a success. Its form depends on the rubric: of numbers and of free text nobody tells from where on
// they are one.
func judge(word string) (callnormv1.GoalResult, callnormv1.Mapping) {
	meaning, mapping, known := verdicts.Known(word)
	switch {
	case !known:
		return verdicts.Other, callnormv1.Mapping_MAPPING_LLM
	case mapping == callnormv1.Mapping_MAPPING_EXACT:
		return meaning, callnormv1.Mapping_MAPPING_LLM
	default:
		return meaning, mapping
	}
}

// grade returns a judgement that is more than a yes or no: by the rubrics NumericScale a number from 1 to 10, PercentageScale one up to
// 100, and others a word, a table or a text.
func grade(word, rubric string) *callnormv1.Evaluation {
	e := &callnormv1.Evaluation{Criterion: "successEvaluation", Value: &callnormv1.Value{Kind: &callnormv1.Value_StringValue{StringValue: word}}}
	digits, percent := strings.CutSuffix(word, "%")
	number, err := strconv.ParseFloat(strings.TrimSpace(digits), 64)
	if err != nil {
		return e
	}
	if !percent {
		e.Value = &callnormv1.Value{Kind: &callnormv1.Value_NumberValue{NumberValue: number}}
	}
	share := number / 100
	if rubric == "numericscale" && !percent {
		share = number / 10
	}
	if (percent || rubric == "numericscale" || rubric == "percentagescale") && share >= 0 && share <= 1 {
		e.Score = &share
	}
	return e
}

// setQuality computes what the measurements of single turns amount to.
func (p *report) setQuality(o *callnormv1.CallOutcome) {
	user, assistant := p.interrupted[0], p.interrupted[1]
	if len(p.turnDelays) == 0 && user == nil && assistant == nil {
		return
	}
	q := &callnormv1.Quality{}
	o.Quality = q
	if len(p.turnDelays) > 0 {
		q.LatencyP50 = durationpb.New(percentile(p.turnDelays, 50))
		q.LatencyP95 = durationpb.New(percentile(p.turnDelays, 95))
		p.notes.Derived("quality.latency_p50")
		p.notes.Derived("quality.latency_p95")
	}
	switch {
	case user != nil && assistant != nil:
		q.InterruptionCount = new(*user + *assistant)
		p.notes.Derived("quality.interruption_count")
	case user != nil:
		q.InterruptionCount = user
	default:
		q.InterruptionCount = assistant
	}
}

// setParts lists what has come. After the end, the report brings the rest, as a rule.
func (p *report) setParts(o *callnormv1.CallOutcome) {
	if o.GetCompleteness() == partial {
		return // what there is so far is a part of a part
	}
	for _, part := range []struct {
		part    callnormv1.Part
		here    bool
		awaited bool
	}{
		{callnormv1.Part_PART_RESULT, o.GetEnd().GetReasonRaw() != "" || o.GetCompleteness() == final, false},
		{callnormv1.Part_PART_TRANSCRIPT, o.GetTranscript() != nil, true},
		{callnormv1.Part_PART_RECORDING, len(o.GetRecordings()) > 0, true},
		{callnormv1.Part_PART_ANALYSIS, o.GetAnalysis() != nil || len(o.GetEvaluations())+len(o.GetExtractedFields()) > 0, true},
		{callnormv1.Part_PART_COST, o.GetCost() != nil, true},
		{callnormv1.Part_PART_TRANSFER, len(o.GetTransfers()) > 0, false},
	} {
		switch {
		case part.here:
			o.PresentParts = append(o.PresentParts, part.part)
		case part.awaited && o.GetCompleteness() == settling:
			o.ExpectedParts = append(o.ExpectedParts, part.part)
		}
	}
}
