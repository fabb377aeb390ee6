// Package elevenlabs reads the webhooks of ElevenLabs Agents: the report on a conversation after its analysis, the recording that
// is sent beside it, and the notice of an outbound call that could not be set up. The records of the API's Get-conversation have the
// form of the report without its envelope, and are read as well.
//
// An outcome's start_time is when the conversation began, which for an outbound call is when it began to ring. The length counts from
// there, so the end is computed from the two.
//
// Documentation: https://elevenlabs.io/docs/eleven-agents/workflows/post-call-webhooks and
// https://elevenlabs.io/docs/overview/administration/webhooks.
package elevenlabs

import (
	"bytes"
	"embed"
	"io/fs"

	"github.com/callnorm/callnorm/adapters"
	"github.com/callnorm/callnorm/adapters/internal/wire"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
)

var _ adapters.Adapter = (*Adapter)(nil)

// Adapter reads ElevenLabs' wire format.
type Adapter struct{}

// New returns the adapter.
func New() *Adapter { return &Adapter{} }

// Name returns "elevenlabs".
func (*Adapter) Name() string { return "elevenlabs" }

// Version names the mapping.
func (*Adapter) Version() string { return "1" }

// Providers lists the brand that speaks this format.
func (*Adapter) Providers() []string { return []string{"elevenlabs"} }

// Example returns a call that has ended.
func (*Adapter) Example() string {
	return `{"type":"post_call_transcription","event_timestamp":1739537319,"data":{"conversation_id":"demo-1","status":"done",` +
		`"metadata":{"start_time_unix_secs":1739537297,"call_duration_secs":22,"termination_reason":"Call ended by remote party"}}}`
}

//go:embed testdata/*.json testdata/*.delivery
var scenarios embed.FS

// Scenarios returns what the adapter is proved with.
func (*Adapter) Scenarios() fs.FS { return scenarios }

// Normalize reads one webhook, or one record of the API, which is about one conversation.
func (*Adapter) Normalize(d adapters.Delivery) (adapters.Result, error) {
	var body payload
	if err := wire.Read(d.Body, body.read); err != nil {
		return adapters.Result{}, err
	}
	if body.bare() {
		// A record of the API: it is read once more, so that its members do not count as unmapped ones of an envelope.
		body = payload{}
		if err := wire.Read(d.Body, body.readRecord); err != nil {
			return adapters.Result{}, err
		}
	}
	if body.asksForVariables() {
		return notice("", "a request for the variables of an inbound call that begins; the call's outcome follows in a webhook after it"), nil
	}
	told, known := body.tell(d.Event)
	switch {
	case !known && isForeign(told.raw):
		return notice(told.raw, "an event of the workspace that is not about a conversation"), nil
	case !known && told.raw != "":
		return adapters.Result{}, &adapters.Error{
			Reason: callnormv1.FaultReason_FAULT_REASON_UNKNOWN_EVENT, Path: body.event.path,
			Detail: "the event is not known to this version",
		}
	case !known || !body.record.fits(told.shape):
		return adapters.Result{}, stranger(d.Body)
	}
	if told.shape == shapeAudio {
		body.record.setAudio()
	}
	call := body.record.outcome(told)
	return adapters.Result{Outcomes: []adapters.Outcome{{
		Family: adapters.FamilyCall, CallID: call.GetProviderCallId(), Call: call,
	}}}, nil
}

func notice(event, detail string) adapters.Result {
	return adapters.Result{Notices: []*callnormv1.Notice{{EventRaw: event, Detail: detail}}}
}

// stranger says why a body without a conversation is not understood.
func stranger(body []byte) *adapters.Error {
	err := &adapters.Error{
		Reason: callnormv1.FaultReason_FAULT_REASON_UNEXPECTED_SHAPE,
		Detail: "an ElevenLabs webhook is an object with a `type` and a conversation in its `data`; this body is none",
	}
	for _, member := range []string{`"resourceSpans"`, `"resource_spans"`, `"scopeSpans"`, `"scope_spans"`} {
		if bytes.Contains(body, []byte(member)) {
			err.Detail = "the conversation is told as traces of OpenTelemetry, which say nothing of its outcome; " +
				"set the webhook's `transcript_format` to `json` in ElevenLabs"
		}
	}
	return err
}
