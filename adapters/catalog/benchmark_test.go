package catalog_test

import (
	"testing"

	"github.com/callnorm/callnorm/adapters/adaptertest"
	"github.com/callnorm/callnorm/adapters/catalog"
	"github.com/callnorm/callnorm/adapters/synthflow"
)

// BenchmarkAdapters holds every adapter to Synthflow's: none may take more than twice as much for a kilobyte.
func BenchmarkAdapters(b *testing.B) {
	set, err := catalog.Set()
	if err != nil {
		b.Fatal(err)
	}
	for _, adapter := range set.All() {
		b.Run(adapter.Name(), func(b *testing.B) { adaptertest.Compare(b, adapter, synthflow.New()) })
	}
}
