// Command load measures the shipped binary over real sockets, side by side with what is physically possible: a handler that only
// answers, one that appends to a file with a shared fsync, an echo over gRPC. All run as processes of their own, under the same load
// generator, by turns; ratios travel between machines, times do not. It needs Linux: it reads /proc.
//
// The exit code is 0 when all was measured, 1 when -check was asked for and a bar is broken, and 2 when it could not be measured.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/callnorm/callnorm/test/internal/tool"
)

// options are what a run is asked for.
type options struct {
	binary   string
	fixtures string
	dir      string
	calls    int
	rounds   int
	span     time.Duration
	outcomes int
	rate     int
	only     string
	check    bool

	standIn standIn
}

// sizes lists how many calls the stores have: ten thousand, ten times as many, and so on, and last as many as asked for.
func sizes(calls int) (list []int) {
	const least = 10_000
	for size := least; size < calls; size *= 10 {
		list = append(list, size)
	}
	if calls > 0 {
		list = append(list, calls)
	}
	return list
}

func main() {
	var o options
	tool.Main(tool.Tool{Name: "load", Within: time.Hour, Flags: o.flags, Run: o.run})
}

func (o *options) flags(flags *flag.FlagSet) {
	tool.Common(flags, &o.binary, &o.fixtures)
	flags.StringVar(&o.dir, "dir", "", "keep the filled directories here, and take those that are there (temporary ones that are removed)")
	flags.IntVar(&o.calls, "calls", 0, "measure also with calls stored: 10,000, ten times as many, and so on, up to this number")
	flags.IntVar(&o.rounds, "rounds", 5, "how often each is measured, by turns")
	flags.DurationVar(&o.span, "span", 500*time.Millisecond, "how long a turn takes")
	flags.IntVar(&o.outcomes, "outcomes", 10_000, "how many outcomes a subscriber follows from the beginning, at most")
	flags.IntVar(&o.rate, "rate", 400, "how many webhooks a second come while subscribers follow live")
	flags.StringVar(&o.only, "only", "", "measure only the part with this name: "+strings.Join(names(), ", "))
	flags.BoolVar(&o.check, "check", false, "fail when a bar is broken")
	o.standIn.flags(flags)
}

func (o *options) run(ctx context.Context, out, progress io.Writer) (kept bool, err error) {
	if o.standIn.kind != "" {
		return true, o.standIn.serve(ctx, out)
	}
	kept, err = o.measure(ctx, out, progress)
	return kept || !o.check, err
}

// part is one table of the run.
type part struct {
	name string
	// alone tells that it needs no service that has taken webhooks in.
	alone bool
	run   func(ctx context.Context, o *options, s *service, r *results) error
}

// parts lists them, in an order in which each finds what it needs.
func parts() []part {
	return []part{
		{"decode", true, measureDecoding},
		{"intake", false, measureIntake},
		{"normalize", false, measureNormalize},
		{"beginning", false, measureFromBeginning},
		{"live", false, measureLive},
		{"stored", true, measureStored},
	}
}

func names() []string {
	var list []string
	for _, p := range parts() {
		list = append(list, p.name)
	}
	return list
}

var errOptions = errors.New("at least one round and one outcome, a rate of at least 64, and a part that there is; -only stored needs -calls")

// measure runs the parts, and prints what came out.
func (o *options) measure(ctx context.Context, out, progress io.Writer) (kept bool, err error) {
	chosen := parts()
	if o.only != "" {
		chosen = nil
		for _, p := range parts() {
			if p.name == o.only {
				chosen = append(chosen, p)
			}
		}
	}
	if o.rounds < 1 || o.outcomes < 1 || o.rate < crowd || len(chosen) == 0 || o.only == "stored" && o.calls < 1 {
		return false, errOptions
	}
	generator, err := newGenerator(o.fixtures)
	if err != nil {
		return false, err
	}
	s, err := newService(o.binary, "", generator)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, s.Remove()) }()
	if err := s.start(ctx); err != nil {
		return false, err
	}
	r := newResults(progress)
	for _, p := range chosen {
		_, _ = fmt.Fprintln(progress, p.name)
		if err := p.run(ctx, o, s, r); err != nil {
			return false, errors.Join(fmt.Errorf("%s: %w", p.name, err), s.Said())
		}
		if p.alone {
			continue
		}
		if err := r.remember(s, "after "+p.name); err != nil {
			return false, err
		}
	}
	select {
	case <-time.After(settle):
	case <-ctx.Done():
		return false, ctx.Err()
	}
	if err := r.remember(s, "when it was left alone for "+settle.String()); err != nil {
		return false, err
	}
	if err := s.Stop(ctx); err != nil {
		return false, err
	}
	return r.print(out)
}

// settle is how long the service is left alone before its memory is looked at for the last time.
const settle = 5 * time.Second
