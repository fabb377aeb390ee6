package main

import (
	"context"
	"errors"
	"io"
	"strconv"
	"strings"

	"github.com/callnorm/callnorm/test/internal/report"
)

// exitLocked is the exit code of a process whose directory another one has.
const exitLocked = 4

// second starts a second process on the directory of one that is under load.
func (o *options) second(ctx context.Context, r *report.Report, _ io.Writer) (err error) {
	t, err := o.newTrial(ctx, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.remove(ctx)) }()
	if err := t.service.start(ctx); err != nil {
		return err
	}
	var code int
	var said string
	if err := t.under(ctx, func(ctx context.Context) (err error) {
		alive, done := t.service.While(ctx)
		defer done()
		if err := t.load.reach(alive, before); err != nil {
			return err
		}
		if code, said, err = t.service.Run(alive, "serve", "--data-dir", t.service.data, "--http-addr", "127.0.0.1:0", "--grpc-addr", "127.0.0.1:0"); err != nil {
			return err
		}
		return t.load.reach(alive, t.load.ledger.count()+afterwards)
	}); err != nil {
		return errors.Join(err, t.service.Said())
	}
	r.Note("a second process on the same directory", "")
	r.Checkf(code == exitLocked, "  its exit code", strconv.Itoa(exitLocked), "%d", code)
	names := strings.Contains(said, "in use by another process") && strings.Contains(said, t.service.data)
	r.Checkf(names, "  its message", "says why and where", "%s", map[bool]string{true: "says why and where", false: "does not"}[names])
	if !names {
		r.Examplef("a second process said: %s", said)
	}
	r.Note("  deliveries acknowledged by the first", report.Grouped(t.load.ledger.count()))
	return t.finish(ctx, r, t.court.brief)
}
