package retell

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/callnorm/callnorm/adapters/internal/wire"
	"github.com/callnorm/callnorm/adapters/internal/words"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// ending is what the reason of disconnection says.
type ending struct {
	reasonMeaning
	mapping callnormv1.Mapping
}

// known tells whether the reason is one that says anything.
func (e ending) known() bool {
	return e.mapping != callnormv1.Mapping_MAPPING_UNSPECIFIED && e.mapping != callnormv1.Mapping_MAPPING_NONE
}

// outcome says what a call amounts to.
func (p *payload) outcome() *callnormv1.CallOutcome {
	o := &p.call
	p.setIDs()
	event, mapping := events.Find(p.notes, p.event.path, p.event.text)
	o.Event, o.EventRaw, o.EventMapping = event.kind, p.event.text, mapping
	end := p.setEnd()
	p.setTranscript()
	over := p.setStatus(event, end)
	p.setAnsweredBy(end)
	p.setParties()
	p.setTimes(over)
	p.setTransfer(event, end, over)
	p.setAnalysis()
	p.setCost(over)
	p.setRecordings()
	p.setStorage(over)
	o.Agent, o.Quality = wire.Filled(&p.agent), wire.Filled(&p.quality)
	o.Variables = slices.Concat(p.workflow, p.collected)
	o.Metadata = append(o.GetMetadata(), p.attached...)
	p.setCompleteness(event, over)
	o.Provenance = p.notes.Provenance()
	return o
}

func (p *payload) setIDs() {
	p.call.ProviderCallId = p.identify(p.id)
	if p.sipCallID.text != "" && p.sipCallID.text != p.call.GetProviderCallId() {
		p.notes.UnmappedText(p.sipCallID.path, p.sipCallID.text)
	}
	if id := p.identify(p.batch); id != "" {
		p.call.Campaign = &callnormv1.Campaign{Id: id}
	}
}

func (p *payload) setEnd() ending {
	meaning, mapping := findReason(p.notes, p.reason)
	if p.reason.text != "" {
		p.call.End = &callnormv1.CallEnd{Reason: meaning.reason, ReasonRaw: p.reason.text, ReasonMapping: mapping}
	}
	if meaning.by != callnormv1.EndedBy_ENDED_BY_UNSPECIFIED {
		p.call.End.EndedBy, p.call.End.EndedByRaw, p.call.End.EndedByMapping = meaning.by, p.reason.text, mapping
	}
	return ending{reasonMeaning: meaning, mapping: mapping}
}

// setStatus says what the telephone network saw, and tells whether the call is over. A status lags behind at times: the example of
// the documentation is a call that has ended and is "registered".
func (p *payload) setStatus(event eventMeaning, end ending) bool {
	o := &p.call
	own, mapping := statuses.Find(p.notes, p.status.path, p.status.text)
	known := mapping == callnormv1.Mapping_MAPPING_EXACT
	over := event.over || known && !own.open || end.known()
	o.Status, o.StatusRaw, o.StatusMapping = own.status, p.status.text, mapping
	behind := known && own.open && (over || own.status < event.status)
	if behind {
		p.notes.Warn(callnormv1.WarningKind_WARNING_KIND_CONTRADICTION, p.status.path, "the status is behind what else is told, which counts")
	}
	status, w := own.status, p.status
	switch {
	case over:
		status, w, mapping = p.endStatus(own, mapping, end)
	case behind, p.status.text == "":
		status, w, mapping = event.status, p.event, heuristic
	}
	if status == callnormv1.CallStatus_CALL_STATUS_UNSPECIFIED {
		w, mapping = p.status, callnormv1.Mapping_MAPPING_UNSPECIFIED
	}
	if p.status.text == "" {
		o.StatusRaw = w.text
	}
	o.Status, o.StatusMapping = status, mapping
	return over
}

const heuristic = callnormv1.Mapping_MAPPING_HEURISTIC

