package main

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// collectAt is by how many percent the heap may grow before it is collected. What lives in it is small, so that Go's own 100 has
	// it collected dozens of times a second under load: that took a tenth of the processor's time of a webhook, and a quarter of a stream's.
	collectAt = 300
	// lookEvery is how often a service looks whether it is idle: whether it has allocated less than idleBelow bytes since.
	lookEvery = time.Second
	idleBelow = 1 << 20
)

// tradeMemory has the service take more memory while it works, for time, and give it back when it has nothing to do, until ctx ends.
// An operator who has set GOGC decides alone; GOMEMLIMIT bounds both.
func tradeMemory(ctx context.Context) {
	if os.Getenv("GOGC") != "" {
		return
	}
	defer debug.SetGCPercent(debug.SetGCPercent(collectAt))
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	var idle idleness
	for {
		select {
		case <-ctx.Done():
			return
		case <-look.C:
			if idle.begins(allocated()) {
				debug.FreeOSMemory()
			}
		}
	}
}

// allocated returns how many bytes were ever allocated.
func allocated() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// idleness tells when work has ended.
type idleness struct {
	allocated uint64
	worked    bool
}

// begins takes how much was allocated so far, and tells whether nothing was done since the last time but something before that.
func (i *idleness) begins(allocated uint64) bool {
	working := allocated-i.allocated >= idleBelow
	ended := i.worked && !working
	i.allocated, i.worked = allocated, working
	return ended
}
