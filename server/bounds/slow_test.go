package bounds

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const burst = 258 << 10 // of which 288 KiB are reserved in the second pool

// post sends the head of a request and the first bytes of its body, and tells the answer and how long it took.
func post(conn net.Conn, declared, sent int) <-chan answer {
	answers := make(chan answer, 1)
	go func() {
		start := time.Now()
		go func() {
			_, _ = io.WriteString(conn, fmt.Sprintf("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", declared, strings.Repeat("x", sent)))
		}()
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err == nil {
			_ = response.Body.Close()
			answers <- answer{response.StatusCode, time.Since(start)}
		}
		_ = conn.Close()
	}()
	return answers
}

type answer struct {
	code int
	took time.Duration
}

// crowded serves a door at which that many senders of large bursts have stalled, and takes the errors of all bodies.
func crowded(t *testing.T, budget *Budget, senders int) (handler http.Handler, crowd []<-chan answer, errs chan error) {
	t.Helper()
	errs = make(chan error, 1000)
	handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := Read(w, r, BodyLimits{Max: 16 << 20, Budget: budget, Pace: DefaultPace})
		errs <- err
		body.Release()
		w.WriteHeader(codeOf(err))
	})
	for range senders {
		crowd = append(crowd, post(serve(t, handler), 10_000_000, burst))
		synctest.Wait()
	}
	return handler, crowd, errs
}

func TestSmallBodiesNeverWaitForLargeOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		budget := NewBudget(1<<20, 2*time.Second)
		handler, crowd, _ := crowded(t, budget, 20)
		if free := budget.pools[1].total - budget.pools[1].used; free >= maxPiece {
			t.Fatalf("%d bytes are free", free)
		}
		for i := range 200 { // for ten seconds, in which the crowd goes and comes
			if got := <-post(serve(t, handler), 60+i*40, 60+i*40); got != (answer{http.StatusOK, 0}) {
				t.Errorf("answer %d after %v", got.code, got.took)
			}
			if i%20 == 0 {
				post(serve(t, handler), 10_000_000, burst)
			}
			time.Sleep(50 * time.Millisecond)
		}
		for i, got := range crowd {
			if got := <-got; got.code != http.StatusServiceUnavailable {
				t.Errorf("answer %d to the %d. of the crowd", got.code, i)
			}
		}
		time.Sleep(time.Minute)
		if left := budget.InFlight(); left != 0 {
			t.Errorf("%d bytes are still in flight", left)
		}
	})
}

func TestLargeBodiesNeverWaitForSmallOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		budget := NewBudget(1<<20, 2*time.Second)
		large := &claim{budget: budget}
		must(t, large.grow(t.Context(), ownRoom+1))
		for range 1<<20/ownRoom - 1 {
			must(t, (&claim{budget: budget}).grow(t.Context(), ownRoom))
		}
		start := time.Now()
		must(t, large.grow(t.Context(), 1<<20-1))
		if err := (&claim{budget: budget}).grow(t.Context(), 1); !errors.Is(err, ErrOverloaded) || time.Since(start) != 2*time.Second {
			t.Errorf("error %v after %v", err, time.Since(start))
		}
	})
}

