package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"time"
)

// candidate is one of those that are measured side by side.
type candidate struct {
	name string
	turn func(ctx context.Context) (turn, error)
}

// measured is what came out for a candidate, one turn for each round.
type measured struct {
	name  string
	turns []turn
}

// byTurns measures candidates round by round. What hits the machine hits all of them: they take turns, another one first each time.
// The first round is not counted.
func byTurns(ctx context.Context, rounds int, candidates []candidate, progress io.Writer) ([]measured, error) {
	list := make([]measured, len(candidates))
	for round := range rounds + 1 {
		for n := range candidates {
			i := (n + round) % len(candidates)
			t, err := candidates[i].turn(ctx)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", candidates[i].name, err)
			}
			if round > 0 {
				list[i].turns = append(list[i].turns, t)
			}
		}
	}
	for i, c := range candidates {
		list[i].name = c.name
		_, _ = fmt.Fprintf(progress, "  %s: %s\n", c.name, list[i].rate())
	}
	return list, nil
}

// median returns the median of a figure over the rounds.
func (m measured) median(of func(turn) float64) float64 {
	var list []float64
	for _, t := range m.turns {
		list = append(list, of(t))
	}
	return middle(list)
}

// ratio returns the median, over the rounds, of a figure to the same figure of another one.
func (m measured) ratio(other measured, of func(turn) float64) float64 {
	var list []float64
	for i, t := range m.turns {
		list = append(list, of(t)/of(other.turns[i]))
	}
	return middle(list)
}

// count is how much was done in all rounds.
func (m measured) count() (n int) {
	for _, t := range m.turns {
		n += t.count
	}
	return n
}

// quantile returns a quantile of the times of all rounds.
func (m measured) quantile(share float64) time.Duration {
	var all []time.Duration
	for _, t := range m.turns {
		all = append(all, t.took...)
	}
	return quantile(all, share)
}

func (m measured) rate() string { return fmt.Sprintf("%.0f/s", m.median(turn.perSecond)) }

// each is what a process has worked for each.
func (m measured) each(of func(turn) time.Duration) float64 {
	var sum time.Duration
	for _, t := range m.turns {
		sum += of(t)
	}
	return float64(sum) / float64(m.count())
}

func (m measured) cost(of func(turn) time.Duration) string {
	return fmt.Sprintf("%.0f µs", m.each(of)/float64(time.Microsecond))
}

func ofServer(t turn) time.Duration { return t.server }
func ofTool(t turn) time.Duration   { return t.tool }

// atQuantile returns the quantile of the times of a turn.
func atQuantile(share float64) func(turn) float64 {
	return func(t turn) float64 { return float64(quantile(t.took, share)) }
}

// quantile returns the least of values that a share of them does not exceed, or the zero value of none.
func quantile[T cmp.Ordered](values []T, share float64) (zero T) {
	if len(values) == 0 {
		return zero
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[min(len(sorted)-1, int(share*float64(len(sorted))))]
}

func middle(values []float64) float64 { return quantile(values, 0.5) }
