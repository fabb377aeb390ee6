package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/callnorm/callnorm/test/internal/report"
	"github.com/callnorm/callnorm/test/internal/tool"
)

// tally is what one sender counted.
type tally struct {
	answers  map[int]int // by status; 0 stands for no answer
	genuine  int         // signed, and nothing else is wrong with the request
	taken    int         // of these
	forged   int
	refused  int // of these
	repeated int // requests that were sent again after 503 or a lost connection
	other    []string
	named    []name
}

// sendBodies sends mutated bodies over all doors, and then looks for each that was acknowledged.
func (o *options) sendBodies(ctx context.Context, s *service, g *generator, progress io.Writer) (*report.Report, error) {
	ctx, cancel := s.While(ctx)
	defer cancel()
	var next atomic.Int64
	tallies := make([]tally, o.senders)
	client := client(o.senders)
	started := time.Now()
	watched, stop := context.WithCancel(ctx)
	go watch(watched, progress, &next, o.bodies)
	var sending sync.WaitGroup
	for i := range tallies {
		sending.Go(func() {
			t := &tallies[i]
			t.answers = make(map[int]int)
			for n := next.Add(1) - 1; n < int64(o.bodies) && ctx.Err() == nil; n = next.Add(1) - 1 {
				t.fire(ctx, client, s, g.shot(int(n)), int(n))
			}
		})
	}
	sending.Wait()
	stop()
	took := time.Since(started)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	all := sum(tallies)
	book := newLedger(all.named)
	have := newKept()
	overlook := o.control
	err := listDeliveries(ctx, s, func(delivery *callnormv1.Delivery) error {
		if overlook {
			overlook = false
			return nil
		}
		return have.take(book, delivery)
	})
	if err != nil {
		return nil, err
	}
	measured := all.report(book, have)
	measured.Title = fmt.Sprintf("%s mutated bodies over %d adapters, %d sources and %d fixtures, %d senders, seed %d: %s, %.0f a second",
		report.Grouped(o.bodies), len(g.doors), 2*len(g.doors), len(g.fixtures), o.senders, o.seed, took.Round(time.Second),
		float64(o.bodies)/took.Seconds())
	return measured, nil
}

// watch tells now and then how far it has come.
func watch(ctx context.Context, progress io.Writer, next *atomic.Int64, of int) {
	tick := time.NewTicker(10 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			_, _ = fmt.Fprintf(progress, "%s of %s\n", report.Grouped(min(next.Load(), int64(of))), report.Grouped(of))
		}
	}
}

// fire sends a request until it is answered, and holds the answer against what it has to be.
func (t *tally) fire(ctx context.Context, client *http.Client, s *service, what shot, n int) {
	status, text := t.send(ctx, client, s.url(what.door, what.path), what)
	t.answers[status]++
	if status != what.want {
		t.other = append(t.other, fmt.Sprintf("body %d (%s, %d bytes to %s%.100s): %d instead of %d: %.200s",
			n, what.made, len(what.body), what.door.name, what.path, status, what.want, bytes.TrimSpace(text)))
	}
	switch what.want {
	case http.StatusOK:
		t.genuine++
		if status == http.StatusOK {
			t.taken++
		}
	case http.StatusUnauthorized:
		t.forged++
		if status == http.StatusUnauthorized {
			t.refused++
		}
	}
	if status != http.StatusOK {
		return
	}
	named, err := nameIn(text)
	if err != nil {
		t.other = append(t.other, fmt.Sprintf("body %d: %v", n, err))
		return
	}
	t.named = append(t.named, named)
}

const (
	// attempts is how often a request is sent at most.
	attempts = 60
	// pause is how long to wait before it is sent again.
	pause = 250 * time.Millisecond
)

// send sends a request, again when it is told to, and returns the status, or 0 when there was no answer.
func (t *tally) send(ctx context.Context, client *http.Client, url string, what shot) (status int, text []byte) {
	for range attempts {
		status, text = post(ctx, client, url, what.header, bytes.NewReader(what.body))
		// Who sends too much may see the connection end before the answer; that is an answer, too.
		if status == 0 && what.want == http.StatusRequestEntityTooLarge {
			return what.want, nil
		}
		if status != 0 && status != http.StatusServiceUnavailable {
			return status, text
		}
		t.repeated++
		if tool.Wait(ctx, pause) != nil {
			return status, text
		}
	}
	return status, text
}

