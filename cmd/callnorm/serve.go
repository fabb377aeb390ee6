package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/callnorm/callnorm/adapters"
	"github.com/callnorm/callnorm/internal/intake"
	"github.com/callnorm/callnorm/internal/store/sqlite"
	"github.com/callnorm/callnorm/server"
	"google.golang.org/grpc/grpclog"
)

// grace is how long shutting down may take.
const grace = 20 * time.Second

type serveCommand struct {
	HTTPAddr string `name:"http-addr" env:"CALLNORM_HTTP_ADDR" placeholder:"HOST:PORT" help:"Where webhooks and REST come in (${http_addr})."`
	GRPCAddr string `name:"grpc-addr" env:"CALLNORM_GRPC_ADDR" placeholder:"HOST:PORT" help:"Where gRPC comes in (${grpc_addr})."`
	DataDir  string `name:"data-dir" env:"CALLNORM_DATA_DIR" placeholder:"DIR" help:"Where deliveries and outcomes are kept (${data_dir})."`
	Config   string `env:"CALLNORM_CONFIG" placeholder:"FILE" help:"Configuration file in YAML."`
}

// Help shows examples.
func (serveCommand) Help() string {
	return `Without a configuration there is one source for each provider, at /v1/webhooks/<provider>, and whoever reaches the
address may deliver and read; so it listens on loopback only. Flags win over the environment, and that over the file.

Examples:

  callnorm serve
  callnorm serve --http-addr 127.0.0.1:8081 --grpc-addr 127.0.0.1:9091 --data-dir /var/lib/callnorm
  callnorm serve --config callnorm.yaml

A configuration file:

  http_addr: 127.0.0.1:8080
  data_dir: /var/lib/callnorm
  sources:
    - name: sales-calls        # POST /v1/webhooks/sales-calls
      adapter: synthflow
      provider: anunzi
      unverified: true`
}

// Run serves until ctx ends.
func (c serveCommand) Run(ctx context.Context, set *adapters.Set, streams streams) (err error) {
	config, err := readConfig(c.Config)
	if err != nil {
		return &usageError{err}
	}
	config.HTTPAddr = first(c.HTTPAddr, config.HTTPAddr)
	config.GRPCAddr = first(c.GRPCAddr, config.GRPCAddr)
	config.DataDir = first(c.DataDir, config.DataDir)
	config.complete(set)
	sources, err := config.sources(set)
	if err != nil {
		return usagef("the configuration has problems:\n%w", err)
	}

	log := slog.New(slog.NewTextHandler(streams.err, nil))
	metrics := server.NewMetrics()
	kept, err := sqlite.Open(ctx, config.DataDir, sqlite.Settings{
		Now:      time.Now,
		OnCommit: func(commit sqlite.Commit) { metrics.Committed(commit.Deliveries, commit.Duration, commit.Err) },
	})
	if err != nil {
		return fmt.Errorf("open %s: %w", config.DataDir, err)
	}
	defer func() {
		if closeErr := kept.Close(); err == nil && closeErr != nil {
			err = fmt.Errorf("close %s: %w", config.DataDir, closeErr)
		}
	}()
	served, err := server.New(server.Settings{
		Intake: intake.New(set, sources, kept, time.Now, metrics), Store: kept, Metrics: metrics, Log: log, Now: time.Now,
	})
	if err != nil {
		return err
	}
	var listen net.ListenConfig
	httpListener, err := listen.Listen(ctx, "tcp", config.HTTPAddr)
	if err != nil {
		return fmt.Errorf("listen for HTTP: %w", err)
	}
	grpcListener, err := listen.Listen(ctx, "tcp", config.GRPCAddr)
	if err != nil {
		_ = httpListener.Close()
		return fmt.Errorf("listen for gRPC: %w", err)
	}
	welcome(streams.out, httpListener.Addr().String(), grpcListener.Addr().String(), config.DataDir, sources)
	grpclog.SetLoggerV2(grpclog.NewLoggerV2(io.Discard, io.Discard, io.Discard)) // what went wrong with a connection is its own affair
	err = served.Serve(ctx, grpcListener, httpListener, grace)
	log.Info("stopped")
	return err
}

// welcome says what is going on and what to try next.
func welcome(out io.Writer, httpAddr, grpcAddr, dataDir string, sources []intake.Source) {
	var names []string
	var example intake.Source
	for _, source := range sources {
		if source.Disabled {
			continue
		}
		if names = append(names, source.Name); example.Name == "" {
			example = source
		}
	}
	_, _ = fmt.Fprintf(out, `callnorm %[1]s
  webhooks and REST  http://%[2]s
  gRPC               %[3]s
  data               %[4]s

NOTE: these sources take deliveries from anybody who reaches the address, without proof of where they come from:
  %[5]s

`, buildVersion(), httpAddr, grpcAddr, dataDir, first(strings.Join(names, ", "), "none"))
	if example.Name == "" {
		return
	}
	_, _ = fmt.Fprintf(out, `Try, in another terminal:
  curl -d '%[1]s' \
    http://%[2]s/v1/webhooks/%[3]s
  curl http://%[2]s/v1/providers/%[4]s/calls/demo-1
  callnorm tail --addr %[5]s --from beginning

`, example.Adapter.Example(), httpAddr, example.Name, example.Provider, grpcAddr)
}