// endStatus returns the status of a call that is over, the word that tells it, and how. `not_connected` and `error` leave open what
// the reason tells. But they do not leave open whether there was a conversation: a reason that tells of one does not count beside
// them. Where both are told, the status is the word, and what the reason makes of it is inferred.
func (p *payload) endStatus(own statusMeaning, mapping callnormv1.Mapping, end ending) (callnormv1.CallStatus, word, callnormv1.Mapping) {
	const completed = callnormv1.CallStatus_CALL_STATUS_COMPLETED
	known := mapping == callnormv1.Mapping_MAPPING_EXACT
	closed := known && !own.open
	if end.status == callnormv1.CallStatus_CALL_STATUS_CANCELED && p.connected() {
		end.status = completed // It was called off in the middle.
	}
	if closed && !end.documentedFor(words.Plain(p.status.text)) {
		p.notes.Warn(callnormv1.WarningKind_WARNING_KIND_CONTRADICTION, p.reason.path, "the reason belongs to another call_status than is told")
	}
	switch {
	case closed && (!end.known() || end.status == completed || end.status == own.status):
		return own.status, p.status, mapping
	case end.known() && p.status.text == "":
		return end.status, p.reason, end.mapping
	case end.known():
		return end.status, p.status, heuristic
	case p.status.text != "" && !known:
		return own.status, p.status, mapping
	case p.connected():
		return completed, p.event, heuristic
	default: // It is over, and nobody tells how.
		return callnormv1.CallStatus_CALL_STATUS_UNSPECIFIED, word{}, callnormv1.Mapping_MAPPING_UNSPECIFIED
	}
}

// connected tells whether somebody or something was on the line.
func (p *payload) connected() bool {
	return p.call.GetStartTime() != nil || p.call.GetTotalDuration().AsDuration() > 0 || p.call.GetTranscript() != nil
}

// setAnsweredBy says who answered. The analysis has an opinion on that, too, which counts where no word tells: the agent may have
// hung up on a voicemail.
func (p *payload) setAnsweredBy(end ending) {
	const untold, voicemail = callnormv1.AnsweredByKind_ANSWERED_BY_KIND_UNSPECIFIED, callnormv1.AnsweredByKind_ANSWERED_BY_KIND_VOICEMAIL
	own, _, _ := statuses.Known(p.status.text)
	value, w, mapping := own.answeredBy, p.status, callnormv1.Mapping_MAPPING_EXACT
	if value == untold {
		value, w, mapping = end.answeredBy, p.reason, end.mapping
	}
	heard := strings.ToLower(p.voicemail.text)
	switch {
	case heard == "":
	case heard != "true" && heard != "false":
		p.notes.Warn(callnormv1.WarningKind_WARNING_KIND_WRONG_TYPE, p.voicemail.path, "the value is neither true nor false")
		p.notes.UnmappedText(p.voicemail.path, p.voicemail.text)
		heard = ""
	case heard == "true" && value == untold:
		value, w, mapping = voicemail, p.voicemail, callnormv1.Mapping_MAPPING_PROVIDER_CLASSIFIED
	case (heard == "true") != (value == voicemail):
		p.notes.Warn(callnormv1.WarningKind_WARNING_KIND_CONTRADICTION, p.voicemail.path, "the analysis differs from "+w.path+", which counts")
	}
	if value != untold {
		p.call.AnsweredBy = &callnormv1.AnsweredBy{Value: value, Raw: w.text, Mapping: mapping}
	}
	if heard != "" || value == voicemail {
		p.call.Voicemail = &callnormv1.Voicemail{Detected: new(heard == "true" || value == voicemail)}
	}
}

// setParties says who called whom.
func (p *payload) setParties() {
	o := &p.call
	o.Channel, o.ChannelMapping = channels.Find(p.notes, p.channel.path, p.channel.text)
	o.ChannelRaw = p.channel.text
	w, sip := p.direction, p.sipDirection
	if w.text == "" {
		w = sip
	} else if sip.text != "" && words.Plain(sip.text) != words.Plain(w.text) {
		p.notes.UnmappedText(sip.path, sip.text)
	}
	o.Direction, o.DirectionMapping = directions.Find(p.notes, w.path, w.text)
	o.DirectionRaw = w.text
	o.Caller, o.Callee = endpoint(p.from), endpoint(p.to)
	other := o.GetCallee()
	switch o.GetDirection() {
	case callnormv1.Direction_DIRECTION_INBOUND:
		other = o.GetCaller()
	case callnormv1.Direction_DIRECTION_OUTBOUND:
	default:
		return
	}
	// What is no number is a caller who withheld it, or the name of a trunk.
	if number := other.GetPhone(); number.GetE164() != "" {
		o.Contact = &callnormv1.Contact{Phones: []*callnormv1.PhoneNumber{number}}
		p.notes.Derived("contact.phones")
	}
}

// setTimes measures what early payloads do not: they have both ends of the call, but not its length.
func (p *payload) setTimes(over bool) {
	o := &p.call
	start, end := o.GetStartTime(), o.GetEndTime()
	if !over || o.GetTotalDuration() != nil || start == nil || end == nil || end.AsTime().Before(start.AsTime()) {
		return
	}
	o.TotalDuration = durationpb.New(end.AsTime().Sub(start.AsTime()))
	p.notes.Derived("total_duration")
}

