package server_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/callnorm/callnorm/adapters"
	"github.com/callnorm/callnorm/adapters/synthflow"
	"github.com/callnorm/callnorm/internal/intake"
	"github.com/callnorm/callnorm/internal/rejection"
	"github.com/callnorm/callnorm/internal/store/sqlite"
	"github.com/callnorm/callnorm/server"
	"github.com/callnorm/callnorm/server/access"
)

// BenchmarkIntake measures a webhook of 6.5 KB from its connection to the disk, side by side with what is physically possible: a
// handler that appends the body to one file and shares fsyncs. Ratios travel between machines; times do not.
func BenchmarkIntake(b *testing.B) {
	body, err := os.ReadFile("../adapters/synthflow/testdata/s00_synthflow_page_2025_10.json")
	if err != nil {
		b.Fatal(err)
	}
	for _, connections := range []int{1, 64} {
		b.Run(fmt.Sprintf("connections=%d", connections), func(b *testing.B) {
			var fsyncs atomic.Int64
			limit := load(b, connections, body, appender(b))
			full := load(b, connections, body, service(b, &fsyncs))
			b.ReportMetric(full.perSecond/limit.perSecond, "of-limit")
			b.ReportMetric(full.perSecond, "webhooks/s")
			b.ReportMetric(limit.perSecond, "limit/s")
			b.ReportMetric(float64(full.p99)/float64(limit.p99), "p99-of-limit")
			b.ReportMetric(float64(full.p50.Microseconds()), "p50-µs")
			b.ReportMetric(float64(fsyncs.Load())/float64(b.N), "commits/webhook")
		})
	}
}

type rate struct {
	perSecond float64
	p50, p99  time.Duration
}

// load posts b.N distinct bodies over a number of connections.
func load(b *testing.B, connections int, body []byte, handler http.Handler) rate {
	b.Helper()
	ts := httptest.NewServer(handler)
	defer ts.Close()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: connections, MaxConnsPerHost: connections}}
	defer client.CloseIdleConnections()
	var next atomic.Int64
	took := make([]time.Duration, b.N)
	var workers sync.WaitGroup
	start := time.Now()
	for range connections {
		workers.Go(func() {
			for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
				distinct := bytes.Replace(body, []byte("[UUID]"), fmt.Appendf(nil, "%036d", i), 2)
				begin := time.Now()
				response, err := client.Post(ts.URL+"/v1/webhooks/synthflow", "application/json", bytes.NewReader(distinct))
				if err != nil {
					b.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, response.Body)
				_ = response.Body.Close()
				if response.StatusCode != http.StatusOK {
					b.Error(response.Status)
					return
				}
				took[i-1] = time.Since(begin)
			}
		})
	}
	workers.Wait()
	elapsed := time.Since(start)
	slices.Sort(took)
	return rate{perSecond: float64(b.N) / elapsed.Seconds(), p50: took[len(took)/2], p99: took[len(took)*99/100]}
}

// appender appends each body to one file; those who wait share an fsync.
func appender(b *testing.B) http.Handler {
	b.Helper()
	file, err := os.Create(filepath.Join(b.TempDir(), "log"))
	if err != nil {
		b.Fatal(err)
	}
	type entry struct {
		body []byte
		done chan error
	}
	entries := make(chan entry, 1024)
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		for first := range entries {
			group := []entry{first}
			for more := true; more; {
				select {
				case next, ok := <-entries:
					if more = ok; ok {
						group = append(group, next)
					}
				default:
					more = false
				}
			}
			var err error
			for _, e := range group {
				if _, writeErr := file.Write(e.body); writeErr != nil {
					err = writeErr
				}
			}
			if syncErr := file.Sync(); syncErr != nil {
				err = syncErr
			}
			for _, e := range group {
				e.done <- err
			}
		}
	}()
	b.Cleanup(func() {
		close(entries)
		<-stopped
		_ = file.Close()
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			e := entry{body: body, done: make(chan error, 1)}
			entries <- e
			err = <-e.done
		}
		if err != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
}

// service is the whole intake path.
func service(b *testing.B, fsyncs *atomic.Int64) http.Handler {
	b.Helper()
	kept, err := sqlite.Open(context.Background(), b.TempDir(), sqlite.Settings{OnCommit: func(sqlite.Commit) { fsyncs.Add(1) }})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = kept.Close() })
	set, err := adapters.NewSet(synthflow.New())
	if err != nil {
		b.Fatal(err)
	}
	metrics := server.NewMetrics()
	log := slog.New(slog.DiscardHandler)
	refused, err := rejection.Open(b.Context(), b.TempDir(), rejection.Settings{Now: time.Now, Log: log})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = refused.Close() })
	in := intake.New(intake.Settings{Adapters: set, Store: kept, Rejections: refused, Observer: metrics, Now: time.Now},
		[]intake.Source{{Name: "synthflow", Adapter: set.All()[0], Provider: "synthflow", MaxBody: 10 << 20}})
	s, err := server.New(server.Settings{
		Intake: in, Store: kept, Rejections: refused, Metrics: metrics, Log: log, Now: time.Now, Gate: access.New(server.Policy(true)),
	})
	if err != nil {
		b.Fatal(err)
	}
	return s.Handler()
}
