// Package vapi reads the server messages of Vapi: `{"message": {"type": ...}}`, one type for each kind of event. The report at the
// end (`end-of-call-report`) tells all, but may never come for a call that did not start; a status-update tells of the end before it.
// A record of the API (GET /call) has the members of the report's `call` and is read as well.
//
// An outcome's start_time is Vapi's `startedAt`: when the call began, whether or not anybody had answered.
//
// Documentation: https://docs.vapi.ai/server-url/events, https://docs.vapi.ai/calls/call-ended-reason and the OpenAPI document,
// https://api.vapi.ai/api-json.
package vapi

import (
	"embed"
	"io/fs"
	"strings"

	"github.com/callnorm/callnorm/adapters"
	"github.com/callnorm/callnorm/adapters/internal/wire"
	"github.com/callnorm/callnorm/adapters/internal/words"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
)

var _ adapters.Adapter = (*Adapter)(nil)

// Adapter reads Vapi's wire format.
type Adapter struct{}

// New returns the adapter.
func New() *Adapter { return &Adapter{} }

// Name returns "vapi".
func (*Adapter) Name() string { return "vapi" }

// Version names the mapping.
func (*Adapter) Version() string { return "1" }

// Providers lists the brand that speaks this format.
func (*Adapter) Providers() []string { return []string{"vapi"} }

// Example returns the report on a call that has ended.
func (*Adapter) Example() string {
	return `{"message":{"type":"end-of-call-report","endedReason":"customer-ended-call",` +
		`"startedAt":"2026-02-02T02:40:05.000Z","endedAt":"2026-02-02T02:40:47.000Z","call":{"id":"demo-1","type":"webCall"}}}`
}

//go:embed testdata/*.json testdata/*.delivery
var scenarios embed.FS

// Scenarios returns what the adapter is proved with.
func (*Adapter) Scenarios() fs.FS { return scenarios }

// Normalize reads one server message, or one record of the API.
func (*Adapter) Normalize(d adapters.Delivery) (adapters.Result, error) {
	var body report
	if err := wire.Read(d.Body, body.read); err != nil {
		return adapters.Result{}, err
	}
	event := body.event(d.Event)
	if event.notice != "" {
		return adapters.Result{Notices: []*callnormv1.Notice{{EventRaw: event.raw, Detail: event.notice}}}, nil
	}
	if event.kind == callnormv1.EventKind_EVENT_KIND_UNSPECIFIED {
		return adapters.Result{}, body.stranger(event.raw)
	}
	call := body.outcome(event)
	return adapters.Result{Outcomes: []adapters.Outcome{{
		Family: adapters.FamilyCall, CallID: call.GetProviderCallId(), Call: call,
	}}}, nil
}

// event is what kind of event a body tells, how that was found out, and how complete an outcome is after it.
type event struct {
	kind         callnormv1.EventKind
	raw          string
	mapping      callnormv1.Mapping
	completeness callnormv1.Completeness
	notice       string // why there is no outcome
}

// What messages tell nothing of a call that lasts. Those of the live conversation come by the hundred, and all that they tell
// comes once more, in order and corrected, with the report.
const (
	live    = "a moment of the conversation; the whole of it comes with the end-of-call-report"
	request = "a question that your own server has to answer; it tells nothing of the call's outcome"
	record  = "tells of what is kept of a call, not of the call"
	chat    = "a text chat, not a call"
)

// notices holds the messages without an outcome, by their types in plain form.
var notices = map[string]string{
	"transcript":                   live,
	"conversation_update":          live,
	"speech_update":                live,
	"model_output":                 live,
	"user_interrupted":             live,
	"voice_input":                  live,
	"language_change_detected":     live,
	"assistant.speechstarted":      live,
	"hang":                         "the assistant was slow to answer; this is no hang-up, and the call goes on",
	"transfer_destination_request": request,
	"handoff_destination_request":  request,
	"knowledge_base_request":       request,
	"voice_request":                request,
	"call.endpointing.request":     request,
	"call.deleted":                 record,
	"call.delete.failed":           record,
	"call.artifact.upload":         record,
	"campaign.predial":             "a question before a campaign dials; there is no call yet",
	"chat.created":                 chat,
	"chat.deleted":                 chat,
	"session.created":              "a session of chats and calls, not a call",
	"session.updated":              "a session of chats and calls, not a call",
	"session.deleted":              "a session of chats and calls, not a call",
}

