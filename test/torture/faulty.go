package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/callnorm/callnorm/test/internal/process"
	"github.com/callnorm/callnorm/test/internal/report"
	"github.com/callnorm/callnorm/test/internal/tool"
)

// fault is a device that fails, as strace makes it fail: the system call is not carried out, or later.
type fault struct {
	what   string
	inject string
	// file is the one of the store that is hit, all when it is empty.
	file string
	// slow tells that nothing fails.
	slow bool
}

// Calls are counted for each thread, and the service has several.
var faults = []fault{
	{"one fsync of the journal fails, in each thread", "fsync,fdatasync:error=EIO:when=20", "callnorm.db-wal", false},
	{"every fsync fails from some time on", "fsync,fdatasync:error=EIO:when=20+", "", false},
	{"every fsync of the database fails, and none of the journal", "fsync,fdatasync:error=EIO", "callnorm.db", false},
	{"one write to the journal fails, in each thread", "pwrite64:error=EIO:when=500", "callnorm.db-wal", false},
	{"every write to the database fails", "pwrite64:error=EIO", "callnorm.db", false},
	{"every fsync takes 300 ms longer", "fsync,fdatasync:delay_exit=300000", "", true},
}

const (
	// exitDisk is the exit code that tells a supervisor to start the service again, since a write or a sync has failed.
	exitDisk = 3
	// failing is how long the load goes on at most until the fault shows, and lingering after that, if the process is there still.
	failing, lingering = 90 * time.Second, 5 * time.Second
	// slowly is how much is acknowledged when nothing but time is lost.
	slowly = 3000
	// answerWithin is how long an answer may take in any case.
	answerWithin = 5 * time.Second
)

// faulty lets writes and syncs fail, then cuts the power, since only that shows what was synced.
func (o *options) faulty(ctx context.Context, r *report.Report, progress io.Writer) error {
	for _, f := range faults {
		if err := o.fails(ctx, f, r); err != nil {
			return fmt.Errorf("%s: %w", f.what, err)
		}
		_, _ = fmt.Fprintln(progress, f.what)
	}
	return nil
}

func (o *options) fails(ctx context.Context, f fault, r *report.Report) (err error) {
	t, err := o.newTrial(ctx, diskSize)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.remove(ctx)) }()
	// The store is there before it fails, with something in it.
	if err := t.filledWith(ctx, before); err != nil {
		return err
	}
	t.service.Under = f.strace(t.service.data)
	if err := t.service.start(ctx); err != nil {
		return errors.Join(err, t.service.Said())
	}
	code, ended := 0, false
	if err := t.under(ctx, func(ctx context.Context) error {
		if f.slow {
			return t.load.reach(ctx, t.load.ledger.count()+slowly)
		}
		code, ended, err = t.untilItEnds(ctx)
		return err
	}); err != nil {
		return errors.Join(err, t.service.Said())
	}
	if err := t.cut(); err != nil {
		return err
	}
	t.service.End()
	if err := t.disk.repower(ctx); err != nil {
		return err
	}
	r.Note(f.what, "")
	if f.slow {
		r.Note("  acknowledged meanwhile", report.Grouped(slowly))
	} else {
		said, err := t.says("input/output error", "disk I/O error")
		if err != nil {
			return err
		}
		r.Checkf(ended && code == exitDisk, "  the process", fmt.Sprintf("exit code %d", exitDisk), "%s", ending(ended, code))
		r.Checkf(said, "  its log", "names the failure", "%s", map[bool]string{true: "names the failure", false: "does not"}[said])
	}
	slowest := time.Duration(t.load.slowest.Load())
	r.Checkf(slowest <= answerWithin, "  slowest answer", "within "+answerWithin.String(), "%s", slowest.Round(time.Millisecond))
	t.service.Under = nil
	if err := t.service.start(ctx); err != nil {
		return errors.Join(err, t.service.Said())
	}
	// It serves again, and what comes now is kept as well.
	if err := t.judge(ctx); err != nil {
		return err
	}
	if err := t.under(ctx, func(ctx context.Context) error { return t.load.reach(ctx, t.load.ledger.count()+afterwards) }); err != nil {
		return err
	}
	r.Note("  deliveries acknowledged in all", report.Grouped(t.load.ledger.count()))
	return t.finish(ctx, r, t.court.brief)
}

func ending(ended bool, code int) string {
	if !ended {
		return "runs still"
	}
	return fmt.Sprintf("exit code %d", code)
}

// strace returns what the binary is run by so that it fails.
func (f fault) strace(data string) []string {
	if f.file == "" {
		return traced("--inject=" + f.inject)
	}
	return traced("--inject="+f.inject, "-P", filepath.Join(data, f.file)) // only calls on this file count
}

// tracer is what interferes with system calls.
const tracer = "strace"

// traced returns what a binary is run by, so that its process is our child and the tracer is not, and only the calls that matter are
// stopped.
func traced(args ...string) []string {
	return append([]string{tracer, "-D", "-f", "--seccomp-bpf", "-qq", "-o", "/dev/null", "-e", "signal=none"}, args...)
}

// filledWith starts the service without a fault, and ends it as an operator does when so much is acknowledged.
func (t *trial) filledWith(ctx context.Context, many int) error {
	if err := t.service.start(ctx); err != nil {
		return err
	}
	if err := t.under(ctx, func(ctx context.Context) error { return t.load.reach(ctx, many) }); err != nil {
		return err
	}
	t.service.disconnect()
	return t.service.Stop(ctx)
}

// untilItEnds waits until the process has ended, or goes on although something has failed.
func (t *trial) untilItEnds(ctx context.Context) (code int, ended bool, err error) {
	waiting, cancel := context.WithTimeout(ctx, failing)
	defer cancel()
	go func() {
		for t.load.refused.Load() == 0 {
			if tool.Wait(waiting, pause) != nil {
				return
			}
		}
		_ = tool.Wait(waiting, lingering)
		cancel()
	}()
	code, err = t.service.Ended(waiting)
	if err != nil {
		return 0, false, context.Cause(ctx)
	}
	return code, true, nil
}

// says tells whether a line of the log has one of the texts.
func (t *trial) says(texts ...string) (bool, error) {
	log, err := os.ReadFile(filepath.Join(t.service.Dir, process.LogFile))
	if err != nil {
		return false, err
	}
	for _, text := range texts {
		if strings.Contains(string(log), text) {
			return true, nil
		}
	}
	return false, nil
}
