package server

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/callnorm/callnorm/internal/intake"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
)

// normalizer is what NormalizationService needs of the intake.
type normalizer interface {
	Normalize(payload intake.Payload) (*callnormv1.NormalizeResponse, error)
	Deliver(ctx context.Context, request intake.Request) (*callnormv1.IngestDeliveryResponse, error)
}

type normalizationService struct {
	callnormv1.UnimplementedNormalizationServiceServer

	intake normalizer
	now    func() time.Time
}

func (s *normalizationService) Normalize(ctx context.Context, r *callnormv1.NormalizeRequest) (*callnormv1.NormalizeResponse, error) {
	contentType := r.GetBody().GetContentType()
	if contentType == "" {
		contentType = gatewayContentType(ctx)
	}
	return s.intake.Normalize(intake.Payload{
		Source: r.GetSource(), Adapter: r.GetAdapter(), Provider: r.GetProvider(), Event: r.GetEvent(), Query: r.GetQuery(),
		Header: header(r.GetHeaders(), contentType), Body: r.GetBody().GetData(),
	})
}

func (s *normalizationService) IngestDelivery(ctx context.Context, r *callnormv1.IngestDeliveryRequest) (*callnormv1.IngestDeliveryResponse, error) {
	received := s.now()
	if r.GetReceiveTime() != nil {
		if err := r.GetReceiveTime().CheckValid(); err != nil {
			return nil, fmt.Errorf("%w: receive_time: %w", errRequest, err)
		}
		received = r.GetReceiveTime().AsTime()
	}
	request := intake.Request{
		Source: r.GetSource(), Event: r.GetEvent(), Method: http.MethodPost, Path: doorPath(r.GetSource(), r.GetEvent()),
		Query: r.GetQuery(), Header: header(r.GetHeaders(), r.GetBody().GetContentType()), Body: r.GetBody().GetData(),
		ReceiveTime: received,
	}
	request.Header.Del("Content-Encoding") // a relay hands on what was in it
	if caller, ok := peer.FromContext(ctx); ok {
		request.Address = addressOf(caller.Addr.String())
	}
	return s.intake.Deliver(ctx, request)
}

// doorPath is the path under which the door takes the same delivery, so that a relayed one and a direct one are the same.
func doorPath(source, event string) string {
	path := doorPrefix + url.PathEscape(source)
	if event != "" {
		path += "/" + url.PathEscape(event)
	}
	return path
}

func header(lines []*callnormv1.HttpHeader, contentType string) http.Header {
	h := make(http.Header, len(lines)+1)
	for _, line := range lines {
		h.Add(line.GetName(), line.GetValue())
	}
	if contentType != "" && h.Get("Content-Type") == "" {
		h.Set("Content-Type", contentType)
	}
	return h
}

// gatewayContentType returns the content type of a raw body that came in over REST.
func gatewayContentType(ctx context.Context) string {
	if values := metadata.ValueFromIncomingContext(ctx, "grpcgateway-content-type"); len(values) > 0 {
		return values[0]
	}
	return ""
}
