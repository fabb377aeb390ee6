package server_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/callnorm/callnorm/adapters"
	"github.com/callnorm/callnorm/adapters/synthflow"
	"github.com/callnorm/callnorm/internal/intake"
	"github.com/callnorm/callnorm/internal/signature"
	"github.com/callnorm/callnorm/server"
	"github.com/callnorm/callnorm/server/access"
	"google.golang.org/genproto/googleapis/api/annotations"
	statusv1 "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// authority issues certificates.
type authority struct {
	leaf *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	made := (&authority{}).issue(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: "authority"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	})
	return &authority{made.Leaf, made.PrivateKey.(*ecdsa.PrivateKey)} //nolint:forcetypeassert // as issue makes it
}

// issue signs what a template says, for an hour around now. The first one is signed by itself.
func (a *authority) issue(t *testing.T, template *x509.Certificate) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}
	parent, signer := template, key
	if a.leaf != nil {
		parent, signer = a.leaf, a.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

func (a *authority) client(t *testing.T, name string) *tls.Certificate {
	t.Helper()
	issued := a.issue(t, &x509.Certificate{Subject: pkix.Name{CommonName: name}})
	return &issued
}

func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.leaf)
	return pool
}

// certificates are a server's on loopback that believes the authority's clients.
func (a *authority) certificates(t *testing.T) *access.Certificates {
	t.Helper()
	issued := a.issue(t, &x509.Certificate{IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}})
	key, err := x509.MarshalPKCS8PrivateKey(issued.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	files := access.Files{Cert: filepath.Join(dir, "cert"), Key: filepath.Join(dir, "key"), ClientCA: filepath.Join(dir, "ca")}
	for file, block := range map[string]*pem.Block{
		files.Cert: {Type: "CERTIFICATE", Bytes: issued.Leaf.Raw}, files.Key: {Type: "PRIVATE KEY", Bytes: key},
		files.ClientCA: {Type: "CERTIFICATE", Bytes: a.leaf.Raw},
	} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	loaded, err := access.LoadTLS(files)
	if err != nil {
		t.Fatal(err)
	}
	return loaded
}

// Credentials of the guarded system.
const (
	operatorToken = "operator-token-0123456789"
	readerToken   = "reader-token-0123456789"
	ingestToken   = "ingest-token-0123456789"
	idleToken     = "idle-token-0123456789"
	doorSecret    = "secret-of-the-door-0123456789"
	otherSecret   = "secret-of-the-other-0123456789"
)

// guarded is a system with TLS, readers of each role and one of none, and two sources that prove themselves by bearer tokens.
func guarded(t *testing.T, ca *authority) *system {
	t.Helper()
	var with setup
	with.adapters = []adapters.Adapter{synthflow.New()}
	with.certs = ca.certificates(t)
	with.readers = []access.Reader{
		{Name: "operator", Roles: []access.Role{access.RoleOperate}, Tokens: []signature.Secret{operatorToken}, Certificates: []string{"operator"}},
		{Name: "reader", Roles: []access.Role{access.RoleRead}, Tokens: []signature.Secret{readerToken}},
		{Name: "relay", Roles: []access.Role{access.RoleIngest}, Tokens: []signature.Secret{ingestToken}},
		{Name: "idle", Tokens: []signature.Secret{idleToken}, Certificates: []string{"idle"}},
	}
	for name, secret := range map[string]signature.Secret{"door": doorSecret, "other": otherSecret} {
		with.sources = append(with.sources, proved(t, intake.Source{
			Name: name, Adapter: with.adapters[0], Provider: "synthflow", MaxBody: 1 << 20,
		}, signature.Settings{Scheme: signature.SchemeBearer}, secret))
	}
	return with.start(t, t.TempDir())
}

// proved returns a source with a verifier.
func proved(t testing.TB, source intake.Source, settings signature.Settings, secrets ...signature.Secret) intake.Source {
	t.Helper()
	var err error
	if source.Verifier, err = signature.New(settings, secrets); err != nil {
		t.Fatal(err)
	}
	source.Secrets = secrets
	return source
}

