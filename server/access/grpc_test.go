package access_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/callnorm/callnorm/internal/signature"
	"github.com/callnorm/callnorm/server/access"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/status"
)

// calls is a service with a method for each role, one that the policy forgot, and a stream.
var calls = &grpc.ServiceDesc{
	ServiceName: "test.Calls",
	Methods: []grpc.MethodDesc{
		{MethodName: "Read", Handler: call(readMethod)},
		{MethodName: "Ingest", Handler: call(ingestMethod)},
		{MethodName: "Operate", Handler: call(operateMethod)},
		{MethodName: "Forgotten", Handler: call(forgotten)},
	},
	Streams: []grpc.StreamDesc{{StreamName: "Follow", Handler: echo, ServerStreams: true, ClientStreams: true}},
}

// call answers like generated code, with the name of who called.
func call(method string) grpc.MethodHandler {
	return func(service any, ctx context.Context, decode func(any) error, intercept grpc.UnaryServerInterceptor) (any, error) {
		request := &healthv1.HealthCheckRequest{}
		if err := decode(request); err != nil {
			return nil, err
		}
		return intercept(ctx, request, &grpc.UnaryServerInfo{Server: service, FullMethod: method}, func(ctx context.Context, _ any) (any, error) {
			return &healthv1.HealthCheckRequest{Service: access.From(ctx).Name}, nil
		})
	}
}

// echo answers each message with who sent it.
func echo(_ any, stream grpc.ServerStream) error {
	for {
		message := &healthv1.HealthCheckRequest{}
		if err := stream.RecvMsg(message); err != nil {
			return err
		}
		message.Service = access.From(stream.Context()).Name
		if err := stream.SendMsg(message); err != nil {
			return err
		}
	}
}

// said marks an error as one that went through the server's interceptors.
func said(err error) error {
	if errors.Is(err, access.ErrUnauthenticated) || errors.Is(err, access.ErrForbidden) {
		return status.Error(status.Code(err), "said: "+err.Error())
	}
	return err
}

func saidUnary(ctx context.Context, request any, _ *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	response, err := handle(ctx, request)
	return response, said(err)
}

func saidStream(service any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
	return said(handle(service, stream))
}

// listen serves the services behind a gate, and returns the server and its address.
func listen(t *testing.T, gate *access.Gate, options ...grpc.ServerOption) (*access.Server, string) {
	t.Helper()
	server := gate.NewServer(saidUnary, saidStream, options...)
	server.RegisterService(calls, nil)
	healthv1.RegisterHealthServer(server, health.NewServer())
	reflection.Register(server)
	return server, reachable(t, server.Server)
}

// reachable serves on loopback, and returns the address.
func reachable(t *testing.T, server *grpc.Server) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(listener) })
	t.Cleanup(func() { server.Stop(); serving.Wait() })
	return listener.Addr().String()
}

func dial(t *testing.T, addr string, options ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	if len(options) == 0 {
		options = []grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())}
	}
	conn, err := grpc.NewClient(addr, options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func with(t *testing.T, values ...string) context.Context {
	t.Helper()
	return metadata.NewOutgoingContext(t.Context(), metadata.MD{"authorization": values})
}

// open begins a call, of whichever kind, without sending a message.
func open(ctx context.Context, t *testing.T, conn *grpc.ClientConn, method string) grpc.ClientStream {
	t.Helper()
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, method)
	if err != nil {
		t.Fatal(err)
	}
	return stream
}

// ask calls a method with an empty message, and returns who the server took the caller for.
func ask(ctx context.Context, t *testing.T, conn *grpc.ClientConn, method string) (string, error) {
	t.Helper()
	stream := open(ctx, t, conn, method)
	if err := stream.SendMsg(&healthv1.HealthCheckRequest{}); err != nil && !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	_ = stream.CloseSend()
	response := &healthv1.HealthCheckRequest{}
	err := stream.RecvMsg(response)
	return response.GetService(), err
}

