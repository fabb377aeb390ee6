// Package intake is what happens to one delivery: it is bounded, understood as far as possible, and kept. Understanding can
// never be a reason to refuse: what could not be normalized is kept as well, and waits in quarantine.
package intake

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/callnorm/callnorm/adapters"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/callnorm/callnorm/internal/callstate"
	"github.com/callnorm/callnorm/internal/store"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// Errors that callers may ask for with errors.Is.
var (
	ErrSourceNotFound  = errors.New("no such source")
	ErrSourceDisabled  = errors.New("source is disabled")
	ErrAdapterNotFound = errors.New("no such adapter")
	ErrNoAdapter       = errors.New("nothing names one adapter")
	ErrBodyTooLarge    = errors.New("body is larger than the source permits")
	// ErrNotKept says that the delivery may not have been kept and has to be sent again.
	ErrNotKept = errors.New("delivery could not be kept")
)

const (
	// answerIn is how long a provider is kept waiting. Platforms give up after 5 to 15 seconds.
	answerIn = 4 * time.Second
	// adapterIn is how long an adapter may think. It takes microseconds unless it is broken.
	adapterIn = time.Second
	// maxDepth bounds how deep a body may be nested. Real ones stay below 20.
	maxDepth = 128
	// maxContributions bounds what is put together to one call. Some signatures cover only the call id, so anybody who saw one
	// may repeat it with other bodies.
	maxContributions = 200
)

// Source is a configured door.
type Source struct {
	// Name is its place in the URL.
	Name string
	// Adapter understands what comes in.
	Adapter adapters.Adapter
	// Provider is what the outcomes are said to come from.
	Provider string
	// Event is used where neither the path nor the body tell one.
	Event string
	// Group is shared by sources that see the same calls. Outcomes are identified within it. Empty means the source alone.
	Group string
	// MaxBody is the largest body in bytes.
	MaxBody int64
	// Disabled closes the door without forgetting the source.
	Disabled bool
}

// Observer is told what happened, for metrics. It must be quick.
type Observer interface {
	Delivered(provider string, state callnormv1.DeliveryState, duplicate bool, unmapped int)
	Normalized(adapter string, took time.Duration, result adapters.Result, err error)
}

// Intake takes deliveries in.
type Intake struct {
	adapters *adapters.Set
	sources  map[string]Source
	store    store.Store
	now      func() time.Time
	observer Observer
}

// New returns an intake. Without a store it can only normalize.
func New(set *adapters.Set, sources []Source, kept store.Store, now func() time.Time, observer Observer) *Intake {
	in := &Intake{adapters: set, sources: make(map[string]Source), store: kept, now: now, observer: observer}
	for _, source := range sources {
		in.sources[source.Name] = source
	}
	return in
}

// Source returns the source of a name, ErrSourceNotFound or ErrSourceDisabled.
func (in *Intake) Source(name string) (Source, error) {
	source, ok := in.sources[name]
	switch {
	case !ok:
		// Which sources there are is nobody's business at a public door.
		return Source{}, fmt.Errorf("%w: %q; the configuration names the sources", ErrSourceNotFound, name)
	case source.Disabled:
		return Source{}, fmt.Errorf("%w: %q", ErrSourceDisabled, name)
	}
	return source, nil
}

// Request is one HTTP request of a provider.
type Request struct {
	Source, Event       string
	Method, Path, Query string
	Header              http.Header
	Body                []byte
	ReceiveTime         time.Time
}

