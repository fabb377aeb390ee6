package server

import (
	"crypto/tls"
	"net"
	"time"

	"github.com/callnorm/callnorm/internal/intake"
	"github.com/callnorm/callnorm/server/bounds"
)

// Limits bound what the outside can take.
type Limits struct {
	// Connections may be open at a time on each listener, and ConnectionsPerAddress of them from one address.
	Connections, ConnectionsPerAddress int
	// InflightBytes is how much of bodies is in memory at a time, apart from the first 32 KiB of each, for which there is as much
	// again.
	InflightBytes int64
	// AddressRate is a bucket for each address, before anything is verified. Zero: there is none.
	AddressRate intake.Rate
	// HeaderBytes bounds a header.
	HeaderBytes int
	// ReadHeaderTimeout and ReadTimeout bound the reading of a header and of a body, WriteTimeout one write of an answer, and
	// IdleTimeout the wait for the next request.
	ReadHeaderTimeout, ReadTimeout, WriteTimeout, IdleTimeout time.Duration
	// MinPace is how many bytes of a body a sender has to send per second. 0: there is no such bound.
	MinPace int64
}

// DefaultLimits suit one machine with half a gigabyte of memory to spare.
func DefaultLimits() Limits {
	return Limits{
		Connections: 4096, ConnectionsPerAddress: 1024, InflightBytes: 64 << 20, HeaderBytes: 64 << 10,
		ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute,
		MinPace: bounds.DefaultPace.Rate,
	}
}

const (
	// inflightWait is how long a body waits for room. Providers wait for 5 to 15 seconds in all.
	inflightWait = 2 * time.Second
	// ratedAddresses is how many addresses have a bucket of their own.
	ratedAddresses = 1 << 16
	// maxHTTPStreams is how many requests one HTTP/2 connection may have open.
	maxHTTPStreams = 250
	// busyAnswer is what a plain connection beyond the limits is told.
	busyAnswer = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
)

// limit bounds the connections of a listener.
func (s *Server) limit(listener net.Listener, refusal string) net.Listener {
	return bounds.Limit(listener, bounds.ConnectionLimits{
		Total: s.limits.Connections, PerAddress: s.limits.ConnectionsPerAddress, Trusted: s.proxies,
		Refused: s.metrics.refusedConnection, Refusal: []byte(refusal),
	})
}

// secure bounds the connections of a listener for HTTP, and has them speak TLS where there is a certificate.
func (s *Server) secure(listener net.Listener, clients tls.ClientAuthType) net.Listener {
	if s.certs == nil {
		return s.limit(listener, busyAnswer)
	}
	return tls.NewListener(s.limit(listener, ""), s.certs.Config(clients))
}
