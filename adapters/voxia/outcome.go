package voxia

import (
	"strings"
	"time"

	"github.com/callnorm/callnorm/adapters/internal/wire"
	"github.com/callnorm/callnorm/adapters/internal/words"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"google.golang.org/protobuf/types/known/durationpb"
)

// Voxia's words are sorted by the question that they answer, not by the field that they stand in: `status` holds words of
// three vocabularies, and so does the ending of `webhookEvent`. A word that answers two questions stands in two tables.

// registryMatch means that the number was found in a do-not-call registry and never dialled. Neither DO_NOT_CALL (the contact
// asked during this call) nor contactStatus.doNotCall says that.
const registryMatch = "do_not_call_registry_matched"

// failed is what the fields say for a match that have no word for it.
const failed = "failed"

const (
	completed = "completed"
	pending   = "pending" // "returned to the call queue": the queue's word, and not the result of any processing
)

type statusMeaning struct {
	status  callnormv1.CallStatus
	open    bool // the call is not over
	settled bool // it is, and there was no conversation that could be processed
}

var statuses = words.Table[statusMeaning]{
	Documented: map[string]statusMeaning{
		"new":         {status: callnormv1.CallStatus_CALL_STATUS_QUEUED, open: true},
		"in_progress": {status: callnormv1.CallStatus_CALL_STATUS_IN_PROGRESS, open: true},
		completed:     {status: callnormv1.CallStatus_CALL_STATUS_COMPLETED},
		"voice_mail":  {status: callnormv1.CallStatus_CALL_STATUS_COMPLETED},
		"no_answer":   {status: callnormv1.CallStatus_CALL_STATUS_NO_ANSWER, settled: true},
		"busy":        {status: callnormv1.CallStatus_CALL_STATUS_BUSY, settled: true},
		failed:        {status: callnormv1.CallStatus_CALL_STATUS_FAILED, settled: true},
		registryMatch: {status: callnormv1.CallStatus_CALL_STATUS_BLOCKED, settled: true},
	},
	Other: statusMeaning{status: callnormv1.CallStatus_CALL_STATUS_OTHER},
}

var answerers = words.Table[callnormv1.AnsweredByKind]{
	Documented: map[string]callnormv1.AnsweredByKind{
		completed:             callnormv1.AnsweredByKind_ANSWERED_BY_KIND_HUMAN, // "The user answered and the call ended successfully."
		"voice_mail":          callnormv1.AnsweredByKind_ANSWERED_BY_KIND_VOICEMAIL,
		"voice_mail_detected": callnormv1.AnsweredByKind_ANSWERED_BY_KIND_VOICEMAIL,
	},
}

type endMeaning struct {
	reason    callnormv1.EndReason
	by        callnormv1.EndedBy
	forwarded bool // the agent's part is over, the call may be not
}

// ends holds the five reasons that are explained for hangUpReason, and the six more that are only named for status.
var ends = words.Table[endMeaning]{
	Documented: map[string]endMeaning{
		// The contact's will in both; here the agent's hand, and there the contact's own.
		"user_requested_hangup": {reason: callnormv1.EndReason_END_REASON_CUSTOMER_HANGUP, by: callnormv1.EndedBy_ENDED_BY_CUSTOMER},
		"user_manual_hangup":    {reason: callnormv1.EndReason_END_REASON_CUSTOMER_HANGUP, by: callnormv1.EndedBy_ENDED_BY_CUSTOMER},
		"admin_manual_hangup":   {reason: callnormv1.EndReason_END_REASON_MANUAL, by: callnormv1.EndedBy_ENDED_BY_HUMAN_OPERATOR},
		"call_finished":         {reason: callnormv1.EndReason_END_REASON_CONVERSATION_ENDED},
		"call_forwarded":        {reason: callnormv1.EndReason_END_REASON_TRANSFERRED, forwarded: true},
		"voice_mail_detected":   {reason: callnormv1.EndReason_END_REASON_VOICEMAIL},
		"silence_detected":      {reason: callnormv1.EndReason_END_REASON_SILENCE_TIMEOUT, by: callnormv1.EndedBy_ENDED_BY_SYSTEM},
		"conversation_llm_technical_issues": {
			reason: callnormv1.EndReason_END_REASON_LLM_ERROR, by: callnormv1.EndedBy_ENDED_BY_SYSTEM,
		},
		"other_technical_issues": {reason: callnormv1.EndReason_END_REASON_PLATFORM_ERROR, by: callnormv1.EndedBy_ENDED_BY_SYSTEM},
		"socket_disconnected":    {reason: callnormv1.EndReason_END_REASON_CUT_OFF},
		"unknown":                {}, // Voxia says that it does not know.
		registryMatch:            {reason: callnormv1.EndReason_END_REASON_BLOCKED_BY_POLICY},
	},
	Other: endMeaning{reason: callnormv1.EndReason_END_REASON_OTHER},
}

