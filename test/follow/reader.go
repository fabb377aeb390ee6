package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/callnorm/callnorm/test/internal/tool"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
)

// counts are what happened to all readers together.
type counts struct {
	streams, cut, closed, interrupted, stalled, takenOver, crashed atomic.Int64
}

// reader follows the log, by a cursor that it keeps or by a subscription, and is disturbed.
type reader struct {
	service  *service
	names    *names
	counts   *counts
	began    time.Time
	finished <-chan struct{} // closed when nothing more is written
	random   *rand.Rand
	journal  *journal

	rest         bool
	subscription string // empty: it keeps a cursor
	// leaps makes it resume one message too far, repeats one too early: a reader that is wrong on purpose.
	leaps, repeats bool

	gap     int           // messages between two disturbances, on average
	left    int           // disturbances
	longest time.Duration // that it stalls
	batch   int           // revisions that it processes at a time, at most

	cursor   string // after what is processed
	failures int    // in a row
	line     line
	next     stream
	passage  *passage
	mark     string // of the last message
	pending  int    // revisions that are seen and not processed
	until    int    // messages until the next disturbance
	due      int    // revisions that are processed at a time, at the moment
}

// run reads until the reader has seen all that was there when the last was written.
func (r *reader) run(ctx context.Context) error {
	for {
		last := isClosed(r.finished)
		done, err := r.follow(ctx, last)
		if r.line != nil {
			r.line.close()
		}
		switch code := status.Code(err); {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err == nil && done:
			return nil
		case err == nil:
			continue
		case code != codes.Unavailable && code != codes.Aborted:
			r.journal.refused = err.Error()
			return nil
		}
		if r.failures++; r.failures == attempts {
			r.journal.refused = fmt.Sprintf("%d times in a row: %v", attempts, err)
			return nil
		}
		r.counts.crashed.Add(1)
		if err := tool.Wait(ctx, pause); err != nil {
			return err
		}
	}
}

func isClosed(channel <-chan struct{}) bool {
	select {
	case <-channel:
		return true
	default:
		return false
	}
}

// follow opens a stream, and reads until it ends, is disturbed, or has seen all there is if it is the last one.
func (r *reader) follow(ctx context.Context, last bool) (done bool, err error) {
	if err := r.open(ctx); err != nil {
		return false, err
	}
	r.until, r.due = 1+r.random.IntN(2*r.gap), 1+r.random.IntN(r.batch)
	for {
		m, err := r.next()
		if err != nil {
			return false, err
		}
		r.failures = 0
		r.take(r.passage, m)
		if m.outcome == nil || r.pending >= r.due {
			if err := r.process(ctx); err != nil {
				return false, err
			}
		}
		switch {
		case last && m.caughtUp:
			return true, r.process(ctx)
		case !last && isClosed(r.finished):
			return false, nil
		}
		if r.until--; r.until > 0 || r.left == 0 {
			continue
		}
		r.left--
		r.until = 1 + r.random.IntN(2*r.gap)
		if on, err := r.disturb(ctx); !on || err != nil {
			return false, err
		}
	}
}

// open opens a stream, on a connection of its own.
func (r *reader) open(ctx context.Context) error {
	if err := r.service.await(ctx); err != nil {
		return err
	}
	var err error
	if r.line, err = r.dial(); err != nil {
		return err
	}
	if r.subscription != "" {
		if err := r.create(ctx); err != nil {
			return err
		}
	}
	r.passage, r.pending = r.journal.open(), 0
	r.counts.streams.Add(1)
	r.next, err = r.stream(ctx, r.line)
	return err
}

func (r *reader) dial() (line, error) {
	if r.rest {
		return newRESTLine(r.service.rest), nil
	}
	return newGRPCLine(r.service.grpc)
}

// create creates the subscription; all but the first time it is there.
func (r *reader) create(ctx context.Context) error {
	request := &callnormv1.CreateSubscriptionRequest{SubscriptionId: r.subscription, Filter: choices[r.journal.choice].filter}
	if r.journal.now {
		request.Start = &callnormv1.CreateSubscriptionRequest_StartAt{StartAt: callnormv1.StreamStart_STREAM_START_NOW}
	}
	err := r.line.create(ctx, request)
	if err == nil && r.journal.began == 0 {
		r.journal.began = time.Since(r.began)
	}
	return err
}

func (r *reader) stream(ctx context.Context, l line) (stream, error) {
	if r.subscription != "" {
		return l.subscription(ctx, "subscriptions/"+r.subscription)
	}
	request := &callnormv1.StreamOutcomesRequest{Filter: choices[r.journal.choice].filter, HeartbeatInterval: durationpb.New(heartbeat)}
	switch {
	case r.cursor != "":
		request.Start = &callnormv1.StreamOutcomesRequest_After{After: r.cursor}
	case r.journal.now:
		request.Start = &callnormv1.StreamOutcomesRequest_StartAt{StartAt: callnormv1.StreamStart_STREAM_START_NOW}
	}
	return l.outcomes(ctx, request)
}

