package access_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptrace"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/callnorm/callnorm/server/access"
)

func TestLoadTLS(t *testing.T) {
	issuer := newAuthority(t, "test")
	fresh := func() *x509.Certificate { return &x509.Certificate{} }
	for name, test := range map[string]struct {
		spoil func(t *testing.T, files *access.Files)
		want  []string // in the error
	}{
		"all is well":  {func(*testing.T, *access.Files) {}, nil},
		"no client CA": {func(_ *testing.T, files *access.Files) { files.ClientCA = "" }, nil},
		"a client CA beside an expired one": {func(t *testing.T, files *access.Files) {
			_, _, old := issuer.issue(t, &x509.Certificate{NotAfter: time.Now().Add(-time.Hour)})
			write(t, files.ClientCA, slices.Concat(old, issuer.pem))
		}, nil},
		"no certificate": {func(_ *testing.T, files *access.Files) { _ = os.Remove(files.Cert) }, []string{"server.crt"}},
		"no key":         {func(_ *testing.T, files *access.Files) { _ = os.Remove(files.Key) }, []string{"server.key"}},
		"no client CA where there should be one": {
			func(_ *testing.T, files *access.Files) { _ = os.Remove(files.ClientCA) }, []string{"clients.crt"},
		},
		"another key": {func(t *testing.T, files *access.Files) {
			issuer.server(t, access.Files{Cert: filepath.Join(t.TempDir(), "x"), Key: files.Key}, fresh())
		}, []string{"server.crt", "server.key", "does not match"}},
		"an expired certificate": {func(t *testing.T, files *access.Files) {
			issuer.server(t, *files, &x509.Certificate{NotAfter: time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC)})
		}, []string{"server.crt", "expired at 2024-05-06T07:08:09Z"}},
		"a certificate of the future": {func(t *testing.T, files *access.Files) {
			issuer.server(t, *files, &x509.Certificate{NotBefore: time.Now().Add(time.Hour), NotAfter: time.Now().Add(2 * time.Hour)})
		}, []string{"server.crt", "not valid before"}},
		"a certificate without end": {func(_ *testing.T, files *access.Files) { files.Cert = "/dev/zero" }, []string{"/dev/zero", "too long"}},
		"everything at once": {func(_ *testing.T, files *access.Files) {
			_, _, _ = os.Remove(files.Cert), os.Remove(files.Key), os.Remove(files.ClientCA)
		}, []string{"server.crt", "server.key", "clients.crt"}},
		"a certificate and a client CA": {func(t *testing.T, files *access.Files) {
			issuer.server(t, *files, &x509.Certificate{NotAfter: time.Now().Add(-time.Hour)})
			write(t, files.ClientCA, nil)
		}, []string{"server.crt", "expired", "clients.crt", "no certificate"}},
		"an empty certificate": {func(t *testing.T, files *access.Files) { write(t, files.Cert, nil) }, []string{"server.crt"}},
		"an empty client CA":   {func(t *testing.T, files *access.Files) { write(t, files.ClientCA, nil) }, []string{"clients.crt", "no certificate"}},
		"a broken client CA": {func(t *testing.T, files *access.Files) {
			write(t, files.ClientCA, []byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"))
		}, []string{"clients.crt"}},
		"an expired client CA": {func(t *testing.T, files *access.Files) {
			_, _, old := issuer.issue(t, &x509.Certificate{NotAfter: time.Now().Add(-time.Hour)})
			write(t, files.ClientCA, old)
		}, []string{"clients.crt", "expired"}},
	} {
		t.Run(name, func(t *testing.T) {
			files := newFiles(t)
			issuer.server(t, files, fresh())
			write(t, files.ClientCA, issuer.pem)
			test.spoil(t, &files)
			_, err := access.LoadTLS(files)
			if (err != nil) != (test.want != nil) {
				t.Fatalf("got %v", err)
			}
			for _, part := range test.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q is not in %q", part, err)
				}
			}
			failed, ok := errors.AsType[*access.FileError](err)
			if err != nil && (!ok || !slices.Contains([]string{files.Cert, files.Key, files.ClientCA}, failed.Path)) {
				t.Errorf("it does not tell the file: %v", err)
			}
		})
	}
}

// site is an HTTPS server whose handler tells who asks.
type site struct {
	certificates *access.Certificates
	files        access.Files
	url          string
}

func newSite(t *testing.T, issuer *authority, gate *access.Gate, clients tls.ClientAuthType) *site {
	t.Helper()
	s := &site{files: newFiles(t)}
	issuer.server(t, s.files, &x509.Certificate{})
	write(t, s.files.ClientCA, issuer.pem)
	var err error
	if s.certificates, err = access.LoadTLS(s.files); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{
		Handler: gate.HTTP(http.HandlerFunc(answer), isDoor, refuse), TLSConfig: s.certificates.Config(clients), ReadHeaderTimeout: time.Minute,
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
	}
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.ServeTLS(listener, "", "") })
	t.Cleanup(func() { _ = server.Close(); serving.Wait() })
	s.url = "https://" + listener.Addr().String()
	return s
}

