package bounds

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
)

const refusal = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"

func listen(t *testing.T, limits ConnectionLimits) *limited {
	t.Helper()
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = inner.Close() })
	return Limit(inner, limits).(*limited) //nolint:forcetypeassert // Limit returns nothing else
}

// dial connects from another loopback address.
func dial(t *testing.T, from string, listener net.Listener) net.Conn {
	t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	conn, err := dialer.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// reasons counts refusals.
type reasons struct {
	mu   sync.Mutex
	list []string
}

func (r *reasons) add(reason string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = append(r.list, reason)
}

func (r *reasons) all() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.list)
}

// The last connection of each row comes from 127.0.0.9 and is always let in, after all others have been judged.
func TestLimit(t *testing.T) {
	tests := map[string]struct {
		limits  ConnectionLimits
		from    []string
		refused []string
	}{
		"without limits all come in": {from: []string{"127.0.0.1", "127.0.0.1", "127.0.0.1"}},
		"one address has its share": {
			limits:  ConnectionLimits{PerAddress: 2},
			from:    []string{"127.0.0.2", "127.0.0.2", "127.0.0.2", "127.0.0.3", "127.0.0.2"},
			refused: []string{RefusedAddress, RefusedAddress},
		},
		"a refused crowd takes nothing of the total": {
			limits:  ConnectionLimits{Total: 3, PerAddress: 1},
			from:    []string{"127.0.0.2", "127.0.0.2", "127.0.0.2", "127.0.0.2", "127.0.0.3"},
			refused: []string{RefusedAddress, RefusedAddress, RefusedAddress},
		},
		"a proxy brings many": {
			limits: ConnectionLimits{PerAddress: 1, Trusted: []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32")}},
			from:   []string{"127.0.0.2", "127.0.0.2", "127.0.0.2"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var got reasons
			tt.limits.Refused = got.add
			listener := listen(t, tt.limits)
			for _, from := range append(tt.from, "127.0.0.9") {
				dial(t, from, listener)
			}
			var accepted []net.Conn
			for range len(tt.from) + 1 - len(tt.refused) {
				conn, err := listener.Accept()
				if err != nil {
					t.Fatal(err)
				}
				accepted = append(accepted, conn)
			}
			if !slices.Equal(got.all(), tt.refused) {
				t.Errorf("refused %v", got.all())
			}
			for _, conn := range accepted {
				must(t, conn.Close())
				if conn.Close() == nil {
					t.Error("closed twice")
				}
			}
			if listener.total != 0 || len(listener.open) != 0 {
				t.Errorf("%d of %d addresses are still counted", listener.total, len(listener.open))
			}
		})
	}
}

func TestAClosedConnectionMakesRoom(t *testing.T) {
	var got reasons
	listener := listen(t, ConnectionLimits{Total: 1, Refused: got.add})
	dial(t, "127.0.0.2", listener)
	first, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	refused := dial(t, "127.0.0.3", listener)
	next := make(chan net.Conn)
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			t.Error(err)
		}
		next <- conn
	}()
	if n, err := refused.Read(make([]byte, 1)); err == nil {
		t.Errorf("read %d bytes", n)
	}
	must(t, first.Close())
	dial(t, "127.0.0.3", listener)
	must(t, (<-next).Close())
	if want := []string{RefusedTotal}; !slices.Equal(got.all(), want) {
		t.Errorf("refused %v", got.all())
	}
}

// A client that has sent a whole request, which nobody reads, must not lose the answer to a reset.
func TestARefusalCanBeRead(t *testing.T) {
	listener := listen(t, ConnectionLimits{PerAddress: 1, Refusal: []byte(refusal)})
	server := &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })

	dial(t, "127.0.0.2", listener) // and stays
	request := "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 20000\r\n\r\n" + strings.Repeat("x", 20000)
	for range 50 {
		conn := dial(t, "127.0.0.2", listener)
		_, err := io.WriteString(conn, request)
		must(t, err)
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		if response.StatusCode != http.StatusServiceUnavailable || response.Header.Get("Retry-After") != "1" {
			t.Errorf("answer %d", response.StatusCode)
		}
		_ = response.Body.Close()
		_ = conn.Close()
	}
	honest := dial(t, "127.0.0.3", listener)
	_, err := io.WriteString(honest, request)
	must(t, err)
	response, err := http.ReadResponse(bufio.NewReader(honest), nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Errorf("answer %d", response.StatusCode)
	}
}

