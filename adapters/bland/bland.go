// Package bland reads the webhooks of Bland AI: the post-call webhook, which is the call itself, flat and without a name of an
// event, and the events that bring later what is made from the recording (`citations`, `post_transfer_transcript`, `evals`, ...).
//
// An outcome's create_time is when the call was asked for. Its start_time is `started_at`, which is when the call was connected by
// the documentation and equals `created_at` in all its examples; the offsets within the transcript count from there.
//
// Documentation: https://docs.bland.ai/tutorials/post-call-webhooks, https://docs.bland.ai/tutorials/warm-transfer,
// https://docs.bland.ai/tutorials/evals, https://docs.bland.ai/agents/dispositions and https://docs.bland.ai/api-v1/get/calls-id.
package bland

import (
	"cmp"
	"embed"
	"io/fs"

	"github.com/callnorm/callnorm/adapters"
	"github.com/callnorm/callnorm/adapters/internal/wire"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
)

var _ adapters.Adapter = (*Adapter)(nil)

// Adapter reads Bland's wire format.
type Adapter struct{}

// New returns the adapter.
func New() *Adapter { return &Adapter{} }

// Name returns "bland".
func (*Adapter) Name() string { return "bland" }

// Version names the mapping.
func (*Adapter) Version() string { return "1" }

// Providers lists the brand that speaks this format.
func (*Adapter) Providers() []string { return []string{"bland"} }

// Example returns a call that has ended.
func (*Adapter) Example() string {
	return `{"call_id":"demo-1","status":"completed","completed":true,"answered_by":"human","call_ended_by":"USER","corrected_duration":"42"}`
}

//go:embed testdata/*.json
var scenarios embed.FS

// Scenarios returns what the adapter is proved with.
func (*Adapter) Scenarios() fs.FS { return scenarios }

// Normalize reads one webhook, which is about one call.
func (*Adapter) Normalize(d adapters.Delivery) (adapters.Result, error) {
	var body payload
	if err := wire.Read(d.Body, body.read); err != nil {
		return adapters.Result{}, err
	}
	if notice := body.notice(); notice != nil {
		return adapters.Result{Notices: []*callnormv1.Notice{notice}}, nil
	}
	if !body.tells() {
		return adapters.Result{}, body.stranger()
	}
	call := body.outcome()
	return adapters.Result{Outcomes: []adapters.Outcome{{
		Family: adapters.FamilyCall, CallID: call.GetProviderCallId(), Call: call,
	}}}, nil
}

// notice explains what reaches the same address and tells nothing of a call's outcome.
func (p *payload) notice() *callnormv1.Notice {
	called := p.callID.text+p.cID.text != ""
	switch {
	case p.conversation.text != "" && !called:
		return &callnormv1.Notice{
			EventRaw: cmp.Or(p.event.text, p.status.text, p.channel.text),
			Detail:   "a text conversation (SMS, RCS, WhatsApp, ...), not a call",
		}
	case p.message.text != "" && p.category.text+p.logLevel.text != "" && p.event.text+p.text.text == "" &&
		p.completed == nil && !p.measured && !p.enriched && len(p.lines) == 0:
		return &callnormv1.Notice{
			EventRaw: p.category.text,
			Detail:   "a line of the log of a call that is going on; the call's outcome follows in the post-call webhook",
		}
	default:
		return nil
	}
}

// tells says whether the body is about a call at all.
func (p *payload) tells() bool {
	called := p.callID.text+p.cID.text+p.citedID.text != ""
	_, known := events[p.event.plain()]
	return called && (p.members > 0 || p.event.text != "") || known || p.completed != nil && p.status.text != ""
}

// stranger says why a body is not understood.
func (p *payload) stranger() *adapters.Error {
	if p.event.text != "" {
		return &adapters.Error{
			Reason: callnormv1.FaultReason_FAULT_REASON_UNKNOWN_EVENT, Path: p.event.path,
			Detail: "the event is not known to this version, and names no call that it belongs to",
		}
	}
	return &adapters.Error{
		Reason: callnormv1.FaultReason_FAULT_REASON_UNEXPECTED_SHAPE,
		Detail: "a post-call webhook of Bland is an object with a `call_id`, a `status` and `completed` at its top; this body is none",
	}
}