// caller is somebody with a credential, who also sends what a gateway or a proxy would send behind us.
type caller struct {
	token  string
	cert   *tls.Certificate
	forged bool
}

// forgeries are headers that grant something to somebody in other places.
func forgeries() http.Header {
	header := http.Header{}
	for _, name := range []string{
		"Grpc-Metadata-Authorization", "Grpcgateway-Authorization", "Grpc-Metadata-Grpcgateway-Authorization", "Proxy-Authorization",
		"X-Forwarded-Authorization", "X-Authorization", "Cookie",
	} {
		header.Set(name, "Bearer "+operatorToken)
	}
	header.Set("X-Forwarded-For", "127.0.0.1")
	header.Set("X-Forwarded-Host", "localhost")
	header.Set("X-Forwarded-Client-Cert", `Subject="CN=operator"`)
	header.Set("X-Original-Url", "/livez")
	header.Set("X-Http-Method-Override", http.MethodGet)
	header.Set("Grpc-Timeout", "1S")
	return header
}

func (c caller) tls(ca *authority) *tls.Config {
	config := &tls.Config{RootCAs: ca.pool()}
	if c.cert != nil {
		config.Certificates = []tls.Certificate{*c.cert}
	}
	return config
}

func (c caller) client(t *testing.T, ca *authority) *http.Client {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: c.tls(ca)}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// send sends a request and returns the code, and the answer if that is an error.
func (c caller) send(t *testing.T, client *http.Client, method, address string, body io.Reader, size int64) (int, http.Header, []byte) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel() // ends streams
	request, err := http.NewRequestWithContext(ctx, method, address, body)
	if err != nil {
		t.Fatal(err)
	}
	if size > 0 {
		request.ContentLength = size
	}
	if c.forged {
		request.Header = forgeries()
	}
	if c.token != "" {
		request.Header.Set("Authorization", "Bearer "+c.token)
	}
	response, err := client.Do(request)
	if err != nil {
		return 0, nil, []byte(err.Error())
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode == http.StatusOK {
		return http.StatusOK, response.Header, nil
	}
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, response.Header, text
}

// raw sends and receives messages as they are.
type raw struct{}

func (raw) Name() string { return "proto" }

func (raw) Marshal(message any) ([]byte, error) {
	return *message.(*[]byte), nil //nolint:forcetypeassert // as call uses it
}

func (raw) Unmarshal(data []byte, message any) error {
	*message.(*[]byte) = bytes.Clone(data) //nolint:forcetypeassert // as call uses it
	return nil
}

// call calls a method with one message, and returns how that begins.
func (c caller) call(t *testing.T, conn *grpc.ClientConn, method string, message []byte) error {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel() // ends streams
	if c.token != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+c.token)
	}
	if c.forged {
		sent, _ := metadata.FromOutgoingContext(ctx)
		for name, values := range forgeries() {
			if name != "Grpc-Timeout" {
				sent = metadata.Join(sent, metadata.Pairs(name, values[0]))
			}
		}
		ctx = metadata.NewOutgoingContext(ctx, sent)
	}
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, method, grpc.ForceCodec(raw{}))
	if err != nil {
		return err
	}
	if err := stream.SendMsg(&message); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	answer := []byte{}
	if err := stream.RecvMsg(&answer); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

