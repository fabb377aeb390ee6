package curiousthing

import (
	"github.com/callnorm/callnorm/adapters"
	"github.com/callnorm/callnorm/adapters/internal/phone"
	"github.com/callnorm/callnorm/adapters/internal/words"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
)

// reportMeaning is what one word of a CallComplete's status answers.
type reportMeaning struct {
	status      callnormv1.CallStatus
	disposition callnormv1.ContactDisposition
}

// reports holds the statuses of CallComplete. Complete and Partial make up the documented group Complete: a conversation began,
// and at least the first question was answered. The group Failed is anything less; of its words the documentation shows one.
var reports = words.Table[reportMeaning]{
	Documented: map[string]reportMeaning{
		"complete": {
			status:      callnormv1.CallStatus_CALL_STATUS_COMPLETED,
			disposition: callnormv1.ContactDisposition_CONTACT_DISPOSITION_SURVEY_COMPLETED,
		},
		"partial": {
			status:      callnormv1.CallStatus_CALL_STATUS_COMPLETED,
			disposition: callnormv1.ContactDisposition_CONTACT_DISPOSITION_SURVEY_PARTIAL,
		},
		"not_complete": {status: undecided},
	},
	Other: reportMeaning{status: callnormv1.CallStatus_CALL_STATUS_OTHER},
}

// undecided is a status that may stand for a call which was answered and for one which was not.
const undecided = callnormv1.CallStatus_CALL_STATUS_NO_CONVERSATION

// attempts holds the statuses of CallAttempted, which are about dialling. Both words are documented; that `success` says no
// more than that a call was placed is our reading, so it stands where meanings count as heuristic.
var attempts = words.Table[callnormv1.CallStatus]{
	Documented: map[string]callnormv1.CallStatus{"failed": callnormv1.CallStatus_CALL_STATUS_FAILED},
	Seen:       map[string]callnormv1.CallStatus{"success": callnormv1.CallStatus_CALL_STATUS_INITIATED},
	Other:      callnormv1.CallStatus_CALL_STATUS_OTHER,
}

// arrivals holds the types of CallReceived. `outbound-callback` is a contact who calls back after a call of the campaign.
var arrivals = words.Table[callnormv1.Direction]{
	Documented: map[string]callnormv1.Direction{
		"inbound":           callnormv1.Direction_DIRECTION_INBOUND,
		"outbound_callback": callnormv1.Direction_DIRECTION_INBOUND_CALLBACK,
	},
	Other: callnormv1.Direction_DIRECTION_OTHER,
}

// remarkMeaning is what a remark answers. An answer to one question is never concluded from that to another.
type remarkMeaning struct {
	status      callnormv1.CallStatus
	answeredBy  callnormv1.AnsweredByKind
	reason      callnormv1.EndReason
	by          callnormv1.EndedBy
	disposition callnormv1.ContactDisposition
}

// remarks holds the remarks (`additionalInformation`, `note`) that can be read in one way only. They are open text, so their
// meanings count as heuristic, and a remark that is not in here is nothing unknown. The list of statuses is cut from every copy
// of the documentation that we know, so a remark may as well stand there.
var remarks = words.Table[remarkMeaning]{
	Seen: map[string]remarkMeaning{
		"voicemail": {
			status:     callnormv1.CallStatus_CALL_STATUS_COMPLETED,
			answeredBy: callnormv1.AnsweredByKind_ANSWERED_BY_KIND_VOICEMAIL,
			reason:     callnormv1.EndReason_END_REASON_VOICEMAIL,
		},
		"no_answer": {
			status: callnormv1.CallStatus_CALL_STATUS_NO_ANSWER, reason: callnormv1.EndReason_END_REASON_NO_ANSWER,
		},
		"busy": {status: callnormv1.CallStatus_CALL_STATUS_BUSY, reason: callnormv1.EndReason_END_REASON_BUSY},
		"customer_hung_up": {
			reason: callnormv1.EndReason_END_REASON_CUSTOMER_HANGUP, by: callnormv1.EndedBy_ENDED_BY_CUSTOMER,
		},
		// By hanging up or by asking for a human, as in the documentation's example: who is told, how is not.
		"customer_exited_part_way_through": {by: callnormv1.EndedBy_ENDED_BY_CUSTOMER},
		"invalid_phone":                    {reason: callnormv1.EndReason_END_REASON_INVALID_NUMBER},
		"wrong_number":                     {disposition: callnormv1.ContactDisposition_CONTACT_DISPOSITION_WRONG_NUMBER},
		"do_not_call":                      {disposition: callnormv1.ContactDisposition_CONTACT_DISPOSITION_DO_NOT_CALL},
	},
}

