package access

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// IsLoopback tells whether only this machine reaches an address, HOST:PORT. An empty host is every interface, and a name other
// than localhost may be anything, so they are not.
func IsLoopback(addr string) (bool, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false, fmt.Errorf("%q is not HOST:PORT: %w", addr, err)
	}
	return loopback(host), nil
}

// loopback tells whether a host is localhost or an address of loopback.
func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && ip.Unmap().IsLoopback()
}

// domestic refuses what a browser sends for a page of another site: such a page reaches loopback through its visitor, either
// openly, or under a name of its own that it lets point to loopback. A public route, the door of webhooks, may have any name,
// because tunnels keep theirs.
func domestic(r *http.Request, public bool) error {
	if !public && !loopback(hostOf(r.Host)) {
		return fmt.Errorf("%w: its host is not localhost. Ask for this machine as localhost or 127.0.0.1, or configure readers", ErrForeign)
	}
	for _, site := range r.Header["Sec-Fetch-Site"] {
		if site != "same-origin" && site != "none" {
			return fmt.Errorf("%w: Sec-Fetch-Site says so. Configure readers to be reachable from other sites", ErrForeign)
		}
	}
	for _, origin := range r.Header["Origin"] {
		from, err := url.Parse(origin)
		if err != nil || from.Host != r.Host || !loopback(hostOf(r.Host)) {
			return fmt.Errorf("%w: Origin says so. Configure readers to be reachable from other sites", ErrForeign)
		}
	}
	return nil
}

// hostOf returns the host of what may be HOST:PORT.
func hostOf(hostPort string) string { return (&url.URL{Host: hostPort}).Hostname() }
