package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/callnorm/callnorm/test/internal/report"
)

// liveSpan is how many turns long subscribers follow live.
const liveSpan = 6

// measureLive follows while webhooks come in.
func measureLive(ctx context.Context, o *options, s *service, r *results) error {
	table := r.table(fmt.Sprintf("Following live, while %d webhooks a second come over 64 connections", o.rate),
		"", "webhooks", "sending to answer: p50", "p99", "sending to message: p50", "p99", "answer to message: p50", "p99")
	for _, subscribers := range []int{1, many} {
		l, err := s.followLive(ctx, o, subscribers)
		if err != nil {
			return err
		}
		cells := []string{counted(subscribers, "subscriber"), report.Grouped(l.webhooks)}
		for _, list := range [][]time.Duration{l.answers, l.messages, l.behind} {
			cells = append(cells, milliseconds(quantile(list, 0.5)), milliseconds(quantile(list, 0.99)))
		}
		table.row(cells...)
		_, _ = fmt.Fprintf(r.progress, "  %s: %s\n", counted(subscribers, "subscriber"), milliseconds(quantile(l.messages, 0.5)))
	}
	return s.measureFollowed(ctx, o, r)
}

// measureFollowed posts as much as is taken, by turns with and without subscribers.
func (s *service) measureFollowed(ctx context.Context, o *options, r *results) error {
	var candidates []candidate
	for _, subscribers := range []int{0, 1, many} {
		candidates = append(candidates, candidate{counted(subscribers, "subscriber"), func(ctx context.Context) (t turn, err error) {
			stop, err := s.haveFollowed(ctx, subscribers)
			if err != nil {
				return t, err
			}
			t, err = s.post(ctx, load{body: s.generator.plain, connections: crowd, span: o.span})
			return t, errors.Join(err, stop())
		}})
	}
	list, err := byTurns(ctx, o.rounds, candidates, r.progress)
	if err != nil {
		return err
	}
	table := r.table("Intake over 64 connections, followed live (the subscribers work on the same machine)",
		"", "webhooks", "p50", "p99", "processor of the server", "of the tool", "webhooks, of those without")
	for _, m := range list {
		table.row(m.name, m.rate(), milliseconds(m.quantile(0.5)), milliseconds(m.quantile(0.99)), m.cost(ofServer), m.cost(ofTool),
			times(m.ratio(list[0], turn.perSecond)))
	}
	return nil
}

// subscribeNow has subscribers follow from now on, and returns when they do.
func (s *service) subscribeNow(ctx context.Context, count int) (list []*subscriber, err error) {
	defer func() {
		if err != nil {
			closeAll(list)
		}
	}()
	now := &callnormv1.StreamOutcomesRequest{
		Start: &callnormv1.StreamOutcomesRequest_StartAt{StartAt: callnormv1.StreamStart_STREAM_START_NOW},
	}
	for range count {
		one, err := subscribe(ctx, s.grpc, now, false)
		if err != nil {
			return list, err
		}
		list = append(list, one)
		if err := one.next(&message{}); err != nil { // where it begins
			return list, err
		}
	}
	return list, nil
}

func closeAll(list []*subscriber) {
	for _, one := range list {
		one.close()
	}
}

// haveFollowed has subscribers read all that comes until the function that it returns is called.
func (s *service) haveFollowed(ctx context.Context, count int) (stop func() error, err error) {
	list, err := s.subscribeNow(ctx, count)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	errs := make([]error, count)
	var reading sync.WaitGroup
	for i, one := range list {
		reading.Go(func() {
			var m message
			for errs[i] == nil && ctx.Err() == nil {
				errs[i] = one.next(&m)
			}
			if ctx.Err() != nil {
				errs[i] = nil // it was told to stop
			}
		})
	}
	return func() error {
		cancel()
		closeAll(list)
		reading.Wait()
		return errors.Join(errs...)
	}, nil
}

// lived is what came out of following live.
type lived struct {
	webhooks int
	// answers and messages took so long from when a webhook was sent, and behind messages were so long behind the answer: less than
	// nothing when they came before it.
	answers, messages, behind []time.Duration
}

// followLive posts at a rate, and looks when each subscriber gets what.
func (s *service) followLive(ctx context.Context, o *options, count int) (l lived, err error) {
	span := liveSpan * o.span
	ctx, cancel := context.WithTimeout(ctx, span+2*late)
	defer cancel()
	list, err := s.subscribeNow(ctx, count)
	if err != nil {
		return l, err
	}
	defer closeAll(list)
	each := max(1, int(float64(o.rate)*span.Seconds())/crowd)
	first := s.generator.next.Load() + 1
	l.webhooks = each * crowd
	sent, answered := make([]time.Time, l.webhooks), make([]time.Time, l.webhooks)
	arrived, errs := make([][]time.Time, count), make([]error, count)
	var reading sync.WaitGroup
	for i, one := range list {
		arrived[i] = make([]time.Time, l.webhooks)
		reading.Go(func() { errs[i] = one.readAll(s.generator, first, arrived[i]) })
	}
	_, err = s.post(ctx, load{
		body: s.generator.plain, connections: crowd, span: span + late, most: each, rate: o.rate,
		sent: func(n int64, at, end time.Time) { sent[n-first], answered[n-first] = at, end },
	})
	if err != nil {
		cancel()
	}
	reading.Wait()
	if err = errors.Join(err, errors.Join(errs...)); err != nil {
		return l, err
	}
	for n, at := range sent {
		l.answers = append(l.answers, answered[n].Sub(at))
		for i := range list {
			l.messages = append(l.messages, arrived[i][n].Sub(at))
			l.behind = append(l.behind, arrived[i][n].Sub(answered[n]))
		}
	}
	return l, nil
}

// readAll reads until it has seen all webhooks from a number on, and notes when each came.
func (s *subscriber) readAll(g *generator, first int64, arrived []time.Time) error {
	for seen, m := 0, (message{}); seen < len(arrived); {
		if err := s.next(&m); err != nil {
			return fmt.Errorf("after %d of %d outcomes: %w", seen, len(arrived), err)
		}
		n, ok := g.numberOf(m.call)
		if at := n - first; ok && at >= 0 && at < int64(len(arrived)) && arrived[at].IsZero() {
			arrived[at] = time.Now()
			seen++
		}
	}
	return nil
}