// outcome says what an item amounts to.
func (it *item) outcome(told event) adapters.Outcome {
	o := &it.call
	o.Event, o.EventRaw, o.EventMapping, o.EventTime = told.kind, told.raw, told.mapping, it.createdAt
	o.Completeness = callnormv1.Completeness_COMPLETENESS_PARTIAL // an attempt or an arrival is never the last word on a call
	o.StartTime = it.started
	o.Provenance = it.notes.Provenance()
	out := adapters.Outcome{Family: adapters.FamilyCall, Call: o}
	number := phone.ParseInternational(it.text("phone"))
	if name := it.text("name"); name != "" || number != nil {
		o.Contact = &it.contact
		it.contact.DisplayName = name
		if number != nil {
			o.Contact.Phones = append(it.phones[:0], number)
		}
	}
	if step := it.text("lastStepName"); step != "" {
		o.Agent = &it.agent
		it.agent.NodePath = append(it.steps[:0], step) // where the path ended; its other steps are not told
	}
	out.CallID = it.setIDs(o)
	it.setAnswers(o)

	switch told.kind {
	case callnormv1.EventKind_EVENT_KIND_CALL_REPORTED:
		it.setReport(o)
		it.leave("type", "time", "note", "from", "to", "message")
	case callnormv1.EventKind_EVENT_KIND_CALL_ATTEMPTED:
		out.Family = adapters.FamilyAttempt
		status := it.field("status")
		o.StatusRaw = status.text
		o.Status, o.StatusMapping = attempts.Find(it.notes, status.path(), status.text)
		o.Direction, o.DirectionMapping = callnormv1.Direction_DIRECTION_OUTBOUND, callnormv1.Mapping_MAPPING_HEURISTIC
		if number != nil {
			o.Callee = &it.endpoint
			it.endpoint.Phone = number
		}
		it.setStart(o)
		setEnd(o, it.text("note")) // no wishes: nobody was reached who could have any
		it.leave("type", "additionalInformation", "from", "to", "message")
	case callnormv1.EventKind_EVENT_KIND_CALL_RECEIVED:
		arrival := it.field("type")
		o.DirectionRaw = arrival.text
		o.Direction, o.DirectionMapping = arrivals.Find(it.notes, arrival.path(), arrival.text)
		if number != nil {
			o.Caller = &it.endpoint
			it.endpoint.Phone = number // by documentation a call that came in, whatever its type
		}
		it.setStart(o)
		it.leave("status", "note", "additionalInformation", "from", "to", "message")
	default:
		out.Family = adapters.FamilyMessage
		it.setMessage(o)
		it.leave("status", "type", "note", "additionalInformation")
	}
	return out
}

// setIDs returns what identifies the outcome, from the most specific to the least:
//
//   - The session is the call. A result belongs to one session, and identifies where no session is told.
//   - An event without either is known by the envelope's id. It is prefixed, since ids of different kinds may be equal: in the
//     documentation's example the id of one event is the correlationId of another.
//   - A bare attempt or arrival is known by its record of the campaign's list and its time. The record alone covers all attempts
//     at it. Bare messages are not known by that: a record may be sent several at a time.
func (it *item) setIDs(o *callnormv1.CallOutcome) string {
	session, result, eventID := it.id(it.field("sessionId")), it.id(it.field("callResultId")), it.id(it.eventID)
	correlation, campaign := it.id(it.field("correlationId")), it.id(it.field("campaignId"))
	if campaign != "" || correlation != "" {
		o.Campaign = &it.campaign
		it.campaign.Id, it.campaign.RecordId = campaign, correlation
	}
	o.ProviderCallId = session
	if session == "" {
		o.ProviderCallId, result = result, ""
	}
	if result != "" {
		o.ExternalIds = []*callnormv1.ExternalId{{System: "curious-thing.call_result_id", Id: result}}
	}
	// A record has several attempts, and an event is a notice.
	o.RelatedIds = it.list[:0]
	for i, id := range []struct{ system, text string }{{"curious-thing.correlation_id", correlation}, {"curious-thing.event_id", eventID}} {
		if id.text != "" {
			it.related[i].System, it.related[i].Id = id.system, id.text
			o.RelatedIds = append(o.RelatedIds, &it.related[i])
		}
	}
	switch at := it.text("time"); {
	case o.GetProviderCallId() != "":
		return o.GetProviderCallId()
	case eventID != "":
		return "event/" + eventID
	case correlation != "" && at != "" && !isMessage(o.GetEvent()):
		return "correlation/" + correlation + "/" + at
	default:
		return ""
	}
}

