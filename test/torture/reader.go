package main

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

var seed = maphash.MakeSeed()

// hash makes a cursor short enough to keep a million of them.
func hash(text string) uint64 { return maphash.String(seed, text) }

// message is one of a stream.
type message struct {
	entry // without a revision, when it tells only a position

	cursor     string
	deliveries []id // that the outcome is made of
	caughtUp   bool
}

func newMessage(m *callnormv1.StreamOutcomesResponse) (message, error) {
	told := message{cursor: m.GetCursor(), caughtUp: m.GetCaughtUp(), entry: entry{cursor: hash(m.GetCursor())}}
	outcome := m.GetOutcome()
	if outcome == nil {
		return told, nil
	}
	bytes, err := proto.MarshalOptions{Deterministic: true}.Marshal(outcome)
	if err != nil {
		return told, err
	}
	told.body = maphash.Bytes(seed, bytes)
	told.number = outcome.GetRevision()
	if told.outcome, err = parseID(outcomes, outcome.GetName()); err != nil {
		return told, err
	}
	for _, ref := range outcome.GetProvenance().GetDeliveries() {
		one, err := parseID(deliveries, ref.GetDelivery())
		if err != nil {
			return told, err
		}
		told.deliveries = append(told.deliveries, one)
	}
	return told, nil
}

// follow hands on what comes behind a cursor, or from the beginning without one, until take returns false or the stream ends.
func follow(ctx context.Context, s *service, after string, take func(message) bool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	request := &callnormv1.StreamOutcomesRequest{}
	if after != "" {
		request.Start = &callnormv1.StreamOutcomesRequest_After{After: after}
	}
	stream, err := callnormv1.NewOutcomeServiceClient(s.conn).StreamOutcomes(ctx, request)
	if err != nil {
		return err
	}
	for {
		m, err := stream.Recv()
		if err != nil {
			return err
		}
		told, err := newMessage(m)
		if err != nil {
			return err
		}
		if !take(told) {
			return nil
		}
	}
}

// reader follows the log, and comes back after each fault with the last cursor that it got.
type reader struct {
	newest string
	// passages are what it got since somebody judged them.
	passages []passage
}

// run reads until the stream ends. Unavailable is how a stream ends when the service does.
func (r *reader) run(ctx context.Context, s *service) error {
	p := passage{after: hash(r.newest)}
	first := r.newest == ""
	err := follow(ctx, s, r.newest, func(m message) bool {
		if first {
			p.after, first = m.entry.cursor, false
		}
		if m.number != 0 {
			p.seen = append(p.seen, m.entry)
		}
		r.newest = m.cursor
		return true
	})
	switch status.Code(err) {
	case codes.Unavailable, codes.Canceled:
		err = nil
	case codes.FailedPrecondition, codes.OutOfRange, codes.InvalidArgument:
		p.refused, err = err.Error(), nil
	default:
		if s.dark.Load() {
			err = nil
		}
	}
	if !first || p.refused != "" {
		r.passages = append(r.passages, p)
	}
	return err
}

// errForeign says that the service does not know a cursor that it has handed out.
var errForeign = errors.New("the cursor is refused")

// catchUp hands on what comes behind a cursor, up to where there is no more.
func catchUp(ctx context.Context, s *service, after string, take func(message)) error {
	err := follow(ctx, s, after, func(m message) bool {
		take(m)
		return !m.caughtUp
	})
	if code := status.Code(err); code == codes.FailedPrecondition || code == codes.OutOfRange {
		return fmt.Errorf("%w: %w", errForeign, err)
	}
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("the log was not read to its end: %w", err)
	}
	return err
}

// kept returns the names of all deliveries.
func kept(ctx context.Context, s *service) (map[id]struct{}, error) {
	there := make(map[id]struct{})
	client := callnormv1.NewDeliveryServiceClient(s.conn)
	for request := (&callnormv1.ListDeliveriesRequest{PageSize: 1000}); ; {
		page, err := client.ListDeliveries(ctx, request)
		if err != nil {
			return nil, fmt.Errorf("list deliveries: %w", err)
		}
		for _, delivery := range page.GetDeliveries() {
			one, err := parseID(deliveries, delivery.GetName())
			if err != nil {
				return nil, err
			}
			there[one] = struct{}{}
		}
		if request.PageToken = page.GetNextPageToken(); request.GetPageToken() == "" {
			return there, nil
		}
	}
}