var dispositions = words.Table[callnormv1.ContactDisposition]{
	Documented: map[string]callnormv1.ContactDisposition{
		"interested":     callnormv1.ContactDisposition_CONTACT_DISPOSITION_INTERESTED,
		"not_interested": callnormv1.ContactDisposition_CONTACT_DISPOSITION_NOT_INTERESTED,
		"call_me_later":  callnormv1.ContactDisposition_CONTACT_DISPOSITION_CALLBACK_REQUESTED,
		"wrong_number":   callnormv1.ContactDisposition_CONTACT_DISPOSITION_WRONG_NUMBER,
		"do_not_call":    callnormv1.ContactDisposition_CONTACT_DISPOSITION_DO_NOT_CALL,
		pending:          callnormv1.ContactDisposition_CONTACT_DISPOSITION_REQUEUED,
	},
	Other: callnormv1.ContactDisposition_CONTACT_DISPOSITION_OTHER,
}

var goals = words.Table[callnormv1.GoalResult]{
	Documented: map[string]callnormv1.GoalResult{
		"true":  callnormv1.GoalResult_GOAL_RESULT_ACHIEVED,
		"false": callnormv1.GoalResult_GOAL_RESULT_NOT_ACHIEVED,
	},
	Other: callnormv1.GoalResult_GOAL_RESULT_OTHER,
}

type eventMeaning struct {
	kind      callnormv1.EventKind
	status    callnormv1.CallStatus // what the event alone tells, for bodies that hold no status
	early     bool                  // it is sent while the agent talks, or before
	over      bool                  // it is sent after that
	settled   bool                  // nothing follows it
	forwarded bool
}

var (
	notConnected = eventMeaning{
		kind: callnormv1.EventKind_EVENT_KIND_CALL_ENDED, status: callnormv1.CallStatus_CALL_STATUS_NO_CONVERSATION,
		over: true, settled: true,
	}
	processed = eventMeaning{
		kind: callnormv1.EventKind_EVENT_KIND_CALL_REPORTED, status: callnormv1.CallStatus_CALL_STATUS_COMPLETED,
		over: true, settled: true,
	}
)

var events = words.Table[eventMeaning]{
	Documented: map[string]eventMeaning{
		"dialing": {
			kind: callnormv1.EventKind_EVENT_KIND_CALL_STARTED, status: callnormv1.CallStatus_CALL_STATUS_INITIATED, early: true,
		},
		"connected": {
			kind: callnormv1.EventKind_EVENT_KIND_CALL_CONNECTED, status: callnormv1.CallStatus_CALL_STATUS_IN_PROGRESS, early: true,
		},
		"forwarded": {
			kind: callnormv1.EventKind_EVENT_KIND_CALL_TRANSFERRED, status: callnormv1.CallStatus_CALL_STATUS_IN_PROGRESS, forwarded: true,
		},
		"hang_up": {
			kind: callnormv1.EventKind_EVENT_KIND_CALL_ENDED, status: callnormv1.CallStatus_CALL_STATUS_COMPLETED, over: true,
		},
		"forwarded_call_finished": {
			kind: callnormv1.EventKind_EVENT_KIND_TRANSFER_ENDED, status: callnormv1.CallStatus_CALL_STATUS_COMPLETED,
			over: true, forwarded: true,
		},
		failed: {
			kind: callnormv1.EventKind_EVENT_KIND_CALL_ENDED, status: callnormv1.CallStatus_CALL_STATUS_FAILED,
			over: true, settled: true,
		},
		"could_not_connect:busy":                  notConnected,
		"could_not_connect:no_answer":             notConnected,
		"post_processing_finished:voice_mail":     processed,
		"post_processing_finished:interested":     processed,
		"post_processing_finished:not_interested": processed,
		"post_processing_finished:wrong_number":   processed,
		"post_processing_finished:call_me_later":  processed,
		"post_processing_finished:do_not_call":    processed,
	},
	Seen:  map[string]eventMeaning{"could_not_connect": notConnected, "post_processing_finished": processed},
	Other: eventMeaning{kind: callnormv1.EventKind_EVENT_KIND_OTHER},
}

