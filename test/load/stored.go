package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/callnorm/callnorm/test/internal/fill"
	"github.com/callnorm/callnorm/test/internal/report"
)

const (
	// posted bounds the webhooks of each connection in a turn: they make the small ones larger.
	posted = 8
	// postedAlone does the same for one connection.
	postedAlone = 64
)

// Bars of a service with many calls stored, beside the first one: p50 of one webhook at a time and of those at 64 connections; and
// when it has started, how long that took and what memory it has.
const (
	maxOfFirst, maxCrowdedOfFirst = 1.3, 2
	maxStart                      = 2 * time.Second
	maxMemory                     = 150 << 20
)

// side is a service on a filled directory, or on an empty one.
type side struct {
	*service

	name  string
	calls *fill.Directory // nil for none
}

// measureStored measures services that have more and more calls stored, by turns, and beside them one that had none.
func measureStored(ctx context.Context, o *options, s *service, r *results) (err error) {
	if o.calls == 0 {
		return nil
	}
	dir := o.dir
	if dir == "" {
		if dir, err = os.MkdirTemp("", "callnorm-load-"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	}
	bodies, err := fill.ReadBodies(o.fixtures)
	if err != nil {
		return err
	}
	list := []side{{name: "none"}}
	end := time.Now().Truncate(time.Second)
	for _, calls := range sizes(o.calls) {
		filled, err := fill.Fill(ctx, filepath.Join(dir, strconv.Itoa(calls)), fill.Set{Calls: calls, End: end, Bodies: bodies}, r.progress)
		if err != nil {
			return err
		}
		list = append(list, side{name: report.Grouped(calls), calls: filled})
	}
	memory := r.table("Calls stored: start and memory of the service", "", "ready after", "memory then", "in the end", "at most until then")
	for i := range list {
		where := ""
		if list[i].calls != nil {
			where = list[i].calls.Path
		}
		if list[i].service, err = newService(o.binary, where, s.generator); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, list[i].Remove()) }()
		if err := list[i].start(ctx); err != nil {
			return err
		}
		now, err := list[i].Resident()
		if err != nil {
			return err
		}
		memory.row(list[i].name, milliseconds(list[i].ready), megabytes(now))
		r.bars.Checkf(list[i].ready < maxStart, "ready after the start, calls stored: "+list[i].name, "under "+maxStart.String(), "%s", milliseconds(list[i].ready))
		r.bars.Checkf(now < maxMemory, "memory after the start, calls stored: "+list[i].name, fmt.Sprintf("under %d MB", maxMemory>>20), "%s", megabytes(now))
	}
	if err := o.compareStored(ctx, list, r); err != nil {
		return err
	}
	for i, one := range list {
		now, err := one.Resident()
		if err != nil {
			return err
		}
		peak, err := one.Peak()
		if err != nil {
			return err
		}
		memory.rows[i] = append(memory.rows[i], megabytes(now), megabytes(peak))
		if err := one.Stop(ctx); err != nil {
			return err
		}
	}
	return nil
}

// compareStored measures the services by turns. Those with calls are warm: what the disk takes is no matter of the store's.
func (o *options) compareStored(ctx context.Context, list []side, r *results) error {
	for _, one := range list {
		if one.calls == nil {
			if err := one.haveKept(ctx, o.outcomes/4); err != nil {
				return err
			}
		} else if err := one.calls.Warm(); err != nil {
			return err
		}
	}
	first := list[1].name
	table := r.table("Calls stored: intake of webhooks with numbers, and one subscriber from the beginning (undecoded)",
		"", "each second", "p50", "p99", "processor of the server", "each second, of "+first, "p50, of "+first, "p99, of "+first)
	for _, probe := range []struct {
		name string
		bar  float64
		do   func(ctx context.Context, one side) (turn, error)
	}{
		{"1 connection", maxOfFirst, func(ctx context.Context, one side) (turn, error) {
			return one.post(ctx, load{body: one.generator.dialed, connections: 1, span: o.span, most: postedAlone})
		}},
		{"64 connections", maxCrowdedOfFirst, func(ctx context.Context, one side) (turn, error) {
			return one.post(ctx, load{body: one.generator.dialed, connections: crowd, span: o.span, most: posted})
		}},
		{"from the beginning", 0, func(ctx context.Context, one side) (turn, error) {
			return one.followFromBeginning(ctx, manner{subscribers: 1, most: o.outcomes / 4})
		}},
	} {
		var candidates []candidate
		for _, one := range list {
			candidates = append(candidates, candidate{probe.name + ", calls stored: " + one.name, func(ctx context.Context) (turn, error) {
				return probe.do(ctx, one)
			}})
		}
		measured, err := byTurns(ctx, o.rounds, candidates, r.progress)
		if err != nil {
			return err
		}
		for i, m := range measured {
			cells := []string{m.name, m.rate(), "", "", m.cost(ofServer), times(m.ratio(measured[1], turn.perSecond)), "", ""}
			if probe.bar > 0 {
				ratio := m.ratio(measured[1], atQuantile(0.5))
				cells[2], cells[3] = milliseconds(m.quantile(0.5)), milliseconds(m.quantile(0.99))
				cells[6], cells[7] = times(ratio), times(m.ratio(measured[1], atQuantile(0.99)))
				if i > 1 {
					r.bars.Checkf(ratio <= probe.bar, m.name+", p50, of "+first, fmt.Sprintf("at most %.1f", probe.bar), "%.2f", ratio)
				}
			}
			table.row(cells...)
		}
	}
	return nil
}
