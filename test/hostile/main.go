// Command hostile attacks the shipped binary over real sockets, and holds it to what the service promises: nothing that it
// acknowledged is missing, nothing brings it down, nothing makes honest senders wait. It starts the binary by itself, on loopback,
// with verified sources for every adapter. It needs Linux: it reads /proc, and sends from addresses like 127.0.0.2.
//
// The exit code is 0 when every promise was kept, 1 when one was broken, and 2 when nothing could be measured.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"time"

	"github.com/callnorm/callnorm/adapters/catalog"
	"github.com/callnorm/callnorm/test/internal/report"
	"github.com/callnorm/callnorm/test/internal/tool"
)

// options are what a run is asked for. A mode whose number is 0 does not run.
type options struct {
	binary string
	seed   uint64

	bodies  int
	senders int
	control bool
	show    int

	slow   int
	rounds int
	span   time.Duration

	bomb   bool
	copies int
}

func main() {
	var o options
	tool.Main(tool.Tool{Name: "hostile", Within: 30 * time.Minute, Flags: o.flags, Run: o.attack})
}

func (o *options) flags(flags *flag.FlagSet) {
	flags.StringVar(&o.binary, "binary", "bin/callnorm", "the binary to attack")
	flags.Uint64Var(&o.seed, "seed", 1, "the same seed makes the same bodies")
	flags.IntVar(&o.bodies, "bodies", 0, "send that many mutated bodies over all adapters, and count them in the store")
	flags.IntVar(&o.senders, "senders", 48, "how many senders share the bodies")
	flags.BoolVar(&o.control, "control", false, "with -bodies: overlook one delivery of the store, so that the count has to fail")
	flags.IntVar(&o.show, "show", -1, "print the body with this number, and end")
	flags.IntVar(&o.slow, "slow", 0, "measure honest senders without and beside that many slow ones")
	flags.IntVar(&o.rounds, "rounds", 5, "with -slow: how many rounds there are with slow senders, and as many without")
	flags.DurationVar(&o.span, "span", 5*time.Second, "with -slow: how long a round takes")
	flags.BoolVar(&o.bomb, "bomb", false, "send gzip bodies of 10 MB that inflate to 10 GB")
	flags.IntVar(&o.copies, "copies", 0, "send that many copies of one delivery at once, over three restarts")
}

var errNothing = errors.New("nothing to do: ask for -bodies, -slow, -bomb or -copies")

// attack runs the modes one after the other, each on a service of its own, and prints what each measured.
func (o *options) attack(ctx context.Context, out, progress io.Writer) (kept bool, err error) {
	set, err := catalog.Set()
	if err != nil {
		return false, err
	}
	doors, err := newDoors(set, o.seed)
	if err != nil {
		return false, err
	}
	g, err := newGenerator(set, doors, o.seed)
	if err != nil {
		return false, err
	}
	if o.show >= 0 {
		_, err := out.Write(g.shot(o.show).body)
		return true, err
	}
	kept = true
	modes := []struct {
		wanted bool
		run    func(ctx context.Context, s *service, g *generator, progress io.Writer) (*report.Report, error)
	}{
		{o.bodies > 0, o.sendBodies}, {o.bomb, o.sendBombs}, {o.copies > 0, o.sendCopies}, {o.slow > 0, o.sendSlowly},
	}
	ran := false
	for _, mode := range modes {
		if !mode.wanted {
			continue
		}
		ran = true
		measured, err := o.on(ctx, g, progress, mode.run)
		if err != nil {
			return false, err
		}
		if err := measured.Print(out); err != nil {
			return false, err
		}
		kept = kept && measured.Kept()
	}
	if !ran {
		return false, errNothing
	}
	return kept, nil
}

// on runs one mode on a service of its own, and adds what holds for all of them.
func (o *options) on(
	ctx context.Context, g *generator, progress io.Writer,
	mode func(ctx context.Context, s *service, g *generator, progress io.Writer) (*report.Report, error),
) (measured *report.Report, err error) {
	s, err := newService(o.binary, g.doors)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Remove()) }()
	if err := s.start(ctx); err != nil {
		return nil, err
	}
	measured, err = mode(ctx, s, g, progress)
	if err != nil {
		return nil, errors.Join(err, s.Said())
	}
	peak, err := s.Peak()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("the process is gone: %w", err), s.Said())
	}
	measured.Checkf(peak <= maxMemory, "peak of resident memory", fmt.Sprintf("under %d MB", maxMemory>>20), "%d MB", peak>>20)
	stopped := s.Stop(ctx)
	measured.Checkf(stopped == nil, "the process", "alive until SIGTERM, then exit code 0", "%s", report.ErrorOr(stopped, "so it was"))
	panics, err := s.Panics()
	if err != nil {
		return nil, err
	}
	measured.Checkf(panics == 0, "panics in its log", "0", "%d", panics)
	return measured, nil
}

// maxMemory is what the process may take, in bytes.
const maxMemory = 512 << 20
