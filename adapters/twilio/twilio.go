// Package twilio reads what Twilio Voice tells about calls: the status callback, the callbacks of recordings, transcriptions and
// asynchronous answering machine detection, and the request that follows a <Dial>. All of them are forms, in the body or, by GET,
// in the query. Event Streams sends the same fields as JSON, in batches of CloudEvents. SignalWire (LaML) and Telnyx (TeXML) copy
// the forms.
//
// No field names the event; the members and CallStatus tell it. Each leg of a call has an id and an outcome of its own, and the
// legs that a <Dial> made name their parent. An outcome's start_time is its end less the seconds of CallDuration.
//
// Documentation: https://www.twilio.com/docs/voice/api/call-resource#statuscallbackevent,
// https://www.twilio.com/docs/voice/api/recording, https://www.twilio.com/docs/voice/answering-machine-detection,
// https://www.twilio.com/docs/voice/twiml/dial#action and https://www.twilio.com/docs/events/event-types/voice/status-callback.
package twilio

import (
	"bytes"
	"embed"
	"io/fs"
	"strings"

	"github.com/callnorm/callnorm/adapters"
	"github.com/callnorm/callnorm/adapters/internal/wire"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
)

var (
	_ adapters.Adapter = (*Adapter)(nil)
	_ adapters.Queried = (*Adapter)(nil)
)

// Adapter reads Twilio's wire format.
type Adapter struct{}

// New returns the adapter.
func New() *Adapter { return &Adapter{} }

// Name returns "twilio".
func (*Adapter) Name() string { return "twilio" }

// Version names the mapping.
func (*Adapter) Version() string { return "1" }

// Providers lists the brand that speaks this format.
func (*Adapter) Providers() []string { return []string{"twilio"} }

// Example returns a call that has ended.
func (*Adapter) Example() string {
	return "CallSid=demo-1&CallStatus=completed&CallDuration=42&Direction=inbound&From=%2B12025550143&To=%2B12025550187"
}

//go:embed testdata/*.form testdata/*.json testdata/*.delivery
var scenarios embed.FS

// Scenarios returns what the adapter is proved with.
func (*Adapter) Scenarios() fs.FS { return scenarios }

// ReadsQuery returns true: the callback's method may be set to GET.
func (*Adapter) ReadsQuery() bool { return true }

// Normalize reads one callback, or a batch of Event Streams.
func (*Adapter) Normalize(d adapters.Delivery) (adapters.Result, error) {
	if body := bytes.TrimLeft(d.Body, "\xef\xbb\xbf \t\r\n"); len(body) > 0 && (body[0] == '{' || body[0] == '[') {
		return readJSON(d.Body)
	}
	return readForm(d)
}

// readForm reads a form in the body, or in the query where there is no body.
func readForm(d adapters.Delivery) (adapters.Result, error) {
	text, byQuery := d.Body, false
	if len(bytes.TrimSpace(text)) == 0 && d.Query != "" {
		text, byQuery = []byte(d.Query), true
	}
	p := payload{byQuery: byQuery}
	if err := wire.ReadForm(text, p.read); err != nil {
		return adapters.Result{}, err
	}
	if notice := p.notice(); notice != nil {
		return adapters.Result{Notices: []*callnormv1.Notice{notice}}, nil
	}
	if !p.tells() {
		return adapters.Result{}, &adapters.Error{
			Reason: callnormv1.FaultReason_FAULT_REASON_UNEXPECTED_SHAPE,
			Detail: "a callback of Twilio Voice has a `CallSid` and mostly a `CallStatus`; this form has neither",
		}
	}
	if !byQuery && d.Query != "" {
		p.metadata = customParameters(d.Query)
	}
	return adapters.Result{Outcomes: []adapters.Outcome{p.outcome(0)}}, nil
}

// readJSON reads a batch of events. An event without a list around it is a batch of one.
func readJSON(body []byte) (adapters.Result, error) {
	var result adapters.Result
	err := wire.Read(body, func(r *wire.Reader) {
		if r.Kind() != '[' {
			add(&result, r, 0)
			return
		}
		for i := range r.Elements() {
			add(&result, r, i)
		}
	})
	if err != nil {
		return adapters.Result{}, err
	}
	if len(result.Outcomes)+len(result.Faults)+len(result.Notices) == 0 {
		result.Notices = []*callnormv1.Notice{{Detail: "a batch without events"}}
	}
	return result, nil
}

// add reads one item of a batch. An item that cannot be read does not touch the others.
func add(result *adapters.Result, r *wire.Reader, place int) {
	path := r.Path()
	r.Fresh()
	var p payload
	if r.Kind() == '{' {
		p.readEvent(r)
	} else {
		r.Skip()
	}
	switch notice := p.notice(); {
	case notice != nil:
		notice.Item = int32(place)
		result.Notices = append(result.Notices, notice)
	case p.tells():
		result.Outcomes = append(result.Outcomes, p.outcome(place))
	case p.event != "":
		result.Faults = append(result.Faults, (&adapters.Error{
			Reason: callnormv1.FaultReason_FAULT_REASON_UNKNOWN_EVENT, Path: path,
			Detail: "the event is not known to this version, and has no fields of a status callback",
		}).ItemFault(place))
	default:
		result.Faults = append(result.Faults, (&adapters.Error{
			Reason: callnormv1.FaultReason_FAULT_REASON_UNEXPECTED_SHAPE, Path: path,
			Detail: "an event has a `type`, and `data.request.parameters` with the fields of a status callback; this item has neither",
		}).ItemFault(place))
	}
}

// notice explains what may reach the same address and tells of no call, or nothing of one that an outcome could hold.
func (p *payload) notice() *callnormv1.Notice {
	about := func(event, detail string) *callnormv1.Notice {
		return &callnormv1.Notice{EventRaw: event, Detail: detail}
	}
	switch {
	case p.callID == "" && p.message, strings.HasPrefix(p.event, "com.twilio.messaging."):
		return about(p.event, "a text message, not a call")
	case p.liveTranscription != "":
		return about(p.liveTranscription, "a piece of a live transcription; a transcript is read where it comes as a whole")
	case p.status == "" && p.conferenceEvent != "":
		return about(p.conferenceEvent, "an event of a conference or room; its calls have status callbacks of their own")
	case p.callID == "" && p.conference && p.recording.GetId() != "":
		return about(p.recording.GetStatusRaw(), "the recording of a conference, which names no call")
	default:
		return nil
	}
}

// tells says whether the payload is about a call at all.
func (p *payload) tells() bool { return p.callID != "" || p.status != "" || p.dialStatus != "" }
