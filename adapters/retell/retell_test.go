package retell_test

import (
	"testing"

	"github.com/callnorm/callnorm/adapters/adaptertest"
	"github.com/callnorm/callnorm/adapters/retell"
)

func TestAdapter(t *testing.T) { adaptertest.Run(t, retell.New()) }

func FuzzNormalize(f *testing.F) { adaptertest.Fuzz(f, retell.New()) }

func BenchmarkNormalize(b *testing.B) { adaptertest.Benchmark(b, retell.New()) }
