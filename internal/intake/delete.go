package intake

import (
	"context"
	"errors"
	"fmt"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/callnorm/callnorm/internal/address"
	"github.com/callnorm/callnorm/internal/store"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// deletePage is how many calls or deliveries are looked at together when some of them are deleted.
const deletePage = 100

// DeleteCall deletes all that is known of a call, and tells how much that was, or only would be. It returns store.ErrNotFound when
// there is no such call, and store.ErrTracesLeft when it is deleted but not overwritten everywhere.
func (in *Intake) DeleteCall(ctx context.Context, id store.OutcomeID, validateOnly bool) (store.Removed, error) {
	if validateOnly {
		entry, err := in.Store.Outcome(ctx, id)
		if err != nil || entry.Deleted {
			return store.Removed{}, err
		}
		deliveries := make(map[store.DeliveryID]bool)
		return in.count(ctx, entry, deliveries)
	}
	removed, err := in.Store.Delete(ctx, id, deleted)
	if err != nil {
		return store.Removed{}, fmt.Errorf("delete: %w", err)
	}
	// Also when nothing was to be done: the time before, it may have ended in front of this.
	return removed, in.Store.Scrub(ctx)
}

// DeleteContact deletes every call that speaks of an address, in the form of address.Parse, and every delivery that mentions it and
// made no call, and tells how much that was, or only would be. What was deleted before an error stays deleted. The errors are those of
// DeleteCall.
func (in *Intake) DeleteContact(ctx context.Context, of string, validateOnly bool) (store.Removed, error) {
	var total store.Removed
	deliveries := make(map[store.DeliveryID]bool)
	for place, end := (store.Place{}), false; !end; {
		page, err := in.Store.List(ctx, store.ListFilter{Address: of}, place, deletePage)
		if err != nil {
			return total, fmt.Errorf("delete: %w", err)
		}
		for _, entry := range page.Entries {
			var removed store.Removed
			if validateOnly {
				removed, err = in.count(ctx, entry, deliveries)
			} else {
				removed, err = in.Store.Delete(ctx, entry.Outcome, deleted)
			}
			if err != nil && !errors.Is(err, store.ErrNotFound) { // Somebody else may have deleted it meanwhile.
				return total, fmt.Errorf("delete: %w", err)
			}
			total.Add(removed)
		}
		place, end = page.Next, page.End
	}
	silent, err := in.deleteSilent(ctx, of, validateOnly)
	if total.Deliveries += silent; err != nil {
		return total, err
	}
	if validateOnly {
		return total, nil
	}
	return total, in.Store.Scrub(ctx)
}

// count tells how much deleting an outcome would delete. It counts no delivery that is counted already.
func (in *Intake) count(ctx context.Context, entry store.Entry, counted map[store.DeliveryID]bool) (store.Removed, error) {
	removed := store.Removed{Outcomes: 1, Revisions: int64(entry.Revision)}
	contributions, err := in.Store.Contributions(ctx, entry.Outcome)
	if err != nil {
		return store.Removed{}, err
	}
	for _, contribution := range contributions {
		id := contribution.Delivery
		if id == (store.DeliveryID{}) || counted[id] {
			continue
		}
		switch _, err := in.Store.Delivery(ctx, id); {
		case errors.Is(err, store.ErrNotFound):
			continue
		case err != nil:
			return store.Removed{}, err
		}
		counted[id] = true
		removed.Deliveries++
	}
	return removed, nil
}

// deleteSilent deletes the deliveries that no call leads to, because they made none or waits for it, and that mention an address.
func (in *Intake) deleteSilent(ctx context.Context, of string, validateOnly bool) (deleted int64, err error) {
	for after, end := int64(0), false; !end; {
		page, err := in.Store.Deliveries(ctx, store.DeliveryFilter{Silent: true}, after, deletePage)
		if err != nil {
			return deleted, fmt.Errorf("delete: %w", err)
		}
		var found []store.DeliveryID
		for _, kept := range page.Deliveries {
			delivery, err := in.Store.Delivery(ctx, kept.ID)
			if errors.Is(err, store.ErrNotFound) {
				continue
			}
			if err != nil {
				return deleted, fmt.Errorf("delete: %w", err)
			}
			if mentions(delivery, of) {
				found = append(found, kept.ID)
			}
		}
		if validateOnly {
			deleted += int64(len(found))
		} else {
			removed, err := in.Store.Forget(ctx, found...)
			if deleted += removed.Deliveries; err != nil {
				return deleted, fmt.Errorf("delete: %w", err)
			}
		}
		after, end = page.Next, page.End
	}
	return deleted, nil
}

// mentions tells whether an address stands anywhere in a delivery.
func mentions(delivery store.Delivery, of string) bool {
	for _, text := range []string{delivery.Path, delivery.Query, delivery.Event} {
		if address.Mentioned(of, []byte(text)) {
			return true
		}
	}
	for _, line := range delivery.Header {
		if address.Mentioned(of, []byte(line.Value)) {
			return true
		}
	}
	return address.Mentioned(of, delivery.Body)
}

// deleted is the fold that leaves nothing.
func deleted(call store.Call) (store.Revision, error) {
	previous := &callnormv1.CallOutcome{}
	if err := proto.Unmarshal(call.Current.Body, previous); err != nil {
		return store.Revision{}, fmt.Errorf("kept outcome: %w", err)
	}
	outcome := &callnormv1.CallOutcome{
		Name: outcomeName(call.Outcome), Provider: previous.GetProvider(), Source: previous.GetSource(),
		Revision: call.Current.Revision + 1, RevisionCause: callnormv1.RevisionCause_REVISION_CAUSE_DELETED,
		RevisionTime: timestamppb.New(call.Time),
	}
	body, err := proto.Marshal(outcome)
	if err != nil {
		return store.Revision{}, err
	}
	return store.Revision{Body: body, Keys: store.Keys{Provider: outcome.GetProvider(), Source: outcome.GetSource()}}, nil
}
