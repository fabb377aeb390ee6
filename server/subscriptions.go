package server

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/callnorm/callnorm/internal/store"
	"github.com/callnorm/callnorm/server/access"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

const (
	// maxSubscriptions bounds how many there are, of all readers.
	maxSubscriptions   = 1000
	subscriptionPrefix = "subscriptions/"
)

// Errors of subscriptions.
var (
	errNoSubscription      = errors.New("there is no subscription of this name; create it")
	errSubscriptionExists  = errors.New("there is a subscription of this name already")
	errOthersSubscription  = errors.New("the subscription belongs to another reader; only he, and who may operate, can reach it")
	errTakenOver           = errors.New("the stream of the subscription has ended")
	errAcknowledgement     = errors.New("the ack_id is not one that the stream of this subscription has sent")
	errConditionNotCurrent = errors.New("the subscription's condition was taken by another release and cannot be understood by this one; " +
		"delete the subscription, and create it again with another condition, after its cursor")
)

// subscriptionStore is what SubscriptionService needs of the store.
type subscriptionStore interface {
	logReader
	CreateSubscription(ctx context.Context, subscription store.Subscription, limit int) (store.Subscription, bool, error)
	Subscription(ctx context.Context, name string) (store.Subscription, error)
	Subscriptions(ctx context.Context) ([]store.Subscription, error)
	Advance(ctx context.Context, name string, generation int64, cursor store.Cursor) (store.Subscription, error)
	Reset(ctx context.Context, name string, cursor store.Cursor) (store.Subscription, error)
	DeleteSubscription(ctx context.Context, name string) error
}

type subscriptionService struct {
	callnormv1.UnimplementedSubscriptionServiceServer

	store     subscriptionStore
	followers *followers
	now       func() time.Time
	turns     turns
}

func (s *subscriptionService) CreateSubscription(ctx context.Context, r *callnormv1.CreateSubscriptionRequest) (*callnormv1.CreateSubscriptionResponse, error) {
	chosen, err := newSelection(r.GetFilter())
	if err != nil {
		return nil, err
	}
	kept, err := s.store.Subscription(ctx, r.GetSubscriptionId())
	if errors.Is(err, store.ErrNotFound) {
		kept, err = s.create(ctx, r, chosen)
	}
	if err != nil {
		return nil, fmt.Errorf("subscription: %w", err)
	}
	filter, err := filterOf(kept)
	switch {
	case err != nil:
		return nil, err
	case kept.Owner != access.From(ctx).Name:
		return nil, fmt.Errorf("%w, and belongs to another reader; choose another name", errSubscriptionExists)
	case !proto.Equal(filter, orEmpty(r.GetFilter())):
		return nil, fmt.Errorf("%w, with another filter; delete it, or choose another name", errSubscriptionExists)
	}
	subscription, err := s.describe(ctx, kept)
	return &callnormv1.CreateSubscriptionResponse{Subscription: subscription}, err
}

// create keeps a new subscription, or returns the one that somebody else has created meanwhile.
func (s *subscriptionService) create(ctx context.Context, r *callnormv1.CreateSubscriptionRequest, chosen selection) (store.Subscription, error) {
	cursor, err := start(ctx, s.store, r, chosen.store)
	if err != nil {
		return store.Subscription{}, err
	}
	filter, err := proto.Marshal(r.GetFilter())
	if err != nil {
		return store.Subscription{}, err
	}
	kept, _, err := s.store.CreateSubscription(ctx, store.Subscription{
		Name: r.GetSubscriptionId(), Owner: access.From(ctx).Name, Filter: filter, Cursor: cursor,
	}, maxSubscriptions)
	return kept, err
}

func (s *subscriptionService) GetSubscription(ctx context.Context, r *callnormv1.GetSubscriptionRequest) (*callnormv1.GetSubscriptionResponse, error) {
	kept, err := s.reach(ctx, r.GetName())
	if err != nil {
		return nil, err
	}
	subscription, err := s.describe(ctx, kept)
	return &callnormv1.GetSubscriptionResponse{Subscription: subscription}, err
}

func (s *subscriptionService) ListSubscriptions(ctx context.Context, _ *callnormv1.ListSubscriptionsRequest) (*callnormv1.ListSubscriptionsResponse, error) {
	all, err := s.store.Subscriptions(ctx)
	if err != nil {
		return nil, fmt.Errorf("subscriptions: %w", err)
	}
	response := &callnormv1.ListSubscriptionsResponse{}
	for _, kept := range all {
		if !mayReach(ctx, kept) {
			continue
		}
		subscription, err := s.describe(ctx, kept)
		if err != nil {
			return nil, err
		}
		response.Subscriptions = append(response.Subscriptions, subscription)
	}
	return response, nil
}

func (s *subscriptionService) DeleteSubscription(ctx context.Context, r *callnormv1.DeleteSubscriptionRequest) (*callnormv1.DeleteSubscriptionResponse, error) {
	kept, err := s.reach(ctx, r.GetName())
	if err != nil {
		return nil, err
	}
	if err := s.store.DeleteSubscription(ctx, kept.Name); err != nil {
		return nil, noSubscription(err)
	}
	s.turns.end(kept.Name, fmt.Errorf("%w: the subscription was deleted", errTakenOver))
	return &callnormv1.DeleteSubscriptionResponse{}, nil
}

