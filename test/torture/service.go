package main

import (
	"context"
	"errors"
	"path/filepath"
	"sync/atomic"

	"github.com/callnorm/callnorm/test/internal/process"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

const configFile = "callnorm.yaml"

// configuration opens one door. Nothing is tuned.
const configuration = `http_addr: 127.0.0.1:0
grpc_addr: 127.0.0.1:0
sources:
  - {name: voxia, adapter: voxia, unverified: true}
`

// service is the binary, on a data directory of its own. Its addresses stay the same over restarts.
type service struct {
	*process.Process

	data       string
	rest, grpc string
	conn       *grpc.ClientConn
	// dark tells that the power of its disk was cut, and that it is about to be killed. The kernel answers every read with an error then,
	// which SQLite takes for damage: what it says in that instant, other than that it has kept something, counts for nothing.
	dark atomic.Bool
}

// newService returns a service that does not run yet. Its data is in its own directory until data is set to another.
func newService(binary string) (*service, error) {
	fresh, err := process.New(binary, "torture")
	if err != nil {
		return nil, err
	}
	s := &service{Process: fresh, data: filepath.Join(fresh.Dir, "data")}
	if err := s.Write(map[string]string{configFile: configuration}); err != nil {
		return nil, errors.Join(err, s.Remove())
	}
	return s, nil
}

// serveArgs are those of the command line.
func (s *service) serveArgs() []string {
	args := []string{"serve", "--config", filepath.Join(s.Dir, configFile), "--data-dir", s.data}
	if s.rest != "" {
		args = append(args, "--http-addr", s.rest, "--grpc-addr", s.grpc)
	}
	return args
}

// start starts the binary, and returns when it listens.
func (s *service) start(ctx context.Context) error {
	found, err := s.Start(ctx, 2, s.serveArgs()...)
	if err != nil {
		return err
	}
	s.rest, s.grpc = found[0], found[1]
	s.dark.Store(false)
	s.disconnect() // a connection to the process before would wait before it tries again
	s.conn, err = s.connect()
	return err
}

// connect makes a connection to the service.
func (s *service) connect(options ...grpc.DialOption) (*grpc.ClientConn, error) {
	return grpc.NewClient("passthrough:///"+s.grpc, append(options, grpc.WithTransportCredentials(insecure.NewCredentials()))...)
}

func (s *service) disconnect() {
	if s.conn != nil {
		_ = s.conn.Close()
		s.conn = nil
	}
}

// remove ends it, and deletes all that it kept.
func (s *service) remove() error {
	s.disconnect()
	return s.Remove()
}
