package server

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/callnorm/callnorm/internal/store"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
)

const (
	defaultHeartbeat = 15 * time.Second
	// pageSize bounds what a stream holds in memory for its reader.
	pageSize = 128
	// maxOpenStreams bounds how many readers follow at a time, over gRPC and REST together.
	maxOpenStreams = 2000
	// maxAmbiguous bounds how many outcomes an ambiguous id is answered with.
	maxAmbiguous = 20
)

// outcomeReader is what OutcomeService needs of the store.
type outcomeReader interface {
	Outcome(ctx context.Context, id store.OutcomeID) (store.Entry, error)
	Lookup(ctx context.Context, query store.Query, limit int) ([]store.Entry, error)
	Read(ctx context.Context, after store.Position, filter store.Filter, limit int) (store.Page, error)
	Wait(ctx context.Context, after store.Position) error
	Head(ctx context.Context) (store.Cursor, error)
	CursorAt(ctx context.Context, t time.Time) (store.Cursor, error)
	Beginning(ctx context.Context) (store.Cursor, error)
	Resume(ctx context.Context, cursor store.Cursor) (store.Position, error)
}

// gauge counts what is going on.
type gauge interface {
	Inc()
	Dec()
}

type outcomeService struct {
	callnormv1.UnimplementedOutcomeServiceServer

	store    outcomeReader
	draining context.Context // ends when the server begins to shut down
	streams  gauge
	open     atomic.Int64
}

func (s *outcomeService) GetOutcome(ctx context.Context, r *callnormv1.GetOutcomeRequest) (*callnormv1.GetOutcomeResponse, error) {
	query := store.Query{Provider: r.GetProvider(), Source: r.GetSource()}
	switch key := r.GetKey().(type) {
	case *callnormv1.GetOutcomeRequest_Name:
		return s.byName(ctx, key.Name)
	case *callnormv1.GetOutcomeRequest_ProviderCallId:
		query.ProviderCallID = key.ProviderCallId
	case *callnormv1.GetOutcomeRequest_ExternalId:
		query.ExternalID = store.ExternalID{System: key.ExternalId.GetSystem(), ID: key.ExternalId.GetId()}
	}
	found, err := s.store.Lookup(ctx, query, maxAmbiguous)
	switch {
	case err != nil:
		return nil, err
	case len(found) == 0:
		return nil, fmt.Errorf("outcome %w under this id", store.ErrNotFound)
	case len(found) > 1:
		ambiguous := &ambiguousError{}
		for _, entry := range found {
			ambiguous.names = append(ambiguous.names, "outcomes/"+entry.Outcome.String())
		}
		return nil, ambiguous
	}
	return got(found[0])
}

func (s *outcomeService) byName(ctx context.Context, name string) (*callnormv1.GetOutcomeResponse, error) {
	id, err := store.ParseOutcomeID(strings.TrimPrefix(name, "outcomes/"))
	if err != nil {
		return nil, fmt.Errorf("outcome %w: %w", store.ErrNotFound, err)
	}
	entry, err := s.store.Outcome(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("outcome: %w", err)
	}
	return got(entry)
}

func got(entry store.Entry) (*callnormv1.GetOutcomeResponse, error) {
	outcome, err := decode(entry)
	if err != nil {
		return nil, err
	}
	return &callnormv1.GetOutcomeResponse{Outcome: outcome}, nil
}

func decode(entry store.Entry) (*callnormv1.CallOutcome, error) {
	outcome := &callnormv1.CallOutcome{}
	if err := proto.Unmarshal(entry.Body, outcome); err != nil {
		return nil, fmt.Errorf("outcome at position %d: %w", entry.Position, err)
	}
	return outcome, nil
}

