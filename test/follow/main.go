// Command follow proves that streams skip nothing. It starts the shipped binary by itself, on loopback, sends webhooks to it, deletes
// some of the calls, and kills it a few times, while readers that are killed, stalled and resumed at random follow the outcomes: with
// cursors and with subscriptions, over gRPC and over REST, with filters and without. Then it holds what each of them got against the
// log. It needs Linux: it reads /proc.
//
// The exit code is 0 when every promise was kept, 1 when one was broken, and 2 when nothing could be measured.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/callnorm/callnorm/test/internal/report"
	"github.com/callnorm/callnorm/test/internal/tool"
	"golang.org/x/sync/errgroup"
)

// Controls: what is wrong on purpose, so that the check has to fail.
const (
	// controlCursor has a reader resume one cursor too far.
	controlCursor = "cursor"
	// controlAcknowledge has a reader acknowledge a message that it ignores.
	controlAcknowledge = "acknowledge"
	// controlRepeat has a reader resume with an older cursor than the last that it processed.
	controlRepeat = "repeat"
	// controlLog overlooks one revision of the log.
	controlLog = "log"
)

var controls = []string{"", controlCursor, controlAcknowledge, controlRepeat, controlLog}

// options are what a run is asked for.
type options struct {
	binary       string
	fixtures     string
	seed         uint64
	events       int
	senders      int
	readers      int
	restarts     int
	disturbances int
	stall        time.Duration
	control      string
}

func main() {
	var o options
	tool.Main(tool.Tool{Name: "follow", Within: time.Hour, Flags: o.flags, Run: o.run})
}

func (o *options) flags(flags *flag.FlagSet) {
	tool.Common(flags, &o.binary, &o.fixtures)
	tool.Seed(flags, &o.seed)
	flags.IntVar(&o.events, "events", 5000, "how many webhooks are sent")
	flags.IntVar(&o.senders, "senders", 48, "how many senders share them")
	flags.IntVar(&o.readers, "readers", 50, "how many readers follow")
	flags.IntVar(&o.restarts, "restarts", 3, "how often the service is killed, and started again")
	flags.IntVar(&o.disturbances, "disturbances", 10, "how often a reader is killed, stalled or overtaken at most")
	flags.DurationVar(&o.stall, "stall", 500*time.Millisecond, "how long a reader stalls at most")
	flags.StringVar(&o.control, "control", "", "go wrong on purpose, so that the check has to fail: "+strings.Join(controls[1:], ", "))
}

func (o *options) run(ctx context.Context, out, progress io.Writer) (kept bool, err error) {
	tool.Draw(&o.seed, progress)
	measured, err := o.check(ctx, progress)
	return tool.Print(measured, err, out)
}

var errOptions = errors.New("at least one event, sender and reader, no negative number of restarts or disturbances, and a control that there is")

// check runs all of it on a service of its own.
func (o *options) check(ctx context.Context, progress io.Writer) (measured *report.Report, err error) {
	if min(o.events, o.senders, o.readers) < 1 || min(o.restarts, o.disturbances) < 0 || o.stall < 1 || !slices.Contains(controls, o.control) {
		return nil, errOptions
	}
	told, err := newTeller(o.fixtures, o.seed)
	if err != nil {
		return nil, err
	}
	s, ctx, err := newService(ctx, o.binary)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Remove()) }()
	if err := s.start(ctx); err != nil {
		return nil, err
	}
	r := &race{options: o, service: s, names: newNames(), began: time.Now(), finished: make(chan struct{}), progress: progress}
	r.writers = &writers{service: s, teller: told, names: r.names, began: r.began, events: o.events, seed: o.seed}
	measured, err = r.run(ctx)
	if err != nil {
		return nil, errors.Join(err, s.Said())
	}
	peak, err := s.Peak()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("the process is gone: %w", err), s.Said())
	}
	measured.Note("peak of resident memory", fmt.Sprintf("%d MB", max(peak, s.most)>>20))
	stopped := s.Stop(ctx)
	measured.Checkf(stopped == nil, "the process", "alive until SIGTERM, then exit code 0", "%s", report.ErrorOr(stopped, "so it was"))
	panics, err := s.Panics()
	if err != nil {
		return nil, err
	}
	measured.Checkf(panics == 0, "panics in its log", "0", "%d", panics)
	return measured, nil
}

// race is a run: writers, readers, and who kills the service.
type race struct {
	*options

	service  *service
	names    *names
	writers  *writers
	counts   counts
	journals []*journal
	began    time.Time
	finished chan struct{}
	progress io.Writer
}

