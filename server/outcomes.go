package server

import (
	"context"
	"fmt"
	"strings"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/callnorm/callnorm/internal/store"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
)

// maxAmbiguous bounds how many outcomes an ambiguous id is answered with.
const maxAmbiguous = 20

// outcomeReader is what OutcomeService needs of the store.
type outcomeReader interface {
	finder
	List(ctx context.Context, filter store.ListFilter, after store.Place, limit int) (store.ListPage, error)
	Revisions(ctx context.Context, id store.OutcomeID, before int32, limit int) ([]store.Entry, error)
}

type outcomeService struct {
	callnormv1.UnimplementedOutcomeServiceServer

	store     outcomeReader
	followers *followers
}

func (s *outcomeService) GetOutcome(ctx context.Context, r *callnormv1.GetOutcomeRequest) (*callnormv1.GetOutcomeResponse, error) {
	entry, err := find(ctx, s.store, r)
	if err != nil {
		return nil, err
	}
	outcome, err := decode(entry)
	if err != nil {
		return nil, err
	}
	return &callnormv1.GetOutcomeResponse{Outcome: outcome}, nil
}

// finder is what it takes to find an outcome.
type finder interface {
	Outcome(ctx context.Context, id store.OutcomeID) (store.Entry, error)
	Lookup(ctx context.Context, query store.Query, limit int) ([]store.Entry, error)
}

// outcomeKey is a request that names an outcome in one of three ways.
type outcomeKey interface {
	GetName() string
	GetProviderCallId() string
	GetExternalId() *callnormv1.ExternalId
	GetProvider() string
	GetSource() string
}

// find returns the newest revision of the outcome that a key names.
func find(ctx context.Context, among finder, key outcomeKey) (store.Entry, error) {
	if key.GetName() != "" {
		id, err := outcomeID(key.GetName())
		if err != nil {
			return store.Entry{}, err
		}
		entry, err := among.Outcome(ctx, id)
		if err != nil {
			return store.Entry{}, fmt.Errorf("outcome: %w", err)
		}
		return entry, nil
	}
	found, err := among.Lookup(ctx, store.Query{
		ProviderCallID: key.GetProviderCallId(), ExternalID: externalID(key.GetExternalId()),
		Provider: key.GetProvider(), Source: key.GetSource(),
	}, maxAmbiguous)
	switch {
	case err != nil:
		return store.Entry{}, err
	case len(found) == 0:
		return store.Entry{}, fmt.Errorf("outcome %w under this id", store.ErrNotFound)
	case len(found) > 1:
		ambiguous := &ambiguousError{}
		for _, entry := range found {
			ambiguous.names = append(ambiguous.names, outcomeName(entry.Outcome))
		}
		return store.Entry{}, ambiguous
	}
	return found[0], nil
}

func outcomeID(name string) (store.OutcomeID, error) {
	id, err := store.ParseOutcomeID(strings.TrimPrefix(name, "outcomes/"))
	if err != nil {
		return id, fmt.Errorf("outcome %w: %w", store.ErrNotFound, err)
	}
	return id, nil
}

func outcomeName(id store.OutcomeID) string { return "outcomes/" + id.String() }

func externalID(id *callnormv1.ExternalId) store.ExternalID {
	return store.ExternalID{System: id.GetSystem(), ID: id.GetId()}
}

func decode(entry store.Entry) (*callnormv1.CallOutcome, error) {
	outcome := &callnormv1.CallOutcome{}
	if err := proto.Unmarshal(entry.Body, outcome); err != nil {
		return nil, fmt.Errorf("outcome at position %d: %w", entry.Position, err)
	}
	return outcome, nil
}

// StreamOutcomes sends what the filter passes, with cursors.
func (s *outcomeService) StreamOutcomes(r *callnormv1.StreamOutcomesRequest, stream grpc.ServerStreamingServer[callnormv1.StreamOutcomesResponse]) error {
	leave, err := s.followers.enter()
	if err != nil {
		return err
	}
	defer leave()
	chosen, err := newSelection(r.GetFilter())
	if err != nil {
		return err
	}
	cursor, err := start(stream.Context(), s.followers.log, r, chosen.store)
	if err != nil {
		return err
	}
	following := following{
		followers: s.followers, stream: stream, chosen: chosen, heartbeat: heartbeatOf(r.GetHeartbeatInterval()), cursor: cursor, mark: store.Cursor.String,
	}
	return following.follow(stream.Context())
}