// StreamOutcomes pulls from the log at the reader's pace: a reader that stalls holds one page in memory and delays nobody.
func (s *outcomeService) StreamOutcomes(r *callnormv1.StreamOutcomesRequest, stream grpc.ServerStreamingServer[callnormv1.StreamOutcomesResponse]) error {
	ctx := stream.Context()
	if s.open.Add(1) > maxOpenStreams {
		s.open.Add(-1)
		return errOverloaded
	}
	defer s.open.Add(-1)
	s.streams.Inc()
	defer s.streams.Dec()
	cursor, err := s.start(ctx, r)
	if err != nil {
		return err
	}
	position, err := s.store.Resume(ctx, cursor)
	if err != nil {
		return err
	}
	heartbeat := defaultHeartbeat
	if r.GetHeartbeatInterval() != nil {
		heartbeat = r.GetHeartbeatInterval().AsDuration()
	}
	filter := filterOf(r)
	for first := true; ; first = false {
		page, err := s.store.Read(ctx, position, filter, pageSize)
		if err != nil {
			return err
		}
		if first {
			// Where the stream begins: a reader who leaves before the first outcome can come back all the same.
			if err := tell(stream, cursor, page.End && len(page.Entries) == 0); err != nil {
				return err
			}
		}
		for i, entry := range page.Entries {
			if s.isDraining() {
				return s.farewell(stream, cursor)
			}
			outcome, err := decode(entry)
			if err != nil {
				return err
			}
			cursor = entry.Cursor
			if err := stream.Send(&callnormv1.StreamOutcomesResponse{
				Outcome: outcome, Cursor: cursor.String(), CaughtUp: page.End && i == len(page.Entries)-1,
			}); err != nil {
				return err
			}
		}
		cursor, position = page.Next, page.Next.Position
		more := !page.End
		for !more && !s.isDraining() {
			if more, err = s.wait(ctx, position, heartbeat); err != nil {
				return err
			}
			if !more && !s.isDraining() {
				if err := tell(stream, cursor, true); err != nil {
					return err
				}
			}
		}
		if s.isDraining() {
			return s.farewell(stream, cursor)
		}
	}
}

// tell sends a position without an outcome.
func tell(stream grpc.ServerStreamingServer[callnormv1.StreamOutcomesResponse], cursor store.Cursor, caughtUp bool) error {
	return stream.Send(&callnormv1.StreamOutcomesResponse{Cursor: cursor.String(), CaughtUp: caughtUp})
}

// start returns the cursor that a request begins with.
func (s *outcomeService) start(ctx context.Context, r *callnormv1.StreamOutcomesRequest) (store.Cursor, error) {
	switch start := r.GetStart().(type) {
	case *callnormv1.StreamOutcomesRequest_After:
		return store.ParseCursor(start.After)
	case *callnormv1.StreamOutcomesRequest_StartTime:
		if err := start.StartTime.CheckValid(); err != nil {
			return store.Cursor{}, fmt.Errorf("%w: start_time: %w", errRequest, err)
		}
		return s.store.CursorAt(ctx, start.StartTime.AsTime())
	case *callnormv1.StreamOutcomesRequest_StartAt:
		if start.StartAt == callnormv1.StreamStart_STREAM_START_NOW {
			return s.store.Head(ctx)
		}
	}
	return s.store.Beginning(ctx)
}

// wait returns true when there is more to read, and false when it is time for a heartbeat or for the end.
func (s *outcomeService) wait(ctx context.Context, position store.Position, heartbeat time.Duration) (bool, error) {
	waiting, cancel := context.WithTimeout(ctx, heartbeat)
	defer cancel()
	defer context.AfterFunc(s.draining, cancel)()
	err := s.store.Wait(waiting, position)
	switch {
	case err == nil:
		return true, nil
	case ctx.Err() != nil:
		return false, ctx.Err()
	case waiting.Err() != nil:
		return false, nil
	default:
		return false, err
	}
}

func (s *outcomeService) isDraining() bool {
	return s.draining.Err() != nil
}

// farewell ends a stream with its cursor when the server goes away.
func (s *outcomeService) farewell(stream grpc.ServerStreamingServer[callnormv1.StreamOutcomesResponse], cursor store.Cursor) error {
	if err := tell(stream, cursor, false); err != nil {
		return err
	}
	return errShuttingDown
}

func filterOf(r *callnormv1.StreamOutcomesRequest) store.Filter {
	filter := store.Filter{Providers: r.GetProviders(), Sources: r.GetSources()}
	for _, status := range r.GetStatuses() {
		filter.Statuses = append(filter.Statuses, int32(status))
	}
	for _, completeness := range r.GetCompletenesses() {
		filter.Completeness = append(filter.Completeness, int32(completeness))
	}
	return filter
}
