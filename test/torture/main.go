// Command torture breaks the machine under the shipped binary, and holds it to what the service promises: what was acknowledged is
// there, and what is not there was not acknowledged. It starts the binary by itself, on loopback, and loads it, while it cuts the
// power, kills the process, fills the disk, lets writes and syncs fail, asks it to end, and damages what it has kept.
//
// It needs Linux. All but -parts crashes,second,terminate,damage -cuts 0 needs root, since it makes file systems on loop devices; some parts
// need strace. The exit code is 0 when every promise was kept, 1 when one was broken, and 2 when nothing could be measured.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/callnorm/callnorm/test/internal/process"
	"github.com/callnorm/callnorm/test/internal/report"
)

// Exit codes.
const (
	exitKept       = 0
	exitBroken     = 1
	exitUnmeasured = 2
)

// options are what a run is asked for.
type options struct {
	binary   string
	fixtures string
	within   time.Duration
	seed     uint64
	parts    string

	cuts       int
	kills      int
	deliveries int
	senders    int
	readers    int
	streams    int
	damages    int
}

// part is one kind of fault.
type part struct {
	name string
	// root tells whether it needs root, and tools what it runs.
	root  func(*options) bool
	tools []string
	run   func(o *options, ctx context.Context, r *report.Report, progress io.Writer) error
}

func always(*options) bool { return true }
func never(*options) bool  { return false }

var parts = []part{
	{"crashes", func(o *options) bool { return o.cuts > 0 }, nil, (*options).crashes},
	{"control", always, []string{tracer}, (*options).control},
	{"full", always, nil, (*options).full},
	{"faulty", always, []string{tracer}, (*options).faulty},
	{"second", never, nil, (*options).second},
	{"terminate", never, nil, (*options).terminate},
	{"damage", never, nil, (*options).damage},
}

func partNames() []string {
	var names []string
	for _, p := range parts {
		names = append(names, p.name)
	}
	return names
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args []string, out, progress io.Writer) int {
	var o options
	flags := flag.NewFlagSet("torture", flag.ContinueOnError)
	flags.SetOutput(progress)
	flags.StringVar(&o.binary, "binary", "bin/callnorm", "the binary to torture")
	flags.StringVar(&o.fixtures, "fixtures", "adapters", "the folder of the adapters, whose testdata is what bodies are made of")
	flags.DurationVar(&o.within, "within", 3*time.Hour, "how long all of it may take")
	flags.Uint64Var(&o.seed, "seed", 0, "what is drawn depends on it; 0 draws a seed, and prints it")
	flags.StringVar(&o.parts, "parts", strings.Join(partNames(), ","), "what is done, in this order")
	flags.IntVar(&o.cuts, "cuts", 200, "how often the power is cut; 0 needs no root for that part")
	flags.IntVar(&o.kills, "kills", 200, "how often the process is killed")
	flags.IntVar(&o.deliveries, "deliveries", 1_000_000, "how many deliveries are acknowledged over these faults at least")
	flags.IntVar(&o.senders, "senders", 64, "how many connections webhooks are sent over")
	flags.IntVar(&o.readers, "readers", 3, "how many readers follow, and resume after each fault")
	flags.IntVar(&o.streams, "streams", 100, "how many streams are open at SIGTERM")
	flags.IntVar(&o.damages, "damages", 200, "how often the files of a store at rest are damaged")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return exitKept
	case err != nil:
		return exitUnmeasured
	}
	if o.seed == 0 {
		o.seed = 1 + rand.Uint64N(1_000_000) //nolint:gosec // it has to be printed, not secret
	}
	ctx, cancel := context.WithTimeout(ctx, o.within)
	defer cancel()
	_, _ = fmt.Fprintf(progress, "seed %d\n", o.seed)
	measured, err := o.torture(ctx, progress)
	if err != nil {
		_, _ = fmt.Fprintln(progress, "torture:", err)
	} else {
		err = measured.Print(out)
	}
	switch {
	case errors.Is(err, process.ErrGone), err == nil && !measured.Kept():
		return exitBroken
	case err != nil:
		return exitUnmeasured
	}
	return exitKept
}

var errOptions = errors.New("no negative number of cuts, kills and damages, at least one delivery, sender, reader and stream")

// torture runs the parts one after the other, each on a service of its own.
func (o *options) torture(ctx context.Context, progress io.Writer) (*report.Report, error) {
	if min(o.cuts, o.kills, o.damages) < 0 || min(o.deliveries, o.senders, o.readers, o.streams) < 1 {
		return nil, errOptions
	}
	chosen, err := o.chosen()
	if err != nil {
		return nil, err
	}
	r := &report.Report{Title: fmt.Sprintf("%s, %d connections, %d readers, seed %d", o.parts, o.senders, o.readers, o.seed)}
	for _, p := range chosen {
		_, _ = fmt.Fprintf(progress, "-- %s\n", p.name)
		if err := p.run(o, ctx, r, progress); err != nil {
			return nil, fmt.Errorf("%s: %w", p.name, err)
		}
	}
	return r, nil
}

// chosen returns the parts that are wanted, if this machine has what they need.
func (o *options) chosen() (list []part, err error) {
	for name := range strings.SplitSeq(o.parts, ",") {
		at := slices.IndexFunc(parts, func(p part) bool { return p.name == name })
		if at < 0 {
			return nil, fmt.Errorf("there is no part %q; there are: %s", name, strings.Join(partNames(), ", "))
		}
		p := parts[at]
		if p.root(o) {
			if os.Geteuid() != 0 {
				return nil, fmt.Errorf("part %s needs root, as it makes a file system on a loop device; "+
					"-parts crashes,second,terminate,damage -cuts 0 does without", name)
			}
			p.tools = append(slices.Clone(p.tools), "losetup", "mkfs.ext4", "mount", "umount")
		}
		for _, tool := range p.tools {
			if _, err := exec.LookPath(tool); err != nil {
				return nil, fmt.Errorf("part %s needs %s (Debian: strace, e2fsprogs, mount): %w", name, tool, err)
			}
		}
		list = append(list, p)
	}
	return list, nil
}
