package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/callnorm/callnorm/internal/intake"
	"github.com/callnorm/callnorm/internal/rejection"
	"github.com/callnorm/callnorm/server/bounds"
	"google.golang.org/protobuf/types/known/timestamppb"
)

const (
	// heldPage is how many held requests are in memory at a time.
	heldPage = 10
	// verifyHeldFor is how long one call verifies held requests before it lets the caller ask again.
	verifyHeldFor = 20 * time.Second
)

// sourceKeeper is what SourceService needs of the intake.
type sourceKeeper interface {
	Sources() []intake.Source
	Source(name string) (intake.Source, error)
	Fingerprints(name string) []rejection.Fingerprint
	Deliver(ctx context.Context, request intake.Request) (*callnormv1.IngestDeliveryResponse, error)
}

// rejections is what SourceService needs of the book of rejections.
type rejections interface {
	Summary(source string) rejection.Summary
	Rejections(ctx context.Context, source, before string, limit int) ([]rejection.Rejection, error)
	Held(ctx context.Context, source, after string, limit int) ([]rejection.HeldRequest, error)
	Release(ctx context.Context, id string) error
	Flush(ctx context.Context) error
}

// sourceCounter counts what is kept of each source.
type sourceCounter interface {
	CountWaiting(ctx context.Context) (map[string]int, error)
	Usage(ctx context.Context) (map[string]int64, error)
	Err() error
}

type sourceService struct {
	callnormv1.UnimplementedSourceServiceServer

	intake     sourceKeeper
	rejections rejections
	store      sourceCounter
	now        func() time.Time
	trouble    func() []*callnormv1.Finding
}

func (s *sourceService) ListSources(ctx context.Context, _ *callnormv1.ListSourcesRequest) (*callnormv1.ListSourcesResponse, error) {
	sources, err := s.sources(ctx)
	if err != nil {
		return nil, err
	}
	return &callnormv1.ListSourcesResponse{Sources: sources}, nil
}

func (s *sourceService) sources(ctx context.Context) ([]*callnormv1.Source, error) {
	// What is held is counted when it is written. Where it cannot be, the rest is wanted all the more.
	_ = s.rejections.Flush(ctx)
	waiting, err := s.store.CountWaiting(ctx)
	if err != nil {
		return nil, fmt.Errorf("quarantine: %w", err)
	}
	usage, err := s.store.Usage(ctx)
	if err != nil {
		return nil, fmt.Errorf("usage: %w", err)
	}
	configured := s.intake.Sources()
	list := make([]*callnormv1.Source, len(configured))
	for i, source := range configured {
		list[i] = s.describe(source)
		list[i].QuarantinedCount, list[i].StoredBytes = int64(waiting[source.Name]), usage[source.Name]
	}
	return list, nil
}

func (s *sourceService) describe(source intake.Source) *callnormv1.Source {
	summary := s.rejections.Summary(source.Name)
	described := &callnormv1.Source{
		Source: source.Name, Adapter: source.Adapter.Name(), Provider: source.Provider, Enabled: !source.Disabled,
		AcceptedCount: summary.Accepted, AcceptTime: timestamp(summary.LastAcceptTime),
		RejectedCount: summary.Refused, RejectTime: timestamp(summary.LastRefusalTime),
		RejectionsSinceAccept: counts(summary.ByCause), RefusingSinceTime: timestamp(summary.FirstRefusalSinceAccept),
		HeldCount: summary.HeldRequests, HeldBytes: summary.HeldBytes,
		UnheldCount: summary.Unheld, EvictedCount: summary.Evicted, UnrecordedCount: summary.Dropped,
	}
	if source.Verifier != nil {
		described.VerifiedBy, described.SignedParts = source.Verifier.Name(), source.Verifier.Signed()
	}
	for _, fingerprint := range s.intake.Fingerprints(source.Name) {
		described.Secrets = append(described.Secrets, &callnormv1.SecretUse{MatchTime: timestamp(summary.MatchTimes[fingerprint])})
	}
	return described
}

// timestamp leaves out a time that never was.
func timestamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

