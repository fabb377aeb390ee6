package address_test

import (
	"os"
	"testing"

	"github.com/callnorm/callnorm/adapters"
	"github.com/callnorm/callnorm/adapters/synthflow"
	"github.com/callnorm/callnorm/internal/address"
)

// BenchmarkOf looks for the addresses in a call of 6.5 KB.
func BenchmarkOf(b *testing.B) {
	body, err := os.ReadFile("../../adapters/synthflow/testdata/s00_synthflow_page_2025_10.json")
	if err != nil {
		b.Fatal(err)
	}
	result, err := synthflow.New().Normalize(adapters.Delivery{Provider: "synthflow", Body: body})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		address.Of(result.Outcomes[0].Call)
	}
}
