package adaptertest

import (
	"bytes"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/callnorm/callnorm/adapters"
	"github.com/callnorm/callnorm/adapters/scenario"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Benchmark measures an adapter with the bodies that its provider's documentation shows: the cases with `_page` in their
// names. It normalizes a body and decodes the same body with encoding/json into any by turns, so that the ratio of the two
// (`of-any`) holds on a busy machine as well; forms are decoded with net/url. Telephone numbers are looked up in a library whose
// costs are not the adapter's; without_numbers measures the rest.
func Benchmark(b *testing.B, adapter adapters.Adapter) {
	b.Helper()
	for _, c := range Cases(b, adapter) {
		if _, err := adapters.Normalize(adapter, c.Delivery); err != nil || !strings.Contains(c.Name, "_page") {
			continue
		}
		b.Run(c.Name+"/normalize", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = adapters.Normalize(adapter, c.Delivery)
			}
		})
		b.Run(c.Name+"/ratio", func(b *testing.B) { ratio(b, adapter, c.Delivery) })
		b.Run(c.Name+"/ratio_without_numbers", func(b *testing.B) { ratio(b, adapter, withoutNumbers(b, adapter, c.Delivery)) })
	}
}

func ratio(b *testing.B, adapter adapters.Adapter, d adapters.Delivery) {
	b.Helper()
	decode := func() {
		var decoded any
		_ = json.Unmarshal(d.Body, &decoded)
	}
	if d.Header.Get("Content-Type") == scenario.FormType {
		decode = func() { _, _ = url.ParseQuery(string(d.Body)) }
	}
	const turn = 50 // so many of each in turn: drifts of the machine hit both, and neither runs in the other's caches
	var normalizing, decoding time.Duration
	n := 0
	for b.Loop() {
		start := b.Elapsed()
		for range turn {
			_, _ = adapters.Normalize(adapter, d)
		}
		between := b.Elapsed()
		for range turn {
			decode()
		}
		normalizing += between - start
		decoding += b.Elapsed() - between
		n += turn
	}
	b.ReportMetric(float64(normalizing)/float64(n), "normalize-ns/op")
	b.ReportMetric(float64(decoding)/float64(n), "any-ns/op")
	b.ReportMetric(float64(normalizing)/float64(decoding), "of-any")
}

// withoutNumbers replaces the telephone numbers in a body by text that no library looks up.
func withoutNumbers(b *testing.B, adapter adapters.Adapter, d adapters.Delivery) adapters.Delivery {
	b.Helper()
	result, err := adapters.Normalize(adapter, d)
	if err != nil {
		return d
	}
	for _, outcome := range result.Outcomes {
		for _, number := range numbers(outcome.Call.ProtoReflect()) {
			instead := bytes.Repeat([]byte("X"), len(number))
			d.Body = bytes.ReplaceAll(d.Body, []byte(number), instead)
			d.Body = bytes.ReplaceAll(d.Body, []byte(url.QueryEscape(number)), instead)
		}
	}
	return d
}

func numbers(m protoreflect.Message) []string {
	if number, ok := m.Interface().(*callnormv1.PhoneNumber); ok {
		return []string{number.GetAsReceived()}
	}
	var list []string
	m.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		switch {
		case field.IsMap() || field.Message() == nil:
		case field.IsList():
			for i := range value.List().Len() {
				list = append(list, numbers(value.List().Get(i).Message())...)
			}
		default:
			list = append(list, numbers(value.Message())...)
		}
		return true
	})
	return list
}

// Compare measures an adapter beside another one, by turns, with the bodies that their providers' documentation shows: the time and
// the allocations for a kilobyte of them, telephone numbers apart, and the ratios to the other's.
func Compare(b *testing.B, adapter, other adapters.Adapter) {
	b.Helper()
	own, others := newSamples(b, adapter), newSamples(b, other)
	var mine, theirs time.Duration
	n := 0
	for b.Loop() {
		start := b.Elapsed()
		own.normalize()
		between := b.Elapsed()
		others.normalize()
		mine += between - start
		theirs += b.Elapsed() - between
		n++
	}
	perKB, othersPerKB := float64(mine)/float64(n)/own.kilobytes, float64(theirs)/float64(n)/others.kilobytes
	allocs, othersAllocs := testing.AllocsPerRun(1, own.normalize)/own.kilobytes, testing.AllocsPerRun(1, others.normalize)/others.kilobytes
	b.ReportMetric(0, "ns/op") // of both together; it says nothing
	b.ReportMetric(perKB, "ns/KB")
	b.ReportMetric(allocs, "allocs/KB")
	b.ReportMetric(perKB/othersPerKB, "time-of-"+other.Name())
	b.ReportMetric(allocs/othersAllocs, "allocs-of-"+other.Name())
}

// samples are the bodies of an adapter that a turn consists of.
type samples struct {
	adapter    adapters.Adapter
	deliveries []adapters.Delivery
	kilobytes  float64
}

// turnSize is about how many bytes a turn goes through, so that adapters with small bodies have as long turns as others.
const turnSize = 256 << 10

func newSamples(b *testing.B, adapter adapters.Adapter) samples {
	b.Helper()
	cases, err := scenario.Of(adapter)
	if err != nil {
		b.Fatal(err)
	}
	s := samples{adapter: adapter}
	size := 0
	for _, c := range cases {
		result, err := adapters.Normalize(adapter, c.Delivery)
		if err == nil && len(result.Outcomes) > 0 && strings.Contains(c.Name, "_page") {
			s.deliveries = append(s.deliveries, withoutNumbers(b, adapter, c.Delivery))
			size += len(c.Delivery.Body) + len(c.Delivery.Query)
		}
	}
	if size == 0 {
		b.Fatalf("%s has no case with _page in its name", adapter.Name())
	}
	rounds := max(1, turnSize/size)
	s.deliveries = slices.Repeat(s.deliveries, rounds)
	s.kilobytes = float64(size*rounds) / 1e3
	return s
}

func (s samples) normalize() {
	for _, d := range s.deliveries {
		_, _ = adapters.Normalize(s.adapter, d)
	}
}
