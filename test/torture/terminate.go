package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"syscall"
	"time"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/callnorm/callnorm/test/internal/report"
	"github.com/callnorm/callnorm/test/internal/tool"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	// everyREST is how many streams there are for each that is over REST.
	everyREST = 10
	// endWithin is what is promised of SIGTERM, and endAtOnce of a second one.
	endWithin, endAtOnce = 25 * time.Second, time.Second
	// secondAfter is when the second one comes. The service is still draining then, since a reader does not read.
	secondAfter = 300 * time.Millisecond
	// backlog is more than the window and the buffers of a stream take, so that one who does not read holds it up. The window has a
	// fixed size, since one that grows with the traffic may take all of it.
	backlog, window = 5000, 64 << 10
)

// terminate asks the service to end while streams are open and webhooks come in, once, and then twice in a row.
func (o *options) terminate(ctx context.Context, r *report.Report, _ io.Writer) (err error) {
	t, err := o.newTrial(ctx, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.remove(ctx)) }()
	if err := t.filledWith(ctx, backlog); err != nil {
		return err
	}
	r.Note(fmt.Sprintf("SIGTERM with %d open streams and one that nobody reads, under load", o.streams), "")
	once, err := t.terminated(ctx, func() error { return t.service.Signal(syscall.SIGTERM) })
	if err != nil {
		return errors.Join(err, t.service.Said())
	}
	r.Checkf(once.took <= endWithin && once.code == 0, "  the process ended", "within "+endWithin.String()+", exit code 0",
		"after %s, exit code %d", once.took.Round(time.Millisecond), once.code)
	r.Checkf(once.farewells == o.streams, "  streams that ended with their cursor", strconv.Itoa(o.streams), "%d", once.farewells)
	for _, text := range once.otherwise {
		r.Examplef("a stream ended otherwise: %s", text)
	}
	var second time.Time
	twice, err := t.terminated(ctx, func() error {
		if err := t.service.Signal(syscall.SIGTERM); err != nil {
			return err
		}
		if err := tool.Wait(ctx, secondAfter); err != nil {
			return err
		}
		second = time.Now()
		return t.service.Signal(syscall.SIGTERM)
	})
	if err != nil {
		return errors.Join(err, t.service.Said())
	}
	after := twice.ended.Sub(second)
	r.Note("SIGTERM twice, in the same situation", "")
	r.Checkf(after <= endAtOnce, "  the process ended after the second", "within "+endAtOnce.String(), "after %s", after.Round(time.Millisecond))
	if err := t.service.start(ctx); err != nil {
		return err
	}
	r.Note("  deliveries acknowledged in all", report.Grouped(t.load.ledger.count()))
	return t.finish(ctx, r, t.court.brief)
}

// terminated tells how a process ended.
type terminated struct {
	ended     time.Time
	took      time.Duration
	code      int
	farewells int
	otherwise []string
}

// terminated starts the service, opens streams, loads it, and has it end.
func (t *trial) terminated(ctx context.Context, end func() error) (how terminated, err error) {
	if err := t.service.start(ctx); err != nil {
		return how, err
	}
	if err := t.judge(ctx); err != nil {
		return how, err
	}
	following, cancel := context.WithCancel(ctx)
	defer cancel()
	conn, err := t.service.connect(grpc.WithStaticStreamWindowSize(window))
	if err != nil {
		return how, err
	}
	defer func() { _ = conn.Close() }()
	stalled, err := callnormv1.NewOutcomeServiceClient(conn).StreamOutcomes(following, &callnormv1.StreamOutcomesRequest{})
	if err != nil {
		return how, err
	}
	if _, err := stalled.Recv(); err != nil { // it is open, and that is all that is ever read
		return how, err
	}
	var group, opened sync.WaitGroup
	farewells := make([]error, t.streams)
	opened.Add(t.streams)
	for i := range t.streams {
		group.Go(func() {
			one := &farewell{opened: opened.Done}
			if i%everyREST == everyREST-1 {
				farewells[i] = one.overREST(following, t.service, t.newest)
			} else {
				farewells[i] = one.overGRPC(following, t.service, t.newest)
			}
		})
	}
	opened.Wait()
	err = t.under(ctx, func(ctx context.Context) error {
		if err := t.load.reach(ctx, t.load.ledger.count()+afterwards); err != nil {
			return err
		}
		begun := time.Now()
		if err := end(); err != nil {
			return err
		}
		late, cancel := context.WithTimeoutCause(ctx, 2*endWithin, errLate)
		defer cancel()
		how.code, err = t.service.Ended(late)
		how.ended = time.Now()
		how.took = how.ended.Sub(begun)
		return err
	})
	cancel()
	group.Wait()
	for _, err := range farewells {
		if err == nil {
			how.farewells++
		} else {
			how.otherwise = append(how.otherwise, err.Error())
		}
	}
	return how, err
}

var errLate = errors.New("the process did not end after SIGTERM")

// farewell is a stream that should end with its cursor: a last message that tells it and nothing else, and then UNAVAILABLE.
type farewell struct {
	opened func() // is called once, when the first message has come or will never come
	once   sync.Once

	newest   string // cursor of the last outcome, or where the stream began
	last     string // cursor of the last message
	position bool   // the last message told nothing but its cursor
}

func (f *farewell) take(outcome bool, cursor string) {
	f.once.Do(f.opened)
	f.last, f.position = cursor, !outcome
	if outcome || f.newest == "" {
		f.newest = cursor
	}
}

// judge returns what is wrong with the end.
func (f *farewell) judge(end error) error {
	f.once.Do(f.opened)
	switch {
	case status.Code(end) != codes.Unavailable:
		return fmt.Errorf("it ended with %w", end)
	case !f.position:
		return errors.New("its last message was an outcome")
	case f.last != f.newest:
		return errors.New("its last cursor is not that of its last outcome")
	}
	return nil
}

func (f *farewell) overGRPC(ctx context.Context, s *service, after string) error {
	stream, err := callnormv1.NewOutcomeServiceClient(s.conn).StreamOutcomes(ctx, &callnormv1.StreamOutcomesRequest{
		Start: &callnormv1.StreamOutcomesRequest_After{After: after},
	})
	for err == nil {
		var m *callnormv1.StreamOutcomesResponse
		if m, err = stream.Recv(); err == nil {
			f.take(m.GetOutcome() != nil, m.GetCursor())
		}
	}
	return f.judge(err)
}

func (f *farewell) overREST(ctx context.Context, s *service, after string) error {
	return f.judge(f.readREST(ctx, s, after))
}

func (f *farewell) readREST(ctx context.Context, s *service, after string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.rest+"/v1/outcomes:stream?after="+after, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	lines := bufio.NewReader(response.Body)
	for {
		text, err := lines.ReadBytes('\n')
		if err != nil {
			return err
		}
		var line struct {
			Result struct {
				Outcome json.RawMessage `json:"outcome"`
				Cursor  string          `json:"cursor"`
			} `json:"result"`
			Error *struct {
				Code    codes.Code `json:"code"`
				Message string     `json:"message"`
			} `json:"error"`
		}
		if err := json.Unmarshal(text, &line); err != nil {
			return err
		}
		if line.Error != nil {
			return status.Error(line.Error.Code, line.Error.Message)
		}
		f.take(len(line.Result.Outcome) > 0 && string(line.Result.Outcome) != "null", line.Result.Cursor)
	}
}