// Every method that the server has, and some that it has not, with every credential.
func TestEveryMethod(t *testing.T) {
	server, addr := listen(t, newGate())
	conn := dial(t, addr)
	methods := map[string]access.Role{}
	for service, info := range server.GetServiceInfo() {
		for _, method := range info.Methods {
			methods["/"+service+"/"+method.Name] = access.RoleOperate
		}
	}
	maps.Copy(methods, policy.Methods)
	delete(methods, "/empty")
	for method := range methods {
		if strings.HasPrefix(method, "/grpc.") {
			methods[method] = access.RoleRead
		}
	}
	if len(methods) < 10 {
		t.Fatalf("there are only %v", methods)
	}
	unregistered := []string{"/test.Calls/Missing", "/missing.Service/Missing", "/grpc.health.v1.Health/Missing", "/test.Calls/", "//"}
	for _, method := range unregistered {
		methods[method] = access.RoleOperate
	}
	type credential struct {
		values []string
		roles  []access.Role
	}
	credentials := map[string]credential{
		"nobody":           {},
		"an empty value":   {values: []string{""}},
		"a wrong token":    {values: []string{"Bearer wrong-token-1234567"}},
		"another scheme":   {values: []string{"Basic read-token-1234567"}},
		"the token alone":  {values: []string{"read-token-1234567"}},
		"a token twice":    {values: []string{"Bearer operate-token-1234", "Bearer operate-token-1234"}},
		"a huge token":     {values: []string{"Bearer " + strings.Repeat("x", 100_000)}},
		"the next token":   {values: []string{"Bearer read-token-next-12"}, roles: []access.Role{access.RoleRead}},
		"the other scheme": {values: []string{"bearer ingest-token-12345"}, roles: []access.Role{access.RoleIngest}},
	}
	for _, reader := range readers()[:4] {
		credentials[reader.Name] = credential{values: []string{"Bearer " + string(reader.Tokens[0])}, roles: reader.Roles}
	}
	for method, role := range methods {
		for name, sent := range credentials {
			_, err := ask(with(t, sent.values...), t, conn, method)
			want := codes.OK
			switch {
			case sent.roles == nil:
				want = codes.Unauthenticated
			case !slices.Contains(sent.roles, role) && !slices.Contains(sent.roles, access.RoleOperate):
				want = codes.PermissionDenied
			case slices.Contains(unregistered, method):
				want = codes.Unimplemented
			}
			got := status.Code(err)
			if got == codes.InvalidArgument && strings.HasPrefix(method, "/grpc.reflection.") {
				got = codes.OK // It was let through, and was asked nothing.
			}
			if got != want {
				t.Errorf("%s, %s: got %v, want %v", method, name, err, want)
			}
			if denied := want == codes.Unauthenticated || want == codes.PermissionDenied; denied && !strings.Contains(status.Convert(err).Message(), "said: ") {
				t.Errorf("%s, %s: the interceptors did not see %v", method, name, err)
			}
		}
	}
}

func TestACallIsJudgedBeforeItsBody(t *testing.T) {
	_, addr := listen(t, newGate())
	conn := dial(t, addr)
	for _, method := range []string{readMethod, followMethod, "/missing.Service/Missing", "/grpc.health.v1.Health/Check"} {
		if err := open(t.Context(), t, conn, method).RecvMsg(&healthv1.HealthCheckRequest{}); status.Code(err) != codes.Unauthenticated {
			t.Errorf("%s: got %v", method, err)
		}
	}
}

func TestWhatIsRegisteredPastTheGateIsBehindIt(t *testing.T) {
	server := newGate().NewServer(saidUnary, saidStream)
	server.Server.RegisterService(calls, nil)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(listener) })
	t.Cleanup(func() { server.Stop(); serving.Wait() })
	conn := dial(t, listener.Addr().String())
	for _, method := range []string{readMethod, followMethod} {
		if _, err := ask(t.Context(), t, conn, method); status.Code(err) != codes.Unauthenticated {
			t.Errorf("%s: got %v", method, err)
		}
		if name, err := ask(with(t, "Bearer read-token-1234567"), t, conn, method); name != "dashboard" || err != nil {
			t.Errorf("%s: got %q, %v", method, name, err)
		}
	}
}