// run lets all of them run, and judges.
func (r *race) run(ctx context.Context) (*report.Report, error) {
	var reading, writing errgroup.Group
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	for i := range r.readers {
		one := r.reader(i)
		r.journals = append(r.journals, one.journal)
		reading.Go(func() error {
			return stopOn(cancel, one.run(ctx))
		})
	}
	books := make([]*book, r.senders)
	for i := range books {
		writing.Go(func() (err error) {
			books[i], err = r.writers.write(ctx, i)
			return stopOn(cancel, err)
		})
	}
	if err := r.restart(ctx); err != nil {
		cancel(err)
		return nil, errors.Join(err, writing.Wait(), reading.Wait())
	}
	if err := writing.Wait(); err != nil {
		return nil, errors.Join(err, reading.Wait())
	}
	written := time.Since(r.began)
	r.sayf("all is written after %s", written.Round(time.Second))
	first, err := read(ctx, r.service, r.names)
	if err != nil {
		cancel(err)
		return nil, errors.Join(err, reading.Wait())
	}
	close(r.finished)
	if err := reading.Wait(); err != nil {
		return nil, err
	}
	followed := time.Since(r.began)
	r.sayf("all is read after %s", followed.Round(time.Second))
	second, err := read(ctx, r.service, r.names)
	if err != nil {
		return nil, err
	}
	if r.control == controlLog {
		for _, log := range []*truth{first, second} {
			log.overlook()
		}
	}
	measured := r.judge(first, second, books)
	measured.Title = fmt.Sprintf("%s webhooks from %d senders, %d readers, %d restarts by kill -9, seed %d: written in %s, read in %s",
		report.Grouped(r.events), r.senders, r.readers, r.restarts, r.seed, written.Round(time.Second), followed.Round(time.Second))
	return measured, nil
}

func (r *race) sayf(format string, args ...any) { _, _ = fmt.Fprintf(r.progress, format+"\n", args...) }

// stopOn has all others stop when one fails.
func stopOn(cancel context.CancelCauseFunc, err error) error {
	if err != nil {
		cancel(err)
	}
	return err
}

// restart kills the service a few times while webhooks are sent, and starts it again.
func (r *race) restart(ctx context.Context) error {
	for i := range r.restarts {
		if err := r.writers.done.reach(ctx, (i+1)*r.events/(r.restarts+1)); err != nil {
			return err
		}
		r.service.crash()
		if err := r.service.start(ctx); err != nil {
			return err
		}
		r.sayf("killed and started again after %s webhooks", report.Grouped((i+1)*r.events/(r.restarts+1)))
	}
	return nil
}

const (
	// Every so many readers.
	everyREST = 24
	everyNow  = 8
)

// reader makes the reader of a number. The first two are those that a control lets go wrong: one of each kind, undisturbed by filters.
func (r *race) reader(number int) *reader {
	random := rand.New(rand.NewPCG(r.seed, uint64(number)|readerStream)) //nolint:gosec // it has to be repeatable, not secret
	made := &reader{
		service: r.service, names: r.names, counts: &r.counts, began: r.began, finished: r.finished, random: random,
		rest: number%everyREST == everyREST-1 || number%everyREST == everyREST-2,
		gap:  max(1, r.events/(2*max(1, r.disturbances))), left: r.disturbances, longest: r.stall, batch: max(50, r.events/200),
		journal: &journal{choice: number / 2 % len(choices), now: number%everyNow >= everyNow-2},
	}
	kind := "cursor"
	if number%2 == 1 {
		kind, made.subscription = "subscription", fmt.Sprintf("reader-%d", number)
	}
	if made.rest {
		kind += " over REST"
	}
	made.journal.who = fmt.Sprintf("reader %d (%s, %s)", number, kind, choices[made.journal.choice].name)
	switch {
	case number == 0 && r.control == controlCursor, number == 1 && r.control == controlAcknowledge:
		made.leaps = true
	case number == 0 && r.control == controlRepeat:
		made.repeats = true
	}
	return made
}

// judge holds what was told and what readers got against the log.
func (r *race) judge(first, second *truth, books []*book) *report.Report {
	m := &report.Report{}
	told := sum(books)
	court := newCourt(second, len(first.log), told.acknowledged, r.names)
	told.report(m, court)
	differ := 0
	for i, one := range first.log {
		if i >= len(second.log) || second.log[i] != one {
			differ++
		}
	}
	m.Checkf(differ == 0, "revisions in other places when the log was read once more", "0", "%s", report.Grouped(differ))
	for _, j := range r.journals {
		court.judge(j)
	}
	r.counts.report(m)
	court.report(m)
	return m
}
