// Package curiousthing reads the webhook of Curious Thing: batches of five kinds of events. The documentation shows one of
// them, CallComplete, in an envelope that names the event. It shows the other four bare, without a name or an id; what they
// are is told by the path of the webhook, or else by their members.
//
// An outcome's start_time is the `startedTime` of a result, and the `time` of an attempt or of an incoming call. No event
// tells an end or a length.
//
// Documentation: https://api.curiousthing.io/webhook_events.
package curiousthing

import (
	"embed"
	"io/fs"
	"strings"

	"github.com/callnorm/callnorm/adapters"
	"github.com/callnorm/callnorm/adapters/internal/wire"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
)

var _ adapters.Adapter = (*Adapter)(nil)

// Adapter reads Curious Thing's wire format.
type Adapter struct{}

// New returns the adapter.
func New() *Adapter { return &Adapter{} }

// Name returns "curious-thing".
func (*Adapter) Name() string { return "curious-thing" }

// Version names the mapping.
func (*Adapter) Version() string { return "1" }

// Providers lists the brand that speaks this format.
func (*Adapter) Providers() []string { return []string{"curious-thing"} }

// Example returns a call that has ended.
func (*Adapter) Example() string {
	return `[{"id":"notice-1","eventType":"CallComplete","data":{"sessionId":"demo-1","status":"Complete"}}]`
}

//go:embed testdata/*.json testdata/*.delivery testdata/*.md
var scenarios embed.FS

// Scenarios returns what the adapter is proved with.
func (*Adapter) Scenarios() fs.FS { return scenarios }

// Normalize reads a batch of events. An event without a list around it is a batch of one.
func (*Adapter) Normalize(d adapters.Delivery) (adapters.Result, error) {
	var result adapters.Result
	known := true
	err := wire.Read(d.Body, func(r *wire.Reader) {
		switch r.Kind() {
		case '[':
			for i := range r.Elements() {
				add(&result, r, i, d.Event)
			}
		case '{':
			add(&result, r, 0, d.Event)
		default:
			known = false
		}
	})
	switch {
	case err != nil:
		return adapters.Result{}, err
	case !known:
		return adapters.Result{}, &adapters.Error{
			Reason: callnormv1.FaultReason_FAULT_REASON_UNEXPECTED_SHAPE, Detail: "a batch is a list of events; this body is none",
		}
	case len(result.Outcomes)+len(result.Faults) == 0:
		// There is nothing in it that a later version could read, so it does not belong into quarantine.
		result.Notices = []*callnormv1.Notice{{EventRaw: d.Event, Detail: "a batch without events"}}
	}
	return result, nil
}

// add reads one item. An item that cannot be read does not touch the others.
func add(result *adapters.Result, r *wire.Reader, place int, pathEvent string) {
	it := &item{path: r.Path(), notes: r.Fresh(), parts: &parts{}}
	if r.Kind() != '{' {
		r.Skip()
		result.Faults = append(result.Faults, it.unexpected("an event is an object; this item is none").ItemFault(place))
		return
	}
	it.read(r)
	told, err := it.tell(pathEvent)
	if err != nil {
		result.Faults = append(result.Faults, err.ItemFault(place))
		return
	}
	outcome := it.outcome(told)
	outcome.Item = place
	result.Outcomes = append(result.Outcomes, outcome)
}

// events holds the documented names of events in the form that squash returns.
var events = map[string]callnormv1.EventKind{
	"callcomplete":  callnormv1.EventKind_EVENT_KIND_CALL_REPORTED,
	"callattempted": callnormv1.EventKind_EVENT_KIND_CALL_ATTEMPTED,
	"callreceived":  callnormv1.EventKind_EVENT_KIND_CALL_RECEIVED,
	"smssent":       callnormv1.EventKind_EVENT_KIND_MESSAGE_SENT,
	"smsreceived":   callnormv1.EventKind_EVENT_KIND_MESSAGE_RECEIVED,
}

// squash drops what separates words: a path may spell SMSSent as sms-sent or sms_sent.
func squash(word string) string {
	return separators.Replace(strings.ToLower(word))
}

var separators = strings.NewReplacer("-", "", "_", "", " ", "")

// event is what kind of event an item is, and how that was found out.
type event struct {
	kind    callnormv1.EventKind
	raw     string
	mapping callnormv1.Mapping
}

