// Package server is what callnorm says to the outside: the RPCs, the webhook door, the REST gateway, health and metrics. It maps
// errors to codes, and decides nothing else.
package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/http"
	"sync"
	"time"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"github.com/callnorm/callnorm/internal/intake"
	"github.com/callnorm/callnorm/internal/rejection"
	"github.com/callnorm/callnorm/internal/store"
	"github.com/callnorm/callnorm/server/access"
	"github.com/callnorm/callnorm/server/bounds"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"
)

const (
	maxRequest       = 16 << 20 // the largest body of a source, and what a message adds to it
	maxHeader        = 64 << 10
	maxStreams       = 250      // on one connection
	smallMessage     = 64 << 10 // needs no room of its own among the bodies in memory
	healthInterval   = 250 * time.Millisecond
	keepaliveEvery   = time.Minute
	keepaliveTimeout = 20 * time.Second
	minClientPing    = 10 * time.Second
	writeBuffer      = 128 << 10 // of a connection while something is written to it: some thirty outcomes in one system call
)

// Settings are what a server is made of.
type Settings struct {
	Intake *intake.Intake
	Store  store.Store
	// Lost is what was missing of the store when it was opened, or nil.
	Lost       error
	Rejections *rejection.Book
	Metrics    *Metrics
	Log        *slog.Logger
	Now        func() time.Time
	// Gate knows who may read; its policy is Policy.
	Gate *access.Gate
	// Certificates make all listeners speak TLS. Without them none does.
	Certificates *access.Certificates
	// Proxies are believed when they say whom they forward for.
	Proxies bounds.Proxies
	// Limits bound what the outside can take. The zero value is DefaultLimits.
	Limits Limits
}

// Server serves gRPC on one listener and HTTP on one or two.
type Server struct {
	intake   *intake.Intake
	store    store.Store
	metrics  *Metrics
	log      *slog.Logger
	now      func() time.Time
	grpc     *access.Server // for callers from outside
	inner    *grpc.Server   // for the gateway, which outlives those
	http     *http.Server
	public   *http.Server // doors and liveness alone
	limits   Limits
	proxies  bounds.Proxies
	rates    *bounds.Rates
	budget   *bounds.Budget
	pace     bounds.Pace
	certs    *access.Certificates
	trouble  trouble
	health   *health.Server
	gateway  *gateway
	json     marshaler
	draining context.Context
	drain    context.CancelFunc
}

// New returns a server that does not serve yet.
func New(settings Settings) (*Server, error) {
	limits := settings.Limits
	if limits == (Limits{}) {
		limits = DefaultLimits()
	}
	s := &Server{
		intake: settings.Intake, store: settings.Store, metrics: settings.Metrics, log: newCalm(settings.Log, settings.Now), now: settings.Now,
		health: health.NewServer(), limits: limits, proxies: settings.Proxies, certs: settings.Certificates,
		budget: bounds.NewBudget(limits.InflightBytes, inflightWait),
		pace:   bounds.Pace{Grace: bounds.DefaultPace.Grace, Rate: limits.MinPace, Within: limits.ReadTimeout},
	}
	if limits.AddressRate.PerSecond > 0 {
		s.rates = bounds.NewRates(limits.AddressRate.PerSecond, limits.AddressRate.Burst, ratedAddresses)
	}
	s.metrics.observe(s.budget)
	s.draining, s.drain = context.WithCancel(context.Background())
	options := []grpc.ServerOption{
		grpc.ForceServerCodecV2(newCodec()),
		// grpc's own bounds are none.
		grpc.MaxRecvMsgSize(maxRequest),
		grpc.MaxConcurrentStreams(maxStreams),
		grpc.MaxHeaderListSize(uint32(limits.HeaderBytes)),
		grpc.WriteBufferSize(writeBuffer),
		grpc.ConnectionTimeout(limits.ReadHeaderTimeout),
		grpc.KeepaliveParams(keepalive.ServerParameters{
			MaxConnectionIdle: limits.IdleTimeout, Time: keepaliveEvery, Timeout: keepaliveTimeout,
		}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: minClientPing, PermitWithoutStream: true}),
	}
	if s.certs != nil {
		options = append(options, grpc.Creds(credentials.NewTLS(s.certs.Config(tls.VerifyClientCertIfGiven))))
	}
	s.grpc = settings.Gate.NewServer(s.outer, s.stream, options...)
	// All REST requests share one connection in memory; what comes over it was judged and bounded at the door of HTTP.
	s.inner = settings.Gate.NewInner(s.unary, s.stream, grpc.ForceServerCodecV2(newCodec()), grpc.MaxRecvMsgSize(math.MaxInt32))
	s.trouble.lost = settings.Lost
	s.register(settings)

	var err error
	if s.gateway, err = s.newGateway(); err != nil {
		s.drain()
		return nil, err
	}
	// Never http.DefaultServeMux: grpc registers debug pages there.
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+livePath, s.live)
	mux.HandleFunc("GET "+readyPath, s.may(s.ready))
	mux.HandleFunc("GET "+metricsPath, s.may(promhttp.HandlerFor(s.metrics.registry, promhttp.HandlerOpts{}).ServeHTTP))
	mux.Handle("/", s.gateway.mux)
	gated := settings.Gate.HTTP(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if isDoor(r) {
			s.door(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	}), isPublic, s.writeError)
	s.http = s.newHTTP(gated.ServeHTTP)
	s.public = s.newHTTP(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case isDoor(r):
			gated.ServeHTTP(w, r)
		case r.URL.Path == livePath:
			s.live(w, r)
		default:
			s.writeError(w, r, errRoute)
		}
	})
	return s, nil
}

