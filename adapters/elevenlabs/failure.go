package elevenlabs

import (
	"strconv"
	"strings"
	"time"

	"github.com/callnorm/callnorm/adapters/internal/sip"
	"github.com/callnorm/callnorm/adapters/internal/wire"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// failure is what is told of a call that did not come about: a word of ElevenLabs, and what the carrier said. The two bodies, of SIP
// and of Twilio, have no name in common.
type failure struct {
	told, carrierTold bool
	reason            word
	kind              word // of the carrier
	status            word
	direction         word
	from, to          *callnormv1.Endpoint
	caller, called    word // as Twilio tells the numbers once more
	callSID           word
	accountSID        word
	sipCode           *int32
	sipStatus         string
	errorReason       string
	errorCode         string
	endTime           *timestamppb.Timestamp
	duration, billed  *durationpb.Duration
}

func (f *failure) member(r *wire.Reader, name string) {
	f.carrierTold = true
	if name == "type" {
		f.kind = readWord(r)
		return
	}
	r.Embedded(func(r *wire.Reader) {
		for name := range r.Members() {
			f.bodyMember(r, name)
		}
	})
}

func (f *failure) bodyMember(r *wire.Reader, name string) {
	switch name {
	case "from_number", "From":
		f.from = readEndpoint(r)
	case "to_number", "To":
		f.to = readEndpoint(r)
	case "Caller":
		f.caller = readWord(r)
	case "Called":
		f.called = readWord(r)
	case "call_sid", "CallSid":
		f.callSID = readWord(r)
	case "AccountSid":
		f.accountSID = readWord(r)
	case "sip_status_code", "SipResponseCode":
		f.sipCode = readSIPCode(r)
	case "sip_status":
		f.sipStatus = r.Text()
	case "error_reason", "ErrorMessage":
		f.errorReason = r.Text()
	case "twirp_code", "ErrorCode":
		f.errorCode = r.Text()
	case "CallStatus":
		f.status = readWord(r)
	case "Direction":
		f.direction = readWord(r)
	case "CallDuration": // in seconds; Duration is what is billed, in minutes
		f.duration = r.Duration(time.Second)
	case "Duration":
		f.billed = r.Duration(time.Minute)
	case "Timestamp":
		f.endTime = readMailTime(r)
	default:
		leave(r)
	}
}

// readSIPCode reads a response code of SIP. What is none is left to the reader.
func readSIPCode(r *wire.Reader) *int32 {
	const lowest, highest = 100, 699
	var code *int32
	if kind := r.Kind(); kind == '0' || kind == '"' {
		r.Peek(func(r *wire.Reader) { code = r.Int() })
	}
	if code == nil || *code < lowest || *code > highest {
		leave(r)
		return nil
	}
	r.Skip()
	return code
}

// readMailTime reads a time as mail has it, which is how Twilio writes it, or in any other form.
func readMailTime(r *wire.Reader) *timestamppb.Timestamp {
	text := ""
	if r.Kind() == '"' {
		r.Peek(func(r *wire.Reader) { text = strings.TrimSpace(r.Text()) })
	}
	t, err := time.Parse(time.RFC1123Z, text)
	if err != nil {
		return readTime(r)
	}
	r.Skip()
	return timestamppb.New(t)
}

// setFailure says what became of a call that did not come about. The documentation has the event for outbound calls only.
func (c *record) setFailure() {
	o, f := &c.call, &c.failure
	o.EndTime, o.TotalDuration, o.BilledDuration = f.endTime, f.duration, f.billed
	o.Direction, o.DirectionMapping = callnormv1.Direction_DIRECTION_OUTBOUND, callnormv1.Mapping_MAPPING_HEURISTIC
	if f.direction.text != "" {
		o.DirectionRaw = f.direction.text
		o.Direction, o.DirectionMapping = directions.Find(c.notes, f.direction.path, f.direction.text)
	}
	o.Channel, o.ChannelMapping = callnormv1.Channel_CHANNEL_PHONE, callnormv1.Mapping_MAPPING_HEURISTIC
	o.ChannelRaw = f.kind.text
	c.setFailureStatus()
	c.addExternal(carrierOf(f.kind.text, f.callSID.text), f.callSID)
	o.AccountIds = c.withID(o.GetAccountIds(), "twilio.account_sid", f.accountSID)
	f.from = c.party(f.from, f.caller)
	f.to = c.party(f.to, f.called)
	if f.errorReason != "" || f.errorCode != "" {
		o.Error = &callnormv1.CallError{Code: f.errorCode, Message: f.errorReason}
	}
}

// party returns one side of the call. Its older copy is the same unless something is wrong, and counts where it is alone.
func (c *record) party(told *callnormv1.Endpoint, older word) *callnormv1.Endpoint {
	if told == nil {
		return endpoint(older.text)
	}
	c.differs(older, told.GetPhone().GetAsReceived()+told.GetSipUri())
	return told
}

// setFailureStatus reads ElevenLabs' word first. Where it does not know why, the carrier's word and code tell the reason; the status
// stays as it is documented.
func (c *record) setFailureStatus() {
	o, f := &c.call, &c.failure
	meaning, mapping := failures.Find(c.notes, f.reason.path, f.reason.text)
	o.Status, o.StatusRaw, o.StatusMapping = meaning.status, f.reason.text, mapping
	carrier, carrierMapping := carrierStatuses.Find(c.notes, f.status.path, f.status.text)
	if f.reason.text == "" {
		o.Status, o.StatusRaw, o.StatusMapping = carrier.status, f.status.text, carrierMapping
	}
	end := &callnormv1.CallEnd{
		Reason: meaning.reason, ReasonRaw: f.reason.text, ReasonMapping: mapping, SipCode: f.sipCode, Detail: f.sipStatus,
	}
	if end.GetDetail() == "" {
		end.Detail = f.errorReason
	}
	byCode, coded := sip.Meaning{}, false
	if f.sipCode != nil {
		byCode, coded = sip.Find(*f.sipCode)
		coded = coded && byCode.Status != callnormv1.CallStatus_CALL_STATUS_COMPLETED // which tells nothing of a failure
	}
	code := ""
	if coded {
		code = strconv.Itoa(int(*f.sipCode))
	}
	undecided := meaning.reason == callnormv1.EndReason_END_REASON_UNSPECIFIED
	switch {
	case undecided && carrier.reason != callnormv1.EndReason_END_REASON_UNSPECIFIED:
		end.Reason, end.ReasonRaw, end.ReasonMapping = carrier.reason, f.status.text, carrierMapping
	case undecided && coded:
		end.Reason, end.ReasonRaw, end.ReasonMapping = byCode.Reason, code, callnormv1.Mapping_MAPPING_HEURISTIC
	}
	if f.status.text != "" && f.status.text != end.GetReasonRaw() && f.status.text != o.GetStatusRaw() {
		if undecided {
			c.notes.UnmappedText(f.status.path, f.status.text)
		} else {
			c.differs(f.status, f.reason.text)
		}
	}
	if coded && byCode.Reason == end.GetReason() {
		setEndedBy(end, byCode.By, code, o.GetDirection())
	}
	if end.GetReasonRaw() != "" || end.GetDetail() != "" || end.SipCode != nil {
		o.End = end
	}
}

// setEndedBy says who stopped a call by a code of SIP, which knows the sides only. The direction tells which of them is the contact,
// who stops a call by declining it or by talking to somebody else; a number that does not exist is nobody's doing. Ours is the
// platform's.
func setEndedBy(end *callnormv1.CallEnd, by callnormv1.EndedBy, code string, direction callnormv1.Direction) {
	outbound := direction == callnormv1.Direction_DIRECTION_OUTBOUND
	switch {
	case by == callnormv1.EndedBy_ENDED_BY_UNSPECIFIED:
		return
	case by == callnormv1.EndedBy_ENDED_BY_CALLER && outbound:
		by = callnormv1.EndedBy_ENDED_BY_SYSTEM
	case by == callnormv1.EndedBy_ENDED_BY_CALLEE && outbound:
		switch end.GetReason() {
		case callnormv1.EndReason_END_REASON_BUSY, callnormv1.EndReason_END_REASON_DECLINED, callnormv1.EndReason_END_REASON_MARKED_AS_SPAM:
			by = callnormv1.EndedBy_ENDED_BY_CUSTOMER
		}
	}
	end.EndedBy, end.EndedByRaw, end.EndedByMapping = by, code, callnormv1.Mapping_MAPPING_HEURISTIC
}
