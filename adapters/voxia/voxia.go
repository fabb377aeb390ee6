// Package voxia reads the call webhook of Voxia and of its white labels. One call delivers several times, once for each event
// that its campaign selected (DIALING ... POST_PROCESSING_FINISHED:INTERESTED); no delivery says when its event happened.
//
// Documentation: https://docs.voxia.ai/documentation/webhook/webhook-overview, and https://docs.voxia.ai/api/webhook for the
// older version, which has no events and tells all in one delivery after the call.
package voxia

import (
	"bytes"
	"embed"
	"errors"
	"io/fs"

	"github.com/callnorm/callnorm/adapters"
	"github.com/callnorm/callnorm/adapters/internal/wire"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
)

var _ adapters.Adapter = (*Adapter)(nil)

// Adapter reads Voxia's wire format.
type Adapter struct{}

// New returns the adapter.
func New() *Adapter { return &Adapter{} }

// Name returns "voxia".
func (*Adapter) Name() string { return "voxia" }

// Version names the mapping.
func (*Adapter) Version() string { return "1" }

// Providers lists the brands that speak this format.
func (*Adapter) Providers() []string { return []string{"voxia"} }

// Example returns a call that has ended.
func (*Adapter) Example() string {
	return `{"id":"demo-1","callStatus":"COMPLETED","postProcessStatus":"INTERESTED","duration":42}`
}

//go:embed testdata/*.json
var scenarios embed.FS

// Scenarios returns what the adapter is proved with.
func (*Adapter) Scenarios() fs.FS { return scenarios }

// Normalize reads one webhook, which is about one call.
func (*Adapter) Normalize(d adapters.Delivery) (adapters.Result, error) {
	var body payload
	if err := wire.Read(d.Body, body.read); err != nil {
		return adapters.Result{}, explain(err, d.Body)
	}
	if !body.told() {
		return adapters.Result{}, &adapters.Error{
			Reason: callnormv1.FaultReason_FAULT_REASON_UNEXPECTED_SHAPE,
			Detail: "a Voxia webhook is an object with an `id` and a `callStatus`, `status` or `webhookEvent` at its top; this body is none",
		}
	}
	call := body.outcome()
	return adapters.Result{Outcomes: []adapters.Outcome{{
		Family: adapters.FamilyCall, CallID: call.GetProviderCallId(), Call: call,
	}}}, nil
}

// explain helps who tries the example of Voxia's documentation. It has `"order": new NumberInt("1")`, the notation of a
// database shell; a webhook has the number itself.
func explain(err error, body []byte) error {
	known := (*adapters.Error)(nil)
	if errors.As(err, &known) && known.Reason == callnormv1.FaultReason_FAULT_REASON_MALFORMED && bytes.Contains(body, []byte("new NumberInt(")) {
		known.Detail += "; `new NumberInt(\"1\")` stands for 1 in Voxia's documentation and is not JSON"
	}
	return err
}
