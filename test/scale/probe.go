package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/callnorm/callnorm/test/internal/fill"
	"google.golang.org/protobuf/types/known/timestamppb"
)

const (
	// crowd is how many connections there are when there are many.
	crowd = 64
	// deepPlaces is how many places in the midst of the list are known.
	deepPlaces = 50
	// posted bounds the webhooks of a turn, for each connection: they make the small side larger.
	posted = 8
	// warmFor is how long what was read is expected to stay in memory: virtual machines give back early what nobody reads.
	warmFor = 30 * time.Second
)

// target is what is measured, as one connection sees it.
type target interface {
	get(ctx context.Context, request *callnormv1.GetOutcomeRequest) error
	// list returns errEmpty when there is nothing on the page, and no token.
	list(ctx context.Context, request *callnormv1.ListOutcomesRequest) error
	post(ctx context.Context, w fill.Webhook) error
	// next returns the token for the page after a request's.
	next(ctx context.Context, request *callnormv1.ListOutcomesRequest) (string, error)
}

// side is a filled directory that is being measured.
type side struct {
	*fill.Directory

	connections []target
	posted      atomic.Int64
	deep        []*callnormv1.ListOutcomesRequest
}

// probe is one thing that is measured.
type probe struct {
	name string
	// count bounds how often each connection does it in a turn; 0 leaves that to the time.
	count int
	do    func(ctx context.Context, s *side, t target, r *rand.Rand) error
}

// probes lists what is measured.
func probes() []probe {
	listing := func(ask func(s *side, r *rand.Rand) *callnormv1.ListOutcomesRequest) func(context.Context, *side, target, *rand.Rand) error {
		return func(ctx context.Context, s *side, t target, r *rand.Rand) error { return t.list(ctx, ask(s, r)) }
	}
	filtered := func(filter *callnormv1.OutcomeFilter) func(context.Context, *side, target, *rand.Rand) error {
		return listing(func(*side, *rand.Rand) *callnormv1.ListOutcomesRequest {
			return &callnormv1.ListOutcomesRequest{Filter: filter}
		})
	}
	return []probe{
		{name: "GetOutcome, by name", do: func(ctx context.Context, s *side, t target, r *rand.Rand) error {
			name := s.Names[r.IntN(len(s.Names))]
			return t.get(ctx, &callnormv1.GetOutcomeRequest{Key: &callnormv1.GetOutcomeRequest_Name{Name: name}})
		}},
		{name: "GetOutcome, by the provider's call id", do: func(ctx context.Context, s *side, t target, r *rand.Rand) error {
			id := s.Set.Call(r.IntN(s.Set.Calls)).ID
			return t.get(ctx, &callnormv1.GetOutcomeRequest{Key: &callnormv1.GetOutcomeRequest_ProviderCallId{ProviderCallId: id}})
		}},
		{name: "ListOutcomes, the first page", do: filtered(nil)},
		{name: "ListOutcomes, a page in the midst", do: listing(func(s *side, r *rand.Rand) *callnormv1.ListOutcomesRequest {
			return s.deep[r.IntN(len(s.deep))]
		})},
		{name: "ListOutcomes, of a source", do: filtered(&callnormv1.OutcomeFilter{Sources: []string{fill.Voxia}})},
		{name: "ListOutcomes, of a status", do: filtered(&callnormv1.OutcomeFilter{Statuses: []callnormv1.CallStatus{callnormv1.CallStatus_CALL_STATUS_BUSY}})},
		{name: "ListOutcomes, of a disposition", do: filtered(&callnormv1.OutcomeFilter{
			Dispositions: []callnormv1.ContactDisposition{callnormv1.ContactDisposition_CONTACT_DISPOSITION_INTERESTED},
		})},
		{name: "ListOutcomes, of a status that none has", do: func(ctx context.Context, _ *side, t target, _ *rand.Rand) error {
			filter := &callnormv1.OutcomeFilter{Statuses: []callnormv1.CallStatus{callnormv1.CallStatus_CALL_STATUS_PAUSED}}
			if err := t.list(ctx, &callnormv1.ListOutcomesRequest{Filter: filter}); !errors.Is(err, errEmpty) {
				return err
			}
			return nil
		}},
		{name: "ListOutcomes, do not call", do: filtered(&callnormv1.OutcomeFilter{DoNotCall: new(true)})},
		{name: "ListOutcomes, a contact's number", do: listing(func(s *side, r *rand.Rand) *callnormv1.ListOutcomesRequest {
			return &callnormv1.ListOutcomesRequest{Address: s.Set.Call(r.IntN(s.Set.Calls)).Contact}
		})},
		{name: "ListOutcomes, the number of all calls", do: listing(func(*side, *rand.Rand) *callnormv1.ListOutcomesRequest {
			return &callnormv1.ListOutcomesRequest{Address: fill.OwnNumber}
		})},
		// A week, as the small side has not a page full of calls in a day.
		{name: "ListOutcomes, of a week", do: listing(func(s *side, r *rand.Rand) *callnormv1.ListOutcomesRequest {
			const week = 7 * 24 * time.Hour
			begin := s.Set.End.Add(-week - time.Duration(r.Int64N(int64(fill.Year-week))))
			return &callnormv1.ListOutcomesRequest{BeginTime: timestamppb.New(begin), EndTime: timestamppb.New(begin.Add(week))}
		})},
		{name: "ListOutcomes, the provider's call id", do: listing(func(s *side, r *rand.Rand) *callnormv1.ListOutcomesRequest {
			return &callnormv1.ListOutcomesRequest{ProviderCallId: s.Set.Call(r.IntN(s.Set.Calls)).ID}
		})},
		{name: "a new webhook", count: posted, do: func(ctx context.Context, s *side, t target, _ *rand.Rand) error {
			// Behind the last call and of Synthflow; by the clock, as runs before had others.
			n := s.Set.Calls/fill.EveryVoxia*fill.EveryVoxia + fill.EveryVoxia*int(time.Now().UnixMilli()*1000+s.posted.Add(1))
			return t.post(ctx, s.Set.Webhooks(s.Set.Call(n))[0])
		}},
	}
}

