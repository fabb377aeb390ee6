// Package intake is what happens to one delivery: it is bounded, proved to be genuine, understood as far as possible, and kept.
// Understanding can never be a reason to refuse: what could not be normalized is kept as well, and waits in quarantine until it
// is normalized again.
package intake

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/callnorm/callnorm/adapters"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/callnorm/callnorm/internal/rejection"
	"github.com/callnorm/callnorm/internal/signature"
	"github.com/callnorm/callnorm/internal/store"
)

// Errors that callers may ask for with errors.Is.
var (
	// ErrSourceNotFound does not tell which sources there are, nor repeats what was asked for.
	ErrSourceNotFound  = errors.New("no such source; the configuration names the sources")
	ErrSourceDisabled  = errors.New("source is disabled")
	ErrAdapterNotFound = errors.New("no such adapter")
	ErrNoAdapter       = errors.New("nothing names one adapter")
	ErrBodyTooLarge    = errors.New("body is larger than the source permits")
	// ErrSourceGone says that a delivery's source is not configured any more.
	ErrSourceGone = errors.New("the source of the delivery is not configured any more; configure it again, with enabled: false if nothing should come in")
	// ErrFailsNow says that callnorm fails on what it could read before.
	ErrFailsNow = errors.New("callnorm failed on what it could read before; the delivery is left as it was")
	// ErrNotKept says that the delivery may not have been kept and has to be sent again.
	ErrNotKept = errors.New("delivery could not be kept")
)

// NotVerifiedError says that nothing proves where a delivery comes from.
type NotVerifiedError struct {
	Cause   callnormv1.RejectionCause
	refusal *signature.Refusal
}

// Error tells the cause.
func (e *NotVerifiedError) Error() string {
	return "the request was not verified: " + e.refusal.Error() + "; callnorm verify and callnorm doctor tell more"
}

// BusyError says that more came in than the source's rate permits.
type BusyError struct {
	// RetryAfter is when there is room again.
	RetryAfter time.Duration
}

// Error says when to try again.
func (e *BusyError) Error() string {
	return fmt.Sprintf("more came in than the source's rate permits; try again in %s", e.RetryAfter.Round(time.Millisecond))
}

const (
	// answerIn is how long a provider is kept waiting. Platforms give up after 5 to 15 seconds.
	answerIn = 4 * time.Second
	// adapterIn is how long an adapter may think. It takes microseconds unless it is broken, and the largest batches a second on
	// a machine that has other things to do. What exceeds it waits in quarantine, and can be normalized again.
	adapterIn = 2 * time.Second
	// maxDepth bounds how deep a body may be nested. Real ones stay below 20.
	maxDepth = 128
	// maxContributions bounds what is put together to one call. Some signatures cover only the call id, so anybody who saw one
	// may repeat it with other bodies; and all are put together inside a commit, which others wait for.
	maxContributions = 200
	// maxContributionBytes bounds them together. Those of a real call take some ten KB; one alone has room for the largest.
	maxContributionBytes = 4 << 20
)

// DefaultSettleAfter suits providers that analyse a call after its end: most take seconds, some a few minutes.
const DefaultSettleAfter = 15 * time.Minute

// Observer is told what happened, for metrics. It must be quick.
type Observer interface {
	Delivered(provider string, state callnormv1.DeliveryState, duplicate bool, unmapped int)
	Normalized(adapter string, took time.Duration, result adapters.Result, err error)
	Rejected(source string, cause callnormv1.RejectionCause)
	// Settled tells that a call of the source became FINAL without a further delivery.
	Settled(source string)
	// Trimmed tells what retention has removed of the source, if anything, after each look.
	Trimmed(source string, removed store.Removed)
}

// Settings are what an intake is made of.
type Settings struct {
	Adapters *adapters.Set
	// Store keeps. Without one an intake can only normalize.
	Store store.Store
	// Rejections remembers what was refused.
	Rejections *rejection.Book
	Observer   Observer
	Now        func() time.Time
}

