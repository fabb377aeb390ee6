// Package server is what callnorm says to the outside: the RPCs, the webhook door, the REST gateway, health and metrics. It maps
// errors to codes, and decides nothing else.
package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/callnorm/callnorm/internal/intake"
	"github.com/callnorm/callnorm/internal/store"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"
)

const (
	maxRequest       = 16 << 20 // the largest body of a source, and what a message adds to it
	maxHeader        = 64 << 10
	maxStreams       = 1000 // on one connection
	healthInterval   = 250 * time.Millisecond
	readHeaderIn     = 10 * time.Second
	readIn           = time.Minute
	idleFor          = 2 * time.Minute
	keepaliveEvery   = time.Minute
	keepaliveTimeout = 20 * time.Second
	minClientPing    = 10 * time.Second
)

// Settings are what a server is made of.
type Settings struct {
	Intake  *intake.Intake
	Store   store.Store
	Metrics *Metrics
	Log     *slog.Logger
	Now     func() time.Time
}

// Server serves gRPC and HTTP on two listeners.
type Server struct {
	intake   *intake.Intake
	store    store.Store
	metrics  *Metrics
	log      *slog.Logger
	now      func() time.Time
	grpc     *grpc.Server // for callers from outside
	inner    *grpc.Server // for the gateway, which outlives those
	http     *http.Server
	health   *health.Server
	gateway  *gateway
	json     marshaler
	draining context.Context
	drain    context.CancelFunc
}

// New returns a server that does not serve yet.
func New(settings Settings) (*Server, error) {
	s := &Server{
		intake: settings.Intake, store: settings.Store, metrics: settings.Metrics, log: settings.Log, now: settings.Now,
		health: health.NewServer(),
	}
	s.draining, s.drain = context.WithCancel(context.Background())
	s.grpc = grpc.NewServer(
		grpc.UnaryInterceptor(s.unary),
		grpc.StreamInterceptor(s.stream),
		// grpc's own bounds are none.
		grpc.MaxRecvMsgSize(maxRequest),
		grpc.MaxConcurrentStreams(maxStreams),
		grpc.MaxHeaderListSize(maxHeader),
		grpc.ConnectionTimeout(readHeaderIn),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: keepaliveEvery, Timeout: keepaliveTimeout}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: minClientPing, PermitWithoutStream: true}),
	)
	// All REST requests share one connection in memory; what comes over it was bounded at the door of HTTP.
	s.inner = grpc.NewServer(
		grpc.UnaryInterceptor(s.unary), grpc.StreamInterceptor(s.stream), grpc.MaxRecvMsgSize(math.MaxInt32),
	)
	normalization := &normalizationService{intake: s.intake, now: s.now}
	outcomes := &outcomeService{store: s.store, draining: s.draining, streams: s.metrics.streams}
	for _, registrar := range []*grpc.Server{s.grpc, s.inner} {
		callnormv1.RegisterNormalizationServiceServer(registrar, normalization)
		callnormv1.RegisterOutcomeServiceServer(registrar, outcomes)
	}
	healthv1.RegisterHealthServer(s.grpc, s.health)
	reflection.Register(s.grpc)

	var err error
	if s.gateway, err = s.newGateway(); err != nil {
		s.drain()
		return nil, err
	}
	// Never http.DefaultServeMux: grpc registers debug pages there.
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", s.live)
	mux.HandleFunc("GET /readyz", s.ready)
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.metrics.registry, promhttp.HandlerOpts{}))
	mux.Handle("/", s.gateway.mux)
	s.http = &http.Server{
		// The door comes before any mux: those clean paths, rewrite methods and read forms.
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasPrefix(r.URL.Path, doorPrefix) {
				s.door(w, r)
				return
			}
			mux.ServeHTTP(w, r)
		}),
		ReadHeaderTimeout: readHeaderIn, ReadTimeout: readIn, IdleTimeout: idleFor, MaxHeaderBytes: maxHeader,
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
	}
	return s, nil
}

// Serve serves on both listeners until ctx ends, and then drains: streams end with their cursors, what is being answered is
// answered, and nothing new is taken. It takes at most the grace period for that.
func (s *Server) Serve(ctx context.Context, grpcListener, httpListener net.Listener, grace time.Duration) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return serving("grpc", s.grpc.Serve(grpcListener)) })
	group.Go(func() error { return serving("grpc in memory", s.inner.Serve(s.gateway.listener)) })
	group.Go(func() error { return serving("http", s.http.Serve(httpListener)) })
	group.Go(func() error {
		s.watch(ctx)
		s.shutdown(grace)
		return nil
	})
	return group.Wait()
}

// Handler returns the HTTP side, for those who serve it by themselves. The generated routes need Serve; the door does not.
func (s *Server) Handler() http.Handler { return s.http.Handler }

func serving(what string, err error) error {
	if err == nil || errors.Is(err, http.ErrServerClosed) || errors.Is(err, grpc.ErrServerStopped) {
		return nil
	}
	return fmt.Errorf("serve %s: %w", what, err)
}

// watch keeps the health service true until ctx ends.
func (s *Server) watch(ctx context.Context) {
	tick := time.NewTicker(healthInterval)
	defer tick.Stop()
	var last healthv1.HealthCheckResponse_ServingStatus
	for {
		now := healthv1.HealthCheckResponse_SERVING
		if err := s.store.Err(); err != nil {
			now = healthv1.HealthCheckResponse_NOT_SERVING
		}
		if now != last {
			for _, service := range []string{"", callnormv1.NormalizationService_ServiceDesc.ServiceName, callnormv1.OutcomeService_ServiceDesc.ServiceName} {
				s.health.SetServingStatus(service, now)
			}
			s.log.Info("health changed", "status", now.String())
			last = now
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (s *Server) shutdown(grace time.Duration) {
	// Open Watch streams would keep GracefulStop waiting for ever: they are told first.
	s.health.Shutdown()
	s.drain()
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	var stopping sync.WaitGroup
	stopping.Go(func() { stopGracefully(ctx, s.log, s.grpc) })
	stopping.Go(func() {
		if err := s.http.Shutdown(ctx); err != nil {
			s.log.Warn("not all HTTP requests ended in time", "error", err)
			_ = s.http.Close()
		}
		// The gateway's requests have ended; nothing is waiting behind it.
		s.gateway.close()
		s.inner.Stop()
	})
	stopping.Wait()
}

// stopGracefully takes no new calls and waits for the open ones until ctx ends.
func stopGracefully(ctx context.Context, log *slog.Logger, server *grpc.Server) {
	stopped := make(chan struct{})
	go func() {
		server.GracefulStop()
		close(stopped)
	}()
	select {
	case <-stopped:
	case <-ctx.Done():
		log.Warn("not all calls ended in time")
		server.Stop()
		<-stopped
	}
}

// live answers as long as the process can answer at all.
func (s *Server) live(w http.ResponseWriter, _ *http.Request) { plain(w, http.StatusOK, "ok") }

// ready answers whether deliveries can be kept.
func (s *Server) ready(w http.ResponseWriter, _ *http.Request) {
	switch {
	case s.draining.Err() != nil:
		plain(w, http.StatusServiceUnavailable, "shutting down")
	case s.store.Err() != nil:
		plain(w, http.StatusServiceUnavailable, "the store cannot keep anything at the moment")
	default:
		plain(w, http.StatusOK, "ok")
	}
}

func plain(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(code)
	_, _ = fmt.Fprintln(w, text)
}