// counts lists refusals by cause, the most frequent first.
func counts(byCause map[string]int64) []*callnormv1.RejectionCount {
	list := make([]*callnormv1.RejectionCount, 0, len(byCause))
	for _, cause := range slices.Sorted(maps.Keys(byCause)) {
		list = append(list, &callnormv1.RejectionCount{Cause: causeOf(cause), Count: byCause[cause]})
	}
	slices.SortStableFunc(list, func(a, b *callnormv1.RejectionCount) int { return int(b.GetCount() - a.GetCount()) })
	return list
}

// causeOf reads a cause as it was remembered, perhaps by another version.
func causeOf(name string) callnormv1.RejectionCause {
	if number, ok := callnormv1.RejectionCause_value[name]; ok {
		return callnormv1.RejectionCause(number)
	}
	return callnormv1.RejectionCause_REJECTION_CAUSE_OTHER
}

var addressClasses = map[rejection.Address]callnormv1.AddressClass{
	rejection.AddressLoopback: callnormv1.AddressClass_ADDRESS_CLASS_LOOPBACK,
	rejection.AddressPrivate:  callnormv1.AddressClass_ADDRESS_CLASS_PRIVATE,
	rejection.AddressPublicV4: callnormv1.AddressClass_ADDRESS_CLASS_PUBLIC_V4,
	rejection.AddressPublicV6: callnormv1.AddressClass_ADDRESS_CLASS_PUBLIC_V6,
}

func (s *sourceService) ListRejections(ctx context.Context, r *callnormv1.ListRejectionsRequest) (*callnormv1.ListRejectionsResponse, error) {
	if err := s.known(r.GetSource()); err != nil {
		return nil, err
	}
	limit := cmp.Or(int(r.GetPageSize()), defaultPage)
	found, err := s.rejections.Rejections(ctx, r.GetSource(), r.GetPageToken(), limit)
	if err != nil {
		return nil, fmt.Errorf("rejections: %w", err)
	}
	response := &callnormv1.ListRejectionsResponse{}
	for _, refused := range found {
		response.Rejections = append(response.Rejections, &callnormv1.Rejection{
			Time: timestamppb.New(refused.Time), Cause: causeOf(refused.Cause), AddressClass: addressClasses[refused.Address],
			Forwarded: refused.Forwarded, BodyBytes: refused.BodyBytes, HeaderBytes: refused.HeaderBytes, Held: refused.Held != "",
		})
	}
	if len(found) == limit {
		response.NextPageToken = found[limit-1].ID
	}
	return response, nil
}

// known returns ErrSourceNotFound for a source that is not configured. One that is switched off is.
func (s *sourceService) known(name string) error {
	if _, err := s.intake.Source(name); errors.Is(err, intake.ErrSourceNotFound) {
		return err
	}
	return nil
}

func (s *sourceService) ListHeldRequests(ctx context.Context, r *callnormv1.ListHeldRequestsRequest) (*callnormv1.ListHeldRequestsResponse, error) {
	limit := cmp.Or(int(r.GetPageSize()), heldPage)
	page, err := s.held(ctx, r.GetSource(), r.GetPageToken(), limit)
	if err != nil {
		return nil, err
	}
	response := &callnormv1.ListHeldRequestsResponse{}
	for _, held := range page {
		listed := &callnormv1.HeldRequest{Cause: causeOf(held.Cause), ReceiveTime: timestamp(held.Time), Unreadable: held.Err != nil}
		if was := held.Request; was != nil {
			listed.ReceiveTime = timestamp(was.ReceiveTime)
			listed.Method, listed.Path, listed.Query, listed.Body = was.Method, was.Path, was.Query, was.Body
			listed.Headers = headersOf(intake.HeaderLines(was.Header))
		}
		response.Requests = append(response.Requests, listed)
		response.NextPageToken = held.ID
	}
	return response, nil
}

// held returns what is held of a source. An empty page is the last.
func (s *sourceService) held(ctx context.Context, source, after string, limit int) ([]rejection.HeldRequest, error) {
	page, err := s.rejections.Held(ctx, source, after, limit)
	if err != nil {
		return nil, fmt.Errorf("held requests: %w", err)
	}
	return page, nil
}

