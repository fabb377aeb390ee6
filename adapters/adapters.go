// Package adapters is the contract between callnorm and the code that understands one provider's wire format, one folder
// each. An adapter is a pure function with a name: it is given a delivery and says what that means. It knows no clock, no
// logger, no network and no other adapter, so a kept delivery can be normalized again at any time with the same result.
package adapters

import (
	"fmt"
	"io/fs"
	"net/http"
	"time"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
)

// Adapter understands one wire format.
type Adapter interface {
	// Name names the wire format, in lower-kebab case. It stands in URLs, metrics and stored data and never changes.
	Name() string
	// Version names the mapping. It changes whenever the same payload would mean something else.
	Version() string
	// Providers lists the brands that speak this format, the one that it is named after first.
	Providers() []string
	// Example returns a small body that the adapter reads as one finished call with the provider_call_id "demo-1", for people
	// who try the service out.
	Example() string
	// Scenarios holds deliveries that show what the provider sends, as package scenario reads them: for callnorm send, so that
	// the provider can be seen at work without an account.
	Scenarios() fs.FS
	// Normalize says what a delivery means. A payload that cannot be read as a whole is an *Error; single items that
	// cannot be read are faults of the result. Words that the adapter does not know never reject anything: they become
	// OTHER, and the raw word is kept. It must not keep or change the delivery, and may be called concurrently.
	Normalize(d Delivery) (Result, error)
}

// Delivery is one HTTP request of a provider.
type Delivery struct {
	// Provider names the brand, for formats that several share.
	Provider string
	// Event is the event that the path names, for formats whose bodies do not. Often empty.
	Event string
	// Query is the raw query string.
	Query string
	// Header holds the HTTP header.
	Header http.Header
	// Body holds the body byte for byte.
	Body []byte
	// ReceiveTime is when it arrived.
	ReceiveTime time.Time
}

// Result is what a delivery means. Every item of the delivery is in exactly one of the three lists.
type Result struct {
	Outcomes []Outcome
	// Faults lists items that could not be read.
	Faults []*callnormv1.Fault
	// Notices lists items that are known and tell nothing about a call.
	Notices []*callnormv1.Notice
}

// Outcome is what one item says about one call.
type Outcome struct {
	// Item is the place in the delivery, from 0.
	Item int
	// Family separates events that must not be put together although their ids may be equal, such as calls and messages.
	Family Family
	// CallID identifies the call within its family. It is empty when the payload has no id, or a placeholder.
	CallID string
	// Call holds the facts. Adapters leave name, provider, source, settle_time, provenance.deliveries and all that tells of the
	// revision alone.
	Call *callnormv1.CallOutcome
}

// Family is a kind of events whose ids share one space.
type Family string

// Families that adapters use.
const (
	FamilyCall    Family = "call"
	FamilyAttempt Family = "attempt"
	FamilyMessage Family = "message"
)

// Error says why a delivery as a whole could not be normalized.
type Error struct {
	// Reason tells who must act.
	Reason callnormv1.FaultReason
	// Path is the place in the payload, if there is one.
	Path string
	// Detail explains it to a person. It never repeats what the payload holds.
	Detail string
}

// Error returns the reason and the detail.
func (e *Error) Error() string {
	if e.Path == "" {
		return fmt.Sprintf("%s: %s", e.Reason, e.Detail)
	}
	return fmt.Sprintf("%s at %s: %s", e.Reason, e.Path, e.Detail)
}

// Fault returns the error as a fault of the whole delivery.
func (e *Error) Fault() *callnormv1.Fault {
	return &callnormv1.Fault{Reason: e.Reason, Path: e.Path, Detail: e.Detail}
}

// ItemFault returns the error as a fault of one item.
func (e *Error) ItemFault(item int) *callnormv1.Fault {
	fault, place := e.Fault(), int32(item)
	fault.Item = &place
	return fault
}