func (c caller) dial(t *testing.T, ca *authority, address string) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(credentials.NewTLS(c.tls(ca))))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// services returns the descriptors of all services that the server says it has, which must hold all of the contract.
func services(t *testing.T, conn *grpc.ClientConn) []protoreflect.ServiceDescriptor {
	t.Helper()
	ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+operatorToken)
	reflection, err := reflectionv1.NewServerReflectionClient(conn).ServerReflectionInfo(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := reflection.Send(&reflectionv1.ServerReflectionRequest{MessageRequest: &reflectionv1.ServerReflectionRequest_ListServices{}}); err != nil {
		t.Fatal(err)
	}
	answer, err := reflection.Recv()
	if err != nil {
		t.Fatal(err)
	}
	_ = reflection.CloseSend()
	found := map[protoreflect.FullName]protoreflect.ServiceDescriptor{}
	for _, service := range answer.GetListServicesResponse().GetService() {
		descriptor, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(service.GetName()))
		if err != nil {
			t.Fatalf("%s: %v", service.GetName(), err)
		}
		found[descriptor.FullName()] = descriptor.(protoreflect.ServiceDescriptor) //nolint:forcetypeassert // a name of a service
	}
	protoregistry.GlobalFiles.RangeFilesByPackage("callnorm.v1", func(file protoreflect.FileDescriptor) bool {
		for i := range file.Services().Len() {
			if name := file.Services().Get(i).FullName(); found[name] == nil {
				t.Errorf("%s is in the contract and not served", name)
			}
		}
		return true
	})
	return slices.Collect(maps.Values(found))
}

// route is a method and a path of HTTP.
type route struct{ method, path string }

// door tells whether the route is a webhook's, where no reader's credential counts.
func (r route) door() bool { return strings.HasPrefix(r.path, "/v1/webhooks/") }

var variable = regexp.MustCompile(`\{([^}=]+)(=([^}]*))?\}`)

// fill puts something in the place of each variable of a path.
func fill(path string) string {
	return variable.ReplaceAllStringFunc(path, func(found string) string {
		parts := variable.FindStringSubmatch(found)
		switch {
		case parts[1] == "source":
			return "door"
		case parts[3] != "":
			return strings.ReplaceAll(parts[3], "*", "aaaaaaaaaaaaaaaaaaaaaaaaaa")
		}
		return "x"
	})
}

// everything returns the full names of all methods, and all routes of HTTP that need a credential: those of the contract's
// annotations and those that the policy names.
func everything(t *testing.T, conn *grpc.ClientConn) (methods []string, routes []route) {
	t.Helper()
	add := func(rule *annotations.HttpRule) {
		for _, one := range append([]*annotations.HttpRule{rule}, rule.GetAdditionalBindings()...) {
			switch pattern := one.GetPattern().(type) {
			case *annotations.HttpRule_Get:
				routes = append(routes, route{http.MethodGet, fill(pattern.Get)})
			case *annotations.HttpRule_Post:
				routes = append(routes, route{http.MethodPost, fill(pattern.Post)})
			case *annotations.HttpRule_Put:
				routes = append(routes, route{http.MethodPut, fill(pattern.Put)})
			case *annotations.HttpRule_Patch:
				routes = append(routes, route{http.MethodPatch, fill(pattern.Patch)})
			case *annotations.HttpRule_Delete:
				routes = append(routes, route{http.MethodDelete, fill(pattern.Delete)})
			default:
				t.Errorf("%T: a pattern that this test does not know", pattern)
			}
		}
	}
	for _, service := range services(t, conn) {
		for i := range service.Methods().Len() {
			method := service.Methods().Get(i)
			methods = append(methods, fmt.Sprintf("/%s/%s", service.FullName(), method.Name()))
			if rule, ok := proto.GetExtension(method.Options(), annotations.E_Http).(*annotations.HttpRule); ok && rule != nil {
				add(rule)
			}
		}
	}
	for path := range server.Policy(true).Methods {
		if !strings.Contains(path, ".") {
			routes = append(routes, route{http.MethodGet, path})
		}
	}
	if len(methods) < 15 || len(routes) < 15 {
		t.Fatalf("that cannot be all: %v %v", methods, routes)
	}
	return methods, routes
}

// refusal returns the reason of an error over HTTP.
func refusal(t *testing.T, text []byte) string {
	t.Helper()
	said := &statusv1.Status{}
	if err := protojson.Unmarshal(text, said); err != nil {
		t.Errorf("no status: %s", text)
		return ""
	}
	return reason(t, status.FromProto(said).Err())
}