// StreamSubscription sends what comes after the last acknowledgement. The place is read when the turn has begun: who resets the
// subscription ends the turn after that, so no stream goes on from a place that was left.
func (s *subscriptionService) StreamSubscription(r *callnormv1.StreamSubscriptionRequest, stream grpc.ServerStreamingServer[callnormv1.StreamSubscriptionResponse]) error {
	leave, err := s.followers.enter()
	if err != nil {
		return err
	}
	defer leave()
	kept, err := s.reach(stream.Context(), r.GetName())
	if err != nil {
		return err
	}
	ctx, done := s.turns.begin(stream.Context(), kept.Name)
	defer done()
	if kept, err = s.reach(ctx, r.GetName()); err != nil {
		return err
	}
	filter, err := filterOf(kept)
	if err != nil {
		return err
	}
	chosen, err := newSelection(filter)
	if condition := (*conditionError)(nil); errors.As(err, &condition) {
		return fmt.Errorf("%w: line %d, column %d: %s", errConditionNotCurrent, condition.syntax.Line, condition.syntax.Column, condition.syntax.Message)
	}
	if err != nil {
		return err
	}
	cursor, err := s.store.Resume(ctx, kept.Cursor, chosen.store)
	if err != nil {
		return err
	}
	following := following{
		followers: s.followers, stream: stream, chosen: chosen, heartbeat: heartbeatOf(r.GetHeartbeatInterval()), cursor: cursor,
		mark: func(cursor store.Cursor) string {
			return acknowledgement{cursor, kept.CreateTime.UnixMicro(), kept.Generation, kept.Name}.String()
		},
	}
	return following.follow(ctx)
}

func (s *subscriptionService) AcknowledgeSubscription(ctx context.Context, r *callnormv1.AcknowledgeSubscriptionRequest) (*callnormv1.AcknowledgeSubscriptionResponse, error) {
	kept, err := s.reach(ctx, r.GetName())
	if err != nil {
		return nil, err
	}
	done, err := parseAcknowledgement(r.GetAckId())
	if err != nil || done.name != kept.Name {
		return nil, errAcknowledgement
	}
	if done.created != kept.CreateTime.UnixMicro() {
		return nil, fmt.Errorf("%w: it was deleted, and created again", store.ErrOutdated)
	}
	filter, err := columnsOf(kept)
	if err != nil {
		return nil, err
	}
	// Retention may have passed by it since: what the subscriber has done is done all the same, and he is told when he streams.
	if cursor, err := s.store.Resume(ctx, done.cursor, filter); err == nil {
		done.cursor = cursor
	} else if !errors.Is(err, store.ErrCursorExpired) {
		return nil, err
	}
	if kept, err = s.store.Advance(ctx, kept.Name, done.generation, done.cursor); err != nil {
		return nil, noSubscription(err)
	}
	subscription, err := s.describe(ctx, kept)
	return &callnormv1.AcknowledgeSubscriptionResponse{Subscription: subscription}, err
}

func (s *subscriptionService) ResetSubscription(ctx context.Context, r *callnormv1.ResetSubscriptionRequest) (*callnormv1.ResetSubscriptionResponse, error) {
	kept, err := s.reach(ctx, r.GetName())
	if err != nil {
		return nil, err
	}
	filter, err := columnsOf(kept)
	if err != nil {
		return nil, err
	}
	cursor, err := start(ctx, s.store, r, filter)
	if err != nil {
		return nil, err
	}
	if kept, err = s.store.Reset(ctx, kept.Name, cursor); err != nil {
		return nil, noSubscription(err)
	}
	s.turns.end(kept.Name, fmt.Errorf("%w: the subscription was reset; stream it again", errTakenOver))
	subscription, err := s.describe(ctx, kept)
	return &callnormv1.ResetSubscriptionResponse{Subscription: subscription}, err
}

// reach returns a subscription that the caller may reach.
func (s *subscriptionService) reach(ctx context.Context, name string) (store.Subscription, error) {
	kept, err := s.store.Subscription(ctx, strings.TrimPrefix(name, subscriptionPrefix))
	if err != nil {
		return store.Subscription{}, noSubscription(err)
	}
	if !mayReach(ctx, kept) {
		return store.Subscription{}, errOthersSubscription
	}
	return kept, nil
}

func mayReach(ctx context.Context, kept store.Subscription) bool {
	caller := access.From(ctx)
	return kept.Owner == caller.Name || caller.Operates()
}

func noSubscription(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return errNoSubscription
	}
	return fmt.Errorf("subscription: %w", err)
}

// filterOf returns the filter of a kept subscription.
func filterOf(kept store.Subscription) (*callnormv1.OutcomeFilter, error) {
	filter := &callnormv1.OutcomeFilter{}
	if err := proto.Unmarshal(kept.Filter, filter); err != nil {
		return nil, fmt.Errorf("filter of a subscription: %w", err)
	}
	return filter, nil
}

