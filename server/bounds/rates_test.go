package bounds

import (
	"net/netip"
	"testing"
	"time"
)

func TestRates(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	one, other := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	type step struct {
		addr  netip.Addr
		after time.Duration // since the start
		want  time.Duration // zero is allowed
	}
	tests := map[string]struct {
		addresses int
		steps     []step
	}{
		"a burst passes, and then what refills": {8, []step{
			{one, 0, 0}, {one, 0, 0}, {one, 0, 500 * time.Millisecond}, {one, 500 * time.Millisecond, 0},
		}},
		"a refused request takes nothing": {8, []step{
			{one, 0, 0}, {one, 0, 0}, {one, 0, 500 * time.Millisecond}, {one, 0, 500 * time.Millisecond},
		}},
		"each address has its own": {8, []step{{one, 0, 0}, {one, 0, 0}, {other, 0, 0}, {one, 0, 500 * time.Millisecond}}},
		"a /64 has one": {8, []step{
			{netip.MustParseAddr("2001:db8::1"), 0, 0}, {netip.MustParseAddr("2001:db8::2"), 0, 0},
			{netip.MustParseAddr("2001:db8::3"), 0, 500 * time.Millisecond},
		}},
		"beyond the bound the one that was away for longest is forgotten": {2, []step{
			{one, 0, 0}, {one, 0, 0}, {other, 0, 0}, {one, 0, 500 * time.Millisecond},
			{netip.MustParseAddr("192.0.2.3"), 0, 0},
			{one, 0, 500 * time.Millisecond}, {other, 0, 0}, {other, 0, 0}, {other, 0, 500 * time.Millisecond},
		}},
		"what has no address shares one": {8, []step{{netip.Addr{}, 0, 0}, {netip.Addr{}, 0, 0}, {netip.Addr{}, 0, 500 * time.Millisecond}}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			rates := NewRates(2, 2, tt.addresses)
			for i, step := range tt.steps {
				ok, wait := rates.Allow(step.addr, start.Add(step.after))
				if ok != (step.want == 0) || wait != step.want {
					t.Errorf("step %d: Allow() = %v, %v; want %v", i, ok, wait, step.want)
				}
			}
		})
	}
}

func TestRatesOfManyAddressesAreBounded(t *testing.T) {
	rates := NewRates(1, 1, 100)
	for i := range 10_000 {
		addr := netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})
		if ok, _ := rates.Allow(addr, time.Time{}); !ok {
			t.Fatalf("address %d was refused its first request", i)
		}
	}
	if len(rates.buckets) != 100 || rates.order.Len() != 100 {
		t.Errorf("%d buckets in a list of %d", len(rates.buckets), rates.order.Len())
	}
}

func TestNoRatesAllowEverything(t *testing.T) {
	if ok, wait := (*Rates)(nil).Allow(netip.Addr{}, time.Time{}); !ok || wait != 0 {
		t.Errorf("Allow() = %v, %v", ok, wait)
	}
}
