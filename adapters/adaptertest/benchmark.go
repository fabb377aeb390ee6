package adaptertest

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/callnorm/callnorm/adapters"
	callnormv1 "github.com/callnorm/callnorm/gen/callnorm/v1"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Benchmark measures an adapter with the bodies that its provider's documentation shows: the cases with `_page` in their
// names. It normalizes a body and decodes the same body with encoding/json into any by turns, so that the ratio of the two
// (`of-any`) holds on a busy machine as well. Telephone numbers are looked up in a library whose costs are not the adapter's;
// without_numbers measures the rest.
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
			var decoded any
			_ = json.Unmarshal(d.Body, &decoded)
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
			d.Body = bytes.ReplaceAll(d.Body, []byte(number), bytes.Repeat([]byte("X"), len(number)))
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
