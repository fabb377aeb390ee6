package bland_test

import (
	"testing"

	"github.com/callnorm/callnorm/adapters/adaptertest"
	"github.com/callnorm/callnorm/adapters/bland"
)

func TestAdapter(t *testing.T) { adaptertest.Run(t, bland.New()) }

func FuzzNormalize(f *testing.F) { adaptertest.Fuzz(f, bland.New()) }

func BenchmarkNormalize(b *testing.B) { adaptertest.Benchmark(b, bland.New()) }
