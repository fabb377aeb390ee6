package vapi_test

import (
	"testing"

	"github.com/callnorm/callnorm/adapters/adaptertest"
	"github.com/callnorm/callnorm/adapters/vapi"
)

func TestAdapter(t *testing.T) { adaptertest.Run(t, vapi.New()) }

func FuzzNormalize(f *testing.F) { adaptertest.Fuzz(f, vapi.New()) }

func BenchmarkNormalize(b *testing.B) { adaptertest.Benchmark(b, vapi.New()) }
