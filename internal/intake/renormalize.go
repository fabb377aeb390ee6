package intake

import (
	"context"
	"fmt"
	"slices"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/callnorm/callnorm/internal/store"
)

// Renormalize understands a kept delivery anew, with the adapter and the settings that its source has now, and says what became
// of it. It returns store.ErrNotFound, ErrSourceGone, or ErrFailsNow; then the delivery is left as it was.
func (in *Intake) Renormalize(ctx context.Context, id store.DeliveryID) (store.Receipt, error) {
	delivery, err := in.Store.Delivery(ctx, id)
	if err != nil {
		return store.Receipt{}, fmt.Errorf("delivery: %w", err)
	}
	// Without the source nobody knows in which group its calls were identified, and by which event its bodies were read.
	configured := in.doors.Load().byName[delivery.Source]
	if configured == nil {
		return store.Receipt{}, ErrSourceGone
	}
	source := configured.Source
	meaning := in.understand(source, id, delivery, headerOf(delivery.Header))
	// What was read once must not be taken back because we fail: an adapter that panics or has too little time, or a call that
	// has become too large.
	speaks := speaks(delivery.State)
	if speaks && meaning.failed() {
		return store.Receipt{}, ErrFailsNow
	}
	receipt, err := meaning.keep(callnormv1.RevisionCause_REVISION_CAUSE_RENORMALIZED,
		func(contributions []store.Contribution, fold store.Fold) (store.Receipt, error) {
			if speaks && meaning.failed() { // in the fold
				return store.Receipt{}, ErrFailsNow
			}
			state, report, err := meaning.summary()
			if err != nil {
				return store.Receipt{}, err
			}
			return in.Store.Renormalize(ctx, id, store.Understanding{
				Adapter: source.Adapter.Name(), Provider: source.Provider, State: state, Waiting: Waiting(state), Report: report,
				Contributions: contributions,
			}, fold)
		})
	if err != nil {
		return store.Receipt{}, fmt.Errorf("renormalize: %w", err)
	}
	return receipt, nil
}

// failed tells whether something could not be understood by a fault of ours.
func (m *meaning) failed() bool {
	return slices.ContainsFunc(m.report.GetFaults(), func(fault *callnormv1.Fault) bool {
		switch fault.GetReason() {
		case callnormv1.FaultReason_FAULT_REASON_ADAPTER_FAILED, callnormv1.FaultReason_FAULT_REASON_ADAPTER_TIMEOUT,
			callnormv1.FaultReason_FAULT_REASON_TOO_MANY_CONTRIBUTIONS:
			return true
		default:
			return false
		}
	})
}

// speaks tells whether a delivery in this state says something about a call.
func speaks(state int32) bool {
	switch callnormv1.DeliveryState(state) {
	case callnormv1.DeliveryState_DELIVERY_STATE_NORMALIZED, callnormv1.DeliveryState_DELIVERY_STATE_PARTLY_QUARANTINED:
		return true
	default:
		return false
	}
}
