package main

import (
	"context"
	"errors"
	"fmt"
)

// Bars of the intake.
const (
	minOfLimit = 0.25 // webhooks a second at 64 connections, of the limit's
	maxTail    = 8    // p99 at 64 connections, of the limit's
	maxFsyncs  = 0.1  // for each webhook at 64 connections
	maxOfFsync = 3    // p50 of one webhook at a time, of one fsync
)

// measureIntake posts webhooks over more and more connections: to a handler that only answers, to the limit, and to the service.
func measureIntake(ctx context.Context, o *options, s *service, r *results) (err error) {
	only, onlyAt, err := startStandIn(ctx, standIn{kind: bare, answer: s.answer})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, only.Remove()) }()
	limit, limitAt, err := startStandIn(ctx, standIn{kind: appending, answer: s.answer})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, limit.Remove()) }()
	if err := r.remember(s, "after the start"); err != nil {
		return err
	}
	table := r.table("Intake: a verified webhook of 6.5 KB, from the connection to the disk",
		"", "webhooks", "p50", "p99", "processor of the server", "of the tool", "webhooks, of the limit's", "p99, of the limit's",
		"processor, of the limit's", "commits for each")
	for _, connections := range []int{1, 16, crowd, 256} {
		l := load{body: s.generator.plain, connections: connections, span: o.span}
		candidates := []candidate{
			{"bare handler", func(ctx context.Context) (turn, error) { return s.generator.post(ctx, only, onlyAt, l) }},
			{"limit: append and shared fsync", func(ctx context.Context) (turn, error) { return s.generator.post(ctx, limit, limitAt, l) }},
			{"callnorm", func(ctx context.Context) (t turn, err error) {
				before, err := s.metric(ctx, "callnorm_commits_total")
				if err != nil {
					return t, err
				}
				if t, err = s.post(ctx, l); err != nil {
					return t, err
				}
				after, err := s.metric(ctx, "callnorm_commits_total")
				t.commits = (after - before) / float64(t.count)
				return t, err
			}},
		}
		if connections == 1 {
			candidates = append(candidates, candidate{"one fsync after an append", func(context.Context) (turn, error) {
				return syncing(limit, s.generator.plain, o.span)
			}})
		}
		_, _ = fmt.Fprintf(r.progress, "  %s\n", counted(connections, "connection"))
		list, err := byTurns(ctx, o.rounds, candidates, r.progress)
		if err != nil {
			return err
		}
		limit, full := list[1], list[2]
		for i, m := range list {
			cells := []string{
				counted(connections, "connection") + ", " + m.name, m.rate(), milliseconds(m.quantile(0.5)), milliseconds(m.quantile(0.99)),
				m.cost(ofServer), m.cost(ofTool), times(m.ratio(limit, turn.perSecond)), times(m.ratio(limit, atQuantile(0.99))),
				times(m.each(ofServer) / limit.each(ofServer)), "",
			}
			switch i {
			case 2:
				cells[len(cells)-1] = fmt.Sprintf("%.3f", m.median(func(t turn) float64 { return t.commits }))
			case 3:
				cells[4], cells[8] = "", "" // the tool does it by itself
			}
			table.row(cells...)
		}
		switch connections {
		case 1:
			ratio := full.ratio(list[3], atQuantile(0.5))
			r.bars.Checkf(ratio <= maxOfFsync, "one webhook at a time, p50, of one fsync", fmt.Sprintf("at most %d", maxOfFsync), "%.2f", ratio)
		case crowd:
			rate, tail := full.ratio(limit, turn.perSecond), full.ratio(limit, atQuantile(0.99))
			shared := full.median(func(t turn) float64 { return t.commits })
			r.bars.Checkf(rate >= minOfLimit, "webhooks at 64 connections, of the limit's", fmt.Sprintf("at least %.2f", minOfLimit), "%.2f", rate)
			r.bars.Checkf(tail <= maxTail, "p99 at 64 connections, of the limit's", fmt.Sprintf("at most %d", maxTail), "%.2f", tail)
			r.bars.Checkf(shared <= maxFsyncs, "commits for each webhook at 64 connections", fmt.Sprintf("at most %.1f", maxFsyncs), "%.3f", shared)
		}
	}
	return nil
}
