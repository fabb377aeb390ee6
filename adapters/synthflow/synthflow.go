// Package synthflow reads the post-call webhook of Synthflow and of its white labels Anunzi and Finetuner, which send one wire
// format at different ages. Nothing in the body tells the brand; the source does.
//
// Documentation: https://docs.synthflow.ai/post-call-webhook and https://docs.anunzi.ai/calls/calls/webhooks.
package synthflow

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

// Example returns a call that has ended.
func (*Adapter) Example() string {
	return `{"call":{"call_id":"demo-1","status":"completed","end_call_reason":"human_goodbye","duration":42}}`
}

//go:embed testdata/*.json testdata/*.delivery
var scenarios embed.FS

// Scenarios returns what the adapter is proved with.
func (*Adapter) Scenarios() fs.FS { return scenarios }

// Normalize reads one post-call webhook, or a record of the API as Get-a-call and List-calls answer it.
func (*Adapter) Normalize(d adapters.Delivery) (adapters.Result, error) {
	body := payloads.Get().(*payload) //nolint:forcetypeassert // nothing else is put in
	defer body.release()
	if err := wire.Read(d.Body, body.read); err != nil {
		return adapters.Result{}, err
	}
	if twice := body.report.twice; twice != nil {
		// What the call tells counts, though it stood beside the call before. It is read once more without that.
		body.report = report{twice: twice}
		if err := wire.Read(d.Body, body.read); err != nil {
			return adapters.Result{}, err
		}
	}
	event := cmp.Or(body.event, d.Event)
	if notice := body.notice(event); notice != nil {
		return adapters.Result{Notices: []*callnormv1.Notice{notice}}, nil
	}
	records := []*report{&body.report}
	if body.answer && !body.report.tells() {
		// It is read once more, so that what stands around the records is not taken for a part of one.
		if err := wire.Read(d.Body, body.readAnswer); err != nil {
			return adapters.Result{}, err
		}
		if body.listed && len(body.records) == 0 {
			return adapters.Result{Notices: []*callnormv1.Notice{{Detail: "an answer of the API that lists no call"}}}, nil
		}
		records = body.records
	}
	if len(records) == 0 || len(body.records) == 0 && !body.report.tells() {
		return adapters.Result{}, stranger(event)
	}
	var result adapters.Result
	for i, record := range records {
		if !record.tells() {
			result.Faults = append(result.Faults, (&adapters.Error{
				Reason: callnormv1.FaultReason_FAULT_REASON_UNEXPECTED_SHAPE,
				Path:   strings.TrimSuffix(record.prefix, "."),
				Detail: "the record of the call has neither an id nor a status",
			}).ItemFault(i))
			continue
		}
		call := record.outcome(body.event)
		result.Outcomes = append(result.Outcomes, adapters.Outcome{
			Item: i, Family: adapters.FamilyCall, CallID: call.GetProviderCallId(), Call: call,
		})
	}
	return result, nil
}

// notice explains events that reach the same address and are not about a finished call: the inbound webhook asks how to route
// a call that begins, and chat agents have a post-conversation webhook of their own.
func (p *payload) notice(event string) *callnormv1.Notice {
	switch word := words.Plain(event); {
	case word == "call_inbound", p.inbound && !p.report.tells():
		return &callnormv1.Notice{
			EventRaw: event,
			Detail:   "a routing request at the start of an inbound call; the call's outcome follows in the post-call webhook",
		}
	case strings.HasPrefix(word, "chat"), p.chat && !p.report.tells():
		return &callnormv1.Notice{EventRaw: event, Detail: "a chat conversation, not a call"}
	default:
		return nil
	}
}

// stranger says why a body without a call is not understood.
func stranger(event string) *adapters.Error {
	if event != "" {
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
