package rejection

import "net/netip"

// Address is the class of a remote address: all that is remembered of it.
type Address string

// The classes.
const (
	AddressLoopback Address = "loopback"
	// AddressPrivate is an address of a network that is not reached from the internet: private, link-local or shared by a
	// carrier's customers.
	AddressPrivate  Address = "private"
	AddressPublicV4 Address = "public-v4"
	AddressPublicV6 Address = "public-v6"
	// AddressUnknown is none at all, or one that no sender has.
	AddressUnknown Address = "unknown"
)

var shared = netip.MustParsePrefix("100.64.0.0/10") // RFC 6598

// ClassOf returns the class of an address. An IPv4 address in IPv6 is what it maps to.
func ClassOf(address netip.Addr) Address {
	address = address.Unmap()
	switch {
	case !address.IsValid(), address.IsUnspecified(), address.IsMulticast(), address == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return AddressUnknown
	case address.IsLoopback():
		return AddressLoopback
	case address.IsPrivate(), address.IsLinkLocalUnicast(), shared.Contains(address):
		return AddressPrivate
	case address.Is4():
		return AddressPublicV4
	default:
		return AddressPublicV6
	}
}