// setTransfer says what became of a transfer. The setting of a transfer tells its kind in some of the deliveries about it, and in
// others nothing does.
func (p *payload) setTransfer(event eventMeaning, end ending, over bool) {
	o := &p.call
	t := &callnormv1.Transfer{Result: end.transfer, ContactAsCallerId: p.showContact}
	if end.transfer != callnormv1.TransferResult_TRANSFER_RESULT_UNSPECIFIED {
		t.ResultRaw = p.reason.text
	}
	if event.transfer != callnormv1.TransferResult_TRANSFER_RESULT_UNSPECIFIED {
		t.Result, t.ResultRaw = event.transfer, p.event.text
	}
	if event.transfer == callnormv1.TransferResult_TRANSFER_RESULT_STARTED {
		t.StartTime = o.GetEventTime()
		if t.GetStartTime() == nil {
			// Nothing would say that what tells of the result is later.
			t.Result, t.ResultRaw = callnormv1.TransferResult_TRANSFER_RESULT_UNSPECIFIED, ""
		} else {
			p.notes.Derived("transfers.start_time")
		}
	}
	t.Kind, _ = transferKinds.Find(p.notes, p.option.path, p.option.text)
	t.KindRaw = p.option.text
	p.setTarget(t)
	forwarded := p.transferEnd.AsTime().Sub(o.GetEndTime().AsTime())
	switch {
	case p.transferEnd == nil:
	case over && o.GetEndTime() != nil && forwarded > 0:
		t.Duration = durationpb.New(forwarded)
		p.notes.Derived("transfers.duration")
	default:
		p.notes.UnmappedText(p.transferEndWord.path, p.transferEndWord.text)
	}
	if event.ofTransfer || proto.Size(t) > 0 {
		o.Transfers = []*callnormv1.Transfer{t}
	}
}

// setTarget takes the target from beside the call, where an event about a transfer tells it, or else from within.
func (p *payload) setTarget(t *callnormv1.Transfer) {
	told := ""
	for _, w := range slices.Concat(p.targets, p.destinations) {
		switch target := endpoint(w.text); {
		case target == nil:
		case told == "":
			t.Target, told = target, w.text
		case w.text != told:
			p.notes.UnmappedText(w.path, w.text)
		}
	}
}

func (p *payload) setAnalysis() {
	a := &p.analysis
	if p.successful.text != "" {
		a.SuccessRaw = p.successful.text
		a.Success, a.SuccessMapping = chosen(successes, p.notes, p.successful)
	}
	if p.mood.text != "" {
		a.Sentiment = &callnormv1.Sentiment{Raw: p.mood.text}
		a.Sentiment.Polarity, a.Sentiment.Mapping = chosen(sentiments, p.notes, p.mood)
	}
	p.call.Analysis = wire.Filled(a)
}

// setCost leaves out the cost of a call that goes on: it is nothing because nobody has reckoned it.
func (p *payload) setCost(over bool) {
	amount := p.cost.GetTotal().GetAmount()
	if !over && len(p.cost.GetLines()) == 0 && strings.Trim(amount, "0.") == "" {
		if p.call.GetBilledDuration().AsDuration() == 0 {
			p.call.BilledDuration = nil
		}
		return
	}
	p.call.Cost = wire.Filled(&p.cost)
}

// recordingKinds holds the members with addresses of recordings.
var recordingKinds = [...]struct {
	name string
	kind callnormv1.RecordingKind
}{
	{"recording_url", callnormv1.RecordingKind_RECORDING_KIND_MONO},
	{"recording_multi_channel_url", callnormv1.RecordingKind_RECORDING_KIND_STEREO},
	{"scrubbed_recording_url", callnormv1.RecordingKind_RECORDING_KIND_MONO},
	{"scrubbed_recording_multi_channel_url", callnormv1.RecordingKind_RECORDING_KIND_STEREO},
}

// setRecordings lists the recordings. Where the account wants its addresses signed, they expire: when, the documentation says in two
// ways, and the address itself in most cases.
func (p *payload) setRecordings() {
	dated := true
	for i, uri := range p.recordings {
		if uri == "" {
			continue
		}
		recording := &callnormv1.Recording{
			Kind: recordingKinds[i].kind, KindRaw: recordingKinds[i].name, Uri: uri, ExpireTime: expiry(uri),
		}
		dated = dated && recording.GetExpireTime() != nil
		p.call.Recordings = append(p.call.GetRecordings(), recording)
	}
	signed := words.Plain(p.signed.text)
	if told := signed == "" || signed == "false" || signed == "true" && dated; !told {
		p.notes.UnmappedText(p.signed.path, p.signed.text)
	}
}