// TestNothingIsOpenToThoseWhoMayNot finds the methods and routes by itself: a new one is tried without a change here.
func TestNothingIsOpenToThoseWhoMayNot(t *testing.T) {
	ca, strangers := newAuthority(t), newAuthority(t)
	s := guarded(t, ca)
	operator := caller{token: operatorToken}
	methods, routes := everything(t, operator.dial(t, ca, s.address))

	unknown, idle := []any{http.StatusUnauthorized, codes.Unauthenticated, "UNAUTHENTICATED"}, []any{http.StatusForbidden, codes.PermissionDenied, "PERMISSION_DENIED"}
	tests := map[string]struct {
		caller caller
		want   []any // the code of HTTP, that of gRPC, the reason
	}{
		"without a credential":                      {caller{}, unknown},
		"with forged headers alone":                 {caller{forged: true}, unknown},
		"with a wrong token":                        {caller{token: "wrong-token-0123456789"}, unknown},
		"with a wrong token and forged headers":     {caller{token: "wrong-token-0123456789", forged: true}, unknown},
		"with a beginning of a token":               {caller{token: operatorToken[:len(operatorToken)-1]}, unknown},
		"with a source's secret":                    {caller{token: doorSecret}, unknown},
		"with another source's secret":              {caller{token: otherSecret}, unknown},
		"with a certificate that names nobody":      {caller{cert: ca.client(t, "nobody")}, unknown},
		"with a good certificate and a wrong token": {caller{cert: ca.client(t, "operator"), token: "wrong-token-0123456789"}, unknown},
		"with a token that has no role":             {caller{token: idleToken}, idle},
		"with that and forged headers":              {caller{token: idleToken, forged: true}, idle},
		"with a certificate that has no role":       {caller{cert: ca.client(t, "idle")}, idle},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			conn, client := test.caller.dial(t, ca, s.address), test.caller.client(t, ca)
			for _, method := range methods {
				for what, message := range map[string][]byte{"an empty message": nil, "what is no message": []byte("\xff\xff\xff{")} {
					err := test.caller.call(t, conn, method, message)
					if status.Code(err) != test.want[1] || reason(t, err) != test.want[2] {
						t.Errorf("%s with %s: %v", method, what, err)
					}
				}
			}
			if err := test.caller.call(t, conn, "/callnorm.v1.OutcomeService/Nonsense", nil); test.want[1] == codes.Unauthenticated && status.Code(err) != codes.Unauthenticated {
				t.Errorf("strangers learn which methods there are: %v", err)
			}
			for _, route := range routes {
				code, why := test.want[0], test.want[2]
				if route.door() {
					if code, why = http.StatusUnauthorized, "NOT_VERIFIED"; test.caller.token == doorSecret {
						continue
					}
				}
				for what, body := range map[string]string{"an empty message": "{}", "what is no message": "{\xff"} {
					if code == http.StatusForbidden && body != "{}" {
						continue // see TestARoleIsAskedForBeforeTheBodyIsRead
					}
					got, header, text := test.caller.send(t, client, route.method, s.url+route.path, strings.NewReader(body), 0)
					if got != code || refusal(t, text) != why {
						t.Errorf("%v with %s: %d %s", route, what, got, text)
					}
					if got == http.StatusUnauthorized && !route.door() && header.Get("WWW-Authenticate") == "" {
						t.Errorf("%v: the answer does not say how to authenticate", route)
					}
				}
			}
		})
	}
	t.Run("with a stranger's certificate", func(t *testing.T) {
		stranger := caller{cert: strangers.client(t, "operator"), token: operatorToken}
		conn, client := stranger.dial(t, ca, s.address), stranger.client(t, ca)
		for _, method := range methods {
			if err := stranger.call(t, conn, method, nil); status.Code(err) != codes.Unavailable {
				t.Errorf("%s: %v", method, err)
			}
		}
		for _, route := range routes {
			if code, _, text := stranger.send(t, client, route.method, s.url+route.path, nil, 0); code != 0 {
				t.Errorf("%v: %d %s", route, code, text)
			}
		}
	})
	t.Run("before the body has come", func(t *testing.T) {
		client := caller{}.client(t, ca)
		for _, route := range routes {
			if route.door() {
				continue
			}
			never, unsent := io.Pipe()
			code, _, text := caller{}.send(t, client, http.MethodPost, s.url+route.path, never, 1<<20)
			_ = unsent.Close()
			if code != http.StatusUnauthorized || refusal(t, text) != "UNAUTHENTICATED" {
				t.Errorf("%v: %d %s", route, code, text)
			}
		}
	})
	t.Run("by any other method of HTTP", func(t *testing.T) {
		client := caller{}.client(t, ca)
		for _, route := range append(routes, route{http.MethodGet, "/nothing"}, route{http.MethodGet, "/debug/requests"}) {
			for _, method := range []string{
				http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions, http.MethodTrace, "NONSENSE",
			} {
				code, _, text := caller{}.send(t, client, method, s.url+route.path, nil, 0)
				if !route.door() && code != http.StatusUnauthorized || code < 400 || code >= 500 {
					t.Errorf("%s %s: %d %s", method, route.path, code, text)
				}
			}
		}
	})
	t.Run("with roles for something else", func(t *testing.T) {
		conn := caller{}.dial(t, ca, s.address)
		for token, may := range map[string][]string{
			readerToken: {"/callnorm.v1.OutcomeService/", "/callnorm.v1.SubscriptionService/", "/callnorm.v1.NormalizationService/Normalize", "/grpc."},
			ingestToken: {"/callnorm.v1.NormalizationService/IngestDelivery"},
		} {
			for _, method := range methods {
				err := caller{token: token}.call(t, conn, method, nil)
				permitted := slices.ContainsFunc(may, func(prefix string) bool { return strings.HasPrefix(method, prefix) })
				if denied := status.Code(err) == codes.PermissionDenied; denied == permitted {
					t.Errorf("%s with %s: %v", method, token, err)
				}
			}
		}
	})
	for name, with := range map[string]caller{
		"an operator's token":                  operator,
		"an operator's certificate":            {cert: ca.client(t, "operator")},
		"an operator's token, forged metadata": {token: operatorToken, forged: true},
	} {
		t.Run("everything is open with "+name, func(t *testing.T) {
			conn, client := with.dial(t, ca, s.address), with.client(t, ca)
			for _, method := range methods {
				if code := status.Code(with.call(t, conn, method, nil)); code == codes.Unauthenticated || code == codes.PermissionDenied || code == codes.Unimplemented {
					t.Errorf("%s: %s", method, code)
				}
			}
			for _, route := range routes {
				code, _, text := with.send(t, client, route.method, s.url+route.path, strings.NewReader("{}"), 0)
				switch {
				case route.door():
					if code != http.StatusUnauthorized || refusal(t, text) != "NOT_VERIFIED" {
						t.Errorf("%v: an operator is no provider: %d %s", route, code, text)
					}
				case code == http.StatusOK:
				case code == http.StatusUnauthorized, code == http.StatusForbidden, code >= 500:
					t.Errorf("%v: %d %s", route, code, text)
				case bytes.HasPrefix(text, []byte(`{"error":`)): // the end of a stream
				default:
					if why := refusal(t, text); why == "ROUTE_NOT_FOUND" || why == "METHOD_NOT_ALLOWED" {
						t.Errorf("%v is no route: %s", route, text)
					}
				}
			}
		})
	}
	for _, secret := range []string{operatorToken, readerToken, ingestToken, idleToken, doorSecret, otherSecret, "wrong-token"} {
		if strings.Contains(s.log.String(), secret) {
			t.Errorf("the log tells %s", secret)
		}
	}
}