func post(ctx context.Context, client *http.Client, url string, header http.Header, body io.Reader) (status int, text []byte) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, body)
	if err != nil {
		return 0, []byte(err.Error())
	}
	maps.Copy(request.Header, header)
	response, err := client.Do(request)
	if err != nil {
		return 0, []byte(err.Error())
	}
	defer func() { _ = response.Body.Close() }()
	text, err = io.ReadAll(response.Body)
	if err != nil {
		return 0, []byte(err.Error())
	}
	return response.StatusCode, text
}

var errNoName = errors.New("the answer names no delivery")

// nameIn returns the name of the delivery in an answer. It is called a million times.
func nameIn(text []byte) (n name, err error) {
	_, rest, ok := bytes.Cut(text, []byte(`"delivery":`))
	if !ok {
		return n, errNoName
	}
	var quoted string
	if err := json.NewDecoder(bytes.NewReader(rest)).Decode(&quoted); err != nil {
		return n, errNoName
	}
	return parseName(quoted)
}

func sum(tallies []tally) tally {
	all := tally{answers: make(map[int]int)}
	for i := range tallies {
		t := &tallies[i]
		for status, count := range t.answers {
			all.answers[status] += count
		}
		all.genuine += t.genuine
		all.taken += t.taken
		all.forged += t.forged
		all.refused += t.refused
		all.repeated += t.repeated
		all.other = append(all.other, t.other...)
		all.named = append(all.named, t.named...)
		t.named = nil
	}
	return all
}

// report holds what was answered against what is in the store.
func (t *tally) report(book *ledger, have *kept) *report.Report {
	r := &report.Report{}
	for _, status := range slices.Sorted(maps.Keys(t.answers)) {
		what := fmt.Sprintf("answers of %d", status)
		if status == 0 {
			what = "no answer"
		}
		r.Note(what, report.Grouped(t.answers[status]))
	}
	failures := 0
	for status, count := range t.answers {
		if status >= 500 && status != http.StatusServiceUnavailable {
			failures += count
		}
	}
	r.Checkf(failures == 0, "answers of 500 and the like", "0", "%d", failures)
	r.Note("sent again after 503 or a lost connection", report.Grouped(t.repeated))
	r.Checkf(len(t.other) == 0, "other answers than the body calls for", "0", "%s", report.Grouped(len(t.other)))
	r.Checkf(t.taken == t.genuine, "signed and readable bodies answered 200", report.Grouped(t.genuine), "%s", report.Grouped(t.taken))
	r.Checkf(t.refused == t.forged, "forged ones answered 401", report.Grouped(t.forged), "%s", report.Grouped(t.refused))

	missing := book.missing()
	r.Note("different deliveries acknowledged", report.Grouped(len(book.acknowledged)))
	r.Checkf(len(missing) == 0, "of these in the store", report.Grouped(len(book.acknowledged)), "%s", report.Grouped(len(book.acknowledged)-len(missing)))
	r.Checkf(len(book.strangers) == 0, "in the store without an answer of 200", "0", "%s", report.Grouped(len(book.strangers)))
	for _, state := range slices.Sorted(maps.Keys(have.states)) {
		r.Note("  "+words(state.String(), "DELIVERY_STATE_"), report.Grouped(have.states[state]))
	}
	for _, reason := range slices.Sorted(maps.Keys(have.faults)) {
		r.Note("  fault: "+words(reason.String(), "FAULT_REASON_"), report.Grouped(have.faults[reason]))
	}
	failed := have.faults[callnormv1.FaultReason_FAULT_REASON_ADAPTER_FAILED]
	r.Checkf(failed == 0, "panics of adapters", "0", "%d", failed)
	for _, text := range t.other {
		r.Examplef("%s", text)
	}
	for _, n := range missing {
		r.Examplef("%s was acknowledged and is not in the store", n)
	}
	for _, n := range book.strangers {
		r.Examplef("%s is in the store and was not acknowledged", n)
	}
	return r
}

// words returns a name of the contract as a person writes it.
func words(name, prefix string) string {
	return strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(name, prefix), "_", " "))
}
