// Package retell reads the webhook of Retell AI. One call delivers several times: when it begins, while it is going on where the
// agent asks for that, when it ends (call_ended, which has all but the analysis), and when its analysis is done (call_analyzed,
// which repeats all and is the last word). A call that never connected delivers the last two only.
//
// An outcome's start_time is `start_timestamp`, from when the call is connected, and its total_duration `duration_ms`, the time that
// the agent was part of it. What goes on between the contact and the target of a transfer is the transfer's duration.
//
// Documentation: https://docs.retellai.com/features/webhook-overview, https://docs.retellai.com/api-references/get-call and
// https://docs.retellai.com/reliability/debug-call-disconnect for the reasons of disconnection.
package retell

import (
	"cmp"
	"embed"
	"io/fs"
	"strings"

	"github.com/callnorm/callnorm/adapters"
	"github.com/callnorm/callnorm/adapters/internal/wire"
	"github.com/callnorm/callnorm/adapters/internal/words"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
)

var _ adapters.Adapter = (*Adapter)(nil)

// Adapter reads Retell's wire format.
type Adapter struct{}

// New returns the adapter.
func New() *Adapter { return &Adapter{} }

// Name returns "retell".
func (*Adapter) Name() string { return "retell" }

// Version names the mapping.
func (*Adapter) Version() string { return "1" }

// Providers lists the brands that speak this format.
func (*Adapter) Providers() []string { return []string{"retell"} }

// Example returns a call that was analyzed.
func (*Adapter) Example() string {
	return `{"event":"call_analyzed","call":{"call_id":"demo-1","call_status":"ended","disconnection_reason":"user_hangup",` +
		`"duration_ms":42000,"call_analysis":{"call_successful":true}}}`
}

//go:embed testdata/*.json testdata/*.delivery
var scenarios embed.FS

// Scenarios returns what the adapter is proved with.
func (*Adapter) Scenarios() fs.FS { return scenarios }

// Normalize reads one webhook, or a record of the API as Get Call answers it.
func (*Adapter) Normalize(d adapters.Delivery) (adapters.Result, error) {
	body := &payload{}
	if err := wire.Read(d.Body, body.read); err != nil {
		return adapters.Result{}, err
	}
	byPath := strings.ToValidUTF8(strings.TrimSpace(d.Event), "\uFFFD") // as the path had it, which anybody may call
	if notice := body.notice(cmp.Or(body.event.text, byPath)); notice != nil {
		return adapters.Result{Notices: []*callnormv1.Notice{notice}}, nil
	}
	// What is no webhook as documented is read once more: what stands beside a call is no part of it, and in a record of the API it is.
	var err error
	switch {
	case !body.told:
		body = &payload{}
		err = wire.Read(d.Body, body.readRecord)
	case body.beside:
		body = &payload{keeping: true}
		err = wire.Read(d.Body, body.read)
	}
	if err != nil {
		return adapters.Result{}, err
	}
	body.event.text = cmp.Or(body.event.text, byPath)
	if !body.told {
		return adapters.Result{}, body.stranger()
	}
	if body.event.text == "" && body.status.text == "" {
		return adapters.Result{}, &adapters.Error{
			Reason: callnormv1.FaultReason_FAULT_REASON_EVENT_NOT_TOLD,
			Detail: "neither the body nor the webhook's path names the event, and the call has no `call_status` to go by",
		}
	}
	call := body.outcome()
	return adapters.Result{Outcomes: []adapters.Outcome{{
		Family: adapters.FamilyCall, CallID: call.GetProviderCallId(), Call: call,
	}}}, nil
}

// notice explains what reaches the same address and tells nothing of a call's outcome: chats, and two kinds of requests that wait
// for an answer of their own.
func (p *payload) notice(word string) *callnormv1.Notice {
	var detail string
	switch event := words.Plain(word); {
	case strings.HasPrefix(event, "chat_"), p.chat && !p.told:
		detail = "a chat, not a call"
	case event == "call_inbound", p.inbound && !p.told:
		detail = "a question how to route an incoming call, which Retell wants answered; the call's outcome follows in call_ended and call_analyzed"
	case event == "" && p.function:
		detail = "a request to a custom function during a call, which Retell wants answered; the call's outcome follows in call_ended and call_analyzed"
	default:
		return nil
	}
	return &callnormv1.Notice{EventRaw: word, Detail: detail}
}

// stranger says why a body without a call is not understood.
func (p *payload) stranger() *adapters.Error {
	if _, _, known := events.Known(p.event.text); p.event.text != "" && !known {
		return &adapters.Error{
			Reason: callnormv1.FaultReason_FAULT_REASON_UNKNOWN_EVENT, Path: p.event.path,
			Detail: "the event is not known to this version, and the body has no call",
		}
	}
	return &adapters.Error{
		Reason: callnormv1.FaultReason_FAULT_REASON_UNEXPECTED_SHAPE,
		Detail: "a Retell webhook is an object with an `event` and a `call` that has a `call_id`; this body is none",
	}
}
