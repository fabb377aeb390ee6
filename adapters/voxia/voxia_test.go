package voxia_test

import (
	"testing"

	"github.com/callnorm/callnorm/adapters/adaptertest"
	"github.com/callnorm/callnorm/adapters/voxia"
)

func TestAdapter(t *testing.T) { adaptertest.Run(t, voxia.New()) }

func FuzzNormalize(f *testing.F) { adaptertest.Fuzz(f, voxia.New()) }

func BenchmarkNormalize(b *testing.B) { adaptertest.Benchmark(b, voxia.New()) }
