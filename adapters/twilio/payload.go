package twilio

import (
	"strings"
	"time"

	"github.com/callnorm/callnorm/adapters/internal/wire"
	"github.com/callnorm/callnorm/adapters/internal/words"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// payload is one callback, or one event of Event Streams.
type payload struct {
	notes   *wire.Notes
	prefix  string // of the paths of the fields
	byQuery bool   // the fields came in the query, and the customer's own parameters with them

	// What Event Streams tells around the fields.
	event          string
	eventIDs       []*callnormv1.ExternalId
	eventTime      *timestamppb.Timestamp
	streamedID     string // of the call
	streamedIDPath string

	// The fields of the callback.
	callID, parentID, accountID, sipCallID string
	status, direction                      string
	from, to                               side
	forwardedFrom, calledVia               string
	callerName, attestation                string
	time                                   *timestamppb.Timestamp
	duration, billed                       *durationpb.Duration
	sipCode                                *int32
	answeredBy, hangupSource               string
	errorCode, errorMessage                string

	recording                  *callnormv1.Recording
	channels, track            string
	dialID, dialStatus         string
	dialDuration               *durationpb.Duration
	transcript, transcriptWord string // the word is the status of the transcription

	metadata []*callnormv1.NamedValue

	// Fields of what is no call.
	message, conference                bool
	conferenceEvent, liveTranscription string
}

// side is one party as the fields tell it, which have older copies with other names.
type side struct {
	name, copyName string // of the fields
	party, copied  string
	places         []place // of the number's geography
}

// place is a part of the geography of a number, which is not that of a person.
type place struct{ name, text string }

// read reads the fields of a form.
func (p *payload) read(r *wire.Reader) {
	p.begin(r)
	for name := range r.Members() {
		p.member(r, name)
	}
}

func (p *payload) begin(r *wire.Reader) {
	p.notes = r.Notes()
	p.from.name, p.from.copyName = "From", "Caller"
	p.to.name, p.to.copyName = "To", "Called"
	if path := r.Path(); path != "" {
		p.prefix = path + "."
	}
}

// readEvent reads an event of Event Streams, a CloudEvent whose data holds the request that Twilio made of the customer. Fields of
// that request without anything around them have been parsed and handed on by somebody.
func (p *payload) readEvent(r *wire.Reader) {
	p.begin(r)
	for name := range r.Members() {
		switch name {
		case "type":
			p.event = r.Word()
		case "id":
			p.told("twilio.event_id", r.Text())
		case "data":
			for inner := range r.Members() {
				p.dataMember(r, inner)
			}
		case "time":
			if p.eventTime == nil {
				p.eventTime = r.Time(true)
			}
		case "specversion", "source", "dataschema", "datacontenttype": // the envelope's own
			r.Skip()
		default:
			p.member(r, name)
		}
	}
}

func (p *payload) dataMember(r *wire.Reader, name string) {
	switch name {
	case "sid":
		p.streamedIDPath, p.streamedID = r.Path(), r.Text()
	case "eventSid":
		p.told("twilio.event_sid", r.Text())
	case "timestamp":
		if p.eventTime == nil {
			p.eventTime = r.Time(true)
		}
	case "request":
		for inner := range r.Members() {
			switch inner {
			case "parameters":
				p.begin(r)
				for field := range r.Members() {
					p.member(r, field)
				}
			case "url", "method": // where the customer wants callbacks
				r.Skip()
			}
		}
	case "response", "requestDateCreated": // what the customer answered, and when it was asked
		r.Skip()
	}
}

// told adds an id of the notice.
func (p *payload) told(system, id string) {
	if id = wire.NotBlank(id); id != "" {
		p.eventIDs = append(p.eventIDs, &callnormv1.ExternalId{System: system, Id: id})
	}
}

// member reads one field. The reader keeps what is not read here. Twilio sends an empty text for what it does not know.
func (p *payload) member(r *wire.Reader, name string) {
	switch name {
	case "CallSid":
		p.callID = wire.NotBlank(r.Text())
	case "ParentCallSid":
		p.parentID = wire.NotBlank(r.Text())
	case "AccountSid":
		p.accountID = wire.NotBlank(r.Word())
	case "SipCallId":
		p.sipCallID = wire.NotBlank(r.Text())
	case "CallStatus":
		p.status = wire.NotBlank(r.Word())
	case "Direction":
		p.direction = wire.NotBlank(r.Word())
	case "From":
		p.from.party = wire.NotBlank(r.Text())
	case "To":
		p.to.party = wire.NotBlank(r.Text())
	case "Caller":
		p.from.copied = wire.NotBlank(r.Text())
	case "Called":
		p.to.copied = wire.NotBlank(r.Text())
	case "ForwardedFrom":
		p.forwardedFrom = wire.NotBlank(r.Text())
	case "CalledVia":
		p.calledVia = wire.NotBlank(r.Text())
	case "CallerName":
		p.callerName = wire.NotBlank(r.Text())
	case "StirVerstat":
		p.attestation = wire.NotBlank(r.Word())
	case "Timestamp":
		p.time = r.Time(true)
	case "CallDuration":
		p.duration = r.Duration(time.Second)
	case "Duration": // billed, and rounded up
		p.billed = r.Duration(time.Minute)
	case "SipResponseCode":
		p.sipCode = r.Int()
	case "AnsweredBy":
		p.answeredBy = wire.NotBlank(r.Word())
	case "HangupSource":
		p.hangupSource = wire.NotBlank(r.Word())
	case "ErrorCode":
		p.errorCode = wire.NotBlank(r.Text())
	case "ErrorMessage":
		p.errorMessage = wire.NotBlank(r.Text())
	case "CallbackSource":
		if source := wire.NotBlank(r.Word()); source != "" && source != "call-progress-events" {
			p.notes.UnmappedText(r.Path(), source)
		}
	case "ApiVersion", "SequenceNumber": // the notice's own: its format, and its place among those of the leg
		r.Skip()
	case "CallToken": // lets who has it place a call in the caller's name
		r.Skip()
	default:
		p.otherMember(r, name)
	}
}

// otherMember reads a field that not every callback may have.
func (p *payload) otherMember(r *wire.Reader, name string) {
	switch name {
	case "RecordingSid":
		p.recorded().Id = wire.NotBlank(r.Text())
	case "RecordingUrl":
		p.recorded().Uri = wire.NotBlank(r.Text())
	case "RecordingStatus":
		p.recorded().StatusRaw = wire.NotBlank(r.Word())
	case "RecordingDuration":
		p.recorded().Duration = r.Duration(time.Second)
	case "RecordingStartTime":
		p.recorded().StartTime = r.Time(true)
	case "RecordingChannels":
		p.channels = wire.NotBlank(r.Word())
	case "RecordingTrack":
		p.track = wire.NotBlank(r.Word())
	case "DialCallSid":
		p.dialID = wire.NotBlank(r.Text())
	case "DialCallStatus":
		p.dialStatus = wire.NotBlank(r.Word())
	case "DialCallDuration":
		p.dialDuration = r.Duration(time.Second)
	case "TranscriptionText":
		p.transcript = wire.NotBlank(r.Text())
	case "TranscriptionStatus":
		p.transcriptWord = wire.NotBlank(r.Word())
	case "MessageSid", "SmsSid":
		p.message = true
	case "ConferenceSid":
		p.conference = true
	case "StatusCallbackEvent":
		r.Peek(func(r *wire.Reader) { p.conferenceEvent = wire.NotBlank(r.Word()) })
	case "TranscriptionEvent":
		r.Peek(func(r *wire.Reader) { p.liveTranscription = wire.NotBlank(r.Word()) })
	default:
		switch side := p.sideOf(name); {
		case side != nil:
			side.readPlace(r, name)
		case p.byQuery && words.Credential(name):
			r.Skip()
		case p.byQuery && name != "" && name[0] >= 'a' && name[0] <= 'z': // as no field of Twilio's begins
			p.metadata = append(p.metadata, r.NamedValue(name))
		}
	}
}

func (p *payload) recorded() *callnormv1.Recording {
	if p.recording == nil {
		p.recording = &callnormv1.Recording{}
	}
	return p.recording
}

// sideOf returns the side whose geography a field is a part of, if it is one.
func (p *payload) sideOf(name string) *side {
	for _, s := range []*side{&p.from, &p.to} {
		for _, of := range []string{s.name, s.copyName} {
			switch rest, ok := strings.CutPrefix(name, of); {
			case !ok:
			case rest == "City", rest == "State", rest == "Zip", rest == "Country":
				return s
			}
		}
	}
	return nil
}

func (s *side) readPlace(r *wire.Reader, name string) {
	if text := wire.NotBlank(r.Text()); text != "" {
		s.places = append(s.places, place{name: name, text: text})
	}
}

// at returns the path of a field.
func (p *payload) at(name string) string { return p.prefix + name }

// customParameters reads the query of a callback's address. Customers put there what they want back with the call.
func customParameters(query string) []*callnormv1.NamedValue {
	var list []*callnormv1.NamedValue
	_ = wire.ReadForm([]byte(query), func(r *wire.Reader) { // a query that is no form says nothing
		for name := range r.Members() {
			if !words.Credential(name) {
				list = append(list, r.NamedValue(name))
			}
		}
	})
	return list
}
