package callstate

import (
	"cmp"
	"slices"
	"strings"
	"time"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
)

// voice is one contribution with what decides how much its word counts.
type voice struct {
	call    *callnormv1.CallOutcome
	ref     *callnormv1.DeliveryRef
	stage   int
	over    bool      // it tells that the call is over
	timed   bool      // it has an event time
	time    time.Time // the event time
	derived []string
}

func newVoice(call *callnormv1.CallOutcome) *voice {
	v := &voice{
		call: call, stage: stages[call.GetEvent()], over: isOver(call),
		timed: call.GetEventTime() != nil, derived: call.GetProvenance().GetDerivedFields(),
	}
	if v.timed {
		v.time = call.GetEventTime().AsTime()
	}
	if refs := call.GetProvenance().GetDeliveries(); len(refs) > 0 {
		v.ref = refs[0]
	}
	return v
}

// stages order the notices of one call where no event time does.
var stages = map[callnormv1.EventKind]int{
	callnormv1.EventKind_EVENT_KIND_CALL_SCHEDULED:   1,
	callnormv1.EventKind_EVENT_KIND_CALL_ATTEMPTED:   2,
	callnormv1.EventKind_EVENT_KIND_CALL_RECEIVED:    2,
	callnormv1.EventKind_EVENT_KIND_CALL_STARTED:     3,
	callnormv1.EventKind_EVENT_KIND_CALL_CONNECTED:   4,
	callnormv1.EventKind_EVENT_KIND_CALL_PROGRESS:    5,
	callnormv1.EventKind_EVENT_KIND_CALL_TRANSFERRED: 6,
	callnormv1.EventKind_EVENT_KIND_CALL_ENDED:       7,
	callnormv1.EventKind_EVENT_KIND_TRANSFER_ENDED:   8,
	callnormv1.EventKind_EVENT_KIND_RECORDING_READY:  8,
	callnormv1.EventKind_EVENT_KIND_CALL_REPORTED:    9,
}

// isOver tells whether a contribution says that the call is over: by its status, or by how complete it is where its status does not
// say the contrary.
func isOver(call *callnormv1.CallOutcome) bool {
	switch call.GetStatus() {
	case callnormv1.CallStatus_CALL_STATUS_QUEUED, callnormv1.CallStatus_CALL_STATUS_INITIATED,
		callnormv1.CallStatus_CALL_STATUS_RINGING, callnormv1.CallStatus_CALL_STATUS_IN_PROGRESS,
		callnormv1.CallStatus_CALL_STATUS_PAUSED:
		return false
	case callnormv1.CallStatus_CALL_STATUS_UNSPECIFIED, callnormv1.CallStatus_CALL_STATUS_OTHER:
		return call.GetCompleteness() >= callnormv1.Completeness_COMPLETENESS_SETTLING
	default:
		return true
	}
}

// compare orders whole contributions: how far the call had come, then when, then any order that does not depend on arrival.
func (v *voice) compare(other *voice) int {
	if c := v.compareStage(other); c != 0 {
		return c
	}
	if c := v.compareTime(other); c != 0 {
		return c
	}
	return cmp.Or(
		strings.Compare(v.ref.GetBodySha256(), other.ref.GetBodySha256()),
		strings.Compare(v.ref.GetDelivery(), other.ref.GetDelivery()),
		cmp.Compare(v.ref.GetItem(), other.ref.GetItem()),
	)
}

func (v *voice) compareStage(other *voice) int {
	return cmp.Or(
		cmp.Compare(v.call.GetCompleteness(), other.call.GetCompleteness()),
		cmp.Compare(v.stage, other.stage),
	)
}

// ownStage names the fields for which compareStageOf is not compareStage.
var ownStage = map[string]bool{status: true, totalDuration: true, transcript: true}

const (
	status        = "status"
	totalDuration = "total_duration"
	transcript    = "transcript"
)

// compareStageOf is compareStage, but for three fields. A status that tells of the end counts before one that does not: a report may
// be behind the call that it is about. And what only the end of a transfer can tell: a report on the agent's part of the call may
// have been made while the transferred part was still going on. A corrected transcript counts, whatever notice brought it: it takes
// time, and comes by itself. One of a later part counts where there is no other; otherwise it follows that (see continueTranscript).
func (v *voice) compareStageOf(path string, other *voice) int {
	switch path {
	case status:
		if c := compareBool(v.over, other.over); c != 0 {
			return c
		}
	case totalDuration:
		if c := compareBool(v.endsTransfer(), other.endsTransfer()); c != 0 {
			return c
		}
	case transcript:
		mine, theirs := v.call.GetTranscript(), other.call.GetTranscript()
		if c := compareBool(!mine.GetContinuation(), !theirs.GetContinuation()); c != 0 {
			return c
		}
		if c := compareBool(mine.GetCorrected(), theirs.GetCorrected()); c != 0 {
			return c
		}
	}
	return v.compareStage(other)
}

// endsTransfer tells whether a contribution tells of the end of a transfer, after which nothing of the call goes on.
func (v *voice) endsTransfer() bool {
	return v.call.GetEvent() == callnormv1.EventKind_EVENT_KIND_TRANSFER_ENDED &&
		v.call.GetCompleteness() >= callnormv1.Completeness_COMPLETENESS_SETTLING
}

// compareTime goes by the event time. Where none decides, what has a corrected transcript was told later: that takes time.
func (v *voice) compareTime(other *voice) int {
	if c := compareBool(v.timed, other.timed); c != 0 {
		return c
	}
	return cmp.Or(
		v.time.Compare(other.time),
		compareBool(v.call.GetTranscript().GetCorrected(), other.call.GetTranscript().GetCorrected()),
	)
}

// derives tells whether a field, or what it is a part of, was computed from others.
func (v *voice) derives(path string) bool {
	return slices.ContainsFunc(v.derived, func(field string) bool { return field == path || below(path, field) })
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	default:
		return -1
	}
}
