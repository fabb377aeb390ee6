// Command scale holds the service to it that nothing takes longer because much is kept: it fills one data directory with few calls
// and one with many, starts the shipped binary on both, and measures them by turns. It needs Linux: it reads /proc.
//
// The exit code is 0 when all was measured, 1 when -check was asked for and a bar is broken, and 2 when it could not be measured.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/callnorm/callnorm/test/internal/fill"
)

// Exit codes.
const (
	exitMeasured   = 0
	exitBroken     = 1
	exitUnmeasured = 2
)

// options are what a run is asked for.
type options struct {
	binary   string
	fixtures string
	dir      string
	sizes    [sides]int
	rounds   int
	span     time.Duration
	within   time.Duration
	only     string
	cold     bool
	inside   bool
	profile  string
	check    bool
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args []string, out, progress io.Writer) int {
	var o options
	flags := flag.NewFlagSet("scale", flag.ContinueOnError)
	flags.SetOutput(progress)
	flags.StringVar(&o.binary, "binary", "bin/callnorm", "the binary to measure")
	flags.StringVar(&o.fixtures, "fixtures", "adapters", "the folder of the adapters, whose testdata has the sample bodies")
	flags.StringVar(&o.dir, "dir", "", "keep the filled directories here, and take those that are there (a temporary one that is removed)")
	flags.IntVar(&o.sizes[small], "small", 10_000, "how many calls the one has")
	flags.IntVar(&o.sizes[large], "large", 1_000_000, "how many calls the other has")
	flags.IntVar(&o.rounds, "rounds", 10, "how often each is measured, by turns")
	flags.DurationVar(&o.span, "span", 300*time.Millisecond, "how long a turn takes, at most")
	flags.DurationVar(&o.within, "within", 3*time.Hour, "how long all of it may take")
	flags.StringVar(&o.only, "only", "", "measure only what has this text in its name")
	flags.BoolVar(&o.cold, "cold", false, "do not read the databases into memory before")
	flags.BoolVar(&o.inside, "inside", false, "measure the store and the intake within this process, without server and sockets")
	flags.StringVar(&o.profile, "profile", "", "with -inside: write a profile of the processor's time to this file")
	flags.BoolVar(&o.check, "check", false, "fail when a bar is broken")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return exitMeasured
	case err != nil:
		return exitUnmeasured
	}
	ctx, cancel := context.WithTimeout(ctx, o.within)
	defer cancel()
	kept, err := o.measure(ctx, out, progress)
	switch {
	case err != nil:
		_, _ = fmt.Fprintln(progress, "scale:", err)
		return exitUnmeasured
	case o.check && !kept:
		return exitBroken
	}
	return exitMeasured
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
