package intake

import (
	"context"
	"errors"
	"fmt"
	"time"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/callnorm/callnorm/internal/callstate"
	"github.com/callnorm/callnorm/internal/store"
	"google.golang.org/protobuf/proto"
)

const (
	// settleEvery is how often is looked for calls that have waited long enough.
	settleEvery = time.Second
	// trimEvery is how often is looked for what retention has passed by.
	trimEvery = 30 * time.Second
	// settleAtOnce is how many calls are settled between two looks at the clock.
	settleAtOnce = 500
	// trimPause is how much longer than a step of trimming the pause after it is: what comes in matters more.
	trimPause = 3
)

// Retention says how long what a source brings is kept. What is zero is kept for ever.
type Retention struct {
	// Age removes calls that nothing has been told about for so long, with all that made them.
	Age time.Duration
	// Bytes removes the oldest of them as long as more than that is kept.
	Bytes int64
	// Deliveries removes what was received so long ago, byte for byte, and keeps what it said.
	Deliveries time.Duration
}

// Upkeep does what time asks for, until ctx ends: it settles calls that have waited long enough for more, and removes what
// retention has passed by. What goes wrong is reported, and tried again.
func (in *Intake) Upkeep(ctx context.Context, report func(error)) {
	tick := time.NewTicker(settleEvery)
	defer tick.Stop()
	trimmed := time.Time{}
	for {
		if err := in.Settle(ctx); err != nil && ctx.Err() == nil {
			report(err)
		}
		if now := in.Now(); now.Sub(trimmed) >= trimEvery {
			trimmed = now
			if err := in.Trim(ctx); err != nil && ctx.Err() == nil {
				report(err)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Settle makes all calls FINAL that have waited long enough for more. That they did is a contribution like that of a delivery.
func (in *Intake) Settle(ctx context.Context) error {
	var errs []error
	for {
		deadlines, err := in.Store.Due(ctx, in.Now(), settleAtOnce)
		if err != nil {
			return fmt.Errorf("settle: %w", err)
		}
		settled := 0
		for _, deadline := range deadlines {
			changed, err := in.settle(ctx, deadline)
			switch {
			case ctx.Err() != nil, errors.Is(err, store.ErrUnavailable), errors.Is(err, store.ErrClosed):
				return fmt.Errorf("settle: %w", err)
			case err != nil:
				errs = append(errs, fmt.Errorf("settle %s: %w", outcomeName(deadline.Outcome), err))
				continue
			case changed:
				in.Observer.Settled(deadline.Source)
			}
			settled++
		}
		if settled == 0 {
			return errors.Join(errs...)
		}
	}
}

func (in *Intake) settle(ctx context.Context, deadline store.Deadline) (bool, error) {
	body, err := proto.Marshal(callstate.Deadline(deadline.Time))
	if err != nil {
		return false, err
	}
	return in.Store.Fire(ctx, deadline, body,
		folding{cause: callnormv1.RevisionCause_REVISION_CAUSE_SETTLED}.fold)
}

// Trim removes what the retention of the sources has passed by.
func (in *Intake) Trim(ctx context.Context) error {
	var errs []error
	for _, source := range in.Sources() {
		if source.Retention == (Retention{}) {
			continue
		}
		if err := in.trim(ctx, source); err != nil {
			errs = append(errs, fmt.Errorf("retention of source %s: %w", source.Name, err))
		}
	}
	return errors.Join(errs...)
}

func (in *Intake) trim(ctx context.Context, source Source) error {
	var total store.Removed
	defer func() {
		if total != (store.Removed{}) {
			in.Observer.Trimmed(source.Name, total)
		}
	}()
	for {
		begin := in.Now()
		bounds := store.Retention{Bytes: source.Retention.Bytes}
		if age := source.Retention.Age; age > 0 {
			bounds.Before = begin.Add(-age)
		}
		if age := source.Retention.Deliveries; age > 0 {
			bounds.DeliveriesBefore = begin.Add(-age)
		}
		removed, err := in.Store.Trim(ctx, source.Name, bounds)
		if err != nil {
			return err
		}
		total.Add(removed)
		if !removed.More {
			return nil
		}
		pause := time.NewTimer(trimPause * in.Now().Sub(begin))
		select {
		case <-ctx.Done():
			pause.Stop()
			return ctx.Err()
		case <-pause.C:
		}
	}
}
