package twilio

import (
	"strconv"
	"time"

	"github.com/callnorm/callnorm/adapters"
	"github.com/callnorm/callnorm/adapters/internal/ids"
	"github.com/callnorm/callnorm/adapters/internal/sip"
	"github.com/callnorm/callnorm/adapters/internal/wire"
	"github.com/callnorm/callnorm/adapters/internal/words"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// outcome says what a callback amounts to.
func (p *payload) outcome(item int) adapters.Outcome {
	made := &parts{}
	o := &made.call
	o.EventTime, o.TotalDuration, o.Metadata = p.time, p.duration, p.metadata
	if o.GetEventTime() == nil {
		o.EventTime = p.eventTime // otherwise it is the same moment
	}
	p.setIDs(o, made)
	p.setParties(o, made)
	status, mapping := statuses.Find(p.notes, p.at("CallStatus"), p.status)
	o.Status, o.StatusRaw, o.StatusMapping = status.status, p.status, mapping
	p.setAnsweredBy(o)
	p.setEnd(o, &made.end, status)
	p.setForwarded(o)
	p.setBilled(o)
	p.setRecording(o)
	p.setDial(o)
	if p.transcript != "" {
		o.Transcript = &callnormv1.Transcript{Source: "TranscriptionText", Text: p.transcript}
		o.PresentParts = append(o.PresentParts, callnormv1.Part_PART_TRANSCRIPT)
	}
	p.setEvent(o, status)
	if p.errorMessage != "" || p.errorCode != "" && p.errorCode != "0" {
		p.setError(o)
	}
	o.Provenance = p.notes.Provenance()
	return adapters.Outcome{Item: item, Family: adapters.FamilyCall, CallID: o.GetProviderCallId(), Call: o}
}

// parts are of the outcome, made at once: a callback is small, and making them would take longer than reading it.
type parts struct {
	call           callnormv1.CallOutcome
	end            callnormv1.CallEnd
	contact        callnormv1.Contact
	caller, callee callnormv1.Endpoint
	phones         [1]*callnormv1.PhoneNumber
	ids            [4]callnormv1.ExternalId // external, related, of the account
	external       [2]*callnormv1.ExternalId
	related        [1]*callnormv1.ExternalId
	account        [1]*callnormv1.ExternalId
}

// setIDs reads the ids. The one of the call is there twice, since others know the call by it: an agent platform names the leg of
// its carrier.
func (p *payload) setIDs(o *callnormv1.CallOutcome, made *parts) {
	id, path := p.callID, p.at("CallSid")
	switch {
	case id == "":
		id, path = wire.NotBlank(p.streamedID), p.streamedIDPath
	case wire.NotBlank(p.streamedID) != "" && p.streamedID != id:
		p.notes.Warn(callnormv1.WarningKind_WARNING_KIND_CONTRADICTION, p.streamedIDPath, "differs from the CallSid, which counts")
		p.notes.UnmappedText(p.streamedIDPath, p.streamedID)
	}
	o.ProviderCallId = p.notes.Usable(path, id)
	o.ParentCallId = p.notes.Usable(p.at("ParentCallSid"), p.parentID)
	if ids.IsTwilioSID("CA", o.GetProviderCallId()) {
		o.ExternalIds = append(made.external[:0], named(&made.ids[0], "twilio.call_sid", o.GetProviderCallId()))
	}
	if sipID := p.notes.Usable(p.at("SipCallId"), p.sipCallID); sipID != "" {
		o.ExternalIds = append(o.GetExternalIds(), named(&made.ids[1], "sip.call_id", sipID))
	}
	if ids.IsTwilioSID("CA", o.GetParentCallId()) {
		o.RelatedIds = append(made.related[:0], named(&made.ids[2], "twilio.parent_call_sid", o.GetParentCallId()))
	}
	o.RelatedIds = append(o.RelatedIds, p.eventIDs...)
	if account := p.notes.Usable(p.at("AccountSid"), p.accountID); account != "" {
		system := "carrier.account_sid" // of somebody who copies the format
		if ids.IsTwilioSID("AC", account) {
			system = "twilio.account_sid"
		}
		o.AccountIds = append(made.account[:0], named(&made.ids[3], system, account))
	}
}

func named(id *callnormv1.ExternalId, system, text string) *callnormv1.ExternalId {
	id.System, id.Id = system, text
	return id
}

// setAnsweredBy reads what the answering machine detection found.
func (p *payload) setAnsweredBy(o *callnormv1.CallOutcome) {
	if p.answeredBy == "" {
		return
	}
	kind, mapping := answerers.Find(p.notes, p.at("AnsweredBy"), p.answeredBy)
	if mapping == callnormv1.Mapping_MAPPING_EXACT {
		mapping = callnormv1.Mapping_MAPPING_PROVIDER_CLASSIFIED
	}
	o.AnsweredBy = &callnormv1.AnsweredBy{Value: kind, Raw: p.answeredBy, Mapping: mapping}
	if isMachine(kind) {
		yes := true
		o.Voicemail = &callnormv1.Voicemail{Detected: &yes}
	}
	switch o.GetStatus() {
	case callnormv1.CallStatus_CALL_STATUS_NO_ANSWER, callnormv1.CallStatus_CALL_STATUS_BUSY,
		callnormv1.CallStatus_CALL_STATUS_FAILED, callnormv1.CallStatus_CALL_STATUS_CANCELED:
		if kind != callnormv1.AnsweredByKind_ANSWERED_BY_KIND_UNDETERMINED {
			p.notes.Warn(callnormv1.WarningKind_WARNING_KIND_CONTRADICTION, p.at("AnsweredBy"),
				"tells who answered a call that, by its status, nobody answered")
		}
	}
}

func isMachine(kind callnormv1.AnsweredByKind) bool {
	switch kind {
	case callnormv1.AnsweredByKind_ANSWERED_BY_KIND_MACHINE, callnormv1.AnsweredByKind_ANSWERED_BY_KIND_VOICEMAIL,
		callnormv1.AnsweredByKind_ANSWERED_BY_KIND_VOICEMAIL_GREETING, callnormv1.AnsweredByKind_ANSWERED_BY_KIND_VOICEMAIL_BEEP,
		callnormv1.AnsweredByKind_ANSWERED_BY_KIND_VOICEMAIL_NO_BEEP:
		return true
	default:
		return false
	}
}

const (
	temporarilyUnavailable = 480
	requestTerminated      = 487
	unwanted               = 607
)

// setEnd says why the call ended. CallStatus leads; of what it leaves open the SIP code decides.
func (p *payload) setEnd(o *callnormv1.CallOutcome, end *callnormv1.CallEnd, status statusMeaning) {
	end.SipCode = p.code()
	meaning, known := sip.Find(end.GetSipCode())
	by := callnormv1.EndedBy_ENDED_BY_UNSPECIFIED
	if status.reason != callnormv1.EndReason_END_REASON_UNSPECIFIED {
		end.Reason, end.ReasonRaw, end.ReasonMapping = status.reason, p.status, o.GetStatusMapping()
		if status.vague {
			end.ReasonMapping = callnormv1.Mapping_MAPPING_HEURISTIC
		}
	}
	switch o.GetStatus() {
	case callnormv1.CallStatus_CALL_STATUS_COMPLETED:
		p.setAnsweredEnd(o, end)
	case callnormv1.CallStatus_CALL_STATUS_NO_ANSWER:
		if end.GetSipCode() == requestTerminated { // by our own limit: a call that we called off is canceled
			end.Reason, end.ReasonMapping = callnormv1.EndReason_END_REASON_RING_TIMEOUT, callnormv1.Mapping_MAPPING_HEURISTIC
			by = callnormv1.EndedBy_ENDED_BY_SYSTEM
		}
	case callnormv1.CallStatus_CALL_STATUS_FAILED:
		if known {
			by = p.setFailure(o, end, meaning)
		}
	default:
		if known && meaning.Reason == end.GetReason() {
			by = meaning.By
		}
		if by == callnormv1.EndedBy_ENDED_BY_CALLER && p.outbound(o) { // through the API
			by = callnormv1.EndedBy_ENDED_BY_SYSTEM
		}
	}
	if by != callnormv1.EndedBy_ENDED_BY_UNSPECIFIED {
		end.EndedBy, end.EndedByRaw = p.known(o, by), strconv.Itoa(int(end.GetSipCode()))
		end.EndedByMapping = callnormv1.Mapping_MAPPING_HEURISTIC
	}
	if p.hangupSource != "" {
		by, end.EndedByMapping = hangers.Find(p.notes, p.at("HangupSource"), p.hangupSource)
		end.EndedBy, end.EndedByRaw = p.known(o, by), p.hangupSource
	}
	if end.GetReason() != callnormv1.EndReason_END_REASON_UNSPECIFIED || end.SipCode != nil || end.GetEndedByRaw() != "" {
		o.End = end
	}
}

// code returns the SIP response code, if it is one.
func (p *payload) code() *int32 {
	const first, last = 100, 699
	if p.sipCode != nil && (*p.sipCode < first || *p.sipCode > last) {
		path := p.at("SipResponseCode")
		p.notes.Warn(callnormv1.WarningKind_WARNING_KIND_UNREADABLE, path, "the number is no response code of SIP")
		p.notes.UnmappedText(path, strconv.Itoa(int(*p.sipCode)))
		return nil
	}
	return p.sipCode
}

// setAnsweredEnd says why a call ended that was answered: nothing but who answered tells more than that it ended normally.
func (p *payload) setAnsweredEnd(o *callnormv1.CallOutcome, end *callnormv1.CallEnd) {
	switch kind := o.GetAnsweredBy().GetValue(); {
	case isMachine(kind):
		end.Reason = callnormv1.EndReason_END_REASON_VOICEMAIL
	case kind == callnormv1.AnsweredByKind_ANSWERED_BY_KIND_FAX:
		end.Reason, end.ReasonRaw, end.ReasonMapping = callnormv1.EndReason_END_REASON_UNSPECIFIED, "", callnormv1.Mapping_MAPPING_UNSPECIFIED
	}
}

// setFailure says why a call failed. Two codes say more than that: a phone that is switched off did not answer, and a call that was
// refused as unwanted was blocked. The other codes only tell the reason. That of a call which was terminated, or completed, tells
// nothing of a failure.
func (p *payload) setFailure(o *callnormv1.CallOutcome, end *callnormv1.CallEnd, meaning sip.Meaning) callnormv1.EndedBy {
	switch code := end.GetSipCode(); {
	case code == requestTerminated, meaning.Status == callnormv1.CallStatus_CALL_STATUS_COMPLETED:
		return callnormv1.EndedBy_ENDED_BY_UNSPECIFIED
	case code == temporarilyUnavailable:
		o.Status, o.StatusMapping = callnormv1.CallStatus_CALL_STATUS_NO_ANSWER, callnormv1.Mapping_MAPPING_HEURISTIC
	case code == unwanted, meaning.Reason == callnormv1.EndReason_END_REASON_MARKED_AS_SPAM:
		o.Status, o.StatusMapping = callnormv1.CallStatus_CALL_STATUS_BLOCKED, callnormv1.Mapping_MAPPING_HEURISTIC
	}
	end.Reason = meaning.Reason
	return meaning.By
}

// known says which side called or was called, where the direction tells that. Who of ours that is, it never tells.
func (p *payload) known(o *callnormv1.CallOutcome, by callnormv1.EndedBy) callnormv1.EndedBy {
	inbound := o.GetDirection() == callnormv1.Direction_DIRECTION_INBOUND
	if inbound && by == callnormv1.EndedBy_ENDED_BY_CALLER || p.outbound(o) && by == callnormv1.EndedBy_ENDED_BY_CALLEE {
		return callnormv1.EndedBy_ENDED_BY_CUSTOMER
	}
	return by
}

// outbound tells whether we called the contact.
func (p *payload) outbound(o *callnormv1.CallOutcome) bool {
	return o.GetDirection() == callnormv1.Direction_DIRECTION_OUTBOUND && words.Plain(p.direction) != outboundDial
}

func (p *payload) setForwarded(o *callnormv1.CallOutcome) {
	from := p.forwardedFrom
	if from == "" {
		from = p.calledVia
	} else {
		p.differs("CalledVia", p.calledVia, from)
	}
	o.DivertedFrom = number(from)
}

// setBilled reads the minutes that are billed. They are the seconds rounded up, so that more of them are no minutes: who copies the
// format may count seconds there as well.
func (p *payload) setBilled(o *callnormv1.CallOutcome) {
	if p.billed == nil {
		return
	}
	minutes, most := p.billed.AsDuration(), time.Minute
	if p.duration != nil {
		most = max(most, (p.duration.AsDuration() + time.Minute - 1).Truncate(time.Minute))
	}
	if p.duration != nil && minutes > most {
		path := p.at("Duration")
		p.notes.Warn(callnormv1.WarningKind_WARNING_KIND_CONTRADICTION, path, "more minutes than the seconds make, so that they may be none")
		p.notes.UnmappedText(path, strconv.FormatFloat(minutes.Minutes(), 'f', -1, 64))
		return
	}
	o.BilledDuration = p.billed
}

// setRecording reads a recording. Its address is there before the file is, and a callback of its own tells when that has come.
func (p *payload) setRecording(o *callnormv1.CallOutcome) {
	recording := p.recording
	if proto.Size(recording) == 0 {
		p.keep("RecordingChannels", p.channels)
		p.keep("RecordingTrack", p.track)
		return
	}
	// Two channels have the two parties apart. One has both, unless only one of them was recorded.
	track := words.Plain(p.track)
	if track == "" || track == "both" {
		recording.Kind, _ = recordingKinds.Find(p.notes, p.at("RecordingChannels"), p.channels)
		recording.KindRaw = p.channels
	} else {
		recording.Kind, recording.KindRaw = callnormv1.RecordingKind_RECORDING_KIND_OTHER, p.track
		p.keep("RecordingChannels", p.channels)
	}
	o.Recordings = []*callnormv1.Recording{recording}
	status, _, _ := recordingStatuses.Known(recording.GetStatusRaw())
	if status.there || recording.GetStatusRaw() == "" && recording.GetUri() != "" {
		o.PresentParts = append(o.PresentParts, callnormv1.Part_PART_RECORDING)
	}
}

// setDial reads how a <Dial> ended, of which the request tells that follows it. Nothing but the leg's id tells whom it reached, so
// that stands for the target's name: several may be dialled one after the other.
func (p *payload) setDial(o *callnormv1.CallOutcome) {
	if p.dialStatus == "" && p.dialID == "" && p.dialDuration == nil {
		return
	}
	result, _ := dialResults.Find(p.notes, p.at("DialCallStatus"), p.dialStatus)
	o.Transfers = []*callnormv1.Transfer{{TargetName: p.dialID, Result: result, ResultRaw: p.dialStatus, Duration: p.dialDuration}}
	o.Legs = []*callnormv1.CallLeg{{Id: p.dialID, StatusRaw: p.dialStatus, Duration: p.dialDuration}}
	if p.dialStatus != "" {
		o.PresentParts = append(o.PresentParts, callnormv1.Part_PART_TRANSFER)
	}
}

// setEvent says what kind of notice the payload is, and what its time is the time of.
func (p *payload) setEvent(o *callnormv1.CallOutcome, status statusMeaning) {
	o.EventMapping = callnormv1.Mapping_MAPPING_HEURISTIC
	o.Completeness = callnormv1.Completeness_COMPLETENESS_PARTIAL
	known := p.status != "" && o.GetStatusMapping() != callnormv1.Mapping_MAPPING_NONE
	over := known && !status.open
	switch {
	case (over || !known) && p.duration != nil, over && !p.follows(): // only the last status callback has a duration
		o.Event, o.EventRaw = callnormv1.EventKind_EVENT_KIND_CALL_ENDED, p.status
		o.Completeness = callnormv1.Completeness_COMPLETENESS_FINAL
		o.PresentParts = append(o.PresentParts, callnormv1.Part_PART_RESULT)
		p.setEndTime(o)
	case p.recording.GetStatusRaw() != "":
		o.EventRaw = p.recording.GetStatusRaw()
		meaning, mapping := recordingStatuses.Find(p.notes, p.at("RecordingStatus"), o.GetEventRaw())
		if o.Event = meaning.event; mapping == callnormv1.Mapping_MAPPING_NONE {
			o.EventMapping = mapping
		}
	case p.dialStatus != "", p.dialID != "":
		o.Event, o.EventRaw = callnormv1.EventKind_EVENT_KIND_TRANSFER_ENDED, p.dialStatus
	case p.transcript != "", p.transcriptWord != "":
		o.Event, o.EventRaw = callnormv1.EventKind_EVENT_KIND_OTHER, p.transcriptWord
	case p.status != "":
		o.Event, o.EventRaw = status.event, p.status
		p.setProgress(o)
	default: // such as the result of asynchronous answering machine detection
		o.Event = callnormv1.EventKind_EVENT_KIND_CALL_PROGRESS
	}
	if over && o.GetCompleteness() == callnormv1.Completeness_COMPLETENESS_PARTIAL {
		// What follows the call tells that it is over; how, the status callback tells.
		o.Completeness = callnormv1.Completeness_COMPLETENESS_SETTLING
		o.ExpectedParts = append(o.ExpectedParts, callnormv1.Part_PART_RESULT)
	}
	if p.transcriptWord != "" && o.GetEventRaw() != p.transcriptWord {
		p.keep("TranscriptionStatus", p.transcriptWord)
	}
	if p.event != "" {
		o.EventRaw = p.event
	}
}

// follows tells whether the payload is about something that a call had, and mentions the call's status beside it.
func (p *payload) follows() bool {
	return p.recording.GetStatusRaw() != "" || p.dialStatus != "" || p.dialID != "" || p.transcript != "" || p.transcriptWord != ""
}

// setProgress reads of what the time of a call that goes on is the time. A request for instructions has none.
func (p *payload) setProgress(o *callnormv1.CallOutcome) {
	switch o.GetStatus() {
	case callnormv1.CallStatus_CALL_STATUS_QUEUED:
		o.QueueTime = p.time
	case callnormv1.CallStatus_CALL_STATUS_INITIATED:
		o.DialTime = p.time
	case callnormv1.CallStatus_CALL_STATUS_RINGING:
		o.RingTime = p.time
		if o.GetDirection() == callnormv1.Direction_DIRECTION_INBOUND {
			o.Event = callnormv1.EventKind_EVENT_KIND_CALL_RECEIVED
		}
	case callnormv1.CallStatus_CALL_STATUS_IN_PROGRESS:
		if o.AnswerTime = p.time; p.time == nil {
			o.Event = callnormv1.EventKind_EVENT_KIND_CALL_PROGRESS
		}
	}
}

// setEndTime reads the end, and computes the start, which no callback tells. A call that was not answered has no seconds to go back.
func (p *payload) setEndTime(o *callnormv1.CallOutcome) {
	o.EndTime = p.time
	if p.time == nil || p.duration == nil || o.GetStatus() != callnormv1.CallStatus_CALL_STATUS_COMPLETED {
		return
	}
	o.StartTime = timestamppb.New(p.time.AsTime().Add(-p.duration.AsDuration()))
	p.notes.Derived("start_time")
}

// setError reads an error. One of a recording is none of the call's.
func (p *payload) setError(o *callnormv1.CallOutcome) {
	if p.recording.GetStatusRaw() != "" {
		p.keep("ErrorCode", p.errorCode)
		p.keep("ErrorMessage", p.errorMessage)
		return
	}
	o.Error = &callnormv1.CallError{Code: p.errorCode, Message: p.errorMessage}
}

// keep keeps a text that was read and has no place.
func (p *payload) keep(name, text string) {
	if text != "" {
		p.notes.UnmappedText(p.at(name), text)
	}
}
