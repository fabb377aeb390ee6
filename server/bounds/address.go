package bounds

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// subscriber returns what counts as one address: an IPv4 address, or the /64 that one subscriber of IPv6 gets and can pick any
// address of. What has no address, such as a Unix socket, is one subscriber as well.
func subscriber(addr netip.Addr) netip.Addr {
	addr = addr.Unmap().WithZone("")
	if !addr.Is6() {
		return addr
	}
	prefix, err := addr.Prefix(64)
	if err != nil {
		return addr
	}
	return prefix.Addr()
}

// addressOf returns the address of a connection's other side, or the zero one if it has none.
func addressOf(conn net.Conn) netip.Addr {
	tcp, ok := conn.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	return tcp.AddrPort().Addr().Unmap().WithZone("")
}

// Proxies are the addresses that may speak for others. Prefixes are of IPv4 or IPv6; a prefix of IPv4-mapped addresses matches
// nothing.
type Proxies []netip.Prefix

// Client returns the address that a request comes from, and whether a proxy said so. Without a trusted peer that is the peer,
// whatever headers say. With one, X-Forwarded-For is walked from the right, where the nearest proxy wrote, to the first address
// that is not a proxy's; an entry that is no address ends the walk at the one before it. The address is invalid if the peer has
// none.
//
// RFC 7239's Forwarded is ignored: a proxy that writes one of the two headers passes the other on as its client wrote it, and
// nothing tells which one to believe.
func (p Proxies) Client(r *http.Request) (addr netip.Addr, forwarded bool) {
	addr, ok := parseAddress(r.RemoteAddr)
	if !ok || !p.contain(addr) {
		return addr, false
	}
	for _, line := range slices.Backward(r.Header.Values("X-Forwarded-For")) {
		for more := true; more; {
			entry := line
			comma := strings.LastIndexByte(line, ',')
			if more = comma >= 0; more {
				line, entry = line[:comma], line[comma+1:]
			}
			next, ok := parseAddress(strings.Trim(entry, " \t"))
			if !ok {
				return addr, forwarded
			}
			addr, forwarded = next, true
			if !p.contain(addr) {
				return addr, forwarded
			}
		}
	}
	return addr, forwarded
}

func (p Proxies) contain(addr netip.Addr) bool {
	return slices.ContainsFunc(p, func(prefix netip.Prefix) bool { return prefix.Contains(addr) })
}

// parseAddress reads an address with or without brackets and port.
func parseAddress(text string) (netip.Addr, bool) {
	if withPort, err := netip.ParseAddrPort(text); err == nil {
		return withPort.Addr().Unmap().WithZone(""), true
	}
	if inner, ok := strings.CutPrefix(text, "["); ok {
		if text, ok = strings.CutSuffix(inner, "]"); !ok || !strings.Contains(text, ":") {
			return netip.Addr{}, false
		}
	}
	addr, err := netip.ParseAddr(text)
	return addr.Unmap().WithZone(""), err == nil
}
