package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/callnorm/callnorm/adapters"
	"github.com/callnorm/callnorm/cmd/callnorm/config"
	"github.com/callnorm/callnorm/internal/intake"
	"github.com/callnorm/callnorm/internal/rejection"
	"github.com/callnorm/callnorm/internal/store"
	"github.com/callnorm/callnorm/internal/store/sqlite"
	"github.com/callnorm/callnorm/server"
	"github.com/callnorm/callnorm/server/access"
	"google.golang.org/grpc/grpclog"
)

// grace is how long shutting down may take. What is being kept takes 5 seconds at most; what takes longer waits for somebody.
const grace = 10 * time.Second

// configuration is the file and what wins over it.
type configuration struct {
	PublicAddr string `name:"public-addr" env:"CALLNORM_PUBLIC_ADDR" placeholder:"HOST:PORT" help:"Where webhooks come in, and nothing else is served (none)."`
	HTTPAddr   string `name:"http-addr" env:"CALLNORM_HTTP_ADDR" placeholder:"HOST:PORT" help:"Where webhooks and REST come in (${http_addr})."`
	GRPCAddr   string `name:"grpc-addr" env:"CALLNORM_GRPC_ADDR" placeholder:"HOST:PORT" help:"Where gRPC comes in (${grpc_addr})."`
	DataDir    string `name:"data-dir" env:"CALLNORM_DATA_DIR" placeholder:"DIR" help:"Where deliveries and outcomes are kept (${data_dir})."`
	Config     string `env:"CALLNORM_CONFIG" placeholder:"FILE" help:"Configuration file in YAML."`
}

func (c configuration) load(set *adapters.Set) (*config.Config, error) {
	loaded, err := config.Load(c.Config, config.Overrides{
		PublicAddr: c.PublicAddr, HTTPAddr: c.HTTPAddr, GRPCAddr: c.GRPCAddr, DataDir: c.DataDir,
	}, os.LookupEnv, set)
	if err != nil {
		return nil, usagef("the configuration has problems:\n%w", err)
	}
	return loaded, nil
}

type serveCommand struct{ configuration }

// Help shows examples.
func (serveCommand) Help() string {
	return `Without a configuration there is one source for each provider, at /v1/webhooks/<provider>, and whoever reaches the
address may deliver and read; so it listens on loopback only. Flags win over the environment, and that over the file.
After SIGTERM it answers what it has begun and ends streams with their cursors; a second one ends it at once. It exits with 3 when
the disk has failed a write or a sync, which starting again mends if the disk is well, and with 4 when another process uses
the directory.
SIGHUP reads sources, readers and certificates again; a file with problems changes nothing, and the log lists them.

Examples:

  callnorm serve
  callnorm serve --http-addr 127.0.0.1:8081 --grpc-addr 127.0.0.1:9091 --data-dir /var/lib/callnorm
  callnorm serve --config callnorm.yaml

Beyond loopback every route but the webhook doors needs a reader. Three lines set one up:

  openssl rand -hex 32 > crm.token && chmod 600 crm.token
  echo 'readers: [{name: crm, roles: [read], token: {file: crm.token}}]' >> callnorm.yaml
  grep -q ^tls: callnorm.yaml || echo 'tls: {cert_file: server.pem, key_file: server.key}' >> callnorm.yaml

The reader then says: callnorm tail --addr HOST:9090 --tls --token-file crm.token

A configuration file:

` + indent(config.Example)
}

func indent(text string) string {
	return "  " + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n  ")
}