// register registers all services with the server for callers from outside and with the gateway's.
func (s *Server) register(settings Settings) {
	normalization := &normalizationService{intake: s.intake, now: s.now}
	followers := &followers{log: s.store, draining: s.draining, streams: s.metrics.streams}
	outcomes := &outcomeService{store: s.store, followers: followers}
	deliveries := &deliveryService{store: s.store, intake: s.intake, draining: s.draining, log: s.log}
	sources := &sourceService{
		intake: s.intake, rejections: settings.Rejections, store: s.store, now: s.now,
		trouble: func() []*callnormv1.Finding { return s.trouble.findings(s.now(), s.certs) },
	}
	subscriptions := &subscriptionService{store: s.store, followers: followers, now: s.now}
	privacy := &privacyService{store: s.store, intake: settings.Intake}
	for _, registrar := range []grpc.ServiceRegistrar{s.grpc, s.inner} {
		callnormv1.RegisterNormalizationServiceServer(registrar, normalization)
		callnormv1.RegisterOutcomeServiceServer(registrar, outcomes)
		callnormv1.RegisterDeliveryServiceServer(registrar, deliveries)
		callnormv1.RegisterSourceServiceServer(registrar, sources)
		callnormv1.RegisterSubscriptionServiceServer(registrar, subscriptions)
		callnormv1.RegisterPrivacyServiceServer(registrar, privacy)
	}
	healthv1.RegisterHealthServer(s.grpc, s.health)
	reflection.Register(s.grpc)
}

func (s *Server) newHTTP(handler http.HandlerFunc) *http.Server {
	return &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer s.recoverHTTP(w, r)
			handler(&patient{ResponseWriter: w, within: s.limits.WriteTimeout}, r)
		}),
		ReadHeaderTimeout: s.limits.ReadHeaderTimeout, ReadTimeout: s.limits.ReadTimeout, IdleTimeout: s.limits.IdleTimeout,
		MaxHeaderBytes: s.limits.HeaderBytes,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: maxHTTPStreams, MaxReceiveBufferPerConnection: 1 << 20, MaxReceiveBufferPerStream: 1 << 18,
			MaxReadFrameSize: 1 << 16, WriteByteTimeout: s.limits.WriteTimeout, SendPingTimeout: keepaliveEvery, PingTimeout: keepaliveTimeout,
		},
		// What it says of connections tells addresses, and anybody can make it say that as often as he likes.
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelWarn),
	}
}

// recoverHTTP answers when a handler panics. net/http would write down what it panicked with, which may quote a payload.
func (s *Server) recoverHTTP(w http.ResponseWriter, r *http.Request) {
	cause := recover()
	if err, ok := cause.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(cause) // That is how a handler gives up on a connection.
	}
	if cause != nil {
		s.writeError(w, r, recovered(s.log, methodOf(r)+" "+routeOf(r), cause))
	}
}

// Listeners are where a server listens. Public may be nil.
type Listeners struct{ Public, HTTP, GRPC net.Listener }

// Serve serves on the listeners until ctx ends, and then drains: streams end with their cursors, what is being answered is
// answered, and nothing new is taken. It takes at most the grace period for that.
func (s *Server) Serve(ctx context.Context, on Listeners, grace time.Duration) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return serving("grpc", s.grpc.Serve(s.limit(on.GRPC, ""))) })
	group.Go(func() error { return serving("grpc in memory", s.inner.Serve(s.gateway.listener)) })
	group.Go(func() error { return serving("http", s.http.Serve(s.secure(on.HTTP, tls.VerifyClientCertIfGiven))) })
	if on.Public != nil {
		group.Go(func() error { return serving("public http", s.public.Serve(s.secure(on.Public, tls.NoClientCert))) })
	}
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
			s.health.SetServingStatus("", now)
			for service := range s.inner.GetServiceInfo() {
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
	stopping.Go(func() { stopGracefully(ctx, s.log, s.grpc.Server) })
	stopping.Go(func() {
		var both sync.WaitGroup
		for _, server := range []*http.Server{s.http, s.public} {
			both.Go(func() {
				if err := server.Shutdown(ctx); err != nil {
					s.log.Warn("not all HTTP requests ended in time", "error", err)
					_ = server.Close()
				}
			})
		}
		both.Wait()
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