// take notes a message.
func (r *reader) take(p *passage, m message) {
	if r.journal.began == 0 {
		r.journal.began = time.Since(r.began)
	}
	r.mark = m.mark
	if m.outcome == nil {
		return
	}
	r.pending++
	p.seen = append(p.seen, revision{r.names.number(m.outcome.GetName()), m.outcome.GetRevision()})
	if passing(m.outcome)&(1<<r.journal.choice) == 0 {
		r.journal.unwanted++
	}
}

// everyIdle says how often a subscriber acknowledges a message that tells only a position.
const everyIdle = 4

// process is done with all that was seen in the stream: the reader comes back behind it.
func (r *reader) process(ctx context.Context) error {
	r.due = 1 + r.random.IntN(r.batch)
	if r.subscription != "" && r.pending == 0 && !one(r.random, everyIdle) {
		return nil
	}
	r.pending = 0
	if r.subscription == "" {
		if !r.repeats || r.cursor == "" {
			r.cursor = r.mark
		}
		r.journal.acknowledge(r.passage, true)
		return nil
	}
	return r.acknowledge(ctx, r.line, r.passage, r.mark)
}

// acknowledge tells the service how far a stream is processed.
func (r *reader) acknowledge(ctx context.Context, l line, p *passage, mark string) error {
	err := l.acknowledge(ctx, "subscriptions/"+r.subscription, mark)
	r.journal.acknowledge(p, err == nil)
	return err
}

// disturb does one of the things that happen to readers. It tells whether the stream goes on.
func (r *reader) disturb(ctx context.Context) (on bool, err error) {
	kind := r.random.IntN(5)
	if r.leaps {
		kind = 0
		if err := r.leap(ctx); err != nil {
			return false, err
		}
	}
	switch kind {
	case 0:
		r.counts.closed.Add(1)
		r.line.close()
		return false, nil
	case 1, 2:
		r.counts.stalled.Add(1)
		return true, tool.Wait(ctx, time.Duration(r.random.Int64N(int64(r.longest)))+1)
	case 3:
		if r.subscription != "" {
			return r.takeOver(ctx)
		}
	}
	r.counts.cut.Add(1)
	if r.subscription != "" && one(r.random, 2) {
		r.interrupt(ctx)
	}
	r.line.cut()
	return false, nil
}

// leap is done with a message more than it notes, as a reader would be who saves the cursor before he has processed what it stands for.
func (r *reader) leap(ctx context.Context) error {
	if err := r.process(ctx); err != nil {
		return err
	}
	m, err := r.next()
	if err != nil {
		return err
	}
	r.mark, r.pending = m.mark, 1
	return r.process(ctx)
}

// interrupt cuts the connection while an acknowledgement is under way: it may count or not.
func (r *reader) interrupt(ctx context.Context) {
	r.counts.interrupted.Add(1)
	answered := make(chan error, 1)
	l, mark := r.line, r.mark
	go func() { answered <- l.acknowledge(ctx, "subscriptions/"+r.subscription, mark) }()
	_ = tool.Wait(ctx, time.Duration(r.random.Int64N(int64(time.Millisecond)))) // so that it is cut at any point
	l.cut()
	r.journal.acknowledge(r.passage, <-answered == nil)
}

// quiet is how many heartbeats a stream may send after another one has taken over.
const quiet = 5

// takeOver opens a second stream of the subscription, which ends the first one, and goes on with that. What the first one has sent before
// it ends is processed as well, and sometimes acknowledged late.
func (r *reader) takeOver(ctx context.Context) (on bool, err error) {
	r.counts.takenOver.Add(1)
	old, oldNext, oldPassage := r.line, r.next, r.passage
	defer old.close()
	if err := r.open(ctx); err != nil {
		return false, err
	}
	first, err := r.next()
	if err != nil {
		return false, err
	}
	for beats := 0; ; {
		m, err := oldNext()
		if status.Code(err) == codes.Aborted {
			break
		}
		if err != nil {
			return false, err
		}
		r.take(oldPassage, m)
		if m.outcome == nil {
			beats++
		}
		if beats > quiet {
			return false, status.Error(codes.Internal, "a stream goes on although another one has taken over")
		}
	}
	if one(r.random, 2) {
		if err := r.acknowledge(ctx, old, oldPassage, r.mark); err != nil {
			return false, err
		}
	}
	r.pending = 0
	r.take(r.passage, first)
	return true, nil
}
