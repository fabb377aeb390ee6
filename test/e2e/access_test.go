package e2e_test

import (
	"context"
	"crypto/tls"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/emptypb"
)

const (
	operatorToken = "token-of-the-operator-01"
	readerToken   = "token-of-the-reader-0001"
)

// readers are one who may do everything and one who may read.
const readers = `
readers:
  - {name: ops, roles: [operate], token: {file: ops.token}}
  - {name: crm, token: {file: crm.token}}
`

// newReaders returns a folder with the readers' tokens.
func newReaders(t *testing.T) folder {
	t.Helper()
	f := newFolder(t)
	f.write(t, "ops.token", operatorToken+"\n")
	f.write(t, "crm.token", readerToken+"\n")
	return f
}

// methods lists all methods of the contract, and gRPC's own.
func methods() []string {
	list := []string{"/grpc.health.v1.Health/Check", "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"}
	eachMethod(func(method protoreflect.MethodDescriptor) {
		list = append(list, "/"+string(method.Parent().FullName())+"/"+string(method.Name()))
	})
	return list
}

// route is a method and a path of HTTP.
type route struct{ method, path string }

// routes lists all routes but the doors, those of the contract and the others.
func routes() []route {
	list := []route{
		{"GET", "/"}, {"GET", "/metrics"}, {"GET", "/readyz"}, {"GET", "/v1/nothing"}, {"POST", "/v1/webhooks"}, {"GET", "/debug/pprof/"},
		{"POST", "/callnorm.v1.OutcomeService/GetOutcome"}, {"GET", "/livez/more"}, {"GET", "//v1/sources"}, {"GET", "/v1/webhooks/../sources"},
	}
	pattern, variable := regexp.MustCompile(`\{\w+=([^}]*)\}`), regexp.MustCompile(`\{\w+\}|\*+`)
	eachMethod(func(method protoreflect.MethodDescriptor) {
		first, _ := proto.GetExtension(method.Options(), annotations.E_Http).(*annotations.HttpRule)
		for _, rule := range append(first.GetAdditionalBindings(), first) {
			verb, path := http.MethodGet, rule.GetGet()
			if path == "" {
				verb, path = http.MethodPost, rule.GetPost()
			}
			if path = variable.ReplaceAllString(pattern.ReplaceAllString(path, "$1"), "x"); !strings.HasPrefix(path, "/v1/webhooks/") {
				list = append(list, route{verb, path})
			}
		}
	})
	return list
}

func eachMethod(do func(protoreflect.MethodDescriptor)) {
	protoregistry.GlobalFiles.RangeFilesByPackage("callnorm.v1", func(file protoreflect.FileDescriptor) bool {
		for i := range file.Services().Len() {
			for j, list := 0, file.Services().Get(i).Methods(); j < list.Len(); j++ {
				do(list.Get(j))
			}
		}
		return true
	})
}

// ask returns the code of an answer over HTTP.
func ask(t *testing.T, client *http.Client, url string, to route, authorization string) int {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context()) // some answers have no end
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, to.method, url+to.path, strings.NewReader(""))
	if err != nil {
		t.Fatal(err)
	}
	if authorization != "" {
		request.Header.Set("Authorization", authorization)
	}
	response, err := client.Do(request)
	if err != nil {
		t.Fatalf("%s %s: %v", to.method, to.path, err)
	}
	_ = response.Body.Close()
	return response.StatusCode
}

// invoke returns the code of a call with an empty message.
func invoke(t *testing.T, conn *grpc.ClientConn, method, authorization string) codes.Code {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if authorization != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", authorization)
	}
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, method)
	if err != nil {
		return status.Code(err)
	}
	_ = stream.SendMsg(&emptypb.Empty{}) // what is wrong with it, the answer says
	if err := stream.CloseSend(); err != nil {
		return status.Code(err)
	}
	if err := stream.RecvMsg(&emptypb.Empty{}); err != nil && err.Error() != "EOF" {
		return status.Code(err)
	}
	return codes.OK
}

