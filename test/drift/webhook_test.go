//go:build !race

package drift

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/callnorm/callnorm/adapters"
	"github.com/callnorm/callnorm/adapters/synthflow"
	"github.com/callnorm/callnorm/internal/intake"
	"github.com/callnorm/callnorm/internal/rejection"
	"github.com/callnorm/callnorm/internal/signature"
	"github.com/callnorm/callnorm/internal/store/sqlite"
	"github.com/callnorm/callnorm/server"
	"github.com/callnorm/callnorm/server/access"
)

const (
	// warm is how much is not counted: what is done once, or grows to its size.
	warm = 50
	// counted is how much is counted.
	counted = 100
	// crowd is how many webhooks are in flight at a time, and waves how often.
	crowd, waves = 64, 4
)

// webhook is Synthflow's sample of 6.5 KB about a call of its own.
func webhook(t *testing.T, n int) []byte {
	t.Helper()
	body, err := os.ReadFile("../../adapters/synthflow/testdata/s00_synthflow_page_2025_10.json")
	if err != nil {
		t.Fatal(err)
	}
	return bytes.ReplaceAll(body, []byte(`"call_id": "[UUID]"`), fmt.Appendf(nil, `"call_id": "00000000-0000-0000-0000-%012d"`, n))
}

// allocated runs something a number of times, and returns how often and how many bytes it has allocated each time, in all goroutines.
func allocated(times int, do func(n int)) (allocations, size float64) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // it would empty pools in the midst of it
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for n := range times {
		do(n)
	}
	runtime.ReadMemStats(&after)
	return float64(after.Mallocs-before.Mallocs) / float64(times), float64(after.TotalAlloc-before.TotalAlloc) / float64(times)
}

func measureNormalize(t *testing.T, got map[string]float64) {
	t.Helper()
	adapter, d := synthflow.New(), adapters.Delivery{Body: webhook(t, 0)}
	normalize := func(int) {
		if _, err := adapters.Normalize(adapter, d); err != nil {
			t.Error(err)
		}
	}
	normalize(0)
	allocations, size := allocated(counted, normalize)
	got["normalizing: allocations"], got["normalizing: bytes allocated"] = rounded(allocations), rounded(size)
}

// path is a verified source, all the way to the disk.
type path struct {
	dir    string
	sender *signature.Sender
	store  *sqlite.Store
	book   *rejection.Book
	intake *intake.Intake
	set    server.Settings
}

func newPath(t *testing.T, onCommit func(sqlite.Commit)) *path {
	t.Helper()
	p := &path{dir: t.TempDir()}
	var err error
	if p.store, err = sqlite.Open(t.Context(), p.dir, sqlite.Settings{OnCommit: onCommit}); err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	if p.book, err = rejection.Open(t.Context(), p.dir, rejection.Settings{Log: log}); err != nil {
		t.Fatal(err)
	}
	formats, err := adapters.NewSet(synthflow.New())
	if err != nil {
		t.Fatal(err)
	}
	settings := synthflow.New().Signature().WithDefaults()
	if p.sender, err = settings.NewSender("0123456789abcdef"); err != nil {
		t.Fatal(err)
	}
	verifier, err := signature.New(settings, []signature.Secret{p.sender.Trusted()})
	if err != nil {
		t.Fatal(err)
	}
	metrics := server.NewMetrics()
	p.intake = intake.New(intake.Settings{Adapters: formats, Store: p.store, Rejections: p.book, Observer: metrics, Now: time.Now},
		[]intake.Source{{Name: "synthflow", Adapter: synthflow.New(), Provider: "synthflow", MaxBody: 10 << 20, Verifier: verifier}})
	p.set = server.Settings{
		Intake: p.intake, Store: p.store, Rejections: p.book, Metrics: metrics, Log: log, Now: time.Now, Gate: access.New(server.Policy(true)),
	}
	return p
}

func (p *path) close(t *testing.T) {
	t.Helper()
	if err := p.book.Close(); err != nil {
		t.Error(err)
	}
	if err := p.store.Close(); err != nil {
		t.Error(err)
	}
}

