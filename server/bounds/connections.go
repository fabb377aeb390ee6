package bounds

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"
)

// Reasons for refusing a connection.
const (
	RefusedTotal   = "total"
	RefusedAddress = "address"
)

const (
	maxRefusals  = 64                     // that are being told at a time
	refuseIn     = 500 * time.Millisecond // to tell one
	refusedBytes = 64 << 10               // that we take from one before we hang up
)

// ConnectionLimits bound the open connections of a listener. Zero means no limit.
type ConnectionLimits struct {
	// Total is how many connections there may be, PerAddress how many of one IPv4 address or one /64 of IPv6.
	Total, PerAddress int
	// Trusted are proxies, which bring many senders from one address: PerAddress does not count for them.
	Trusted []netip.Prefix
	// Refused is told of each refused connection, with RefusedTotal or RefusedAddress. It may be nil.
	Refused func(reason string)
	// Refusal is what a refused connection is sent, for protocols in which that can be read without a handshake.
	Refusal []byte
}

// Limit returns a listener that keeps to the limits. It never waits for room: connections beyond a limit are taken, refused and
// closed, so that the next honest one does not queue behind them. It works below TLS.
func Limit(listener net.Listener, limits ConnectionLimits) net.Listener {
	return &limited{
		Listener: listener, limits: limits, open: map[netip.Addr]int{}, refusing: make(chan struct{}, maxRefusals),
	}
}

type limited struct {
	net.Listener
	limits   ConnectionLimits
	refusing chan struct{}

	mu    sync.Mutex
	total int
	open  map[netip.Addr]int // by subscriber
}

// Accept returns the next connection that is within the limits.
func (l *limited) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		addr := addressOf(conn)
		reason := l.admit(addr)
		if reason == "" {
			return &counted{Conn: conn, left: sync.OnceFunc(func() { l.leave(addr) })}, nil
		}
		if l.limits.Refused != nil {
			l.limits.Refused(reason)
		}
		l.refuse(conn)
	}
}

// admit counts a connection in, or says why not.
func (l *limited) admit(addr netip.Addr) (reason string) {
	who := subscriber(addr)
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.limits.Total > 0 && l.total >= l.limits.Total:
		return RefusedTotal
	// What has no address is not many from one.
	case l.limits.PerAddress > 0 && l.open[who] >= l.limits.PerAddress && addr.IsValid() && !Proxies(l.limits.Trusted).contain(addr):
		return RefusedAddress
	}
	l.total++
	l.open[who]++
	return ""
}

func (l *limited) leave(addr netip.Addr) {
	who := subscriber(addr)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.total--
	if l.open[who]--; l.open[who] == 0 {
		delete(l.open, who)
	}
}

// refuse tells a connection so, if there is something to tell and not too many are being told, and closes it. It does not wait.
func (l *limited) refuse(conn net.Conn) {
	if len(l.limits.Refusal) == 0 {
		_ = conn.Close()
		return
	}
	select {
	case l.refusing <- struct{}{}:
		go func() {
			defer func() { <-l.refusing }()
			tell(conn, l.limits.Refusal)
		}()
	default:
		_ = conn.Close()
	}
}

// tell sends a refusal so that it can be read. Closing a connection that holds unread bytes resets it, and a reset overtakes what
// was sent before: only our side is closed at first, and what the other one sends is taken for a moment.
func tell(conn net.Conn, refusal []byte) {
	defer func() { _ = conn.Close() }()
	if conn.SetDeadline(time.Now().Add(refuseIn)) != nil {
		return
	}
	if _, err := conn.Write(refusal); err != nil {
		return
	}
	if half, ok := conn.(halfCloser); !ok || half.CloseWrite() != nil {
		return
	}
	_, _ = io.CopyN(io.Discard, conn, refusedBytes)
}

type halfCloser interface{ CloseWrite() error }

// counted is a connection that leaves the count when it is closed for the first time.
type counted struct {
	net.Conn
	left func()
}

// Close closes the connection.
func (c *counted) Close() error {
	err := c.Conn.Close()
	c.left()
	return err
}

// CloseWrite closes our side. net/http does so before it hangs up on a sender, who could not read the answer otherwise.
func (c *counted) CloseWrite() error {
	if half, ok := c.Conn.(halfCloser); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}
