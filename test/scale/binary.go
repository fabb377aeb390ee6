package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"time"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/callnorm/callnorm/test/internal/fill"
	"github.com/callnorm/callnorm/test/internal/process"
	"github.com/callnorm/callnorm/test/internal/raw"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"
)

const (
	// starts is how often the binary is started on each directory.
	starts = 3
	// settle is how long it is left alone before it rests, and collected how long at most after much work: Go looks after two minutes
	// for what is left of that, and then gives it back bit by bit.
	settle, collected = 5 * time.Second, 4 * time.Minute
)

var (
	errUnexpected = errors.New("the answer is not what was asked for")
	errEmpty      = errors.New("the answer is empty")
)

// measureBinary starts the binary on both directories, and measures it.
func (o *options) measureBinary(ctx context.Context, both [sides]*fill.Directory, r *table, progress io.Writer) (err error) {
	var services [sides]*service
	for i, f := range both {
		if services[i], err = newService(o.binary, f); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, services[i].Remove()) }()
	}
	took := [sides][]time.Duration{}
	for n := range starts {
		for i := range both {
			ready, err := services[i].start(ctx)
			if err != nil {
				return err
			}
			took[i] = append(took[i], ready)
			if n == starts-1 {
				continue
			}
			if err := services[i].Stop(ctx); err != nil {
				return err
			}
		}
	}
	r.started(took)
	var measured [sides]*side
	for i, s := range services {
		measured[i] = &side{Directory: both[i]}
		if measured[i].connections, err = s.connect(); err != nil {
			return err
		}
	}
	defer func() {
		for _, s := range measured {
			for _, t := range s.connections {
				err = errors.Join(err, t.(*connection).close()) //nolint:forcetypeassert // made above
			}
		}
	}()
	if err := r.resting(ctx, services, "resident memory after the start", settle); err != nil {
		return err
	}
	for _, s := range measured {
		if err := s.connections[0].list(ctx, &callnormv1.ListOutcomesRequest{}); err != nil {
			return err
		}
	}
	if err := r.resting(ctx, services, "resident memory after a page was read", settle); err != nil {
		return err
	}
	if err := o.compare(ctx, measured, r, progress); err != nil {
		return errors.Join(err, services[small].Said(), services[large].Said())
	}
	if err := r.resting(ctx, services, "resident memory at rest after all of it", collected); err != nil {
		return err
	}
	for _, s := range services {
		if err := s.Stop(ctx); err != nil {
			return err
		}
	}
	return nil
}

// started adds how long the binary took until it was ready.
func (r *table) started(took [sides][]time.Duration) {
	best, median := figure{what: "ready after, best of 3"}, figure{what: "ready after, median", bar: "under 2 s"}
	for i := range took {
		slices.Sort(took[i])
		best.measured[i], median.measured[i] = milliseconds(took[i][0]), milliseconds(quantile(took[i], 0.5))
		median.broken = median.broken || quantile(took[i], 0.5) >= maxStart
	}
	r.figures = append(r.figures, best, median)
}

// resting adds how much memory the processes have when nobody asks them for anything: as soon as it is within the bar, or at the end
// of the time that they are given.
func (r *table) resting(ctx context.Context, services [sides]*service, what string, within time.Duration) error {
	for begin := time.Now(); ; {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(settle):
		}
		f := figure{what: what, bar: fmt.Sprintf("under %d MB", maxMemory>>20)}
		for i, s := range services {
			memory, err := s.Resident()
			if err != nil {
				return errors.Join(err, s.Said())
			}
			f.measured[i] = fmt.Sprintf("%d MB", memory>>20)
			f.broken = f.broken || memory >= maxMemory
		}
		if !f.broken || time.Since(begin) >= within {
			r.figures = append(r.figures, f)
			return nil
		}
	}
}

// service is the binary, running on a filled directory.
type service struct {
	*process.Process

	rest, grpc string
}

func newService(binary string, f *fill.Directory) (*service, error) {
	on, err := process.In(f.Path, binary)
	return &service{Process: on}, err
}

// start starts the binary, and returns how long it took until it was ready.
func (s *service) start(ctx context.Context) (time.Duration, error) {
	begin := time.Now()
	found, err := s.Start(ctx, 2, "serve", "--http-addr", "127.0.0.1:0", "--grpc-addr", "127.0.0.1:0", "--data-dir", filepath.Join(s.Dir, fill.DataDir))
	if err != nil {
		return 0, err
	}
	s.rest, s.grpc = found[0], found[1]
	return time.Since(begin), s.WaitReady(ctx, s.rest)
}

// connect opens as many connections as there are ever used.
func (s *service) connect() ([]target, error) {
	var connections []target
	for range crowd {
		opened, err := grpc.NewClient(s.grpc, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			return nil, err
		}
		connections = append(connections, &connection{
			service: s, grpc: opened, outcomes: callnormv1.NewOutcomeServiceClient(opened),
			http: &http.Client{Transport: &http.Transport{MaxConnsPerHost: 1, DisableCompression: true}, Timeout: time.Minute},
		})
	}
	return connections, nil
}

// connection is one of each kind.
type connection struct {
	service  *service
	grpc     *grpc.ClientConn
	outcomes callnormv1.OutcomeServiceClient
	http     *http.Client
}

func (c *connection) close() error {
	c.http.CloseIdleConnections()
	return c.grpc.Close()
}

func (c *connection) get(ctx context.Context, request *callnormv1.GetOutcomeRequest) error {
	return c.call(ctx, callnormv1.OutcomeService_GetOutcome_FullMethodName, request)
}

func (c *connection) list(ctx context.Context, request *callnormv1.ListOutcomesRequest) error {
	return c.call(ctx, callnormv1.OutcomeService_ListOutcomes_FullMethodName, request)
}

// call leaves the answer as bytes: what a client makes of them takes the same time on both sides.
func (c *connection) call(ctx context.Context, method string, request proto.Message) error {
	var answer []byte
	if err := c.grpc.Invoke(ctx, method, request, &answer, grpc.ForceCodec(raw.Answers{}), grpc.MaxCallRecvMsgSize(64<<20)); err != nil {
		return err
	}
	if len(answer) == 0 {
		return errEmpty
	}
	return nil
}

func (c *connection) next(ctx context.Context, request *callnormv1.ListOutcomesRequest) (string, error) {
	page, err := c.outcomes.ListOutcomes(ctx, request)
	return page.GetNextPageToken(), err
}

func (c *connection) post(ctx context.Context, w fill.Webhook) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+c.service.rest+"/v1/webhooks/"+w.Source, bytes.NewReader(w.Body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := c.http.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%w: %s", errUnexpected, response.Status)
	}
	return nil
}