// request signs the n-th webhook.
func (p *path) request(t *testing.T, n int) signature.Request {
	t.Helper()
	signed, err := p.sender.Sign(signature.Request{
		Method: http.MethodPost, Path: "/v1/webhooks/synthflow", Header: http.Header{"Content-Type": {"application/json"}}, Body: webhook(t, n), Time: time.Now(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// journal returns the size of the journal that transactions are written to. SQLite begins anew at its start when it has grown to
// 4000 pages; until then its growth is what was written.
func (p *path) journal(t *testing.T) int64 {
	t.Helper()
	info, err := os.Stat(filepath.Join(p.dir, "callnorm.db-wal"))
	if err != nil {
		t.Fatal(err)
	}
	const pages, pageWithHeader = 4000, 4096 + 24
	if info.Size() >= pages*pageWithHeader {
		t.Fatal("the journal has come round: count fewer webhooks")
	}
	return info.Size()
}

// measureAlone posts one webhook after the other to the door, without a socket.
func measureAlone(t *testing.T, got map[string]float64) {
	t.Helper()
	p := newPath(t, nil)
	defer p.close(t)
	s, err := server.New(p.set)
	if err != nil {
		t.Fatal(err)
	}
	requests, answers := make([]*http.Request, warm+counted), make([]*httptest.ResponseRecorder, warm+counted)
	for n := range requests {
		signed := p.request(t, n)
		requests[n], answers[n] = httptest.NewRequest(signed.Method, signed.Path, bytes.NewReader(signed.Body)), httptest.NewRecorder()
		requests[n].Header = signed.Header
	}
	post := func(n int) {
		s.Handler().ServeHTTP(answers[n], requests[n])
		if answers[n].Code != http.StatusOK {
			t.Fatalf("webhook %d: %d %s", n, answers[n].Code, answers[n].Body)
		}
	}
	for n := range warm {
		post(n)
	}
	asked, written := statements.Load(), p.journal(t)
	allocations, size := allocated(counted, func(n int) { post(warm + n) })
	got["one webhook at a time: allocations"], got["one webhook at a time: bytes allocated"] = rounded(allocations), rounded(size)
	got["one webhook at a time: statements"] = rounded(float64(statements.Load()-asked) / counted)
	got["one webhook at a time: bytes of the journal"] = rounded(float64(p.journal(t)-written) / counted)
}

// measureCrowd has so many webhooks in flight that all but the first of each wave have to wait for its commit, and share the next.
// The fsync lasts until all of them wait: which group one ends up in is no matter of luck.
func measureCrowd(t *testing.T, got map[string]float64) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		commits, done := 0, make(chan struct{})
		p := newPath(t, func(sqlite.Commit) {
			commits++
			<-done
		})
		defer p.close(t)
		asked, written := statements.Load(), p.journal(t)
		var posting sync.WaitGroup
		for n := range crowd * waves {
			signed := p.request(t, n)
			posting.Go(func() {
				_, err := p.intake.Deliver(t.Context(), intake.Request{
					Source: "synthflow", Method: signed.Method, Path: signed.Path, Header: signed.Header, Body: signed.Body, ReceiveTime: time.Now(),
				})
				if err != nil {
					t.Error(err)
				}
			})
			if n%crowd == 0 {
				synctest.Wait() // the first of a wave commits
			}
			if n%crowd != crowd-1 {
				continue
			}
			synctest.Wait() // all others of the wave wait
			release(done)
			posting.Wait()
		}
		got["64 webhooks in flight: commits, one fsync each"] = rounded(float64(commits) / (crowd * waves))
		got["64 webhooks in flight: statements"] = rounded(float64(statements.Load()-asked) / (crowd * waves))
		got["64 webhooks in flight: bytes of the journal"] = rounded(float64(p.journal(t)-written) / (crowd * waves))
	})
}

// release ends one commit after the other, as long as there are any.
func release(done chan<- struct{}) {
	for {
		select {
		case done <- struct{}{}:
			synctest.Wait()
		default:
			return
		}
	}
}
