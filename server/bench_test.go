package server_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/callnorm/callnorm/adapters"
	"github.com/callnorm/callnorm/adapters/synthflow"
	"github.com/callnorm/callnorm/internal/intake"
	"github.com/callnorm/callnorm/internal/rejection"
	"github.com/callnorm/callnorm/internal/store"
	"github.com/callnorm/callnorm/internal/store/sqlite"
	"github.com/callnorm/callnorm/server"
	"github.com/callnorm/callnorm/server/access"
	"github.com/klauspost/compress/s2"
)

// BenchmarkIntake measures a webhook of 6.5 KB from its connection to the disk, side by side with what is physically possible: a
// handler that appends the body to one file and shares fsyncs, with the same path before a prototype of a store that is nothing but a
// log, and before one that keeps nothing at all. Ratios travel between machines; times do not.
func BenchmarkIntake(b *testing.B) {
	body, err := os.ReadFile("../adapters/synthflow/testdata/s00_synthflow_page_2025_10.json")
	if err != nil {
		b.Fatal(err)
	}
	for _, connections := range []int{1, 64} {
		b.Run(fmt.Sprintf("connections=%d", connections), func(b *testing.B) {
			var fsyncs atomic.Int64
			limit := load(b, connections, body, appender(b))
			full := load(b, connections, body, service(b, open(b, &fsyncs)))
			log := load(b, connections, body, service(b, &logStore{log: newSyncedLog(b)}))
			nothing := load(b, connections, body, service(b, &logStore{}))
			b.ReportMetric(full.perSecond/limit.perSecond, "of-limit")
			b.ReportMetric(log.perSecond/limit.perSecond, "log-of-limit")
			b.ReportMetric(nothing.perSecond/limit.perSecond, "keeping-nothing-of-limit")
			b.ReportMetric(full.perSecond, "webhooks/s")
			b.ReportMetric(limit.perSecond, "limit/s")
			b.ReportMetric(float64(full.p99)/float64(limit.p99), "p99-of-limit")
			b.ReportMetric(float64(full.p50.Microseconds()), "p50-µs")
			b.ReportMetric(float64(fsyncs.Load())/float64(b.N), "commits/webhook")
			// Of the processor's time, the client's included, which other work on the machine changes less.
			b.ReportMetric(float64(full.cpu.Microseconds()), "cpu-µs/webhook")
			b.ReportMetric(float64(limit.cpu.Microseconds()), "limit-cpu-µs")
			b.ReportMetric(float64(log.cpu.Microseconds()), "log-cpu-µs")
			b.ReportMetric(float64(nothing.cpu.Microseconds()), "keeping-nothing-cpu-µs")
		})
	}
}

type rate struct {
	perSecond float64
	p50, p99  time.Duration
	cpu       time.Duration // of the processor, for each
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
	start, used := time.Now(), processor(b)
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
	used = processor(b) - used
	slices.Sort(took)
	return rate{
		perSecond: float64(b.N) / elapsed.Seconds(), p50: took[len(took)/2], p99: took[len(took)*99/100], cpu: used / time.Duration(b.N),
	}
}

// processor returns how much of the processor's time this process has used.
func processor(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// appender appends each body to one file; those who wait share an fsync.
func appender(b *testing.B) http.Handler {
	b.Helper()
	log := newSyncedLog(b)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			err = log.append(body)
		}
		if err != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
}

// syncedLog is a file that is appended to. Those who wait share an fsync.
type syncedLog struct{ entries chan logEntry }

type logEntry struct {
	body []byte
	done chan error
}

func newSyncedLog(b *testing.B) *syncedLog {
	b.Helper()
	file, err := os.Create(filepath.Join(b.TempDir(), "log"))
	if err != nil {
		b.Fatal(err)
	}
	l := &syncedLog{entries: make(chan logEntry, 1024)}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		for first := range l.entries {
			group := []logEntry{first}
			for more := true; more; {
				select {
				case next, ok := <-l.entries:
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
		close(l.entries)
		<-stopped
		_ = file.Close()
	})
	return l
}

// append returns when the body is on disk.
func (l *syncedLog) append(body []byte) error {
	e := logEntry{body: body, done: make(chan error, 1)}
	l.entries <- e
	return <-e.done
}

// logStore is a prototype of a store whose truth is a synced log: it keeps all that an SQLite store keeps of calls that nobody has
// heard of, and finds none of it again. What an index adds comes on top of what it takes.
type logStore struct {
	store.Store

	log *syncedLog // nil: it keeps nothing
}

// Append folds, and appends the delivery, its contributions and the revisions to the log.
func (s *logStore) Append(_ context.Context, d store.Delivery, contributions []store.Contribution, fold store.Fold) (store.Receipt, error) {
	receipt := store.Receipt{Delivery: s.DeliveryID(d.Key), State: d.State, Report: d.Report}
	record := s2.Encode(nil, d.Body)
	record = append(record, d.Key[:]...)
	for _, line := range d.Header {
		record = append(append(record, line.Name...), line.Value...)
	}
	for _, c := range contributions {
		revision, err := fold(store.Call{
			Outcome: c.Outcome, Time: d.ReceiveTime, Contributions: []store.KeptContribution{{Delivery: receipt.Delivery, Contribution: c}},
		})
		if err != nil {
			return store.Receipt{}, err
		}
		record = append(append(record, s2.Encode(nil, c.Body)...), revision.Body...)
		receipt.Outcomes = append(receipt.Outcomes, store.ReceiptOutcome{Outcome: c.Outcome, Revision: 1, Changed: true})
	}
	if s.log == nil {
		return receipt, nil
	}
	record = binary.BigEndian.AppendUint32(record, crc32.Checksum(record, crc32.MakeTable(crc32.Castagnoli)))
	return receipt, s.log.append(record)
}

// DeliveryID returns another id for each key.
func (*logStore) DeliveryID(key store.DeliveryKey) store.DeliveryID {
	return store.DeliveryID(key[:16])
}

// Err returns nil.
func (*logStore) Err() error { return nil }

// open opens an SQLite store.
func open(b *testing.B, fsyncs *atomic.Int64) store.Store {
	b.Helper()
	kept, err := sqlite.Open(context.Background(), b.TempDir(), sqlite.Settings{OnCommit: func(sqlite.Commit) { fsyncs.Add(1) }})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = kept.Close() })
	return kept
}

// service is the whole intake path before a store.
func service(b *testing.B, kept store.Store) http.Handler {
	b.Helper()
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