func TestThePublicListenerServesDoorsAndLivenessAlone(t *testing.T) {
	f := newReaders(t)
	s := serve(t, "--config", f.configure(t, readers+sales("old.secret")), "--data-dir", f.data(), "--public-addr", "127.0.0.1:0")
	rest := s.url
	s.url = "http://" + s.public
	s.deliver(t, signer(t, oldSecret), call("1"))
	s.refused(t, signer(t, newSecret), call("2"))
	s.refused(t, nil, call("3"))
	if code := ask(t, http.DefaultClient, s.url, route{"GET", "/livez"}, ""); code != http.StatusOK {
		t.Errorf("/livez: %d", code)
	}
	for _, to := range routes() {
		for _, authorization := range []string{"", "Bearer " + operatorToken} {
			want := http.StatusNotFound
			if code := ask(t, http.DefaultClient, s.url, to, authorization); code != want {
				t.Errorf("%s %s: %d, want %d", to.method, to.path, code, want)
			}
		}
	}
	s.url = rest
	s.deliver(t, signer(t, oldSecret), call("4"))
}

func TestEachMethodAndRouteNeedsAReader(t *testing.T) {
	f := newReaders(t)
	s := serve(t, "--config", f.configure(t, readers+sales("old.secret")), "--data-dir", f.data())
	if len(methods()) < 12 || len(routes()) < 15 {
		t.Fatalf("only %v and %v were found", methods(), routes())
	}
	for name, authorization := range map[string]string{
		"no credential":           "",
		"a wrong token":           "Bearer token-of-somebody-else-1",
		"another source's secret": "Bearer " + oldSecret,
		"the token as a password": "Basic " + operatorToken,
	} {
		t.Run(name, func(t *testing.T) {
			for _, method := range methods() {
				if code := invoke(t, s.conn, method, authorization); code != codes.Unauthenticated {
					t.Errorf("%s: %s", method, code)
				}
			}
			for _, to := range routes() {
				want := http.StatusUnauthorized
				if strings.HasPrefix(to.path, "/v1/webhooks/") {
					want = http.StatusNotFound // a door, by its first letters, of a source that is not there
				}
				if code := ask(t, http.DefaultClient, s.url, to, authorization); code != want {
					t.Errorf("%s %s: %d, want %d", to.method, to.path, code, want)
				}
			}
		})
	}
	t.Run("the right token", func(t *testing.T) {
		for _, method := range methods() {
			if code := invoke(t, s.conn, method, "Bearer "+operatorToken); code == codes.Unauthenticated || code == codes.PermissionDenied {
				t.Errorf("%s: %s", method, code)
			}
		}
		for _, to := range routes() {
			if code := ask(t, http.DefaultClient, s.url, to, "Bearer "+operatorToken); code == http.StatusUnauthorized || code == http.StatusForbidden {
				t.Errorf("%s %s: %d", to.method, to.path, code)
			}
		}
	})
	t.Run("the commands", func(t *testing.T) {
		s.run(t, "doctor").expect(t, 1, "a reader's credential is needed")
		s.run(t, "doctor", "--token-file", f.file("old.secret")).expect(t, 1, "no reader has this one")
		s.run(t, "doctor", "--token-file", f.file("crm.token")).expect(t, 1, `"crm" needs "operate"`)
		s.run(t, "doctor", "--token-file", f.file("ops.token")).expect(t, 0, "source sales")
		s.run(t, "quarantine", "list", "--token-file", f.file("ops.token")).expect(t, 0)
		s.deliver(t, signer(t, oldSecret), call("1")) // a door needs no reader
		s.run(t, "tail", "--from", "beginning", "--max", "1", "--token-file", f.file("crm.token")).expect(t, 0, "outcomes/")
	})
}

// serialOf returns the number of the certificate that a listener shows, and whether it asked for the client's.
func serialOf(t *testing.T, addr string, trusting *tls.Config) (serial int64, asked bool) {
	t.Helper()
	config := trusting.Clone()
	config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		asked = true
		return &tls.Certificate{}, nil
	}
	conn, err := (&tls.Dialer{Config: config}).DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	secure, ok := conn.(*tls.Conn)
	if !ok {
		t.Fatal("no TLS")
	}
	return secure.ConnectionState().PeerCertificates[0].SerialNumber.Int64(), asked
}