// Intake takes deliveries in.
type Intake struct {
	Settings

	doors atomic.Pointer[doors]
}

// New returns an intake with its first sources.
func New(settings Settings, sources []Source) *Intake {
	in := &Intake{Settings: settings}
	in.doors.Store(&doors{})
	in.Reload(sources)
	return in
}

// Request is one HTTP request of a provider.
type Request struct {
	// Source and Event are what the path names.
	Source, Event string
	// Path is the escaped path, Query the raw query.
	Method, Path, Query string
	// Token is the segment of the path that is a secret, for sources that prove themselves by one; KeptPath is the path without
	// it. Without a token both are empty.
	Token, KeptPath string
	Header          http.Header
	// Body is the content. Wire is what came over the wire, where that is another thing: a compressed body.
	Body, Wire  []byte
	ReceiveTime time.Time
	// Address is where it came from; Forwarded tells that a trusted proxy said so.
	Address   netip.Addr
	Forwarded bool
	// Held tells that it was refused and held before.
	Held bool
}

// Encoded tells whether the body is not on the wire as it is meant.
func (r Request) Encoded() bool { return r.Header.Get("Content-Encoding") != "" }

// Deliver keeps a delivery and says what became of it. When it returns without an error, the delivery is on disk.
func (in *Intake) Deliver(ctx context.Context, request Request) (*callnormv1.IngestDeliveryResponse, error) {
	// The store keeps no more of it, and what is normalized again must say the same.
	request.ReceiveTime = request.ReceiveTime.Truncate(time.Microsecond)
	door, err := in.door(request.Source)
	if err != nil {
		return nil, err
	}
	if size := int64(len(request.Body)); size > door.MaxBody {
		in.Refuse(request, callnormv1.RejectionCause_REJECTION_CAUSE_BODY_TOO_LARGE)
		return nil, fmt.Errorf("%w: %d bytes, %q takes %d", ErrBodyTooLarge, size, door.Name, door.MaxBody)
	}
	// Providers wait for 5 seconds and more, for all of it.
	ctx, cancel := context.WithTimeout(ctx, answerIn)
	defer cancel()
	proof, err := in.verify(door, request)
	if err != nil {
		return nil, err
	}
	if !request.Held {
		if err := door.admit(in.Now()); err != nil {
			in.Refuse(request, callnormv1.RejectionCause_REJECTION_CAUSE_RATE)
			return nil, err
		}
	}
	in.Rejections.Accept(door.Name, proof.secret)
	path := request.Path
	if request.KeptPath != "" {
		path = request.KeptPath
	}
	key := store.NewDeliveryKey(door.Name, request.Method, path, request.Query, request.Body)
	delivery := store.Delivery{
		Key: key, Source: door.Name, Adapter: door.Adapter.Name(), Provider: door.Provider, Event: request.Event,
		Method: request.Method, Path: path, Query: request.Query, Header: headerLines(request.Header, proof.isSecret),
		Body: request.Body, ReceiveTime: request.ReceiveTime, VerifiedBy: proof.by, Signed: proof.signed,
	}
	meaning := in.understand(door.Source, in.Store.DeliveryID(key), delivery, request.Header)
	receipt, err := meaning.keep(callnormv1.RevisionCause_REVISION_CAUSE_DELIVERY,
		func(contributions []store.Contribution, fold store.Fold) (store.Receipt, error) {
			var err error
			if delivery.State, delivery.Report, err = meaning.summary(); err != nil {
				return store.Receipt{}, err
			}
			delivery.Waiting = Waiting(delivery.State)
			return in.Store.Append(ctx, delivery, contributions, fold)
		})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotKept, err)
	}
	response, err := responseOf(receipt)
	if err != nil {
		return nil, err
	}
	in.Observer.Delivered(door.Provider, response.GetState(), receipt.Duplicate, meaning.unmapped)
	return response, nil
}
