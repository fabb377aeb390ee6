package main

import (
	"bufio"
	"context"
	"errors"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/callnorm/callnorm/test/internal/fill"
	"github.com/callnorm/callnorm/test/internal/process"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// service is the binary, with one source that verifies.
type service struct {
	*process.Process

	generator  *generator
	rest, grpc string
	ready      time.Duration // how long the start took
	answer     int           // size of what it answers to a webhook
}

const configFile, secretFile = "load.yaml", "synthflow.secret"

// newService configures the binary in a directory, or in a temporary one.
func newService(binary, dir string, g *generator) (*service, error) {
	fresh := func() (*process.Process, error) { return process.In(dir, binary) }
	if dir == "" {
		fresh = func() (*process.Process, error) { return process.New(binary, "load") }
	}
	p, err := fresh()
	if err != nil {
		return nil, err
	}
	err = p.Write(map[string]string{
		secretFile: string(g.secret),
		configFile: "http_addr: 127.0.0.1:0\ngrpc_addr: 127.0.0.1:0\n" +
			"sources: [{name: " + fill.Synthflow + ", adapter: synthflow, verification: {scheme: provider, secret: {file: " + secretFile + "}}}]\n",
	})
	if err != nil {
		return nil, errors.Join(err, p.Remove())
	}
	return &service{Process: p, generator: g}, nil
}

// start starts it, and finds out what it answers.
func (s *service) start(ctx context.Context) error {
	begin := time.Now()
	found, err := s.Start(ctx, 2, "serve", "--config", filepath.Join(s.Dir, configFile), "--data-dir", filepath.Join(s.Dir, fill.DataDir))
	if err != nil {
		return err
	}
	s.rest, s.grpc = found[0], found[1]
	if err := s.WaitReady(ctx, s.rest); err != nil {
		return err
	}
	s.ready = time.Since(begin)
	c, err := dial(ctx, s.rest)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	if err := c.SetDeadline(time.Now().Add(late)); err != nil {
		return err
	}
	w := s.generator.webhook(s.generator.plain, s.rest)
	w.number(s.generator.next.Add(1))
	s.answer, err = c.post(w.text)
	return err
}

// post has many post to it.
func (s *service) post(ctx context.Context, l load) (turn, error) {
	return s.generator.post(ctx, s.Process, s.rest, l)
}

// dialGRPC opens a connection as clients/go does, with room for what is on its way while a subscriber works on what it has.
func dialGRPC(address string) (*grpc.ClientConn, error) {
	return grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithInitialWindowSize(1<<20), grpc.WithInitialConnWindowSize(1<<20), grpc.WithReadBufferSize(128<<10))
}

var errMetric = errors.New("the service has no such metric")

// metric returns the sum of what the service tells under a name, whatever the labels.
func (s *service) metric(ctx context.Context, name string) (sum float64, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.rest+"/metrics", http.NoBody)
	if err != nil {
		return 0, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	defer func() { _ = response.Body.Close() }()
	found := false
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		rest, ok := strings.CutPrefix(lines.Text(), name)
		if !ok || !strings.HasPrefix(rest, "{") && !strings.HasPrefix(rest, " ") {
			continue
		}
		value, err := strconv.ParseFloat(rest[strings.LastIndexByte(rest, ' ')+1:], 64)
		if err != nil {
			return 0, err
		}
		sum, found = sum+value, true
	}
	if err := lines.Err(); err != nil {
		return 0, err
	}
	if !found {
		return 0, errMetric
	}
	return sum, nil
}