func TestTLSKnowsReadersByTheirCertificatesAndIsReloaded(t *testing.T) {
	f, servers, clients := newReaders(t), newAuthority(t), newAuthority(t)
	servers.issue(t, f, "server", "callnorm.example.com", 2)
	clients.issue(t, f, "ops", "ops.example.com", 3)
	clients.issue(t, f, "stranger", "stranger.example.com", 4)
	servers.issue(t, f, "forged", "ops.example.com", 5)
	f.write(t, "servers.crt", servers.text)
	f.write(t, "clients.crt", clients.text)
	const files = "tls: {cert_file: server.crt, key_file: server.key, client_ca_file: clients.crt}\n"
	const byCertificate = "readers: [{name: night-shift, roles: [operate], certificates: [ops.example.com]}, {name: crm, token: {file: crm.token}}]\n"
	s := serve(t, "--config", f.configure(t, files+byCertificate+sales("old.secret")), "--data-dir", f.data(), "--public-addr", "127.0.0.1:0")
	if !strings.HasPrefix(s.url, "https://") {
		t.Errorf("it says that it listens at %s", s.url)
	}
	trusting := servers.trusting(t, f, "")
	listeners := map[string]string{"public": s.public, "http": s.http, "grpc": s.addr}
	for name, addr := range listeners {
		if serial, asked := serialOf(t, addr, trusting); serial != 2 || asked != (name != "public") {
			t.Errorf("%s shows certificate %d, and asked for ours: %t", name, serial, asked)
		}
	}

	ca := []string{"--ca-file", f.file("servers.crt")}
	with := func(name string) []string {
		return append([]string{"doctor", "--cert-file", f.file(name + ".crt"), "--key-file", f.file(name + ".key")}, ca...)
	}
	s.run(t, with("ops")...).expect(t, 0, "source sales has never had a delivery")
	s.run(t, with("stranger")...).expect(t, 1, "no reader has this one")
	s.run(t, with("forged")...).expect(t, 1)
	s.run(t, append([]string{"doctor"}, ca...)...).expect(t, 1, "a reader's credential is needed")
	s.run(t, append([]string{"doctor", "--token-file", f.file("crm.token")}, ca...)...).expect(t, 1, `"crm" needs "operate"`)
	s.run(t, "doctor", "--tls", "--token-file", f.file("crm.token")).expect(t, 1) // the system does not know the authority
	s.run(t, "doctor").expect(t, 1)

	for name, want := range map[string]int{"ops": http.StatusOK, "stranger": http.StatusUnauthorized, "": http.StatusUnauthorized} {
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: servers.trusting(t, f, name), DisableKeepAlives: true}}
		if code := ask(t, client, s.url, route{"GET", "/v1/sources"}, ""); code != want {
			t.Errorf("with the certificate of %q: %d, want %d", name, code, want)
		}
		if code := ask(t, client, "https://"+s.public, route{"GET", "/v1/sources"}, ""); code != http.StatusNotFound {
			t.Errorf("with the certificate of %q the public listener answers %d", name, code)
		}
		if code := ask(t, client, "https://"+s.public, route{"GET", "/livez"}, ""); code != http.StatusOK {
			t.Errorf("liveness: %d", code)
		}
	}

	conn, err := grpc.NewClient(s.addr, grpc.WithTransportCredentials(credentials.NewTLS(servers.trusting(t, f, "ops"))))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	s.client = callnormv1.NewOutcomeServiceClient(conn)
	live, _ := s.follow(t, now())
	servers.issue(t, f, "server", "callnorm.example.com", 6)
	s.reloaded(t)
	for name, addr := range listeners {
		if serial, _ := serialOf(t, addr, trusting); serial != 6 {
			t.Errorf("after the reload %s shows certificate %d", name, serial)
		}
	}
	servers.issue(t, f, "other", "callnorm.example.com", 7)
	f.configure(t, strings.Replace(files, "server.key", "other.key", 1)+byCertificate+sales("new.secret"))
	if said := s.reload(t); !strings.Contains(said, "not reloaded") || !strings.Contains(said, "tls.cert_file") {
		t.Errorf("a key that does not fit is told as %s", said)
	}
	s.run(t, with("ops")...).expect(t, 1, "the one before is in force")
	for name, addr := range listeners {
		if serial, _ := serialOf(t, addr, trusting); serial != 6 {
			t.Errorf("after a reload that failed %s shows certificate %d", name, serial)
		}
	}

	// The stream has gone on, until its reader is no more.
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: trusting, DisableKeepAlives: true}}
	request, err := s.signed(t.Context(), signer(t, oldSecret), "sales", call("1"))
	if err != nil {
		t.Fatal(err)
	}
	if code, text := do(t, client, request); code != http.StatusOK {
		t.Fatalf("%d %s", code, text)
	}
	if seen, _ := next(t, live, 1); seen[0].GetProviderCallId() != "1" {
		t.Errorf("the stream goes on with %v", seen)
	}
	f.configure(t, files+"readers: [{name: crm, token: {file: crm.token}}]\n"+sales("old.secret"))
	s.reloaded(t)
	for err = nil; err == nil; {
		_, err = live.Recv()
	}
	if code := status.Code(err); code != codes.Unauthenticated {
		t.Errorf("the stream of a reader who is no more ends with %v", err)
	}
	s.run(t, with("ops")...).expect(t, 1, "no reader has this one")
}

