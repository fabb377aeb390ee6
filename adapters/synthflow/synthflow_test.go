package synthflow_test

import (
	"testing"

	"github.com/callnorm/callnorm/adapters/adaptertest"
	"github.com/callnorm/callnorm/adapters/synthflow"
)

func TestAdapter(t *testing.T) { adaptertest.Run(t, synthflow.New()) }

func FuzzNormalize(f *testing.F) { adaptertest.Fuzz(f, synthflow.New()) }

func BenchmarkNormalize(b *testing.B) { adaptertest.Benchmark(b, synthflow.New()) }