func (s *sourceService) DiscardHeldRequests(ctx context.Context, r *callnormv1.DiscardHeldRequestsRequest) (*callnormv1.DiscardHeldRequestsResponse, error) {
	response := &callnormv1.DiscardHeldRequestsResponse{}
	for {
		page, err := s.held(ctx, r.GetSource(), "", heldPage)
		if err != nil {
			return nil, err
		}
		for _, held := range page {
			if err := s.release(ctx, held.ID); err != nil {
				return nil, err
			}
			response.DiscardedCount++
		}
		if len(page) == 0 {
			return response, nil
		}
	}
}

// release drops a held request. One that made room for another meanwhile is gone as well.
func (s *sourceService) release(ctx context.Context, id string) error {
	if err := s.rejections.Release(ctx, id); err != nil && !errors.Is(err, rejection.ErrNotFound) {
		return fmt.Errorf("held requests: %w", err)
	}
	return nil
}

func (s *sourceService) VerifyHeldRequests(ctx context.Context, r *callnormv1.VerifyHeldRequestsRequest) (*callnormv1.VerifyHeldRequestsResponse, error) {
	source, err := s.intake.Source(r.GetSource())
	if err != nil {
		return nil, err
	}
	response := &callnormv1.VerifyHeldRequestsResponse{}
	refused := make(map[string]int64)
	until, after := s.now().Add(verifyHeldFor), r.GetPageToken()
	for {
		page, err := s.held(ctx, source.Name, after, heldPage)
		if err != nil {
			return nil, err
		}
		for _, held := range page {
			after = held.ID
			if err := s.verifyHeld(ctx, source, held, response, refused); err != nil {
				return nil, err
			}
		}
		if len(page) == 0 {
			break
		}
		if s.now().After(until) {
			response.NextPageToken = after
			break
		}
	}
	response.Rejections = counts(refused)
	return response, nil
}

// verifyHeld verifies one held request again, and counts what became of it. Its error concerns all.
func (s *sourceService) verifyHeld(
	ctx context.Context, source intake.Source, held rejection.HeldRequest, response *callnormv1.VerifyHeldRequestsResponse, refused map[string]int64,
) error {
	request, ok := again(ctx, source, held.Request)
	switch {
	case held.Err != nil:
		response.UnreadableCount++
		return nil //nolint:nilerr // It is one of many, and counted.
	case !ok:
		refused[callnormv1.RejectionCause_REJECTION_CAUSE_OTHER.String()]++
		return nil
	}
	answer, err := s.intake.Deliver(ctx, request)
	notVerified := (*intake.NotVerifiedError)(nil)
	switch {
	case errors.As(err, &notVerified):
		refused[notVerified.Cause.String()]++
		return nil
	case errors.Is(err, intake.ErrBodyTooLarge):
		refused[callnormv1.RejectionCause_REJECTION_CAUSE_BODY_TOO_LARGE.String()]++
		return nil
	case err != nil:
		return err
	}
	response.AcceptedCount++
	if answer.GetDuplicate() {
		response.DuplicateCount++
	}
	return s.release(ctx, held.ID) // When that fails it is verified once more, and is a duplicate then.
}

// again makes of a held request one that comes now, with the time at which it did come. It fails for one that the source, as it is
// configured now, could never take.
func again(ctx context.Context, source intake.Source, was *rejection.Request) (intake.Request, bool) {
	if was == nil {
		return intake.Request{}, false
	}
	request, err := RequestAt(source, was.Method, was.Path, was.Query, was.Header)
	if err != nil {
		return intake.Request{}, false
	}
	request.ReceiveTime, request.Held, request.Body = was.ReceiveTime, true, was.Body
	if request.Encoded() {
		request.Wire = was.Body
		request.Body, err = bounds.Inflate(ctx, was.Body, was.Header, bounds.BodyLimits{Max: source.MaxBody, Ratio: maxRatio})
	}
	return request, err == nil
}
