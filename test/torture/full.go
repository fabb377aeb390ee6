package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/callnorm/callnorm/test/internal/report"
	"github.com/callnorm/callnorm/test/internal/tool"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
)

const (
	// smallDisk is soon full.
	smallDisk = 256 << 20
	// held is how long the disk stays full.
	held = 5 * time.Second
	// What is promised of a full disk.
	refuseWithin, noticeWithin, recoverWithin = 2 * time.Second, time.Second, 30 * time.Second
	// untilFull bounds how long the journal's own room may last, noticed how long to wait for what should come within noticeWithin.
	untilFull, noticed = 2 * time.Minute, 10 * time.Second
	// before and afterwards are how much is acknowledged before the disk is full, and after it is free again.
	before, afterwards = 1000, 500
)

// full fills the disk under load and frees it.
func (o *options) full(ctx context.Context, r *report.Report, progress io.Writer) (err error) {
	t, err := o.newTrial(ctx, smallDisk)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.remove(ctx)) }()
	if err := t.service.start(ctx); err != nil {
		return err
	}
	health, err := watchHealth(ctx, t.service)
	if err != nil {
		return err
	}
	var answers answers
	t.load.watch = answers.take
	f := &filled{trial: t, health: health, answers: &answers}
	if err := t.under(ctx, f.run); err != nil {
		return errors.Join(err, t.service.Said())
	}
	_, _ = fmt.Fprintf(progress, "full for %s, then free\n", held)
	r.Note("disk full under load for "+held.String()+", then freed", "")
	r.Note("  answers of 503", report.Grouped(t.load.refused.Load()))
	slowest := time.Duration(t.load.refusal.Load())
	r.Checkf(slowest <= refuseWithin, "  slowest of them", "within "+refuseWithin.String(), "%s", slowest.Round(time.Millisecond))
	r.Checkf(f.noticed >= 0 && f.noticed <= noticeWithin, "  health NOT_SERVING after the first", "within "+noticeWithin.String(), "%s", span(f.noticed))
	r.Checkf(f.unready, "  /readyz while full", "503 as well", "%s", map[bool]string{true: "503", false: "never 503"}[f.unready])
	r.Checkf(f.recovered >= 0 && f.recovered <= recoverWithin, "  serving and acknowledging once freed", "within "+recoverWithin.String(), "%s", span(f.recovered))
	r.Note("  deliveries acknowledged in all", report.Grouped(t.load.ledger.count()))
	if err := t.finish(ctx, r, t.court.brief); err != nil {
		return errors.Join(err, t.service.Said())
	}
	return nil
}

func span(d time.Duration) string {
	if d < 0 {
		return "never"
	}
	return d.Round(time.Millisecond).String()
}

// filled is a disk that is filled and freed.
type filled struct {
	*trial

	health  *health
	answers *answers

	noticed, recovered time.Duration // -1: never
	unready            bool
}

func (f *filled) run(ctx context.Context) error {
	alive, done := f.service.While(ctx)
	defer done()
	if err := f.load.reach(alive, before); err != nil {
		return err
	}
	ballast := filepath.Join(f.disk.root, "ballast")
	refused, err := f.fill(alive, ballast)
	if err != nil {
		return err
	}
	f.noticed = -1
	if at, ok := f.health.await(alive, healthv1.HealthCheckResponse_NOT_SERVING, refused, noticed); ok {
		f.noticed = max(0, at.Sub(refused))
	}
	for full := time.Now(); time.Since(full) < held; {
		if code, err := f.ready(alive); err != nil {
			return err
		} else if code == http.StatusServiceUnavailable {
			f.unready = true
		}
		if err := tool.Wait(alive, pause); err != nil {
			return err
		}
	}
	freed := time.Now()
	if err := os.Remove(ballast); err != nil {
		return err
	}
	f.recovered = -1
	kept := f.load.ledger.count()
	within, cancel := context.WithTimeout(alive, 2*recoverWithin)
	defer cancel()
	if f.load.reach(within, kept+afterwards) == nil {
		if _, ok := f.health.await(within, healthv1.HealthCheckResponse_SERVING, freed, recoverWithin); ok {
			f.recovered = time.Since(freed)
		}
	}
	return context.Cause(alive)
}

// fill writes ballast until there is no room, and takes what the service gives back, until a webhook is refused. It returns when.
func (f *filled) fill(ctx context.Context, name string) (refused time.Time, err error) {
	file, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return refused, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	ctx, cancel := context.WithTimeoutCause(ctx, untilFull, errors.New("the disk is full, and no webhook was refused"))
	defer cancel()
	for block := make([]byte, 1<<20); ; {
		if at, ok := f.answers.firstRefusal(); ok {
			return at, nil
		}
		switch _, err := file.Write(block); {
		case err == nil:
			continue
		case !errors.Is(err, syscall.ENOSPC):
			return refused, err
		}
		if len(block) > 1<<12 {
			block = block[:len(block)/2]
			continue
		}
		if err := tool.Wait(ctx, time.Millisecond); err != nil {
			return refused, err
		}
	}
}

// ready asks whether the service says that it is ready.
func (f *filled) ready(ctx context.Context) (code int, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+f.service.rest+"/readyz", nil)
	if err != nil {
		return 0, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	return response.StatusCode, response.Body.Close()
}

// answers knows when the first webhook was refused.
type answers struct {
	mu      sync.Mutex
	refused time.Time
}

func (a *answers) take(code int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if code == http.StatusServiceUnavailable && a.refused.IsZero() {
		a.refused = time.Now()
	}
}

func (a *answers) firstRefusal() (time.Time, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.refused, !a.refused.IsZero()
}

// health is what the health service has told, and when.
type health struct {
	mu    sync.Mutex
	turns []turn
}

type turn struct {
	status healthv1.HealthCheckResponse_ServingStatus
	at     time.Time
}

// watchHealth listens until the service ends.
func watchHealth(ctx context.Context, s *service) (*health, error) {
	stream, err := healthv1.NewHealthClient(s.conn).Watch(ctx, &healthv1.HealthCheckRequest{})
	if err != nil {
		return nil, err
	}
	h := &health{}
	go func() {
		for {
			told, err := stream.Recv()
			if err != nil {
				return
			}
			h.mu.Lock()
			h.turns = append(h.turns, turn{told.GetStatus(), time.Now()})
			h.mu.Unlock()
		}
	}()
	return h, nil
}

// await returns when the status was told first after begin, or was in force then.
func (h *health) await(ctx context.Context, status healthv1.HealthCheckResponse_ServingStatus, begin time.Time, within time.Duration) (time.Time, bool) {
	for limit := time.Now().Add(within); time.Now().Before(limit) && ctx.Err() == nil; {
		if at, ok := h.told(status, begin); ok {
			return at, true
		}
		_ = tool.Wait(ctx, time.Millisecond)
	}
	return time.Time{}, false
}

func (h *health) told(status healthv1.HealthCheckResponse_ServingStatus, begin time.Time) (time.Time, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i, one := range h.turns {
		if one.status == status && (i == len(h.turns)-1 || h.turns[i+1].at.After(begin)) {
			return one.at, true
		}
	}
	return time.Time{}, false
}