// findEvent returns what an event means: by the whole word, or by the part before the colon.
func findEvent(notes *wire.Notes, w word) (eventMeaning, callnormv1.Mapping) {
	if meaning, mapping, ok := events.Known(w.text); ok {
		return meaning, mapping
	}
	family, _, _ := strings.Cut(w.text, ":")
	if meaning, _, ok := events.Known(family); ok {
		notes.Warn(callnormv1.WarningKind_WARNING_KIND_UNKNOWN_WORD, w.path, "the event is known, but not with this ending")
		return meaning, callnormv1.Mapping_MAPPING_PREFIX
	}
	return events.Find(notes, w.path, w.text)
}

// answers holds the words of a payload by the question that they answer.
type answers struct {
	event, ending, status, end, wish word
}

// outcome says what a call amounts to.
func (p *payload) outcome() *callnormv1.CallOutcome {
	o := &p.call
	o.ProviderCallId = p.identify(p.either(p.id, p.callID))
	o.Contact, o.Campaign, o.Agent = wire.Filled(&p.contact), wire.Filled(&p.campaign), wire.Filled(&p.agent)
	a := p.sort()
	event, mapping := findEvent(p.notes, a.event)
	o.Event, o.EventRaw, o.EventMapping = event.kind, a.event.text, mapping
	status := p.setStatus(a)
	end := p.setEnd(a)
	p.setAnsweredBy(a)
	p.setDisposition(a)
	analysed := p.setCompleteness(a, event, status, end)
	p.setTransfer(a, event, end)
	p.setParts(analysed)
	o.Provenance = p.notes.Provenance()
	return o
}

// sort finds for each question the word that answers it. The fields that are meant for one question go first; `status` and the
// ending of the event, which hold words of several vocabularies, stand in for the one that their word belongs to.
func (p *payload) sort() answers {
	a := answers{event: p.either(p.webhookEvent, p.event)}
	a.ending = a.event
	if _, text, ok := strings.Cut(a.event.text, ":"); ok {
		a.ending.text = text
	}
	a.status = choose(p, statuses, p.callStatus, p.status, a.ending, p.postStatus)
	a.end = choose(p, ends, p.hung, p.status, a.status)
	a.wish = p.postStatus
	if knows(statuses, a.wish) {
		// VOICE_MAIL ends an event in the place of a disposition, so it may come here as well. It says nothing of the contact.
		p.notes.Warn(callnormv1.WarningKind_WARNING_KIND_MISPLACED, a.wish.path, "a status of the call stands in the place of the contact's answer")
		a.wish.text = ""
	}
	// PENDING is the queue's word: where a result is told as well, that is what the contact wants.
	others := []word{p.status, a.ending}
	if words.Is(p.status.text, pending) {
		others = []word{a.ending, p.status}
	}
	a.wish = choose(p, dispositions, a.wish, others...)
	if p.status.text != "" && !knows(statuses, p.status) && !knows(ends, p.status) && !knows(dispositions, p.status) {
		if a.status.text == "" {
			a.status = p.status
		} else {
			p.notes.Warn(callnormv1.WarningKind_WARNING_KIND_UNKNOWN_WORD, p.status.path, "the word is not known to this version")
			p.notes.UnmappedText(p.status.path, p.status.text)
		}
	}
	return a
}

// choose returns the word that answers a question: the one in the field that is meant for it, whatever it is, or else the first
// of the others that the table knows. Others that say something else are told of, and kept.
func choose[M any](p *payload, table words.Table[M], chosen word, others ...word) word {
	for _, w := range others {
		switch {
		case !knows(table, w) || words.Plain(w.text) == words.Plain(chosen.text):
		case chosen.text == "":
			chosen = w
		default:
			if !words.Is(w.text, pending) && (!words.Is(chosen.text, registryMatch) || !words.Is(w.text, failed)) {
				p.notes.Warn(callnormv1.WarningKind_WARNING_KIND_CONTRADICTION, w.path, "says something else than "+chosen.path+", which counts")
			}
			if w == p.status || w == p.postStatus {
				p.notes.UnmappedText(w.path, w.text)
			}
		}
	}
	return chosen
}

func knows[M any](table words.Table[M], w word) bool {
	_, _, ok := table.Known(w.text)
	return ok
}

