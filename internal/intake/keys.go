package intake

import (
	"fmt"
	"time"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/callnorm/callnorm/internal/address"
	"github.com/callnorm/callnorm/internal/store"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// Describe returns by what an outcome, or a contribution to one, is to be found. A store of an older release asks for it.
func Describe(body []byte) (store.Keys, []string, error) {
	outcome := &callnormv1.CallOutcome{}
	if err := proto.Unmarshal(body, outcome); err != nil {
		return store.Keys{}, nil, fmt.Errorf("kept outcome: %w", err)
	}
	return keysOf(outcome), address.Of(outcome), nil
}

// keysOf returns by what an outcome is found, listed and filtered, and when it is due.
func keysOf(outcome *callnormv1.CallOutcome) store.Keys {
	keys := store.Keys{
		Provider: outcome.GetProvider(), Source: outcome.GetSource(), ProviderCallID: outcome.GetProviderCallId(),
		Status: int32(outcome.GetStatus()), Completeness: int32(outcome.GetCompleteness()),
		Disposition: int32(outcome.GetDisposition().GetValue()), DoNotCall: outcome.GetDisposition().GetDoNotCall(),
		Time: CallTime(outcome),
	}
	if outcome.GetCompleteness() == callnormv1.Completeness_COMPLETENESS_SETTLING && outcome.GetSettleTime() != nil {
		keys.Due = outcome.GetSettleTime().AsTime()
	}
	for _, external := range outcome.GetExternalIds() {
		keys.ExternalIDs = append(keys.ExternalIDs, store.ExternalID{System: external.GetSystem(), ID: external.GetId()})
	}
	return keys
}

// CallTime returns the time by which a call is listed, when it began: the first of its times that is told, those of the connection
// before those of the record. It is zero when none is.
func CallTime(outcome *callnormv1.CallOutcome) time.Time {
	for _, at := range [...]*timestamppb.Timestamp{
		outcome.GetStartTime(), outcome.GetDialTime(), outcome.GetRingTime(), outcome.GetAnswerTime(), outcome.GetCreateTime(),
		outcome.GetQueueTime(), outcome.GetEndTime(), outcome.GetEventTime(),
	} {
		if at.IsValid() {
			return at.AsTime()
		}
	}
	for _, ref := range outcome.GetProvenance().GetDeliveries() {
		if at := ref.GetReceiveTime(); at.IsValid() {
			return at.AsTime()
		}
	}
	return time.Time{}
}