// findDeep looks for places in the midst of the list: behind the page before some time.
func (s *side) findDeep(ctx context.Context) error {
	r := rand.New(rand.NewPCG(1, uint64(s.Set.Calls))) //nolint:gosec // it has to be the same each time, not secret
	for range deepPlaces {
		const edge = 10 // of the year, at both ends
		end := s.Set.End.Add(-fill.Year/edge - time.Duration(r.Int64N(int64(fill.Year-2*fill.Year/edge))))
		request := &callnormv1.ListOutcomesRequest{EndTime: timestamppb.New(end)}
		token, err := s.connections[0].next(ctx, request)
		if err != nil {
			return err
		}
		request.PageToken = token
		s.deep = append(s.deep, request)
	}
	return nil
}

// compare measures all probes on both sides by turns.
func (o *options) compare(ctx context.Context, both [sides]*side, r *table, progress io.Writer) error {
	for _, s := range both {
		if err := s.findDeep(ctx); err != nil {
			return fmt.Errorf("page in the midst: %w", err)
		}
	}
	var warmed time.Time
	for _, connections := range []int{1, crowd} {
		for _, p := range probes() {
			if !strings.Contains(p.name, o.only) {
				continue
			}
			if !o.cold && time.Since(warmed) > warmFor {
				for _, s := range both {
					if err := s.Warm(); err != nil {
						return err
					}
				}
				warmed = time.Now()
			}
			measured, err := o.byTurns(ctx, both, p, connections)
			if err != nil {
				return fmt.Errorf("%s: %w", p.name, err)
			}
			r.ratios = append(r.ratios, measured)
			_, _ = fmt.Fprintf(progress, "  %s: %.2f\n", measured.what, measured.ratio)
		}
	}
	return nil
}

// byTurns measures one probe. What hits the machine hits both sides: they take turns, and each round compares its two.
func (o *options) byTurns(ctx context.Context, both [sides]*side, p probe, connections int) (ratio, error) {
	m := ratio{what: p.name, bar: maxRatio}
	if connections > 1 {
		m.what += fmt.Sprintf(", %d connections", connections)
		m.bar = maxCrowdedRatio
	}
	var took [sides][]time.Duration
	var ratios []float64
	for round := range o.rounds + 1 {
		var of [sides][]time.Duration
		for turn := range sides {
			i := (turn + round) % sides
			var err error
			if of[i], err = both[i].turn(ctx, p, connections, o.span); err != nil {
				return m, err
			}
		}
		if round == 0 {
			continue // what the first requests take is not measured
		}
		for i := range sides {
			took[i] = append(took[i], of[i]...)
			slices.Sort(of[i])
		}
		ratios = append(ratios, float64(quantile(of[large], 0.5))/float64(quantile(of[small], 0.5)))
	}
	for i := range sides {
		slices.Sort(took[i])
		m.p50[i], m.p99[i] = quantile(took[i], 0.5), quantile(took[i], 0.99)
	}
	slices.Sort(ratios)
	m.ratio = quantile(ratios, 0.5)
	return m, nil
}

// turn measures one probe on one side. Each connection does it once at least.
func (s *side) turn(ctx context.Context, p probe, connections int, span time.Duration) ([]time.Duration, error) {
	took := make([][]time.Duration, connections)
	errs := make([]error, connections)
	begin := time.Now()
	var group sync.WaitGroup
	for i := range connections {
		group.Go(func() {
			r := rand.New(rand.NewPCG(uint64(i), uint64(begin.UnixNano()))) //nolint:gosec // any will do
			for n := 0; n == 0 || time.Since(begin) < span && (p.count == 0 || n < p.count); n++ {
				start := time.Now()
				if errs[i] = p.do(ctx, s, s.connections[i], r); errs[i] != nil {
					return
				}
				took[i] = append(took[i], time.Since(start))
			}
		})
	}
	group.Wait()
	return slices.Concat(took...), errors.Join(errs...)
}
