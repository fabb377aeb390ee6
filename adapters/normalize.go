package adapters

import (
	"errors"
	"fmt"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
)

// Normalize calls an adapter, and stamps its outcomes with what every outcome says about its making. An adapter that panics or
// fails in a way of its own has failed: that is an *Error, too.
func Normalize(adapter Adapter, d Delivery) (result Result, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			result, err = Result{}, failed(adapter, fmt.Sprintf("%T", cause))
		}
	}()
	result, err = adapter.Normalize(d)
	if err != nil {
		if known := (*Error)(nil); !errors.As(err, &known) {
			err = failed(adapter, "error")
		}
		return Result{}, err
	}
	for _, outcome := range result.Outcomes {
		outcome.Call.Provider = d.Provider
		if outcome.Call.GetProvenance() == nil {
			outcome.Call.Provenance = &callnormv1.Provenance{}
		}
		outcome.Call.Provenance.Adapter = adapter.Name()
		outcome.Call.Provenance.AdapterVersion = adapter.Version()
	}
	return result, nil
}

// failed does not repeat the cause, which may quote the payload.
func failed(adapter Adapter, kind string) *Error {
	return &Error{
		Reason: callnormv1.FaultReason_FAULT_REASON_ADAPTER_FAILED,
		Detail: fmt.Sprintf("adapter %s %s failed (%s); the delivery is kept and can be normalized again", adapter.Name(), adapter.Version(), kind),
	}
}
