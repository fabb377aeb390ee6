package intake

import (
	"errors"
	"fmt"

	"github.com/callnorm/callnorm/adapters"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/callnorm/callnorm/internal/store"
	"google.golang.org/protobuf/proto"
)

// reportOf says what became of a delivery apart from its outcomes, which the store knows.
func reportOf(result adapters.Result, err error) *callnormv1.IngestDeliveryResponse {
	report := &callnormv1.IngestDeliveryResponse{Faults: result.Faults, Notices: result.Notices}
	if fault := (*adapters.Error)(nil); errors.As(err, &fault) {
		report.Faults = []*callnormv1.Fault{fault.Fault()}
	}
	report.State = stateOf(len(result.Outcomes), len(report.GetFaults()))
	return report
}

func stateOf(outcomes, faults int) callnormv1.DeliveryState {
	switch {
	case faults > 0 && outcomes == 0:
		return callnormv1.DeliveryState_DELIVERY_STATE_QUARANTINED
	case faults > 0:
		return callnormv1.DeliveryState_DELIVERY_STATE_PARTLY_QUARANTINED
	case outcomes == 0:
		return callnormv1.DeliveryState_DELIVERY_STATE_NO_OUTCOME
	default:
		return callnormv1.DeliveryState_DELIVERY_STATE_NORMALIZED
	}
}

// maxListed bounds the faults and the notices of an answer: a batch of a megabyte may hold half a million bad items.
const maxListed = 100

// bounded returns a report that lists the first faults and notices and counts the others.
func bounded(report *callnormv1.IngestDeliveryResponse) *callnormv1.IngestDeliveryResponse {
	short := &callnormv1.IngestDeliveryResponse{State: report.GetState()}
	var faults, notices int32
	short.Faults, faults = list(report.GetFaults())
	short.Notices, notices = list(report.GetNotices())
	short.UnlistedCount = faults + notices
	return short
}

func list[E any](all []E) (listed []E, unlisted int32) {
	listed = all[:min(maxListed, len(all))]
	return listed, int32(len(all) - len(listed))
}

func responseOf(receipt store.Receipt) (*callnormv1.IngestDeliveryResponse, error) {
	response := &callnormv1.IngestDeliveryResponse{}
	if err := proto.Unmarshal(receipt.Report, response); err != nil {
		return nil, fmt.Errorf("kept report: %w", err)
	}
	response.Delivery = deliveryName(receipt.Delivery)
	response.Duplicate = &receipt.Duplicate
	if receipt.Gone {
		response.State = callnormv1.DeliveryState_DELIVERY_STATE_DELETED
	}
	for _, outcome := range receipt.Outcomes {
		response.Outcomes = append(response.Outcomes, &callnormv1.DeliveredOutcome{
			Name: outcomeName(outcome.Outcome), Revision: outcome.Revision, Duplicate: &receipt.Duplicate,
		})
	}
	return response, nil
}

func outcomeName(id store.OutcomeID) string   { return "outcomes/" + id.String() }
func deliveryName(id store.DeliveryID) string { return "deliveries/" + id.String() }
