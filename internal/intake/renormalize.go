package intake

import (
	"context"
	"fmt"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/callnorm/callnorm/internal/store"
)

// Renormalize understands a kept delivery anew, with the adapter and the settings that its source has now, and says what became
// of it. It returns store.ErrNotFound, and ErrAdapterNotFound when neither the source nor the adapter that read it exists any
// more.
func (in *Intake) Renormalize(ctx context.Context, id store.DeliveryID) (store.Receipt, error) {
	delivery, err := in.Store.Delivery(ctx, id)
	if err != nil {
		return store.Receipt{}, fmt.Errorf("delivery: %w", err)
	}
	source, err := in.sourceOf(delivery)
	if err != nil {
		return store.Receipt{}, err
	}
	meaning := in.understand(source, id, delivery, headerOf(delivery.Header))
	receipt, err := meaning.keep(callnormv1.RevisionCause_REVISION_CAUSE_RENORMALIZED,
		func(contributions []store.Contribution, fold store.Fold) (store.Receipt, error) {
			state, report, err := meaning.summary()
			if err != nil {
				return store.Receipt{}, err
			}
			return in.Store.Renormalize(ctx, id, store.Understanding{
				Adapter: source.Adapter.Name(), Provider: source.Provider, State: state, Waiting: waiting(state), Report: report,
				Contributions: contributions,
			}, fold)
		})
	if err != nil {
		return store.Receipt{}, fmt.Errorf("renormalize: %w", err)
	}
	return receipt, nil
}

// sourceOf returns the source of a delivery as it is configured now. A delivery outlives its source: then what is kept with it
// says how it was read.
func (in *Intake) sourceOf(delivery store.Delivery) (Source, error) {
	if d := in.doors.Load().byName[delivery.Source]; d != nil {
		return d.Source, nil
	}
	adapter, ok := in.Adapters.ByName(delivery.Adapter)
	if !ok {
		return Source{}, in.noAdapter("delivery")
	}
	return Source{Name: delivery.Source, Adapter: adapter, Provider: delivery.Provider}, nil
}