// orEmpty returns the filter that no filter is.
func orEmpty(filter *callnormv1.OutcomeFilter) *callnormv1.OutcomeFilter {
	if filter == nil {
		return &callnormv1.OutcomeFilter{}
	}
	return filter
}

// columnsOf returns what the store looks at of a kept subscription's filter.
func columnsOf(kept store.Subscription) (store.Filter, error) {
	filter, err := filterOf(kept)
	if err != nil {
		return store.Filter{}, err
	}
	return columns(filter)
}

// describe shows a subscription with how far it has come.
func (s *subscriptionService) describe(ctx context.Context, kept store.Subscription) (*callnormv1.Subscription, error) {
	filter, err := filterOf(kept)
	if err != nil {
		return nil, err
	}
	chosen, err := columns(filter)
	if err != nil {
		return nil, err
	}
	subscription := &callnormv1.Subscription{
		Name: subscriptionPrefix + kept.Name, Filter: filter, Reader: kept.Owner, Cursor: kept.Cursor.String(), Active: s.turns.active(kept.Name),
		CreateTime: timestamppb.New(kept.CreateTime), AcknowledgeTime: timestamppb.New(kept.MoveTime),
	}
	_, err = s.store.Resume(ctx, kept.Cursor, chosen)
	switch {
	case errors.Is(err, store.ErrCursorForeign): // How far it is behind in this log cannot be told; its stream tells why.
		return subscription, nil
	case errors.Is(err, store.ErrCursorExpired):
		subscription.Expired = true
	case err != nil:
		return nil, err
	}
	count, since, err := s.behind(ctx, kept.Cursor.Position)
	if err != nil {
		return nil, err
	}
	if subscription.LagCount = count; !since.IsZero() {
		subscription.Lag = durationpb.New(max(0, s.now().Sub(since)))
	}
	return subscription, nil
}

// behind returns how far the log goes on after a position, and the time of the oldest entry there that is kept.
func (s *subscriptionService) behind(ctx context.Context, position store.Position) (count int64, since time.Time, err error) {
	// A cursor of this moment is one that retention has not passed by.
	cursor, err := s.store.Head(ctx)
	count = int64(cursor.Position - position)
	for cursor.Position = position; err == nil; {
		page, failed := s.store.Read(ctx, cursor, store.Filter{}, 1)
		switch {
		case errors.Is(failed, store.ErrCursorExpired): // It has passed since.
			return s.behind(ctx, position)
		case failed != nil:
			return 0, time.Time{}, failed
		case len(page.Entries) > 0:
			return count, page.Entries[0].Time, nil
		case page.End:
			return count, time.Time{}, nil
		}
		cursor = page.Next
	}
	return 0, time.Time{}, err
}

// acknowledgement is what an ack_id says: all up to a cursor is done, in this generation of the subscription that was created at this
// time under this name.
type acknowledgement struct {
	cursor     store.Cursor
	created    int64 // in microseconds
	generation int64
	name       string
}

// String returns the ack_id. No cursor holds a dot.
func (a acknowledgement) String() string {
	return a.cursor.String() + "." + strconv.FormatInt(a.created, 36) + "." + strconv.FormatInt(a.generation, 36) + "." + a.name
}

// parseAcknowledgement reads what String wrote, or returns errAcknowledgement.
func parseAcknowledgement(text string) (acknowledgement, error) {
	parts := strings.Split(text, ".")
	if len(parts) != 4 {
		return acknowledgement{}, errAcknowledgement
	}
	cursor, malformed := store.ParseCursor(parts[0])
	created, noTime := strconv.ParseInt(parts[1], 36, 64)
	generation, noNumber := strconv.ParseInt(parts[2], 36, 64)
	if errors.Join(malformed, noTime, noNumber) != nil {
		return acknowledgement{}, errAcknowledgement
	}
	return acknowledgement{cursor, created, generation, parts[3]}, nil
}

// turns knows which subscriptions are streamed. The zero value knows of none.
type turns struct {
	mu      sync.Mutex
	current map[string]*turn
}

// turn is one stream of a subscription.
type turn struct{ end context.CancelCauseFunc }

// begin ends the turn of whoever streams a subscription, and returns the context of a new one. done is to be called at its end.
func (t *turns) begin(ctx context.Context, name string) (_ context.Context, done func()) {
	ctx, end := context.WithCancelCause(ctx)
	mine := &turn{end}
	t.mu.Lock()
	defer t.mu.Unlock()
	if current := t.current[name]; current != nil {
		current.end(fmt.Errorf("%w: another stream has taken over", errTakenOver))
	}
	if t.current == nil {
		t.current = map[string]*turn{}
	}
	t.current[name] = mine
	return ctx, func() {
		end(nil)
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.current[name] == mine {
			delete(t.current, name)
		}
	}
}

// end ends the turn of whoever streams a subscription.
func (t *turns) end(name string, cause error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if current := t.current[name]; current != nil {
		current.end(cause)
		delete(t.current, name)
	}
}

// active tells whether somebody streams a subscription.
func (t *turns) active(name string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.current[name] != nil
}
