package twilio_test

import (
	"testing"

	"github.com/callnorm/callnorm/adapters/adaptertest"
	"github.com/callnorm/callnorm/adapters/twilio"
)

func TestAdapter(t *testing.T) { adaptertest.Run(t, twilio.New()) }

func FuzzNormalize(f *testing.F) { adaptertest.Fuzz(f, twilio.New()) }

func BenchmarkNormalize(b *testing.B) { adaptertest.Benchmark(b, twilio.New()) }
