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
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/callnorm/callnorm/test/internal/report"
	"github.com/callnorm/callnorm/test/internal/tool"
)

// options are what a run is asked for.
type options struct {
	binary   string
	fixtures string
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
	var o options
	tool.Main(tool.Tool{Name: "torture", Within: 3 * time.Hour, Flags: o.flags, Run: o.run})
}

func (o *options) flags(flags *flag.FlagSet) {
	tool.Common(flags, &o.binary, &o.fixtures)
	tool.Seed(flags, &o.seed)
	flags.StringVar(&o.parts, "parts", strings.Join(partNames(), ","), "what is done, in this order")
	flags.IntVar(&o.cuts, "cuts", 200, "how often the power is cut; 0 needs no root for that part")
	flags.IntVar(&o.kills, "kills", 200, "how often the process is killed")
	flags.IntVar(&o.deliveries, "deliveries", 1_000_000, "how many deliveries are acknowledged over these faults at least")
	flags.IntVar(&o.senders, "senders", 64, "how many connections webhooks are sent over")
	flags.IntVar(&o.readers, "readers", 3, "how many readers follow, and resume after each fault")
	flags.IntVar(&o.streams, "streams", 100, "how many streams are open at SIGTERM")
	flags.IntVar(&o.damages, "damages", 200, "how often the files of a store at rest are damaged")
}

func (o *options) run(ctx context.Context, out, progress io.Writer) (kept bool, err error) {
	tool.Draw(&o.seed, progress)
	measured, err := o.torture(ctx, progress)
	return tool.Print(measured, err, out)
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
		for _, name := range p.tools {
			if _, err := exec.LookPath(name); err != nil {
				return nil, fmt.Errorf("part %s needs %s (Debian: strace, e2fsprogs, mount): %w", p.name, name, err)
			}
		}
		list = append(list, p)
	}
	return list, nil
}