// TestARoleIsAskedForBeforeTheBodyIsRead: who may not call a method does not learn what it thinks of a body, nor make it read one.
func TestARoleIsAskedForBeforeTheBodyIsRead(t *testing.T) {
	ca := newAuthority(t)
	s := guarded(t, ca)
	_, routes := everything(t, caller{token: operatorToken}.dial(t, ca, s.address))
	idle := caller{token: idleToken}
	client := idle.client(t, ca)
	for _, route := range routes {
		if route.door() {
			continue
		}
		code, _, text := idle.send(t, client, route.method, s.url+route.path, strings.NewReader("{\xff"), 0)
		if code != http.StatusForbidden || refusal(t, text) != "PERMISSION_DENIED" {
			t.Errorf("%v: %d %s", route, code, text)
		}
	}
}

func TestThePublicListenerHasDoorsAndLiveness(t *testing.T) {
	ca := newAuthority(t)
	s := guarded(t, ca)
	operator := caller{token: operatorToken, cert: ca.client(t, "operator"), forged: true}
	_, routes := everything(t, operator.dial(t, ca, s.address))
	client := operator.client(t, ca)
	for _, route := range append(routes,
		route{http.MethodGet, "/"}, route{http.MethodGet, "/livez/"}, route{http.MethodGet, "//livez"}, route{http.MethodGet, "/debug/pprof/"},
		route{http.MethodPost, "/v1/webhooks"}, route{http.MethodPost, "/callnorm.v1.OutcomeService/GetOutcome"},
	) {
		for _, body := range []string{"{}", "{\xff"} {
			code, _, text := operator.send(t, client, route.method, s.public+route.path, strings.NewReader(body), 0)
			want, why := http.StatusNotFound, "ROUTE_NOT_FOUND"
			if route.door() {
				want, why = http.StatusUnauthorized, "NOT_VERIFIED"
			}
			if code != want || refusal(t, text) != why {
				t.Errorf("%v: %d %s", route, code, text)
			}
		}
	}
	if code, _, text := operator.send(t, client, http.MethodGet, s.public+"/livez", nil, 0); code != http.StatusOK {
		t.Errorf("liveness: %d %s", code, text)
	}
	provider := caller{token: doorSecret}
	for _, listener := range []string{s.public, s.url} {
		code, _, text := provider.send(t, provider.client(t, ca), http.MethodPost, listener+"/v1/webhooks/door", bytes.NewReader(call("c", "completed")), 0)
		if code != http.StatusOK {
			t.Errorf("a delivery: %d %s", code, text)
		}
	}
}

