package sqlite_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/callnorm/callnorm/internal/store"
	"github.com/callnorm/callnorm/internal/store/sqlite"
)

// BenchmarkAppend keeps deliveries about new calls: a body of 6.5 KB, one contribution of 6 KB, a revision of 6 KB.
func BenchmarkAppend(b *testing.B) {
	for _, writers := range []int{1, 64} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			var commits atomic.Int64
			s := open(b, b.TempDir(), sqlite.Settings{OnCommit: func(sqlite.Commit) { commits.Add(1) }})
			bodies := newBodies()
			b.ReportAllocs()
			b.ResetTimer()
			var group sync.WaitGroup
			for w := range writers {
				group.Go(func() {
					for n := w; n < b.N; n += writers {
						bodies.append(b, s, n)
					}
				})
			}
			group.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "appends/s")
			b.ReportMetric(float64(commits.Load())/float64(b.N), "commits/append")
		})
	}
}

// BenchmarkRead follows the log from its beginning.
func BenchmarkRead(b *testing.B) {
	s := open(b, b.TempDir(), sqlite.Settings{})
	bodies := newBodies()
	const kept = 2000
	for n := range kept {
		bodies.append(b, s, n)
	}
	for name, filter := range map[string]store.Filter{
		"all":      {},
		"filtered": {Providers: []string{"synthflow"}, Statuses: []int32{1, 2}},
	} {
		b.Run(name, func(b *testing.B) {
			var after store.Cursor
			read := 0
			b.ResetTimer()
			for read < b.N {
				page, err := s.Read(b.Context(), after, filter, 256)
				if err != nil {
					b.Fatal(err)
				}
				read += len(page.Entries)
				if after = page.Next; page.End {
					after = store.Cursor{}
				}
			}
			b.ReportMetric(float64(read)/b.Elapsed().Seconds(), "entries/s")
		})
	}
}

// bodies are texts of the sizes that deliveries have, which compress about as well as their JSON does.
type bodies struct{ delivery, contribution, outcome []byte }

func newBodies() bodies {
	random := rand.New(rand.NewPCG(1, 2))
	words := make([]string, 400)
	for i := range words {
		letters := make([]byte, 2+random.IntN(9))
		for j := range letters {
			letters[j] = byte('a' + random.IntN(26))
		}
		words[i] = string(letters)
	}
	text := func(size int) []byte {
		var t strings.Builder
		for t.Len() < size {
			fmt.Fprintf(&t, `{"role":"%s","timestamp":%d,"text":"`, words[random.IntN(4)], random.Int32())
			for range 12 {
				t.WriteString(words[random.IntN(len(words))] + " ")
			}
			t.WriteString(`"},`)
		}
		return []byte(t.String()[:size])
	}
	return bodies{text(6500), text(6000), text(6000)}
}

func (t bodies) append(tb testing.TB, s store.Store, n int) {
	body := binary.BigEndian.AppendUint64(nil, uint64(n))
	body = append(body, t.delivery...)
	call := fmt.Sprintf("call-%d", n)
	outcome := store.NewOutcomeID("bench", call)
	delivery := store.Delivery{
		Key:    store.NewDeliveryKey("bench", "POST", "/v1/webhooks/bench", "", body),
		Source: "bench", Adapter: "synthflow", Provider: "synthflow", Event: "post-call",
		Method: "POST", Path: "/v1/webhooks/bench",
		Header:      []store.HeaderLine{{Name: "Content-Type", Value: "application/json"}, {Name: "User-Agent", Value: "bench"}},
		Body:        body,
		ReceiveTime: time.UnixMicro(int64(n)).UTC(),
		State:       1,
	}
	contributions := []store.Contribution{{Outcome: outcome, Body: t.contribution}}
	_, err := s.Append(tb.Context(), delivery, contributions, func(store.Call) (store.Revision, error) {
		return store.Revision{Body: t.outcome, Keys: store.Keys{
			Provider: "synthflow", Source: "bench", ProviderCallID: call, Status: int32(n % 4), Completeness: 1,
			ExternalIDs: []store.ExternalID{{System: "crm", ID: call}},
		}}, nil
	})
	if err != nil {
		tb.Error(err)
	}
}

func open(tb testing.TB, dir string, settings sqlite.Settings) *sqlite.Store {
	tb.Helper()
	s, err := sqlite.Open(tb.Context(), dir, settings)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	return s
}