// Run serves until ctx ends.
func (c serveCommand) Run(ctx context.Context, set *adapters.Set, streams streams) (err error) {
	loaded, err := c.load(set)
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(streams.err, nil))
	// From here on a SIGHUP is meant for us, and one that comes before all is open waits.
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)

	metrics := server.NewMetrics()
	ctx, end := context.WithCancel(ctx)
	defer end()
	kept, err := sqlite.Open(ctx, loaded.DataDir, sqlite.Settings{
		Now:      time.Now,
		Describe: intake.Describe,
		OnCommit: func(commit sqlite.Commit) { metrics.Committed(commit.Deliveries, commit.Duration, commit.Err) },
		OnFailure: func(err error) {
			log.Error("the disk has failed: the process ends, and has to be started again", "error", err)
			end()
		},
	})
	if err != nil {
		return fmt.Errorf("open %s: %w", loaded.DataDir, err)
	}
	defer closing(&err, "store", kept)
	if lost := kept.Lost(); lost != nil {
		log.Error("a part of what was kept is missing; readers who had come further are refused, and callnorm doctor says what to do", "data", loaded.DataDir, "error", lost)
	}
	refused, err := rejection.Open(ctx, loaded.DataDir, rejection.Settings{Now: time.Now, Key: []byte(loaded.HoldKey), Log: log})
	if err != nil {
		return fmt.Errorf("open %s: %w", loaded.DataDir, err)
	}
	defer closing(&err, "rejections", refused)

	listeners, err := listen(ctx, loaded)
	if err != nil {
		return err
	}
	running := &service{configuration: c.configuration, adapters: set, log: log}
	if err := running.build(loaded, onLoopback(listeners), kept, refused, metrics); err != nil {
		return err
	}
	welcome(streams.out, loaded, listeners)
	for _, warning := range loaded.Warnings {
		log.Warn("configuration", "warning", warning)
	}
	grpclog.SetLoggerV2(grpclog.NewLoggerV2(io.Discard, io.Discard, io.Discard)) // what went wrong with a connection is its own affair
	reloading, stop := context.WithCancel(ctx)
	defer stop()
	go running.reloadOn(reloading, hangups)
	go tradeMemory(reloading)
	upkeep := make(chan struct{})
	go func() {
		defer close(upkeep)
		running.intake.Upkeep(reloading, func(err error) { log.Error("upkeep failed and is tried again", "error", err) })
	}()
	err = running.server.Serve(ctx, listeners, grace)
	stop()
	<-upkeep // before the store is closed
	log.Info("stopped")
	if failure := kept.Err(); errors.Is(failure, store.ErrDevice) {
		return failure
	}
	return err
}

// closing closes what was opened, and says so when that goes wrong and nothing else has.
func closing(err *error, what string, opened io.Closer) {
	if closeErr := opened.Close(); *err == nil && closeErr != nil {
		*err = fmt.Errorf("close %s: %w", what, closeErr)
	}
}

// service is a running server with what a reload changes.
type service struct {
	configuration

	adapters     *adapters.Set
	log          *slog.Logger
	loaded       *config.Config
	intake       *intake.Intake
	gate         *access.Gate
	certificates *access.Certificates
	server       *server.Server
}

func (s *service) build(loaded *config.Config, openHouse bool, kept *sqlite.Store, refused *rejection.Book, metrics *server.Metrics) error {
	s.loaded = loaded
	if !openHouse && len(loaded.Readers) == 0 {
		return usagef("a name that should stand for loopback leads elsewhere, and there are no readers: listen on 127.0.0.1")
	}
	if loaded.TLS != (config.TLS{}) {
		var err error
		if s.certificates, err = access.LoadTLS(access.Files{
			Cert: loaded.TLS.CertFile, Key: loaded.TLS.KeyFile, ClientCA: loaded.TLS.ClientCAFile,
		}); err != nil {
			return &usageError{err}
		}
	}
	s.gate = access.New(server.Policy(openHouse))
	s.gate.Set(loaded.Readers)
	s.intake = intake.New(intake.Settings{
		Adapters: s.adapters, Store: kept, Rejections: refused, Observer: observer{metrics, s.log}, Now: time.Now,
	}, sourcesOf(loaded))
	var err error
	s.server, err = server.New(server.Settings{
		Intake: s.intake, Store: kept, Lost: kept.Lost(), Rejections: refused, Metrics: metrics, Log: s.log, Now: time.Now,
		Gate: s.gate, Certificates: s.certificates, Proxies: loaded.TrustedProxies, Limits: loaded.Limits,
	})
	return err
}

// observer counts what happens, and writes down what is seldom enough for that.
type observer struct {
	*server.Metrics

	log *slog.Logger
}

// Trimmed counts what retention has removed, and writes it down.
func (o observer) Trimmed(source string, removed store.Removed) {
	o.Metrics.Trimmed(source, removed)
	o.log.Info("retention has removed", "source", source, "outcomes", removed.Outcomes, "revisions", removed.Revisions, "deliveries", removed.Deliveries)
}

// onLoopback tells whether only this machine reaches what readers read. What a name stands for is known when it is listened on.
func onLoopback(on server.Listeners) bool {
	for _, listener := range []net.Listener{on.HTTP, on.GRPC} {
		if near, err := access.IsLoopback(listener.Addr().String()); err != nil || !near {
			return false
		}
	}
	return true
}

// sourcesOf returns the sources as the intake knows them.
func sourcesOf(loaded *config.Config) []intake.Source {
	sources := make([]intake.Source, len(loaded.Sources))
	for i, source := range loaded.Sources {
		sources[i] = source.Source
	}
	return sources
}