// TestPathsThatLookPublic are judged as they stand: nothing cleans a path between the gate and what answers.
func TestPathsThatLookPublic(t *testing.T) {
	ca := newAuthority(t)
	s := guarded(t, ca)
	client := caller{}.client(t, ca)
	for _, path := range []string{
		"/livez/../v1/sources", "/livez/../metrics", "/livez;/../metrics", "/livez%2f..%2fmetrics", "/livez%00", "/livez/..%2fmetrics",
		"/v1/webhooks/../sources", "/v1/webhooks/door/../../sources", "/v1/webhooks/%2e%2e/sources", "/v1/webhooks/..%2fsources",
		"/v1/webhooks//../../metrics", "//v1/sources", "/./v1/sources", "/v1//sources", "/%76%31/sources", "/v1/sources/", "/v1/sources?x=/livez",
	} {
		target, err := url.Parse(s.url + path)
		if err != nil {
			t.Fatal(err)
		}
		target.RawPath = strings.TrimPrefix(strings.SplitN(path, "?", 2)[0], s.url)
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			request := (&http.Request{Method: method, URL: target, Header: forgeries()}).WithContext(t.Context())
			response, err := client.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			text, _ := io.ReadAll(response.Body)
			_ = response.Body.Close()
			if response.StatusCode < 400 || response.StatusCode >= 500 || bytes.Contains(text, []byte("accepted")) || bytes.Contains(text, []byte("callnorm_")) {
				t.Errorf("%s %s: %d %s", method, path, response.StatusCode, text)
			}
		}
	}
}
