// Package synthflow reads the post-call webhook of Synthflow and of its white labels Anunzi and Finetuner, which send one wire
// format at different ages. Nothing in the body tells the brand; the source does.
//
// Documentation: https://docs.synthflow.ai/post-call-webhook and https://docs.anunzi.ai/calls/calls/webhooks.
package synthflow

import (
	"strings"

	"github.com/callnorm/callnorm/adapters"
	"github.com/callnorm/callnorm/adapters/internal/wire"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
)

var _ adapters.Adapter = (*Adapter)(nil)

// Adapter reads Synthflow's wire format.
type Adapter struct{}

// New returns the adapter.
func New() *Adapter { return &Adapter{} }

// Name returns "synthflow".
func (*Adapter) Name() string { return "synthflow" }

// Version names the mapping.
func (*Adapter) Version() string { return "1" }

// Providers lists the brands that speak this format.
func (*Adapter) Providers() []string { return []string{"synthflow", "anunzi", "finetuner"} }

// Normalize reads one post-call webhook, or a record of the API as Get-a-call and List-calls answer it.
func (*Adapter) Normalize(d adapters.Delivery) (adapters.Result, error) {
	var body payload
	var err error
	if err = wire.Read(d.Body, body.read); err != nil {
		return adapters.Result{}, err
	}
	if detail := noOutcome(firstText(body.event, d.Event)); detail != "" {
		return adapters.Result{Notices: []*callnormv1.Notice{{EventRaw: firstText(body.event, d.Event), Detail: detail}}}, nil
	}
	if len(body.records) == 0 && !body.call.told() {
		return adapters.Result{}, body.stranger(d.Event)
	}
	var result adapters.Result
	if len(body.records) == 0 {
		body.records = []*call{&body.call}
	}
	for i, record := range body.records {
		if !record.told() {
			result.Faults = append(result.Faults, (&adapters.Error{
				Reason: callnormv1.FaultReason_FAULT_REASON_UNEXPECTED_SHAPE,
				Path:   record.path,
				Detail: "the record of the call has neither an id nor a status",
			}).ItemFault(i))
			continue
		}
		result.Outcomes = append(result.Outcomes, adapters.Outcome{
			Item: i, Family: adapters.FamilyCall, CallID: record.identity(), Call: body.outcome(record),
		})
	}
	return result, nil
}

// noOutcome explains events that reach the same address and are not about a finished call: the inbound webhook asks how to
// route a call that begins, and chat agents have a post-conversation webhook of their own.
func noOutcome(event string) string {
	switch event = strings.ToLower(event); {
	case event == "call_inbound":
		return "a routing request at the start of an inbound call; the call's outcome follows in the post-call webhook"
	case strings.HasPrefix(event, "chat"):
		return "a chat conversation, not a call"
	default:
		return ""
	}
}

// stranger says why a body without a call is not understood.
func (p *payload) stranger(pathEvent string) *adapters.Error {
	if firstText(p.event, pathEvent) != "" {
		return &adapters.Error{
			Reason: callnormv1.FaultReason_FAULT_REASON_UNKNOWN_EVENT,
			Detail: "the event is not known to this version, and the body has no call",
		}
	}
	return &adapters.Error{
		Reason: callnormv1.FaultReason_FAULT_REASON_UNEXPECTED_SHAPE,
		Detail: "a post-call webhook has a `call` object with a `call_id` and a `status`; this body has none",
	}
}

func firstText(texts ...string) string {
	for _, text := range texts {
		if text != "" {
			return text
		}
	}
	return ""
}