func TestTheStalledGiveWay(t *testing.T) {
	tests := map[string]struct {
		senders, body int
		after         time.Duration // they have stalled
		took          time.Duration
		thrown        int
	}{
		"at once, if they have been slow":            {3, 300_000, 2 * time.Second, 0, 2},
		"as soon as they are slow":                   {3, 300_000, 300 * time.Millisecond, 700 * time.Millisecond, 2},
		"only as many as are needed":                 {3, 100_000, 2 * time.Second, 0, 1},
		"nobody, while there is room":                {3, 20_000, 2 * time.Second, 0, 0},
		"nobody, if there is enough for the body":    {2, 100_000, 2 * time.Second, 0, 0},
		"all of a crowd for a body as large as that": {3, 450_000, 2 * time.Second, 0, 3},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				budget := NewBudget(1<<20-100<<10, 2*time.Second) // three of the crowd leave 60 KiB
				handler, crowd, errs := crowded(t, budget, tt.senders)
				time.Sleep(tt.after)
				got := <-post(serve(t, handler), tt.body, tt.body)
				if got.code != http.StatusOK || got.took < tt.took || got.took > tt.took+lookEvery {
					t.Errorf("answer %d after %v", got.code, got.took)
				}
				synctest.Wait()
				thrown := 0
				for len(errs) > 0 {
					if err := <-errs; errors.Is(err, ErrOverloaded) {
						thrown++
					}
				}
				if thrown != tt.thrown {
					t.Errorf("%d were thrown out", thrown)
				}
				for i, got := range crowd {
					want := 5 * time.Second // a stall
					if i < tt.thrown {      // first those that came first
						want = tt.after + tt.took
					}
					if got := <-got; got.code != http.StatusServiceUnavailable || got.took < want || got.took > want+lookEvery {
						t.Errorf("answer %d after %v to the %d. of the crowd", got.code, got.took, i)
					}
				}
				time.Sleep(time.Minute) // until everybody has hung up
				if left := budget.InFlight(); left != 0 {
					t.Errorf("%d bytes are still in flight", left)
				}
			})
		})
	}
}

// A crowd that fills the budget over and over, and honest senders of small and of large bodies.
func TestACrowdThatBurstsAndStalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		budget := NewBudget(4<<20, 2*time.Second)
		handler, _, _ := crowded(t, budget, 20)
		for range 40 {
			for range 2 {
				post(serve(t, handler), 10_000_000, burst)
				post(serve(t, handler), 6_000, 3_000)
			}
			small, large := post(serve(t, handler), 60, 60), post(serve(t, handler), 400_000, 400_000)
			time.Sleep(250 * time.Millisecond)
			if got := <-small; got != (answer{http.StatusOK, 0}) {
				t.Errorf("a small body: answer %d after %v", got.code, got.took)
			}
			if got := <-large; got.code != http.StatusOK {
				t.Errorf("a large body: answer %d after %v", got.code, got.took)
			}
		}
		time.Sleep(time.Minute)
		if left := budget.InFlight(); left != 0 || budget.receiving.Len() != 0 {
			t.Errorf("%d bytes are still in flight", left)
		}
	})
}

func TestWhoIsNotWaitedForIsNotThrownOut(t *testing.T) {
	tests := map[string]func(c *claim){
		"a body that was received as a whole": func(c *claim) {
			c.listen(0, func() error { return nil })
			time.Sleep(time.Hour)
			c.heard(true)
		},
		"a body between two reads": func(c *claim) {
			c.listen(0, func() error { return nil })
			time.Sleep(time.Hour)
			c.heard(false)
		},
		"a body that waited for us most of the time": func(c *claim) {
			c.listen(0, func() error { return nil })
			time.Sleep(patience / 2)
			c.heard(false)
			time.Sleep(time.Hour)
			c.listen(patience/2-time.Nanosecond, func() error { return nil })
		},
		"a body whose wait cannot be ended": func(c *claim) {
			c.listen(0, func() error { return http.ErrNotSupported })
			time.Sleep(time.Hour)
		},
		"a message": func(*claim) { time.Sleep(time.Hour) },
	}
	for name, hold := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				budget := NewBudget(100_000, 0)
				c := &claim{budget: budget}
				must(t, c.grow(t.Context(), 100_000))
				hold(c)
				if _, err := budget.Reserve(t.Context(), 120_000); !errors.Is(err, ErrOverloaded) || c.thrown {
					t.Errorf("error %v, thrown out %v", err, c.thrown)
				}
				c.release()
				if left := budget.InFlight(); left != 0 || budget.receiving.Len() != 0 {
					t.Errorf("%d bytes are still in flight", left)
				}
			})
		})
	}
}

func TestWhoWasThrownOutGetsNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		budget := NewBudget(70_000, time.Second)
		slow := &claim{budget: budget}
		must(t, slow.grow(t.Context(), 100_000))
		ended := 0
		slow.listen(0, func() error { ended++; return nil })
		time.Sleep(patience)
		waiting := make(chan error)
		for range 3 {
			go func() {
				release, err := budget.Reserve(t.Context(), 60_000)
				if err == nil {
					release()
				}
				waiting <- err
			}()
		}
		synctest.Wait()
		if !slow.heard(false) || ended != 1 {
			t.Errorf("thrown out %v, ended %d times", slow.thrown, ended)
		}
		slow.shrink(50_000)
		if err := slow.grow(t.Context(), 10); !errors.Is(err, ErrOverloaded) {
			t.Errorf("error %v", err)
		}
		slow.release()
		for range 3 {
			must(t, <-waiting)
		}
		if left := budget.InFlight(); left != 0 || budget.pools[0].leaving != 0 || budget.pools[1].leaving != 0 {
			t.Errorf("%d bytes are still in flight", left)
		}
	})
}

func TestBothPoolsAddUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const total = 8 * ownRoom
		budget := NewBudget(total, 300*time.Millisecond)
		for i := range uint64(40) {
			go func() {
				random := rand.New(rand.NewPCG(2, i))
				for range 100 {
					mine, end := &claim{budget: budget}, make(chan struct{})
					for mine.grow(t.Context(), random.Int64N(ownRoom)) == nil && mine.held < 3*ownRoom {
						mine.listen(0, func() error { close(end); return nil })
						select {
						case <-end:
						case <-time.After(time.Duration(random.Int64N(int64(2 * patience)))):
						}
						if mine.heard(random.IntN(4) == 0) {
							continue // what follows has to fail
						}
						mine.shrink(random.Int64N(ownRoom) / 4)
						if got := budget.InFlight(); got > 2*total {
							t.Errorf("%d bytes in flight", got)
						}
					}
					mine.release()
				}
			}()
		}
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		for i := range budget.pools {
			p := &budget.pools[i]
			if p.used != 0 || p.wanted != 0 || p.leaving != 0 || p.holders.Len()+p.others.Len() != 0 {
				t.Errorf("used %d, wanted %d, leaving %d", p.used, p.wanted, p.leaving)
			}
		}
		if budget.receiving.Len() != 0 {
			t.Errorf("%d are being received", budget.receiving.Len())
		}
	})
}

// Over sockets: who was thrown out reads so, and its room is there for who waits.
func TestThrowingOutOverSockets(t *testing.T) {
	for _, version := range []int{1, 2} {
		t.Run(fmt.Sprintf("HTTP/%d", version), func(t *testing.T) {
			t.Parallel()
			budget := NewBudget(100_000, time.Minute)
			handler, got := door(BodyLimits{Max: 1 << 20, Budget: budget, Pace: Pace{Grace: time.Hour, Rate: 1}})
			stalled := make(chan struct{})
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				r.Body = &told{ReadCloser: r.Body, left: 50_000, stalled: stalled}
				handler.ServeHTTP(w, r)
			}))
			server.EnableHTTP2 = version == 2
			server.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
			server.StartTLS()
			defer server.Close()
			body, rest := io.Pipe()
			defer func() { _ = rest.Close() }()
			go func() { _, _ = rest.Write(make([]byte, 50_000)) }()
			request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, body)
			if err != nil {
				t.Fatal(err)
			}
			answered := make(chan int)
			go func() {
				answer, err := server.Client().Do(request)
				must(t, err)
				if err == nil {
					_ = answer.Body.Close()
					answered <- answer.StatusCode
				}
				close(answered)
			}()
			<-stalled
			release, err := budget.Reserve(t.Context(), ownRoom+100_000)
			if err != nil {
				t.Fatal(err)
			}
			release()
			if read := <-got; !errors.Is(read.err, ErrOverloaded) {
				t.Errorf("error %v", read.err)
			}
			if code := <-answered; code != http.StatusServiceUnavailable {
				t.Errorf("answer %d", code)
			}
			if left := budget.InFlight(); left != 0 {
				t.Errorf("%d bytes are still in flight", left)
			}
		})
	}
}

// told is a body that tells when it is asked for more than there is.
type told struct {
	io.ReadCloser
	left    int
	stalled chan struct{}
}

func (b *told) Read(p []byte) (int, error) {
	if b.left == 0 {
		close(b.stalled)
	}
	n, err := b.ReadCloser.Read(p)
	b.left -= n
	return n, err
}
