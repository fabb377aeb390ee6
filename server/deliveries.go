package server

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/callnorm/callnorm/internal/intake"
	"github.com/callnorm/callnorm/internal/store"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

const (
	defaultPage = 100
	// renormalizePage is how many deliveries are normalized again between two signs of life.
	renormalizePage = 100
)

var errPageToken = errors.New("the page token is not one of ours")

// deliveryReader is what DeliveryService needs of the store.
type deliveryReader interface {
	Delivery(ctx context.Context, id store.DeliveryID) (store.Delivery, error)
	Deliveries(ctx context.Context, filter store.DeliveryFilter, after int64, limit int) (store.DeliveryPage, error)
}

// renormalizer is what DeliveryService needs of the intake.
type renormalizer interface {
	Renormalize(ctx context.Context, id store.DeliveryID) (store.Receipt, error)
}

type deliveryService struct {
	callnormv1.UnimplementedDeliveryServiceServer

	store    deliveryReader
	intake   renormalizer
	draining context.Context // ends when the server begins to shut down
	log      *slog.Logger
}

func (s *deliveryService) ListDeliveries(ctx context.Context, r *callnormv1.ListDeliveriesRequest) (*callnormv1.ListDeliveriesResponse, error) {
	after, err := parsePageToken(r.GetPageToken())
	if err != nil {
		return nil, err
	}
	limit := cmp.Or(int(r.GetPageSize()), defaultPage)
	page, err := s.store.Deliveries(ctx, deliveryFilter(r.GetFilter()), after, limit)
	if err != nil {
		return nil, fmt.Errorf("deliveries: %w", err)
	}
	response := &callnormv1.ListDeliveriesResponse{}
	for _, kept := range page.Deliveries {
		delivery, err := deliveryOf(kept.ID, kept.Delivery, kept.BodySize)
		if err != nil {
			return nil, err
		}
		response.Deliveries = append(response.Deliveries, delivery)
	}
	if !page.End {
		response.NextPageToken = pageToken(page.Next)
	}
	return response, nil
}

func (s *deliveryService) GetDelivery(ctx context.Context, r *callnormv1.GetDeliveryRequest) (*callnormv1.GetDeliveryResponse, error) {
	id, err := deliveryID(r.GetName())
	if err != nil {
		return nil, err
	}
	kept, delivery, err := s.kept(ctx, id)
	if err != nil {
		return nil, err
	}
	delivery.Method, delivery.Path, delivery.Query, delivery.Body = kept.Method, kept.Path, kept.Query, kept.Body
	delivery.Headers = headersOf(kept.Header)
	return &callnormv1.GetDeliveryResponse{Delivery: delivery}, nil
}

// kept returns a delivery, and how it is shown without its headers and body.
func (s *deliveryService) kept(ctx context.Context, id store.DeliveryID) (store.Delivery, *callnormv1.Delivery, error) {
	kept, err := s.store.Delivery(ctx, id)
	if err != nil {
		return store.Delivery{}, nil, noDelivery(err)
	}
	shown, err := deliveryOf(id, kept, len(kept.Body))
	return kept, shown, err
}

// headersOf shows a header. What is no UTF-8 cannot be shown as it is.
func headersOf(lines []store.HeaderLine) []*callnormv1.HttpHeader {
	var headers []*callnormv1.HttpHeader
	for _, line := range lines {
		headers = append(headers, &callnormv1.HttpHeader{
			Name: strings.ToValidUTF8(line.Name, "\uFFFD"), Value: strings.ToValidUTF8(line.Value, "\uFFFD"),
		})
	}
	return headers
}

func (s *deliveryService) RenormalizeDelivery(ctx context.Context, r *callnormv1.RenormalizeDeliveryRequest) (*callnormv1.RenormalizeDeliveryResponse, error) {
	id, err := deliveryID(r.GetName())
	if err != nil {
		return nil, err
	}
	receipt, err := s.intake.Renormalize(ctx, id)
	if err != nil {
		return nil, noDelivery(err)
	}
	_, delivery, err := s.kept(ctx, id)
	if err != nil {
		return nil, err
	}
	response := &callnormv1.RenormalizeDeliveryResponse{Delivery: delivery}
	for _, outcome := range receipt.Outcomes {
		response.Outcomes = append(response.Outcomes, &callnormv1.RenormalizedOutcome{
			Name: "outcomes/" + outcome.Outcome.String(), Revision: outcome.Revision, Changed: outcome.Changed,
		})
	}
	return response, nil
}