func TestOpenHouseOverGRPC(t *testing.T) {
	gate := access.New(access.Policy{OpenHouse: true})
	_, addr := listen(t, gate)
	conn := dial(t, addr)
	for _, method := range []string{readMethod, forgotten, followMethod} {
		if name, err := ask(with(t, "Basic of-another-time"), t, conn, method); name != "everyone" || err != nil {
			t.Errorf("%s: got %q, %v", method, name, err)
		}
	}
	if _, err := ask(t.Context(), t, conn, "/missing.Service/Missing"); status.Code(err) != codes.Unimplemented {
		t.Errorf("got %v", err)
	}
	gate.Set(readers())
	if _, err := ask(t.Context(), t, conn, readMethod); status.Code(err) != codes.Unauthenticated {
		t.Errorf("after readers came: got %v", err)
	}
}

func TestAStreamEndsWithItsReader(t *testing.T) {
	gate := newGate()
	_, addr := listen(t, gate)
	conn := dial(t, addr)
	ctx := with(t, "Bearer read-token-1234567")
	echoes := open(ctx, t, conn, followMethod)
	watch, err := healthv1.NewHealthClient(conn).Watch(ctx, &healthv1.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := watch.Recv(); err != nil {
		t.Fatal(err)
	}
	exchange := func() error {
		if err := echoes.SendMsg(&healthv1.HealthCheckRequest{}); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		return echoes.RecvMsg(&healthv1.HealthCheckRequest{})
	}
	if err := exchange(); err != nil {
		t.Fatal(err)
	}
	gate.Set([]access.Reader{{Name: "renamed", Roles: []access.Role{access.RoleOperate}, Tokens: []signature.Secret{"added", "read-token-1234567"}}})
	if err := exchange(); err != nil {
		t.Errorf("a reader who stays: got %v", err)
	}
	gate.Set(readers()[1:])
	if err := exchange(); status.Code(err) != codes.Unauthenticated {
		t.Errorf("a reader who was removed: got %v", err)
	}
	if _, err := watch.Recv(); status.Code(err) != codes.Unauthenticated {
		t.Errorf("a reader who was removed, waiting: got %v", err)
	}
}

func TestGateway(t *testing.T) {
	gate, house := newGate(), access.New(access.Policy{OpenHouse: true})
	_, addr := listen(t, house) // The server behind a gateway judges nothing.
	conn := dial(t, addr, append(access.DialOptions(), grpc.WithTransportCredentials(insecure.NewCredentials()))...)
	request := &healthv1.HealthCheckRequest{}
	read := access.With(t.Context(), authenticate(t, gate, "read-token-1234567"))
	for name, test := range map[string]struct {
		ctx    context.Context
		method string
		want   error
	}{
		"what the reader may":                    {read, readMethod, nil},
		"what the reader may not":                {read, operateMethod, access.ErrForbidden},
		"what the policy forgot":                 {read, forgotten, access.ErrForbidden},
		"nobody":                                 {t.Context(), readMethod, access.ErrUnauthenticated},
		"nobody who sends a token past the gate": {with(t, "Bearer operate-token-1234"), readMethod, access.ErrUnauthenticated},
	} {
		t.Run(name, func(t *testing.T) {
			if err := conn.Invoke(test.ctx, test.method, request, &healthv1.HealthCheckRequest{}); !errors.Is(err, test.want) {
				t.Errorf("call: got %v, want %v", err, test.want)
			}
			ctx, cancel := context.WithCancel(test.ctx)
			defer cancel()
			if _, err := conn.NewStream(ctx, &calls.Streams[0], test.method); !errors.Is(err, test.want) {
				t.Errorf("stream: got %v, want %v", err, test.want)
			}
		})
	}
	stream := open(read, t, conn, followMethod)
	if err := stream.SendMsg(request); err != nil {
		t.Fatal(err)
	}
	if err := stream.RecvMsg(request); err != nil {
		t.Fatal(err)
	}
	gate.Set(readers()[1:])
	if err := stream.RecvMsg(request); !errors.Is(err, access.ErrUnauthenticated) || status.Code(err) != codes.Unauthenticated {
		t.Errorf("a reader who was removed: got %v", err)
	}
}

func TestTheServerBehindAGatewayKnowsWhoCalls(t *testing.T) {
	gate := newGate()
	type seen struct {
		name               string
		operates, mayReads bool
	}
	var last seen
	see := func(ctx context.Context) {
		principal := access.From(ctx)
		last = seen{principal.Name, principal.Operates(), principal.May(readMethod) == nil}
	}
	server := gate.NewInner(
		func(ctx context.Context, request any, _ *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
			see(ctx)
			return handle(ctx, request)
		},
		func(service any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
			see(stream.Context())
			return handle(service, stream)
		})
	server.RegisterService(calls, nil)
	conn := dial(t, reachable(t, server), append(access.DialOptions(), grpc.WithTransportCredentials(insecure.NewCredentials()))...)
	forged := metadata.NewOutgoingContext(t.Context(), metadata.Pairs("callnorm-reader-bin", "operate", "callnorm-role", "operate", "Callnorm-Role", "operate"))
	for name, test := range map[string]struct {
		ctx   context.Context
		token string
		want  seen
	}{
		"a reader":                        {t.Context(), "read-token-1234567", seen{"dashboard", false, true}},
		"one who may operate":             {t.Context(), "operate-token-1234", seen{"night shift", true, true}},
		"a reader who says he is another": {forged, "read-token-1234567", seen{"dashboard", false, true}},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := access.With(test.ctx, authenticate(t, gate, test.token))
			answer := &healthv1.HealthCheckRequest{}
			if err := conn.Invoke(ctx, readMethod, answer, answer); err != nil || last != test.want || answer.GetService() != test.want.name {
				t.Errorf("call: %v, %+v, answer to %q", err, last, answer.GetService())
			}
			last = seen{}
			stream := open(ctx, t, conn, followMethod)
			if err := stream.SendMsg(answer); err != nil {
				t.Fatal(err)
			}
			if err := stream.RecvMsg(answer); err != nil || last != test.want || answer.GetService() != test.want.name {
				t.Errorf("stream: %v, %+v, answer to %q", err, last, answer.GetService())
			}
		})
	}
}

