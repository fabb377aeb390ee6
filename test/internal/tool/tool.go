// Package tool is the frame of the programs that run the shipped binary and hold it to something: flags, a time limit, a seed, and an
// exit code that a build can go by.
package tool

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/callnorm/callnorm/test/internal/process"
	"github.com/callnorm/callnorm/test/internal/report"
)

// Exit codes of all of them.
const (
	Kept       = 0 // every promise was kept, or none was asked for
	Broken     = 1 // a promise was broken, or the binary ended in the midst of it
	Unmeasured = 2 // nothing could be measured
)

// Tool is one of them.
type Tool struct {
	Name string
	// Within is how long all of it may take, unless -within says otherwise.
	Within time.Duration
	// Flags adds its own.
	Flags func(*flag.FlagSet)
	// Run does the work: it prints its tables to out, and where it is to progress. It returns whether all is as promised.
	Run func(ctx context.Context, out, progress io.Writer) (kept bool, err error)
}

// Main runs a tool with the arguments of this process, and ends it.
func Main(t Tool) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := t.run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

func (t Tool) run(ctx context.Context, args []string, out, progress io.Writer) int {
	flags := flag.NewFlagSet(t.Name, flag.ContinueOnError)
	flags.SetOutput(progress)
	within := flags.Duration("within", t.Within, "how long all of it may take")
	t.Flags(flags)
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return Kept
	case err != nil:
		return Unmeasured
	}
	ctx, cancel := context.WithTimeout(ctx, *within)
	defer cancel()
	kept, err := t.Run(ctx, out, progress)
	if err != nil {
		_, _ = fmt.Fprintf(progress, "%s: %v\n", t.Name, err)
	}
	switch {
	case errors.Is(err, process.ErrGone), err == nil && !kept:
		return Broken
	case err != nil:
		return Unmeasured
	}
	return Kept
}

// Common adds the flags for the binary and for where the adapters' sample bodies are.
func Common(flags *flag.FlagSet, binary, fixtures *string) {
	flags.StringVar(binary, "binary", "bin/callnorm", "the binary to start")
	flags.StringVar(fixtures, "fixtures", "adapters", "the folder of the adapters, whose testdata is what bodies are made of")
}

// Seed adds a flag for a seed.
func Seed(flags *flag.FlagSet, seed *uint64) {
	flags.Uint64Var(seed, "seed", 0, "what is drawn depends on it; 0 draws a seed, and prints it")
}

// Draw draws a seed if none is given, and prints it.
func Draw(seed *uint64, progress io.Writer) {
	if *seed == 0 {
		*seed = 1 + rand.Uint64N(1_000_000) //nolint:gosec // it has to be printed, not secret
	}
	_, _ = fmt.Fprintf(progress, "seed %d\n", *seed)
}

// Print prints what was measured, and returns whether it is as promised.
func Print(measured *report.Report, err error, out io.Writer) (kept bool, _ error) {
	if err != nil {
		return false, err
	}
	return measured.Kept(), measured.Print(out)
}

// Wait waits, or returns the reason when the context ends first.
func Wait(ctx context.Context, long time.Duration) error {
	timer := time.NewTimer(long)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