// Deliver keeps a delivery and says what became of it. When it returns without an error, the delivery is on disk.
func (in *Intake) Deliver(ctx context.Context, request Request) (*callnormv1.IngestDeliveryResponse, error) {
	source, err := in.Source(request.Source)
	if err != nil {
		return nil, err
	}
	if int64(len(request.Body)) > source.MaxBody {
		return nil, fmt.Errorf("%w: %d bytes, %q takes %d", ErrBodyTooLarge, len(request.Body), source.Name, source.MaxBody)
	}
	key := store.NewDeliveryKey(source.Name, request.Method, request.Path, request.Query, request.Body)
	id := in.store.DeliveryID(key)
	delivery := store.Delivery{
		Key: key, Source: source.Name, Adapter: source.Adapter.Name(), Provider: source.Provider, Event: request.Event,
		Method: request.Method, Path: request.Path, Query: request.Query, Header: headerLines(request.Header),
		Body: request.Body, ReceiveTime: request.ReceiveTime,
	}
	result, err := in.normalize(source, adapters.Delivery{
		Event: request.Event, Query: request.Query, Header: request.Header, Body: request.Body, ReceiveTime: request.ReceiveTime,
	})
	report := reportOf(result, err)
	contributions, calls, faults := contributionsOf(source, key, id, request, result)
	if len(faults) > 0 {
		report.Faults = append(report.Faults, faults...)
		report.State = stateOf(len(contributions), len(report.GetFaults()))
	}

	ctx, cancel := context.WithTimeout(ctx, answerIn)
	defer cancel()
	receipt, failed, err := in.append(ctx, id, delivery, report, contributions, calls)
	for errors.Is(err, store.ErrFold) && failed != nil {
		// The items that are about another call than the one that failed go on without it.
		contributions = slices.DeleteFunc(contributions, func(c store.Contribution) bool {
			if c.Outcome != failed.outcome {
				return false
			}
			report.Faults = append(report.Faults, unfolded(failed.err).ItemFault(c.Item))
			return true
		})
		report.State = stateOf(len(contributions), len(report.GetFaults()))
		receipt, failed, err = in.append(ctx, id, delivery, report, contributions, calls)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotKept, err)
	}
	response, err := responseOf(receipt)
	if err != nil {
		return nil, err
	}
	unmapped := 0
	for _, outcome := range result.Outcomes {
		unmapped += int(outcome.Call.GetProvenance().GetUnmappedCount())
	}
	in.observer.Delivered(source.Provider, response.GetState(), receipt.Duplicate, unmapped)
	return response, nil
}

// foldFailure tells which call could not be put together.
type foldFailure struct {
	outcome store.OutcomeID
	err     error
}

func (in *Intake) append(
	ctx context.Context, id store.DeliveryID, delivery store.Delivery, report *callnormv1.IngestDeliveryResponse,
	contributions []store.Contribution, calls map[place]*callnormv1.CallOutcome,
) (store.Receipt, *foldFailure, error) {
	raw, err := proto.Marshal(bounded(report))
	if err != nil {
		return store.Receipt{}, nil, fmt.Errorf("marshal report: %w", err)
	}
	delivery.State, delivery.Report = int32(report.GetState()), raw
	failures := make(chan *foldFailure, 1) // fold may still run when Append has given up waiting
	receipt, err := in.store.Append(ctx, delivery, contributions, func(call store.Call) (store.Revision, error) {
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
		revision, failure.err = fold(call, id, calls)
		return revision, failure.err
	})
	select {
	case failure := <-failures:
		return receipt, failure, err
	default:
		return receipt, nil, err
	}
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
			Detail: fmt.Sprintf("the call has %d contributions already; the delivery is kept", maxContributions),
		}
	}
	return &adapters.Error{
		Reason: callnormv1.FaultReason_FAULT_REASON_ADAPTER_FAILED,
		Detail: "the item could not be put together with what was known of the call; it is kept and can be normalized again",
	}
}

// place is one item's contribution to one outcome.
type place struct {
	outcome store.OutcomeID
	item    int
}

