package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/callnorm/callnorm/test/internal/process"
	"github.com/callnorm/callnorm/test/internal/report"
	"github.com/callnorm/callnorm/test/internal/tool"
)

const (
	// diskSize is more than a million small deliveries need. The image takes no more room than is written to it.
	diskSize = 32 << 30
	// longest is how long the load goes on at most after the share of a round was acknowledged, so that no two faults hit the same moment.
	longest = 300 * time.Millisecond
	// tellEvery is how many rounds go by without a word.
	tellEvery = 20
)

// crashes cuts the power and kills the process under load, by turns that are drawn.
func (o *options) crashes(ctx context.Context, r *report.Report, progress io.Writer) (err error) {
	size := int64(0)
	if o.cuts > 0 {
		size = diskSize
	}
	t, err := o.newTrial(ctx, size)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.remove(ctx)) }()
	random := rand.New(rand.NewPCG(o.seed, 0)) //nolint:gosec // it has to be repeatable, not secret
	cuts := make([]bool, o.cuts+o.kills)
	for i := range o.cuts {
		cuts[i] = true
	}
	random.Shuffle(len(cuts), func(i, k int) { cuts[i], cuts[k] = cuts[k], cuts[i] })
	begun := time.Now()
	for n, cut := range cuts {
		if err := t.round(ctx, (n+1)*o.deliveries/len(cuts), time.Duration(random.Int64N(int64(longest))), cut); err != nil {
			return errors.Join(fmt.Errorf("round %d: %w", n+1, err), t.service.Said())
		}
		if (n+1)%tellEvery == 0 {
			_, _ = fmt.Fprintf(progress, "%d faults, %s acknowledged, %d lost, after %s\n",
				n+1, report.Grouped(t.load.ledger.count()), t.court.lost, time.Since(begun).Round(time.Second))
		}
	}
	if err := t.service.start(ctx); err != nil {
		return err
	}
	r.Note(fmt.Sprintf("%d power cuts and %d kills under load", o.cuts, o.kills), time.Since(begun).Round(time.Second).String())
	acknowledged := t.load.ledger.count()
	r.Checkf(acknowledged >= o.deliveries, "  deliveries acknowledged", "at least "+report.Grouped(o.deliveries), "%s", report.Grouped(acknowledged))
	size, err = t.size()
	if err != nil {
		return err
	}
	r.Note("  bytes of the store", report.Grouped(size>>20)+" MB")
	r.Note("  requests whose connection was lost", report.Grouped(t.load.broken.Load()))
	if err := t.finish(ctx, r, t.court.report); err != nil {
		return errors.Join(err, t.service.Said())
	}
	return nil
}

// round starts the service, judges what the fault before has left, loads it until enough was acknowledged, and lets the next fault happen.
func (t *trial) round(ctx context.Context, enough int, more time.Duration, cut bool) error {
	if err := t.service.start(ctx); err != nil {
		return err
	}
	if err := t.judge(ctx); err != nil {
		return err
	}
	if err := t.under(ctx, func(ctx context.Context) error {
		alive, done := t.service.While(ctx)
		defer done()
		if err := t.load.reach(alive, enough); err != nil {
			return err
		}
		if err := tool.Wait(alive, more); err != nil {
			return err
		}
		if cut {
			if err := t.cut(); err != nil {
				return err
			}
		}
		t.service.Kill()
		return nil
	}); err != nil {
		return err
	}
	if cut {
		return t.disk.repower(ctx)
	}
	return nil
}

// controls is how often the control cuts the power.
const controls = 3

// unsynced lets every sync succeed without one having happened.
var unsynced = traced("--inject=fsync,fdatasync,sync_file_range,msync,syncfs,sync:retval=0")

// control cuts the power of a service that syncs nothing: it must lose something, or the cuts are none.
func (o *options) control(ctx context.Context, r *report.Report, progress io.Writer) (err error) {
	acknowledged, lost, unopened := 0, 0, 0
	for n := range controls {
		kept, gone, opened, err := o.withoutSync(ctx)
		if err != nil {
			return err
		}
		acknowledged, lost = acknowledged+kept, lost+gone
		if !opened {
			unopened++
		}
		_, _ = fmt.Fprintf(progress, "control %d: %s acknowledged without a sync, %s lost\n", n+1, report.Grouped(kept), report.Grouped(gone))
	}
	r.Note(fmt.Sprintf("control: %d power cuts while no sync happens", controls), "")
	r.Note("  deliveries acknowledged", report.Grouped(acknowledged))
	r.Checkf(lost > 0, "  of these lost", "more than 0", "%s", report.Grouped(lost))
	r.Note("  stores that could not be opened", strconv.Itoa(unopened))
	return nil
}

// withoutSync cuts the power once, on a store of its own.
func (o *options) withoutSync(ctx context.Context) (acknowledged, lost int, opened bool, err error) {
	t, err := o.newTrial(ctx, diskSize)
	if err != nil {
		return 0, 0, false, err
	}
	defer func() { err = errors.Join(err, t.remove(ctx)) }()
	if err := t.filledWith(ctx, before); err != nil {
		return 0, 0, false, err
	}
	t.service.Under = unsynced
	const unsafely = 2000
	if err := t.round(ctx, before+unsafely, 0, true); err != nil {
		return 0, 0, false, errors.Join(err, t.service.Said())
	}
	t.service.Under = nil
	acknowledged = t.load.ledger.count()
	switch err := t.service.start(ctx); {
	case errors.Is(err, process.ErrNoAddress):
		return acknowledged, acknowledged, false, nil
	case err != nil:
		return 0, 0, false, err
	}
	if err := t.judge(ctx); err != nil {
		return 0, 0, false, errors.Join(err, t.service.Said())
	}
	return acknowledged, t.court.lost, true, nil
}