// expiry reads from a signed address until when it works: in the manner of CloudFront, or of S3.
func expiry(uri string) *timestamppb.Timestamp {
	_, query, ok := strings.Cut(uri, "?")
	if !ok {
		return nil
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		return nil
	}
	if at, err := strconv.ParseInt(values.Get("Expires"), 10, 64); err == nil && at > 0 {
		return valid(timestamppb.New(time.Unix(at, 0)))
	}
	signed, err := time.Parse("20060102T150405Z", values.Get("X-Amz-Date"))
	span, spanErr := strconv.ParseInt(values.Get("X-Amz-Expires"), 10, 32)
	if err != nil || spanErr != nil || span <= 0 {
		return nil
	}
	return valid(timestamppb.New(signed.Add(time.Duration(span) * time.Second)))
}

func valid(t *timestamppb.Timestamp) *timestamppb.Timestamp {
	if t.IsValid() {
		return t
	}
	return nil
}

// setStorage says what the account does not let Retell keep, and therefore send: persons, or all that was said.
func (p *payload) setStorage(over bool) {
	o := &p.call
	t := o.GetTranscript()
	if t != nil && t.GetSource() == p.scrubbed.path {
		t.Redaction = "scrubbed"
	}
	basic := p.optedOut != nil && *p.optedOut
	switch words.Plain(p.storage.text) {
	case "", "everything":
	case "everything_except_pii":
		if t != nil {
			t.Redaction = p.storage.text
		}
	case "basic_attributes_only":
		basic = true
	default:
		p.notes.UnmappedText(p.storage.path, p.storage.text)
	}
	if !basic || !over || !p.connected() {
		return
	}
	var redacted []string
	if t == nil {
		redacted = append(redacted, "transcript")
	}
	if len(o.GetRecordings()) == 0 {
		redacted = append(redacted, "recording_url")
	}
	o.Compliance = wire.Filled(&callnormv1.Compliance{RedactedFields: redacted})
}

// setCompleteness goes by the event and by what is there: an event that was asked for in the course of a call may come after its end.
func (p *payload) setCompleteness(event eventMeaning, over bool) {
	o := &p.call
	p.setParts(over)
	switch {
	case event.last, over && p.analysed:
		o.Completeness = callnormv1.Completeness_COMPLETENESS_FINAL
	case over:
		o.Completeness = callnormv1.Completeness_COMPLETENESS_SETTLING
		o.ExpectedParts = []callnormv1.Part{callnormv1.Part_PART_ANALYSIS}
		if !slices.Contains(o.GetPresentParts(), callnormv1.Part_PART_RESULT) {
			o.ExpectedParts = append(o.ExpectedParts, callnormv1.Part_PART_RESULT)
		}
	default:
		o.Completeness = callnormv1.Completeness_COMPLETENESS_PARTIAL
	}
	if p.event.text == "" {
		o.Event, o.EventMapping = kinds[o.GetCompleteness()], callnormv1.Mapping_MAPPING_HEURISTIC
	}
}

func (p *payload) setParts(over bool) {
	o := &p.call
	for _, part := range []struct {
		part callnormv1.Part
		here bool
	}{
		{callnormv1.Part_PART_RESULT, over && (o.GetStatus() != callnormv1.CallStatus_CALL_STATUS_UNSPECIFIED || o.GetEnd() != nil)},
		{callnormv1.Part_PART_TRANSCRIPT, o.GetTranscript() != nil},
		{callnormv1.Part_PART_RECORDING, len(o.GetRecordings()) > 0},
		{callnormv1.Part_PART_ANALYSIS, p.analysed},
		{callnormv1.Part_PART_COST, o.GetCost() != nil},
		{callnormv1.Part_PART_TRANSFER, p.transferred()},
	} {
		if part.here {
			o.PresentParts = append(o.GetPresentParts(), part.part)
		}
	}
}

// transferred tells whether it is known what became of a transfer.
func (p *payload) transferred() bool {
	return slices.ContainsFunc(p.call.GetTransfers(), func(t *callnormv1.Transfer) bool {
		return t.GetResult() != callnormv1.TransferResult_TRANSFER_RESULT_UNSPECIFIED &&
			t.GetResult() != callnormv1.TransferResult_TRANSFER_RESULT_STARTED || t.GetDuration() != nil
	})
}

// later returns the moment that lies a span after another.
func later(t *timestamppb.Timestamp, span *durationpb.Duration) *timestamppb.Timestamp {
	return timestamppb.New(t.AsTime().Add(span.AsDuration()))
}