// reloadOn reloads with every hangup until ctx ends.
func (s *service) reloadOn(ctx context.Context, hangups <-chan os.Signal) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangups:
			err := s.reload()
			s.server.Reloaded(err) // before the log, for those who wait for that
			if err != nil {
				s.log.Error("the configuration was not reloaded; the one before is in force", "error", err)
				continue
			}
			s.log.Info("the configuration was reloaded", "sources", len(s.intake.Sources()))
		}
	}
}

// reload takes over sources, readers and certificates, all or none of them. Requests that have begun go on as they were.
func (s *service) reload() error {
	loaded, err := s.load(s.adapters)
	if err != nil {
		return err
	}
	if len(loaded.Readers) == 0 && !s.gate.Open() {
		return errors.New("the configuration has no readers any more, which would let everybody read: that takes a restart")
	}
	if (s.certificates != nil) != (loaded.TLS != (config.TLS{})) || s.loaded.TLS != loaded.TLS {
		s.log.Warn("the files of tls are others now; that takes a restart")
	} else if s.certificates != nil {
		if err := s.certificates.Reload(); err != nil {
			return err
		}
	}
	if !sameForLife(s.loaded, loaded) {
		s.log.Warn("addresses, data directory, limits, proxies or hold key are others now; that takes a restart")
	}
	s.gate.Set(loaded.Readers)
	s.intake.Reload(sourcesOf(loaded))
	for _, warning := range loaded.Warnings {
		s.log.Warn("configuration", "warning", warning)
	}
	return nil
}

// sameForLife tells whether two configurations agree in what a running process cannot change.
func sameForLife(a, b *config.Config) bool {
	return a.PublicAddr == b.PublicAddr && a.HTTPAddr == b.HTTPAddr && a.GRPCAddr == b.GRPCAddr && a.DataDir == b.DataDir &&
		a.HoldKey == b.HoldKey && a.Limits == b.Limits && slices.Equal(a.TrustedProxies, b.TrustedProxies)
}

// listen opens all listeners, or none.
func listen(ctx context.Context, loaded *config.Config) (on server.Listeners, err error) {
	var config net.ListenConfig
	var open []net.Listener
	defer func() {
		if err != nil {
			for _, listener := range open {
				_ = listener.Close()
			}
		}
	}()
	for _, wanted := range []struct {
		what, addr string
		listener   *net.Listener
	}{
		{"webhooks", loaded.PublicAddr, &on.Public}, {"HTTP", loaded.HTTPAddr, &on.HTTP}, {"gRPC", loaded.GRPCAddr, &on.GRPC},
	} {
		if wanted.addr == "" {
			continue
		}
		if *wanted.listener, err = config.Listen(ctx, "tcp", wanted.addr); err != nil {
			return server.Listeners{}, fmt.Errorf("listen for %s: %w", wanted.what, err)
		}
		open = append(open, *wanted.listener)
	}
	return on, nil
}

// welcome says what is going on and what to try next.
func welcome(out io.Writer, loaded *config.Config, on server.Listeners) {
	scheme := "http"
	if loaded.TLS != (config.TLS{}) {
		scheme = "https"
	}
	_, _ = fmt.Fprintf(out, "callnorm %s\n", buildVersion())
	if on.Public != nil {
		_, _ = fmt.Fprintf(out, "  webhooks alone     %s://%s\n", scheme, on.Public.Addr())
	}
	_, _ = fmt.Fprintf(out, "  webhooks and REST  %s://%s\n  gRPC               %s\n  data               %s\n\n",
		scheme, on.HTTP.Addr(), on.GRPC.Addr(), loaded.DataDir)
	var open []string
	var example config.Source
	for _, source := range loaded.Sources {
		if source.Disabled || !source.Unverified {
			continue
		}
		if open = append(open, source.Name); example.Name == "" {
			example = source
		}
	}
	if len(open) == 0 {
		return
	}
	_, _ = fmt.Fprintf(out, "NOTE: these sources take deliveries from anybody who reaches the address, without proof of where they come from:\n  %s\n\n",
		strings.Join(open, ", "))
	if len(loaded.Readers) > 0 || scheme != "http" {
		return // trying takes a token or a certificate
	}
	_, _ = fmt.Fprintf(out, `Try, in another terminal:
  curl -d '%[1]s' \
    http://%[2]s/v1/webhooks/%[3]s
  curl http://%[2]s/v1/providers/%[4]s/calls/demo-1
  callnorm tail --addr %[5]s --from beginning

`, example.Adapter.Example(), on.HTTP.Addr(), example.Name, example.Provider, on.GRPC.Addr())
}