// RenormalizeDeliveries goes through the deliveries one after the other: it shares the committer with what comes in, which
// matters more.
func (s *deliveryService) RenormalizeDeliveries(
	r *callnormv1.RenormalizeDeliveriesRequest, stream grpc.ServerStreamingServer[callnormv1.RenormalizeDeliveriesResponse],
) error {
	ctx := stream.Context()
	after, err := parsePageToken(r.GetPageToken())
	if err != nil {
		return err
	}
	so := &callnormv1.RenormalizeDeliveriesResponse{PageToken: r.GetPageToken()}
	filter := deliveryFilter(r.GetFilter())
	for !so.GetDone() {
		page, err := s.store.Deliveries(ctx, filter, after, renormalizePage)
		if err != nil {
			return fmt.Errorf("deliveries: %w", err)
		}
		for _, kept := range page.Deliveries {
			if s.draining.Err() != nil {
				return errors.Join(stream.Send(so), errShuttingDown)
			}
			if err := s.renormalize(ctx, kept.ID, so); err != nil {
				return err
			}
			so.PageToken = pageToken(kept.Seq)
		}
		after = page.Next
		so.PageToken, so.Done = pageToken(after), page.End
		if err := stream.Send(so); err != nil {
			return err
		}
	}
	return nil
}

// renormalize normalizes one of many again. Only what concerns all ends the call; what is wrong with this one is counted.
func (s *deliveryService) renormalize(ctx context.Context, id store.DeliveryID, so *callnormv1.RenormalizeDeliveriesResponse) error {
	receipt, err := s.intake.Renormalize(ctx, id)
	switch {
	case ctx.Err() != nil, errors.Is(err, store.ErrUnavailable), errors.Is(err, store.ErrClosed):
		return err
	case errors.Is(err, store.ErrNotFound): // deleted meanwhile
		return nil
	case err != nil:
		s.log.WarnContext(ctx, "a delivery could not be normalized again", "delivery", id.String(), "error", err)
		so.FailedCount++
		return nil
	}
	so.DeliveryCount++
	if intake.Waiting(receipt.State) {
		so.QuarantinedCount++
	}
	for _, outcome := range receipt.Outcomes {
		if outcome.Changed {
			so.RevisionCount++
		}
	}
	return nil
}

func deliveryFilter(filter *callnormv1.DeliveryFilter) store.DeliveryFilter {
	chosen := store.DeliveryFilter{Waiting: filter.GetQuarantined(), Sources: filter.GetSources(), Adapters: filter.GetAdapters()}
	for _, state := range filter.GetStates() {
		chosen.States = append(chosen.States, int32(state))
	}
	return chosen
}

func deliveryID(name string) (store.DeliveryID, error) {
	id, err := store.ParseDeliveryID(strings.TrimPrefix(name, "deliveries/"))
	if err != nil {
		return id, fmt.Errorf("%w: %w", errNoDelivery, err)
	}
	return id, nil
}

var errNoDelivery = errors.New("no delivery is kept under this name")

// noDelivery tells a delivery that is not there from an outcome that is not there.
func noDelivery(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return errNoDelivery
	}
	return err
}

// deliveryOf shows a delivery without its headers and body.
func deliveryOf(id store.DeliveryID, kept store.Delivery, bodySize int) (*callnormv1.Delivery, error) {
	report := &callnormv1.IngestDeliveryResponse{}
	if err := proto.Unmarshal(kept.Report, report); err != nil {
		return nil, fmt.Errorf("report of delivery %s: %w", id, err)
	}
	return &callnormv1.Delivery{
		Name: "deliveries/" + id.String(), Source: kept.Source, Adapter: kept.Adapter, Provider: kept.Provider,
		Event: kept.Event, ReceiveTime: timestamppb.New(kept.ReceiveTime), State: callnormv1.DeliveryState(kept.State),
		Faults: report.GetFaults(), Notices: report.GetNotices(), UnlistedCount: report.GetUnlistedCount(),
		VerifiedBy: kept.VerifiedBy, SignedParts: kept.Signed, BodyBytes: int64(bodySize),
	}, nil
}

// pageToken is a place in a list, for those who do not look into it.
func pageToken(place int64) string {
	return base64.RawURLEncoding.EncodeToString(binary.BigEndian.AppendUint64(nil, uint64(place)))
}

func parsePageToken(token string) (int64, error) {
	if token == "" {
		return 0, nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || len(raw) != 8 || int64(binary.BigEndian.Uint64(raw)) < 0 {
		return 0, errPageToken
	}
	return int64(binary.BigEndian.Uint64(raw)), nil
}