// visitor is a client with connections of its own.
func visitor(t *testing.T, config *tls.Config) *http.Client {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// visit returns the answer, and whether it came over a connection that was open before.
func (s *site) visit(t *testing.T, client *http.Client) (text string, state *tls.ConnectionState, reused bool) {
	t.Helper()
	ctx := httptrace.WithClientTrace(context.Background(), &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) { reused = info.Reused }})
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/v1/outcomes", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := client.Do(request)
	if err != nil {
		return err.Error(), nil, reused
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body), response.TLS, reused
}

func TestReload(t *testing.T) {
	issuer := newAuthority(t, "test")
	gate := newGate()
	s := newSite(t, issuer, gate, tls.VerifyClientCertIfGiven)
	config := &tls.Config{
		RootCAs: issuer.pool(), MinVersion: tls.VersionTLS12,
		Certificates: []tls.Certificate{issuer.client(t, &x509.Certificate{Subject: pkix.Name{CommonName: "night-shift"}})},
	}
	early := visitor(t, config)
	text, first, _ := s.visit(t, early)
	if text != "night shift []" || first.NegotiatedProtocol != "h2" {
		t.Fatalf("got %q over %q", text, first.NegotiatedProtocol)
	}
	until := s.certificates.NotAfter()

	issuer.server(t, s.files, &x509.Certificate{NotAfter: time.Now().Add(3 * time.Hour)})
	if err := s.certificates.Reload(); err != nil {
		t.Fatal(err)
	}
	if !s.certificates.NotAfter().After(until) {
		t.Errorf("the certificate is valid until %v as before", s.certificates.NotAfter())
	}
	text, again, reused := s.visit(t, early)
	if text != "night shift []" || !reused || !again.PeerCertificates[0].Equal(first.PeerCertificates[0]) {
		t.Errorf("over the open connection: got %q, reused %v", text, reused)
	}
	text, second, _ := s.visit(t, visitor(t, config))
	if text != "night shift []" || second.PeerCertificates[0].Equal(first.PeerCertificates[0]) {
		t.Errorf("over a new connection: got %q, and the old certificate", text)
	}

	write(t, s.files.Cert, []byte("broken"))
	if err := s.certificates.Reload(); err == nil || !strings.Contains(err.Error(), s.files.Cert) {
		t.Errorf("a broken file: got %v", err)
	}
	text, third, _ := s.visit(t, visitor(t, config))
	if text != "night shift []" || !third.PeerCertificates[0].Equal(second.PeerCertificates[0]) {
		t.Errorf("after a broken file: got %q", text)
	}
}

func TestAnotherClientCA(t *testing.T) {
	issuer, next := newAuthority(t, "first"), newAuthority(t, "next")
	for name, version := range map[string]uint16{"TLS 1.2": tls.VersionTLS12, "TLS 1.3": tls.VersionTLS13} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, issuer, newGate(), tls.VerifyClientCertIfGiven)
			config := &tls.Config{
				RootCAs: issuer.pool(), MinVersion: version, MaxVersion: version, ClientSessionCache: tls.NewLRUClientSessionCache(8),
				Certificates: []tls.Certificate{issuer.client(t, &x509.Certificate{Subject: pkix.Name{CommonName: "night-shift"}})},
			}
			for _, resumed := range []bool{false, true} {
				if text, state, _ := s.visit(t, visitor(t, config)); text != "night shift []" || state.DidResume != resumed {
					t.Fatalf("got %q, resumed %v", text, state.DidResume)
				}
			}
			write(t, s.files.ClientCA, next.pem)
			if err := s.certificates.Reload(); err != nil {
				t.Fatal(err)
			}
			if text, _, _ := s.visit(t, visitor(t, config)); strings.Contains(text, "night shift") {
				t.Error("a session of the former authority was resumed")
			}
			config = config.Clone()
			config.ClientSessionCache = nil
			config.Certificates = []tls.Certificate{next.client(t, &x509.Certificate{Subject: pkix.Name{CommonName: "night-shift"}})}
			if text, _, _ := s.visit(t, visitor(t, config)); text != "night shift []" {
				t.Errorf("a certificate of the next authority: got %q", text)
			}
		})
	}
}

func TestNoClientCA(t *testing.T) {
	issuer := newAuthority(t, "test")
	files := newFiles(t)
	files.ClientCA = ""
	issuer.server(t, files, &x509.Certificate{})
	certificates, err := access.LoadTLS(files)
	if err != nil {
		t.Fatal(err)
	}
	for asked, want := range map[tls.ClientAuthType]tls.ClientAuthType{
		tls.NoClientCert: tls.NoClientCert, tls.VerifyClientCertIfGiven: tls.NoClientCert, tls.RequireAndVerifyClientCert: tls.RequireAndVerifyClientCert,
	} {
		config, err := certificates.Config(asked).GetConfigForClient(nil)
		if err != nil || config.ClientAuth != want || config.ClientCAs == nil || !config.ClientCAs.Equal(x509.NewCertPool()) {
			t.Errorf("%v: got %v, %v; or it trusts somebody", asked, config.ClientAuth, err)
		}
	}
}

func TestOldTLS(t *testing.T) {
	issuer := newAuthority(t, "test")
	s := newSite(t, issuer, newGate(), tls.NoClientCert)
	old := &tls.Config{RootCAs: issuer.pool(), MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}
	if text, _, _ := s.visit(t, visitor(t, old)); !strings.Contains(text, "version") {
		t.Errorf("got %q", text)
	}
}