// setReport reads a CallComplete: the last word on a call, or on a record whose attempts are used up. It does not tell which
// attempt it is about, and neither the end nor a length: between startedTime and createdAt lies the provider's queue as well.
func (it *item) setReport(o *callnormv1.CallOutcome) {
	o.Completeness = callnormv1.Completeness_COMPLETENESS_FINAL
	o.PresentParts = append([]callnormv1.Part{callnormv1.Part_PART_RESULT}, o.GetPresentParts()...)
	status, remark := it.field("status"), it.field("additionalInformation")
	if status.text == "" && answersStatus(remark.text) {
		status = remark
	}
	meaning, mapping := it.findReport(status)
	o.Status, o.StatusRaw, o.StatusMapping = meaning.status, status.text, mapping
	if said, _, _ := remarks.Known(remark.text); meaning.status == undecided && answersStatus(remark.text) {
		// The status leaves open what the network saw, and the remark says it: a voicemail that picks up is an answered call.
		o.Status, o.StatusMapping = said.status, callnormv1.Mapping_MAPPING_HEURISTIC
	}
	setDisposition(o, meaning.disposition, status.text, mapping)
	if o.GetCampaign().GetRecordId() != "" {
		// By documentation only outbound campaigns have one. But so has a contact's call back to them: this is likely, not certain,
		// and which side the number is on stays open. To have none tells nothing: in the documentation's example one result of a
		// campaign has it, and two do not.
		o.Direction, o.DirectionMapping = callnormv1.Direction_DIRECTION_OUTBOUND, callnormv1.Mapping_MAPPING_HEURISTIC
	}
	setEnd(o, remark.text)
	understand(o, status.text)
	for _, w := range []field{remark, status} {
		said, mapping, _ := remarks.Known(w.text)
		setDisposition(o, said.disposition, w.text, mapping)
	}
}

// findReport returns what a status means: by the words of statuses, or else by those of remarks.
func (it *item) findReport(status field) (reportMeaning, callnormv1.Mapping) {
	if answersStatus(status.text) {
		remark, mapping, _ := remarks.Known(status.text)
		return reportMeaning{status: remark.status}, mapping
	}
	return reports.Find(it.notes, status.path(), status.text)
}

func answersStatus(text string) bool {
	remark, _, _ := remarks.Known(text)
	return remark.status != callnormv1.CallStatus_CALL_STATUS_UNSPECIFIED
}

// setEnd reads a remark.
func setEnd(o *callnormv1.CallOutcome, remark string) {
	if remark == "" {
		return
	}
	o.End = &callnormv1.CallEnd{Detail: remark}
	understand(o, remark)
}

// understand takes from the words of a remark who answered and how the call ended, unless another word has told. It leaves the
// status alone: "Not Complete" is the provider's own word for that, and a voicemail behind it answers who answered.
func understand(o *callnormv1.CallOutcome, text string) {
	remark, mapping, _ := remarks.Known(text)
	if o.GetEnd() == nil && (remark.reason != 0 || remark.by != 0) {
		o.End = &callnormv1.CallEnd{}
	}
	if remark.reason != callnormv1.EndReason_END_REASON_UNSPECIFIED && o.GetEnd().GetReasonRaw() == "" {
		o.End.Reason, o.End.ReasonRaw, o.End.ReasonMapping = remark.reason, text, mapping
	}
	if remark.by != callnormv1.EndedBy_ENDED_BY_UNSPECIFIED && o.GetEnd().GetEndedByRaw() == "" {
		o.End.EndedBy, o.End.EndedByRaw, o.End.EndedByMapping = remark.by, text, mapping
	}
	if remark.answeredBy != callnormv1.AnsweredByKind_ANSWERED_BY_KIND_UNSPECIFIED && o.GetAnsweredBy() == nil {
		o.AnsweredBy = &callnormv1.AnsweredBy{Value: remark.answeredBy, Raw: text, Mapping: mapping}
		o.Voicemail = &callnormv1.Voicemail{Detected: new(true)}
	}
}

