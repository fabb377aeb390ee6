// Command scale holds the service to it that nothing takes longer because much is kept: it fills one data directory with few calls
// and one with many, starts the shipped binary on both, and measures them by turns. It needs Linux: it reads /proc.
//
// The exit code is 0 when all was measured, 1 when -check was asked for and a bar is broken, and 2 when it could not be measured.
package main

import (
	"context"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/callnorm/callnorm/test/internal/fill"
	"github.com/callnorm/callnorm/test/internal/tool"
)

// options are what a run is asked for.
type options struct {
	binary   string
	fixtures string
	dir      string
	sizes    [sides]int
	rounds   int
	span     time.Duration
	only     string
	cold     bool
	inside   bool
	profile  string
	check    bool
}

func main() {
	var o options
	tool.Main(tool.Tool{Name: "scale", Within: 3 * time.Hour, Flags: o.flags, Run: o.run})
}

func (o *options) flags(flags *flag.FlagSet) {
	tool.Common(flags, &o.binary, &o.fixtures)
	flags.StringVar(&o.dir, "dir", "", "keep the filled directories here, and take those that are there (a temporary one that is removed)")
	flags.IntVar(&o.sizes[small], "small", 10_000, "how many calls the one has")
	flags.IntVar(&o.sizes[large], "large", 1_000_000, "how many calls the other has")
	flags.IntVar(&o.rounds, "rounds", 10, "how often each is measured, by turns")
	flags.DurationVar(&o.span, "span", 300*time.Millisecond, "how long a turn takes, at most")
	flags.StringVar(&o.only, "only", "", "measure only what has this text in its name")
	flags.BoolVar(&o.cold, "cold", false, "do not read the databases into memory before")
	flags.BoolVar(&o.inside, "inside", false, "measure the store and the intake within this process, without server and sockets")
	flags.StringVar(&o.profile, "profile", "", "with -inside: write a profile of the processor's time to this file")
	flags.BoolVar(&o.check, "check", false, "fail when a bar is broken")
}

func (o *options) run(ctx context.Context, out, progress io.Writer) (kept bool, err error) {
	kept, err = o.measure(ctx, out, progress)
	return kept || !o.check, err
}

// measure fills the directories, measures, and prints the table.
func (o *options) measure(ctx context.Context, out, progress io.Writer) (kept bool, err error) {
	dir := o.dir
	if dir == "" {
		if dir, err = os.MkdirTemp("", "callnorm-scale-"); err != nil {
			return false, err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	}
	texts, err := fill.ReadBodies(o.fixtures)
	if err != nil {
		return false, err
	}
	var filled [sides]*fill.Directory
	end := time.Now().Truncate(time.Second)
	for side, calls := range o.sizes {
		name := filepath.Join(dir, strconv.Itoa(calls))
		if filled[side], err = fill.Fill(ctx, name, fill.Set{Calls: calls, End: end, Bodies: texts}, progress); err != nil {
			return false, err
		}
	}
	var r table
	if o.inside {
		err = o.measureInside(ctx, filled, &r, progress)
	} else {
		err = o.measureBinary(ctx, filled, &r, progress)
	}
	if err != nil {
		return false, err
	}
	return r.kept(), r.print(out, o.sizes)
}
