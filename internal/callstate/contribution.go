package callstate

import (
	"slices"
	"time"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// Deadline returns the contribution that a passed deadline is: after it, nothing more is waited for. It says nothing about the call.
func Deadline(t time.Time) *callnormv1.CallOutcome {
	return &callnormv1.CallOutcome{
		RevisionCause: callnormv1.RevisionCause_REVISION_CAUSE_SETTLED, SettleTime: timestamppb.New(t),
	}
}

func isDeadline(call *callnormv1.CallOutcome) bool {
	return call.GetRevisionCause() == callnormv1.RevisionCause_REVISION_CAUSE_SETTLED && call.GetSettleTime() != nil &&
		call.GetProvenance() == nil
}

// Adds tells whether a contribution says anything that no known one says word for word. It does not when the body is one that has
// come before and means the same: somebody who saw a delivery whose signature covers the body can send that again under another
// query as often as they like.
func Adds(known []*callnormv1.CallOutcome, one *callnormv1.CallOutcome) bool {
	return !slices.ContainsFunc(known, func(other *callnormv1.CallOutcome) bool { return repeats(other, one) })
}

func repeats(known, one *callnormv1.CallOutcome) bool {
	a, b := known.GetProvenance().GetDeliveries(), one.GetProvenance().GetDeliveries()
	sameBodies := slices.EqualFunc(a, b, func(a, b *callnormv1.DeliveryRef) bool {
		return a.GetBodySha256() != "" && a.GetBodySha256() == b.GetBodySha256()
	})
	return len(b) > 0 && sameBodies && proto.Equal(timeless(known), timeless(one))
}

// timeless returns an outcome without what tells its deliveries from others of the same body.
func timeless(call *callnormv1.CallOutcome) *callnormv1.CallOutcome {
	bare, from := &callnormv1.CallOutcome{}, &callnormv1.Provenance{}
	share(bare, call)
	share(from, call.GetProvenance())
	bare.Provenance, from.Deliveries = from, nil
	for _, ref := range call.GetProvenance().GetDeliveries() {
		ref = proto.CloneOf(ref)
		ref.Delivery, ref.Item, ref.ReceiveTime = "", 0, nil
		from.Deliveries = append(from.Deliveries, ref)
	}
	return bare
}