// either returns a field or, where it is missing, its other name. Where both are there, the other is kept.
func (p *payload) either(field, other word) word {
	if field.text == "" {
		return other
	}
	if other.text != "" {
		p.notes.UnmappedText(other.path, other.text)
	}
	return field
}

func (p *payload) setStatus(a answers) statusMeaning {
	meaning, mapping := statuses.Find(p.notes, a.status.path, a.status.text)
	p.call.Status, p.call.StatusRaw, p.call.StatusMapping = meaning.status, a.status.text, mapping
	if words.Is(a.status.text, registryMatch) {
		p.call.Compliance = &callnormv1.Compliance{DoNotCallRegistry: new(true)}
	}
	return meaning
}

func (p *payload) setEnd(a answers) endMeaning {
	meaning, mapping := ends.Find(p.notes, a.end.path, a.end.text)
	if a.end.text == "" {
		return meaning
	}
	p.call.End = &callnormv1.CallEnd{Reason: meaning.reason, ReasonRaw: a.end.text, ReasonMapping: mapping}
	if meaning.by != callnormv1.EndedBy_ENDED_BY_UNSPECIFIED {
		p.call.End.EndedBy, p.call.End.EndedByRaw, p.call.End.EndedByMapping = meaning.by, a.end.text, mapping
	}
	return meaning
}

func (p *payload) setAnsweredBy(a answers) {
	w := p.answerer(a)
	kind, mapping, ok := answerers.Known(w.text)
	if !ok {
		return
	}
	p.call.AnsweredBy = &callnormv1.AnsweredBy{Value: kind, Raw: w.text, Mapping: mapping}
	if kind == callnormv1.AnsweredByKind_ANSWERED_BY_KIND_VOICEMAIL {
		p.call.Voicemail = &callnormv1.Voicemail{Detected: new(true)}
	}
}

// answerer returns the word that tells who answered. A machine is often found out after the call was COMPLETED, so a word for
// one counts wherever it stands.
func (p *payload) answerer(a answers) word {
	list := []word{a.end, p.postStatus, a.ending, p.status, a.status}
	for _, w := range list {
		if isVoicemail(w) {
			return w
		}
	}
	for _, w := range list {
		if knows(answerers, w) {
			return w
		}
	}
	return word{}
}

func isVoicemail(w word) bool {
	kind, _, _ := answerers.Known(w.text)
	return kind == callnormv1.AnsweredByKind_ANSWERED_BY_KIND_VOICEMAIL
}

func (p *payload) setDisposition(a answers) {
	d := &p.disposition
	d.Value, d.Mapping = dispositions.Find(p.notes, a.wish.path, a.wish.text)
	d.Goal, d.GoalMapping = goals.Find(p.notes, p.reached.path, p.reached.text)
	d.Raw, d.GoalRaw = a.wish.text, p.reached.text
	if p.reached.path == "interested" {
		d.GoalMapping = callnormv1.Mapping_MAPPING_HEURISTIC // the documentation has the answer in an object only
	}
	p.call.Disposition = wire.Filled(d)
}

// setCompleteness goes by the contents first. An event says for what moment it was sent, not what was known by then: the
// example of the documentation is a CONNECTED with the transcript and the result. Such a body is a report, whatever its event.
// It returns whether the result of the processing is in it.
func (p *payload) setCompleteness(a answers, event eventMeaning, status statusMeaning, end endMeaning) bool {
	o := &p.call
	// Words that are not known decide nothing, and neither does PENDING. That says that more is to come: the contact will be
	// called again, and nothing tells whether under another id.
	requeued := words.Is(a.wish.text, pending) || words.Is(p.status.text, pending)
	processed := knows(statuses, p.postStatus) || knows(dispositions, p.postStatus) && !words.Is(p.postStatus.text, pending) ||
		knows(dispositions, a.wish) && !requeued
	version1 := a.event.text == "" && p.callStatus.text == "" // one delivery for each call, when it is over
	analysed := processed || version1 && len(o.GetExtractedFields()) > 0
	hungUp := knows(ends, a.end) && (version1 || end.reason != callnormv1.EndReason_END_REASON_UNSPECIFIED && !end.forwarded)
	ended := processed || hungUp || o.GetStatusMapping() == callnormv1.Mapping_MAPPING_EXACT
	over := event.over || ended && !status.open
	reported := event.kind == callnormv1.EventKind_EVENT_KIND_CALL_REPORTED
	settled := status.settled || event.settled
	switch {
	case over && !status.open && (processed || !requeued && (reported || settled || version1)):
		o.Completeness = callnormv1.Completeness_COMPLETENESS_FINAL
	case over:
		o.Completeness = callnormv1.Completeness_COMPLETENESS_SETTLING
		if !analysed && !settled && !reported {
			o.ExpectedParts = append(o.ExpectedParts, callnormv1.Part_PART_ANALYSIS)
		}
	default:
		o.Completeness = callnormv1.Completeness_COMPLETENESS_PARTIAL
	}

	if early := event.early && over; early || a.event.text == "" {
		o.Event, o.EventMapping = kinds[o.GetCompleteness()], callnormv1.Mapping_MAPPING_HEURISTIC
		if early {
			p.notes.Warn(callnormv1.WarningKind_WARNING_KIND_CONTRADICTION, a.event.path, "the event says that the call goes on, and the body tells of its end")
		}
	} else if o.GetStatusRaw() == "" && event.status != callnormv1.CallStatus_CALL_STATUS_UNSPECIFIED {
		o.Status, o.StatusRaw, o.StatusMapping = event.status, a.event.text, callnormv1.Mapping_MAPPING_HEURISTIC
	}
	if event.over && status.open {
		p.notes.Warn(callnormv1.WarningKind_WARNING_KIND_CONTRADICTION, a.status.path, "the status says that the call goes on, and the event that it is over")
	}
	return analysed
}