func TestCertificatesOverGRPC(t *testing.T) {
	trusted, other := newAuthority(t, "trusted"), newAuthority(t, "other")
	files := newFiles(t)
	trusted.server(t, files, &x509.Certificate{})
	write(t, files.ClientCA, trusted.pem)
	certificates, err := access.LoadTLS(files)
	if err != nil {
		t.Fatal(err)
	}
	gate := newGate()
	addrs := map[tls.ClientAuthType]string{}
	for _, clients := range []tls.ClientAuthType{tls.NoClientCert, tls.VerifyClientCertIfGiven, tls.RequireAndVerifyClientCert} {
		_, addrs[clients] = listen(t, gate, grpc.Creds(credentials.NewTLS(certificates.Config(clients))))
	}
	named := func() *x509.Certificate { return &x509.Certificate{Subject: pkix.Name{CommonName: "night-shift"}} }
	spiffe := &x509.Certificate{}
	spiffe.URIs = append(spiffe.URIs, parseURL(t, "spiffe://example.com/ops"))
	expired := named()
	expired.NotAfter = time.Now().Add(-time.Minute)
	forServers := named()
	forServers.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	const ok, unknown, refused = codes.OK, codes.Unauthenticated, codes.Unavailable
	for name, test := range map[string]struct {
		certificates             []tls.Certificate
		never, ifGiven, required codes.Code
	}{
		"a common name":          {[]tls.Certificate{trusted.client(t, named())}, unknown, ok, ok},
		"a DNS name":             {[]tls.Certificate{trusted.client(t, &x509.Certificate{DNSNames: []string{"ops.example.com"}})}, unknown, ok, ok},
		"a SPIFFE id":            {[]tls.Certificate{trusted.client(t, spiffe)}, unknown, ok, ok},
		"none":                   {nil, unknown, unknown, refused},
		"a name that nobody has": {[]tls.Certificate{trusted.client(t, &x509.Certificate{DNSNames: []string{"x.example.com"}})}, unknown, unknown, unknown},
		"of another authority":   {[]tls.Certificate{other.client(t, named())}, unknown, refused, refused},
		"expired":                {[]tls.Certificate{trusted.client(t, expired)}, unknown, refused, refused},
		"for servers":            {[]tls.Certificate{trusted.client(t, forServers)}, unknown, refused, refused},
		"the authority's own":    {[]tls.Certificate{{Certificate: [][]byte{trusted.leaf.Raw}, PrivateKey: trusted.key}}, unknown, unknown, unknown},
	} {
		t.Run(name, func(t *testing.T) {
			for clients, want := range map[tls.ClientAuthType]codes.Code{
				tls.NoClientCert: test.never, tls.VerifyClientCertIfGiven: test.ifGiven, tls.RequireAndVerifyClientCert: test.required,
			} {
				// A client of Go sends no certificate that the server would not take, unless it is made to.
				config := &tls.Config{RootCAs: trusted.pool(), MinVersion: tls.VersionTLS12}
				config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
					return &append(slices.Clone(test.certificates), tls.Certificate{})[0], nil
				}
				conn := dial(t, addrs[clients], grpc.WithTransportCredentials(credentials.NewTLS(config)))
				stream, err := conn.NewStream(t.Context(), &calls.Streams[0], followMethod)
				if err == nil {
					_ = stream.SendMsg(&healthv1.HealthCheckRequest{})
					err = stream.RecvMsg(&healthv1.HealthCheckRequest{})
				}
				if status.Code(err) != want {
					t.Errorf("%v: got %v, want %v", clients, err, want)
				}
			}
		})
	}

	config := &tls.Config{RootCAs: trusted.pool(), Certificates: []tls.Certificate{trusted.client(t, named())}, MinVersion: tls.VersionTLS12}
	conn := dial(t, addrs[tls.RequireAndVerifyClientCert], grpc.WithTransportCredentials(credentials.NewTLS(config)))
	if name, err := ask(t.Context(), t, conn, operateMethod); name != "night shift" || err != nil {
		t.Fatalf("got %q, %v", name, err)
	}
	gate.Set(readers()[:1])
	if _, err := ask(t.Context(), t, conn, operateMethod); status.Code(err) != codes.Unauthenticated {
		t.Errorf("on an open connection, after the reader was removed: got %v", err)
	}
	if name, err := ask(with(t, "Bearer read-token-1234567"), t, conn, readMethod); name != "dashboard" || err != nil {
		t.Errorf("a token over a certificate: got %q, %v", name, err)
	}
}

func TestRotationOverGRPCRefusesNobody(t *testing.T) {
	gate := newGate()
	_, addr := listen(t, gate)
	conn := dial(t, addr)
	var callers sync.WaitGroup
	for _, token := range []string{"read-token-1234567", "both-token-1234567", "operate-token-1234"} {
		ctx := with(t, "Bearer "+token)
		callers.Go(func() {
			for range 200 {
				if err := conn.Invoke(ctx, readMethod, &healthv1.HealthCheckRequest{}, &healthv1.HealthCheckRequest{}); err != nil {
					t.Errorf("got %v", err)
					return
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { callers.Wait(); close(done) }()
	for i := 0; ; i++ {
		next := readers()
		next[0].Tokens = append(next[0].Tokens, signature.Secret([]string{"one", "two"}[i%2]))
		slices.Reverse(next[:i%5])
		gate.Set(next)
		select {
		case <-done:
			return
		default:
		}
	}
}
