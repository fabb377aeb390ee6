package intake

import (
	"cmp"
	"fmt"
	"time"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/callnorm/callnorm/internal/callstate"
	"github.com/callnorm/callnorm/internal/store"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// folding is the store's view of callstate.Fold.
type folding struct {
	cause callnormv1.RevisionCause
	// always makes a revision also when it says what the one before says.
	always bool
	// settleAfter is how long a call that has ended waits for more; DefaultSettleAfter where it is zero.
	settleAfter time.Duration
	// own returns what a contribution says where that is known without unmarshalling it, or nil.
	own func(store.KeptContribution) *callnormv1.CallOutcome
}

// Renew makes a revision of what is kept of a call, in any case: of the newest one that was made, nothing is left.
func Renew(call store.Call) (store.Revision, error) {
	return folding{cause: callnormv1.RevisionCause_REVISION_CAUSE_RENORMALIZED, always: true}.fold(call)
}

// fold turns all contributions to a call into its next revision. It runs inside the commit.
func (f folding) fold(call store.Call) (store.Revision, error) {
	if err := bounds(call.Contributions); err != nil {
		return store.Revision{}, err
	}
	parts, err := f.parts(call.Contributions)
	if err != nil {
		return store.Revision{}, err
	}
	if f.redundant(call.Contributions, parts) {
		return store.Revision{Redundant: true}, nil
	}
	var previous *callnormv1.CallOutcome // nil says nothing
	if call.Current != nil {
		previous = &callnormv1.CallOutcome{}
		if err := proto.Unmarshal(call.Current.Body, previous); err != nil {
			return store.Revision{}, fmt.Errorf("kept outcome: %w", err)
		}
	}
	outcome := callstate.Fold(parts)
	if len(parts) == 0 {
		// Renormalizing took the last one: nothing is left but where it came from.
		outcome = &callnormv1.CallOutcome{Provider: previous.GetProvider(), Source: previous.GetSource()}
	}
	outcome.Name = outcomeName(call.Outcome)
	outcome.Revision, outcome.AfterFinal = 1, false
	settling := outcome.GetCompleteness() == callnormv1.Completeness_COMPLETENESS_SETTLING
	if settling {
		outcome.SettleTime = previous.GetSettleTime()
	}
	if call.Current != nil {
		outcome.Revision, outcome.RevisionCause = previous.GetRevision(), previous.GetRevisionCause()
		outcome.RevisionTime, outcome.AfterFinal = previous.GetRevisionTime(), previous.GetAfterFinal()
		if !f.always && same(previous, outcome, f.cause) {
			return store.Revision{}, nil // apart from what numbers and dates it, nothing is new
		}
		outcome.Revision = call.Current.Revision + 1
		outcome.AfterFinal = previous.GetAfterFinal() || previous.GetCompleteness() == callnormv1.Completeness_COMPLETENESS_FINAL
	}
	if settling && (outcome.GetSettleTime() == nil || f.cause == callnormv1.RevisionCause_REVISION_CAUSE_DELIVERY) {
		outcome.SettleTime = timestamppb.New(call.Time.Add(cmp.Or(f.settleAfter, DefaultSettleAfter))) // Who has just told something may tell more.
	}
	outcome.RevisionCause = f.cause
	outcome.RevisionTime = timestamppb.New(call.Time)
	body, err := encode(outcome, call.Contributions, parts)
	if err != nil {
		return store.Revision{}, fmt.Errorf("marshal outcome: %w", err)
	}
	return store.Revision{Body: body, Keys: keysOf(outcome)}, nil
}

// encode encodes a revision. What one contribution says alone, and most calls are told by one, is encoded already, but for what numbers
// and dates the revision: fields may stand in any order.
func encode(outcome *callnormv1.CallOutcome, contributions []store.KeptContribution, parts []*callnormv1.CallOutcome) ([]byte, error) {
	if len(parts) != 1 || parts[0].GetName() != outcome.GetName() { // a deadline alone has no name
		return proto.Marshal(outcome)
	}
	said := contributions[0].Body
	body := append(make([]byte, 0, len(said)+stampSize), said...)
	return proto.MarshalOptions{}.MarshalAppend(body, &callnormv1.CallOutcome{
		Revision: outcome.GetRevision(), RevisionCause: outcome.GetRevisionCause(), RevisionTime: outcome.GetRevisionTime(),
		AfterFinal: outcome.GetAfterFinal(), SettleTime: outcome.GetSettleTime(),
	})
}

// stampSize is about how many bytes number and date a revision.
const stampSize = 64

// bounds keeps a call from becoming more than can be put together. Deadlines are few, and no stranger makes them.
func bounds(contributions []store.KeptContribution) error {
	number, size := 0, 0
	for _, contribution := range contributions {
		if contribution.Delivery != (store.DeliveryID{}) {
			number++
		}
		size += len(contribution.Body)
	}
	if number > maxContributions || size > maxContributionBytes {
		return errTooMany
	}
	return nil
}

// parts returns what contributions say.
func (f folding) parts(contributions []store.KeptContribution) ([]*callnormv1.CallOutcome, error) {
	parts := make([]*callnormv1.CallOutcome, len(contributions))
	for i, contribution := range contributions {
		if f.own != nil {
			parts[i] = f.own(contribution)
		}
		if parts[i] != nil {
			continue
		}
		parts[i] = &callnormv1.CallOutcome{}
		if err := proto.Unmarshal(contribution.Body, parts[i]); err != nil {
			return nil, fmt.Errorf("kept contribution: %w", err)
		}
	}
	return parts, nil
}

// redundant tells whether a delivery says nothing that another one did not say word for word: somebody has sent a copy of its body
// under another address. It would only fill the call.
func (f folding) redundant(contributions []store.KeptContribution, parts []*callnormv1.CallOutcome) bool {
	if f.cause != callnormv1.RevisionCause_REVISION_CAUSE_DELIVERY {
		return false
	}
	// The new ones come last, and are of one delivery.
	first := len(contributions)
	for first > 0 && contributions[first-1].Delivery == contributions[len(contributions)-1].Delivery {
		first--
	}
	if first == 0 {
		return false
	}
	for _, part := range parts[first:] {
		if callstate.Adds(parts[:first], part) {
			return false
		}
	}
	return true
}

// same tells whether an outcome says what it said before. That another version of an adapter says the same is no news.
func same(previous, outcome *callnormv1.CallOutcome, cause callnormv1.RevisionCause) bool {
	if proto.Equal(previous, outcome) {
		return true
	}
	if cause != callnormv1.RevisionCause_REVISION_CAUSE_RENORMALIZED {
		return false
	}
	return proto.Equal(unversioned(previous), unversioned(outcome))
}

func unversioned(outcome *callnormv1.CallOutcome) *callnormv1.CallOutcome {
	clone := proto.CloneOf(outcome)
	if clone.GetProvenance() == nil {
		return clone
	}
	clone.Provenance.AdapterVersion = ""
	for _, ref := range clone.GetProvenance().GetDeliveries() {
		ref.AdapterVersion = ""
	}
	return clone
}
