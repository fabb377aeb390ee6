package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
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
	// readyEvery is how often it is asked whether it is ready.
	readyEvery = 2 * time.Millisecond
	// grace is how long it may take to end by itself.
	grace = time.Minute
)

var (
	errUnexpected = errors.New("the answer is not what was asked for")
	errEmpty      = errors.New("the answer is empty")
	errNoAddress  = errors.New("the service did not say where it listens")
	errNoMemory   = errors.New("/proc does not tell the resident memory")
	errLate       = errors.New("it did not end after SIGTERM")
)

// measureBinary starts the binary on both directories, and measures it.
func (o *options) measureBinary(ctx context.Context, both [sides]*filled, r *report, progress io.Writer) (err error) {
	binary, err := filepath.Abs(o.binary)
	if err != nil {
		return err
	}
	var services [sides]*service
	defer func() {
		for _, s := range services {
			if s != nil {
				s.kill()
			}
		}
	}()
	took := [sides][]time.Duration{}
	for n := range starts {
		for i, f := range both {
			services[i] = &service{binary: binary, dir: f.dir}
			ready, err := services[i].start(ctx)
			if err != nil {
				return err
			}
			took[i] = append(took[i], ready)
			if n == starts-1 {
				continue
			}
			if err := services[i].stop(ctx); err != nil {
				return err
			}
		}
	}
	r.started(took)
	var measured [sides]*side
	for i, s := range services {
		measured[i] = &side{filled: both[i]}
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
		return errors.Join(err, services[small].said(), services[large].said())
	}
	if err := r.resting(ctx, services, "resident memory at rest after all of it", collected); err != nil {
		return err
	}
	for i, s := range services {
		services[i] = nil
		if err := s.stop(ctx); err != nil {
			s.kill()
			return err
		}
	}
	return nil
}

// started adds how long the binary took until it was ready.
func (r *report) started(took [sides][]time.Duration) {
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
func (r *report) resting(ctx context.Context, services [sides]*service, what string, within time.Duration) error {
	for begin := time.Now(); ; {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(settle):
		}
		f := figure{what: what, bar: fmt.Sprintf("under %d MB", maxMemory>>20)}
		for i, s := range services {
			memory, err := s.memory()
			if err != nil {
				return errors.Join(err, s.said())
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
	binary, dir string
	command     *exec.Cmd
	ended       chan struct{}
	exit        error // once ended
	rest, grpc  string
}

const logFile = "callnorm.log"

var address = regexp.MustCompile(`127\.0\.0\.1:\d+`)

// start starts the binary, and returns how long it took until it was ready.
func (s *service) start(ctx context.Context) (time.Duration, error) {
	log, err := os.Create(filepath.Join(s.dir, logFile))
	if err != nil {
		return 0, err
	}
	defer func() { _ = log.Close() }()
	command := exec.CommandContext(context.WithoutCancel(ctx), s.binary, "serve", //nolint:gosec // the binary is what the caller wants measured
		"--http-addr", "127.0.0.1:0", "--grpc-addr", "127.0.0.1:0", "--data-dir", filepath.Join(s.dir, dataDir))
	command.Stderr = log
	stdout, err := command.StdoutPipe()
	if err != nil {
		return 0, err
	}
	begin := time.Now()
	if err := command.Start(); err != nil {
		return 0, err
	}
	s.command, s.ended = command, make(chan struct{})
	var found []string
	for lines := bufio.NewScanner(stdout); len(found) < 2 && lines.Scan(); {
		found = append(found, address.FindAllString(lines.Text(), 1)...)
	}
	go func() {
		defer close(s.ended)
		_, _ = io.Copy(io.Discard, stdout)
		s.exit = command.Wait()
	}()
	if len(found) < 2 {
		return 0, errors.Join(errNoAddress, s.said())
	}
	s.rest, s.grpc = found[0], found[1]
	for !s.ready(ctx) {
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(readyEvery):
		}
	}
	return time.Since(begin), nil
}

func (s *service) ready(ctx context.Context) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.rest+"/readyz", http.NoBody)
	if err != nil {
		return false
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	_ = response.Body.Close()
	return response.StatusCode == http.StatusOK
}

// stop ends the process as an operator does.
func (s *service) stop(ctx context.Context) error {
	if err := s.command.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	select {
	case <-s.ended:
		return s.exit
	case <-ctx.Done():
		return errLate
	}
}

// kill ends the process, if it runs still.
func (s *service) kill() {
	if s.command == nil {
		return
	}
	_ = s.command.Process.Kill()
	<-s.ended
	s.command = nil
}

// said returns the last lines of the log as an error, for when something went wrong.
func (s *service) said() error {
	text, err := os.ReadFile(filepath.Join(s.dir, logFile))
	if err != nil {
		return err
	}
	const most = 4 << 10
	return fmt.Errorf("%w: its log ends in:\n%s", errUnexpected, text[max(0, len(text)-most):])
}

// memory returns the resident memory, in bytes.
func (s *service) memory() (int64, error) {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(s.command.Process.Pid), "status"))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kilobytes, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return kilobytes << 10, err
		}
	}
	return 0, errNoMemory
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
	if err := c.grpc.Invoke(ctx, method, request, &answer, grpc.ForceCodec(unread{}), grpc.MaxCallRecvMsgSize(64<<20)); err != nil {
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

func (c *connection) post(ctx context.Context, w webhook) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+c.service.rest+"/v1/webhooks/"+w.source, bytes.NewReader(w.body))
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

// unread marshals requests, and leaves answers as they are.
type unread struct{}

func (unread) Marshal(message any) ([]byte, error) {
	return proto.Marshal(message.(proto.Message)) //nolint:forcetypeassert // requests of this tool
}

func (unread) Unmarshal(data []byte, answer any) error {
	*answer.(*[]byte) = bytes.Clone(data) //nolint:forcetypeassert // answers of this tool
	return nil
}

func (unread) Name() string { return "proto" }
