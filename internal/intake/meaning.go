package intake

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/callnorm/callnorm/adapters"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/callnorm/callnorm/internal/address"
	"github.com/callnorm/callnorm/internal/callstate"
	"github.com/callnorm/callnorm/internal/signature"
	"github.com/callnorm/callnorm/internal/store"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// meaning is what a delivery means: what it says about calls, and what is reported of it.
type meaning struct {
	source        Source
	id            store.DeliveryID
	report        *callnormv1.IngestDeliveryResponse
	contributions []store.Contribution
	calls         map[place]*callnormv1.CallOutcome
	unmapped      int
}

// place is one item's contribution to one outcome.
type place struct {
	outcome store.OutcomeID
	item    int
}

// understand says what a delivery means. It never fails: what cannot be understood is a fault of the report.
func (in *Intake) understand(source Source, id store.DeliveryID, delivery store.Delivery, header http.Header) *meaning {
	result, err := in.normalize(source, adapters.Delivery{
		Event: delivery.Event, Query: delivery.Query, Header: header, Body: delivery.Body, ReceiveTime: delivery.ReceiveTime,
	})
	m := &meaning{source: source, id: id, report: reportOf(result, err)}
	if len(result.Outcomes) == 0 {
		return m
	}
	sum := sha256.Sum256(delivery.Body)
	name, bodySum, at := deliveryName(id), hex.EncodeToString(sum[:]), timestamppb.New(delivery.ReceiveTime)
	m.contributions = make([]store.Contribution, 0, len(result.Outcomes))
	m.calls = make(map[place]*callnormv1.CallOutcome, len(result.Outcomes))
	for _, outcome := range result.Outcomes {
		m.unmapped += int(outcome.Call.GetProvenance().GetUnmappedCount())
		m.contribute(identify(source, delivery.Key, outcome), outcome, &callnormv1.DeliveryRef{
			Delivery: name, ReceiveTime: at, BodySha256: bodySum,
			VerifiedBy: delivery.VerifiedBy, SignedParts: delivery.Signed, AdapterVersion: source.Adapter.Version(),
		})
	}
	m.report.State = stateOf(len(m.contributions), len(m.report.GetFaults()))
	return m
}

// contribute adds what one item says. An item that cannot be kept, because an adapter made something of it that is no valid
// message, is a fault: the delivery is kept all the same. The reference to the delivery becomes the item's.
func (m *meaning) contribute(id store.OutcomeID, outcome adapters.Outcome, from *callnormv1.DeliveryRef) {
	call := outcome.Call
	call.Name, call.Source = outcomeName(id), m.source.Name
	addresses := address.Of(call) // also of one that is redacted, so that it can be deleted by them
	m.source.redact(call)
	from.Item, from.EventRaw = int32(outcome.Item), call.GetEventRaw()
	call.Provenance.Deliveries = []*callnormv1.DeliveryRef{from}
	if parts := from.GetSignedParts(); len(parts) > 0 && !signature.CoverBody(parts) {
		call.Provenance.Warnings = append(call.Provenance.Warnings, &callnormv1.Warning{
			Kind:    callnormv1.WarningKind_WARNING_KIND_BODY_NOT_SIGNED,
			Message: "the signature covers only " + strings.Join(parts, " and ") + "; whoever saw it once may have sent the rest",
		})
	}
	call, body, err := callstate.Marshal(call)
	if err != nil {
		m.report.Faults = append(m.report.Faults, unfolded(err).ItemFault(outcome.Item))
		return
	}
	m.contributions = append(m.contributions, store.Contribution{Outcome: id, Item: outcome.Item, Body: body, Addresses: addresses})
	m.calls[place{id, outcome.Item}] = call
}