// tell finds out what kind of event the item is. The envelope's word goes before the path's, which somebody configured, and
// members that belong to one kind only go before either.
func (it *item) tell(pathEvent string) (event, *adapters.Error) {
	word, pathWord := squash(it.eventType.text), squash(pathEvent)
	named := event{kind: events[word], raw: it.eventType.text, mapping: callnormv1.Mapping_MAPPING_EXACT}
	byPath := events[pathWord]
	teller := it.eventType
	switch {
	case word == "":
		named.kind, named.raw, teller = byPath, pathEvent, field{}
		if byPath == 0 && pathWord != "" {
			it.notes.Warn(callnormv1.WarningKind_WARNING_KIND_UNKNOWN_WORD, "", "the event that the webhook's path names is not known to this version")
		}
	case named.kind == 0:
		return event{}, &adapters.Error{
			Reason: callnormv1.FaultReason_FAULT_REASON_UNKNOWN_EVENT, Path: teller.path(), Detail: "the event is not known to this version",
		}
	case byPath != 0 && byPath != named.kind:
		it.notes.Warn(callnormv1.WarningKind_WARNING_KIND_CONTRADICTION, teller.path(), "the webhook's path names another event; the envelope counts")
	}
	shape := it.shape(named.kind != 0)
	switch {
	case it.count == 0:
		return event{}, it.unexpected("the item has no member of a documented event")
	case named.kind == 0 && shape == 0:
		return event{}, &adapters.Error{
			Reason: callnormv1.FaultReason_FAULT_REASON_EVENT_NOT_TOLD, Path: it.path,
			Detail: "neither an envelope nor the webhook's path names a known event, and the members fit none or several",
		}
	case named.kind == 0:
		return event{kind: shape, mapping: callnormv1.Mapping_MAPPING_HEURISTIC}, nil
	case shape == 0, shape == named.kind, shape == callnormv1.EventKind_EVENT_KIND_MESSAGE_EXCHANGED && isMessage(named.kind):
		return named, nil
	default:
		it.notes.Warn(callnormv1.WarningKind_WARNING_KIND_CONTRADICTION, teller.path(), "the members are those of another event than the one named; they count")
		return event{kind: shape, raw: it.eventType.text, mapping: callnormv1.Mapping_MAPPING_HEURISTIC}, nil
	}
}

// shape tells the kind of event from the members alone, if they fit exactly one. SMSSent and SMSReceived have the same. An event of
// any kind may tell of its session: that makes it a result only where it is not named and nothing else fits.
func (it *item) shape(named bool) callnormv1.EventKind {
	shape := callnormv1.EventKind_EVENT_KIND_UNSPECIFIED
	for _, of := range []struct {
		kind callnormv1.EventKind
		fits bool
	}{
		{callnormv1.EventKind_EVENT_KIND_CALL_REPORTED, it.has("callResultId") || it.has("flow") || it.has("startedTime")},
		{callnormv1.EventKind_EVENT_KIND_CALL_ATTEMPTED, it.has("status") && it.has("time")},
		{callnormv1.EventKind_EVENT_KIND_CALL_RECEIVED, it.has("type")},
		{callnormv1.EventKind_EVENT_KIND_MESSAGE_EXCHANGED, it.has("message") && (it.has("from") || it.has("to"))},
	} {
		switch {
		case of.fits && shape != 0:
			return callnormv1.EventKind_EVENT_KIND_UNSPECIFIED
		case of.fits:
			shape = of.kind
		}
	}
	if shape == 0 && !named && it.has("sessionId") {
		return callnormv1.EventKind_EVENT_KIND_CALL_REPORTED
	}
	return shape
}

func (it *item) unexpected(detail string) *adapters.Error {
	return &adapters.Error{Reason: callnormv1.FaultReason_FAULT_REASON_UNEXPECTED_SHAPE, Path: it.path, Detail: detail}
}

func isMessage(kind callnormv1.EventKind) bool {
	return kind == callnormv1.EventKind_EVENT_KIND_MESSAGE_SENT || kind == callnormv1.EventKind_EVENT_KIND_MESSAGE_RECEIVED ||
		kind == callnormv1.EventKind_EVENT_KIND_MESSAGE_EXCHANGED
}
