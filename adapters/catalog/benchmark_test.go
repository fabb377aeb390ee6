package catalog_test

import (
	"testing"

	"github.com/callnorm/callnorm/adapters/adaptertest"
	"github.com/callnorm/callnorm/adapters/catalog"
	"github.com/callnorm/callnorm/adapters/synthflow"
)

// BenchmarkAdapters sets every adapter beside Synthflow's, of which most was spared, for a kilobyte of the bodies that are documented.
func BenchmarkAdapters(b *testing.B) {
	set, err := catalog.Set()
	if err != nil {
		b.Fatal(err)
	}
	for _, adapter := range set.All() {
		b.Run(adapter.Name(), func(b *testing.B) { adaptertest.Compare(b, adapter, synthflow.New()) })
	}
}