// setTransfer completes what `events` tells of a transfer. hangUpReason need not tell of it: in the example of the documentation
// it is CALL_FINISHED. But "Total duration of the call including the forwarded call duration" exceeds "Duration of the call with
// Voxia's agent" by the forwarded part. A transfer that `events` does not hold is added only when the agent's part is over, and
// without a word of its own: several deliveries tell of it in several words, and it was one.
func (p *payload) setTransfer(a answers, event eventMeaning, end endMeaning) {
	o := &p.call
	var forwarded time.Duration
	if o.GetTotalDuration() != nil && o.GetTalkDuration() != nil {
		forwarded = o.GetTotalDuration().AsDuration() - o.GetTalkDuration().AsDuration()
	}
	measured := forwarded >= time.Second
	// Two numbers of whole seconds may differ by one without anything between them.
	evident := forwarded > time.Second && p.conversed(a)
	over := o.GetCompleteness() != callnormv1.Completeness_COMPLETENESS_PARTIAL
	if len(o.GetTransfers()) == 0 && over && (event.forwarded || end.forwarded || evident) {
		o.Transfers = []*callnormv1.Transfer{{}}
		p.notes.Derived("transfers")
	}
	if len(o.GetTransfers()) == 1 && measured {
		o.Transfers[0].Duration = durationpb.New(forwarded)
		p.notes.Derived("transfers.duration")
	}
}

// conversed tells whether there was somebody to forward. Where nobody answered, or a machine, the total duration exceeds the
// other by the ringing.
func (p *payload) conversed(a answers) bool {
	return words.Is(a.status.text, completed) && !isVoicemail(p.answerer(a)) && p.call.GetTalkDuration().AsDuration() > 0
}

func (p *payload) setParts(analysed bool) {
	o := &p.call
	if o.GetCompleteness() != callnormv1.Completeness_COMPLETENESS_PARTIAL {
		o.PresentParts = append(o.PresentParts, callnormv1.Part_PART_RESULT)
	}
	if o.GetTranscript() != nil {
		o.PresentParts = append(o.PresentParts, callnormv1.Part_PART_TRANSCRIPT)
	}
	if analysed {
		o.PresentParts = append(o.PresentParts, callnormv1.Part_PART_ANALYSIS)
	}
	if o.GetEvent() == callnormv1.EventKind_EVENT_KIND_TRANSFER_ENDED || len(o.GetTransfers()) == 1 && o.GetTransfers()[0].GetDuration() != nil {
		o.PresentParts = append(o.PresentParts, callnormv1.Part_PART_TRANSFER)
	}
}

// kinds names the event for bodies that name none, or one that does not fit them.
var kinds = map[callnormv1.Completeness]callnormv1.EventKind{
	callnormv1.Completeness_COMPLETENESS_PARTIAL:  callnormv1.EventKind_EVENT_KIND_CALL_PROGRESS,
	callnormv1.Completeness_COMPLETENESS_SETTLING: callnormv1.EventKind_EVENT_KIND_CALL_ENDED,
	callnormv1.Completeness_COMPLETENESS_FINAL:    callnormv1.EventKind_EVENT_KIND_CALL_REPORTED,
}