// contributionsOf returns what the items say, as it is kept and as it is in memory. An item that cannot be kept that way, because
// an adapter made something of it that is no valid message, is a fault: the delivery is kept all the same.
func contributionsOf(
	source Source, key store.DeliveryKey, id store.DeliveryID, request Request, result adapters.Result,
) (contributions []store.Contribution, calls map[place]*callnormv1.CallOutcome, faults []*callnormv1.Fault) {
	if len(result.Outcomes) == 0 {
		return nil, nil, nil
	}
	sum := sha256.Sum256(request.Body)
	digest := hex.EncodeToString(sum[:])
	contributions = make([]store.Contribution, 0, len(result.Outcomes))
	calls = make(map[place]*callnormv1.CallOutcome, len(result.Outcomes))
	for _, outcome := range result.Outcomes {
		outcomeID := identify(source, key, outcome)
		call := outcome.Call
		call.Name, call.Source = outcomeName(outcomeID), source.Name
		call.Provenance.Deliveries = []*callnormv1.DeliveryRef{{
			Delivery: deliveryName(id), Item: int32(outcome.Item), ReceiveTime: timestamppb.New(request.ReceiveTime),
			BodySha256: digest, EventRaw: call.GetEventRaw(),
		}}
		body, err := proto.Marshal(call)
		if err != nil {
			faults = append(faults, unfolded(err).ItemFault(outcome.Item))
			continue
		}
		contributions = append(contributions, store.Contribution{Outcome: outcomeID, Item: outcome.Item, Body: body})
		calls[place{outcomeID, outcome.Item}] = call
	}
	return contributions, calls, faults
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

// fold is the store's view of callstate.Fold. It runs inside the commit.
func fold(call store.Call, delivery store.DeliveryID, calls map[place]*callnormv1.CallOutcome) (store.Revision, error) {
	if len(call.Contributions) > maxContributions {
		return store.Revision{}, errTooMany
	}
	parts := make([]*callnormv1.CallOutcome, len(call.Contributions))
	for i, contribution := range call.Contributions {
		if known := calls[place{call.Outcome, contribution.Item}]; known != nil && contribution.Delivery == delivery {
			parts[i] = known // as it was before it was marshalled
			continue
		}
		parts[i] = &callnormv1.CallOutcome{}
		if err := proto.Unmarshal(contribution.Body, parts[i]); err != nil {
			return store.Revision{}, fmt.Errorf("kept contribution: %w", err)
		}
	}
	outcome := callstate.Fold(parts)
	outcome.Name = outcomeName(call.Outcome)
	outcome.Revision, outcome.AfterFinal = 1, false
	if call.Current != nil {
		previous := &callnormv1.CallOutcome{}
		if err := proto.Unmarshal(call.Current.Body, previous); err != nil {
			return store.Revision{}, fmt.Errorf("kept outcome: %w", err)
		}
		outcome.Revision, outcome.RevisionCause = previous.GetRevision(), previous.GetRevisionCause()
		outcome.RevisionTime, outcome.AfterFinal = previous.GetRevisionTime(), previous.GetAfterFinal()
		if proto.Equal(previous, outcome) {
			return store.Revision{}, nil // apart from what numbers and dates it, nothing is new
		}
		outcome.Revision = call.Current.Revision + 1
		outcome.AfterFinal = previous.GetAfterFinal() || previous.GetCompleteness() == callnormv1.Completeness_COMPLETENESS_FINAL
	}
	outcome.RevisionCause = callnormv1.RevisionCause_REVISION_CAUSE_DELIVERY
	outcome.RevisionTime = timestamppb.New(call.Time)
	body, err := proto.Marshal(outcome)
	if err != nil {
		return store.Revision{}, fmt.Errorf("marshal outcome: %w", err)
	}
	keys := store.Keys{
		Provider: outcome.GetProvider(), Source: outcome.GetSource(), ProviderCallID: outcome.GetProviderCallId(),
		Status: int32(outcome.GetStatus()), Completeness: int32(outcome.GetCompleteness()),
	}
	for _, external := range outcome.GetExternalIds() {
		keys.ExternalIDs = append(keys.ExternalIDs, store.ExternalID{System: external.GetSystem(), ID: external.GetId()})
	}
	return store.Revision{Body: body, Keys: keys}, nil
}

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
	for _, outcome := range receipt.Outcomes {
		response.Outcomes = append(response.Outcomes, &callnormv1.DeliveredOutcome{
			Name: outcomeName(outcome.Outcome), Revision: outcome.Revision, Duplicate: &receipt.Duplicate,
		})
	}
	return response, nil
}

func outcomeName(id store.OutcomeID) string   { return "outcomes/" + id.String() }
func deliveryName(id store.DeliveryID) string { return "deliveries/" + id.String() }

func headerLines(header http.Header) []store.HeaderLine {
	var lines []store.HeaderLine
	for name, values := range header {
		for _, value := range values {
			lines = append(lines, store.HeaderLine{Name: name, Value: value})
		}
	}
	slices.SortStableFunc(lines, func(a, b store.HeaderLine) int { return strings.Compare(a.Name, b.Name) })
	return lines
}
