package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/dustin/go-humanize"
	"github.com/mattn/go-isatty"
)

// tally counts what became of deliveries.
type tally struct {
	New         int64 `json:"new"`
	Duplicates  int64 `json:"duplicates"`
	Quarantined int64 `json:"quarantined"` // of both
	Refused     int64 `json:"refused"`
	// First and Last are when the earliest and the latest of those that were taken in were received.
	First time.Time `json:"first,omitzero"`
	Last  time.Time `json:"last,omitzero"`
}

// count takes one down that was taken in.
func (t *tally) count(answer *callnormv1.IngestDeliveryResponse, received time.Time) {
	if t.First.IsZero() || received.Before(t.First) {
		t.First = received
	}
	if received.After(t.Last) {
		t.Last = received
	}
	if answer.GetDuplicate() {
		t.Duplicates++
	} else {
		t.New++
	}
	switch answer.GetState() {
	case callnormv1.DeliveryState_DELIVERY_STATE_QUARANTINED, callnormv1.DeliveryState_DELIVERY_STATE_PARTLY_QUARANTINED:
		t.Quarantined++
	}
}

func (t *tally) all() int64 { return t.New + t.Duplicates + t.Refused }

// summarize says what became of them, at the end.
func (t *tally) summarize(out io.Writer, took time.Duration) {
	_, _ = fmt.Fprintf(out, "taken in: %d, duplicates: %d, refused: %d, in %s\n", t.New, t.Duplicates, t.Refused, took.Round(time.Millisecond))
	if !t.First.IsZero() {
		_, _ = fmt.Fprintf(out, "received: %s to %s\n", t.First.UTC().Format(time.RFC3339), t.Last.UTC().Format(time.RFC3339))
	}
	if t.Quarantined > 0 {
		_, _ = fmt.Fprintf(out, "in quarantine: %d; callnorm quarantine list tells why\n", t.Quarantined)
	}
}

// meter shows how far an import is: on a terminal in one line that is drawn again and again, else in a line now and then.
type meter struct {
	start    time.Time
	out      io.Writer
	quiet    bool
	terminal bool
	total    int64 // bytes; negative when nobody knows

	mutex   sync.Mutex
	tally   tally
	before  int64 // deliveries of earlier runs
	done    int64 // bytes
	skipped int64 // of them
	shown   int   // characters that stand in the line now
}

func newMeter(out io.Writer, quiet bool, total int64, so tally, now time.Time) *meter {
	file, isFile := out.(*os.File)
	return &meter{
		start: now, out: out, quiet: quiet, total: total, tally: so, before: so.all(),
		terminal: isFile && isatty.IsTerminal(file.Fd()),
	}
}

// run shows how far it is until it is stopped.
func (m *meter) run() (stop func()) {
	every := 10 * time.Second
	if m.terminal {
		every = 200 * time.Millisecond
	}
	ticker, ended := time.NewTicker(every), make(chan struct{})
	var showing sync.WaitGroup
	showing.Go(func() {
		for {
			select {
			case now := <-ticker.C:
				m.show(now)
			case <-ended:
				return
			}
		}
	})
	return func() {
		ticker.Stop()
		close(ended)
		showing.Wait()
		m.mutex.Lock()
		defer m.mutex.Unlock()
		m.clear()
	}
}

// advance takes down how far it is.
func (m *meter) advance(so tally, bytes, skipped int64) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.tally = so
	m.done += bytes + skipped
	m.skipped += skipped
}

// note prints a line of its own.
func (m *meter) note(line string) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.clear()
	_, _ = fmt.Fprintln(m.out, line)
}

// clear takes the line away that is drawn again and again.
func (m *meter) clear() {
	if m.shown > 0 {
		_, _ = fmt.Fprintf(m.out, "\r%*s\r", m.shown, "")
		m.shown = 0
	}
}

func (m *meter) show(now time.Time) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	line := m.line(now)
	switch {
	case m.quiet:
	case m.terminal:
		_, _ = fmt.Fprintf(m.out, "\r%-*s", m.shown, line)
		m.shown = len(line)
	default:
		_, _ = fmt.Fprintln(m.out, line)
	}
}

// line says how far it is, in less than 80 columns.
func (m *meter) line(now time.Time) string {
	const columns, width = 79, 10
	var line strings.Builder
	elapsed, done := now.Sub(m.start), humanize.Bytes(uint64(m.done))
	if m.total > 0 {
		part := min(1, float64(m.done)/float64(m.total))
		fmt.Fprintf(&line, "[%-*s] %.0f%%, %s of %s", width, strings.Repeat("=", int(part*width)), 100*part, done, humanize.Bytes(uint64(m.total)))
	} else {
		line.WriteString(done)
	}
	fmt.Fprintf(&line, ", %.0f/s", float64(m.tally.all()-m.before)/max(elapsed.Seconds(), 1e-3))
	if read := m.done - m.skipped; m.total > m.done && read > 0 {
		left := float64(elapsed) * float64(m.total-m.done) / float64(read)
		fmt.Fprintf(&line, ", %s left", time.Duration(left).Round(time.Second))
	}
	fmt.Fprintf(&line, ", %d duplicates, %d refused", m.tally.Duplicates, m.tally.Refused)
	return line.String()[:min(columns, line.Len())]
}