// events holds the messages that tell something of a call. A status-update tells by its status what it is about (see statuses).
var events = map[string]event{
	"end_of_call_report": {kind: callnormv1.EventKind_EVENT_KIND_CALL_REPORTED, completeness: final},
	"transfer_update":    {kind: callnormv1.EventKind_EVENT_KIND_CALL_TRANSFERRED, completeness: partial},
	"tool_calls":         {kind: callnormv1.EventKind_EVENT_KIND_CALL_PROGRESS, completeness: partial},
	"function_call":      {kind: callnormv1.EventKind_EVENT_KIND_CALL_PROGRESS, completeness: partial}, // the older tool-calls
	// Asked once, when an inbound call has arrived. If the answer is wrong, this and the end are all that is ever told.
	"assistant_request": {kind: callnormv1.EventKind_EVENT_KIND_CALL_RECEIVED, completeness: partial},
}

const (
	partial  = callnormv1.Completeness_COMPLETENESS_PARTIAL
	settling = callnormv1.Completeness_COMPLETENESS_SETTLING
	final    = callnormv1.Completeness_COMPLETENESS_FINAL
)

// event finds out what kind of event the body is. The path names it for relays that cut the type off. A body that names none is a
// record of the API, whose status tells how far the call has come, or a report by its members.
func (p *report) event(path string) event {
	raw := p.text(eventType)
	if raw == "" {
		raw = path
	}
	word := words.Plain(raw)
	status, _, knownStatus := statuses.Known(p.text(callStatus))
	told := event{raw: raw, mapping: callnormv1.Mapping_MAPPING_EXACT, completeness: partial}
	switch known, ok := events[word]; {
	case ok:
		told.kind, told.completeness = known.kind, known.completeness
	case word == "status_update":
		told.kind = callnormv1.EventKind_EVENT_KIND_CALL_PROGRESS
		if knownStatus {
			told.kind, told.completeness, told.notice = status.event, status.completeness, status.notice
		}
	case word == "phone_call_control":
		told.kind = callnormv1.EventKind_EVENT_KIND_CALL_TRANSFERRED
		if words.Plain(p.request) != "forward" {
			told.notice = "asks your own server to hang up; the end of the call is told when it has come"
		}
	case word != "":
		told.notice = notices[word]
		if strings.HasPrefix(word, "transcript[") {
			told.notice = live
		}
	case p.text(callID) != "" && p.text(callStatus) != "" && !p.enveloped:
		told.kind, told.mapping = callnormv1.EventKind_EVENT_KIND_CALL_PROGRESS, callnormv1.Mapping_MAPPING_HEURISTIC
		if knownStatus {
			told.kind, told.completeness, told.notice = status.event, status.completeness, status.notice
		}
		if told.completeness == settling {
			told.kind, told.completeness = callnormv1.EventKind_EVENT_KIND_CALL_REPORTED, final
		}
	case p.text(endedReason) != "" && p.hasArtifact:
		told.kind, told.mapping = callnormv1.EventKind_EVENT_KIND_CALL_REPORTED, callnormv1.Mapping_MAPPING_HEURISTIC
		told.completeness = final
	}
	return told
}

// stranger says why a body is not understood.
func (p *report) stranger(event string) *adapters.Error {
	switch {
	case event != "":
		return &adapters.Error{
			Reason: callnormv1.FaultReason_FAULT_REASON_UNKNOWN_EVENT, Path: p.prefix + "type",
			Detail: "the type of the message is not known to this version",
		}
	case p.enveloped:
		return &adapters.Error{
			Reason: callnormv1.FaultReason_FAULT_REASON_EVENT_NOT_TOLD, Path: "message",
			Detail: "the message has no `type`, and the webhook's path names no event",
		}
	default:
		return &adapters.Error{
			Reason: callnormv1.FaultReason_FAULT_REASON_UNEXPECTED_SHAPE,
			Detail: "a server message is an object with a `message` that has a `type`; this body is none, and no record of a call",
		}
	}
}