func TestOutsideLoopbackNothingStartsWithoutReaders(t *testing.T) {
	f := newFolder(t)
	file := f.configure(t, sales("old.secret"))
	for name, flags := range map[string][]string{
		"REST":            {"--http-addr", "0.0.0.0:0", "--grpc-addr", "127.0.0.1:0"},
		"gRPC":            {"--http-addr", "127.0.0.1:0", "--grpc-addr", "0.0.0.0:0"},
		"every interface": {"--http-addr", ":0", "--grpc-addr", "127.0.0.1:0"},
		"a public listener does not help": {
			"--http-addr", "0.0.0.0:0", "--grpc-addr", "127.0.0.1:0", "--public-addr", "127.0.0.1:0",
		},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, append([]string{"serve", "--config", file, "--data-dir", f.data()}, flags...)...).
				expect(t, 2, "is reachable from outside: list under readers who may read, or listen on 127.0.0.1")
		})
	}
	t.Run("a source that proves nothing has to say so", func(t *testing.T) {
		run(t, "serve", "--public-addr", "0.0.0.0:0", "--http-addr", "127.0.0.1:0", "--grpc-addr", "127.0.0.1:0", "--data-dir", f.data()).
			expect(t, 2, "for loopback alone")
	})

	// What the help says to do about it.
	lines := regexp.MustCompile(`(?m)^ +(openssl rand .*)\n +(echo .*)\n +(grep .*)$`).FindStringSubmatch(run(t, "serve", "--help").out)
	if lines == nil {
		t.Fatal("serve --help has no three lines")
	}
	authority := newAuthority(t)
	authority.issue(t, f, "server", "callnorm.example.com", 2)
	f.write(t, "authority.pem", authority.text)
	if err := os.Rename(f.file("server.crt"), f.file("server.pem")); err != nil {
		t.Fatal(err)
	}
	for _, line := range lines[1:] {
		command := exec.CommandContext(t.Context(), "sh", "-c", line)
		command.Dir = string(f)
		if output, err := command.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v %s", line, err, output)
		}
	}
	s := serve(t, "--config", file, "--data-dir", f.data(), "--http-addr", "0.0.0.0:0", "--grpc-addr", "0.0.0.0:0")
	_, port, _ := strings.Cut(s.addr[strings.LastIndex(s.addr, "]")+1:], ":")
	s.addr = "127.0.0.1:" + port
	s.run(t, "doctor", "--ca-file", f.file("authority.pem")).expect(t, 1, "a reader's credential is needed")
	s.run(t, "doctor", "--ca-file", f.file("authority.pem"), "--token-file", f.file("crm.token")).expect(t, 1, `"crm" needs "operate"`)
}