// identify names the outcome that an item is about. Without a usable id it is about nothing but itself.
func identify(source Source, key store.DeliveryKey, outcome adapters.Outcome) store.OutcomeID {
	if outcome.CallID == "" {
		return store.NewOutcomeID("item", string(key[:]), strconv.Itoa(outcome.Item))
	}
	group := source.Group
	if group == "" {
		group = source.Name
	}
	return store.NewOutcomeID("call", group, string(outcome.Family), outcome.CallID)
}

// keep hands the contributions and their fold to write, as often as it takes: when a call cannot be put together, the items that
// are about other calls go on without it.
func (m *meaning) keep(
	cause callnormv1.RevisionCause, write func([]store.Contribution, store.Fold) (store.Receipt, error),
) (store.Receipt, error) {
	for {
		failures := make(chan *foldFailure, 1) // fold may still run when write has given up waiting
		receipt, err := write(m.contributions, func(call store.Call) (store.Revision, error) {
			failure := &foldFailure{outcome: call.Outcome, err: errFoldPanicked}
			defer func() {
				if failure.err != nil {
					select {
					case failures <- failure:
					default:
					}
				}
			}()
			var revision store.Revision
			revision, failure.err = folding{cause: cause, settleAfter: m.source.SettleAfter, own: m.own}.fold(call)
			return revision, failure.err
		})
		if err == nil || !errors.Is(err, store.ErrFold) {
			return receipt, err
		}
		select {
		case failure := <-failures:
			if !m.drop(failure) {
				return receipt, err
			}
		default:
			return receipt, err
		}
	}
}

// foldFailure tells which call could not be put together.
type foldFailure struct {
	outcome store.OutcomeID
	err     error
}

// own returns what the delivery says in a contribution, as it was before it was marshalled.
func (m *meaning) own(c store.KeptContribution) *callnormv1.CallOutcome {
	if c.Delivery != m.id {
		return nil
	}
	return m.calls[place{c.Outcome, c.Item}]
}

// drop takes a call out that could not be put together, and reports its items. It returns false when there are none: then the
// failure is not this delivery's.
func (m *meaning) drop(failure *foldFailure) bool {
	before := len(m.contributions)
	m.contributions = slices.DeleteFunc(slices.Clone(m.contributions), func(c store.Contribution) bool {
		if c.Outcome != failure.outcome {
			return false
		}
		m.report.Faults = append(m.report.Faults, unfolded(failure.err).ItemFault(c.Item))
		return true
	})
	m.report.State = stateOf(len(m.contributions), len(m.report.GetFaults()))
	return len(m.contributions) < before
}

var (
	errTooMany      = errors.New("too many contributions")
	errFoldPanicked = errors.New("panic")
)

// unfolded reports an item that could be read but not be put together with what was known of its call, or not be kept at all.
func unfolded(err error) *adapters.Error {
	if errors.Is(err, errTooMany) {
		return &adapters.Error{
			Reason: callnormv1.FaultReason_FAULT_REASON_TOO_MANY_CONTRIBUTIONS,
			Detail: fmt.Sprintf("the call would have more than %d contributions, or %d MiB of them; the delivery is kept",
				maxContributions, maxContributionBytes>>20),
		}
	}
	return &adapters.Error{
		Reason: callnormv1.FaultReason_FAULT_REASON_ADAPTER_FAILED,
		Detail: "the item could not be put together with what was known of the call; it is kept and can be normalized again",
	}
}

// summary returns what is kept of the report.
func (m *meaning) summary() (state int32, report []byte, err error) {
	if report, err = proto.Marshal(bounded(m.report)); err != nil {
		return 0, nil, fmt.Errorf("marshal report: %w", err)
	}
	return int32(m.report.GetState()), report, nil
}

// Waiting tells whether something of a delivery in this state waits in quarantine.
func Waiting(state int32) bool {
	switch callnormv1.DeliveryState(state) {
	case callnormv1.DeliveryState_DELIVERY_STATE_QUARANTINED, callnormv1.DeliveryState_DELIVERY_STATE_PARTLY_QUARANTINED:
		return true
	default:
		return false
	}
}