// Refused clients that do not hang up hold a bounded number of goroutines, and nobody else.
func TestAStubbornCrowdHoldsNobodyUp(t *testing.T) {
	var got reasons
	listener := listen(t, ConnectionLimits{PerAddress: 1, Refused: got.add, Refusal: []byte(refusal)})
	const crowd = 300
	go func() {
		for range crowd {
			dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
			conn, err := dialer.Dial("tcp", listener.Addr().String())
			if err != nil {
				t.Error(err)
				continue
			}
			t.Cleanup(func() { _ = conn.Close() })
		}
		conn, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			t.Error(err)
			return
		}
		t.Cleanup(func() { _ = conn.Close() })
	}()
	for from := "127.0.0.2"; from != "127.0.0.1"; {
		conn, err := listener.Accept()
		if err != nil {
			t.Fatal(err)
		}
		from = addressOf(conn).String()
		t.Cleanup(func() { _ = conn.Close() })
	}
	if len(got.all()) != crowd-1 {
		t.Errorf("%d were refused", len(got.all()))
	}
	if cap(listener.refusing) != maxRefusals {
		t.Errorf("%d may be told at a time", cap(listener.refusing))
	}
}

func TestLimitBelowTLS(t *testing.T) {
	listener := listen(t, ConnectionLimits{PerAddress: 1})
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	_ = server.Listener.Close()
	server.Listener = listener
	server.EnableHTTP2 = true
	server.StartTLS()
	client := server.Client()
	response, err := client.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusNoContent || response.ProtoMajor != 2 {
		t.Errorf("answer %d over %s", response.StatusCode, response.Proto)
	}
	refused := dial(t, "127.0.0.1", listener)
	if n, err := refused.Read(make([]byte, 1)); err == nil {
		t.Errorf("read %d bytes", n)
	}
	server.Close()
	if listener.total != 0 {
		t.Errorf("%d are still counted", listener.total)
	}
}

func TestLimitBelowGRPC(t *testing.T) {
	listener := listen(t, ConnectionLimits{PerAddress: 1})
	server := grpc.NewServer()
	healthv1.RegisterHealthServer(server, health.NewServer())
	go func() { _ = server.Serve(listener) }()
	client, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := healthv1.NewHealthClient(client).Check(t.Context(), &healthv1.HealthCheckRequest{}); err != nil {
		t.Error(err)
	}
	must(t, client.Close())
	server.Stop()
	if listener.total != 0 {
		t.Errorf("%d are still counted", listener.total)
	}
}

func TestWhatHasNoAddressCountsForTheTotalAlone(t *testing.T) {
	inner := &piped{conns: make(chan net.Conn, 3)}
	for range 3 {
		client, server := net.Pipe()
		t.Cleanup(func() { _ = client.Close() })
		inner.conns <- server
	}
	var got reasons
	listener := Limit(inner, ConnectionLimits{Total: 2, PerAddress: 1, Refused: got.add})
	for range 2 {
		conn, err := listener.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if half, ok := conn.(halfCloser); !ok || !errors.Is(half.CloseWrite(), errors.ErrUnsupported) {
			t.Error("half of it was closed")
		}
	}
	close(inner.conns)
	if _, err := listener.Accept(); !errors.Is(err, net.ErrClosed) || !slices.Equal(got.all(), []string{RefusedTotal}) {
		t.Errorf("error %v, refused %v", err, got.all())
	}
}

// piped is a listener of connections in memory.
type piped struct {
	net.Listener
	conns chan net.Conn
}

func (p *piped) Accept() (net.Conn, error) {
	if conn, ok := <-p.conns; ok {
		return conn, nil
	}
	return nil, net.ErrClosed
}

func (p *piped) Close() error { return nil }

func (p *piped) Addr() net.Addr { return &net.UnixAddr{} }

// A client that sends for ever is hung up on: after some bytes, or some time.
func TestTellingEnds(t *testing.T) {
	client, server := net.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		tell(endless{server}, []byte("no"))
	}()
	answer := make([]byte, 2)
	_, err := io.ReadFull(client, answer)
	must(t, err)
	sent, err := io.Copy(client, io.LimitReader(neverEnding('x'), 1<<30))
	if err == nil || sent > 2*refusedBytes || !bytes.Equal(answer, []byte("no")) {
		t.Errorf("sent %d, error %v", sent, err)
	}
	<-done
}

type endless struct{ net.Conn }

func (endless) CloseWrite() error { return nil }

func (endless) SetDeadline(time.Time) error { return nil }

type neverEnding byte

func (b neverEnding) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(b)
	}
	return len(p), nil
}
