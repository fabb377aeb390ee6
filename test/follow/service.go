package main

import (
	"context"
	"errors"
	"path/filepath"
	"sync"

	"github.com/callnorm/callnorm/test/internal/process"
)

const configFile = "callnorm.yaml"

// configuration opens a door for each source that is sent to. Calls wait for their analysis for a short time only, so that they settle
// while readers read.
const configuration = `http_addr: 127.0.0.1:0
grpc_addr: 127.0.0.1:0
sources:
  - {name: voxia, adapter: voxia, unverified: true, settle_after: 3s}
  - {name: synthflow, adapter: synthflow, unverified: true, settle_after: 3s}
  - {name: anunzi, adapter: synthflow, provider: anunzi, unverified: true, settle_after: 3s}
  - {name: curious-thing, adapter: curious-thing, unverified: true, settle_after: 3s}
`

// service is the binary, on a data directory of its own. Its addresses stay the same over restarts.
type service struct {
	*process.Process

	rest, grpc string
	most       int64 // of resident memory, of the processes that were killed

	mu   sync.Mutex
	up   chan struct{} // closed while it runs
	fail context.CancelCauseFunc
}

// newService returns a service, and a context that ends when it ends by itself.
func newService(ctx context.Context, binary string) (*service, context.Context, error) {
	fresh, err := process.New(binary, "follow")
	if err != nil {
		return nil, nil, err
	}
	s := &service{Process: fresh, up: make(chan struct{})}
	ctx, s.fail = context.WithCancelCause(ctx)
	if err := s.Write(map[string]string{configFile: configuration}); err != nil {
		return nil, nil, errors.Join(err, s.Remove())
	}
	return s, ctx, nil
}

// start starts the binary, and lets in who waits for it.
func (s *service) start(ctx context.Context) error {
	args := []string{"serve", "--config", filepath.Join(s.Dir, configFile), "--data-dir", filepath.Join(s.Dir, "data")}
	if s.rest != "" {
		args = append(args, "--http-addr", s.rest, "--grpc-addr", s.grpc)
	}
	found, err := s.Start(ctx, 2, args...)
	if err != nil {
		return err
	}
	if s.rest == "" {
		s.rest, s.grpc = found[0], found[1]
	}
	alive, _ := s.While(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	up := s.up
	close(up)
	context.AfterFunc(alive, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.up == up && errors.Is(context.Cause(alive), process.ErrGone) { // and nobody has killed it
			s.fail(process.ErrGone)
		}
	})
	return nil
}

// crash kills the process.
func (s *service) crash() {
	s.mu.Lock()
	s.up = make(chan struct{})
	s.mu.Unlock()
	if peak, err := s.Peak(); err == nil {
		s.most = max(s.most, peak)
	}
	s.Kill()
}

// await returns when the service runs, or with the reason why it never will.
func (s *service) await(ctx context.Context) error {
	s.mu.Lock()
	up := s.up
	s.mu.Unlock()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-up:
		return nil
	}
}