// setDisposition adds what a word says of the contact. How far the questions got comes first; what the contact wants beside that
// has flags of its own.
func setDisposition(o *callnormv1.CallOutcome, value callnormv1.ContactDisposition, raw string, mapping callnormv1.Mapping) {
	switch value {
	case callnormv1.ContactDisposition_CONTACT_DISPOSITION_UNSPECIFIED:
		return
	case callnormv1.ContactDisposition_CONTACT_DISPOSITION_WRONG_NUMBER:
		wants(o).WrongNumber = new(true)
	case callnormv1.ContactDisposition_CONTACT_DISPOSITION_DO_NOT_CALL:
		wants(o).DoNotCall = new(true)
	}
	if d := wants(o); d.GetRaw() == "" {
		d.Value, d.Raw, d.Mapping = value, raw, mapping
	}
}

// setAnswers reads `flow`, in the order of asking, and `requests`. The flow holds the customer's words only, and no times.
func (it *item) setAnswers(o *callnormv1.CallOutcome) {
	if it.humanRequested {
		wants(o).HumanRequested = new(true) // a wish; that somebody took over is not told
	}
	made := make([]struct { // at once
		asked callnormv1.ExtractedField
		value callnormv1.Value
		words callnormv1.Value_StringValue
		turn  callnormv1.TranscriptTurn
		place int32
		found bool
	}, len(it.answers))
	turns := make([]*callnormv1.TranscriptTurn, 0, len(it.answers))
	for i, a := range it.answers {
		if a == (answer{}) {
			continue
		}
		m := &made[i]
		m.place, m.found = int32(i)+1, a.words != ""
		asked := &m.asked
		asked.Name, asked.Question, asked.ClassRaw, asked.Order, asked.Source = a.question, a.question, a.class, &m.place, "flow"
		if m.found || a.class == "" {
			asked.Collected = &m.found // a class alone may as well stand for no answer
		}
		o.ExtractedFields = append(o.ExtractedFields, asked)
		if m.found {
			m.words.StringValue = a.words
			m.value.Kind = &m.words
			asked.Value = &m.value
			m.turn.Role, m.turn.Text, m.turn.Prompt = callnormv1.ParticipantRole_PARTICIPANT_ROLE_CUSTOMER, a.words, a.question
			turns = append(turns, &m.turn)
		}
	}
	if len(turns) > 0 {
		o.Transcript = &callnormv1.Transcript{Source: "flow", Turns: turns, OneSided: true}
		o.PresentParts = append(o.PresentParts, callnormv1.Part_PART_TRANSCRIPT)
	}
	if len(o.GetExtractedFields()) > 0 {
		o.PresentParts = append(o.PresentParts, callnormv1.Part_PART_ANALYSIS)
	}
}

func wants(o *callnormv1.CallOutcome) *callnormv1.Disposition {
	if o.GetDisposition() == nil {
		o.Disposition = &callnormv1.Disposition{}
	}
	return o.GetDisposition()
}

// setStart reads `time`: when the attempt was made, or the call came in.
func (it *item) setStart(o *callnormv1.CallOutcome) {
	if o.GetStartTime() != nil {
		it.leave("time")
		return
	}
	o.StartTime = it.time
}

// setMessage reads an SMS, which is all there is to tell about it.
func (it *item) setMessage(o *callnormv1.CallOutcome) {
	o.Completeness = callnormv1.Completeness_COMPLETENESS_FINAL
	o.Channel, o.ChannelMapping = callnormv1.Channel_CHANNEL_SMS, callnormv1.Mapping_MAPPING_HEURISTIC
	m := &callnormv1.Message{
		Channel: callnormv1.Channel_CHANNEL_SMS, Text: it.text("message"), SendTime: it.time,
		Sender: phone.ParseInternational(it.text("from")), Recipient: phone.ParseInternational(it.text("to")),
	}
	switch o.GetEvent() {
	case callnormv1.EventKind_EVENT_KIND_MESSAGE_SENT:
		yes := true
		m.Direction, m.Sent = callnormv1.Direction_DIRECTION_OUTBOUND, &yes
	case callnormv1.EventKind_EVENT_KIND_MESSAGE_RECEIVED:
		m.Direction = callnormv1.Direction_DIRECTION_INBOUND
	}
	o.Messages = []*callnormv1.Message{m}
}
