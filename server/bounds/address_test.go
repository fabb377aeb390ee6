package bounds

import (
	"net/http"
	"net/netip"
	"testing"
)

func TestClient(t *testing.T) {
	proxies := Proxies{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	const peer = "10.0.0.1:4000"
	tests := map[string]struct {
		peer  string
		lines []string
		want  string
		from  bool // a header
	}{
		"a peer that is no proxy speaks for itself":        {peer: "192.0.2.1:1", lines: []string{"198.51.100.7"}, want: "192.0.2.1"},
		"a proxy that says nothing is the client":          {peer: peer, want: "10.0.0.1"},
		"a proxy tells its client":                         {peer: peer, lines: []string{"198.51.100.7"}, want: "198.51.100.7", from: true},
		"what a client claims stands left and is not read": {peer: peer, lines: []string{"1.1.1.1, 198.51.100.7"}, want: "198.51.100.7", from: true},
		"proxies in a row are passed": {
			peer: peer, lines: []string{"1.1.1.1, 198.51.100.7, 10.9.9.9,10.0.0.2"}, want: "198.51.100.7", from: true,
		},
		"lines are joined in their order": {
			peer: peer, lines: []string{"1.1.1.1", "198.51.100.7, 10.0.0.3", "10.0.0.2"}, want: "198.51.100.7", from: true,
		},
		"where all are proxies the farthest is the client":    {peer: peer, lines: []string{"10.0.0.3, 10.0.0.2"}, want: "10.0.0.3", from: true},
		"garbage ends the walk at the last address":           {peer: peer, lines: []string{"1.1.1.1, unknown, 10.0.0.2"}, want: "10.0.0.2", from: true},
		"garbage at the right end leaves the peer":            {peer: peer, lines: []string{"1.1.1.1, unknown"}, want: "10.0.0.1"},
		"an empty entry is garbage":                           {peer: peer, lines: []string{"1.1.1.1,"}, want: "10.0.0.1"},
		"an empty line is garbage":                            {peer: peer, lines: []string{"1.1.1.1", ""}, want: "10.0.0.1"},
		"a port is tolerated":                                 {peer: peer, lines: []string{"198.51.100.7:5060"}, want: "198.51.100.7", from: true},
		"IPv6 comes plain":                                    {peer: peer, lines: []string{"2001:db8::1"}, want: "2001:db8::1", from: true},
		"IPv6 comes in brackets":                              {peer: peer, lines: []string{"[2001:db8::1]"}, want: "2001:db8::1", from: true},
		"IPv6 comes in brackets with a port":                  {peer: peer, lines: []string{"[2001:db8::1]:443"}, want: "2001:db8::1", from: true},
		"a bracket that stays open is garbage":                {peer: peer, lines: []string{"[2001:db8::1"}, want: "10.0.0.1"},
		"IPv4 in brackets is garbage":                         {peer: peer, lines: []string{"[192.0.2.1]"}, want: "10.0.0.1"},
		"an IPv4-mapped address is the IPv4 address":          {peer: peer, lines: []string{"1.1.1.1, ::ffff:10.1.1.1"}, want: "1.1.1.1", from: true},
		"a peer on a socket of both families is IPv4":         {peer: "[::ffff:10.0.0.1]:1", lines: []string{"1.1.1.1"}, want: "1.1.1.1", from: true},
		"a zone names an interface, not an address":           {peer: "[fd00::1%eth0]:1", lines: []string{"1.1.1.1"}, want: "1.1.1.1", from: true},
		"a quoted entry is garbage":                           {peer: peer, lines: []string{`"1.1.1.1"`}, want: "10.0.0.1"},
		"a peer without an address has none":                  {peer: "@", lines: []string{"1.1.1.1"}, want: "invalid IP"},
		"a name is garbage, even one that resolves somewhere": {peer: peer, lines: []string{"localhost"}, want: "10.0.0.1"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := &http.Request{RemoteAddr: tt.peer, Header: http.Header{
				"X-Forwarded-For": tt.lines, "Forwarded": {"for=203.0.113.9"}, "X-Real-Ip": {"203.0.113.9"},
			}}
			addr, forwarded := proxies.Client(r)
			if addr.String() != tt.want || forwarded != tt.from {
				t.Errorf("Client() = %v, %v; want %v, %v", addr, forwarded, tt.want, tt.from)
			}
			if addr, forwarded := (Proxies)(nil).Client(r); forwarded || addr.Is4In6() {
				t.Errorf("without proxies: Client() = %v, %v", addr, forwarded)
			}
		})
	}
}

func TestSubscriber(t *testing.T) {
	tests := map[string]struct {
		one, other string
		same       bool
	}{
		"two of IPv4 are two":               {"192.0.2.1", "192.0.2.2", false},
		"IPv4-mapped is IPv4":               {"::ffff:192.0.2.1", "192.0.2.1", true},
		"one /64 is one":                    {"2001:db8::1", "2001:db8::ffff:0:0:1", true},
		"two /64 are two":                   {"2001:db8:0:1::1", "2001:db8:0:2::1", false},
		"a zone does not tell two apart":    {"fe80::1%a", "fe80::1%b", true},
		"two IPv4-mapped addresses are two": {"::ffff:192.0.2.1", "::ffff:192.0.2.2", false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := subscriber(netip.MustParseAddr(tt.one)) == subscriber(netip.MustParseAddr(tt.other)); got != tt.same {
				t.Errorf("same = %v", got)
			}
		})
	}
}
