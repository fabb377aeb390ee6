package elevenlabs_test

import (
	"testing"

	"github.com/callnorm/callnorm/adapters/adaptertest"
	"github.com/callnorm/callnorm/adapters/elevenlabs"
)

func TestAdapter(t *testing.T) { adaptertest.Run(t, elevenlabs.New()) }

func FuzzNormalize(f *testing.F) { adaptertest.Fuzz(f, elevenlabs.New()) }

func BenchmarkNormalize(b *testing.B) { adaptertest.Benchmark(b, elevenlabs.New()) }
